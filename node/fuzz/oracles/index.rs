//! Any bytes as the index of a folder.

use messages::collection::{Collection, EntryKind, index_length_of};
use messages::limits::{MAX_CONTENT, MAX_ENTRIES, MAX_PATH};

use crate::heap;

/// Bytes of heap for a byte of an index, at most: the shortest entry has 6 bytes, and its path and its place in memory
/// many more.
const HEAP_FOR_A_BYTE: usize = 64;

/// A refusal, or a folder whose only index these bytes are; every byte of its content belongs to one place, and
/// everything in it stays inside.
pub(crate) fn hold(bytes: &[u8]) {
    let before = heap::asked_for();
    let decoded = Collection::decode(bytes);
    let asked = heap::asked_for() - before;
    let most = HEAP_FOR_A_BYTE * bytes.len() + 4096;
    assert!(asked <= most, "{asked} bytes of heap for an index of {}", bytes.len());
    let Ok(folder) = decoded else { return };
    assert_eq!(folder.index(), bytes, "a folder is said in two ways");
    assert_eq!(index_length_of(bytes, folder.length()), Some(bytes.len() as u64));
    assert!(folder.length() <= MAX_CONTENT && folder.entries().len() <= MAX_ENTRIES);
    let mut end = folder.index_length();
    for (number, entry) in folder.entries().iter().enumerate() {
        let path = entry.path.as_str();
        assert!(path.len() <= MAX_PATH && path.split('/').all(|part| !matches!(part, "" | "." | "..")));
        assert!(!path.chars().any(char::is_control));
        let length = match &entry.kind {
            EntryKind::File(file) => file.length,
            EntryKind::EmptyFolder => 0,
            EntryKind::Link(target) => {
                assert!(!target.starts_with('/'), "{path} leads to {target}");
                let up = target.split('/').filter(|part| *part == "..").count();
                assert!(up < path.split('/').count(), "{path} leads to {target}");
                0
            }
        };
        let span = folder.span(number).unwrap_or(end..end);
        assert_eq!((span.start, span.end), (end, end + length), "files leave a gap or overlap");
        end = span.end;
    }
    assert_eq!(end, folder.length(), "the files are not the whole");
    let extents: u64 = folder.extents(0..folder.length()).map(|extent| extent.length()).sum();
    assert_eq!(extents, folder.length());
}
