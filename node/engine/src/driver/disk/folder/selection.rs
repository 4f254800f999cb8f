//! Which files of a folder are wanted, and which pieces have them.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use messages::collection::{Collection, Entry, EntryKind, INDEX_HEADER, index_length_of};
use messages::{Layout, PieceIndex, PieceRun};

/// A choice of the files of a folder by patterns.
#[derive(Debug)]
pub(crate) struct Selection {
    patterns: Gitignore,
    state: Mutex<SelectionState>,
}

/// What is wanted.
#[derive(Debug)]
enum SelectionState {
    /// Pieces of the index: which files there are is not known yet.
    Index(Vec<PieceRun>),
    /// The pieces of the chosen files too.
    Files,
}

/// Where the bytes of a part file are read, and which pieces it has.
pub(crate) trait StoredPieces {
    /// Whether the piece is stored.
    fn has(&self, piece: PieceIndex) -> bool;
    /// Fills `bytes` from `offset` on.
    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Selection {
    /// The choice that these lines of a `.gitignore` file name; `None` when there are none: everything is wanted.
    ///
    /// # Errors
    /// The pattern that is none, and why.
    pub(crate) fn new(patterns: &[String]) -> Result<Option<Selection>, String> {
        if patterns.is_empty() {
            return Ok(None);
        }
        let mut builder = GitignoreBuilder::new("");
        builder.allow_unclosed_class(false);
        for pattern in patterns {
            builder.add_line(None, pattern).map_err(|why| format!("\"{pattern}\" is no pattern: {why}"))?;
        }
        let patterns = builder.build().map_err(|why| why.to_string())?;
        Ok(Some(Selection { patterns, state: Mutex::new(SelectionState::Index(Vec::new())) }))
    }

    /// Whether the entry is wanted: a pattern names it, or a folder in which it stands.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        let is_folder = entry.kind == EntryKind::EmptyFolder;
        self.patterns.matched_path_or_any_parents(entry.path.as_str(), is_folder).is_ignore()
    }

    /// The pieces that are wanted, as far as that follows from what is stored: first those of the index, then those of
    /// the files too. `None` when they are the same as the last time.
    ///
    /// # Errors
    /// Why nothing can be chosen.
    pub(crate) fn newly_wanted(
        &self,
        layout: Layout,
        stored: &impl StoredPieces,
    ) -> Result<Option<Vec<PieceRun>>, String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let SelectionState::Index(known) = &*state else { return Ok(None) };
        let of_index = index_pieces(layout, stored)?;
        let is_there =
            |runs: &[PieceRun]| runs.iter().flat_map(|run| run.iter()).all(|piece| stored.has(piece));
        if of_index.length.is_none() || !is_there(&of_index.pieces) {
            let is_news = of_index.pieces != *known;
            *state = SelectionState::Index(of_index.pieces.clone());
            return Ok(is_news.then_some(of_index.pieces));
        }
        let wanted = self.pieces_of_files(layout, &of_index, stored)?;
        *state = SelectionState::Files;
        Ok(Some(wanted))
    }

    /// The pieces of the index and of the chosen files.
    fn pieces_of_files(
        &self,
        layout: Layout,
        of_index: &IndexPieces,
        stored: &impl StoredPieces,
    ) -> Result<Vec<PieceRun>, String> {
        let mut index = vec![0; of_index.length.unwrap_or(0) as usize];
        stored.read(&mut index, 0).map_err(|cause| cause.to_string())?;
        let folder = Collection::decode(&index).map_err(|why| why.to_string())?;
        let chosen: Vec<usize> =
            (0..folder.entries().len()).filter(|entry| self.has(&folder.entries()[*entry])).collect();
        if chosen.is_empty() {
            return Err("nothing in the folder is named by what was selected".to_owned());
        }
        let spans = chosen.into_iter().filter_map(|entry| folder.span(entry));
        let of_files = spans.filter_map(|span| run_of(layout, span)).flat_map(PieceRun::iter);
        let of_index = of_index.pieces.iter().flat_map(|run| run.iter());
        let all: BTreeSet<PieceIndex> = of_index.chain(of_files).collect();
        Ok(PieceRun::runs_of(all))
    }
}

/// The pieces of an index.
struct IndexPieces {
    pieces: Vec<PieceRun>,
    /// Bytes of the index; `None` while its first piece is not there.
    length: Option<u64>,
}

/// The pieces of the index, as far as they are known: the first one says how long it is.
fn index_pieces(layout: Layout, stored: &impl StoredPieces) -> Result<IndexPieces, String> {
    if !stored.has(PieceIndex(0)) {
        let pieces = run_of(layout, 0..1).into_iter().collect();
        return Ok(IndexPieces { pieces, length: None });
    }
    let mut header = [0; INDEX_HEADER];
    let header = &mut header[..(layout.length() as usize).min(INDEX_HEADER)];
    stored.read(header, 0).map_err(|cause| cause.to_string())?;
    let length = index_length_of(header, layout.length());
    let length = length.ok_or("it is one file, and what is selected are files of a folder")?;
    Ok(IndexPieces { pieces: run_of(layout, 0..length).into_iter().collect(), length: Some(length) })
}

/// The pieces that have the bytes `span` of the content.
fn run_of(layout: Layout, span: Range<u64>) -> Option<PieceRun> {
    let size = u64::from(layout.piece_size());
    let (first, end) = ((span.start / size) as u32, span.end.div_ceil(size) as u32);
    PieceRun::between(PieceIndex(first), PieceIndex(end))
}

#[cfg(test)]
mod tests {
    use messages::collection::{EntryPath, FileEntry};

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

    fn selection(patterns: &[&str]) -> Selection {
        let patterns: Vec<_> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Selection::new(&patterns).expect("patterns").expect("some")
    }

    fn runs(wanted: Option<Vec<PieceRun>>) -> Option<Vec<(u32, u32)>> {
        wanted.map(|runs| runs.iter().map(|run| (run.start().0, run.end().0)).collect())
    }

    #[test]
    fn the_index_is_wanted_first_and_then_the_pieces_of_the_chosen_files() {
        let (_, mut part, layout) =
            folder(&[("a", 4 * PIECE), ("b", 4 * PIECE), ("c/d", 3 * PIECE), ("e", 9)]);
        let chosen = selection(&["b", "c"]);
        let wanted = |part: &Part| runs(chosen.newly_wanted(layout, part).expect("a folder"));
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
        let chosen = selection(&["*7999"]);
        let wanted = |part: &Part| runs(chosen.newly_wanted(layout, part).expect("a folder"));
        assert_eq!(wanted(&part), Some(vec![(0, 1)]));
        part.stored.insert(0);
        assert_eq!(wanted(&part), Some(vec![(0, 2)]));
        part.stored.insert(1);
        let last = layout.pieces() - 1;
        assert_eq!(wanted(&part), Some(vec![(0, 2), (last, last + 1)]));
    }

    #[test]
    fn patterns_name_files_and_folders_and_take_out_again() {
        let (folder, ..) = folder(&[("a.rs", 1), ("src/b.rs", 1), ("src/c.txt", 1), ("src/deep/d.rs", 1)]);
        let chosen = |patterns: &[&str]| -> Vec<String> {
            let selection = selection(patterns);
            folder
                .entries()
                .iter()
                .filter(|entry| selection.has(entry))
                .map(|one| one.path.to_string())
                .collect()
        };
        assert_eq!(chosen(&["src"]), ["src/b.rs", "src/c.txt", "src/deep/d.rs"]);
        assert_eq!(chosen(&["*.rs"]), ["a.rs", "src/b.rs", "src/deep/d.rs"]);
        assert_eq!(chosen(&["/*.rs"]), ["a.rs"]);
        assert_eq!(chosen(&["*.rs", "!b.rs"]), ["a.rs", "src/deep/d.rs"]);
    }

    #[test]
    fn what_cannot_be_chosen_from_says_why() {
        let (_, mut part, layout) = folder(&[("a", 1)]);
        part.stored.insert(0);
        let why = selection(&["b"]).newly_wanted(layout, &part).expect_err("nothing");
        assert!(why.contains("nothing in the folder"), "{why}");
        part.bytes[0] ^= 1;
        let why = selection(&["b"]).newly_wanted(layout, &part).expect_err("no folder");
        assert!(why.contains("one file"), "{why}");
        assert!(Selection::new(&["a[".to_owned()]).is_err());
        assert!(Selection::new(&[]).is_ok_and(|all| all.is_none()));
    }
}
