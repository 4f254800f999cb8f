//! A host's disk and buffer pool, without bytes: files are contents, buffers are runs of "these bytes of that content".

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use messages::{ContentId, Manifest, PieceIndex};
use node::{
    BufferChange, BufferId, DiskError, DiskErrorKind, DiskRequest, DiskResult, DownloadId, Opened, ShareId,
    StoreError,
};

use crate::content::Library;

/// Where the payload of a CHUNK was read: in which content, from which byte on; the manifest's bytes count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Provenance {
    pub(crate) content: ContentId,
    pub(crate) manifest: bool,
    pub(crate) from: u64,
}

#[derive(Debug)]
struct Buffer {
    length: u32,
    /// What was placed: (start, end, source), disjoint and ascending.
    placed: Vec<(u32, u32, Provenance)>,
}

#[derive(Debug)]
struct Part {
    target: PathBuf,
    content: ContentId,
    manifest: Arc<Manifest>,
    share: ShareId,
    stored: BTreeSet<u32>,
}

/// One host's disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Finished files.
    pub(crate) files: BTreeMap<PathBuf, ContentId>,
    /// Files that bursts may name.
    open: BTreeMap<ShareId, ContentId>,
    parts: BTreeMap<DownloadId, Part>,
    buffers: BTreeMap<BufferId, Buffer>,
    pub(crate) buffered: u64,
    pub(crate) most_buffered: u64,
}

/// A request takes this long at least.
const LATENCY: Duration = Duration::from_micros(50);
/// Nanoseconds for hashing and writing one byte: about 1 GB/s.
const NANOS_A_BYTE: u64 = 1;

impl Disk {
    pub(crate) fn change_buffers(&mut self, changes: &[BufferChange]) {
        for change in changes {
            match *change {
                BufferChange::Allocate { buffer, length } => {
                    let new = self.buffers.insert(buffer, Buffer { length, placed: Vec::new() });
                    assert!(new.is_none(), "{buffer} is lent twice");
                    self.buffered += u64::from(length);
                    self.most_buffered = self.most_buffered.max(self.buffered);
                }
                BufferChange::Free { buffer } => {
                    let old = self
                        .buffers
                        .remove(&buffer)
                        .unwrap_or_else(|| panic!("{buffer} is given back twice"));
                    self.buffered -= u64::from(old.length);
                }
            }
        }
    }

    /// `length` bytes from `source` were put at `offset` of `buffer`.
    pub(crate) fn place(&mut self, buffer: BufferId, offset: u32, length: u32, source: Provenance) {
        let buffer =
            self.buffers.get_mut(&buffer).unwrap_or_else(|| panic!("a place in {buffer}, which is nobody's"));
        let end = offset + length;
        assert!(end <= buffer.length, "a place beyond the end of a buffer");
        // What is written over is gone.
        let mut kept = Vec::new();
        for (start, stop, of) in buffer.placed.drain(..) {
            if start < offset {
                kept.push((start, stop.min(offset), of));
            }
            if stop > end {
                let skipped = u64::from(end.saturating_sub(start));
                kept.push((start.max(end), stop, Provenance { from: of.from + skipped, ..of }));
            }
        }
        kept.push((offset, end, source));
        kept.sort_unstable_by_key(|run| run.0);
        // Runs that go on where the one before ends are one.
        kept.dedup_by(|next, before| {
            let joins = before.1 == next.0
                && before.2.content == next.2.content
                && before.2.manifest == next.2.manifest
                && before.2.from + u64::from(before.1 - before.0) == next.2.from;
            if joins {
                before.1 = next.1;
            }
            joins
        });
        buffer.placed = kept;
    }

    /// Whether the first `length` bytes of `buffer` are those of `expected` from its byte on.
    fn holds(&self, buffer: BufferId, length: u32, expected: Provenance) -> bool {
        match self.buffers.get(&buffer).map(|buffer| buffer.placed.as_slice()) {
            Some([(0, end, source)]) => *end >= length && *source == expected,
            _ => false,
        }
    }

    /// Which content a burst from `share` carries; `None` when the file is not open.
    pub(crate) fn source(&self, share: ShareId) -> Option<ContentId> {
        self.open.get(&share).copied()
    }

    /// Carries out `request`: the answer, and how long it takes.
    pub(crate) fn carry_out(
        &mut self,
        request: DiskRequest,
        library: &Library,
    ) -> Option<(Duration, DiskResult)> {
        match request {
            DiskRequest::Share { share, path } => {
                let found = self.files.get(&path).and_then(|id| library.of(*id));
                let result = match found {
                    Some(content) => {
                        self.open.insert(share, content.id);
                        Ok(content.manifest.clone())
                    }
                    None => Err(DiskError { path, kind: DiskErrorKind::NotFound }),
                };
                Some((LATENCY, DiskResult::Shared { share, result }))
            }
            DiskRequest::Unshare { share } => {
                self.open.remove(&share);
                None
            }
            DiskRequest::CheckManifest { download, buffer, length, content } => {
                let whole = Provenance { content, manifest: true, from: 0 };
                let known = library.of(content).filter(|_| self.holds(buffer, length, whole));
                let result =
                    known.map(|content| content.manifest.clone()).ok_or(messages::ManifestError::Identity);
                Some((LATENCY, DiskResult::ManifestChecked { download, buffer, result }))
            }
            DiskRequest::Open { download, share, target, content, manifest } => {
                let result = self.open_part(download, share, target, content, manifest);
                Some((LATENCY, DiskResult::Opened { download, result }))
            }
            DiskRequest::Store { download, piece, buffer, length, expected } => {
                let result = self.store(download, piece, buffer, length, expected);
                let takes = LATENCY + Duration::from_nanos(NANOS_A_BYTE * u64::from(length));
                Some((takes, DiskResult::Stored { download, piece, buffer, result }))
            }
            DiskRequest::Finish { download } => {
                let part = self.parts.remove(&download).expect("a part file");
                let pieces = part.manifest.layout().pieces() as usize;
                assert_eq!(part.stored.len(), pieces, "finished before every piece is stored");
                self.files.insert(part.target.clone(), part.content);
                Some((LATENCY, DiskResult::Finished { download, result: Ok(part.target) }))
            }
            DiskRequest::Abandon { download } => {
                if let Some(part) = self.parts.remove(&download) {
                    self.open.remove(&part.share);
                }
                None
            }
        }
    }

    fn open_part(
        &mut self,
        download: DownloadId,
        share: ShareId,
        target: PathBuf,
        content: ContentId,
        manifest: Arc<Manifest>,
    ) -> Result<Opened, DiskError> {
        match self.files.get(&target) {
            Some(there) if *there == content => {
                self.open.insert(share, content);
                Ok(Opened::AlreadyThere)
            }
            Some(_) => Err(DiskError { path: target, kind: DiskErrorKind::ExistsOther }),
            None if self.parts.values().any(|part| part.target == target) => {
                Err(DiskError { path: target, kind: DiskErrorKind::InUse })
            }
            None => {
                self.open.insert(share, content);
                self.parts
                    .insert(download, Part { target, content, manifest, share, stored: BTreeSet::new() });
                Ok(Opened::Ready { have: Vec::new(), hashed_again: None })
            }
        }
    }

    fn store(
        &mut self,
        download: DownloadId,
        piece: PieceIndex,
        buffer: BufferId,
        length: u32,
        expected: messages::PieceHash,
    ) -> Result<(), StoreError> {
        let part = self.parts.get(&download).expect("a part file");
        assert_eq!(part.manifest.piece_hash(piece), Some(&expected), "another piece's hash");
        let span = part.manifest.layout().span(piece).expect("a piece of the content");
        assert_eq!(span.end - span.start, u64::from(length), "another piece's length");
        let source = Provenance { content: part.content, manifest: false, from: span.start };
        if !self.holds(buffer, length, source) {
            return Err(StoreError::Hash);
        }
        let part = self.parts.get_mut(&download).expect("a part file");
        assert!(part.stored.insert(piece.0), "{piece} is stored twice");
        Ok(())
    }
}
