//! `riffle verify`: tells whether a file or a folder is a content, and which pieces or files are not, without a node.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use riffle::{
    Collection, ContentId, DiskError, FileComparison, FolderComparison, FolderOptions, KnownFiles,
    KnownFolder, Outboard,
};

use super::hash::why;
use crate::arguments::{VerifiedAgainst, Verify, WantedId};
use crate::descriptions::Description;
use crate::exit::{ExitCode, Stop};
use crate::folders;
use crate::screen::Screen;
use crate::settings::Settings;
use crate::tree::Totals;
use crate::units::counted;

/// Runs the command.
///
/// # Errors
/// When the file or the folder cannot be read; each with its exit code.
pub(crate) fn run(mut settings: Settings, arguments: &Verify) -> Result<ExitCode> {
    folders::enter_folder(&mut settings)?;
    let path = &arguments.file;
    let known = crate::settings::state_root(&settings).map(|root| KnownFiles::read(&root)).ok();
    let description = match &arguments.against {
        Some(VerifiedAgainst::Description(path)) => Some(described(path)?),
        Some(VerifiedAgainst::Id(_)) | None => None,
    };
    let wanted = match (&arguments.against, &description) {
        (Some(VerifiedAgainst::Id(wanted)), _) => Some(wanted.clone()),
        (_, Some(description)) => Some(WantedId::Whole(description.metainfo.id())),
        (_, None) => None,
    };
    let said = if path.is_dir() {
        folder(path, wanted.as_ref(), description.as_ref(), known.as_ref())?
    } else {
        match &wanted {
            Some(wanted) => against(path, wanted, known.and_then(|known| wanted.outboard(&known)).as_deref()),
            None => against_memory(path, known.and_then(|known| known.of_path(path)).as_deref()),
        }
    };
    let (lines, code) = said.map_err(|error| Stop::new(ExitCode::of_disk(&error), why(&error)))?;
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

    fn folder(&self, known: &KnownFiles) -> Option<KnownFolder> {
        match self {
            WantedId::Whole(content) => known.folder_of_content(*content),
            WantedId::Beginning(digits) => known.folder_of_digits(digits),
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

/// The description at `path`.
fn described(path: &str) -> Result<Description> {
    let missing = || Stop::new(ExitCode::Io, format!("{path}: no such file"));
    Description::read(path)?.ok_or_else(|| missing().into())
}

/// Whether the folder at `path` is the content that is `wanted`, which `description` describes if there is one; without
/// either, what it was.
///
/// # Errors
/// When the description is of no folder.
fn folder(
    path: &Path,
    wanted: Option<&WantedId>,
    description: Option<&Description>,
    known: Option<&KnownFiles>,
) -> Result<Result<Said, DiskError>> {
    let shown = path.display();
    let of_description = description.map(|description| description.collection()).transpose()?;
    let known = match (of_description, wanted) {
        (Some(collection), _) => Some((wanted.map(ToString::to_string).unwrap_or_default(), collection)),
        (None, Some(wanted)) => known.and_then(|known| wanted.folder(known)).map(named),
        (None, None) => known.and_then(|known| known.folder_of_path(path)).map(named),
    };
    Ok(match (known, wanted) {
        (Some((content, expected)), _) => riffle::compare_folder(path, &expected)
            .map(|compared| compared_folder(&shown.to_string(), &content, (&expected, &compared))),
        (None, Some(wanted)) => by_its_id(path, wanted),
        (None, None) => {
            let line = format!(
                "{shown}: nothing is known of it: no node of this host remembers to have shared or fetched it; \
                 riffle verify {shown} ID.riffle.json compares it with a description, which riffle info ID --json \
                 writes"
            );
            Ok((vec![line], ExitCode::NotFound))
        }
    })
}

/// The id of a folder that is remembered, and what was in it.
fn named(known: KnownFolder) -> (String, Collection) {
    (known.content.to_string(), known.collection)
}

/// Whether the folder at `path` would be shared as `wanted`, of which nothing else is known.
fn by_its_id(path: &Path, wanted: &WantedId) -> Result<Said, DiskError> {
    let shown = path.display();
    for without_metadata in [false, true] {
        let options = FolderOptions { without_metadata, ..FolderOptions::default() };
        let content = riffle::describe_folder(path, &options)?.content();
        if wanted.is(content) {
            return Ok((vec![format!("{shown}: is {content}")], ExitCode::Done));
        }
    }
    let lines = vec![
        format!("{shown}: is not {wanted}"),
        format!(
            "which files differ is not known here: riffle info {wanted} --json > ID.riffle.json asks its owners what is \
             in it, and riffle verify {shown} ID.riffle.json compares that"
        ),
    ];
    Ok((lines, ExitCode::Integrity))
}

/// So many files that a folder has besides are named.
const MAX_EXTRA: usize = 20;

/// Says how the folder differs from `content`, a line for each entry that does, and what it has besides.
fn compared_folder(
    shown: &str,
    content: &str,
    (expected, compared): (&Collection, &FolderComparison),
) -> Said {
    let totals = Totals::of(expected).line();
    let (differing, extra) = (compared.differing(), compared.extra());
    let (first, code) = if compared.is_same() {
        (format!("{shown}: has all of {content}: {totals}"), ExitCode::Done)
    } else {
        let all = expected.entries().len();
        (
            format!("{shown}: is not {content}: {} of {all} entries differ", differing.len()),
            ExitCode::Integrity,
        )
    };
    let mut lines = vec![first];
    lines.extend(differing.iter().map(|(path, why)| format!("  {path}: {why}")));
    lines.extend(extra.iter().take(MAX_EXTRA).map(|path| format!("  {path}: is there besides")));
    if extra.len() > MAX_EXTRA {
        lines.push(format!("  and {} more are there besides", counted(extra.len() - MAX_EXTRA, "file")));
    }
    (lines, code)
}

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
