//! A download that makes a folder, or brings one up to date: what of it is wanted, and what is here already. A file is
//! its number, which stands for its path, and its version, which stands for its bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use messages::{Layout, PieceIndex, PieceRun};
use riffle_core::{FetchPlan, Preview, WantedPieces};

use super::part::PartFile;
use crate::content::{Content, Folder, FolderFile};

/// The number of bytes of the content that are read first: they say how long the index is, and are all of a small one.
const BEGINNING: u32 = 4096;
/// The version of a file that was changed by a person: no content has it.
const CHANGED: u32 = u32::MAX;

/// The files of a folder on a disk, by their numbers.
pub type LocalFolder = BTreeMap<u32, LocalFile>;

/// A file of a folder on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// Which version it is.
    pub version: u32,
    /// Whether a person changes it just after the next download has hashed it.
    pub changes: bool,
}

/// A download that makes a folder of chosen files, or brings a folder up to date.
#[derive(Debug)]
pub(super) struct FolderDownload {
    content: Arc<Content>,
    /// The numbers of the chosen files; `None` means all files.
    chosen: Option<BTreeSet<u32>>,
    /// The pieces of the index that are not stored.
    index_left: BTreeSet<PieceIndex>,
    /// Whether the index was read, so that it is known which files are wanted.
    is_planned: bool,
    /// The files that are here, once the index was read.
    kept: BTreeSet<u32>,
    wanted: BTreeSet<PieceIndex>,
}

impl FolderDownload {
    /// The download of the files of `content` that `select` names by their numbers, or of all, into `part`. Returns the
    /// first plan too.
    pub(super) fn begin(
        content: Arc<Content>,
        select: &[String],
        local: &mut LocalFolder,
        part: &mut PartFile,
    ) -> (FolderDownload, FetchPlan) {
        let chosen = (!select.is_empty())
            .then(|| select.iter().map(|number| number.parse().expect("the number of a file")).collect());
        let folder = folder_of(&content);
        let index: BTreeSet<PieceIndex> = pieces_of(content.outboard.layout(), 0..folder.index).collect();
        let index_left = index.iter().copied().filter(|piece| !part.has_stored(*piece)).collect();
        let (kept, wanted) = (BTreeSet::new(), BTreeSet::new());
        let mut download = FolderDownload { content, chosen, index_left, is_planned: false, kept, wanted };
        let plan =
            if download.index_left.is_empty() { download.plan(local, part) } else { download.index_plan() };
        (download, plan)
    }

    /// What is wanted of the index: first its beginning, which says how long it is, then what is wholly of it, and then
    /// its end, behind which files begin that may be here.
    fn index_plan(&mut self) -> FetchPlan {
        let (first, size) = (PieceIndex(0), self.content.outboard.layout().piece_size());
        let index = folder_of(&self.content).index;
        let whole = (index / u64::from(size)) as u32;
        let end = ((index % u64::from(size)) as u32 > 0).then_some(PieceIndex(whole));
        let is_new = self.wanted.insert(first);
        let preview = if is_new && self.index_left.contains(&first) {
            Some(Preview { piece: first, length: BEGINNING })
        } else {
            self.wanted.extend((0..whole).map(PieceIndex));
            let is_end_next = self.index_left.iter().all(|piece| Some(*piece) == end);
            let end = end.filter(|_| is_end_next);
            self.wanted.extend(end);
            end.map(|piece| Preview { piece, length: (index % u64::from(size)) as u32 })
        };
        let wanted = WantedPieces::Only(PieceRun::runs_of(self.wanted.iter().copied()));
        FetchPlan { wanted, preview, ..FetchPlan::of_all(Vec::new()) }
    }

    /// What follows from the first `length` bytes of `piece`, which are right.
    pub(super) fn on_preview(
        &mut self,
        piece: PieceIndex,
        length: u32,
        local: &mut LocalFolder,
        part: &mut PartFile,
    ) -> FetchPlan {
        let start = u64::from(piece.0) * u64::from(self.content.outboard.layout().piece_size());
        if start + u64::from(length) < folder_of(&self.content).index {
            return self.index_plan();
        }
        assert!(self.index_left.iter().all(|left| *left == piece), "the end of an index is read last");
        self.plan(local, part)
    }

    /// Whether all of the content is wanted.
    pub(super) fn is_of_all(&self) -> bool {
        self.chosen.is_none()
    }

    /// Records that `piece` is about to be stored. Returns what follows from the index, as far as it is here now.
    pub(super) fn on_store(
        &mut self,
        piece: PieceIndex,
        local: &mut LocalFolder,
        part: &mut PartFile,
    ) -> Option<FetchPlan> {
        if !self.index_left.remove(&piece) || self.is_planned {
            return None;
        }
        Some(if self.index_left.is_empty() { self.plan(local, part) } else { self.index_plan() })
    }

    /// Whether every piece that is wanted is stored in `part`.
    pub(super) fn is_complete(&self, part: &PartFile) -> bool {
        self.wanted.iter().all(|piece| part.has_stored(*piece))
    }

    /// Whether the bytes of every piece that is wanted are right in `part`.
    pub(super) fn is_right(&self, part: &PartFile) -> bool {
        self.wanted.iter().all(|piece| part.is_right(*piece))
    }

    /// Whether every file that is kept still is what it was when it was hashed.
    pub(super) fn is_kept(&self, local: &LocalFolder) -> bool {
        let folder = folder_of(&self.content);
        folder.files.iter().filter(|file| self.kept.contains(&file.number)).all(|file| is_here(file, local))
    }

    /// Whether the bytes of `range` of `piece`, which were known, still are what they were when they were hashed.
    pub(super) fn is_known(&self, piece: PieceIndex, range: &Range<u32>, local: &LocalFolder) -> bool {
        let start = self.content.outboard.layout().span(piece).expect("a piece of the content").start;
        let range = start + u64::from(range.start)..start + u64::from(range.end);
        let folder = folder_of(&self.content);
        assert!(range.start >= folder.index, "the index is never known before it is stored");
        let touched = folder.files.iter().filter(|file| !overlap(&file.span, &range).is_empty());
        touched.clone().for_each(|file| assert!(self.kept.contains(&file.number), "{file:?} was not here"));
        touched.into_iter().all(|file| is_here(file, local))
    }

    /// What is wanted and here, now that the index was read. What the disk can put together from `local` it stores in
    /// `part`. Files that change after they were hashed change now.
    fn plan(&mut self, local: &mut LocalFolder, part: &mut PartFile) -> FetchPlan {
        let content = self.content.clone();
        let (folder, layout) = (folder_of(&content), content.outboard.layout());
        self.is_planned = true;
        self.wanted.extend(pieces_of(layout, 0..folder.index));
        let is_chosen = |file: &&FolderFile| {
            !file.span.is_empty() && self.chosen.as_ref().is_none_or(|chosen| chosen.contains(&file.number))
        };
        let (kept, fetched): (Vec<_>, Vec<_>) =
            folder.files.iter().filter(is_chosen).partition(|file| is_here(file, local));
        let mut plan = FetchPlan::of_all(Vec::new());
        let mut have = Vec::new();
        self.wanted.extend(fetched.iter().flat_map(|file| pieces_of(layout, file.span.clone())));
        for &piece in self.wanted.iter().filter(|piece| !part.has_stored(**piece)) {
            let span = layout.span(piece).expect("a piece of the content");
            let length = span.end - span.start;
            let known = kept.iter().map(|file| (overlap(&file.span, &span), file));
            let known: Vec<_> = known.filter(|(bytes, _)| !bytes.is_empty()).collect();
            // Of another version at the same place the beginning may be the same.
            let same = fetched.iter().filter(|file| local.contains_key(&file.number)).map(|file| {
                let end = file.span.start + file.changed_from.min(file.span.end - file.span.start);
                (overlap(&(file.span.start..end), &span), file)
            });
            let same: Vec<_> = same.filter(|(bytes, _)| !bytes.is_empty()).collect();
            let sum = |parts: &[(Range<u64>, &&FolderFile)]| {
                parts.iter().map(|(bytes, _)| bytes.end - bytes.start).sum::<u64>()
            };
            let is_right = known
                .iter()
                .chain(&same)
                .all(|(_, file)| local.get(&file.number).is_some_and(|it| !it.changes));
            if sum(&known) + sum(&same) == length && is_right {
                have.push(piece);
            } else if sum(&known) < length {
                for (bytes, _) in &known {
                    let range = (bytes.start - span.start) as u32..(bytes.end - span.start) as u32;
                    plan.known.insert(piece, range);
                }
            }
        }
        self.kept = kept.into_iter().map(|file| file.number).collect();
        have.iter().for_each(|piece| part.put_together(*piece));
        plan.have = PieceRun::runs_of(have);
        plan.wanted = WantedPieces::Only(PieceRun::runs_of(self.wanted.iter().copied()));
        local.values_mut().filter(|file| file.changes).for_each(|file| {
            *file = LocalFile { version: CHANGED, changes: false };
        });
        plan
    }

    /// Puts the files for which `is_put` holds in their places in `local`.
    pub(super) fn apply(&self, local: &mut LocalFolder, mut is_put: impl FnMut() -> bool) {
        let chosen =
            |file: &&FolderFile| self.chosen.as_ref().is_none_or(|chosen| chosen.contains(&file.number));
        for file in folder_of(&self.content).files.iter().filter(chosen) {
            if is_put() {
                local.insert(file.number, LocalFile { version: file.version, changes: false });
            }
        }
    }
}

/// The folder as which all of `content` stands on a disk, if it is one.
pub(super) fn local_folder(content: &Content) -> Option<LocalFolder> {
    let files = content.folder.as_ref()?.files.iter();
    Some(files.map(|file| (file.number, LocalFile { version: file.version, changes: false })).collect())
}

fn folder_of(content: &Content) -> &Folder {
    content.folder.as_ref().expect("only a folder is made or brought up to date")
}

fn is_here(file: &FolderFile, local: &LocalFolder) -> bool {
    local.get(&file.number).is_some_and(|it| it.version == file.version)
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> Range<u64> {
    one.start.max(other.start)..one.end.min(other.end)
}

/// The pieces that have bytes of `span`.
fn pieces_of(layout: Layout, span: Range<u64>) -> impl Iterator<Item = PieceIndex> {
    let size = u64::from(layout.piece_size());
    (span.start / size..span.end.div_ceil(size)).map(|piece| PieceIndex(piece as u32))
}
