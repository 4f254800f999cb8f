//! `riffle verify`: tells whether a file is a content, and which pieces are not, without a node.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use config::NodeSettings;
use riffle::{ContentId, DiskError, FileComparison, KnownFiles, Outboard};

use super::hash::why;
use crate::arguments::{Verify, WantedId};
use crate::exit::{ExitCode, Stop};
use crate::folders;
use crate::screen::Screen;

/// Runs the command.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn run(mut settings: NodeSettings, arguments: &Verify) -> Result<ExitCode> {
    folders::enter_folder(&mut settings)?;
    let path = &arguments.file;
    let known = crate::settings::state_root(&settings).map(|root| KnownFiles::read(&root)).ok();
    let (lines, code) = match &arguments.content {
        Some(wanted) => against(path, wanted, known.and_then(|known| wanted.outboard(&known)).as_deref()),
        None => against_memory(path, known.and_then(|known| known.of_path(path)).as_deref()),
    }
    .map_err(|error| Stop::new(ExitCode::of_disk(&error), why(&error)))?;
    Screen::of_lines(settings.quiet).results(&lines);
    Ok(code)
}

impl WantedId {
    fn is(&self, content: ContentId) -> bool {
        match self {
            WantedId::Whole(whole) => *whole == content,
            WantedId::Beginning(digits) => digits.begin(content),
        }
    }

    fn outboard(&self, known: &KnownFiles) -> Option<Arc<Outboard>> {
        match self {
            WantedId::Whole(content) => known.of_content(*content),
            WantedId::Beginning(digits) => known.of_digits(digits),
        }
    }
}

impl fmt::Display for WantedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WantedId::Whole(content) => content.fmt(f),
            WantedId::Beginning(digits) => digits.fmt(f),
        }
    }
}

type Said = (Vec<String>, ExitCode);

/// Whether the file at `path` is the content that is `wanted`, which `known` describes.
fn against(path: &Path, wanted: &WantedId, known: Option<&Outboard>) -> Result<Said, DiskError> {
    let shown = path.display();
    if let Some(outboard) = known {
        let compared = riffle::compare_file(path, outboard)?;
        let content = outboard.content();
        if compared.is_same() {
            return Ok((vec![format!("{shown}: is {content}")], ExitCode::Done));
        }
        return Ok((differences(&format!("{shown}: is not {content}"), &compared), ExitCode::Integrity));
    }
    let content = riffle::hash_file(path)?;
    if wanted.is(content) {
        return Ok((vec![format!("{shown}: is {content}")], ExitCode::Done));
    }
    let lines = vec![
        format!("{shown}: is not {wanted}, but {content}"),
        format!(
            "which pieces differ is not known here: no node of this host has shared or fetched {wanted}; \
             riffle download {wanted} fetches what is right"
        ),
    ];
    Ok((lines, ExitCode::Integrity))
}

/// Whether the file at `path` is what it was: the content that `known` describes.
fn against_memory(path: &Path, known: Option<&Outboard>) -> Result<Said, DiskError> {
    let shown = path.display();
    let Some(outboard) = known else {
        let content = riffle::hash_file(path)?;
        let line = format!(
            "{shown}: is {content}; nothing is known of it: no node of this host remembers to have shared or fetched it"
        );
        return Ok((vec![line], ExitCode::NotFound));
    };
    let (compared, content) = (riffle::compare_file(path, outboard)?, outboard.content());
    if compared.is_same() {
        return Ok((vec![format!("{shown}: unchanged, is {content}")], ExitCode::Done));
    }
    let what = format!("{shown}: changed since it was shared or fetched, is not {content} any more");
    Ok((differences(&what, &compared), ExitCode::Integrity))
}

/// Says `what` and how the file differs: its length, and a line for each run of pieces.
fn differences(what: &str, compared: &FileComparison) -> Vec<String> {
    let (length, layout) = (compared.length(), compared.layout());
    let differing: u32 = compared.differing().map(|(run, _)| run.count()).sum();
    let mut first = format!("{what}: {differing} of {} pieces differ", layout.pieces());
    if length != layout.length() {
        first += &format!(", and it is {length} bytes long instead of {}", layout.length());
    }
    let line = |(run, bytes): (riffle::PieceRun, std::ops::Range<u64>)| {
        let bytes = format!("bytes {}-{}", bytes.start, bytes.end - 1);
        match run.count() {
            1 => format!("  piece {}: {bytes}", run.start()),
            _ => format!("  pieces {}-{}: {bytes}", run.start(), run.end().0 - 1),
        }
    };
    std::iter::once(first).chain(compared.differing().map(line)).collect()
}
