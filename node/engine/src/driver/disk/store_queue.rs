//! Pieces on their way to the disk: those that wait when a worker comes are hashed together.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use messages::{ChainingValue, Layout, PieceIndex};
use riffle_core::{DownloadId, StoreError};

use super::errors;
use super::hash::piece_hasher::{PieceDigest, digests_of};
use super::hash::sha1_lanes::MAX_LANES;
use super::part::Part;
use super::results::{Completion, LentBuffer, Results, unless_it_panics};

/// A piece that is to be checked and written.
pub(crate) struct StoreOrder {
    /// The download.
    pub(crate) download: DownloadId,
    /// The piece.
    pub(crate) piece: PieceIndex,
    /// The memory that begins with the piece.
    pub(crate) lent: LentBuffer,
    /// The length of the piece, in bytes.
    pub(crate) length: u32,
    /// The hash that the piece must have.
    pub(crate) expected: ChainingValue,
    /// The part file of the download; `None` when it is not open.
    pub(crate) part: Option<Arc<Part>>,
}

/// The pieces that wait, at most as many as there are buffers.
#[derive(Clone, Default)]
pub(crate) struct StoreQueue(Arc<Mutex<VecDeque<StoreOrder>>>);

impl StoreQueue {
    /// Takes one more. For each, [`StoreQueue::serve`] is to be called once.
    pub(crate) fn add(&self, order: StoreOrder) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(order);
    }

    /// Stores what waits, as many pieces as can be hashed side by side; nothing when others were faster.
    pub(crate) fn serve(&self, results: &Results) {
        let orders: Vec<StoreOrder> = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = waiting.len().min(MAX_LANES);
            waiting.drain(..count).collect()
        };
        let pieces: Vec<_> = orders.iter().filter_map(StoreOrder::whole_piece).collect();
        let digests = unless_it_panics(|| digests_of(&pieces)).unwrap_or_default();
        let mut digests = digests.into_iter();
        for order in orders {
            let result = match (&order.part, order.whole_piece()) {
                (None, _) => Err(StoreError::Disk(super::not_open())),
                (Some(_), None) => Err(StoreError::Hash),
                (Some(part), Some(piece)) => store(part, piece, digests.next(), &order.expected),
            };
            let StoreOrder { download, piece, lent, .. } = order;
            results.send(Completion::Stored { download, piece, lent, result });
        }
    }
}

impl StoreOrder {
    /// The piece, when it is as long as it must be and there is something to store it in.
    fn whole_piece(&self) -> Option<(Layout, PieceIndex, &[u8])> {
        let layout = self.part.as_ref()?.outboard().layout();
        let bytes = self.lent.bytes.get(..self.length as usize)?;
        let span = layout.span(self.piece)?;
        (bytes.len() as u64 == span.end - span.start).then_some((layout, self.piece, bytes))
    }
}

fn store(
    part: &Part,
    (_, piece, bytes): (Layout, PieceIndex, &[u8]),
    digest: Option<PieceDigest>,
    expected: &ChainingValue,
) -> Result<(), StoreError> {
    let stored = digest.and_then(|digest| unless_it_panics(|| part.store(piece, bytes, (&digest, expected))));
    stored.unwrap_or_else(|| Err(StoreError::Disk(errors::internal(part.path()))))
}
