//! What stands in a log file after programs have spoken.

#![expect(clippy::unwrap_used, reason = "what a test cannot set up has failed")]

use std::fs;
use std::path::Path;

use logs::{LogError, LogSettings, Rotation, scoped, start};
use tempfile::tempdir;
use tracing::dispatcher::with_default;
use tracing::{debug, info, info_span, warn};

fn settings(folder: &Path, file: &str, level: &str) -> LogSettings {
    LogSettings {
        folder: folder.to_owned(),
        file: file.to_owned(),
        rotation: Rotation { bytes: 1 << 20, files: 3 },
        level: level.to_owned(),
        also_stderr: false,
    }
}

/// Logs what `speak` says to `settings` and ends the log.
fn spoken(settings: LogSettings, speak: impl FnOnce()) {
    let (dispatch, guard) = scoped(settings).unwrap();
    with_default(&dispatch, speak);
    drop(guard);
}

/// The lines of a file without their times, whose form is checked.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let line = |line: &str| {
        let (time, rest) = line.split_once(' ').unwrap();
        let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(form, "0000-00-00T00:00:00.000Z");
        rest.to_owned()
    };
    text.lines().map(line).collect()
}

#[test]
fn an_event_is_one_line_with_level_message_and_fields() {
    let folder = tempdir().unwrap();
    spoken(settings(folder.path(), "node-1.log", "info"), || {
        info!(owner = %"10.0.0.1:5", pieces = 7, "a session ended");
        warn!("careful");
        debug!("not asked for");
        info_span!("node", id = 1).in_scope(|| info_span!("session").in_scope(|| info!("inside")));
    });
    assert_eq!(
        lines(&folder.path().join("node-1.log")),
        [
            " INFO a session ended owner=10.0.0.1:5 pieces=7",
            " WARN careful",
            " INFO node{id=1}: session: inside",
        ]
    );
}

#[test]
fn text_from_other_hosts_neither_forges_a_line_nor_steers_a_terminal() {
    let folder = tempdir().unwrap();
    let name = "a\n2026-01-01T00:00:00.000Z  INFO forged\u{1b}[2J\u{202e}\u{2066}\u{200f}\u{61c}\u{200b}\r\u{85}\u{9b}\u{7f}é";
    spoken(settings(folder.path(), "f.log", "info"), || {
        info!(%name, "shared");
        info!("{name}");
        info!(path = %Path::new(name).join(name).display(), why = ?name, "not read");
        info_span!("of", %name).in_scope(|| info!("said"));
    });
    let lines = lines(&folder.path().join("f.log"));
    assert_eq!(lines.len(), 4);
    for line in lines {
        assert!(line.starts_with(" INFO ") && line.contains("a\\n2026") && line.contains('é'), "{line}");
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        assert_eq!(logs::one_line(&line), line);
    }
}

#[test]
fn a_log_goes_on_where_the_last_one_ended_and_makes_its_folder() {
    let folder = tempdir().unwrap();
    let deep = folder.path().join("not/yet/there");
    spoken(settings(&deep, "f.log", "info"), || info!("first life"));
    spoken(settings(&deep, "f.log", "info"), || info!("second life"));
    assert_eq!(lines(&deep.join("f.log")), [" INFO first life", " INFO second life"]);
}

#[test]
fn parts_of_a_process_each_have_their_own_file_and_level() {
    let folder = tempdir().unwrap();
    let (one, one_guard) = scoped(settings(folder.path(), "one.log", "info")).unwrap();
    let (two, two_guard) = scoped(settings(folder.path(), "two.log", "off,files=debug")).unwrap();
    for (dispatch, says) in [(&one, "of one"), (&two, "of two"), (&one, "of one again")] {
        with_default(dispatch, || {
            info!("{says}");
            debug!("in detail");
        });
    }
    drop((one_guard, two_guard));
    assert_eq!(lines(&folder.path().join("one.log")), [" INFO of one", " INFO of one again"]);
    assert_eq!(lines(&folder.path().join("two.log")), [" INFO of two", "DEBUG in detail"]);
}

#[test]
fn what_is_wrong_is_told_with_path_and_cause() {
    let folder = tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::write(&taken, "").unwrap();
    let message = |settings| scoped(settings).unwrap_err().to_string();

    let under_a_file = message(settings(&taken.join("logs"), "f.log", "info"));
    let expected = format!("cannot create the log folder {}: ", taken.join("logs").display());
    assert!(under_a_file.starts_with(&expected) && under_a_file.len() > expected.len(), "{under_a_file}");

    fs::create_dir(folder.path().join("f.log")).unwrap();
    let over_a_folder = message(settings(folder.path(), "f.log", "info"));
    let expected = format!("cannot open the log file {}: ", folder.path().join("f.log").display());
    assert!(over_a_folder.starts_with(&expected) && over_a_folder.len() > expected.len(), "{over_a_folder}");

    for file in ["", "..", "a/b", "/f.log"] {
        let refused = scoped(settings(folder.path(), file, "info"));
        assert!(matches!(refused, Err(LogError::FileName { .. })), "{file}");
    }
    assert!(message(settings(folder.path(), "g.log", "inof")).starts_with("`inof` is not a log level"));
    assert!(!folder.path().join("g.log").exists());
}

#[test]
fn a_process_starts_its_log_once() {
    let folder = tempdir().unwrap();
    let guard = start(settings(folder.path(), "f.log", "info")).unwrap();
    // From a thread without a log of its own: the others of this file have theirs.
    info!("of the whole process");
    let again = start(settings(folder.path(), "again.log", "info"));
    assert!(matches!(again, Err(LogError::AlreadyStarted)));
    drop(guard);
    assert_eq!(lines(&folder.path().join("f.log")), [" INFO of the whole process"]);
}

/// A log of which little is kept.
fn short(folder: &Path, files: u8) -> LogSettings {
    LogSettings { rotation: Rotation { bytes: 1000, files }, ..settings(folder, "f.log", "info") }
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_full_file_is_put_aside_whole_and_the_oldest_goes() {
    let folder = tempdir().unwrap();
    spoken(short(folder.path(), 3), || (0..100).for_each(|number| info!(number, "one of many")));
    assert_eq!(names(folder.path()), ["f.log", "f.log.1", "f.log.2"]);
    let mut said = Vec::new();
    for name in ["f.log.2", "f.log.1", "f.log"] {
        assert!(fs::metadata(folder.path().join(name)).unwrap().len() <= 1000);
        said.extend(lines(&folder.path().join(name)));
    }
    let newest = (100 - said.len()..100).map(|number| format!(" INFO one of many number={number}"));
    assert!(said.len() > 30 && said.iter().cloned().eq(newest), "{said:#?}");
    // A life later it goes on in the same file, and a line that is longer than a file is whole.
    let before = lines(&folder.path().join("f.log")).len();
    spoken(short(folder.path(), 3), || info!("once more"));
    assert_eq!(lines(&folder.path().join("f.log")).len(), before + 1);
    spoken(short(folder.path(), 3), || info!("{}", "x".repeat(5000)));
    assert_eq!(fs::metadata(folder.path().join("f.log")).unwrap().len(), 5000 + 32);
}

#[test]
fn one_file_alone_begins_anew() {
    let folder = tempdir().unwrap();
    spoken(short(folder.path(), 1), || (0..100).for_each(|number| info!(number, "one of many")));
    assert_eq!(names(folder.path()), ["f.log"]);
    assert_eq!(lines(&folder.path().join("f.log")).last().unwrap(), " INFO one of many number=99");
}

#[test]
fn two_that_share_a_log_put_it_aside_once_and_lose_nothing() {
    let folder = tempdir().unwrap();
    let (one, one_guard) = scoped(short(folder.path(), 200)).unwrap();
    let (two, two_guard) = scoped(short(folder.path(), 200)).unwrap();
    std::thread::scope(|scope| {
        for (dispatch, who) in [(&one, "one"), (&two, "two")] {
            scope.spawn(move || {
                with_default(dispatch, || (0..500).for_each(|number| info!(who, number, "said")))
            });
        }
    });
    drop((one_guard, two_guard));
    let mut said = Vec::new();
    for name in names(folder.path()) {
        said.extend(lines(&folder.path().join(name)));
    }
    for who in ["one", "two"] {
        let of = said.iter().filter(|line| line.contains(who)).count();
        assert_eq!(of, 500, "{who}");
    }
    // Some become longer while the other is at it; none is put aside when it has just begun.
    assert!((5..=60).contains(&names(folder.path()).len()), "{:?}", names(folder.path()).len());
}

#[test]
fn what_cannot_be_put_aside_goes_on() {
    let folder = tempdir().unwrap();
    // A folder stands where the last one would go.
    fs::create_dir_all(folder.path().join("f.log.1/full")).unwrap();
    spoken(short(folder.path(), 6), || (0..100).for_each(|number| info!(number, "one of many")));
    assert_eq!(lines(&folder.path().join("f.log")).len(), 100);
}

#[cfg(unix)]
#[test]
fn a_log_is_its_owners_and_leads_nowhere_else() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempdir().unwrap();
    let deep = folder.path().join("logs/of/mine");
    spoken(settings(&deep, "f.log", "info"), || info!("said"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&deep), mode(&deep.join("f.log"))), (0o700, 0o600));

    let other = folder.path().join("thesis");
    fs::write(&other, "mine").unwrap();
    symlink(&other, deep.join("link.log")).unwrap();
    symlink("/dev/null", deep.join("null.log")).unwrap();
    let thesis = folder.path().join("second");
    fs::write(&thesis, "mine").unwrap();
    fs::hard_link(&thesis, deep.join("second.log")).unwrap();
    std::os::unix::net::UnixListener::bind(deep.join("socket.log")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(deep.join("pipe.log")).status().unwrap();
    assert!(pipe.success());
    for file in ["link.log", "null.log", "second.log", "socket.log", "pipe.log"] {
        let refused = scoped(settings(&deep, file, "info")).unwrap_err();
        assert!(refused.to_string().contains("a link or no file at all"), "{file}: {refused}");
    }
    assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
    assert_eq!(fs::read_to_string(&thesis).unwrap(), "mine");

    // One that was made for all to read is closed, and so is what is put aside of it.
    fs::write(deep.join("open.log"), "said before\n".repeat(90)).unwrap();
    fs::set_permissions(deep.join("open.log"), fs::Permissions::from_mode(0o666)).unwrap();
    let rotation = Rotation { bytes: 1000, files: 2 };
    spoken(LogSettings { rotation, ..settings(&deep, "open.log", "info") }, || info!("said"));
    assert_eq!((mode(&deep.join("open.log")), mode(&deep.join("open.log.1"))), (0o600, 0o600));
}
