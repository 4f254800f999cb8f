//! One file of the file cache: whether the file is open, and which of its blocks are in memory.

use std::ops::Range;
use std::path::PathBuf;

use fixedbitset::FixedBitSet;
use riffle_core::DiskError;

use crate::driver::disk::{FileIdentity, ServedFile};

/// The file cache reads files into memory in blocks of so many bytes.
pub(crate) const BLOCK: u64 = 2 << 20;

/// A served file.
pub(crate) struct CachedFile {
    /// The path of the file.
    pub(crate) path: PathBuf,
    /// The identity that the file must keep; `None` for a part file, which changes and is never closed.
    pub(crate) identity: Option<FileIdentity>,
    /// The length of the file, in bytes.
    pub(crate) length: u64,
    /// The open file; `None` while the file is closed.
    pub(crate) served: Option<ServedFile>,
    /// The number of blocks of the file.
    pub(crate) blocks: usize,
    /// The blocks that are in memory.
    pub(crate) warm: FixedBitSet,
    /// The blocks that a worker is reading.
    pub(crate) requested: FixedBitSet,
    /// Whether the file stands in the file cache's list of files that were sent from.
    pub(crate) used: bool,
    /// The number of the last use of the file.
    pub(crate) last_use: u64,
    /// Whether it may be served.
    pub(crate) validity: Validity,
}

/// Whether a file may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    /// The file is what was announced, as far as is known.
    Unchanged,
    /// A worker compares the file with what was announced.
    Checking,
    /// The file has changed: nothing more is sent from it.
    Changed,
}

impl CachedFile {
    /// An open file of which nothing is in memory yet.
    pub(crate) fn new(served: ServedFile) -> CachedFile {
        let length = served.map.as_ref().map_or(0, |map| map.length() as u64);
        let blocks = length.div_ceil(BLOCK) as usize;
        let (warm, requested) = (FixedBitSet::with_capacity(blocks), FixedBitSet::with_capacity(blocks));
        CachedFile {
            path: served.path.clone(),
            identity: served.identity,
            length,
            served: Some(served),
            blocks,
            warm,
            requested,
            used: false,
            last_use: 0,
            validity: Validity::Unchanged,
        }
    }

    /// Closes the file, so that no block of it counts as in memory. The caller drops what was open on a worker.
    pub(crate) fn close(&mut self) -> Option<ServedFile> {
        self.warm.clear();
        self.served.take()
    }

    /// The bytes of a block.
    pub(crate) fn span(&self, block: usize) -> Range<u64> {
        let start = block as u64 * BLOCK;
        start..self.length.min(start + BLOCK)
    }

    /// Marks the file as changed: nothing more is sent from it. Returns the error the first time.
    pub(crate) fn mark_changed(&mut self, error: DiskError) -> Option<DiskError> {
        let before = std::mem::replace(&mut self.validity, Validity::Changed);
        (before != Validity::Changed).then_some(error)
    }
}
