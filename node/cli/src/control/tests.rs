//! The words, the socket, and who may open it.

use std::io::Write as _;
use std::os::unix::net::UnixStream as StdStream;

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A folder whose path has at least so many bytes.
fn folder(root: &Path, bytes: usize) -> PathBuf {
    let mut folder = root.to_owned();
    while folder.as_os_str().len() < bytes {
        folder.push("a-folder-with-a-long-name");
    }
    fs::create_dir_all(&folder).expect("made");
    folder
}

/// Answers one question with its own word and a line that tries to be two.
async fn answer_one(control: &mut Control) {
    let asked = control.next().await;
    let lines = vec![asked.request.word().to_owned(), "one\nline".to_owned()];
    asked.answer.send(lines).expect("somebody waits");
}

#[test]
fn a_running_node_is_asked_wherever_its_folder_is() {
    runtime().block_on(async {
        let root = tempfile::tempdir().expect("a folder");
        for bytes in [0, 300] {
            let folder = folder(root.path(), bytes);
            let mut control = Control::open(&folder).expect("opened");
            for request in Request::ALL {
                let (lines, ()) = tokio::join!(ask(&folder, request), answer_one(&mut control));
                assert_eq!(lines.expect("answered"), [request.word(), "one line"]);
            }
            drop(control);
            assert!(!folder.join(SOCKET).exists(), "it takes its socket along");
        }
    });
}

#[test]
fn what_a_killed_node_left_is_replaced_and_only_its_owner_may_ask() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        for left in [SOCKET, UNFINISHED] {
            drop(StdListener::bind(folder.path().join(left)).expect("bound"));
        }
        assert!(matches!(ask(folder.path(), Request::Status).await, Err(AskError::NotRunning)));
        let mut control = Control::open(folder.path()).expect("opened");
        let mode = fs::metadata(folder.path().join(SOCKET)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (lines, ()) = tokio::join!(ask(folder.path(), Request::Peers), answer_one(&mut control));
        assert_eq!(lines.expect("answered").len(), 2);
    });
}

#[test]
fn nobody_is_there_where_nothing_ran() {
    runtime().block_on(async {
        let root = tempfile::tempdir().expect("a folder");
        for folder in [root.path().to_owned(), root.path().join("nothing"), root.path().join("x".repeat(120))]
        {
            assert!(matches!(ask(&folder, Request::Status).await, Err(AskError::NotRunning)));
        }
    });
}

#[test]
fn other_questions_are_refused_and_who_asks_nothing_holds_nobody_up() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let mut control = Control::open(folder.path()).expect("opened");
        let path = folder.path().join(SOCKET);
        let silent = UnixStream::connect(&path).await.expect("connected");
        let long = format!("{VERSION}{}", "x".repeat(1000));
        for question in ["riffle 2 status\n", "riffle 1 stop\n", "status\n", "riffle 1 status", "\n", &long] {
            let stream = StdStream::connect(&path).expect("connected");
            (&stream).write_all(question.as_bytes()).expect("written");
            stream.shutdown(std::net::Shutdown::Write).expect("ended");
            stream.set_nonblocking(true).expect("set");
            let stream = UnixStream::from_std(stream).expect("a socket");
            // Of what is too long the rest is not read, and the connection may be cut.
            let text = receive(&stream, MAX_ANSWER, |_| false).await.unwrap_or_default();
            assert!(text == b"riffle 1 error\n" || text.is_empty(), "{question:?}: {text:?}");
        }
        let (lines, ()) = tokio::join!(ask(folder.path(), Request::Status), answer_one(&mut control));
        assert!(lines.is_ok());
        drop(silent);
    });
}

#[test]
fn an_answer_is_read_as_it_was_written_or_not_at_all() {
    let lines = ["a".to_owned(), String::new(), "ü".to_owned()];
    let text = encode_answer(Some(&lines));
    assert_eq!(text, "riffle 1 ok 3\na\n\nü\n");
    assert_eq!(decode_answer(&text).as_deref(), Some(&lines[..]));
    assert_eq!(decode_answer(&encode_answer(Some(&[]))).as_deref(), Some(&[][..]));
    for length in 0..text.len() {
        if let Some(cut) = text.get(..length) {
            assert_eq!(decode_answer(cut), None, "{cut:?}");
        }
    }
    for other in [encode_answer(None), "riffle 2 ok 0\n".to_owned(), "riffle 1 ok many\n".to_owned()] {
        assert_eq!(decode_answer(&other), None);
    }
}
