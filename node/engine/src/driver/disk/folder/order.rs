//! What of a folder is to be fetched. That is known in two steps, since the index tells which files there are: first its
//! pieces are wanted, and then those of the chosen files which are not here already.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use messages::collection::{Collection, INDEX_HEADER, index_length_of};
use messages::{Layout, Outboard, PieceIndex, PieceRun};
use riffle_core::{DiskError, DiskErrorKind, FetchPlan, Preview, WantedPieces};

use super::selection::Selection;
use super::update::{UpdateOrder, UpdatePlan};
use crate::driver::disk::errors::{disk_error, error};
use crate::driver::disk::hash::scan::StopFlag;

/// The number of bytes of a content that are looked at first: they say how long its index is, and are all of a small one.
const BEGINNING: u32 = 4096;

/// What a person wants of a folder, unless that is all of it in a place where nothing is.
#[derive(Debug)]
pub(crate) struct FolderOrder {
    target: PathBuf,
    /// Which files are wanted; `None`: all of them.
    selection: Option<Arc<Selection>>,
    /// Whether a folder at the target is brought up to date.
    update: Option<UpdateOrder>,
    state: Mutex<OrderState>,
}

/// What is known of the folder.
#[derive(Debug)]
enum OrderState {
    /// Pieces of the index: which files there are is not known yet.
    Index(Vec<PieceRun>),
    /// The index as an owner says that it is: the piece with its end is not stored yet.
    Previewed {
        /// The piece with its end.
        end: PieceIndex,
        /// The BLAKE3 of the index.
        index: blake3::Hash,
        /// How the folder is brought up to date, if that is the index.
        update: Arc<UpdatePlan>,
    },
    /// The index, and how a folder that stands at the target is brought up to date, if one is.
    Files(Option<Arc<UpdatePlan>>),
}

/// Where the bytes of a part file are read, and which pieces it has.
pub(crate) trait StoredPieces {
    /// Whether the piece is stored.
    fn has(&self, piece: PieceIndex) -> bool;
    /// Fills `bytes` from `offset` on.
    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
}

/// What making a plan looks at besides the pieces that are stored.
pub(crate) struct Planning<'a> {
    /// What proves the pieces.
    pub(crate) outboard: &'a Outboard,
    /// The piece with the end of the index, when it is not stored and the rest of it is of use.
    pub(crate) end_of_index: Option<PieceIndex>,
    /// Raised when nobody wants the plan any more.
    pub(crate) stop: &'a StopFlag,
    /// Called now and then while the plan is made, with a plan that adds nothing: it says that the work goes on.
    pub(crate) on_progress: &'a (dyn Fn(FetchPlan) + Sync),
}

impl FolderOrder {
    /// The order for the folder at `target`; `None` when there is nothing to be known of it before all is fetched.
    pub(crate) fn new(
        target: &Path,
        selection: Option<Arc<Selection>>,
        update: Option<UpdateOrder>,
    ) -> Option<FolderOrder> {
        let is_special = selection.is_some() || update.is_some();
        let (target, state) = (target.to_owned(), Mutex::new(OrderState::Index(Vec::new())));
        is_special.then_some(FolderOrder { target, selection, update, state })
    }

    /// Which files are wanted; `None`: all of them.
    pub(crate) fn selection(&self) -> Option<&Selection> {
        self.selection.as_deref()
    }

    /// How the folder at the target is brought up to date, once that is known and if it is.
    pub(crate) fn update(&self) -> Option<Arc<UpdatePlan>> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            OrderState::Index(_) => None,
            OrderState::Previewed { update, .. } => Some(update.clone()),
            OrderState::Files(update) => update.clone(),
        }
    }

    /// What is wanted, as far as that follows from what is stored: first the pieces of the index, then those of the
    /// files too. `None` when that is the same as the last time.
    ///
    /// # Errors
    /// Why nothing can be chosen, or the folder at the target cannot be brought up to date.
    pub(crate) fn newly_planned(
        &self,
        stored: &(impl StoredPieces + Sync),
        planning: &Planning<'_>,
    ) -> Result<Option<FetchPlan>, DiskError> {
        let layout = planning.outboard.layout();
        // Who comes second waits for the plan that the first one makes.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.settle_preview(&mut state, layout, stored)? {
            return Ok(None);
        }
        let OrderState::Index(known) = &*state else { return Ok(None) };
        let of_index = self.index_pieces(layout, stored)?;
        let Some(length) =
            of_index.length.filter(|_| of_index.pieces.iter().all(|run| has_all(stored, *run)))
        else {
            let (pieces, preview) = self.next_of_index(of_index, layout, stored);
            let is_news = pieces != *known;
            *state = OrderState::Index(pieces.clone());
            return Ok(is_news.then(|| FetchPlan { preview, ..only(pieces) }));
        };
        let folder = self.chosen(length, layout, stored)?;
        let index = of_index.pieces.iter().flat_map(|run| run.iter());
        let (plan, update) = match &self.update {
            None => {
                let spans = (0..folder.entries().len()).filter_map(|entry| folder.span(entry));
                let of_files = spans.filter_map(|span| run_of(layout, span)).flat_map(PieceRun::iter);
                (only(PieceRun::runs_of(index.chain(of_files).collect::<BTreeSet<_>>())), None)
            }
            Some(order) => {
                let nothing_new = || (planning.on_progress)(only(of_index.pieces.clone()));
                let (update, fetched, known) =
                    UpdatePlan::make(order, folder, stored, planning, &nothing_new)?;
                let wanted = PieceRun::runs_of(index.chain(fetched).collect::<BTreeSet<_>>());
                (FetchPlan { known, ..only(wanted) }, Some(Arc::new(update)))
            }
        };
        *state = OrderState::Files(update);
        Ok(Some(plan))
    }

    /// What follows from `bytes`, the first of `piece`, if they are what they seem to be; `None` when they make no sense,
    /// or nothing follows before they are proven.
    pub(crate) fn previewed(
        &self,
        stored: &(impl StoredPieces + Sync),
        planning: &Planning<'_>,
        (piece, bytes): (PieceIndex, &[u8]),
    ) -> Option<FetchPlan> {
        let order = self.update.as_ref()?;
        let layout = planning.outboard.layout();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let OrderState::Index(_) = &*state else { return None };
        let start = layout.span(piece)?.start;
        let seen = SeenPieces { stored, piece, start, bytes };
        let of_index = self.index_pieces(layout, &seen).ok()?;
        let length = of_index.length?;
        if length > start + bytes.len() as u64 {
            let (pieces, preview) = self.next_of_index(of_index, layout, stored);
            *state = OrderState::Index(pieces.clone());
            return Some(FetchPlan { preview, ..only(pieces) });
        }
        let index = blake3::hash(&index_of(&seen, length).ok()?);
        let folder = self.chosen(length, layout, &seen).ok()?;
        let nothing_new = || (planning.on_progress)(only(of_index.pieces.clone()));
        // What is wrong with the folder is said when the index is proven.
        let (update, fetched, known) =
            UpdatePlan::make(order, folder, stored, planning, &nothing_new).ok()?;
        let pieces = of_index.pieces.iter().flat_map(|run| run.iter()).chain(fetched);
        let wanted = PieceRun::runs_of(pieces.collect::<BTreeSet<_>>());
        *state = OrderState::Previewed { end: piece, index, update: Arc::new(update) };
        Some(FetchPlan { known, ..only(wanted) })
    }

    /// Believes the index that was previewed, once the piece with its end is stored and the index is that one. Returns
    /// whether there is nothing to be planned for now.
    fn settle_preview(
        &self,
        state: &mut OrderState,
        layout: Layout,
        stored: &impl StoredPieces,
    ) -> Result<bool, DiskError> {
        let OrderState::Previewed { end, index, update } = &*state else { return Ok(false) };
        if !stored.has(*end) {
            return Ok(true);
        }
        let length = self.index_pieces(layout, stored)?.length.unwrap_or(0);
        let proven = index_of(stored, length).map_err(|cause| disk_error(&self.target, &cause))?;
        let is_right = blake3::hash(&proven) == *index;
        // Whoever has sent another index has lied: nothing of what followed from that counts.
        *state = match is_right {
            true => OrderState::Files(Some(update.clone())),
            false => OrderState::Index(Vec::new()),
        };
        Ok(is_right)
    }

    /// Which pieces of the index are wanted next, and which bytes are to be seen before the rest of their piece is
    /// fetched. When a folder is brought up to date, the bytes behind the index may be here.
    fn next_of_index(
        &self,
        of_index: IndexPieces,
        layout: Layout,
        stored: &impl StoredPieces,
    ) -> (Vec<PieceRun>, Option<Preview>) {
        if self.update.is_none() {
            return (of_index.pieces, None);
        }
        let Some(length) = of_index.length else {
            return (of_index.pieces, Some(Preview { piece: PieceIndex(0), length: BEGINNING }));
        };
        let size = u64::from(layout.piece_size());
        let (end, rest) = (PieceIndex((length / size) as u32), (length % size) as u32);
        match run_of(layout, 0..length - u64::from(rest)) {
            Some(whole) if !has_all(stored, whole) => (vec![whole], None),
            _ => (of_index.pieces, (rest > 0).then_some(Preview { piece: end, length: rest })),
        }
    }

    /// The chosen entries of the folder, whose index has so many bytes.
    fn chosen(
        &self,
        index_length: u64,
        layout: Layout,
        stored: &impl StoredPieces,
    ) -> Result<Collection, DiskError> {
        let index = index_of(stored, index_length).map_err(|cause| disk_error(&self.target, &cause))?;
        let folder = Collection::decode(&index).map_err(|why| self.other(&why.to_string()))?;
        if folder.length() != layout.length() {
            return Err(self.other("is a folder whose files are longer or shorter than they are said to be"));
        }
        let Some(selection) = &self.selection else { return Ok(folder) };
        let chosen = folder.chosen(|entry| selection.has(entry));
        if chosen.entries().is_empty() {
            return Err(self.other("nothing in the folder is named by what was selected"));
        }
        Ok(chosen)
    }

    /// The pieces of the index, as far as they are known: the first one says how long it is.
    fn index_pieces(&self, layout: Layout, stored: &impl StoredPieces) -> Result<IndexPieces, DiskError> {
        if !stored.has(PieceIndex(0)) {
            let pieces = run_of(layout, 0..1).into_iter().collect();
            return Ok(IndexPieces { pieces, length: None });
        }
        let mut header = [0; INDEX_HEADER];
        let header = &mut header[..(layout.length() as usize).min(INDEX_HEADER)];
        stored.read(header, 0).map_err(|cause| disk_error(&self.target, &cause))?;
        let length = index_length_of(header, layout.length()).ok_or_else(|| match self.update {
            None => self.other("it is one file, and what is selected are files of a folder"),
            // A file never takes the place of a folder.
            Some(_) => error(&self.target, DiskErrorKind::InTheWay),
        })?;
        Ok(IndexPieces { pieces: run_of(layout, 0..length).into_iter().collect(), length: Some(length) })
    }

    fn other(&self, why: &str) -> DiskError {
        error(&self.target, DiskErrorKind::Other(why.to_owned()))
    }
}

/// The pieces of an index.
struct IndexPieces {
    pieces: Vec<PieceRun>,
    /// Bytes of the index; `None` while its first piece is not there.
    length: Option<u64>,
}

/// The pieces that are stored, and the first bytes of another one.
struct SeenPieces<'a, S> {
    stored: &'a S,
    piece: PieceIndex,
    /// Where the piece begins in the content.
    start: u64,
    bytes: &'a [u8],
}

impl<S: StoredPieces> StoredPieces for SeenPieces<'_, S> {
    fn has(&self, piece: PieceIndex) -> bool {
        piece == self.piece || self.stored.has(piece)
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let before = self.start.saturating_sub(offset).min(bytes.len() as u64) as usize;
        let (stored, seen) = bytes.split_at_mut(before);
        if !stored.is_empty() {
            self.stored.read(stored, offset)?;
        }
        let from = offset.saturating_sub(self.start) as usize;
        let known = self.bytes.get(from..from.saturating_add(seen.len()));
        seen.copy_from_slice(known.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// The index, which has so many bytes.
fn index_of(stored: &impl StoredPieces, length: u64) -> io::Result<Vec<u8>> {
    let mut index = vec![0; length as usize];
    stored.read(&mut index, 0)?;
    Ok(index)
}

fn has_all(stored: &impl StoredPieces, run: PieceRun) -> bool {
    run.iter().all(|piece| stored.has(piece))
}

/// A plan that wants these pieces and says nothing else.
fn only(pieces: Vec<PieceRun>) -> FetchPlan {
    FetchPlan { wanted: WantedPieces::Only(pieces), ..FetchPlan::of_all(Vec::new()) }
}

/// The pieces that have the bytes `span` of the content.
pub(super) fn run_of(layout: Layout, span: Range<u64>) -> Option<PieceRun> {
    let size = u64::from(layout.piece_size());
    let (first, end) = ((span.start / size) as u32, span.end.div_ceil(size) as u32);
    PieceRun::between(PieceIndex(first), PieceIndex(end))
}

#[cfg(test)]
mod tests {
    use messages::collection::{Entry, EntryKind, EntryPath, FileEntry};

    use super::*;

    const PIECE: u64 = 256 << 10;

    /// A part file in memory.
    struct Part {
        bytes: Vec<u8>,
        stored: BTreeSet<u32>,
    }

    impl StoredPieces for Part {
        fn has(&self, piece: PieceIndex) -> bool {
            self.stored.contains(&piece.0)
        }

        fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
            let at = offset as usize;
            bytes.copy_from_slice(&self.bytes[at..at + bytes.len()]);
            Ok(())
        }
    }

    fn folder(files: &[(&str, u64)]) -> (Collection, Part, Layout) {
        let entry = |(path, length): &(&str, u64)| Entry {
            path: EntryPath::new(*path).expect("a path"),
            kind: EntryKind::File(FileEntry {
                length: *length,
                hash: [0; 32],
                is_executable: false,
                modified: None,
            }),
        };
        let folder = Collection::new(files.iter().map(entry).collect()).expect("a folder");
        let mut bytes = folder.index();
        bytes.resize(folder.length() as usize, 0);
        let layout = Layout::of(folder.length()).expect("not too long");
        (folder, Part { bytes, stored: BTreeSet::new() }, layout)
    }

    fn order(patterns: &[&str]) -> FolderOrder {
        let patterns: Vec<_> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let selection = Selection::new(&patterns).expect("patterns").map(Arc::new);
        FolderOrder::new(Path::new("f"), selection, None).expect("patterns")
    }

    fn planned(order: &FolderOrder, layout: Layout, part: &Part) -> Result<Option<FetchPlan>, DiskErrorKind> {
        let outboard = Outboard::imagined(layout, "a folder");
        let (stop, on_progress) = (StopFlag::default(), |_| {});
        let planning =
            Planning { outboard: &outboard, end_of_index: None, stop: &stop, on_progress: &on_progress };
        order.newly_planned(part, &planning).map_err(|error| error.kind)
    }

    fn wanted(order: &FolderOrder, layout: Layout, part: &Part) -> Option<Vec<(u32, u32)>> {
        planned(order, layout, part).expect("a folder").map(|plan| match plan.wanted {
            WantedPieces::Only(runs) => runs.iter().map(|run| (run.start().0, run.end().0)).collect(),
            WantedPieces::All => panic!("not all of it"),
        })
    }

    #[test]
    fn the_index_is_wanted_first_and_then_the_pieces_of_the_chosen_files() {
        let (_, mut part, layout) =
            folder(&[("a", 4 * PIECE), ("b", 4 * PIECE), ("c/d", 3 * PIECE), ("e", 9)]);
        let chosen = order(&["b", "c"]);
        let wanted = |part: &Part| wanted(&chosen, layout, part);
        assert_eq!(wanted(&part), Some(vec![(0, 1)]));
        assert_eq!(wanted(&part), None, "that is known");
        part.stored.insert(0);
        assert_eq!(wanted(&part), Some(vec![(0, 1), (4, 12)]));
        part.stored.insert(4);
        assert_eq!(wanted(&part), None);
    }

    #[test]
    fn a_long_index_is_fetched_whole_before_anything_is_chosen() {
        let names: Vec<String> = (0..8000).map(|number| format!("{number:0>40}")).collect();
        let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 100)).collect();
        let (folder, mut part, layout) = folder(&files);
        assert!(folder.index_length() > PIECE);
        let chosen = order(&["*7999"]);
        let wanted = |part: &Part| wanted(&chosen, layout, part);
        assert_eq!(wanted(&part), Some(vec![(0, 1)]));
        part.stored.insert(0);
        assert_eq!(wanted(&part), Some(vec![(0, 2)]));
        part.stored.insert(1);
        let last = layout.pieces() - 1;
        assert_eq!(wanted(&part), Some(vec![(0, 2), (last, last + 1)]));
    }

    #[test]
    fn what_cannot_be_chosen_from_says_why() {
        let (_, mut part, layout) = folder(&[("a", 1)]);
        part.stored.insert(0);
        let why = |part: &Part| match planned(&order(&["b"]), layout, part) {
            Err(DiskErrorKind::Other(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(why(&part).contains("nothing in the folder"), "{}", why(&part));
        part.bytes[0] ^= 1;
        assert!(why(&part).contains("one file"), "{}", why(&part));
    }
}
