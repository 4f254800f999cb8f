//! The first pieces of a content, in memory, as far as the index of a folder reaches: for who wants to know what is in a
//! content. No file is touched.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use messages::collection::{Collection, CollectionError, index_length_of};
use messages::{ChainingValue, Outboard, PieceIndex, PieceRun, piece_value};
use riffle_core::{DiskError, DiskErrorKind, FetchPlan, StoreError, WantedPieces};

/// The pieces of one index that are here.
#[derive(Debug)]
pub(crate) struct IndexFetch {
    outboard: Arc<Outboard>,
    /// At most so many as an index has: no other is asked for.
    pieces: Mutex<BTreeMap<PieceIndex, Box<[u8]>>>,
}

impl IndexFetch {
    /// Nothing is here yet of the content that `outboard` describes.
    pub(crate) fn new(outboard: Arc<Outboard>) -> IndexFetch {
        IndexFetch { outboard, pieces: Mutex::default() }
    }

    /// What is wanted at first: the piece that says how long the index is, if there is an index.
    pub(crate) fn first_plan(&self) -> FetchPlan {
        self.plan_of(self.outboard.layout().pieces().min(1))
    }

    fn plan_of(&self, count: u32) -> FetchPlan {
        let wanted = WantedPieces::Only(PieceRun::new(PieceIndex(0), count).into_iter().collect());
        FetchPlan { wanted, ..FetchPlan::of_all(Vec::new()) }
    }

    fn pieces(&self) -> MutexGuard<'_, BTreeMap<PieceIndex, Box<[u8]>>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that `bytes` are the piece whose chaining value is `expected`, and keeps them. Returns what is wanted from
    /// then on, if that is more.
    ///
    /// # Errors
    /// When the bytes are not the piece's.
    pub(crate) fn store(
        &self,
        piece: PieceIndex,
        bytes: &[u8],
        expected: &ChainingValue,
    ) -> Result<Option<FetchPlan>, StoreError> {
        let layout = self.outboard.layout();
        if bytes.len() as u64 != u64::from(layout.piece_length(piece))
            || piece_value(layout, piece, bytes) != *expected
        {
            return Err(StoreError::Hash);
        }
        self.pieces().insert(piece, bytes.into());
        if piece != PieceIndex(0) {
            return Ok(None);
        }
        let length = index_length_of(bytes, layout.length()).unwrap_or(0);
        let count = length.div_ceil(u64::from(layout.piece_size()));
        Ok((count > 1).then(|| self.plan_of(count as u32)))
    }

    /// The folder, of whose index all pieces are here; `None`: the content is one file.
    ///
    /// # Errors
    /// When somebody has shared bytes that begin as an index does and are none.
    pub(crate) fn read(&self) -> Result<Option<Arc<Collection>>, DiskError> {
        let (layout, pieces) = (self.outboard.layout(), self.pieces());
        let first = pieces.get(&PieceIndex(0)).map_or(&[][..], |first| first);
        let Some(length) = index_length_of(first, layout.length()) else { return Ok(None) };
        let mut index = pieces.values().map(|piece| &piece[..]).collect::<Vec<_>>().concat();
        index.truncate(length as usize);
        let folder = Collection::decode(&index).and_then(|folder| match folder.length() == layout.length() {
            true => Ok(folder),
            false => Err(CollectionError::Size),
        });
        folder.map(|folder| Some(Arc::new(folder))).map_err(|why| DiskError {
            path: PathBuf::from(self.outboard.content().to_string()),
            kind: DiskErrorKind::Other(format!("is a folder that nobody can unpack: {why}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use messages::collection::{Entry, EntryKind, EntryPath, FileEntry};
    use messages::{ContentId, Layout, LengthProof, root};

    use super::*;

    const PIECE: usize = 256 << 10;

    fn outboard(content: &[u8]) -> Arc<Outboard> {
        let layout = Layout::of(content.len() as u64).expect("short");
        let pieces: Vec<&[u8]> = content.chunks(PIECE).collect();
        let values: Vec<ChainingValue> =
            (0..).zip(&pieces).map(|(at, piece)| piece_value(layout, PieceIndex(at), piece)).collect();
        Arc::new(if pieces.len() < 2 {
            Outboard::of_one_piece(layout, root(layout, &values)).expect("one piece or none")
        } else {
            let proof = LengthProof::of(layout, pieces.last().expect("several"));
            Outboard::new(layout, values, proof).expect("what describes it")
        })
    }

    /// Gives the pieces that are wanted until no more are; how many, and what is read in the end.
    fn fetch(content: &[u8]) -> (u32, Result<Option<Arc<Collection>>, DiskError>) {
        let outboard = outboard(content);
        let fetch = IndexFetch::new(outboard.clone());
        let (mut plan, mut given) = (Some(fetch.first_plan()), 0);
        while let Some(wanted) = plan.take() {
            let WantedPieces::Only(runs) = wanted.wanted else { panic!("never all") };
            for piece in runs.into_iter().flat_map(PieceRun::iter).skip(given as usize) {
                given += 1;
                let at = piece.0 as usize * PIECE;
                let bytes = &content[at..content.len().min(at + PIECE)];
                let value = outboard.value(piece).expect("a piece of it");
                let mut wrong = bytes.to_vec();
                wrong[0] ^= 1;
                assert_eq!(fetch.store(piece, &wrong, value), Err(StoreError::Hash));
                plan = fetch.store(piece, bytes, value).expect("the right bytes").or(plan);
            }
        }
        (given, fetch.read())
    }

    fn folder(files: u32, length: u64) -> (Collection, Vec<u8>) {
        let entry = |number: u32| Entry {
            path: EntryPath::new(format!("{number:0>40}")).expect("a path"),
            kind: EntryKind::File(FileEntry { length, hash: [1; 32], is_executable: false, modified: None }),
        };
        let folder = Collection::new((0..files).map(entry).collect()).expect("a folder");
        let mut bytes = folder.index();
        bytes.resize(folder.length() as usize, 7);
        (folder, bytes)
    }

    #[test]
    fn the_pieces_of_the_index_are_wanted_and_no_other() {
        for (files, length, pieces) in [(1, 3, 1), (3, 1_000_000, 1), (8000, 100, 2), (8000, 0, 2)] {
            let (folder, bytes) = folder(files, length);
            let (given, read) = fetch(&bytes);
            assert_eq!((given, read), (pieces, Ok(Some(Arc::new(folder)))), "{files} files");
        }
    }

    #[test]
    fn a_file_is_known_by_its_first_piece() {
        assert_eq!(fetch(&[]), (0, Ok(None)));
        assert_eq!(fetch(b"riffle"), (1, Ok(None)));
        assert_eq!(fetch(&vec![7; 3 * PIECE]), (1, Ok(None)));
    }

    #[test]
    fn what_only_begins_like_an_index_is_refused() {
        let (_, mut bytes) = folder(5, 1000);
        bytes.push(0);
        let content: ContentId = outboard(&bytes).content();
        let (_, read) = fetch(&bytes);
        let error = read.expect_err("longer than its files");
        assert_eq!(error.path, PathBuf::from(content.to_string()));
        bytes.truncate(5000);
        bytes[40] ^= 0xff;
        assert!(fetch(&bytes).1.is_err());
    }
}
