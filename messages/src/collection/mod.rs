//! A folder as one content: an index of its entries, then the bytes of its files, one after the other.
//!
//! ```text
//!   content:  index | bytes of the 1st file | bytes of the 2nd file | ...
//!   index:    magic 16 | length of the index u64 | entries u32 | entry ...
//!   entry:    shared u16 | rest u16 | rest of the path | tag u8 | fields of the tag
//!     file:   length u64 | BLAKE3 of its bytes 32 | [modified: seconds i64, nanoseconds u32]
//!     folder: nothing; only a folder without entries has an entry of its own
//!     link:   length u16 | target
//! ```
//!
//! All numbers are little-endian. `shared` is how many bytes the path has in common with the one before, as many as
//! there are. Entries are in the order of their paths, compared component by component. So a folder has one index only,
//! and the same folder has the same id wherever it is shared. Whether a content is a folder follows from its first
//! bytes: nobody can lie about it to whoever has these.

mod decode;
mod encode;
mod link;
mod path;

use std::ops::Range;

pub use self::link::{LinkError, check_link};
pub use self::path::{EntryPath, PathError};
use crate::limits::{MAX_CONTENT, MAX_ENTRIES, MAX_INDEX};

/// The first bytes of every index. No file format that is in use begins so.
pub const INDEX_MAGIC: [u8; 16] = *b"riffle folder 1\n";
/// Bytes of the index before its first entry: magic, length, number of entries.
pub const INDEX_HEADER: usize = 16 + 8 + 4;

/// When a file was last modified: seconds since 1970 (before it, when negative), and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Modified {
    /// Seconds since the beginning of 1970, UTC.
    pub seconds: i64,
    /// Nanoseconds: less than a second of them.
    pub nanos: u32,
}

/// One file of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its length, in bytes.
    pub length: u64,
    /// The BLAKE3 of its bytes.
    pub hash: [u8; 32],
    /// Whether its owner may execute it.
    pub is_executable: bool,
    /// When it was last modified, unless the sharer keeps that to itself.
    pub modified: Option<Modified>,
}

/// What stands at a path of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File(FileEntry),
    /// A folder without entries.
    EmptyFolder,
    /// A symbolic link that stays inside the folder.
    Link(String),
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands, relative to the folder.
    pub path: EntryPath,
    /// What it is.
    pub kind: EntryKind,
}

/// Why entries, or the bytes of an index, do not make a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectionError {
    /// The index does not have the length that it names, or an entry is cut short.
    #[error("the index is cut short or has bytes at its end")]
    Size,
    /// The bytes are not what an index of these entries is written as.
    #[error("the index is not written in the one way in which it can be")]
    NotCanonical,
    /// A path is not in its order, or stands there twice.
    #[error("{0}: out of order")]
    Order(String),
    /// A path leads through something that is not a folder.
    #[error("{0}: it is in something that is no folder, or that is said to be empty")]
    NotInFolder(String),
    /// A path is none.
    #[error("{0}: {1}")]
    Path(String, PathError),
    /// A link does not stay inside the folder.
    #[error("{0}: {1}")]
    Link(String, LinkError),
    /// There are more entries than a folder can have, or more bytes of them.
    #[error("more than {MAX_ENTRIES} entries, or an index of more than {MAX_INDEX} bytes")]
    TooMany,
    /// All files together are longer than a content can be.
    #[error("its files have more than {MAX_CONTENT} bytes together")]
    TooLong,
}

/// Where the bytes of a file lie in the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Which entry.
    entry: u32,
    start: u64,
}

/// The entries of a folder, and where the bytes of its files lie in the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    entries: Vec<Entry>,
    index_length: u64,
    /// Of each file that has bytes, in the order of the entries.
    places: Vec<Place>,
    length: u64,
}

/// A part of a run of bytes of the content: of the index, or of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Which entry; `None` for the index.
    pub entry: Option<usize>,
    /// Where the bytes lie in that file, or in the index.
    pub within: Range<u64>,
}

impl Extent {
    /// The number of its bytes.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.within.end - self.within.start
    }
}

impl Collection {
    /// The folder with these entries, in any order.
    ///
    /// # Errors
    /// When two entries have one path, one is in another that is no folder, or there are too many or too long ones.
    pub fn new(mut entries: Vec<Entry>) -> Result<Collection, CollectionError> {
        entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        Collection::of_sorted(entries)
    }

    fn of_sorted(entries: Vec<Entry>) -> Result<Collection, CollectionError> {
        let index_length = encode::index_length(&entries);
        if entries.len() > MAX_ENTRIES || index_length > MAX_INDEX {
            return Err(CollectionError::TooMany);
        }
        for pair in entries.windows(2) {
            let [before, entry] = pair else { unreachable!("windows of two") };
            if before.path >= entry.path {
                return Err(CollectionError::Order(entry.path.to_string()));
            }
            // Nothing stands between a path and what is below it.
            if entry.path.is_below(&before.path) {
                return Err(CollectionError::NotInFolder(entry.path.to_string()));
            }
        }
        let mut length = index_length;
        let mut places = Vec::new();
        for (number, entry) in entries.iter().enumerate() {
            match &entry.kind {
                EntryKind::File(file) => {
                    if file.length > 0 {
                        places.push(Place { entry: number as u32, start: length });
                    }
                    length = length.checked_add(file.length).ok_or(CollectionError::TooLong)?;
                }
                EntryKind::EmptyFolder => {}
                EntryKind::Link(target) => check_link(&entry.path, target)
                    .map_err(|cause| CollectionError::Link(entry.path.to_string(), cause))?,
            }
        }
        if length > MAX_CONTENT {
            return Err(CollectionError::TooLong);
        }
        Ok(Collection { entries, index_length, places, length })
    }

    /// Its entries, in their order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Its files, each with the number of its entry.
    pub fn files(&self) -> impl Iterator<Item = (usize, &EntryPath, &FileEntry)> {
        self.entries.iter().enumerate().filter_map(|(number, entry)| match &entry.kind {
            EntryKind::File(file) => Some((number, &entry.path, file)),
            EntryKind::EmptyFolder | EntryKind::Link(_) => None,
        })
    }

    /// Bytes of the index.
    #[must_use]
    pub const fn index_length(&self) -> u64 {
        self.index_length
    }

    /// Bytes of the content: the index and all files.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of all files together.
    #[must_use]
    pub const fn file_bytes(&self) -> u64 {
        self.length - self.index_length
    }

    /// Where the bytes of the file at `entry` lie in the content; `None` when it has none, or is no file.
    #[must_use]
    pub fn span(&self, entry: usize) -> Option<Range<u64>> {
        let at = self.places.binary_search_by_key(&entry, |place| place.entry as usize).ok()?;
        Some(self.places[at].start..self.end_of(at))
    }

    fn end_of(&self, place: usize) -> u64 {
        let Place { entry, start } = self.places[place];
        match &self.entries[entry as usize].kind {
            EntryKind::File(file) => start + file.length,
            EntryKind::EmptyFolder | EntryKind::Link(_) => unreachable!("only files have places"),
        }
    }

    /// The same folder with those entries alone of which `is_chosen` holds: the bytes of its files are where they were
    /// in the content, whose index has all entries.
    #[must_use]
    pub fn chosen(&self, is_chosen: impl Fn(&Entry) -> bool) -> Collection {
        let kept: Vec<usize> = (0..self.entries.len()).filter(|at| is_chosen(&self.entries[*at])).collect();
        let entries = kept.iter().map(|at| self.entries[*at].clone()).collect();
        let new_number = |entry: u32| kept.binary_search(&(entry as usize)).ok();
        let place =
            |place: &Place| Some(Place { entry: new_number(place.entry)? as u32, start: place.start });
        let places = self.places.iter().filter_map(place).collect();
        Collection { entries, places, ..*self }
    }

    /// The same folder under other paths: those that `path_of` gives for the number and the entry. What is in a folder
    /// must stay together. The bytes of its files are where they were in the content, whose index has the first paths.
    #[must_use]
    pub fn renamed(&self, path_of: impl Fn(usize, &Entry) -> EntryPath) -> Collection {
        let mut renamed = self.clone();
        for (number, entry) in renamed.entries.iter_mut().enumerate() {
            entry.path = path_of(number, &self.entries[number]);
        }
        renamed
    }

    /// The same folder without a word of when its files were modified and whether they may be executed. Their bytes are
    /// where they were in the content, whose index has these words.
    #[must_use]
    pub fn without_metadata(&self) -> Collection {
        let mut bare = self.clone();
        for entry in &mut bare.entries {
            if let EntryKind::File(file) = &mut entry.kind {
                (file.modified, file.is_executable) = (None, false);
            }
        }
        bare
    }

    /// What the bytes of the content at `range` belong to, in their order. Bytes behind the end belong to nothing.
    pub fn extents(&self, range: Range<u64>) -> impl Iterator<Item = Extent> {
        let index = (range.start < self.index_length)
            .then(|| Extent { entry: None, within: range.start..range.end.min(self.index_length) });
        let first = self.places.partition_point(|place| place.start <= range.start).saturating_sub(1);
        let files = (first..self.places.len()).map_while(move |at| {
            let place = self.places[at];
            let (start, end) = (range.start.max(place.start), range.end.min(self.end_of(at)));
            // The first may be the file behind the index, where the range is in the index alone.
            (place.start < range.end).then(|| Extent {
                entry: Some(place.entry as usize),
                within: start.saturating_sub(place.start)..end.max(start) - place.start,
            })
        });
        index.into_iter().chain(files).filter(|extent| !extent.within.is_empty())
    }
}

/// What the first bytes of a content of `length` bytes say of the length of its index; `None` when it is no folder, or
/// fewer than [`INDEX_HEADER`] bytes are given.
#[must_use]
pub fn index_length_of(first: &[u8], length: u64) -> Option<u64> {
    let header = first.first_chunk::<INDEX_HEADER>()?;
    let (magic, rest) = header.split_first_chunk::<16>()?;
    let (index_length, _) = rest.split_first_chunk::<8>()?;
    let index_length = u64::from_le_bytes(*index_length);
    let fits = (INDEX_HEADER as u64..=length.min(MAX_INDEX)).contains(&index_length);
    (*magic == INDEX_MAGIC && fits).then_some(index_length)
}

#[cfg(test)]
mod tests;
