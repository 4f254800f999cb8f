//! The way out to stdout and stderr. One thread writes, so that no other thread ever waits for a pipe that nobody
//! reads.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// At most this many texts wait for stderr; further lines are dropped and counted.
const MAX_WAITING: usize = 4096;
/// At most this many bytes wait for stdout, which carries what was asked for: the lines of half a million shares.
const MAX_RESULTS: usize = 64 << 20;
/// A program that has finished waits this long for its last words to be read.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(2);
/// A program that ends at once waits this long for its last words to be read.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(100);

/// A stream of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// The stream of results, which is what was asked for.
    Stdout,
    /// The stream of notes and errors.
    Stderr,
}

/// The texts that wait to be written.
#[derive(Debug, Default)]
struct Queue {
    texts: VecDeque<(Stream, String)>,
    /// How many bytes of `texts` are for stdout.
    results: usize,
    /// Whether the thread is writing a text that it has taken out of `texts`.
    writing: bool,
    dropped: u64,
}

/// The queue of texts that the writer's thread empties.
#[derive(Debug, Default)]
struct OutputWriter {
    queue: Mutex<Queue>,
    changed: Condvar,
}

static WRITER: LazyLock<Arc<OutputWriter>> = LazyLock::new(|| OutputWriter::start(write));

/// Writes lines after all that was said before. Never waits.
///
/// Every word that people read goes through here. Whatever a line contains, it comes out as one line that steers
/// nothing ([`shown`]).
pub(crate) fn say<L: AsRef<str>>(stream: Stream, lines: &[L]) {
    WRITER.say(stream, shown(lines));
}

/// Writes `text` unchanged, control codes included, after all that was said before. Never waits. What `text` has from a
/// name, a file or the network must have gone through [`logs::one_line`].
pub(crate) fn steer(stream: Stream, text: String) {
    WRITER.push(stream, text);
}

/// Writes `text` unchanged to stdout, where another program reads what is no line for people. Never waits.
pub(crate) fn hand_over(text: String) {
    WRITER.say(Stream::Stdout, text);
}

/// The text of `lines` as people are shown it. Each line comes out as one line, whatever it contains.
pub(crate) fn shown<L: AsRef<str>>(lines: &[L]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(&logs::one_line(line.as_ref()));
        text.push('\n');
    }
    text
}

/// Whether somebody reads: everything that was said is written or is being written.
pub(crate) fn is_read() -> bool {
    WRITER.queue().texts.is_empty()
}

/// Whether many more lines can be said before one is dropped.
pub(crate) fn has_room() -> bool {
    WRITER.queue().texts.len() < MAX_WAITING / 2
}

/// Waits until everything that was said is written, for `timeout` at most. Returns whether it is.
pub(crate) fn flush(timeout: Duration) -> bool {
    WRITER.flush(timeout)
}

/// Writes `bytes` to stdout as they are, and waits as long as their reader takes. Returns whether anybody still reads.
/// Only for a program that has no other results.
///
/// # Errors
/// When stdout is no pipe whose reader is gone, and cannot be written all the same, as a file on a full disk.
pub(crate) fn write_data(bytes: &[u8]) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes `text`. A failure means that nobody reads any more, which is no reason to stop serving.
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
        let thread_writer = writer.clone();
        // A program without a thread to spare leaves before long: its words are lost, its exit code is not.
        let _ = thread::Builder::new().name("writer".to_owned()).spawn(move || thread_writer.run(write));
        writer
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, stream: Stream, text: String) {
        if !self.push(stream, text) {
            self.queue().dropped += 1;
        }
    }

    /// Adds `text` to the queue if there is room. Returns whether there was.
    fn push(&self, stream: Stream, text: String) -> bool {
        let mut queue = self.queue();
        let has_room = match stream {
            Stream::Stdout => queue.results + text.len() <= MAX_RESULTS,
            Stream::Stderr => queue.texts.len() < MAX_WAITING,
        };
        if has_room {
            queue.results += if stream == Stream::Stdout { text.len() } else { 0 };
            queue.texts.push_back((stream, text));
            self.changed.notify_all();
        }
        has_room
    }

    fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut queue = self.queue();
        while queue.writing || !queue.texts.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            queue = self.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn run(&self, write: impl Fn(Stream, &str)) {
        let mut queue = self.queue();
        loop {
            if let Some((stream, text)) = queue.texts.pop_front() {
                queue.results -= if stream == Stream::Stdout { text.len() } else { 0 };
                queue.writing = true;
                drop(queue);
                write(stream, &text);
                queue = self.queue();
                queue.writing = false;
            } else if queue.dropped > 0 {
                let dropped = std::mem::take(&mut queue.dropped);
                let line = format!("({dropped} lines are missing here: nobody read them)\n");
                queue.texts.push_back((Stream::Stderr, line));
            } else {
                self.changed.notify_all();
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
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
            // Nobody reads until the test drops `go`; from then on everything is read.
            let _ = going.recv();
            written.send((stream, text.to_owned())).expect("read");
        });
        writer.say(Stream::Stdout, shown(&["first"]));
        while !writer.queue().writing {
            thread::yield_now();
        }
        for number in 0..MAX_WAITING + 5 {
            writer.say(Stream::Stderr, shown(&[number.to_string()]));
        }
        // Results wait for a slow reader, up to their limit of bytes.
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
