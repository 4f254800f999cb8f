//! The end of a download over a long path that loses much. A lost segment is found out after a round trip, and so is one
//! that is lost again: the last of many take four or five. So the little that is missing in the end is asked for again
//! before it is known to be lost, and what comes first counts. Over a short path a round trip costs less than what would
//! come twice.

use messages::Timestamp;
use messages::node_to_node::ByteRange;

use super::Pieces;
use super::parole::may_give;
use crate::context::Context;
use crate::download::session::Session;
use crate::transport::{Flow, LONG_RTT};

/// What is missing is asked for again when it is at most one part in this many of the content. So what comes twice is
/// less than half a percent.
const MAX_MISSING_PART: u64 = 384;
/// What is missing is asked for again this many times in a round trip.
const TIMES_A_ROUND_TRIP: u32 = 3;

impl Pieces {
    /// When `session` is to be asked again for what is missing, if it is to be asked again at all.
    pub(crate) fn repeats_at(&self, session: &Session) -> Option<Timestamp> {
        let is_worth_it = |flow: &Flow| flow.is_lossy() && flow.min_rtt().is_some_and(|rtt| rtt >= LONG_RTT);
        if !session.flow().is_some_and(is_worth_it)
            || !self.picker.is_empty()
            || !session.is_unchoked()
            || session.is_suspect()
        {
            return None;
        }
        let missing: u64 = self.assemblies.values().map(|assembly| u64::from(assembly.missing())).sum();
        (missing > 0 && missing <= self.layout.length() / MAX_MISSING_PART).then_some(self.repeats_at)
    }

    /// The next range, of at most `most` bytes, for which `session` is to be asked although it was asked for already.
    pub(crate) fn next_repeat(
        &mut self,
        session: &Session,
        most: u32,
        cx: &mut Context<'_>,
    ) -> Option<ByteRange> {
        if cx.now < self.repeats_at(session)? {
            return None;
        }
        self.repeats_at = cx.now + session.rtt()? / TIMES_A_ROUND_TRIP;
        for (&piece, assembly) in &mut self.assemblies {
            if may_give(session, piece, assembly) {
                assembly.ask_for_all_again(session.key());
            }
        }
        self.next_range(session, most, cx)
    }
}
