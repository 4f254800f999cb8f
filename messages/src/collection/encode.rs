//! Writing an index.

use super::{Collection, Entry, EntryKind, INDEX_HEADER, INDEX_MAGIC};

/// The tag of an entry: what it is, and which of a file's properties it has.
pub(super) mod tag {
    /// A file, with the bits below.
    pub(crate) const FILE: u8 = 0;
    /// A folder without entries.
    pub(crate) const EMPTY_FOLDER: u8 = 1;
    /// A symbolic link.
    pub(crate) const LINK: u8 = 2;
    /// The file may be executed.
    pub(crate) const EXECUTABLE: u8 = 0x10;
    /// It is said when the file was modified.
    pub(crate) const MODIFIED: u8 = 0x20;
}

/// Bytes of the index of `entries`.
pub(super) fn index_length(entries: &[Entry]) -> u64 {
    let mut before = "";
    let mut length = INDEX_HEADER as u64;
    for entry in entries {
        let path = entry.path.as_str();
        length += (2 + 2 + path.len() - shared(before, path) + 1) as u64;
        length += match &entry.kind {
            EntryKind::File(file) => 8 + 32 + if file.modified.is_some() { 8 + 4 } else { 0 },
            EntryKind::EmptyFolder => 0,
            EntryKind::Link(target) => 2 + target.len() as u64,
        };
        before = path;
    }
    length
}

/// How many bytes the two paths have in common at their beginning.
pub(super) fn shared(before: &str, path: &str) -> usize {
    before.bytes().zip(path.bytes()).take_while(|(one, other)| one == other).count()
}

impl Collection {
    /// The bytes of its index.
    #[must_use]
    pub fn index(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.index_length as usize);
        bytes.extend_from_slice(&INDEX_MAGIC);
        bytes.extend_from_slice(&self.index_length.to_le_bytes());
        bytes.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        let mut before = "";
        for entry in &self.entries {
            let path = entry.path.as_str();
            let shared = shared(before, path);
            bytes.extend_from_slice(&(shared as u16).to_le_bytes());
            put_text(&path.as_bytes()[shared..], &mut bytes);
            match &entry.kind {
                EntryKind::File(file) => {
                    let executable = if file.is_executable { tag::EXECUTABLE } else { 0 };
                    let modified = if file.modified.is_some() { tag::MODIFIED } else { 0 };
                    bytes.push(tag::FILE | executable | modified);
                    bytes.extend_from_slice(&file.length.to_le_bytes());
                    bytes.extend_from_slice(&file.hash);
                    if let Some(modified) = file.modified {
                        bytes.extend_from_slice(&modified.seconds.to_le_bytes());
                        bytes.extend_from_slice(&modified.nanos.to_le_bytes());
                    }
                }
                EntryKind::EmptyFolder => bytes.push(tag::EMPTY_FOLDER),
                EntryKind::Link(target) => {
                    bytes.push(tag::LINK);
                    put_text(target.as_bytes(), &mut bytes);
                }
            }
            before = path;
        }
        debug_assert_eq!(bytes.len() as u64, self.index_length);
        bytes
    }
}

fn put_text(text: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text);
}
