//! The folders that bursts are taken from, and which blocks of their contents are in memory.
//!
//! The bytes of a folder come from many files, so they are read by workers into memory of this process, block by block.
//! A block comes with as many bytes behind it as a burst may have: every burst that begins in a block is in its memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use messages::limits::MAX_BURST;
use riffle_core::{Burst, DiskError, ShareId};

use super::cached_file::BLOCK;
use crate::driver::disk::{FolderSource, Queue, Results, read_folder};

/// The most blocks of all folders together that stay in memory, 64 MiB; the one that was used least lately goes first.
const MAX_BLOCKS: usize = 32;

/// A block of a folder.
enum FolderBlock {
    /// A worker reads it.
    Reading,
    /// Its bytes, and some of those behind it.
    Here(Box<[u8]>),
}

struct CachedFolder {
    source: Arc<FolderSource>,
    blocks: BTreeMap<usize, FolderBlock>,
    /// Whether a file of the folder is not what it was: nothing more is sent from it.
    has_changed: bool,
}

/// Whether a burst can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FolderReadiness {
    Ready,
    /// A worker reads the bytes.
    Cold,
    /// The folder does not have them, or is not what it was.
    Gone,
}

/// Every served folder of one node.
#[derive(Default)]
pub(super) struct FolderCache {
    folders: BTreeMap<ShareId, CachedFolder>,
    /// The blocks that are in memory, the one that was used least lately first.
    resident: VecDeque<(ShareId, usize)>,
}

impl FolderCache {
    /// Serves a folder under its number.
    pub(super) fn insert(&mut self, share: ShareId, source: Arc<FolderSource>) {
        self.folders.insert(share, CachedFolder { source, blocks: BTreeMap::new(), has_changed: false });
    }

    /// Serves a folder no longer. Returns whether there was one.
    pub(super) fn remove(&mut self, share: ShareId) -> bool {
        self.resident.retain(|(of, _)| *of != share);
        self.folders.remove(&share).is_some()
    }

    /// Whether a folder has this number.
    pub(super) fn has(&self, share: ShareId) -> bool {
        self.folders.contains_key(&share)
    }

    /// Whether the burst's bytes are in memory. Those that are not are read, and those that will be wanted next.
    pub(super) fn readiness(
        &mut self,
        (share, burst): (ShareId, &Burst),
        queue: &Queue,
        results: &Results,
    ) -> FolderReadiness {
        let Some(folder) = self.folders.get_mut(&share) else { return FolderReadiness::Gone };
        let length = folder.source.length();
        if folder.has_changed || burst.start + u64::from(burst.length) > length {
            return FolderReadiness::Gone;
        }
        let block = (burst.start / BLOCK) as usize;
        for wanted in [block, block + 1] {
            let start = wanted as u64 * BLOCK;
            if start < length && !folder.blocks.contains_key(&wanted) {
                folder.blocks.insert(wanted, FolderBlock::Reading);
                let end = length.min(start + BLOCK + u64::from(MAX_BURST));
                read_folder(queue, results, &folder.source, (share, wanted, start..end));
            }
        }
        if matches!(folder.blocks.get(&block), Some(FolderBlock::Here(_))) {
            self.touch(share, block);
            FolderReadiness::Ready
        } else {
            FolderReadiness::Cold
        }
    }

    fn touch(&mut self, share: ShareId, block: usize) {
        if self.resident.back() == Some(&(share, block)) {
            return;
        }
        if let Some(at) = self.resident.iter().position(|one| *one == (share, block)) {
            self.resident.remove(at);
        }
        self.resident.push_back((share, block));
    }

    /// The bytes of a burst, as far as they are in memory.
    pub(super) fn bytes(&self, share: ShareId, burst: &Burst) -> Option<&[u8]> {
        let folder = self.folders.get(&share)?;
        let Some(FolderBlock::Here(bytes)) = folder.blocks.get(&((burst.start / BLOCK) as usize)) else {
            return None;
        };
        let start = (burst.start % BLOCK) as usize;
        bytes.get(start..start + burst.length as usize)
    }

    /// A worker has read a block, or could not: then the folder is not what it was. The error the first time.
    pub(super) fn on_read(
        &mut self,
        share: ShareId,
        block: usize,
        result: Result<Box<[u8]>, DiskError>,
    ) -> Option<DiskError> {
        let folder = self.folders.get_mut(&share)?;
        match result {
            Ok(bytes) => {
                folder.blocks.insert(block, FolderBlock::Here(bytes));
                self.touch(share, block);
                self.evict();
                None
            }
            Err(error) => {
                folder.blocks.remove(&block);
                (!std::mem::replace(&mut folder.has_changed, true)).then_some(error)
            }
        }
    }

    fn evict(&mut self) {
        while self.resident.len() > MAX_BLOCKS {
            let (share, block) = self.resident.pop_front().expect("more blocks are here than may be");
            if let Some(folder) = self.folders.get_mut(&share) {
                folder.blocks.remove(&block);
            }
        }
    }
}
