//! What was in the folders that a node has shared or fetched: the index of each, by its path, in `folders/` of the state
//! folder. Whoever wants to know which of their files have changed finds it here; nobody is served from it.
//!
//! Each file has three lines (form and version; path, content; hash of the rest) and then the index. What is damaged is
//! not believed, and losing any of it costs nothing but that answer.

use std::fs;
use std::io::{self, Read as _};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use messages::ContentId;
use messages::collection::Collection;

use crate::platform::path_bytes::bytes_of;
use crate::state::checked_file;
use crate::state::files::{make_folder, write_whole};

/// At most so many folders are remembered. The one that was shared or fetched the longest ago is forgotten first.
const MAX_FOLDERS: usize = 256;
/// A longer index is not remembered, in bytes: it has about half a million files.
const MAX_REMEMBERED: usize = 64 << 20;
/// The folder of the indexes.
const FOLDERS: &str = "folders";
const TITLE: &str = "riffle folder index 1";

/// A folder that was shared or fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFolder {
    /// Where it was.
    pub path: PathBuf,
    /// The content that it was.
    pub content: ContentId,
    /// What was in it.
    pub collection: Collection,
}

/// The folders that one node remembers.
#[derive(Clone, Debug)]
pub(crate) struct FolderMemory(PathBuf);

/// What begins the file of a folder.
struct Header {
    path: PathBuf,
    content: ContentId,
    hash: blake3::Hash,
    /// Bytes of these lines.
    length: usize,
}

impl FolderMemory {
    /// That of the node whose state folder is `state`.
    pub(crate) fn of(state: &Path) -> FolderMemory {
        FolderMemory(state.join(FOLDERS))
    }

    /// Remembers that the folder at `path` is `content`, and what is in it.
    pub(crate) fn remember(&self, path: &Path, content: ContentId, collection: &Collection) {
        let index = collection.index();
        let Some(path) = whole(path).filter(|_| index.len() <= MAX_REMEMBERED) else { return };
        let hash = blake3::hash(&index);
        let line = checked_file::escaped(&path);
        let mut bytes = format!("{TITLE}\n{line}\t{content}\n{hash}\n").into_bytes();
        bytes.extend_from_slice(&index);
        let kept = make_folder(&self.0).and_then(|()| write_whole(&self.file_of(&path), &bytes));
        if let Err(cause) = kept {
            tracing::warn!(path = %path.display(), %cause, "what is in the folder cannot be remembered");
        }
        self.forget_oldest();
    }

    fn forget_oldest(&self) {
        let mut all: Vec<(SystemTime, PathBuf)> =
            self.files().filter_map(|file| Some((modified(&file)?, file))).collect();
        all.sort_unstable();
        let too_many = all.len().saturating_sub(MAX_FOLDERS);
        for (_, file) in all.into_iter().take(too_many) {
            let _ = fs::remove_file(file);
        }
    }

    /// What was in the folder at `path` when it was last shared or fetched, and when that was.
    pub(crate) fn of_path(&self, path: &Path) -> Option<(SystemTime, KnownFolder)> {
        let path = whole(path)?;
        let file = self.file_of(&path);
        let known = read(&file).filter(|known| known.path == path)?;
        Some((modified(&file)?, known))
    }

    /// The contents whose ids are among `ids`.
    pub(crate) fn of_contents(&self, ids: &RangeInclusive<ContentId>) -> Vec<KnownFolder> {
        let is_among = |file: &PathBuf| header_of(file).is_some_and(|header| ids.contains(&header.content));
        self.files().filter(is_among).filter_map(|file| read(&file)).collect()
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        fs::read_dir(&self.0).into_iter().flatten().flatten().map(|file| file.path())
    }

    fn file_of(&self, path: &Path) -> PathBuf {
        self.0.join(&blake3::hash(bytes_of(path.as_os_str())).to_hex()[..32])
    }
}

/// The path of a folder by which it is remembered, wherever a link on the way may lead later.
fn whole(path: &Path) -> Option<PathBuf> {
    path.canonicalize().or_else(|_| std::path::absolute(path)).ok()
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|found| found.modified()).ok()
}

/// The lines at the beginning of `bytes`.
fn header(bytes: &[u8]) -> Option<Header> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let mut length = 0;
    let mut line = || {
        let line = lines.next()?;
        length += line.len();
        str::from_utf8(line).ok()?.strip_suffix('\n')
    };
    if line()? != TITLE {
        return None;
    }
    let (path, content) = line()?.split_once('\t')?;
    let hash = blake3::Hash::from_hex(line()?).ok()?;
    Some(Header { path: checked_file::unescaped(path)?, content: content.parse().ok()?, hash, length })
}

/// The lines at the beginning of `file`, which are not long.
fn header_of(file: &Path) -> Option<Header> {
    let mut begin = Vec::new();
    fs::File::open(file).and_then(|file: fs::File| file.take(16 << 10).read_to_end(&mut begin)).ok()?;
    header(&begin)
}

fn read(file: &Path) -> Option<KnownFolder> {
    let bytes: io::Result<Vec<u8>> = fs::read(file);
    let bytes = bytes.ok()?;
    let Header { path, content, hash, length } = header(&bytes)?;
    let index = &bytes[length..];
    let collection = (blake3::hash(index) == hash).then(|| Collection::decode(index).ok())??;
    Some(KnownFolder { path, content, collection })
}

#[cfg(test)]
mod tests {
    use messages::collection::{Entry, EntryKind, EntryPath};

    use super::*;

    fn collection(name: &str) -> Collection {
        let path = EntryPath::new(name).expect("a path");
        Collection::new(vec![Entry { path, kind: EntryKind::EmptyFolder }]).expect("a folder")
    }

    #[test]
    fn folders_are_known_by_path_and_by_content_until_something_is_damaged() {
        let state = tempfile::tempdir().expect("a folder");
        let memory = FolderMemory::of(state.path());
        let id = |byte| ContentId::from_bytes([byte; 32]);
        let (one, two) = (state.path().join("one\ttab"), state.path().join("two"));
        memory.remember(&one, id(1), &collection("a"));
        memory.remember(&two, id(2), &collection("b"));
        memory.remember(&one, id(3), &collection("c"));
        let known = |path: &Path| memory.of_path(path).map(|(_, known)| (known.content, known.collection));
        assert_eq!(known(&one), Some((id(3), collection("c"))), "the last is remembered");
        assert_eq!(known(&two), Some((id(2), collection("b"))));
        assert_eq!(known(state.path()), None);
        let found = memory.of_contents(&(id(2)..=id(2)));
        assert_eq!(found.iter().map(|known| known.content).collect::<Vec<_>>(), [id(2)]);
        assert_eq!(memory.of_contents(&(id(0)..=id(9))).len(), 2);
        let file = memory.file_of(&whole(&two).expect("a path"));
        let mut bytes = fs::read(&file).expect("written");
        *bytes.last_mut().expect("some") ^= 1;
        fs::write(&file, &bytes).expect("written");
        assert_eq!(known(&two), None);
        fs::write(&file, &bytes[..20]).expect("written");
        assert_eq!((known(&two), memory.of_contents(&(id(2)..=id(2))).len()), (None, 0));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let state = tempfile::tempdir().expect("a folder");
        let memory = FolderMemory::of(state.path());
        for number in 0..MAX_FOLDERS + 3 {
            let path = state.path().join(number.to_string());
            memory.remember(&path, ContentId::from_bytes([7; 32]), &collection("a"));
        }
        assert_eq!(memory.files().count(), MAX_FOLDERS);
        assert!(memory.of_path(&state.path().join((MAX_FOLDERS + 2).to_string())).is_some());
    }
}
