//! The requests for bytes that two owners were asked for, so that the later one is told when they are no longer wanted.

use messages::PieceIndex;

use super::session::Session;
use crate::ids::SessionKey;
use crate::transport::Flow;

/// At most this many such requests are remembered.
const MAX_DUPLICATES: usize = 256;

/// A request to one owner for bytes that another owner is asked for too.
#[derive(Clone, Copy, Debug)]
struct DuplicateRequest {
    piece: PieceIndex,
    of: SessionKey,
    request: u32,
}

/// The requests that were made twice, the oldest first.
#[derive(Debug, Default)]
pub(super) struct DuplicateRequests(Vec<DuplicateRequest>);

impl DuplicateRequests {
    /// Remembers the outstanding requests of the session `of`, whose bytes another owner is asked for now. They are
    /// withdrawn when their pieces come.
    pub(super) fn remember(&mut self, of: &Session) {
        let expected = of.flow().into_iter().flat_map(Flow::expected);
        let of = of.key();
        self.0.extend(expected.map(|(request, range)| DuplicateRequest {
            piece: range.piece(),
            of,
            request,
        }));
        let old = self.0.len().saturating_sub(MAX_DUPLICATES);
        self.0.drain(..old);
    }

    /// Takes the requests for pieces for which `unwanted` holds. Returns each with its session.
    pub(super) fn take(&mut self, unwanted: impl Fn(PieceIndex) -> bool) -> Vec<(SessionKey, u32)> {
        let taken = self.0.extract_if(.., |duplicate| unwanted(duplicate.piece));
        taken.map(|duplicate| (duplicate.of, duplicate.request)).collect()
    }
}
