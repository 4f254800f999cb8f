//! Descriptions of contents, from `riffle info --json` to what `riffle download` makes of them.
#![cfg(unix)]

mod programs;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use programs::{Place, Program, Scene, noise};
use riffle::metainfo::Metainfo;

const LENGTH: usize = 3 << 20;

/// The exit code of `riffle` with `arguments` in `folder`, and what it wrote to stdout and to stderr.
fn run(place: &Place, folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = place.riffle(arguments).current_dir(folder).output().expect("it ran");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A scene with a folder that holds the file `film.bin` and its description `film.riffle.json`.
fn described(arguments: &[&str]) -> (Scene, PathBuf, Metainfo) {
    let scene = Scene::new();
    let folder = scene.place.folder("source");
    fs::write(folder.join("film.bin"), noise(LENGTH)).expect("written");
    let (code, text, said) =
        run(&scene.place, &folder, &[&["info", "film.bin", "--json"], arguments].concat());
    assert_eq!((code, said.as_str()), (Some(0), ""), "nothing but the description");
    fs::write(folder.join("film.riffle.json"), &text).expect("written");
    let metainfo = Metainfo::parse(text.as_bytes()).expect("a description");
    (scene, folder, metainfo)
}

fn send(scene: &Scene, folder: &Path) -> Program {
    let owner = Program::start(scene.riffle("127.0.0.1", &["send", "film.bin"]).current_dir(folder));
    owner.wait_for("riffle download --tracker ");
    owner
}

#[test]
fn a_file_is_described_and_its_description_fetches_it() {
    let (scene, folder, metainfo) = described(&["--sha1", "--tracker", "127.0.0.1:9"]);
    let bytes = noise(LENGTH);
    assert_eq!(metainfo.id().as_bytes(), blake3::hash(&bytes).as_bytes());
    assert_eq!(metainfo.name().map(|name| name.as_str()), Some("film.bin"));
    assert_eq!(metainfo.pieces().map(<[_]>::len), Some(12));
    let sha1: [u8; 20] = <sha1::Sha1 as sha1::Digest>::digest(&bytes[..262_144]).into();
    assert_eq!(metainfo.sha1().and_then(|values| values.first()), Some(&sha1));
    assert_eq!(metainfo.trackers()[0].to_string(), "127.0.0.1:9");

    let (code, text, _) = run(&scene.place, &folder, &["info", "film.riffle.json"]);
    let expected = format!(
        "name: film.bin\nlength: 3.00 MiB (3145728 bytes)\nid: {}\npieces: 12 of 256 KiB\n\
         tracker: 127.0.0.1:9\n",
        metainfo.id()
    );
    assert_eq!((code, text), (Some(0), expected));

    let _owner = send(&scene, &folder);
    let saved = scene.place.folder("saved");
    // The first tracker is silent; the second one is that of the scene.
    let both = vec!["127.0.0.1:9".parse().expect("an address"), scene.tracker.parse().expect("an address")];
    let metainfo = metainfo.with_trackers(both).with_name("other.bin".parse().expect("a name"));
    fs::write(saved.join("x.riffle.json"), metainfo.to_json().expect("short")).expect("written");
    let (code, text, said) =
        run(&scene.place, &saved, &["download", "--listen", "127.0.0.1:0", "x.riffle.json"]);
    assert_eq!(code, Some(0), "{text}{said}");
    assert!(fs::read(saved.join("other.bin")).expect("saved") == bytes, "the copy differs");
}

#[test]
fn a_description_that_contradicts_itself_is_refused_before_anything_is_fetched() {
    let (scene, folder, _) = described(&[]);
    let text = fs::read_to_string(folder.join("film.riffle.json")).expect("written");
    for (from, to, what) in [
        ("\"length\": 3145728", "\"length\": 3145727", None),
        ("\"length\": 3145728", "\"length\": 5", Some("pieces.blake3: there are 12 values for 1 pieces")),
        ("\"piece_length\": 262144", "\"piece_length\": 4096", Some("piece_length: it is 262144")),
        ("\"id\": \"", "\"id\": \"f", Some("id: an id is 64 hexadecimal digits")),
        ("{", "", Some("invalid type")),
    ] {
        fs::write(folder.join("wrong.riffle.json"), text.replacen(from, to, 1)).expect("written");
        let (code, out, said) = run(&scene.place, &folder, &["info", "wrong.riffle.json"]);
        let Some(what) = what else {
            // As many pieces merge to the same id whatever the last one's length is.
            assert_eq!(code, Some(0), "{said}");
            continue;
        };
        assert_eq!((code, out.as_str()), (Some(2), ""), "{said}");
        assert!(said.contains(what) && said.contains("wrong.riffle.json: "), "{said}");
        let arguments = ["download", "--tracker", &scene.tracker, "wrong.riffle.json"];
        assert_eq!(run(&scene.place, &folder, &arguments).0, Some(2));
    }
}

#[test]
fn what_arrives_is_compared_and_the_id_decides() {
    let (scene, folder, metainfo) = described(&["--sha1"]);
    let _owner = send(&scene, &folder);
    let saved = scene.place.folder("saved");
    let length = Metainfo::new(metainfo.id(), metainfo.length() - 1).expect("short");
    let mut values = metainfo.sha1().expect("asked for").to_vec();
    values[7][0] ^= 1;
    let sha1 = metainfo.clone().with_sha1(values).expect("as many");
    for (name, wrong, said) in [
        ("length", length, "length: length.riffle.json says 3145727, and"),
        ("sha1", sha1, "pieces.sha1: sha1.riffle.json says something of piece 7"),
    ] {
        let wrong = wrong.with_name(name.parse().expect("a name"));
        let file = format!("{name}.riffle.json");
        fs::write(saved.join(&file), wrong.to_json().expect("short")).expect("written");
        let arguments = ["download", "--tracker", &scene.tracker, "--listen", "127.0.0.1:0", &file];
        let (code, _, errors) = run(&scene.place, &saved, &arguments);
        assert_eq!(code, Some(8), "{errors}");
        assert!(errors.contains(said), "{errors}");
        assert!(fs::read(saved.join(name)).expect("saved") == noise(LENGTH), "the id decides");
    }
}

#[test]
fn what_the_tracker_knows_is_described_without_its_pieces() {
    let (scene, folder, metainfo) = described(&[]);
    let _owner = send(&scene, &folder);
    let elsewhere = scene.place.folder("elsewhere");
    // Another host's state knows nothing of the file.
    let info = |what: &str| {
        let arguments = ["info", "--json", "--tracker", &scene.tracker, "--state-dir", "none", what];
        run(&scene.place, &elsewhere, &arguments)
    };
    for what in ["film.bin", &metainfo.id().to_string(), &metainfo.id().to_string()[..8]] {
        let (code, text, said) = info(what);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.starts_with("the values of its pieces are missing"), "{said}");
        let told = Metainfo::parse(text.as_bytes()).expect("a description");
        assert_eq!((told.id(), told.length(), told.name()), (metainfo.id(), LENGTH as u64, metainfo.name()));
        assert_eq!((told.pieces(), told.trackers()[0].to_string()), (None, scene.tracker.clone()));
    }
    let id = metainfo.id().to_string();
    let saved = scene.place.folder("saved");
    let common = ["--tracker", &scene.tracker, "--listen", "127.0.0.1:0"];
    assert_eq!(run(&scene.place, &saved, &[&["download", &id][..], &common].concat()).0, Some(0));
    let (code, text, said) = run(&scene.place, &elsewhere, &["info", "--json", &id[..16]]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "this host remembers what it has fetched");
    let remembered = Metainfo::parse(text.as_bytes()).expect("a description");
    assert_eq!((remembered.id(), remembered.pieces()), (metainfo.id(), metainfo.pieces()));
    let (code, text, said) = info("nothing");
    assert_eq!((code, text.as_str()), (Some(3), ""), "{said}");
}

/// A folder `album` in `source`, with something that is not shared.
fn album(scene: &Scene) -> PathBuf {
    let source = scene.place.folder("source");
    let album = source.join("album");
    for (name, length) in [("long.bin", 600_000), ("b/one.txt", 10), ("b/two.log", 20), ("ignored", 5)] {
        let path = album.join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        fs::write(path, noise(length)).expect("written");
    }
    fs::write(album.join(".riffleignore"), "ignored\n").expect("written");
    fs::create_dir(album.join("nothing")).expect("made");
    symlink("long.bin", album.join("link")).expect("a link");
    symlink("/etc/passwd", album.join("out")).expect("a link");
    source
}

#[test]
fn a_folder_is_described_as_it_would_be_sent() {
    let scene = Scene::new();
    let source = album(&scene);
    let describe = |arguments: &[&str]| {
        let (code, text, said) =
            run(&scene.place, &source, &[&["info", "album", "--json"], arguments].concat());
        assert_eq!((code, said.lines().count()), (Some(0), 1), "{said}");
        assert!(said.starts_with("not shared: ") && said.contains("album/out: "), "{said}");
        Metainfo::parse(text.as_bytes()).expect("a description")
    };
    let all = describe(&["--sha1"]);
    let paths = |metainfo: &Metainfo| -> Vec<String> {
        metainfo.files().expect("a folder").iter().map(|file| file.path().to_string()).collect()
    };
    assert_eq!(paths(&all), [".riffleignore", "b/one.txt", "b/two.log", "long.bin"]);
    assert_eq!(all.files().expect("a folder")[3].entry().hash, *blake3::hash(&noise(600_000)).as_bytes());
    assert_eq!((all.pieces().map(<[_]>::len), all.sha1().map(<[_]>::len)), (Some(3), Some(3)));

    let few = describe(&["--exclude", "*.log", "--no-metadata", "--as", "few"]);
    assert_eq!(paths(&few), [".riffleignore", "b/one.txt", "long.bin"]);
    assert!(few.files().expect("a folder").iter().all(|file| file.entry().modified.is_none()));
    for (metainfo, arguments) in
        [(&all, &["album"][..]), (&few, &["album", "--exclude", "*.log", "--no-metadata"])]
    {
        let mut command = scene.riffle("127.0.0.1", &[&["send"], arguments].concat());
        let owner = Program::start(command.current_dir(&source));
        let line = owner.wait_for("riffle download --tracker ");
        assert!(line.ends_with(&metainfo.id().to_string()), "{line} has another id than {}", metainfo.id());
    }

    let (code, text, _) = run(&scene.place, &source, &["info", "album"]);
    let expected = "files: 4\n      8 B  .riffleignore\n     30 B  b/ (2 files)\n  586 KiB  long.bin\n";
    assert!(code == Some(0) && text.ends_with(expected), "{text}");
    let (code, text, said) = run(&scene.place, &source, &["info", "album", "--json", "--strict"]);
    assert_eq!((code, text.as_str(), said.lines().count()), (Some(10), "", 2), "{said}");
}

#[test]
fn the_description_of_a_folder_fetches_it() {
    let scene = Scene::new();
    let source = album(&scene);
    let owner = Program::start(scene.riffle("127.0.0.1", &["send", "album"]).current_dir(&source));
    owner.wait_for("riffle download --tracker ");
    let saved = scene.place.folder("saved");
    let arguments = ["info", "album", "--json", "--tracker", &scene.tracker, "--name", "other"];
    let (_, text, _) = run(&scene.place, &source, &arguments);
    fs::write(saved.join("x.riffle.json"), text).expect("written");
    let (code, text, said) =
        run(&scene.place, &saved, &["download", "--listen", "127.0.0.1:0", "x.riffle.json"]);
    assert_eq!(code, Some(0), "{text}{said}");
    assert_eq!(fs::read(saved.join("other/b/two.log")).expect("saved"), noise(20));
}

#[test]
fn the_prompt_fetches_what_a_description_says() {
    let (scene, folder, metainfo) = described(&[]);
    let _owner = send(&scene, &folder);
    let saved = scene.place.folder("saved");
    let wrong = Metainfo::new(metainfo.id(), metainfo.length() - 1).expect("short");
    for (file, name, metainfo) in [("x", "one.bin", metainfo), ("y", "two.bin", wrong)] {
        let metainfo = metainfo.with_name(name.parse().expect("a name"));
        fs::write(saved.join(format!("{file}.riffle.json")), metainfo.to_json().expect("short"))
            .expect("written");
    }
    for (line, code) in
        [("download x.riffle.json", 0), ("download y.riffle.json", 8), ("download z.riffle.json", 3)]
    {
        let mut prompt = Program::start(scene.riffle("127.0.0.1", &["--id", "p"]).current_dir(&saved));
        prompt.say(line);
        prompt.end_of_input();
        let (status, said) = prompt.end();
        assert_eq!(status.code(), Some(code), "{line}: {said:#?}");
    }
    for name in ["one.bin", "two.bin"] {
        assert!(fs::read(saved.join(name)).expect("saved") == noise(LENGTH), "{name}");
    }
}
