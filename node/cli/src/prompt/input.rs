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
    /// One line that is not UTF-8.
    NotText,
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
                    if typed.send(line_of(&bytes, std::mem::take(&mut is_first))).is_err() {
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
fn line_of(bytes: &[u8], is_first: bool) -> Typed {
    let Ok(text) = str::from_utf8(bytes) else { return Typed::NotText };
    let text = text.strip_prefix('\u{feff}').filter(|_| is_first).unwrap_or(text);
    Typed::Line(text.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_is_typed_and_no_more() {
        let line = |text: &str, is_first| match line_of(text.as_bytes(), is_first) {
            Typed::Line(line) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(line("\u{feff}list f\r\n", true), "list f");
        assert_eq!(line("\u{feff}list\n", false), "\u{feff}list");
        assert!(matches!(line_of(b"send a\xffb\n", true), Typed::NotText));
    }
}
