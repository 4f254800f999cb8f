//! The terminal under progress bars: what they draw goes out through the one thread that writes, so that drawing never
//! waits for a terminal that takes nothing, and only while this process is in the terminal's foreground.

use std::fmt::Write as _;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressDrawTarget, TermLike};
use rustix::process::Pid;
use rustix::termios;

use crate::output_writer::{self, Stream};

/// Bars are drawn at most this often a second.
const DRAWN_PER_SECOND: u8 = 20;
/// The size of a terminal that does not say, in lines and columns.
const USUAL: (u16, u16) = (24, 80);

/// Where bars are drawn: on stderr, from the writer's thread.
pub(crate) fn draw_target() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::default()), DRAWN_PER_SECOND)
}

/// What was drawn since the last flush: one picture is one text.
#[derive(Debug, Default)]
struct Terminal {
    picture: Mutex<Picture>,
}

/// A picture that is being drawn over the one before it.
#[derive(Debug, Default)]
struct Picture {
    text: String,
    /// Words have been drawn, and not only the way to where they go.
    has_words: bool,
    /// The one before was not shown, so that there is nothing to draw over: what stands there is somebody else's.
    begins_anew: bool,
}

impl Picture {
    /// Moves the cursor or clears something.
    fn steer(&mut self, code: std::fmt::Arguments<'_>) {
        if self.has_words || !self.begins_anew {
            // A string takes everything.
            let _ = self.text.write_fmt(code);
        }
    }

    fn write(&mut self, words: &str) {
        self.text.push_str(words);
        self.has_words = true;
    }

    /// The picture, if it is to be shown; the next one begins.
    fn take(&mut self, in_foreground: bool) -> Option<String> {
        let Picture { text, has_words, begins_anew } = std::mem::take(self);
        self.begins_anew = !in_foreground || (begins_anew && !has_words);
        (in_foreground && !text.is_empty()).then_some(text)
    }
}

impl Terminal {
    fn picture(&self) -> MutexGuard<'_, Picture> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the cursor by `count` cells or lines (ECMA-48, 8.3.18 to 8.3.22).
    fn walk(&self, count: usize, to: char) -> io::Result<()> {
        if count > 0 {
            self.picture().steer(format_args!("\x1b[{count}{to}"));
        }
        Ok(())
    }
}

/// Whether what is drawn on stderr is drawn where a person looks: a job in the background leaves the terminal to others.
fn is_in_foreground() -> bool {
    draws_for(termios::tcgetpgrp(io::stderr()).ok(), rustix::process::getpgrp())
}

/// Whether the process group `own` draws on a terminal whose foreground is `foreground`. A terminal that is not the one that
/// controls this process has none: nobody else's job is on it.
fn draws_for(foreground: Option<Pid>, own: Pid) -> bool {
    foreground.is_none_or(|foreground| foreground == own)
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
        self.write_str(line)?;
        self.write_str("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.picture().write(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.picture().steer(format_args!("\r\x1b[2K"));
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        if let Some(picture) = self.picture().take(is_in_foreground()) {
            output_writer::steer(Stream::Stderr, picture);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws `words` over a line that was drawn before.
    fn draw(picture: &mut Picture, words: &str, in_foreground: bool) -> Option<String> {
        picture.steer(format_args!("\x1b[1A"));
        picture.steer(format_args!("\r\x1b[2K"));
        if !words.is_empty() {
            picture.write(words);
        }
        picture.take(in_foreground)
    }

    #[test]
    fn a_job_in_the_background_draws_nothing_and_then_nothing_over_what_others_wrote() {
        let mut picture = Picture::default();
        let over = |words: &str| Some(format!("\x1b[1A\r\x1b[2K{words}"));
        assert_eq!(draw(&mut picture, "1 %", true), over("1 %"));
        assert_eq!(draw(&mut picture, "2 %", false), None);
        assert_eq!(draw(&mut picture, "", false), None);
        assert_eq!(draw(&mut picture, "", true), None, "there is nothing to clear");
        assert_eq!(draw(&mut picture, "3 %", true), Some("3 %".to_owned()));
        assert_eq!(draw(&mut picture, "4 %", true), over("4 %"));
        assert_eq!(draw(&mut picture, "", true), over(""));
    }

    #[test]
    fn who_draws_is_in_the_foreground_or_on_a_terminal_without_jobs() {
        let (own, other) = (Pid::from_raw(7), Pid::from_raw(8));
        let draws = |foreground| own.is_some_and(|own| draws_for(foreground, own));
        assert!(draws(own) && draws(None) && !draws(other));
    }
}
