//! What the Tab key completes: commands, file names behind `send` and `--ticket-file`, names that the tracker knows behind `download`.

use std::sync::mpsc;
use std::time::Duration;

use messages::Prefix;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use tokio::sync::mpsc::UnboundedSender;

use super::input::Typed;
use super::verb::TOPICS;
use crate::shell_words;

/// The Tab key waits this long for the tracker.
const TRACKER_TIME: Duration = Duration::from_millis(500);

/// The option of `download` behind which a file is named.
const TICKET_FILE: &str = "--ticket-file";

/// Completes words at the prompt.
pub(crate) struct Completion {
    files: FilenameCompleter,
    typed: UnboundedSender<Typed>,
}

/// The word at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word<'a> {
    /// The command before the word; `None`: the word is the command itself.
    command: Option<&'a str>,
    /// The byte at which the word begins in the line, with its opening quote.
    start: usize,
    /// The text of the word so far, without quotes and backslashes.
    text: String,
}

impl Completion {
    /// Completions that ask through `typed` which names the tracker knows.
    pub(crate) fn new(typed: UnboundedSender<Typed>) -> Completion {
        Completion { files: FilenameCompleter::new(), typed }
    }

    fn files(&self, line: &str, pos: usize) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, files) = self.files.complete_path(line, pos)?;
        Ok((start, files.into_iter().filter(|file| can_be_edited(&file.replacement)).collect()))
    }

    fn tracker_names(&self, prefix: &str) -> Vec<String> {
        let (reply, names) = mpsc::channel();
        let Ok(prefix) = Prefix::new(prefix) else { return Vec::new() };
        if self.typed.send(Typed::Complete { prefix, reply }).is_err() {
            return Vec::new();
        }
        names.recv_timeout(TRACKER_TIME).unwrap_or_default()
    }
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let word = word_at(line.get(..pos).unwrap_or_default());
        match word.command {
            None | Some("help") => Ok((word.start, commands(&word.text))),
            Some("download" | "get" | "receive") if is_behind(TICKET_FILE, line, word.start) => {
                self.files(line, pos)
            }
            Some("send") => self.files(line, pos),
            Some("download" | "get" | "receive" | "list") => {
                let quoted = |name: String| Pair {
                    replacement: shell_words::quote(&name).into_owned(),
                    display: name,
                };
                let names = self.tracker_names(&word.text).into_iter();
                Ok((word.start, names.filter(|name| can_be_edited(name)).map(quoted).collect()))
            }
            Some(_) => Ok((word.start, Vec::new())),
        }
    }
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Validator for Completion {}
impl Hinter for Completion {
    type Hint = String;
}

/// Whether the edited line would show all of `text`. A name that hides something is not offered; its id can be typed.
fn can_be_edited(text: &str) -> bool {
    logs::one_line(text) == text
}

fn commands(begin: &str) -> Vec<Pair> {
    let fits = TOPICS.iter().filter(|topic| topic.name.starts_with(begin));
    let pair = |name: &str| Pair { display: name.to_owned(), replacement: format!("{name} ") };
    fits.map(|topic| pair(topic.name)).collect()
}

/// Whether the word that begins at `start` of `line` stands behind `option`.
fn is_behind(option: &str, line: &str, start: usize) -> bool {
    line.get(..start).is_some_and(|before| before.split_whitespace().next_back() == Some(option))
}

/// The last word of `line`, which ends at the cursor.
fn word_at(line: &str) -> Word<'_> {
    let mut word = Word { command: None, start: 0, text: String::new() };
    let (mut quote, mut escaped, mut inside) = (None, false, false);
    for (at, letter) in line.char_indices() {
        if !inside && !letter.is_whitespace() {
            (word.start, inside) = (at, true);
        }
        match (quote, letter) {
            _ if escaped => {
                word.text.push(letter);
                escaped = false;
            }
            (None | Some('"'), '\\') => escaped = true,
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, space) if space.is_whitespace() => {
                if inside && word.command.is_none() {
                    word.command = line.get(word.start..at);
                }
                word.text.clear();
                (word.start, inside) = (at + space.len_utf8(), false);
            }
            _ => word.text.push(letter),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use rustyline::history::DefaultHistory;

    use super::*;

    fn word(command: Option<&'static str>, start: usize, text: &str) -> Word<'static> {
        Word { command, start, text: text.to_owned() }
    }

    #[test]
    fn files_are_completed_behind_the_option_that_names_one() {
        let is_behind = |line: &str| is_behind(TICKET_FILE, line, word_at(line).start);
        assert!(is_behind("download --ticket-file ") && is_behind("download --ticket-file 'my f"));
        assert!(!is_behind("download --ticket-file") && !is_behind("download --ticket-file f g"));
    }

    #[test]
    fn the_word_at_the_cursor_is_found_through_quotes() {
        assert_eq!(word_at(""), word(None, 0, ""));
        assert_eq!(word_at("  do"), word(None, 2, "do"));
        assert_eq!(word_at("download "), word(Some("download"), 9, ""));
        assert_eq!(word_at("download a 'b c"), word(Some("download"), 11, "b c"));
        assert_eq!(word_at("download b\\ c"), word(Some("download"), 9, "b c"));
        assert_eq!(word_at("download \"é 'x"), word(Some("download"), 9, "é 'x"));
    }

    #[test]
    fn commands_are_completed() {
        let (typed, _kept) = tokio::sync::mpsc::unbounded_channel();
        let history = DefaultHistory::new();
        let (start, pairs) =
            Completion::new(typed).complete("  do", 4, &Context::new(&history)).expect("no trouble");
        let replacements: Vec<_> = pairs.iter().map(|pair| pair.replacement.as_str()).collect();
        assert_eq!((start, replacements), (2, vec!["download "]));
    }

    #[test]
    fn names_of_the_tracker_are_completed_and_quoted_unless_they_hide_something() {
        let (typed, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let tracker = std::thread::spawn(move || {
            let Some(Typed::Complete { prefix, reply }) = asked.blocking_recv() else {
                panic!("not asked");
            };
            assert_eq!(prefix.as_str(), "my f");
            reply
                .send(["my \u{202e}vkm.mlif", "my film.mkv"].map(str::to_owned).to_vec())
                .expect("waited for");
        });
        let history = DefaultHistory::new();
        let line = "download 'my f";
        let (start, pairs) =
            Completion::new(typed).complete(line, line.len(), &Context::new(&history)).expect("no trouble");
        tracker.join().expect("no panic");
        assert_eq!((start, pairs.len(), pairs[0].replacement.as_str()), (9, 1, "'my film.mkv'"));
    }
}
