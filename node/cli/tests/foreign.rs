//! A person's own files beside downloads: whatever they are called, they are as they were.
#![cfg(unix)]

mod programs;

use std::fs;
use std::path::Path;

use programs::{Place, Program, noise};

const MIB: usize = 1 << 20;

/// An owner of `files`, each of a megabyte and a little, and the tracker that knows them.
struct Scene {
    place: Place,
    tracker: String,
    _programs: Vec<Program>,
}

impl Scene {
    fn new(files: &[&str]) -> Scene {
        let place = Place::new();
        let (program, tracker) = place.tracker();
        let folder = place.folder("shared");
        let mut programs = vec![program];
        for (number, name) in files.iter().enumerate() {
            fs::write(folder.join(name), noise(MIB + number)).expect("written");
        }
        let arguments = [&["send", "--tracker", &tracker, "--listen", "127.0.0.1:0"], files].concat();
        let owner = Program::start(place.riffle(&arguments).current_dir(&folder));
        files.iter().for_each(|_| drop(owner.wait_for("riffle download --tracker ")));
        programs.push(owner);
        Scene { place, tracker, _programs: programs }
    }

    /// `riffle download` with `arguments` in the folder `saved`: its exit code and what it said.
    fn download(&self, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
        let common = ["download", "--tracker", &self.tracker, "--listen", "127.0.0.1:0"];
        let arguments = [&common, arguments].concat();
        let saved = self.place.folder("saved");
        let (status, said) = Program::start(self.place.riffle(&arguments).current_dir(saved)).end();
        (status.code(), said)
    }

    fn saved(&self, name: &str) -> Vec<u8> {
        fs::read(self.place.folder("saved").join(name)).unwrap_or_default()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.place.folder("saved").join(name), bytes).expect("written");
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.place.folder("saved")).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn files_with_the_names_that_working_files_once_had_are_left_alone() {
    let scene = Scene::new(&["film"]);
    let mine = [("film.part", "thesis"), ("film.riffle", "notes"), ("film.riffle.new", "more")];
    mine.iter().for_each(|(name, text)| scene.write(name, text.as_bytes()));
    let (code, said) = scene.download(&["film"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(scene.saved("film") == noise(MIB), "the copy differs");
    for (name, text) in mine {
        assert_eq!(scene.saved(name), text.as_bytes(), "{name}");
    }
    assert_eq!(
        scene.names(),
        ["film", "film.part", "film.riffle", "film.riffle.new"],
        "and nothing else is there"
    );
}

#[test]
fn contents_that_are_called_like_each_other_s_working_files_all_arrive() {
    let scene = Scene::new(&["f", "f.part", "f.riffle"]);
    let (code, said) = scene.download(&["f", "f.part", "f.riffle"]);
    assert_eq!(code, Some(0), "{said:#?}");
    for (number, name) in ["f", "f.part", "f.riffle"].into_iter().enumerate() {
        assert!(scene.saved(name) == noise(MIB + number), "{name} differs");
    }
    assert_eq!(scene.names(), ["f", "f.part", "f.riffle"]);
}

#[test]
fn a_file_that_is_served_is_not_overwritten_by_a_download_beside_it() {
    let scene = Scene::new(&["f"]);
    scene.write("f.part", &noise(3 * MIB));
    let saved = scene.place.folder("saved");
    let arguments = ["send", "--tracker", &scene.tracker, "--listen", "127.0.0.1:0", "f.part"];
    let owner = Program::start(scene.place.riffle(&arguments).current_dir(&saved));
    owner.wait_for("riffle download --tracker ");
    let (code, said) = scene.download(&["f"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(scene.saved("f.part") == noise(3 * MIB) && scene.saved("f") == noise(MIB));
}

#[test]
fn only_force_replaces_and_what_cannot_be_a_file_is_called_so() {
    let scene = Scene::new(&["f"]);
    scene.write("f", b"mine");
    let (code, said) = scene.download(&["f"]);
    assert_eq!((code, scene.saved("f")), (Some(13), b"mine".to_vec()), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("--force")), "{said:#?}");
    let (code, said) = scene.download(&["--force", "f"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(scene.saved("f") == noise(MIB), "the copy differs");
    assert_eq!(scene.names(), ["f"]);
    let (code, said) = scene.download(&["-o", "/dev/zero", "f"]);
    assert_eq!(code, Some(10), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("not a regular file")), "{said:#?}");
    assert_eq!(scene.download(&["-o", "/dev/null", "f"]).0, Some(0), "nothing is kept");
    assert!(Path::new("/dev/null").exists() && Path::new("/dev/zero").exists());
}
