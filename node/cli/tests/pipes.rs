//! `send -` and `download -o -`: contents that come from a pipe and go into one, by the real program.
#![cfg(unix)]

mod programs;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use programs::{Program, Scene, noise, wait_until};
use rustix::process::{Signal, kill_process};

/// More than any pipe holds.
const LENGTH: usize = 3 << 20;
const HOST: &str = "127.0.0.1";

/// The spooled files of the node `label`.
fn spooled(scene: &Scene, label: &str) -> Vec<PathBuf> {
    let folder = scene.place.path().join("state").join(format!("node-{label}")).join("spool");
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Whether the node `label` has no folder of spooled files.
fn is_clean(scene: &Scene, label: &str) -> bool {
    !scene.place.path().join("state").join(format!("node-{label}")).join("spool").exists()
}

/// A node that shares `bytes` from its standard input as `pipe.bin`.
fn send(scene: &Scene, bytes: &[u8]) -> Program {
    let mut command = scene.riffle(HOST, &["--id", "s", "send", "-", "--as", "pipe.bin"]);
    let owner = Program::start_with_input(&mut command, bytes);
    owner.wait_for("riffle download --tracker ");
    owner
}

fn download(scene: &Scene, more: &[&str]) -> Command {
    scene.riffle(HOST, &[&["--id", "d", "download"], more].concat())
}

#[test]
fn what_comes_from_a_pipe_is_shared_and_goes_into_one() {
    let scene = Scene::new();
    let bytes = noise(LENGTH);
    let owner = send(&scene, &bytes);
    let spool = spooled(&scene, "s");
    assert_eq!(spool.len(), 1, "{spool:?}");
    let mode = fs::metadata(&spool[0]).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let output = download(&scene, &["pipe.bin", "-o", "-"]).output().expect("it ran");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(output.stdout == bytes, "nothing but the content is written");
    assert!(said.contains("pipe.bin: 3.00 MiB in "), "{said}");
    assert!(is_clean(&scene, "d"));

    let (status, said) = Program::start(&mut download(&scene, &["pipe.bin", "-o", "/dev/null"])).end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("pipe.bin: 3.00 MiB in ")), "{said:#?}");
    assert!(is_clean(&scene, "d") && !scene.place.path().join("pipe.bin").exists());

    owner.interrupt();
    assert_eq!(owner.end().0.code(), Some(0));
    assert!(is_clean(&scene, "s"), "what was spooled goes with who shared it");
}

#[test]
fn an_archive_is_unpacked_as_it_comes() {
    let scene = Scene::new();
    let source = scene.place.folder("source");
    fs::write(source.join("a"), noise(LENGTH)).expect("written");
    let tracker = &scene.tracker;
    let mut shell = scene.place.shell();
    let riffle = env!("CARGO_BIN_EXE_riffle");
    let common = format!("--tracker {tracker} --listen 127.0.0.1:0");
    shell.args([
        "-c",
        &format!("tar c -C source a | {riffle} send - --name a.tar {common} --until-delivered"),
    ]);
    let owner = Program::start(&mut shell);
    owner.wait_for("riffle download --tracker ");
    scene.place.folder("target");
    let mut shell = scene.place.shell();
    let status = shell.args(["-c", &format!("{riffle} download a.tar -o - {common} | tar x -C target")]);
    assert!(status.status().expect("it ran").success());
    assert!(fs::read(scene.place.path().join("target/a")).expect("unpacked") == noise(LENGTH));
    assert_eq!(owner.end().0.code(), Some(0));
}

#[test]
fn a_reader_that_goes_ends_it_quietly_and_one_that_waits_holds_it_up() {
    let scene = Scene::new();
    let _owner = send(&scene, &noise(LENGTH));
    let mut child = download(&scene, &["pipe.bin", "-o", "-"]).spawn().expect("it starts");
    let mut begin = [0; 10];
    let mut stdout = child.stdout.take().expect("piped");
    stdout.read_exact(&mut begin).expect("read");
    drop(stdout);
    let output = child.wait_with_output().expect("waited for");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(begin, noise(10)[..]);
    assert!(is_clean(&scene, "d"));

    let mut child = download(&scene, &["pipe.bin", "-o", "-"]).spawn().expect("it starts");
    let mut stdout = child.stdout.take().expect("piped");
    stdout.read_exact(&mut begin).expect("all of it is verified, and being written");
    assert!(child.try_wait().expect("waited for").is_none(), "nobody reads on");
    kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).expect("it is ours");
    let output = child.wait_with_output().expect("waited for");
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(is_clean(&scene, "d"));
    drop(stdout);
}

#[test]
fn what_is_read_from_a_pipe_comes_while_the_rest_is_still_on_its_way() {
    let scene = Scene::new();
    let bytes = noise(8 << 20);
    let mut command =
        scene.riffle(HOST, &["--id", "s", "send", "-", "--as", "pipe.bin", "--upload-limit", "1MiB"]);
    let owner = Program::start_with_input(&mut command, &bytes);
    owner.wait_for("riffle download --tracker ");
    let mut child = download(&scene, &["pipe.bin", "-o", "-", "--timeout", "1s"]).spawn().expect("it starts");
    let mut stdout = child.stdout.take().expect("piped");
    let mut begin = vec![0; 512 << 10];
    stdout.read_exact(&mut begin).expect("read");
    owner.signal(Signal::KILL);
    stdout.read_to_end(&mut begin).expect("read");
    let output = child.wait_with_output().expect("waited for");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(4 | 5)), "{said}");
    assert!(begin.len() < bytes.len() && bytes.starts_with(&begin), "{} bytes came", begin.len());
    assert!(is_clean(&scene, "d"));
}

#[test]
fn a_pipe_that_does_not_end_is_left_and_nothing_stays() {
    let scene = Scene::new();
    for (number, signals) in [(1, &[Signal::TERM][..]), (2, &[Signal::HUP]), (3, &[Signal::INT, Signal::INT])]
    {
        let mut command = scene.riffle(HOST, &["--id", "s", "send", "-", "--name", "endless"]);
        let mut owner = Program::start(&mut command);
        owner.say("the first line");
        wait_until("it is spooled", || {
            spooled(&scene, "s").iter().any(|path| fs::metadata(path).is_ok_and(|file| file.len() > 0))
        });
        signals.iter().for_each(|signal| owner.signal(*signal));
        wait_until("the program leaves while its input is open", || !owner.is_alive());
        let code = owner.end().0.code();
        assert!(code == Some(7) || code == Some(130), "{number}: {code:?}");
        assert!(is_clean(&scene, "s"), "{number}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let scene = Scene::new();
    for (arguments, words) in [
        (&["send", "-"][..], "riffle send - --name NAME"),
        (&["send", "-", "other"], "riffle send - --name NAME"),
        (&["download", "-o", "-", "a", "b"], "-o - is for one file"),
        (&["download", "-o", "-", "--stay", "a"], "-o - keeps nothing that --stay could share"),
    ] {
        let (status, said) = Program::start(&mut scene.riffle(HOST, arguments)).end();
        assert_eq!(status.code(), Some(2), "{said:#?}");
        assert!(said.iter().any(|line| line.contains(words)), "{said:#?}");
    }
    let output = download(&scene, &["nothing", "-o", "-"]).output().expect("it ran");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
    assert!(is_clean(&scene, "d"));
}
