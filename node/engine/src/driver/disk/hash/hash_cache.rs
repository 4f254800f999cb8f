//! What the node has hashed before: a file that has not changed since is described without being read again.
//!
//! In the state folder `hashes` says which content each file is, by path and fingerprint, and `outboards/` holds what
//! describes each content, in a file that is named by its id and checked against it when it is read. Losing any of it
//! costs time and never truth.
//!
//! **When a fingerprint is believed.** Device, inode, length, the time of the last change of the bytes (mtime) and of
//! the file (ctime, which nobody can set back) must all be what they were before the file was hashed. A clock that
//! ticks in steps would hide a change in the same step as the recorded one. So a file whose times are not [`SETTLED`]
//! before the hashing began is described and served, and not remembered (git's rule for its index: an entry no older
//! than the index is "racily clean", and its content is looked at). A finished download was written and verified by
//! this process, which has just renamed it: it is remembered at once, where the file system's times are finer than a
//! second.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use messages::limits::MAX_CONTENT;
use messages::{ContentId, Layout, Outboard};

use super::folder_memory::FolderMemory;
use crate::driver::disk::identity::FileIdentity;
use crate::platform::file_id::{FileTime, anything_changed};
use crate::state::checked_file::{self, Damage, GONE_FOR};
use crate::state::files::{make_folder, private};

/// At most so many files are remembered. The least recently used ones are forgotten first.
pub(crate) const MAX_FILES: usize = 16_384;
/// At most so many bytes of outboards are remembered, which is enough for about 20 TiB of large files.
const MAX_OUTBOARD_BYTES: u64 = 256 << 20;
/// The file that says which content each file is.
const HASHES: &str = "hashes";
const TITLE: &str = "riffle hashes 1";
/// The folder of the outboards.
const OUTBOARDS: &str = "outboards";
/// A file that was changed within this time before it was hashed may change again and look the same: the coarsest
/// clock of a file system in use (FAT) ticks every two seconds.
const SETTLED: Duration = Duration::from_secs(2);

const _: () = assert!(
    Layout::of(MAX_CONTENT).unwrap().outboard_length() as u64 <= MAX_OUTBOARD_BYTES,
    "any one content can be remembered"
);

/// What tells that a file has not been touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    identity: FileIdentity,
    /// When anything about the file changed, its name and permissions included.
    touched: FileTime,
}

impl Fingerprint {
    /// What `metadata` shows.
    pub(crate) fn of(metadata: &Metadata) -> Fingerprint {
        Fingerprint { identity: FileIdentity::of(metadata), touched: anything_changed(metadata) }
    }

    /// Whether all changes are long enough before `then` for the next one to show.
    fn is_settled(&self, then: SystemTime) -> bool {
        let then = then.duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = |(seconds, nanos): FileTime| {
            let time = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
            time + SETTLED <= then
        };
        before(self.identity.modified()) && before(self.touched)
    }

    /// Whether the file system's times are finer than a second.
    fn is_fine(&self) -> bool {
        self.identity.modified().1 != 0 || self.touched.1 != 0
    }
}

/// A file that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    fingerprint: Fingerprint,
    content: ContentId,
    /// When it was last asked for, in seconds since the epoch.
    last_used: u64,
}

impl Entry {
    /// Bytes of the outboard that it needs.
    fn outboard_bytes(&self) -> u64 {
        Layout::of(self.fingerprint.identity.length()).map_or(0, |layout| layout.outboard_length().into())
    }
}

/// The files that were hashed, by path.
#[derive(Debug, Default)]
struct HashIndex {
    entries: BTreeMap<PathBuf, Entry>,
    /// The same by when they were last asked for, so that the oldest is found at once.
    by_use: BTreeSet<(u64, PathBuf)>,
    /// How many entries need the outboard of a content.
    needed: BTreeMap<ContentId, usize>,
    outboard_bytes: u64,
    unsaved: bool,
}

/// What a node remembers of the files that it has hashed. Used by the workers.
#[derive(Debug)]
pub(crate) struct HashCache {
    folder: PathBuf,
    index: Mutex<HashIndex>,
    /// Held while something is written: one worker at a time.
    write_lock: Mutex<()>,
}

impl HashCache {
    /// What is remembered in `folder`; and when that cannot be believed, what to tell the person.
    pub(crate) fn open(folder: &Path) -> (HashCache, Option<String>) {
        let (index, note) = match HashIndex::read(folder) {
            Ok(index) => (index, None),
            Err(damage) => {
                let lost = "files that were hashed are hashed again";
                (HashIndex::default(), Some(checked_file::set_aside(&folder.join(HASHES), &damage, lost)))
            }
        };
        (HashCache::of(folder, index), note)
    }

    /// What is remembered in the folder of a node that may be running. Nothing is changed there.
    pub(crate) fn read(folder: &Path) -> HashCache {
        HashCache::of(folder, HashIndex::read(folder).unwrap_or_default())
    }

    fn of(folder: &Path, index: HashIndex) -> HashCache {
        HashCache { folder: folder.to_owned(), index: Mutex::new(index), write_lock: Mutex::new(()) }
    }

    /// What is remembered of folders, beside the files.
    pub(crate) fn folders(&self) -> FolderMemory {
        FolderMemory::of(&self.folder)
    }

    /// What the file at `path` was, whatever it is now; and when it was last asked for, in seconds since the epoch.
    pub(crate) fn last_known(&self, path: &Path) -> Option<(u64, Arc<Outboard>)> {
        let path = std::path::absolute(path).ok()?;
        let entry = *self.index().entries.get(&path)?;
        let outboard = self.outboard(entry.content, entry.fingerprint.identity.length()).ok()?;
        Some((entry.last_used, outboard))
    }

    /// What describes the contents whose ids are among `ids`.
    pub(crate) fn known_contents(&self, ids: &RangeInclusive<ContentId>) -> Vec<Arc<Outboard>> {
        let index = self.index();
        let fits = index.entries.values().filter(|entry| ids.contains(&entry.content));
        let lengths: BTreeMap<_, _> =
            fits.map(|entry| (entry.content, entry.fingerprint.identity.length())).collect();
        drop(index);
        lengths.into_iter().filter_map(|(content, length)| self.outboard(content, length).ok()).collect()
    }

    /// What describes the file at `path` that looks like `found` now, when it looked so when it was hashed.
    pub(crate) fn recall(&self, path: &Path, found: &Metadata) -> Option<Arc<Outboard>> {
        let path = std::path::absolute(path).ok()?;
        let content = {
            let mut index = self.index();
            let content =
                index.entries.get(&path).filter(|entry| entry.fingerprint == Fingerprint::of(found))?.content;
            index.touch(&path, checked_file::now_seconds());
            content
        };
        match self.outboard(content, found.len()) {
            Ok(outboard) => {
                tracing::info!(path = %path.display(), content = %content.short(), "remembered, not hashed again");
                Some(outboard)
            }
            Err(cause) => {
                tracing::warn!(path = %path.display(), content = %content.short(), %cause, "the remembered outboard cannot be used: hashing again");
                self.index().remove(&path);
                None
            }
        }
    }

    /// Remembers what the file at `path` is, which looked like `before` when hashing began, at `began`.
    pub(crate) fn remember(&self, path: &Path, before: Fingerprint, began: SystemTime, outboard: &Outboard) {
        if before.is_settled(began) {
            self.keep(path, before, outboard);
        } else {
            tracing::debug!(path = %path.display(), "changed just before it was hashed: not remembered");
        }
    }

    /// Remembers a download that has just been finished at `path`, as `identity`.
    pub(crate) fn remember_download(&self, path: &Path, identity: FileIdentity, outboard: &Outboard) {
        let Ok(found) = fs::symlink_metadata(path) else { return };
        let fingerprint = Fingerprint::of(&found);
        if fingerprint.identity == identity && fingerprint.is_fine() {
            self.keep(path, fingerprint, outboard);
        }
    }

    fn keep(&self, path: &Path, fingerprint: Fingerprint, outboard: &Outboard) {
        let Ok(path) = std::path::absolute(path) else { return };
        let content = outboard.content();
        // Before the entry that needs it. Not synced: a damaged one is noticed.
        if let Err(cause) = self.store_outboard(content, outboard) {
            tracing::warn!(content = %content.short(), %cause, "cannot be remembered");
            return;
        }
        self.insert_entry(path, fingerprint, content);
    }

    fn insert_entry(&self, path: PathBuf, fingerprint: Fingerprint, content: ContentId) {
        let unneeded =
            self.index().insert(path, Entry { fingerprint, content, last_used: checked_file::now_seconds() });
        for content in unneeded {
            let _ = fs::remove_file(self.outboard_path(content));
        }
    }

    /// Writes what is new to the disk. For a worker, because the disk may take its time.
    pub(crate) fn save(&self) {
        let _writing = self.write_lock();
        let lines: Vec<String> = {
            let mut index = self.index();
            if !std::mem::take(&mut index.unsaved) {
                return;
            }
            index.entries.iter().map(|(path, entry)| line_of(path, entry)).collect()
        };
        if let Err(cause) = checked_file::write(&self.folder.join(HASHES), TITLE, lines.into_iter()) {
            // What is not kept is hashed again.
            tracing::warn!(%cause, "what was hashed cannot be remembered");
        }
    }

    /// Forgets files that have been gone for long, outboards that no file needs, and what was set aside or left
    /// unfinished long ago. For a worker.
    pub(crate) fn sweep(&self) {
        checked_file::sweep(&self.folder);
        let stale = checked_file::now_seconds().saturating_sub(GONE_FOR.as_secs());
        let old: Vec<PathBuf> = {
            let index = self.index();
            index
                .by_use
                .iter()
                .take_while(|(last_used, _)| *last_used < stale)
                .map(|(_, path)| path.clone())
                .collect()
        };
        for path in old {
            // A folder on the way may be a file now.
            let is_nowhere = |cause: &io::Error| {
                matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            };
            if fs::symlink_metadata(&path).is_err_and(|cause| is_nowhere(&cause)) {
                self.index().remove(&path);
            }
        }
        for file in fs::read_dir(self.folder.join(OUTBOARDS)).into_iter().flatten().flatten() {
            let content = file.file_name().to_str().and_then(|name| name.parse::<ContentId>().ok());
            if !content.is_some_and(|content| self.index().needs(content)) {
                let _ = fs::remove_file(file.path());
            }
        }
    }

    fn index(&self) -> MutexGuard<'_, HashIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lock(&self) -> MutexGuard<'_, ()> {
        self.write_lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outboard_path(&self, content: ContentId) -> PathBuf {
        self.folder.join(OUTBOARDS).join(content.to_string())
    }

    fn outboard(&self, content: ContentId, length: u64) -> Result<Arc<Outboard>, String> {
        let layout = Layout::of(length).ok_or("no content is so long")?;
        let outboard = if layout.pieces() < 2 {
            Outboard::of_one_piece(layout, content)
        } else {
            let bytes = fs::read(self.outboard_path(content)).map_err(|cause| cause.to_string())?;
            Outboard::decode_of(content, &bytes)
        };
        let outboard = outboard.map_err(|error| error.to_string())?;
        if outboard.layout() != layout {
            return Err("it is of another length".to_owned());
        }
        Ok(Arc::new(outboard))
    }

    fn store_outboard(&self, content: ContentId, outboard: &Outboard) -> io::Result<()> {
        let path = self.outboard_path(content);
        let bytes = outboard.encode();
        if bytes.is_empty() {
            return Ok(());
        }
        if fs::metadata(&path).is_ok_and(|there| there.len() == bytes.len() as u64) {
            return Ok(());
        }
        let _writing = self.write_lock();
        make_folder(&self.folder.join(OUTBOARDS))?;
        let unfinished = path.with_extension("new");
        private().write(true).create(true).truncate(true).open(&unfinished)?.write_all(&bytes)?;
        fs::rename(&unfinished, &path)
    }
}

#[cfg(test)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the tests that use it need Linux"))]
impl HashCache {
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.index().entries.contains_key(path)
    }

    pub(crate) fn count(&self) -> usize {
        self.index().entries.len()
    }

    /// As if the file had not been asked for since `by` ago.
    pub(crate) fn age(&self, path: &Path, by: Duration) {
        let mut index = self.index();
        let last_used = index.entries[path].last_used - by.as_secs();
        index.touch(path, last_used);
    }

    /// An entry without a file.
    pub(crate) fn take_in(&self, path: &Path, fingerprint: Fingerprint, content: ContentId) {
        self.insert_entry(path.to_owned(), fingerprint, content);
    }
}

impl HashIndex {
    /// What is kept in `folder`.
    fn read(folder: &Path) -> Result<HashIndex, Damage> {
        let lines = checked_file::read(&folder.join(HASHES), TITLE)?;
        let entries: Option<BTreeMap<_, _>> = lines.iter().map(|line| entry_of(line)).collect();
        let mut index = HashIndex::default();
        entries.ok_or(Damage::Damaged)?.into_iter().for_each(|(path, entry)| index.put(path, entry));
        index.unsaved = false;
        Ok(index)
    }

    /// Inserts an entry. Returns the contents whose outboards no entry needs any more.
    fn insert(&mut self, path: PathBuf, entry: Entry) -> Vec<ContentId> {
        let mut unneeded = Vec::new();
        let before = self.remove(&path);
        self.put(path, entry);
        unneeded.extend(before.filter(|content| !self.needs(*content)));
        while self.entries.len() > MAX_FILES || self.outboard_bytes > MAX_OUTBOARD_BYTES {
            let (_, path) = self.by_use.first().cloned().expect("nothing is within every limit");
            unneeded.extend(self.remove(&path).filter(|content| !self.needs(*content)));
        }
        unneeded
    }

    /// Inserts an entry for a path that has none.
    fn put(&mut self, path: PathBuf, entry: Entry) {
        self.outboard_bytes += entry.outboard_bytes();
        self.by_use.insert((entry.last_used, path.clone()));
        *self.needed.entry(entry.content).or_default() += 1;
        self.entries.insert(path, entry);
        self.unsaved = true;
    }

    /// Notes that the file at `path` was asked for at `now`.
    fn touch(&mut self, path: &Path, now: u64) {
        let entry = self.entries.get_mut(path).expect("only what was found is asked for");
        self.by_use.remove(&(entry.last_used, path.to_owned()));
        entry.last_used = now;
        self.by_use.insert((now, path.to_owned()));
        self.unsaved = true;
    }

    fn remove(&mut self, path: &Path) -> Option<ContentId> {
        let entry = self.entries.remove(path)?;
        self.outboard_bytes -= entry.outboard_bytes();
        self.by_use.remove(&(entry.last_used, path.to_owned()));
        let count = self.needed.get_mut(&entry.content).expect("each entry's content is counted");
        *count -= 1;
        if *count == 0 {
            self.needed.remove(&entry.content);
        }
        self.unsaved = true;
        Some(entry.content)
    }

    fn needs(&self, content: ContentId) -> bool {
        self.needed.contains_key(&content)
    }
}

fn line_of(path: &Path, entry: &Entry) -> String {
    let Entry { fingerprint: Fingerprint { identity, touched }, content, last_used } = entry;
    format!(
        "{content}\t{}\t{}\t{}\t{last_used}\t{}",
        identity.to_line(),
        touched.0,
        touched.1,
        checked_file::escaped(path)
    )
}

fn entry_of(line: &str) -> Option<(PathBuf, Entry)> {
    let mut fields = line.split('\t');
    let content = fields.next()?.parse().ok()?;
    let identity = FileIdentity::from_fields(&mut fields)?;
    let touched = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let last_used = fields.next()?.parse().ok()?;
    let path = checked_file::unescaped(fields.next()?)?;
    let entry = Entry { fingerprint: Fingerprint { identity, touched }, content, last_used };
    fields.next().is_none().then_some((path, entry))
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
