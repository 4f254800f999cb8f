//! Tickets between the real programs: printed by `send`, typed, read from files and from a pipe, and shown.

mod programs;

use std::path::Path;

use programs::{Place, Program};

/// A place with a tracker and an owner of `film.mkv` that knows the tracker by its key.
struct Scene {
    place: Place,
    /// The tracker as it says that it is named.
    named: String,
    ticket: String,
    _programs: [Program; 2],
}

const BYTES: &[u8] = b"what is in the film";

impl Scene {
    fn new() -> Scene {
        let place = Place::new();
        let tracker = Program::start(&mut place.riffle(&["tracker", "--listen", "127.0.0.1:0"]));
        let named = last_word(&tracker.wait_for("--tracker "));
        std::fs::write(place.path().join("film.mkv"), BYTES).expect("written");
        let send = ["send", "film.mkv", "--tracker", &named, "--listen", "127.0.0.1:0"];
        let owner = Program::start(&mut place.riffle(&send));
        let ticket = last_word(&owner.wait_for("riffle download riffle1"));
        Scene { place, named, ticket, _programs: [tracker, owner] }
    }

    /// Where the tracker is, without its key.
    fn address(&self) -> &str {
        self.named.split_once('@').expect("a key").1
    }

    /// Downloads as `arguments` say, with `input`, into the folder `name`. Returns the exit code and what was said.
    fn download(&self, name: &str, arguments: &[&str], input: &str) -> (i32, String) {
        let folder = self.place.folder(name);
        let folder = folder.to_str().expect("text");
        let arguments = [&["download", "--dir", folder, "--listen", "127.0.0.1:0"], arguments].concat();
        let program = Program::start_with_input(&mut self.place.riffle(&arguments), input.as_bytes());
        let (status, lines) = program.end();
        (status.code().expect("an exit code"), lines.join("\n"))
    }

    fn has_film(&self, folder: &str) -> bool {
        std::fs::read(self.place.path().join(folder).join("film.mkv")).is_ok_and(|bytes| bytes == BYTES)
    }
}

fn last_word(line: &str) -> String {
    line.trim().rsplit(' ').next().expect("a word").to_owned()
}

#[test]
fn a_ticket_is_all_that_the_other_side_needs() {
    let scene = Scene::new();
    let asks = format!("asking the ticket's tracker {}", scene.address());
    let (code, said) = scene.download("typed", &[&scene.ticket], "");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&asks) && scene.has_film("typed"), "{said}");
    let file = scene.place.path().join("ticket");
    std::fs::write(&file, format!("{}\n", scene.ticket)).expect("written");
    let (code, said) = scene.download("file", &["--ticket-file", file.to_str().expect("text")], "");
    assert!(code == 0 && said.contains(&asks) && scene.has_film("file"), "{said}");
    let (code, said) = scene.download("pipe", &["--ticket-file", "-"], &format!("{}\n", scene.ticket));
    assert!(code == 0 && said.contains(&asks) && scene.has_film("pipe"), "{said}");
    let logs = scene.place.logs();
    assert!(!logs.contains(&scene.ticket), "no log has a ticket");
    for file in ["state/tracker.key", "state/node-1/key"] {
        let secret = std::fs::read(scene.place.path().join(file)).expect("a key");
        let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits.len(), 64, "{file}");
        for said in [&logs, &said] {
            assert!(!said.contains(&digits) && !said.contains(&format!("{secret:?}")), "{file}");
        }
    }
}

#[test]
fn the_tracker_that_is_named_goes_before_the_tickets() {
    let scene = Scene::new();
    let (_other, elsewhere) = scene.place.tracker();
    let (code, said) = scene.download("named", &[&scene.ticket, "--tracker", scene.address()], "");
    assert!(code == 0 && said.contains("which the ticket names too") && scene.has_film("named"), "{said}");
    let (code, said) = scene.download("other", &[&scene.ticket, "--tracker", &elsewhere], "");
    assert_eq!(code, 3, "{said}");
    let asks = format!("asking the tracker {elsewhere}, which was named, and not the ticket's tracker");
    assert!(said.contains(&asks), "{said}");
}

#[test]
fn what_is_no_whole_ticket_is_refused_before_anything_is_done() {
    let scene = Scene::new();
    let cut = &scene.ticket[..scene.ticket.len() - 1];
    let (code, said) = scene.download("cut", &[cut], "");
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("the ticket is cut short or mistyped") && !said.contains(cut), "{said}");
    let (code, said) = scene.download("cut", &["--ticket-file", "-"], "film.mkv");
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("standard input: ") && said.contains("it is not a ticket"), "{said}");
    let (code, said) = scene.download("cut", &["--ticket-file", "missing"], "");
    assert_eq!(code, 10, "{said}");
    assert!(is_empty(&scene.place.folder("cut")));
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("a folder").next().is_none()
}

#[test]
fn info_shows_what_is_in_a_ticket_and_asks_nobody() {
    let scene = Scene::new();
    let (status, lines) = Program::start(&mut scene.place.riffle(&["info", &scene.ticket])).end();
    assert_eq!(status.code(), Some(0));
    let (key, address) = scene.named.split_once('@').expect("a key");
    assert_eq!(lines[0], "name: film.mkv");
    assert_eq!(lines[2..], [format!("tracker: {address}"), format!("key of the first tracker: {key}")]);
    let (status, lines) = Program::start(&mut scene.place.riffle(&["info", "--json", &scene.ticket])).end();
    assert_eq!((status.code(), lines.len()), (Some(2), 1), "{lines:?}");
}

#[test]
fn the_prompt_takes_tickets_and_says_when_it_asks_another_tracker() {
    let scene = Scene::new();
    let (_other, elsewhere) = scene.place.tracker();
    let prompt = |folder: &str, tracker: &str| {
        // A node of its own each time: the same one shares again what it fetched, and then owns what it asks for.
        let path = scene.place.folder(folder);
        let path = path.to_str().expect("text");
        let flags = ["--id", folder, "--dir", path, "--tracker", tracker, "--listen", "127.0.0.1:0"];
        let line = format!("download {}\n", scene.ticket);
        let (status, lines) =
            Program::start_with_input(&mut scene.place.riffle(&flags), line.as_bytes()).end();
        (status.code(), lines.join("\n"))
    };
    let (code, said) = prompt("own", &scene.named);
    assert!(code == Some(0) && scene.has_film("own") && !said.contains("asking"), "{said}");
    let (code, said) = prompt("another", &elsewhere);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("asking this prompt's tracker") && said.contains(scene.address()), "{said}");
}
