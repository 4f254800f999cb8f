//! The real programs among names and paths that steer terminals, turn the direction of writing, begin lines or hide:
//! none of it reaches a screen or a log as it stands.

mod programs;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use programs::{Place, Program, noise};

/// Names that every system accepts for a file, but under which nothing is shared, because they look like other names.
const LOOKS_LIKE_ANOTHER: &str = "photo\u{202e}gpj.\u{2066}b\u{200b}\u{ad}in";
/// A name with a character that has no picture of its own, and work to do.
const NAME: &str = "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}.bin";
/// Texts that no name on the wire may contain, although a path may. The last two forge a line.
const STEERS: &str = "\u{1b}[31m\u{1b}]0;title\u{7}\u{7f}\u{9b}2J\u{202e}\u{2067}\u{feff}\r\nforged: done";

/// A folder whose name steers, and is no text besides.
fn folder(place: &Place) -> PathBuf {
    let mut name = STEERS.as_bytes().to_vec();
    name.push(0xff);
    let folder = place.path().join(OsString::from_vec(name));
    fs::create_dir_all(&folder).expect("made");
    folder
}

fn check(said: &[String]) {
    assert!(!said.is_empty());
    for line in said {
        assert_eq!(logs::one_line(line), line.as_str(), "of {said:#?}");
        assert!(!line.starts_with("forged"), "{said:#?}");
    }
}

/// The arguments of a node at this tracker.
fn with<'a>(tracker: &'a str, verb: &[&'a OsStr]) -> Vec<&'a OsStr> {
    let common = ["--tracker", tracker, "--listen", "127.0.0.1:0"].map(OsStr::new);
    [&common, verb].concat()
}

/// What a program that ends by itself says, and that it says it as it should.
fn said(place: &Place, arguments: &[&OsStr], code: i32) -> Vec<String> {
    let (status, said) = Program::start(place.riffle(&[]).args(arguments)).end();
    assert_eq!(status.code(), Some(code), "{arguments:?}: {said:#?}");
    check(&said);
    said
}

#[test]
fn names_and_paths_that_steer_are_shown_and_do_nothing() {
    let place = Place::new();
    let (tracker, address) = place.tracker();
    let hostile = folder(&place);
    let file = hostile.join(NAME);
    fs::write(&file, noise(300_000)).expect("written");
    let os = OsStr::new;

    // A name that looks like another is neither shared as it stands nor asked for.
    let other = hostile.join(LOOKS_LIKE_ANOTHER);
    fs::write(&other, noise(300_000)).expect("written");
    let refused = said(&place, &with(&address, &[os("send"), other.as_os_str()]), 10);
    for words in ["such as this one's \\u{202e}", "--name gives it another"] {
        assert!(refused.iter().any(|line| line.contains(words)), "{words}: {refused:#?}");
    }
    for verb in ["download", "send --name"] {
        let words = verb.split(' ').map(os).chain([os(LOOKS_LIKE_ANOTHER), file.as_os_str()]);
        said(&place, &with(&address, &words.collect::<Vec<_>>()), 2);
    }

    let mut owner = place.riffle(&[]);
    let owner = Program::start(owner.args(with(&address, &[os("send"), file.as_os_str()])));
    owner.wait_for("riffle download --tracker ");

    // A download into a folder that steers, once more, and beside another file.
    let to = hostile.join("copy");
    let download = with(&address, &[os("download"), os(NAME), os("-o"), to.as_os_str()]);
    said(&place, &download, 0);
    assert!(fs::read(&to).expect("saved") == noise(300_000));
    said(&place, &download, 0);
    fs::write(&to, "another file").expect("written");
    let lines = said(&place, &download, 13);
    assert!(lines.iter().any(|line| line.contains("\\u{1b}[31m")), "the path is told: {lines:#?}");
    said(&place, &with(&address, &[os("download"), os(&format!("no{NAME}"))]), 3);
    said(&place, &with(&address, &[os("send"), hostile.join("missing").as_os_str()]), 10);
    said(&place, &with(&address, &[os("send"), hostile.as_os_str()]), 10);

    let mut prompt = place.riffle(&[]);
    let mut prompt = Program::start(prompt.args(with(&address, &[os("--dir"), hostile.as_os_str()])));
    // A pipe cannot bring a newline inside a line.
    let word = STEERS.replace(['\n', '\r', '\u{7}'], "");
    for line in [
        format!("download '{NAME}' -o here"),
        format!("send '{NAME}' '{LOOKS_LIKE_ANOTHER}' 'none{word}'"),
        format!("download '{LOOKS_LIKE_ANOTHER}'"),
        format!("download 'no{NAME}' '{word}'"),
        format!("cancel '{word}'"),
        format!("unshare '{word}'"),
        format!("limit '{word}' 1MiB"),
        format!("limit up '{word}'"),
        format!("'{word}'"),
        format!("help '{word}'"),
        "list".to_owned(),
        "status".to_owned(),
        "peers".to_owned(),
    ] {
        prompt.say(&line);
    }
    let (_, lines) = prompt.end();
    check(&lines);
    for words in ["photo\\u{202e}gpj", "\\u{200c}", "there is no command \"\\u{1b}[31m", "none\\u{1b}"] {
        assert!(lines.iter().any(|line| line.contains(words)), "{words}: {lines:#?}");
    }

    owner.interrupt();
    let (_, lines) = owner.end();
    check(&lines);
    tracker.interrupt();
    check(&tracker.end().1);
    let logs = place.logs();
    assert!(logs.contains("\\u{200c}") && !logs.contains("name=\"photo"), "{logs}");
    check(&logs.lines().map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn refusals_of_what_steers_are_one_line_that_does_nothing() {
    let place = Place::new();
    fs::write(place.path().join("f"), "").expect("written");
    let hostile = folder(&place);
    fs::write(hostile.join("node.toml"), "\"l\\u001b[2J\\u202eisten\" = 1").expect("written");
    let (steers, os) = (OsStr::new(STEERS), OsStr::new);
    let not_text = OsStr::from_bytes(b"\x1b[2J\xff");
    for arguments in [
        &[steers][..],
        &[os("--listen"), steers],
        &[os("--tracker"), steers],
        &[os("--id"), steers],
        &[os("--log-level"), steers, os("send"), os("f")],
        &[os("--upload-limit"), steers],
        &[os("--upload-limit"), not_text],
        &[os("download"), os("--timeout"), steers, os("f")],
        &[os("download"), steers],
        &[os("download"), os("f"), os("--\u{1b}[2J\u{202e}")],
        &[os("--config"), hostile.join("none.toml").as_os_str()],
        &[os("--config"), hostile.join("node.toml").as_os_str()],
        &[os("tracker"), os("--config"), hostile.join("none.toml").as_os_str()],
        &[os("tracker"), os("--config"), hostile.join("node.toml").as_os_str()],
        &[os("--dir"), hostile.join("none").as_os_str(), os("send"), os("f")],
    ] {
        let (status, said) = Program::start(place.riffle(&[]).args(arguments)).end();
        assert_eq!(status.code(), Some(2), "{arguments:?}: {said:#?}");
        assert_eq!(said.len(), 1, "{arguments:?}: {said:#?}");
        check(&said);
    }
    fs::write(hostile.join("file"), "").expect("written");
    let under = hostile.join("file").join("folder");
    let log_dir = [os("--log-dir"), under.as_os_str()];
    said(&place, &[&log_dir[..], &[os("send"), os("f")]].concat(), 10);
    said(&place, &[&log_dir[..], &[os("tracker"), os("--listen"), os("127.0.0.1:0")]].concat(), 10);
    // A node that cannot keep state goes on without it, and says why.
    let (_tracker, address) = place.tracker();
    let send = with(&address, &[os("--state-dir"), under.as_os_str(), os("send"), os("f")]);
    let send = Program::start(place.riffle(&[]).args(send));
    send.wait_for("riffle download --tracker ");
    send.interrupt();
    let (_, lines) = send.end();
    check(&lines);
    assert!(lines.iter().any(|line| line.contains("\\u{1b}[31m")), "the folder is named: {lines:#?}");
}

/// What has no place in a name is what is written as its number wherever it comes from, and nothing else.
#[test]
fn what_is_not_seen_is_the_same_for_names_screens_and_logs() {
    // Where they stand here they have nothing to do, and screens show them: they only choose between pictures.
    let is_selector = |c: &char| matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    for c in (char::MIN..=char::MAX).filter(|c| !is_selector(c) && !matches!(c, '/' | '\\' | ':')) {
        let text = format!("a{c}b");
        let is_name = messages::Name::new(&text).is_ok();
        assert_eq!(is_name, logs::one_line(&text) == text, "{}", c.escape_unicode());
    }
}
