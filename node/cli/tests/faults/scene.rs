//! The programs that every fault happens to: a tracker, owners with copies of their own, a downloader.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::programs::{Place, Program, noise, wait_until, working_file};

pub(crate) const MIB: usize = 1 << 20;
/// The size of a piece of every file here.
pub(crate) const PIECE: usize = messages::limits::MIN_PIECE_SIZE as usize;

/// The journal beside a part file: a header, then records of one size (`node/engine/src/driver/README.md`).
const JOURNAL_HEADER: u64 = 112;
const JOURNAL_RECORD: u64 = 53;

/// A place with a tracker. Programs that are dropped are killed.
pub(crate) struct Scene {
    pub(crate) place: Place,
    pub(crate) tracker: Program,
    pub(crate) address: String,
    /// The folder of downloads.
    pub(crate) saved: PathBuf,
}

impl Scene {
    /// A tracker with the usual settings.
    pub(crate) fn new() -> Scene {
        Scene::with_tracker("")
    }

    /// A tracker with these settings.
    pub(crate) fn with_tracker(settings: &str) -> Scene {
        let place = Place::new();
        fs::write(place.path().join("tracker.toml"), settings).expect("written");
        let (tracker, address) = start_tracker(&place, "127.0.0.1:0");
        let saved = place.folder("saved");
        Scene { place, tracker, address, saved }
    }

    /// Kills the tracker.
    pub(crate) fn kill_tracker(&mut self) {
        self.tracker.kill();
    }

    /// Another tracker, which knows nothing, where the one was that is gone.
    pub(crate) fn new_tracker(&mut self) {
        (self.tracker, _) = start_tracker(&self.place, &self.address);
    }

    /// Settings of all nodes that are started from now on.
    pub(crate) fn settings(&self, text: &str) {
        fs::write(self.place.folder("config/riffle").join("node.toml"), text).expect("written");
    }

    /// A file in an owner's own folder.
    pub(crate) fn file(&self, folder: &str, name: &str, length: usize) -> PathBuf {
        let path = self.place.folder(folder).join(name);
        fs::write(&path, noise(length)).expect("written");
        path
    }

    /// A node that shares `files` of `folder`, when all of them are announced.
    pub(crate) fn owner(&self, folder: &str, files: &[&str], more: &[&str]) -> Program {
        let arguments = [&["send", "--tracker", &self.address], more, files].concat();
        let mut command = self.place.riffle(&arguments);
        let owner = Program::start(command.current_dir(self.place.folder(folder)));
        files.iter().for_each(|_| drop(owner.wait_for("riffle download --tracker ")));
        owner
    }

    /// `riffle download` with `arguments` into the folder `saved`.
    pub(crate) fn download(&self, arguments: &[&str]) -> Program {
        let arguments = [&["download", "--tracker", &self.address], arguments].concat();
        Program::start(self.place.riffle(&arguments).current_dir(&self.saved))
    }

    /// The number of pieces of the unfinished `name` that are on the disk according to its journal.
    pub(crate) fn pieces(&self, name: &str) -> usize {
        let journal = || fs::metadata(working_file(&self.saved, name, "journal")?).ok();
        let length = journal().map_or(0, |metadata| metadata.len());
        usize::try_from(length.saturating_sub(JOURNAL_HEADER) / JOURNAL_RECORD).expect("few")
    }

    /// Which pieces of `name`, which has `all`, are on the disk in `folder`.
    pub(crate) fn pieces_in(&self, folder: &str, name: &str, all: usize) -> BTreeSet<usize> {
        let folder = self.place.folder(folder);
        if folder.join(name).exists() {
            return (0..all).collect();
        }
        let journal = || fs::read(working_file(&folder, name, "journal")?).ok();
        let journal = journal().unwrap_or_default();
        let records =
            journal.get(JOURNAL_HEADER as usize..).unwrap_or_default().chunks_exact(JOURNAL_RECORD as usize);
        records.map(|record| u32::from_le_bytes(record[1..5].try_into().expect("four")) as usize).collect()
    }

    /// Waits until that many pieces of `name` are on the disk.
    pub(crate) fn wait_for_pieces(&self, name: &str, pieces: usize) {
        wait_until(&format!("{pieces} pieces of {name}"), || self.pieces(name) >= pieces);
    }

    /// Whether `name` is saved as it was made, with nothing left beside it.
    pub(crate) fn is_saved(&self, name: &str, length: usize) -> bool {
        let beside = |kind: &str| working_file(&self.saved, name, kind).is_some();
        let bytes = fs::read(self.saved.join(name));
        bytes.is_ok_and(|bytes| bytes == noise(length)) && !beside("part") && !beside("journal")
    }

    /// A whole new download of `name`, which must succeed.
    pub(crate) fn fetch(&self, name: &str, length: usize) {
        let _ = fs::remove_file(self.saved.join(name));
        self.arrives(self.download(&[name]), name, length);
    }

    /// Waits for the end of a download that must succeed; what it said.
    pub(crate) fn arrives(&self, download: Program, name: &str, length: usize) -> Vec<String> {
        let (status, said) = download.end();
        assert_eq!(status.code(), Some(0), "{said:#?}\n{}", self.place.logs());
        assert!(self.is_saved(name, length), "the copy differs: {said:#?}");
        said
    }
}

fn start_tracker(place: &Place, listen: &str) -> (Program, String) {
    let arguments = ["tracker", "--listen", listen, "--config", "tracker.toml"];
    let tracker = Program::start(&mut place.riffle(&arguments));
    let line = tracker.wait_for("listening on ");
    let address = line.rsplit("listening on ").next().expect("an address").trim().to_owned();
    (tracker, address)
}

/// Whether one of the lines contains `words`.
pub(crate) fn says(said: &[String], words: &str) -> bool {
    said.iter().any(|line| line.contains(words))
}
