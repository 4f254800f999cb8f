//! Sealed datagrams that arrive. The payload of a CHUNK is opened straight into its piece buffer: where it belongs is
//! sealed, too, but is known beforehand, because an owner answers in the order in which it was asked.

use std::net::SocketAddr;

use channel::{OPENED_CHUNK_PREFIX, OpenedChunk};
use messages::{Header, Timestamp};

use super::{Node, Route, unscoped};
use crate::output::Placement;
use crate::piece_buffers::PieceBuffers;

/// Shorter payloads are opened where they were received: to copy one costs less than to find out where it belongs.
const MIN_OPENED_AHEAD: usize = 4 << 10;

impl Node {
    /// Takes in a datagram of a channel ([`messages::Kind::is_channel`]). The payload of a CHUNK that is wanted is written
    /// to `buffers`. The datagram's bytes are of no use afterwards.
    pub fn receive_sealed(
        &mut self,
        from: SocketAddr,
        datagram: &mut [u8],
        buffers: &mut impl PieceBuffers,
        now: Timestamp,
    ) {
        let from = unscoped(from);
        let expected = self.expected_place(from, datagram, now);
        let room = expected.and_then(|(place, length)| buffers.room(place, OPENED_CHUNK_PREFIX, length));
        let opened = match (expected, room, self.shared.channels.as_deref_mut()) {
            (Some((expected, length)), Some(room), Some(channels)) => {
                match channels.open_chunk(from, datagram, room, now) {
                    Ok(OpenedChunk { header, peer }) => {
                        self.shared.sender = Some(peer);
                        let place = self.handle_opened_chunk(from, &header, length, now);
                        self.shared.sender = None;
                        if let Some(place) = place.filter(|place| *place != expected) {
                            buffers.copy(expected, place, length);
                        }
                        return;
                    }
                    Err(received) => self.handle_received(from, received, datagram, now),
                }
            }
            _ => self.open(from, datagram, now),
        };
        if let Some((header, at)) = opened
            && let Some(place) = self.handle_opened_chunk(from, &header, at.len(), now)
        {
            buffers.write(place, &datagram[at]);
        }
    }

    /// Where the payload of a sealed datagram belongs if it is the CHUNK that is expected next in its session, and how
    /// long that is. Nothing has been written there that is still needed.
    fn expected_place(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Timestamp,
    ) -> Option<(Placement, usize)> {
        let length = channel::sealed_length(datagram)?.checked_sub(OPENED_CHUNK_PREFIX)?;
        if length < MIN_OPENED_AHEAD {
            return None;
        }
        let Header { conversation, .. } = Header::decode(datagram).ok()?;
        let cx = self.shared.context(now);
        let Some(Route::Download(id, key)) = cx.routes.find(conversation) else { return None };
        let place = self.downloads.get_mut(id)?.expected_place(key, from, length)?;
        Some((place, length))
    }
}
