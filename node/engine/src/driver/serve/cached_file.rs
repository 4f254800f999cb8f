//! One file of the file cache: open or closed, and which of its blocks are in memory.

use std::ops::Range;
use std::path::PathBuf;

use fixedbitset::FixedBitSet;
use riffle_core::DiskError;

use crate::driver::disk::{FileIdentity, ServedFile};

/// What is read into memory at once, in bytes.
pub(crate) const BLOCK: u64 = 2 << 20;

/// A served file.
pub(crate) struct CachedFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it must stay; `None` while it is a part file, which changes and is never closed.
    pub(crate) identity: Option<FileIdentity>,
    /// Bytes of it.
    pub(crate) length: u64,
    /// `None` while it is closed.
    pub(crate) served: Option<ServedFile>,
    /// Blocks of it.
    pub(crate) blocks: usize,
    /// Those that are in memory.
    pub(crate) warm: FixedBitSet,
    /// Those that a worker reads.
    pub(crate) requested: FixedBitSet,
    /// Whether it stands in the file cache's list of those.
    pub(crate) used: bool,
    /// The number of its last use.
    pub(crate) last_use: u64,
    /// Whether it may be served.
    pub(crate) validity: Validity,
}

/// Whether a file may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    /// As far as is known.
    Unchanged,
    /// A worker compares it.
    Checking,
    /// It changed: nothing more is sent from it.
    Changed,
}

impl CachedFile {
    /// An open one, of which nothing is in memory yet.
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

    /// Closes it: nothing of it is in memory any more. What was open is to be dropped on a worker.
    pub(crate) fn close(&mut self) -> Option<ServedFile> {
        self.warm.clear();
        self.served.take()
    }

    /// The bytes of a block.
    pub(crate) fn span(&self, block: usize) -> Range<u64> {
        let start = block as u64 * BLOCK;
        start..self.length.min(start + BLOCK)
    }

    /// Nothing more is sent from it; the error the first time that this is found.
    pub(crate) fn mark_changed(&mut self, error: DiskError) -> Option<DiskError> {
        let before = std::mem::replace(&mut self.validity, Validity::Changed);
        (before != Validity::Changed).then_some(error)
    }
}
