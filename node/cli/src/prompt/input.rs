//! What a person types at the prompt, and the thread that reads lines from a pipe.

use std::io::{self, BufRead as _};
use std::sync::mpsc::Sender as ReplySender;
use std::thread;

use anyhow::{Context as _, Result};
use messages::Prefix;
use tokio::sync::mpsc::UnboundedSender;

/// What a person or a script types.
#[derive(Debug)]
pub(crate) enum Typed {
    /// One line, without the line end.
    Line(String),
    /// One line that is not UTF-8.
    NotText,
    /// Ctrl-C, while a line is edited.
    Interrupt,
    /// The end of the input.
    End,
    /// The Tab key: the line editor asks which names the tracker knows. It waits for the answer for a moment only.
    Complete {
        /// What the names begin with.
        prefix: Prefix,
        /// Takes the names.
        reply: ReplySender<Vec<String>>,
    },
}

/// Starts the thread that sends each line of stdin to `typed`.
///
/// # Errors
/// When the system gives no thread.
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

/// The text of a line, without the line end, and of the first line without the byte order mark that some editors write.
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
