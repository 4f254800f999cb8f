//! The way out to stdout and stderr: one thread writes, so that nobody else ever waits for a pipe that is not read.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The most texts that wait to be written; further lines are dropped, and counted,
const MAX_WAITING: usize = 4096;
/// but for what was asked for (stdout): of that so many bytes wait, the lines of half a million shares.
const MAX_RESULTS: usize = 64 << 20;
/// How long a program that is through waits for its last words to be read.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long one that ends at once does.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(100);

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// What was asked for.
    Stdout,
    /// All else.
    Stderr,
}

/// What waits to be written.
#[derive(Debug, Default)]
struct Waiting {
    texts: VecDeque<(Stream, String)>,
    /// Bytes of those for stdout.
    results: usize,
    /// The thread is writing a text that is no longer among them.
    writing: bool,
    dropped: u64,
}

/// A queue of lines and the thread behind it.
#[derive(Debug, Default)]
struct OutputWriter {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

static WRITER: LazyLock<Arc<OutputWriter>> = LazyLock::new(|| OutputWriter::start(write));

/// Says lines, in their turn. Never waits.
///
/// This is the last door for words: whatever a line contains, it comes out as one line that steers nothing ([`shown`]).
pub(crate) fn say<L: AsRef<str>>(stream: Stream, lines: &[L]) {
    WRITER.say(stream, shown(lines));
}

/// Steers the terminal that a stream is: `text` as it stands, in its turn. Never waits. Nothing in it may come from a name,
/// a file or the network that [`logs::one_line`] has not written.
pub(crate) fn steer(stream: Stream, text: String) {
    WRITER.push(stream, text);
}

/// Lines as people are shown them: each is one, whatever it contains, and ends like one.
pub(crate) fn shown<L: AsRef<str>>(lines: &[L]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(&logs::one_line(line.as_ref()));
        text.push('\n');
    }
    text
}

/// Whether somebody reads: all was written that was said, or is being written.
pub(crate) fn is_read() -> bool {
    WRITER.waiting().texts.is_empty()
}

/// Whether much more can be said before something is dropped.
pub(crate) fn has_room() -> bool {
    WRITER.waiting().texts.len() < MAX_WAITING / 2
}

/// Waits until all is written that was said, for `timeout` at most. Whether it is.
pub(crate) fn flush(timeout: Duration) -> bool {
    WRITER.flush(timeout)
}

/// Nobody reads any more when this fails, and that is no reason to stop serving.
fn write(stream: Stream, text: &str) {
    let _ = match stream {
        Stream::Stdout => write_to(io::stdout(), text),
        Stream::Stderr => write_to(io::stderr(), text),
    };
}

fn write_to(mut stream: impl io::Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

impl OutputWriter {
    fn start(write: impl Fn(Stream, &str) + Send + 'static) -> Arc<OutputWriter> {
        let writer = Arc::new(OutputWriter::default());
        let its = writer.clone();
        // A program without a thread to spare leaves before long: its words are lost, its code is not.
        let _ = thread::Builder::new().name("writer".to_owned()).spawn(move || its.run(write));
        writer
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, stream: Stream, text: String) {
        if !self.push(stream, text) {
            self.waiting().dropped += 1;
        }
    }

    /// Whether there was room.
    fn push(&self, stream: Stream, text: String) -> bool {
        let mut waiting = self.waiting();
        let has_room = match stream {
            Stream::Stdout => waiting.results + text.len() <= MAX_RESULTS,
            Stream::Stderr => waiting.texts.len() < MAX_WAITING,
        };
        if has_room {
            waiting.results += if stream == Stream::Stdout { text.len() } else { 0 };
            waiting.texts.push_back((stream, text));
            self.changed.notify_all();
        }
        has_room
    }

    fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut waiting = self.waiting();
        while waiting.writing || !waiting.texts.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            waiting = self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn run(&self, write: impl Fn(Stream, &str)) {
        let mut waiting = self.waiting();
        loop {
            if let Some((stream, text)) = waiting.texts.pop_front() {
                waiting.results -= if stream == Stream::Stdout { text.len() } else { 0 };
                waiting.writing = true;
                drop(waiting);
                write(stream, &text);
                waiting = self.waiting();
                waiting.writing = false;
            } else if waiting.dropped > 0 {
                let dropped = std::mem::take(&mut waiting.dropped);
                let line = format!("({dropped} lines are missing here: nobody read them)\n");
                waiting.texts.push_back((Stream::Stderr, line));
            } else {
                self.changed.notify_all();
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn who_speaks_never_waits_and_what_was_too_much_is_counted() {
        let (written, read) = channel();
        let (go, going) = channel::<()>();
        let writer = OutputWriter::start(move |stream, text| {
            // Until the test lets go nobody reads; then everything is read.
            let _ = going.recv();
            written.send((stream, text.to_owned())).expect("read");
        });
        writer.say(Stream::Stdout, shown(&["first"]));
        while !writer.waiting().writing {
            thread::yield_now();
        }
        for number in 0..MAX_WAITING + 5 {
            writer.say(Stream::Stderr, shown(&[number.to_string()]));
        }
        // What was asked for waits for a slow reader, up to its bytes.
        for number in 0..3 * MAX_WAITING {
            writer.say(Stream::Stdout, shown(&[number.to_string()]));
        }
        writer.say(Stream::Stdout, "x".repeat(MAX_RESULTS));
        assert!(!writer.flush(Duration::from_millis(1)), "nobody reads");
        drop(go);
        assert!(writer.flush(Duration::from_secs(60)));
        let lines: Vec<_> = read.try_iter().collect();
        assert_eq!(lines.len(), 1 + MAX_WAITING + 3 * MAX_WAITING + 1);
        assert_eq!(lines[..2], [(Stream::Stdout, "first\n".to_owned()), (Stream::Stderr, "0\n".to_owned())]);
        let last = "(6 lines are missing here: nobody read them)\n".to_owned();
        assert_eq!(lines.last(), Some(&(Stream::Stderr, last)));
    }

    #[test]
    fn what_is_said_is_as_many_lines_as_were_said_and_steers_nothing() {
        let text = shown(&["a\u{1b}]0;title\u{7}\nforged: done", "\u{202e}b", "c"]);
        assert_eq!(text, "a\\u{1b}]0;title\\u{7}\\nforged: done\n\\u{202e}b\nc\n");
    }
}
