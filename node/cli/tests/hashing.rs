//! `riffle hash` and `riffle verify`, by the real program.

mod programs;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use programs::{Place, Program, Scene, noise};

/// The exit code of `command`, and the lines that it wrote.
fn code_of(mut command: Command) -> (i32, Vec<String>) {
    let (status, said) = Program::start(&mut command).end();
    (status.code().unwrap_or_else(|| panic!("ended by a signal: {status}")), said)
}

fn id_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_string()
}

const HOST: &str = "127.0.0.1";
const PIECE: usize = 256 << 10;

#[test]
fn hash_prints_what_b3sum_prints() {
    let place = Place::new();
    let (long, short) = (noise(5 * PIECE + 77), noise(1000));
    let odd = "new\nline\\";
    for (name, bytes) in [("long", &long), ("short", &short), ("empty", &Vec::new()), (odd, &short)] {
        fs::write(place.path().join(name), bytes).expect("written");
    }
    let (code, said) = code_of(place.riffle(&["hash", "long", "short", "empty", odd]));
    let line = |bytes: &[u8], name: &str| format!("{}  {name}", id_of(bytes));
    let odd_line = format!("\\{}", line(&short, "new\\nline\\\\"));
    assert_eq!(said, [line(&long, "long"), line(&short, "short"), line(b"", "empty"), odd_line]);
    assert_eq!(code, 0);

    for arguments in [&["hash"][..], &["hash", "-"]] {
        let (status, said) = Program::start_with_input(&mut place.riffle(arguments), &long).end();
        assert_eq!((status.code(), said), (Some(0), vec![line(&long, "-")]));
    }
}

#[test]
fn hash_and_verify_say_what_they_cannot_read() {
    let place = Place::new();
    let short = noise(1000);
    fs::write(place.path().join("short"), &short).expect("written");
    fs::write(place.path().join("secret"), &short).expect("written");
    fs::set_permissions(place.path().join("secret"), fs::Permissions::from_mode(0o000)).expect("closed");
    place.folder("folder");
    let is_root = rustix::process::geteuid().is_root();
    let expected = [
        ("missing", "riffle: missing: no such file"),
        ("folder", "riffle: folder: a folder, not a file"),
        ("secret", "riffle: secret: permission denied"),
    ];
    // Nothing is closed to root.
    for (file, line) in expected.into_iter().filter(|(file, _)| !is_root || *file != "secret") {
        let (code, said) = code_of(place.riffle(&["hash", file, "short"]));
        assert_eq!(code, 10, "{said:#?}");
        let hash = format!("{}  short", id_of(&short));
        assert!(said.len() == 2 && said.contains(&hash) && said.contains(&line.to_owned()), "{said:#?}");
        // A folder is compared with what is known of folders.
        let refused: &[&[&str]] = if file == "folder" { &[] } else { &[&[], &["0123abcd"]] };
        for id in refused {
            let (code, said) = code_of(place.riffle(&[&["verify", file], *id].concat()));
            assert_eq!((code, said), (10, vec![line.to_owned()]));
        }
    }
    assert_eq!(code_of(place.riffle(&["verify", "short", "film"])).0, 2, "no beginning of an id");
    assert!(!place.path().join("state").exists(), "no node was there");
}

#[test]
fn verify_tells_which_pieces_differ_from_what_was_fetched() {
    let scene = Scene::new();
    let bytes = noise(5 * PIECE + 77);
    let id = id_of(&bytes);
    let folder = scene.place.folder("source");
    fs::write(folder.join("film.bin"), &bytes).expect("written");
    let owner = Program::start(scene.riffle(HOST, &["--id", "o", "send", "film.bin"]).current_dir(&folder));
    owner.wait_for("riffle download --tracker ");
    let saved = scene.place.folder("saved");
    let (code, said) = code_of(scene.riffle(HOST, &["--id", "d", "--dir", "saved", "download", "film.bin"]));
    assert_eq!(code, 0, "{said:#?}");
    owner.interrupt();
    owner.end();

    let verify = |more: &[&str]| code_of(scene.place.riffle(&[&["--dir", "saved", "verify"], more].concat()));
    assert_eq!(verify(&["film.bin"]), (0, vec![format!("film.bin: unchanged, is {id}")]));
    for digits in [&id[..], &id[..8]] {
        assert_eq!(verify(&["film.bin", digits]), (0, vec![format!("film.bin: is {id}")]));
    }
    let mut other = bytes.clone();
    for at in [PIECE, 3 * PIECE, 4 * PIECE] {
        other[at] ^= 1;
    }
    fs::write(saved.join("film.bin"), &other).expect("written");
    let runs = ["  piece 1: bytes 262144-524287", "  pieces 3-4: bytes 786432-1310719"].map(str::to_owned);
    let with_runs = |first: String| [vec![first], runs.to_vec()].concat();
    let first = format!("film.bin: changed since it was shared or fetched, is not {id} any more");
    let expected = with_runs(format!("{first}: 3 of 6 pieces differ"));
    assert_eq!(verify(&["film.bin"]), (8, expected));
    let expected = with_runs(format!("film.bin: is not {id}: 3 of 6 pieces differ"));
    assert_eq!(verify(&["film.bin", &id[..16]]), (8, expected));
    fs::write(saved.join("film.bin"), &bytes[..5 * PIECE]).expect("written");
    let line = format!(
        "film.bin: is not {id}: 1 of 6 pieces differ, and it is 1310720 bytes long instead of 1310797"
    );
    assert_eq!(verify(&["film.bin", &id]), (8, vec![line, "  piece 5: bytes 1310720-1310796".to_owned()]));
}

#[test]
fn verify_says_what_is_not_known() {
    let place = Place::new();
    fs::write(place.path().join("short"), b"abc").expect("written");
    let id = id_of(b"abc");
    assert_eq!(code_of(place.riffle(&["verify", "short", &id[..8]])), (0, vec![format!("short: is {id}")]));
    let (code, said) = code_of(place.riffle(&["verify", "short"]));
    assert_eq!(code, 3, "{said:#?}");
    assert!(said[0].starts_with(&format!("short: is {id}; nothing is known of it")), "{said:#?}");
    let (code, said) = code_of(place.riffle(&["verify", "short", "0123abcd"]));
    assert_eq!(code, 8, "{said:#?}");
    assert_eq!(said[0], format!("short: is not 0123abcd, but {id}"));
    assert!(said[1].contains("riffle download 0123abcd"), "{said:#?}");
}
