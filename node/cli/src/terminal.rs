//! The terminal under progress bars. What bars draw is written by the one thread that writes, so that drawing never
//! waits for a terminal that takes nothing; and only while this process is in the terminal's foreground.

use std::fmt::Write as _;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressDrawTarget, TermLike};
use rustix::process::Pid;
use rustix::termios;

use crate::output_writer::{self, Stream};

/// Bars are drawn at most this often a second.
const MAX_FRAMES_PER_SECOND: u8 = 20;
/// The size of a terminal that does not tell its own, in lines and columns.
const USUAL_SIZE: (u16, u16) = (24, 80);

/// The target for bars: stderr, through the writer's thread.
pub(crate) fn draw_target() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::default()), MAX_FRAMES_PER_SECOND)
}

/// Collects what is drawn between two flushes into one frame, which is written as one text.
#[derive(Debug, Default)]
struct Terminal {
    frame: Mutex<Frame>,
}

/// A frame that is drawn over the one before it.
#[derive(Debug, Default)]
struct Frame {
    text: String,
    /// Whether the frame has words, beside cursor movements.
    has_words: bool,
    /// Whether the frame before was not shown, so that the cursor must not move up: what stands there is another
    /// program's.
    begins_anew: bool,
}

impl Frame {
    /// Adds a control code that moves the cursor or clears cells.
    fn steer(&mut self, code: std::fmt::Arguments<'_>) {
        if self.has_words || !self.begins_anew {
            // Writing to a string never fails.
            let _ = self.text.write_fmt(code);
        }
    }

    fn write(&mut self, words: &str) {
        self.text.push_str(words);
        self.has_words = true;
    }

    /// Takes the frame, if it is to be shown, and begins the next one.
    fn take(&mut self, in_foreground: bool) -> Option<String> {
        let Frame { text, has_words, begins_anew } = std::mem::take(self);
        self.begins_anew = !in_foreground || (begins_anew && !has_words);
        (in_foreground && !text.is_empty()).then_some(text)
    }
}

impl Terminal {
    fn frame(&self) -> MutexGuard<'_, Frame> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the cursor by `count` cells or lines (ECMA-48, 8.3.18 to 8.3.22).
    fn move_cursor(&self, count: usize, to: char) -> io::Result<()> {
        if count > 0 {
            self.frame().steer(format_args!("\x1b[{count}{to}"));
        }
        Ok(())
    }
}

/// Whether this process is in the foreground of the terminal that stderr is: a job in the background draws nothing.
fn is_in_foreground() -> bool {
    draws_for(termios::tcgetpgrp(io::stderr()).ok(), rustix::process::getpgrp())
}

/// Whether the process group `own` draws on a terminal whose foreground group is `foreground`. `None`: the terminal
/// does not control this process, so no other job is on it.
fn draws_for(foreground: Option<Pid>, own: Pid) -> bool {
    foreground.is_none_or(|foreground| foreground == own)
}

fn size() -> (u16, u16) {
    let size = termios::tcgetwinsize(io::stderr()).map(|size| (size.ws_row, size.ws_col));
    size.ok().filter(|&(rows, columns)| rows > 0 && columns > 0).unwrap_or(USUAL_SIZE)
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        size().1
    }

    fn height(&self) -> u16 {
        size().0
    }

    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        self.move_cursor(count, 'A')
    }

    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        self.move_cursor(count, 'B')
    }

    fn move_cursor_right(&self, count: usize) -> io::Result<()> {
        self.move_cursor(count, 'C')
    }

    fn move_cursor_left(&self, count: usize) -> io::Result<()> {
        self.move_cursor(count, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.write_str(line)?;
        self.write_str("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.frame().write(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.frame().steer(format_args!("\r\x1b[2K"));
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        if let Some(frame) = self.frame().take(is_in_foreground()) {
            output_writer::steer(Stream::Stderr, frame);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws `words` over a line that was drawn before.
    fn draw(frame: &mut Frame, words: &str, in_foreground: bool) -> Option<String> {
        frame.steer(format_args!("\x1b[1A"));
        frame.steer(format_args!("\r\x1b[2K"));
        if !words.is_empty() {
            frame.write(words);
        }
        frame.take(in_foreground)
    }

    #[test]
    fn a_job_in_the_background_draws_nothing_and_then_nothing_over_what_others_wrote() {
        let mut frame = Frame::default();
        let over = |words: &str| Some(format!("\x1b[1A\r\x1b[2K{words}"));
        assert_eq!(draw(&mut frame, "1 %", true), over("1 %"));
        assert_eq!(draw(&mut frame, "2 %", false), None);
        assert_eq!(draw(&mut frame, "", false), None);
        assert_eq!(draw(&mut frame, "", true), None, "there is nothing to clear");
        assert_eq!(draw(&mut frame, "3 %", true), Some("3 %".to_owned()));
        assert_eq!(draw(&mut frame, "4 %", true), over("4 %"));
        assert_eq!(draw(&mut frame, "", true), over(""));
    }

    #[test]
    fn who_draws_is_in_the_foreground_or_on_a_terminal_without_jobs() {
        let (own, other) = (Pid::from_raw(7), Pid::from_raw(8));
        let draws = |foreground| own.is_some_and(|own| draws_for(foreground, own));
        assert!(draws(own) && draws(None) && !draws(other));
    }
}
