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
        loop {
            bytes.clear();
            match stdin.read_until(b'\n', &mut bytes) {
                Ok(0) | Err(_) => {
                    let _ = typed.send(Typed::End);
                    return;
                }
                Ok(_) => {
                    let line = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
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
