//! A disk that is full before a download or becomes so: it is said, nothing is lost, and it goes on when there is room.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FallocateFlags, fallocate};

use crate::programs::{Place, Program, noise, working_file};
use crate::scene::{MIB, PIECE, Scene, says};

const LENGTH: usize = 6 * MIB;
const FULL: i32 = 9;

/// A small file system, where only programs of its own see it. This process sees it through the one that holds it open.
struct SmallDisk {
    holder: Program,
    mounted: PathBuf,
    enter: Vec<String>,
}

impl SmallDisk {
    /// One of `size` at the place's folder `saved`; `None`, aloud, where none can be made.
    fn new(place: &Place, size: &str) -> Option<SmallDisk> {
        let mounted = place.folder("saved");
        let root = rustix::process::geteuid().is_root();
        let user: &[&str] = if root { &[] } else { &["--user", "--map-root-user"] };
        let script = "mount -t tmpfs -o size=$1 none $0 && echo mounted || echo refused; read -r";
        let mut command = Command::new("unshare");
        command.args(user).args(["--mount", "bash", "-c", script]).arg(&mounted).arg(size);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let allowed = command.spawn().is_ok_and(|mut child| {
            drop(child.stdin.take());
            let said = child.wait_with_output().expect("waited for");
            String::from_utf8_lossy(&said.stdout).contains("mounted")
        });
        if !allowed {
            eprintln!("skipped: no file system can be mounted here (root or user namespaces, `unshare`)");
            return None;
        }
        let holder = Program::start(&mut command);
        holder.wait_for("mounted");
        let id = holder.id().to_string();
        let mut enter = vec!["--target".to_owned(), id, "--mount".to_owned()];
        if !root {
            enter.extend(["--user".to_owned(), "--preserve-credentials".to_owned()]);
        }
        Some(SmallDisk { holder, mounted, enter })
    }

    /// The same folder, as this process sees it.
    fn outside(&self) -> PathBuf {
        let path = self.mounted.strip_prefix("/").expect("a whole path");
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(path)
    }

    /// A program that sees the disk.
    fn program(&self, program: &Command) -> Command {
        let mut command = Command::new("nsenter");
        command.args(&self.enter).arg("--").arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn resize(&self, size: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}")]).arg(&self.mounted);
        let status = self.program(&mount).status().expect("nsenter starts");
        assert!(status.success(), "the disk is resized");
    }

    fn download(&self, scene: &Scene, more: &[&str]) -> Program {
        let folder = self.mounted.to_str().expect("text");
        let arguments = [&["download", "--tracker", &scene.address, "--dir", folder, "film.bin"], more];
        Program::start(&mut self.program(&scene.place.riffle(&arguments.concat())))
    }
}

/// A scene whose downloads go to a disk of `size`, and its owner.
fn scene_with(size: &str) -> Option<(Scene, SmallDisk, Program)> {
    let mut scene = Scene::new();
    let disk = SmallDisk::new(&scene.place, size)?;
    scene.saved = disk.outside();
    scene.file("one", "film.bin", LENGTH);
    let owner = scene.owner("one", &["film.bin"], &[]);
    Some((scene, disk, owner))
}

/// Takes away the room that the part file has for what has not arrived, and all other room too. On most file systems
/// the room is kept for it; on those that copy what is written (and sparse ones) this is what any other program does.
fn fill(folder: &Path) {
    let part = working_file(folder, "film.bin", "part").expect("under way");
    let part = OpenOptions::new().write(true).open(part).expect("under way");
    let half = LENGTH as u64 / 2;
    fallocate(&part, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, half, half).expect("holes");
    let other = folder.join("other.bin");
    let mut other = OpenOptions::new().write(true).create_new(true).open(other).expect("made");
    while other.write_all(&[0; 4096]).is_ok() {}
}

#[test]
fn a_pipe_that_the_disk_has_no_room_for_is_not_shared() {
    let place = Place::new();
    let Some(disk) = SmallDisk::new(&place, "2m") else { return };
    let state = disk.mounted.join("state");
    let state = state.to_str().expect("text");
    let arguments = ["send", "-", "--name", "pipe.bin", "--listen", "127.0.0.1:0", "--state-dir", state];
    let mut command = disk.program(&place.riffle(&arguments));
    let (status, said) = Program::start_with_input(&mut command, &noise(LENGTH)).end();
    assert_eq!(status.code(), Some(FULL), "{said:#?}");
    assert!(says(&said, "no room to spool what comes from the pipe"), "{said:#?}");
    assert!(!disk.outside().join("state/node-1/spool").exists(), "what was spooled is gone");
}

#[test]
fn a_disk_that_is_too_small_is_reported_before_anything_is_fetched() {
    let Some((scene, disk, _owner)) = scene_with("1m") else { return };
    let (status, said) = disk.download(&scene, &[]).end();
    assert_eq!(status.code(), Some(FULL), "{said:#?}");
    assert!(says(&said, "disk full: 5.") && says(&said, "MiB more needed"), "{said:#?}");
    assert_eq!(std::fs::read_dir(&scene.saved).expect("a folder").count(), 0, "nothing is left there");
    disk.resize("8m");
    scene.arrives(disk.download(&scene, &[]), "film.bin", LENGTH);
}

#[test]
fn a_disk_that_fills_up_loses_nothing_and_the_same_command_goes_on() {
    let Some((scene, disk, _owner)) = scene_with("8m") else { return };
    let download = disk.download(&scene, &["--download-limit", "4MiB"]);
    scene.wait_for_pieces("film.bin", LENGTH / PIECE / 4);
    fill(&scene.saved);
    let mut under_way = Some(download);
    for _ in 0..2 {
        let download = under_way.take().unwrap_or_else(|| disk.download(&scene, &[]));
        let (status, said) = download.end();
        assert_eq!(status.code(), Some(FULL), "{said:#?}");
        assert!(says(&said, "disk full") && says(&said, "the same command goes on"), "{said:#?}");
        assert!(scene.pieces("film.bin") >= LENGTH / PIECE / 4, "what was written is kept");
    }
    std::fs::remove_file(scene.saved.join("other.bin")).expect("there");
    let said = scene.arrives(disk.download(&scene, &[]), "film.bin", LENGTH);
    assert!(says(&said, "were here before"), "{said:#?}");
}

#[test]
fn who_waits_for_room_goes_on_by_itself() {
    let Some((scene, disk, _owner)) = scene_with("8m") else { return };
    let download = disk.download(&scene, &["--wait", "--download-limit", "4MiB"]);
    scene.wait_for_pieces("film.bin", LENGTH / PIECE / 4);
    fill(&scene.saved);
    let said = download.wait_for("disk full");
    assert!(said.contains("more needed; it goes on when there is room"), "{said}");
    std::fs::remove_file(scene.saved.join("other.bin")).expect("there");
    scene.arrives(download, "film.bin", LENGTH);
}

#[test]
fn a_prompt_waits_for_room_and_its_other_downloads_do_not() {
    let Some((scene, disk, _owner)) = scene_with("1m") else { return };
    let folder = disk.mounted.to_str().expect("text");
    let arguments = ["--tracker", &scene.address, "--dir", folder];
    let mut prompt = Program::start(&mut disk.program(&scene.place.riffle(&arguments)));
    prompt.say("download film.bin");
    prompt.wait_for("disk full");
    let elsewhere = scene.place.folder("elsewhere");
    prompt.say(&format!("download film.bin -o {}", elsewhere.join("there.bin").display()));
    prompt.wait_for("there.bin: 6.00 MiB");
    disk.resize("8m");
    prompt.end_of_input();
    scene.arrives(prompt, "film.bin", LENGTH);
}
