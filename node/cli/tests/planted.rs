//! Working files that somebody else has put into the folder beforehand, as good as they can be forged: what gets its
//! name is the content, and a file of who asked for it.
#![cfg(unix)]

mod programs;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use messages::{Layout, LengthProof, Outboard, PieceIndex, piece_value};
use programs::{Place, Program, noise, wait_until, working_file};

/// Twelve pieces of 256 KiB.
const LENGTH: usize = 3 << 20;
/// Which of them the forger has changed.
const FORGED: usize = 5;

/// The kind of journal beside the planted part file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journal {
    /// A journal of the present format with random seals.
    Present,
    /// A journal of the format that had no seals.
    Unsealed,
}

/// A content as far as a forger knows it.
struct Forger {
    bytes: Vec<u8>,
    outboard: Outboard,
}

impl Forger {
    fn of(bytes: Vec<u8>) -> Forger {
        let layout = Layout::of(bytes.len() as u64).expect("a layout");
        let pieces = bytes.chunks(layout.piece_size() as usize);
        let values = (0..).map(PieceIndex).zip(pieces.clone());
        let values = values.map(|(index, piece)| piece_value(layout, index, piece)).collect();
        let proof = LengthProof::of(layout, pieces.last().expect("several pieces"));
        let outboard = Outboard::new(layout, values, proof).expect("an outboard");
        Forger { bytes, outboard }
    }

    /// Plants a part file with other bytes in one piece beside a journal that calls all of them durable, with their
    /// right values. The part file's path.
    fn plant(&self, folder: &Path, name: &str, journal: Journal) -> PathBuf {
        let stem = format!(".{name}.{}", &self.outboard.content().to_string()[..16]);
        let part = folder.join(format!("{stem}.riffle-part"));
        let size = self.outboard.layout().piece_size() as usize;
        let mut planted = self.bytes.clone();
        planted[FORGED * size..][..4096].fill(b'!');
        fs::write(&part, planted).expect("planted");
        let path = folder.join(format!("{stem}.riffle-journal"));
        // The file must exist, because the journal names its inode.
        fs::write(&path, "").expect("planted");
        fs::write(&path, self.journal(journal, &part, &path)).expect("planted");
        part
    }

    fn journal(&self, journal: Journal, part: &Path, path: &Path) -> Vec<u8> {
        let seal = |bytes: &mut Vec<u8>, start: usize| match journal {
            Journal::Present => bytes.extend_from_slice(&noise(16)),
            Journal::Unsealed => {
                let crc = crc32fast::hash(&bytes[start..]);
                bytes.extend_from_slice(&crc.to_le_bytes());
            }
        };
        let mut bytes = b"riffle".to_vec();
        bytes.extend_from_slice(&[if journal == Journal::Present { 3 } else { 2 }, 0]);
        bytes.extend_from_slice(self.outboard.content().as_bytes());
        bytes.extend_from_slice(&(self.bytes.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&mark(part));
        if journal == Journal::Present {
            bytes.extend_from_slice(&mark(path));
        }
        seal(&mut bytes, 0);
        let size = self.outboard.layout().piece_size() as usize;
        for (index, piece) in self.bytes.chunks(size).enumerate() {
            let start = bytes.len();
            let durable = 2;
            bytes.push(durable);
            bytes.extend_from_slice(&(index as u32).to_le_bytes());
            let piece = piece_value(self.outboard.layout(), PieceIndex(index as u32), piece);
            bytes.extend_from_slice(&piece);
            seal(&mut bytes, start);
        }
        bytes
    }
}

/// Inode and time of birth, as a journal's header names a file.
fn mark(path: &Path) -> Vec<u8> {
    let found = fs::metadata(path).expect("there");
    let born = found.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let born = born.map_or(0, |born| born.as_nanos() as u64);
    [found.ino().to_le_bytes(), born.to_le_bytes()].concat()
}

/// A folder for downloads beside an owner of `film`; downloads that end there.
struct Scene {
    place: Place,
    tracker: String,
    forger: Forger,
    _programs: Vec<Program>,
}

impl Scene {
    fn new() -> Scene {
        let place = Place::new();
        let (program, tracker) = place.tracker();
        let shared = place.folder("shared");
        fs::write(shared.join("film"), noise(LENGTH)).expect("written");
        let arguments = ["send", "--tracker", &tracker, "--listen", "127.0.0.1:0", "film"];
        let owner = Program::start(place.riffle(&arguments).current_dir(&shared));
        owner.wait_for("riffle download --tracker ");
        let forger = Forger::of(noise(LENGTH));
        assert_eq!(forger.outboard.layout().span(PieceIndex(11)).expect("twelve").end, LENGTH as u64);
        Scene { place, tracker, forger, _programs: vec![program, owner] }
    }

    /// Fetches `film` into `folder`, under the umask of 0022.
    fn download(&self, folder: &Path) -> (Option<i32>, Vec<String>) {
        let (status, said) = self.start(folder, "022", &[]).end();
        (status.code(), said)
    }

    fn start(&self, folder: &Path, umask: &str, more: &[&str]) -> Program {
        let riffle = self.place.riffle(&[]).get_program().to_owned();
        let arguments = ["download", "--tracker", &self.tracker, "--listen", "127.0.0.1:0", "film"];
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        let mut command = self.place.shell();
        command.args(["-c", &script]).arg(riffle).args(arguments).args(more);
        Program::start(command.current_dir(folder))
    }
}

#[test]
fn planted_working_files_never_make_other_bytes_the_content() {
    let scene = Scene::new();
    for (number, journal) in [Journal::Unsealed, Journal::Present].into_iter().enumerate() {
        for mode in [0o600, 0o666] {
            let folder = scene.place.folder(&format!("saved-{number}-{mode:o}"));
            let part = scene.forger.plant(&folder, "film", journal);
            fs::set_permissions(&part, fs::Permissions::from_mode(mode)).expect("set");
            let planted = fs::metadata(&part).expect("planted").ino();
            let (code, said) = scene.download(&folder);
            assert_eq!(code, Some(0), "{journal:?} {mode:o}: {said:#?}");
            let film = folder.join("film");
            assert!(
                fs::read(&film).expect("saved") == scene.forger.bytes,
                "{journal:?} {mode:o}: wrong bytes, exit 0"
            );
            let found = fs::metadata(&film).expect("saved");
            assert_eq!(found.mode() & 0o777, 0o644, "{journal:?} {mode:o}");
            // The node takes up files of its own and hashes them again; files that others may write to stay.
            assert_eq!(found.ino() == planted, mode == 0o600, "{journal:?} {mode:o}");
            assert_eq!(part.exists(), mode == 0o666, "{journal:?} {mode:o}");
        }
    }
}

#[test]
fn working_files_of_another_user_stay_and_the_result_is_ours() {
    if !rustix::process::geteuid().is_root() {
        // Only root gives files away; the variation by mode is above.
        return;
    }
    let scene = Scene::new();
    let folder = scene.place.folder("saved");
    let part = scene.forger.plant(&folder, "film", Journal::Unsealed);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).expect("set");
    fs::set_permissions(&part, fs::Permissions::from_mode(0o666)).expect("set");
    for entry in fs::read_dir(&folder).expect("a folder") {
        std::os::unix::fs::chown(entry.expect("an entry").path(), Some(1000), None).expect("given away");
    }
    let planted = fs::read(&part).expect("planted");
    let (code, said) = scene.download(&folder);
    assert_eq!(code, Some(0), "{said:#?}");
    let found = fs::metadata(folder.join("film")).expect("saved");
    assert_eq!((found.uid(), found.mode() & 0o777), (0, 0o644), "whose the result is");
    assert!(fs::read(folder.join("film")).expect("saved") == scene.forger.bytes, "wrong bytes, exit 0");
    assert!(fs::read(&part).expect("still there") == planted);
}

#[test]
fn a_group_s_umask_opens_the_finished_file_and_no_working_file_and_a_kill_costs_no_second_look() {
    let scene = Scene::new();
    let folder = scene.place.folder("saved");
    let mut download = scene.start(&folder, "002", &["--download-limit", "2MiB"]);
    let file = |kind: &str| fs::metadata(working_file(&folder, "film", kind)?).ok();
    // A header of 112 bytes, and records of 53.
    wait_until("some pieces", || file("journal").is_some_and(|journal| journal.len() >= 112 + 3 * 53));
    for kind in ["part", "journal"] {
        assert_eq!(file(kind).expect("there").mode() & 0o777, 0o600, "{kind}");
    }
    download.kill();
    let (status, said) = scene.start(&folder, "002", &[]).end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    let says = |words: &str| said.iter().any(|line| line.contains(words));
    assert!(says("were here before") && !says("hashed again"), "{said:#?}");
    assert!(fs::read(folder.join("film")).expect("saved") == scene.forger.bytes);
    assert_eq!(fs::metadata(folder.join("film")).expect("saved").mode() & 0o777, 0o664);
}

/// Pieces come from the network and are read once, in memory; what proves the whole is merged from their values.
#[cfg(target_os = "linux")]
#[test]
fn a_download_does_not_read_its_file_a_second_time() {
    let scene = Scene::new();
    let folder = scene.place.folder("saved");
    let download = scene.start(&folder, "022", &["--stay"]);
    download.wait_for("; from ");
    assert!(fs::read(folder.join("film")).expect("saved") == scene.forger.bytes);
    // What went through read and its like; datagrams do not.
    let counted = fs::read_to_string(format!("/proc/{}/io", download.id())).expect("counted");
    let read = counted.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("counted");
    let read: usize = read.parse().expect("a number");
    assert!(read < LENGTH / 4, "{read} bytes were read of {LENGTH}");
}
