//! The files that are to be hashed for sharing, a few at a time in the order in which they were asked for.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use riffle_core::{FolderOptions, ShareId};

use super::scan::StopFlag;

/// The number of files that are hashed at the same time when no limit is set.
const DEFAULT_MAX_AT_WORK: usize = 64;

/// Where a file or a folder is, and what of a folder is shared.
pub(crate) type Source = (PathBuf, FolderOptions);

/// Files that are being hashed or wait for it; as many as people share.
#[derive(Debug)]
pub(crate) struct HashQueue {
    /// The most files that are hashed at the same time.
    pub(crate) max_at_work: usize,
    /// All files that are to be shared.
    wanted: BTreeMap<ShareId, StopFlag>,
    /// The files that wait, and some that are no longer to be shared.
    waiting: VecDeque<(ShareId, Source, StopFlag)>,
    at_work: BTreeMap<ShareId, StopFlag>,
}

impl Default for HashQueue {
    fn default() -> HashQueue {
        let (wanted, waiting, at_work) = (BTreeMap::new(), VecDeque::new(), BTreeMap::new());
        HashQueue { max_at_work: DEFAULT_MAX_AT_WORK, wanted, waiting, at_work }
    }
}

impl HashQueue {
    /// Takes one more file, which is to be shared.
    pub(crate) fn add(&mut self, share: ShareId, source: Source) {
        let stop = StopFlag::default();
        self.wanted.insert(share, stop.clone());
        self.waiting.push_back((share, source, stop));
    }

    /// Removes a file that is hashed, or that is no longer to be shared. Returns whether the file was to be shared.
    pub(crate) fn remove(&mut self, share: ShareId) -> bool {
        self.at_work.remove(&share);
        let stop = self.wanted.remove(&share);
        stop.inspect(StopFlag::raise).is_some()
    }

    /// The next file to hash, when fewer are hashed than may be.
    pub(crate) fn next(&mut self) -> Option<(ShareId, Source, StopFlag)> {
        while self.at_work.len() < self.max_at_work.max(1) {
            let (share, source, stop) = self.waiting.pop_front()?;
            if !stop.is_raised() {
                self.at_work.insert(share, stop.clone());
                return Some((share, source, stop));
            }
        }
        None
    }

    /// Stops the hashing of all files.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
        while let Some((_, stop)) = self.wanted.pop_first() {
            stop.raise();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_hashed_a_few_at_a_time_in_their_order() {
        let mut hashing = HashQueue { max_at_work: 2, ..HashQueue::default() };
        (0..5).for_each(|share| hashing.add(ShareId(share), ("f".into(), FolderOptions::default())));
        let mut next = || hashing.next().map(|(share, ..)| share.0);
        assert_eq!([next(), next(), next()], [Some(0), Some(1), None]);
        assert!(hashing.remove(ShareId(2)), "it waited");
        assert!(hashing.remove(ShareId(0)) && !hashing.remove(ShareId(0)));
        let mut next = || hashing.next().map(|(share, ..)| share.0);
        assert_eq!([next(), next()], [Some(3), None]);
        assert!(hashing.remove(ShareId(1)) && hashing.remove(ShareId(3)));
        assert_eq!(hashing.next().map(|(share, ..)| share.0), Some(4));
        hashing.stop();
        assert!(hashing.next().is_none() && !hashing.remove(ShareId(4)));
    }
}
