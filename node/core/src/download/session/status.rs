//! The status of a session, for screens.

use messages::{CHUNK_HEADER, PieceRun, Timestamp};

use super::Session;
use super::established::Standing;
use crate::status::{ChannelStatus, OwnerState, OwnerStatus};
use crate::transport::mtud::BASE;

impl Session {
    /// The status of the session, for screens. `pieces` are those that it fetches.
    pub(crate) fn status(&self, pieces: Option<PieceRun>, now: Timestamp) -> OwnerStatus {
        OwnerStatus {
            node: self.contact.owner,
            peer: self.contact.peer,
            state: match self.established().map(|open| &open.standing) {
                None => OwnerState::Connecting,
                Some(Standing::Unchoked) => OwnerState::Ready,
                Some(Standing::Choked { .. }) => OwnerState::Choked,
                Some(Standing::Snubbed { .. }) => OwnerState::Snubbed,
            },
            pieces,
            received: self.meter.total(),
            rate: self.meter.rate(now),
            rtt: self.rtt(),
            outstanding: self.outstanding(),
            datagram: self.flow().map_or(BASE, |flow| flow.segment_size() + CHUNK_HEADER as u16),
            permille: self.permille(),
            channel: ChannelStatus::default(),
        }
    }

    fn permille(&self) -> u16 {
        let all = self.claimed_pieces();
        let have = if self.is_handshaking() { 0 } else { self.inventory.pieces().count(all) };
        (u64::from(have) * 1000 / u64::from(all.max(1))) as u16
    }
}
