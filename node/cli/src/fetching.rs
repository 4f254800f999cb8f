//! The downloads that a person asked for, from what was typed to how each ended.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use messages::NodeId;
use riffle::{
    Destination, Download, DownloadId, DownloadReader, DownloadRequest, Event, Failure, SessionEnd,
    TrackerStatus, Waiting, Wanted, destination_of_path,
};

use crate::exit::ExitCode;
use crate::report::{self, FailureContext, Place};
use crate::screen::Screen;
use crate::target;

/// At most this many lines say that one owner is lost for the same reason, for all downloads together.
const MAX_LINES_PER_OWNER: u32 = 3;
/// At most this many lines say that owners are lost.
const MAX_LOST_LINES: u32 = 32;
/// At most this many bad pieces of one download are said; the log has all.
const MAX_BAD_PIECES_SAID: u32 = 8;

/// The downloads that are not over, and the first exit code that a failed one asks for.
#[derive(Debug)]
pub(crate) struct Fetching {
    place: Place,
    running: BTreeMap<DownloadId, RunningDownload>,
    code: ExitCode,
    done: usize,
    /// The folders that were said to have no locks.
    without_locks: BTreeSet<PathBuf>,
    /// The files that were said to be complete.
    arrived: BTreeSet<PathBuf>,
    lost: LostOwners,
    output: Output,
}

/// Where what is fetched goes in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Output {
    /// To where it is saved.
    #[default]
    Saved,
    /// To the standard output, from a spooled file.
    Stdout,
    /// Nowhere: a spooled file is all that there ever is.
    Nowhere,
}

impl Output {
    /// What a person means by `-o output`.
    pub(crate) fn of(output: Option<&Path>) -> Output {
        match output {
            Some(path) if path == Path::new("-") => Output::Stdout,
            Some(path) if path == Path::new("/dev/null") => Output::Nowhere,
            _ => Output::Saved,
        }
    }
}

/// What was said of lost owners. One owner may be lost for thousands of downloads at once.
#[derive(Debug, Default)]
struct LostOwners {
    /// How often it was said that an owner is lost for a reason.
    said: BTreeMap<(NodeId, SessionEnd), u32>,
    /// How many lines were said of all owners.
    lines: u32,
}

impl LostOwners {
    /// Counts a line about a lost owner. Returns `line`, with what follows if it is the last one; `None`: there were
    /// too many.
    fn count_line(&mut self, owner: NodeId, why: SessionEnd, line: String) -> Option<String> {
        let of_owner = self.said.entry((owner, why)).or_default();
        if *of_owner == MAX_LINES_PER_OWNER || self.lines == MAX_LOST_LINES {
            return None;
        }
        *of_owner += 1;
        self.lines += 1;
        Some(match () {
            () if self.lines == MAX_LOST_LINES => format!("{line}; of further owners the log tells"),
            () if *of_owner == MAX_LINES_PER_OWNER => {
                format!("{line}; of further files with that owner the log tells")
            }
            () => line,
        })
    }
}

/// One download that is not over.
#[derive(Debug)]
struct RunningDownload {
    /// The library's handle, which lets a program that missed events catch up; `None`: a test.
    download: Option<Download>,
    label: String,
    /// What the download waits for, as was last said.
    said: Option<Waiting>,
    /// Whether the disk has verified pieces of the download.
    has_some: bool,
    bad_pieces: u32,
    /// The reason for which each owner was last said to be lost, so that an owner that is lost again and again is said
    /// once.
    lost: BTreeMap<NodeId, SessionEnd>,
}

impl RunningDownload {
    fn new(label: String) -> RunningDownload {
        RunningDownload {
            download: None,
            label,
            said: None,
            has_some: false,
            bad_pieces: 0,
            lost: BTreeMap::new(),
        }
    }

    /// Takes in that a piece did not verify. Returns what a person should know of that.
    fn on_bad_piece(&mut self, piece: impl std::fmt::Display) -> Option<String> {
        self.bad_pieces = self.bad_pieces.saturating_add(1);
        let what = format!("{}: piece {piece} did not verify and is fetched again", self.label);
        match self.bad_pieces.cmp(&MAX_BAD_PIECES_SAID) {
            Ordering::Less => Some(what),
            Ordering::Equal => Some(format!("{what}; of further ones the log tells")),
            Ordering::Greater => None,
        }
    }

    /// Takes in that an owner is lost. Returns what a person should know of that, unless it was said before.
    fn on_owner_lost(&mut self, owner: NodeId, peer: SocketAddr, why: SessionEnd) -> Option<String> {
        let is_path_said =
            matches!(self.said, Some(Waiting::NoSignOfLife { .. } | Waiting::ShortPath { .. }));
        if is_path_said && why == SessionEnd::NoAnswer {
            return None;
        }
        let line = report::owner_lost(&self.label, owner, peer, why)?;
        (self.lost.insert(owner, why) != Some(why)).then_some(line)
    }
}

impl Fetching {
    /// No downloads yet; `place`: where the person reads about them.
    pub(crate) fn new(place: Place) -> Fetching {
        Fetching {
            place,
            running: BTreeMap::new(),
            code: ExitCode::Done,
            done: 0,
            without_locks: BTreeSet::new(),
            arrived: BTreeSet::new(),
            lost: LostOwners::default(),
            output: Output::Saved,
        }
    }

    /// The same, of downloads that go to `output`.
    pub(crate) fn to(self, output: Output) -> Fetching {
        Fetching { output, ..self }
    }

    /// Begins to download `wanted` as `request` says.
    pub(crate) fn begin(&mut self, wanted: &Wanted, request: DownloadRequest) -> DownloadId {
        let download = request.start();
        let id = download.id();
        self.running.insert(
            id,
            RunningDownload { download: Some(download), ..RunningDownload::new(target::label(wanted)) },
        );
        id
    }

    /// Reads a download that is not over while it arrives.
    pub(crate) fn reader(&self, download: DownloadId) -> Option<DownloadReader> {
        Some(self.running.get(&download)?.download.as_ref()?.reader())
    }

    /// Takes in an event. Says on `screen` what a person should know. `tracker`: the tracker that knows the owners now.
    pub(crate) fn on_event(&mut self, event: &Event, tracker: &TrackerStatus, screen: &Screen) {
        match event {
            Event::DownloadIdentified { download, name, .. } => {
                if let Some(download) = self.running.get_mut(download) {
                    download.label = name.to_string();
                }
            }
            Event::DownloadPrefers { download, taken, others, more } => {
                if let Some(download) = self.running.get(download) {
                    let command = self.place.download();
                    screen.note(&report::prefers(&download.label, (taken, others), *more, command));
                }
            }
            Event::DownloadResumed { download, have_bytes, hashed_again } => {
                if let Some(download) = self.running.get_mut(download) {
                    download.has_some |= *have_bytes > 0;
                    screen.note(&report::resumed(&download.label, *have_bytes, *hashed_again));
                }
            }
            Event::WithoutLocks { folder, elsewhere } if self.without_locks.insert(folder.clone()) => {
                screen.note(&report::without_locks(folder, *elsewhere));
            }
            Event::PieceVerified { download, .. } => {
                if let Some(download) = self.running.get_mut(download) {
                    download.has_some = true;
                }
            }
            Event::DownloadWaits { download, why } => self.on_wait(*download, why, screen),
            Event::PieceRejected { download, piece, .. } => {
                let download = self.running.get_mut(download);
                download
                    .and_then(|download| download.on_bad_piece(piece))
                    .iter()
                    .for_each(|line| screen.note(line));
            }
            Event::OwnerLost { download, owner, peer, why } => {
                let download = self.running.get_mut(download);
                let line = download.and_then(|download| download.on_owner_lost(*owner, *peer, *why));
                let line = line.and_then(|line| self.lost.count_line(*owner, *why, line));
                line.iter().for_each(|line| screen.note(line));
            }
            Event::DownloadRenamed { renamed, .. } => screen.notes(&report::renamed(renamed)),
            Event::DownloadDone { download, path, summary } => {
                let Some(RunningDownload { label, .. }) = self.running.remove(download) else { return };
                self.done += 1;
                if self.output != Output::Saved {
                    // A spooled file has no path that means anything, and the standard output may be for its bytes.
                    return screen.note(&report::summary(Path::new(&label), summary));
                }
                // The same content may have been asked for twice in one command.
                let is_new = self.arrived.insert(path.clone());
                if is_new || !summary.already_there || self.place == Place::Prompt {
                    screen.result(&report::summary(path, summary));
                }
            }
            Event::DownloadFailed { download, why } => {
                if let Some(download) = self.running.remove(download)
                    && !(matches!(why, Failure::Doubled { .. }) && self.place == Place::OneShot)
                {
                    self.on_failure(&download, why, tracker, screen);
                }
            }
            _ => {}
        }
    }

    /// Whether all downloads are over.
    pub(crate) fn is_over(&self) -> bool {
        self.running.is_empty()
    }

    /// How many downloads are complete.
    pub(crate) fn done(&self) -> usize {
        self.done
    }

    /// The exit code of the first download that failed.
    pub(crate) fn code(&self) -> ExitCode {
        self.code
    }

    /// Whether the disk has verified pieces of a download that is not over.
    pub(crate) fn has_some(&self) -> bool {
        self.running.values().any(|download| download.has_some)
    }

    /// The labels of the downloads that are not over.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.running.values().map(|download| download.label.as_str())
    }

    fn on_wait(&mut self, download: DownloadId, why: &Waiting, screen: &Screen) {
        let Some(download) = self.running.get_mut(&download) else { return };
        if !report::is_news(why) {
            // A reason that was said before is news again once pieces have arrived in between.
            if *why == Waiting::Nothing {
                download.said = None;
            }
            return;
        }
        if !download.said.as_ref().is_some_and(|said| why.is_still(said)) {
            if let Some(words) = report::news(why) {
                screen.note(&format!("{}: {words}", download.label));
            }
            download.said = Some(why.clone());
        }
    }

    fn on_failure(
        &mut self,
        download: &RunningDownload,
        why: &Failure,
        tracker: &TrackerStatus,
        screen: &Screen,
    ) {
        let RunningDownload { label, has_some, .. } = download;
        let context = FailureContext {
            place: self.place,
            tracker,
            // A spooled file is gone with the program.
            has_some: *has_some && self.output == Output::Saved,
            waited: download.said.as_ref(),
        };
        for line in report::failure(label, why, &context) {
            screen.error(&line);
        }
        // A download that a command cancelled has not failed.
        let is_asked_for = self.place == Place::Prompt && *why == Failure::Cancelled;
        if self.code == ExitCode::Done && !is_asked_for {
            self.code = ExitCode::of_failure(why);
        }
    }
}

/// Where a download is saved that was told `-o output`. Without that it is saved in `folder`, where relative paths
/// start too.
pub(crate) fn destination(output: Option<&Path>, folder: &Path) -> Destination {
    match output {
        Some(output) => destination_of_path(folder.join(output)),
        None => Destination::Folder(folder.to_owned()),
    }
}

/// The request with what becomes of what exists where it is saved: `--force`, and `--update` with `--delete`.
pub(crate) fn over_what_exists(
    request: DownloadRequest,
    force: bool,
    (update, delete): (bool, bool),
) -> DownloadRequest {
    if update || delete { request.update(delete) } else { request.replace(force) }
}

/// What is wrong with `-o output` for `files` files; `None`: nothing.
pub(crate) fn objection(output: Option<&Path>, folder: &Path, files: usize) -> Option<&'static str> {
    if output == Some(Path::new("-")) {
        return Some(
            "-o - would be the standard output, which is the prompt's; a file of that name is -o ./-",
        );
    }
    let is_one_path = matches!(destination(output, folder), Destination::File(_));
    (files > 1 && is_one_path)
        .then_some("-o must be a folder for several files: one that is there, or with a / at its end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_a_folder_when_it_is_one_or_is_written_like_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path();
        std::fs::create_dir(here.join("sub")).expect("made");
        assert_eq!(destination(None, here), Destination::Folder(here.to_owned()));
        assert_eq!(destination(Some(Path::new("sub")), here), Destination::Folder(here.join("sub")));
        assert_eq!(destination(Some(Path::new("new/")), here), Destination::Folder(here.join("new/")));
        assert_eq!(destination(Some(Path::new("file")), here), Destination::File(here.join("file")));
    }

    #[test]
    fn the_first_failure_decides_the_exit_code() {
        let download = |label: &str| RunningDownload::new(label.to_owned());
        let tracker = TrackerStatus::at(SocketAddr::from(([10, 0, 0, 1], 1)));
        let mut fetching = Fetching::new(Place::OneShot);
        fetching.running = BTreeMap::from([(DownloadId(1), download("a")), (DownloadId(2), download("b"))]);
        let failed = |number, why| Event::DownloadFailed { download: DownloadId(number), why };
        fetching.on_event(&failed(2, Failure::NoOwner), &tracker, &Screen::Nowhere);
        fetching.on_event(&failed(7, Failure::OnlyHere), &tracker, &Screen::Nowhere);
        assert!(!fetching.is_over());
        fetching.on_event(&failed(1, Failure::NotFound), &tracker, &Screen::Nowhere);
        assert!(fetching.is_over());
        assert_eq!((fetching.code(), fetching.done()), (ExitCode::NoOwner, 0));
    }

    #[test]
    fn what_goes_wrong_again_and_again_is_not_told_each_time() {
        let mut download = RunningDownload::new("f".to_owned());
        let pieces: Vec<String> = (0..100).filter_map(|piece| download.on_bad_piece(piece)).collect();
        assert_eq!(pieces.len(), 8);
        assert_eq!(pieces[6], "f: piece 6 did not verify and is fetched again");
        assert_eq!(
            pieces[7],
            "f: piece 7 did not verify and is fetched again; of further ones the log tells"
        );
        let peer = SocketAddr::from(([10, 0, 0, 1], 1));
        let mut said = |why| download.on_owner_lost(NodeId::from_bytes([1; 16]), peer, why).is_some();
        let ends = [SessionEnd::BadPieces, SessionEnd::BadPieces, SessionEnd::Silent, SessionEnd::BadPieces];
        assert_eq!(ends.map(&mut said), [true, false, true, true]);
        assert!(!said(SessionEnd::Done), "the usual end is not told");
    }

    #[test]
    fn an_owner_that_is_lost_for_thousands_of_downloads_has_a_few_lines() {
        let mut lost = LostOwners::default();
        let node = |byte| NodeId::from_bytes([byte; 16]);
        let mut said = |byte, why, number: u32| lost.count_line(node(byte), why, format!("f{number}"));
        let lines: Vec<String> =
            (0..5000).filter_map(|number| said(1, SessionEnd::NoAnswer, number)).collect();
        assert_eq!(lines, ["f0", "f1", "f2; of further files with that owner the log tells"]);
        assert_eq!(said(1, SessionEnd::Silent, 7), Some("f7".to_owned()), "that is another reason");
        let more: Vec<String> = (2..=255).filter_map(|byte| said(byte, SessionEnd::NoAnswer, 9)).collect();
        assert_eq!((more.len(), more[27].as_str()), (28, "f9; of further owners the log tells"));
    }

    #[test]
    fn several_files_go_into_a_folder_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let objects =
            |output: &str, files| objection(Some(Path::new(output)), folder.path(), files).is_some();
        assert!(objects("c", 2) && !objects("c", 1));
        assert!(!objects("c/", 2) && !objects(".", 2));
        assert_eq!(objection(None, folder.path(), 2), None);
        assert!(objects("-", 1) && !objects("./-", 1), "standard output, and a file");
    }
}
