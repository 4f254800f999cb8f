//! `riffle info FILE|DIR|TICKET|NAME|ID`: describes a content, for people or as JSON.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

use anyhow::Result;
use config::NodeSettings;
use messages::collection::INDEX_HEADER;
use messages::{ContentId, Layout, PieceIndex, piece_value, root};
use riffle::metainfo::{FileDescription, Metainfo, MetainfoError};
use riffle::{
    Choice, Collection, ContentIndex, DiskError, DiskErrorKind, FolderOptions, InquiryEnd, KnownFiles,
    Listed, Outboard, Question, Wanted, choose,
};

use super::list::{Answer, LIST_FILES, ask};
use crate::arguments::Info;
use crate::descriptions::{Description, sha1};
use crate::exit::{ExitCode, Stop};
use crate::folders::enter_folder;
use crate::inside;
use crate::output_writer;
use crate::piece_scan::{scan, scan_with};
use crate::report;
use crate::running::tracker_query;
use crate::screen::Screen;
use crate::settings::Settings;
use crate::sharing::{self, kind_of};
use crate::tracker_words::TrackerWords as _;
use crate::tree;
use crate::units::size;
use crate::{swarms, target, tickets};

/// Runs the command.
///
/// # Errors
/// When there is no such content, or a file cannot be read; each with its exit code.
pub(crate) async fn run(mut settings: Settings, arguments: Info) -> Result<ExitCode> {
    enter_folder(&mut settings)?;
    let screen = Screen::of_lines(settings.quiet);
    let mut metainfo = if let Some(description) = Description::read(&arguments.what)? {
        description.metainfo
    } else if Path::new(&arguments.what).is_dir() {
        of_folder(Path::new(&arguments.what), &arguments, &screen)?
    } else if fs::symlink_metadata(&arguments.what).is_ok() {
        of_file(Path::new(&arguments.what), &arguments).map_err(refused)?
    } else if let Some(ticket) = tickets::read(&arguments.what).map_err(Stop::usage)? {
        if arguments.json {
            let what = "--json describes a content, and a ticket says too little of it; riffle info ID asks for more";
            return Err(Stop::usage(what).into());
        }
        screen.results(&tickets::lines(&ticket));
        return Ok(ExitCode::Done);
    } else {
        of_id_or_name(&settings, &arguments.what, &screen).await?
    };
    if let Some(name) = arguments.name {
        metainfo = metainfo.with_name(name);
    }
    if let Some(tracker) = settings.tracker {
        metainfo = metainfo.with_trackers(vec![tracker.address]);
    }
    if arguments.json {
        write(metainfo, &screen)?;
    } else {
        screen.results(&lines(&metainfo));
    }
    Ok(ExitCode::Done)
}

fn refused(error: DiskError) -> Stop {
    Stop::new(ExitCode::of_disk(&error), error.to_string())
}

/// Writes the description to stdout. One that would be too long goes without the values of the pieces.
fn write(metainfo: Metainfo, screen: &Screen) -> Result<()> {
    let text = match metainfo.to_json() {
        Err(MetainfoError::TooLong) => {
            screen.note("the values of the pieces are left out: there are too many of them");
            metainfo.without_pieces().to_json()
        }
        written => written,
    };
    output_writer::write_data(text?.as_bytes())
        .map_err(|error| Stop::new(ExitCode::Io, format!("standard output: {error}")))?;
    Ok(())
}

/// Describes the file at `path`, which is read once.
fn of_file(path: &Path, arguments: &Info) -> Result<Metainfo, DiskError> {
    let failed = |kind| DiskError { path: path.to_owned(), kind };
    let read = |error: io::Error| failed(kind_of(&error));
    let name = sharing::check(path, arguments.name.as_ref())?;
    let file = File::open(path).map_err(read)?;
    let before = file.metadata().map_err(read)?;
    let layout = Layout::of(before.len()).ok_or_else(|| failed(DiskErrorKind::TooLarge))?;
    let scanned = scan(&file, layout, |index, bytes| {
        (piece_value(layout, index, bytes), arguments.sha1.then(|| sha1(bytes)))
    });
    let after = file.metadata().map_err(read)?;
    if has_changed(&before, &after) {
        return Err(failed(DiskErrorKind::Changed));
    }
    let (values, sha1): (Vec<_>, Vec<_>) = scanned.map_err(read)?.into_iter().unzip();
    let metainfo = Metainfo::new(root(layout, &values), before.len());
    let metainfo = metainfo.and_then(|metainfo| metainfo.with_pieces(values));
    let metainfo = metainfo.and_then(|metainfo| match sha1.into_iter().collect() {
        Some(sha1) if arguments.sha1 => metainfo.with_sha1(sha1),
        _ => Ok(metainfo),
    });
    Ok(metainfo.expect("the values are those of this layout, and the id is theirs").with_name(name))
}

/// Describes the folder at `path` as `riffle send` would share it. Says what of it would not be shared.
///
/// # Errors
/// When the folder cannot be read; each with its exit code. [`ExitCode::Io`] too when all of it was asked for, and
/// something would not be shared.
fn of_folder(path: &Path, arguments: &Info, screen: &Screen) -> Result<Metainfo> {
    let name = sharing::check(path, arguments.name.as_ref()).map_err(refused)?;
    let (exclude, without_metadata) = (arguments.exclude.clone(), arguments.no_metadata);
    let described = riffle::describe_folder(
        path,
        &FolderOptions { exclude, without_metadata, ..FolderOptions::default() },
    );
    let described = described.map_err(refused)?;
    screen.notes(&report::skipped(described.skipped()));
    if arguments.strict && !described.skipped().is_empty() {
        let what = format!("{}: not all of it can be shared", path.display());
        return Err(Stop::new(ExitCode::Io, what).into());
    }
    let metainfo =
        of_outboard(described.outboard())?.with_name(name).with_files(files_of(described.collection()))?;
    if !arguments.sha1 {
        return Ok(metainfo);
    }
    let read = |bytes: &mut [u8], at: u64| described.read_exact_at(bytes, at);
    let values = scan_with(read, metainfo.layout(), |_, bytes| sha1(bytes)).map_err(refused)?;
    Ok(metainfo.with_sha1(values)?)
}

/// The files of a folder, as a description names them.
pub(crate) fn files_of(folder: &Collection) -> Vec<FileDescription> {
    folder.files().map(|(_, path, file)| FileDescription::new(path.clone(), file.clone())).collect()
}

fn has_changed(before: &Metadata, after: &Metadata) -> bool {
    before.len() != after.len() || before.modified().ok() != after.modified().ok()
}

/// Describes what a node of this host has shared or fetched, if an id is wanted. It is not remembered by any name.
fn remembered(settings: &NodeSettings, wanted: &Wanted) -> Option<Metainfo> {
    let known = KnownFiles::read(&crate::settings::state_root(settings).ok()?);
    let outboard = match wanted {
        Wanted::Content(content) => known.of_content(*content),
        Wanted::Digits(digits) => known.of_digits(digits),
        Wanted::Name(..) | Wanted::Newest(_) => None,
    }?;
    of_outboard(&outboard).ok()
}

/// Describes a folder that a node of this host has shared or fetched, if an id is wanted: its files, and not its pieces.
fn remembered_folder(settings: &NodeSettings, wanted: &Wanted) -> Option<Metainfo> {
    let known = KnownFiles::read(&crate::settings::state_root(settings).ok()?);
    let folder = match wanted {
        Wanted::Content(content) => known.folder_of_content(*content),
        Wanted::Digits(digits) => known.folder_of_digits(digits),
        Wanted::Name(..) | Wanted::Newest(_) => None,
    }?;
    let metainfo = Metainfo::new(folder.content, folder.collection.length()).ok()?;
    let metainfo = metainfo.with_files(files_of(&folder.collection)).ok()?;
    Some(match riffle::name_of_path(&folder.path) {
        Ok(name) => metainfo.with_name(name),
        Err(_) => metainfo,
    })
}

/// Describes the content that `outboard` proves, without a name.
fn of_outboard(outboard: &Outboard) -> Result<Metainfo, MetainfoError> {
    let layout = outboard.layout();
    let values = (0..layout.pieces()).filter_map(|index| outboard.value(PieceIndex(index)).copied());
    Metainfo::new(outboard.content(), layout.length())?.with_pieces(values.collect())
}

/// Describes what this host's nodes remember as `what`, or what the tracker knows.
async fn of_id_or_name(settings: &Settings, what: &str, screen: &Screen) -> Result<Metainfo> {
    let wanted = target::parse(what)
        .map_err(|error| Stop::usage(format!("\"{what}\": there is no such file, and as a name: {error}")))?;
    let remembered = remembered(settings, &wanted).or_else(|| remembered_folder(settings, &wanted));
    if let Some(metainfo) = remembered {
        return Ok(metainfo);
    }
    let mut swarms = swarms::of(settings)?;
    if swarms.len() > 1 {
        let (which, notes) = swarms::locate(&swarms, &[(wanted.clone(), None)], false).await?;
        screen.notes(&notes);
        swarms.swap(0, which);
    }
    let settings = &swarms.swap_remove(0).settings;
    let mut query = tracker_query(settings)?;
    let (found, end) = query.ask_once(Question::Meant(wanted.clone())).await?;
    if let Some(tracker) = query.take_in_the_clear() {
        screen.note(&report::in_the_clear(tracker, true));
    }
    match end {
        InquiryEnd::Answered { .. } => {}
        InquiryEnd::Silent => {
            let words = format!("{what}: there is no such file; {}", query.tracker().gives_no_answer());
            return Err(Stop::new(ExitCode::TrackerUnreachable, words).into());
        }
        InquiryEnd::Refused(code) => {
            let why = report::refusal(code).unwrap_or("the tracker refuses to answer");
            return Err(Stop::new(ExitCode::Other, why).into());
        }
    }
    let listed = match choose(&wanted, &found) {
        Choice::Only(listed) | Choice::Before(listed, _) => listed,
        Choice::Nothing => {
            let words = format!("{what}: there is no such file, and nobody shares that");
            return Err(Stop::new(ExitCode::NotFound, words).into());
        }
        Choice::Unclear(_) => {
            let line = |choice: &str| format!("riffle info {}", crate::shell_words::quote(choice));
            screen.errors(&report::ambiguity(what, &found, false, line));
            return Err(Stop::usage(format!("{what}: several contents are called so")).into());
        }
    };
    let mut metainfo = of_listed(listed)?;
    // A shorter content is no folder.
    if listed.length >= INDEX_HEADER as u64 {
        let Answer { index, tracker } =
            ask(settings, listed.content.into(), Some(inside::IN_PASSING)).await?;
        match index {
            Ok(ContentIndex { folder: Some(folder), .. }) => {
                metainfo = metainfo.with_files(files_of(&folder))?;
            }
            Ok(ContentIndex { folder: None, .. }) => {}
            Err(why) => screen.notes(&inside::failure(what, &why, &tracker, LIST_FILES)),
        }
    }
    if metainfo.pieces().is_none() {
        screen.note(
            "the values of its pieces are missing: the tracker does not know them, a copy of the file does",
        );
    }
    Ok(metainfo)
}

/// Describes a content from its row in the tracker's list. The id of a content of one piece is the value of that.
fn of_listed(listed: &Listed) -> Result<Metainfo, MetainfoError> {
    let metainfo = Metainfo::new(listed.content, listed.length)?.with_name(listed.name.clone());
    match metainfo.layout().pieces() {
        0 => metainfo.with_pieces(Vec::new()),
        1 => metainfo.with_pieces(vec![*listed.content.as_bytes()]),
        _ => Ok(metainfo),
    }
}

/// The description for people.
fn lines(metainfo: &Metainfo) -> Vec<String> {
    let layout = metainfo.layout();
    let id: ContentId = metainfo.id();
    let mut lines = Vec::new();
    lines.extend(metainfo.name().map(|name| format!("name: {name}")));
    lines.push(format!("length: {} ({} bytes)", size(layout.length()), layout.length()));
    lines.push(format!("id: {id}"));
    lines.push(format!("pieces: {} of {}", layout.pieces(), size(layout.piece_size().into())));
    if let Some(files) = metainfo.files() {
        lines.push(format!("files: {}", files.len()));
        lines.extend(tree::top(files.iter().map(|file| (file.path().as_str(), file.entry().length))));
    }
    lines.extend(metainfo.trackers().iter().map(|tracker| format!("tracker: {tracker}")));
    lines
}
