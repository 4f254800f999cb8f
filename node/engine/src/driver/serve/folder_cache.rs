//! The folders that bursts are taken from, and which blocks of their contents are in memory.
//!
//! The bytes of a folder come from many files, so they are read by workers into memory of this process, block by block.
//! A block comes with as many bytes behind it as a burst may have: every burst that begins in a block is in its memory.
//! Of a folder with files that are not what they were, the pieces that have bytes of these are not sent any more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use messages::limits::MAX_BURST;
use messages::{PieceIndex, PieceRun};
use riffle_core::{Burst, DiskError, ShareId};

use super::cached_file::BLOCK;
use crate::driver::disk::{FolderFault, FolderSource, Queue, Results, read_folder};
use crate::platform::aligned_bytes::AlignedBytes;

/// The most blocks of all folders together that stay in memory, 64 MiB; the one that was used least lately goes first.
const MAX_BLOCKS: usize = 32;

/// The memory of a block, and of the bytes behind it that a burst may have.
const BLOCK_MEMORY: usize = BLOCK as usize + MAX_BURST as usize;
/// So much memory for blocks is kept for the next ones.
const MAX_SPARE: usize = 4;

/// A block of a folder.
enum FolderBlock {
    /// A worker reads it.
    Reading,
    /// Its bytes, and some of those behind it.
    Here(AlignedBytes),
}

struct CachedFolder {
    source: Arc<FolderSource>,
    blocks: BTreeMap<usize, FolderBlock>,
    /// The entries whose files are not what they were: no bytes are read from them.
    lost: Arc<BTreeSet<usize>>,
    /// The pieces that have bytes of such files: nothing more is sent of them.
    lost_pieces: BTreeSet<PieceIndex>,
    /// Whether the folder cannot be read: nothing more is sent from it.
    is_gone: bool,
}

impl CachedFolder {
    fn new(source: Arc<FolderSource>) -> CachedFolder {
        let (blocks, lost, lost_pieces) = (BTreeMap::new(), Arc::default(), BTreeSet::new());
        CachedFolder { source, blocks, lost, lost_pieces, is_gone: false }
    }

    fn may_send(&self, burst: &Burst) -> bool {
        let end = burst.start + u64::from(burst.length);
        !self.is_gone && end <= self.source.length() && !self.lost_pieces.contains(&burst.first.piece)
    }
}

/// What is no longer served of a folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FolderLoss {
    /// The pieces that have bytes of these files.
    Files(Vec<PieceRun>, Vec<DiskError>),
    /// All of it.
    Folder(DiskError),
}

/// Whether a burst can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FolderReadiness {
    Ready,
    /// A worker reads the bytes.
    Cold,
    /// The folder does not have them, or the files that had them are not what they were.
    Gone,
}

/// Every served folder of one node.
#[derive(Default)]
pub(super) struct FolderCache {
    folders: BTreeMap<ShareId, CachedFolder>,
    /// The blocks that are in memory, the one that was used least lately first.
    resident: VecDeque<(ShareId, usize)>,
    /// Memory of blocks that are here no longer, for the next ones: the system need not clear new pages for each.
    spare: Vec<AlignedBytes>,
}

impl FolderCache {
    /// Serves a folder under its number.
    pub(super) fn insert(&mut self, share: ShareId, source: Arc<FolderSource>) {
        self.folders.insert(share, CachedFolder::new(source));
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

    /// The folder that has this number.
    pub(super) fn source(&self, share: ShareId) -> Option<&Arc<FolderSource>> {
        self.folders.get(&share).map(|folder| &folder.source)
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
        if !folder.may_send(burst) {
            return FolderReadiness::Gone;
        }
        let block = (burst.start / BLOCK) as usize;
        for wanted in [block, block + 1] {
            let start = wanted as u64 * BLOCK;
            if start < length && !folder.blocks.contains_key(&wanted) {
                folder.blocks.insert(wanted, FolderBlock::Reading);
                let end = length.min(start + BLOCK_MEMORY as u64);
                let what = (&folder.source, &folder.lost);
                let memory = self.spare.pop().unwrap_or_default();
                read_folder(queue, results, what, (share, wanted, start..end), memory);
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
        let folder = self.folders.get(&share).filter(|folder| folder.may_send(burst))?;
        let Some(FolderBlock::Here(bytes)) = folder.blocks.get(&((burst.start / BLOCK) as usize)) else {
            return None;
        };
        let start = (burst.start % BLOCK) as usize;
        bytes.get(start..start + burst.length as usize)
    }

    /// A worker has read a block, or could not: then files of the folder are not what they were. What is lost by that,
    /// the first time.
    pub(super) fn on_read(
        &mut self,
        share: ShareId,
        block: usize,
        result: Result<AlignedBytes, FolderFault>,
    ) -> Option<FolderLoss> {
        let folder = self.folders.get_mut(&share)?;
        let fault = match result {
            Ok(bytes) => {
                folder.blocks.insert(block, FolderBlock::Here(bytes));
                self.touch(share, block);
                self.evict();
                return None;
            }
            Err(fault) => fault,
        };
        // Where bursts wait for it, it is read again, without what is lost.
        folder.blocks.remove(&block);
        match fault {
            FolderFault::Files(mut files) => {
                files.retain(|file| !folder.lost.contains(&file.entry));
                let lost = Arc::make_mut(&mut folder.lost);
                lost.extend(files.iter().map(|file| file.entry));
                let pieces: Vec<PieceRun> = files.iter().map(|file| file.pieces).collect();
                folder.lost_pieces.extend(pieces.iter().flat_map(|run| run.iter()));
                let errors: Vec<DiskError> = files.into_iter().map(|file| file.error).collect();
                (!errors.is_empty()).then_some(FolderLoss::Files(pieces, errors))
            }
            FolderFault::Folder(error) => {
                (!std::mem::replace(&mut folder.is_gone, true)).then_some(FolderLoss::Folder(error))
            }
        }
    }

    fn evict(&mut self) {
        while self.resident.len() > MAX_BLOCKS {
            let (share, block) = self.resident.pop_front().expect("more blocks are here than may be");
            let removed = self.folders.get_mut(&share).and_then(|folder| folder.blocks.remove(&block));
            if let Some(FolderBlock::Here(memory)) = removed
                && memory.len() == BLOCK_MEMORY
                && self.spare.len() < MAX_SPARE
            {
                self.spare.push(memory);
            }
        }
    }
}
