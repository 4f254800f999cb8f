//! What is in a content, as `list` shows it before it is fetched.

use std::io::IsTerminal as _;
use std::time::Duration;

use riffle::{Collection, ContentIndex, DownloadTimeouts, Failure, PatternError, TrackerStatus};

use crate::exit::ExitCode;
use crate::output_writer;
use crate::report;
use crate::screen::Screen;
use crate::shell_words;
use crate::tracker_words::TrackerWords as _;
use crate::tree::{self, Totals};
use crate::units::size;

/// So many lines are said at a time.
const LINES: usize = 1024;
/// A long tree waits for its reader in steps of this length, so that no more than these lines wait in memory.
const READ_EVERY: Duration = Duration::from_millis(5);

/// How long it may take to find out what a content is when a person has asked for something else, such as its row in
/// the list, and would not wait for owners that are gone.
pub(crate) const IN_PASSING: DownloadTimeouts = DownloadTimeouts {
    tracker: Some(Duration::from_secs(5)),
    nobody_shares: Some(Duration::ZERO),
    no_progress: Some(Duration::from_secs(5)),
    disk_full: Some(Duration::ZERO),
};

/// How a folder is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As a tree, to people.
    Tree,
    /// A line for each entry, to programs.
    Rows,
}

impl Form {
    /// What suits whoever reads the standard output.
    pub(crate) fn of_stdout() -> Form {
        if std::io::stdout().is_terminal() { Form::Tree } else { Form::Rows }
    }
}

/// Holds when each of `patterns` is one.
///
/// # Errors
/// Why one is not.
pub(crate) fn check_patterns(patterns: &[String]) -> Result<(), PatternError> {
    let nothing = Collection::new(Vec::new()).expect("an empty folder is one");
    riffle::select(&nothing, patterns).map(|_| ())
}

/// Shows what `index` says, of a folder those entries alone that `patterns` name. Waits for a slow reader.
pub(crate) async fn show(index: &ContentIndex, patterns: &[String], form: Form, screen: &Screen) -> ExitCode {
    let name = index.name.as_str();
    let Some(folder) = &index.folder else {
        screen.result(&format!("{name}: one file, {} ({} bytes)", size(index.length), index.length));
        return ExitCode::Done;
    };
    let chosen = match riffle::select(folder, patterns) {
        Ok(chosen) => chosen,
        Err(error) => {
            screen.error(&error.to_string());
            return ExitCode::Usage;
        }
    };
    if chosen.entries().is_empty() && !patterns.is_empty() {
        screen.error(&format!("{name}: nothing in the folder is named by what was selected"));
        return ExitCode::NotFound;
    }
    let totals = Totals::of(&chosen);
    let totals = if patterns.is_empty() { totals.line() } else { totals.line_of(&Totals::of(folder)) };
    match form {
        Form::Tree => {
            say(tree::tree(name, &chosen), |lines| screen.results(&lines)).await;
            screen.result(&totals);
        }
        Form::Rows => {
            // A path has no character that steers anything, and the tabs must come out as they are.
            say(tree::rows(&chosen), |lines| output_writer::hand_over(lines.join("\n") + "\n")).await;
            screen.note(&totals);
        }
    }
    ExitCode::Done
}

/// Says `lines`, some at a time, by `write`, and waits for their reader.
async fn say(lines: impl Iterator<Item = String>, write: impl Fn(Vec<String>)) {
    let mut lines = lines.peekable();
    while lines.peek().is_some() {
        write(lines.by_ref().take(LINES).collect());
        while !output_writer::is_read() {
            tokio::time::sleep(READ_EVERY).await;
        }
    }
}

/// The lines that say why it is not known what is in `label`. `command`: what is typed before a choice.
pub(crate) fn failure(label: &str, why: &Failure, tracker: &TrackerStatus, command: &str) -> Vec<String> {
    match why {
        Failure::Ambiguous { contents, more } => {
            let line = |choice: &str| format!("{command} {}", shell_words::quote(choice));
            report::ambiguity(label, contents, *more, line)
        }
        Failure::TrackerUnreachable => vec![format!("{label}: {}", tracker.gives_no_answer())],
        Failure::Disk(error) => vec![error.to_string()],
        _ => vec![format!("{label}: {why}")],
    }
}
