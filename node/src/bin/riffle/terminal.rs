//! The terminal under progress bars: what they draw goes out through the one thread that writes, so that drawing never
//! waits for a terminal that takes nothing.

use std::fmt::Write as _;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressDrawTarget, TermLike};
use rustix::termios;

use crate::outlet::{self, Stream};

/// Bars are drawn at most this often a second.
const DRAWN_PER_SECOND: u8 = 20;
/// The size of a terminal that does not say, in lines and columns.
const USUAL: (u16, u16) = (24, 80);

/// Where bars are drawn: on stderr, from the outlet's thread.
pub(crate) fn draw_target() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::default()), DRAWN_PER_SECOND)
}

/// What was drawn since the last flush: one picture is one text.
#[derive(Debug, Default)]
struct Terminal {
    picture: Mutex<String>,
}

impl Terminal {
    fn picture(&self) -> MutexGuard<'_, String> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, text: &str) -> io::Result<()> {
        self.picture().push_str(text);
        Ok(())
    }

    /// Moves the cursor by `count` cells or lines (ECMA-48, 8.3.18 to 8.3.22).
    fn walk(&self, count: usize, to: char) -> io::Result<()> {
        if count > 0 {
            // A string takes everything.
            let _ = write!(self.picture(), "\x1b[{count}{to}");
        }
        Ok(())
    }
}

fn size() -> (u16, u16) {
    let size = termios::tcgetwinsize(io::stderr()).map(|size| (size.ws_row, size.ws_col));
    size.ok().filter(|&(rows, columns)| rows > 0 && columns > 0).unwrap_or(USUAL)
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        size().1
    }

    fn height(&self) -> u16 {
        size().0
    }

    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        self.walk(count, 'A')
    }

    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        self.walk(count, 'B')
    }

    fn move_cursor_right(&self, count: usize) -> io::Result<()> {
        self.walk(count, 'C')
    }

    fn move_cursor_left(&self, count: usize) -> io::Result<()> {
        self.walk(count, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.add(line)?;
        self.add("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let picture = std::mem::take(&mut *self.picture());
        if !picture.is_empty() {
            outlet::steer(Stream::Stderr, picture);
        }
        Ok(())
    }
}
