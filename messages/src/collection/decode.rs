//! Reading an index: any bytes give a folder or an error, and no more memory is used than the bytes are worth.

use super::encode::{shared, tag};
use super::{Collection, CollectionError, Entry, EntryKind, EntryPath, FileEntry, INDEX_HEADER, Modified};
use super::{PathError, index_length_of};
use crate::limits::MAX_ENTRIES;

/// The fewest bytes of an entry: those of an empty folder whose path has one byte more than the one before.
const MIN_ENTRY: usize = 2 + 2 + 1 + 1;

impl Collection {
    /// Reads the bytes of an index.
    ///
    /// # Errors
    /// When they are not the bytes of the index of any folder.
    pub fn decode(bytes: &[u8]) -> Result<Collection, CollectionError> {
        let length = index_length_of(bytes, bytes.len() as u64).ok_or(CollectionError::Size)?;
        if length != bytes.len() as u64 {
            return Err(CollectionError::Size);
        }
        let (header, rest) = bytes.split_at(INDEX_HEADER);
        let count = header.last_chunk::<4>().map_or(0, |count| u32::from_le_bytes(*count)) as usize;
        if count > MAX_ENTRIES {
            return Err(CollectionError::TooMany);
        }
        if count > rest.len() / MIN_ENTRY {
            return Err(CollectionError::Size);
        }
        let mut rest = Bytes(rest);
        let mut entries: Vec<Entry> = Vec::with_capacity(count);
        for _ in 0..count {
            let before = entries.last().map_or("", |entry| entry.path.as_str());
            let path = rest.path(before)?;
            let kind = rest.kind()?;
            entries.push(Entry { path, kind });
        }
        if !rest.0.is_empty() {
            return Err(CollectionError::Size);
        }
        Collection::of_sorted(entries)
    }
}

/// The bytes that were not read yet.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], CollectionError> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(CollectionError::Size)?;
        self.0 = rest;
        Ok(*array)
    }

    fn text(&mut self) -> Result<&'a [u8], CollectionError> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        let (text, rest) = self.0.split_at_checked(length).ok_or(CollectionError::Size)?;
        self.0 = rest;
        Ok(text)
    }

    fn path(&mut self, before: &str) -> Result<EntryPath, CollectionError> {
        let common = usize::from(u16::from_le_bytes(self.array()?));
        let common_bytes = before.as_bytes().get(..common).ok_or(CollectionError::Size)?;
        let path = utf8([common_bytes, self.text()?].concat())?;
        if shared(before, &path) != common {
            return Err(CollectionError::NotCanonical);
        }
        EntryPath::new(path.as_str()).map_err(|cause| CollectionError::Path(path, cause))
    }

    fn kind(&mut self) -> Result<EntryKind, CollectionError> {
        let [tag] = self.array()?;
        match tag {
            tag::EMPTY_FOLDER => Ok(EntryKind::EmptyFolder),
            tag::LINK => Ok(EntryKind::Link(utf8(self.text()?.to_vec())?)),
            _ if tag & !(tag::EXECUTABLE | tag::MODIFIED) == tag::FILE => Ok(EntryKind::File(FileEntry {
                length: u64::from_le_bytes(self.array()?),
                hash: self.array()?,
                is_executable: tag & tag::EXECUTABLE != 0,
                modified: if tag & tag::MODIFIED != 0 { Some(self.modified()?) } else { None },
            })),
            _ => Err(CollectionError::NotCanonical),
        }
    }

    fn modified(&mut self) -> Result<Modified, CollectionError> {
        let modified =
            Modified { seconds: i64::from_le_bytes(self.array()?), nanos: u32::from_le_bytes(self.array()?) };
        if modified.nanos >= 1_000_000_000 {
            return Err(CollectionError::NotCanonical);
        }
        Ok(modified)
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, CollectionError> {
    String::from_utf8(bytes).map_err(|wrong| {
        CollectionError::Path(String::from_utf8_lossy(wrong.as_bytes()).into_owned(), PathError::Component)
    })
}
