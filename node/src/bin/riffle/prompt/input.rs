//! Where the prompt's lines come from: a pipe, read by a thread of its own.

use std::io::{self, BufRead as _};
use std::sync::mpsc::Sender as ReplySender;
use std::thread;

use anyhow::{Context as _, Result};
use messages::Prefix;
use tokio::sync::mpsc::UnboundedSender;

/// What comes from the person.
#[derive(Debug)]
pub(crate) enum Typed {
    /// One line, without its end.
    Line(String),
    /// Ctrl-C while a line was edited.
    Interrupt,
    /// No more lines will come.
    End,
    /// The line editor wants to know the tracker's names that begin so. It waits for a moment only.
    Complete {
        /// What was typed of the name.
        prefix: Prefix,
        /// Where the names go.
        reply: ReplySender<Vec<String>>,
    },
}

/// Sends what stdin says, line by line.
pub(crate) fn read_pipe(typed: UnboundedSender<Typed>) -> Result<()> {
    let read = move || {
        let mut stdin = io::stdin().lock();
        let mut bytes = Vec::new();
        let mut is_first = true;
        loop {
            bytes.clear();
            match stdin.read_until(b'\n', &mut bytes) {
                Ok(0) | Err(_) => {
                    let _ = typed.send(Typed::End);
                    return;
                }
                Ok(_) => {
                    let line = line_of(&bytes, std::mem::take(&mut is_first));
                    if typed.send(Typed::Line(line)).is_err() {
                        return;
                    }
                }
            }
        }
    };
    let thread = thread::Builder::new().name("stdin".to_owned()).spawn(read);
    thread.map(drop).context("the system gives no thread to read stdin")
}

/// The text of a line, without its end, and without the mark of the encoding that some editors put before the first one.
fn line_of(bytes: &[u8], is_first: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').filter(|_| is_first).unwrap_or(&text);
    text.trim_end_matches(['\n', '\r']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_is_typed_and_no_more() {
        assert_eq!(line_of("\u{feff}list f\r\n".as_bytes(), true), "list f");
        assert_eq!(line_of("\u{feff}list\n".as_bytes(), false), "\u{feff}list");
        assert_eq!(line_of(b"send a\xffb\n", true), "send a\u{fffd}b");
    }
}
