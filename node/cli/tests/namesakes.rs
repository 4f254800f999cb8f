//! The real programs where several contents have one name: `download` takes the content that clearly most hosts share,
//! and asks the person to choose where none is clear.

mod programs;

use std::fs;

use programs::{Program, Scene, noise};

/// Starts a node of `host` that shares `bytes` as `lab.img`.
fn send(scene: &Scene, host: &str, bytes: &[u8]) -> Program {
    let folder = scene.place.folder(&format!("of-{host}"));
    fs::write(folder.join("lab.img"), bytes).expect("written");
    let owner = Program::start(scene.riffle(host, &["send", "lab.img"]).current_dir(folder));
    owner.wait_for("riffle download --tracker ");
    owner
}

/// Runs `download` with `arguments` in the folder `into`, and returns its exit code, its lines and the saved file.
fn download(scene: &Scene, into: &str, arguments: &[&str]) -> (Option<i32>, Vec<String>, Option<Vec<u8>>) {
    let folder = scene.place.folder(into);
    let arguments = [&["download"], arguments].concat();
    let mut download = scene.riffle("127.0.0.1", &arguments);
    let (status, said) = Program::start(download.current_dir(&folder)).end();
    (status.code(), said, fs::read(folder.join("lab.img")).ok())
}

#[test]
fn one_host_with_other_bytes_of_that_name_stops_no_download_and_is_mentioned() {
    let scene = Scene::new();
    let (real, fake) = (noise(300_000), noise(300_001));
    let _owners = ["127.0.0.2", "127.0.0.3", "127.0.0.4"].map(|host| send(&scene, host, &real));
    let _fake = send(&scene, "127.0.0.5", &fake);
    let (code, said, saved) = download(&scene, "a", &["lab.img"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(saved == Some(real.clone()), "{said:#?}");
    let assert_line = |words: &[&str], said: &[String]| {
        let found = said.iter().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "{words:?}: {said:#?}");
    };
    assert_line(
        &["lab.img: taking what most hosts call so", "(3 hosts, known for", "; not ", "(1 host, known for"],
        &said,
    );

    let (code, said, saved) = download(&scene, "b", &["--newest", "lab.img"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(saved == Some(fake), "{said:#?}");
    assert_line(
        &[
            "taking the newest, ",
            "(1 host, known for",
            "(3 hosts, and clearly most, known for",
            "riffle download lab.img@",
        ],
        &said,
    );

    let list = scene.place.riffle(&["list", "--tracker", &scene.tracker]);
    let (_, said) = Program::start(&mut { list }).end();
    assert!(said[0].contains("3 hosts (most): 3 complete"), "{said:#?}");
    assert!(said[1].contains("1 host: 1 complete"), "{said:#?}");
    let waits = ["list", "--wait-complete", "lab.img=3", "--timeout", "30s", "--tracker", &scene.tracker];
    let (status, said) = Program::start(&mut scene.place.riffle(&waits)).end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
}

#[test]
fn one_host_against_one_ends_the_download_with_a_command_line_for_each() {
    let scene = Scene::new();
    let (real, fake) = (noise(300_000), noise(300_001));
    let _owner = send(&scene, "127.0.0.2", &real);
    // Several nodes of one host count as one host.
    let _fakes = [0, 1, 2].map(|_| send(&scene, "127.0.0.5", &fake));
    let (code, said, saved) = download(&scene, "a", &["lab.img"]);
    assert_eq!((code, saved), (Some(2), None), "{said:#?}");
    let lines: Vec<&String> =
        said.iter().filter(|line| line.starts_with("  riffle download lab.img@")).collect();
    assert_eq!(lines.len(), 2, "{said:#?}");
    for (line, bytes) in lines.iter().zip([real, fake]) {
        assert!(line.contains("1 host: ") && line.contains("known for "), "{line}");
        let typed = line.split_whitespace().nth(2).expect("a name and an id");
        let (code, said, saved) = download(&scene, typed, &[typed]);
        assert_eq!(code, Some(0), "{said:#?}");
        assert!(saved == Some(bytes), "{line}");
    }
}
