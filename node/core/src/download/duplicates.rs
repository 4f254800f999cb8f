//! What two owners were asked for alike, so that the later one is told when it is wanted no longer.

use messages::PieceIndex;

use super::session::Session;
use crate::ids::SessionKey;
use crate::transport::Flow;

/// No more requests than this are remembered as asked of two.
const MAX_DUPLICATES: usize = 256;

/// What an owner was asked for, and another is asked for too.
#[derive(Clone, Copy, Debug)]
struct DuplicateRequest {
    piece: PieceIndex,
    of: SessionKey,
    request: u32,
}

/// What is asked of two, the oldest first.
#[derive(Debug, Default)]
pub(super) struct DuplicateRequests(Vec<DuplicateRequest>);

impl DuplicateRequests {
    /// What `of` was asked for and has not sent is asked of another: when that comes, it is withdrawn.
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

    /// Those for pieces that are `unwanted` are remembered no longer: whose they are.
    pub(super) fn take(&mut self, unwanted: impl Fn(PieceIndex) -> bool) -> Vec<(SessionKey, u32)> {
        let taken = self.0.extract_if(.., |duplicate| unwanted(duplicate.piece));
        taken.map(|duplicate| (duplicate.of, duplicate.request)).collect()
    }
}
