//! Which pieces are to be fetched, and what of them is here.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use messages::collection::{Collection, Extent};
use messages::{Layout, PieceIndex, PieceRun, piece_value};
use riffle_core::KnownRanges;

use super::super::order::{Planning, StoredPieces, run_of};
use super::super::parallel;
use super::super::unpack::tree::{Way, split};
use super::sources::Source;
use super::{Stopped, UpdatePlan};
use crate::platform::file_io::read_exact_at;
use crate::platform::folder::Folder;

/// What is to be done with the pieces of the files that are fetched.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// They are fetched, but for those that are stored.
    pub(super) fetched: BTreeSet<PieceIndex>,
    /// What of those is here.
    pub(super) known: KnownRanges,
    /// All of it is here: older versions have these bytes at the same place.
    pub(super) unchanged: BTreeSet<PieceIndex>,
}

/// The bytes of a content that are here, in files of the older version.
pub(super) struct Reader<'a> {
    plan: &'a UpdatePlan,
    way: Way<'a>,
    /// The file that was read last, and the number of its entry.
    open: Option<(usize, File)>,
}

impl<'a> Reader<'a> {
    /// Reads in the folder `top`.
    pub(super) fn new(plan: &'a UpdatePlan, top: &'a Folder) -> Reader<'a> {
        Reader { plan, way: Way::from(top), open: None }
    }

    /// Fills `bytes` with those of the content from `start` on.
    ///
    /// # Errors
    /// `NotFound` when some of them are in no file that is here; the system's.
    pub(super) fn read(&mut self, start: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut rest = bytes;
        let mut at = start;
        let collection = &self.plan.collection;
        for extent in collection.extents(start..start + rest.len() as u64) {
            let entry = extent.entry.ok_or(io::ErrorKind::NotFound)?;
            if start_of(collection, &extent) != at {
                return Err(io::ErrorKind::NotFound.into());
            }
            let (run, behind) = std::mem::take(&mut rest).split_at_mut(extent.length() as usize);
            read_exact_at(self.file(entry)?, run, extent.within.start)?;
            at += extent.length();
            rest = behind;
        }
        if rest.is_empty() { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// The file that has the bytes of the entry.
    fn file(&mut self, entry: usize) -> io::Result<&File> {
        if self.open.as_ref().is_none_or(|(number, _)| *number != entry) {
            let path = self.plan.local_path(entry).ok_or(io::ErrorKind::NotFound)?;
            let (parent, name) = split(path);
            self.open = Some((entry, self.way.enter(parent)?.open_file(name)?));
        }
        Ok(self.open.as_ref().map(|(_, file)| file).expect("it was opened just now, if it was not open"))
    }
}

/// A piece that older versions may have all bytes of.
struct Candidate {
    piece: PieceIndex,
    span: Range<u64>,
    /// Its bytes that are in the index.
    in_index: u64,
}

impl Pieces {
    /// What is to be done with the pieces of the files that `plan` fetches into the folder `top`.
    ///
    /// # Errors
    /// When it was stopped.
    pub(super) fn of(
        plan: &UpdatePlan,
        top: &Folder,
        stored: &(impl StoredPieces + Sync),
        planning: &Planning<'_>,
        on_progress: &(dyn Fn() + Sync),
    ) -> Result<Pieces, Stopped> {
        let layout = planning.outboard.layout();
        let mut pieces = Pieces { fetched: plan.pieces_of_fetched(layout), ..Pieces::default() };
        pieces.fetched.extend(planning.end_of_index);
        let missing = pieces.fetched.iter().copied().filter(|piece| !stored.has(*piece));
        let missing: Vec<PieceIndex> = missing.collect();
        let candidates: Vec<Candidate> = missing
            .iter()
            .filter(|piece| Some(**piece) != planning.end_of_index)
            .filter_map(|piece| plan.candidate(layout, *piece))
            .collect();
        let unchanged = Mutex::new(BTreeSet::new());
        let begin = || (Reader::new(plan, top), Vec::new());
        parallel::each(&candidates, begin, |(reader, buffer), candidate| {
            let Candidate { piece, span, in_index } = candidate;
            buffer.resize((span.end - span.start) as usize, 0);
            let (index, files) = buffer.split_at_mut(*in_index as usize);
            let read = stored.read(index, span.start);
            let read = read.and_then(|()| reader.read(span.start + in_index, files));
            let value = piece_value(layout, *piece, buffer);
            if read.is_ok() && planning.outboard.value(*piece) == Some(&value) {
                unchanged.lock().unwrap_or_else(PoisonError::into_inner).insert(*piece);
            }
            on_progress();
            if planning.stop.is_raised() { Err(Stopped) } else { Ok(()) }
        })?;
        pieces.unchanged = unchanged.into_inner().unwrap_or_else(PoisonError::into_inner);
        for piece in missing {
            if pieces.unchanged.contains(&piece) {
                pieces.fetched.remove(&piece);
                continue;
            }
            let span = layout.span(piece).expect("a piece of a file is one of the content");
            for extent in plan.collection.extents(span.clone()) {
                if plan.is_known(&extent) {
                    let start = (start_of(&plan.collection, &extent) - span.start) as u32;
                    pieces.known.insert(piece, start..start + extent.length() as u32);
                }
            }
        }
        Ok(pieces)
    }
}

impl UpdatePlan {
    /// The pieces of which a file that is fetched has bytes.
    fn pieces_of_fetched(&self, layout: Layout) -> BTreeSet<PieceIndex> {
        let is_fetched = |source: &Option<Source>| matches!(source, Some(Source::Fetched { .. }));
        let fetched = self.sources.iter().enumerate().filter(|(_, source)| is_fetched(source));
        let spans = fetched.filter_map(|(entry, _)| self.collection.span(entry));
        spans.filter_map(|span| run_of(layout, span)).flat_map(PieceRun::iter).collect()
    }

    /// The piece, if older versions may have all bytes of it that are fetched. A file that lies in it as a whole is not
    /// fetched for nothing: its bytes are others.
    fn candidate(&self, layout: Layout, piece: PieceIndex) -> Option<Candidate> {
        let span = layout.span(piece).expect("a piece of a file is one of the content");
        let (mut at, mut in_index) = (span.start, 0);
        for extent in self.collection.extents(span.clone()) {
            if start_of(&self.collection, &extent) != at {
                return None;
            }
            at += extent.length();
            match extent.entry {
                None => in_index = extent.length(),
                Some(entry) => {
                    if let Some(Source::Fetched { older }) = &self.sources[entry] {
                        let file = self.collection.span(entry)?;
                        let has_it = (*older)?.identity.length() >= extent.within.end;
                        if !has_it || extent.length() == file.end - file.start {
                            return None;
                        }
                    }
                }
            }
        }
        (at == span.end).then_some(Candidate { piece, span, in_index })
    }

    /// Whether the bytes are known to be in a file that is here.
    fn is_known(&self, extent: &Extent) -> bool {
        let source = extent.entry.and_then(|entry| self.sources[entry].as_ref());
        matches!(source, Some(Source::Kept(_) | Source::Copied { .. }))
    }
}

/// Where the extent lies in the content.
fn start_of(collection: &Collection, extent: &Extent) -> u64 {
    let start = extent.entry.and_then(|entry| collection.span(entry)).map_or(0, |span| span.start);
    start + extent.within.start
}
