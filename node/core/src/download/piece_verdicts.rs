//! What follows for the owners of a piece from its being good or bad.

use messages::{NodeId, PieceIndex};

use super::Download;
use super::session::Session;
use super::trust::TrustVerdict;
use crate::context::Context;
use crate::event::{Event, SessionEnd};
use crate::ids::SessionKey;

/// Where the wrong bytes of a piece may have come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspects {
    /// All bytes came from the piece's senders.
    Senders,
    /// The disk has filled some bytes in, which may have changed since it hashed them.
    SendersAndDisk,
}

impl Download {
    /// Records that `piece` is verified and stored. `sent` holds how many of its bytes came in each session. Returns
    /// how many bytes are credited to which node.
    pub(super) fn on_good_piece(
        &mut self,
        piece: PieceIndex,
        sent: &[(SessionKey, u32)],
        cx: &mut Context<'_>,
    ) -> Vec<(NodeId, u64)> {
        self.progress.on_step(cx.now);
        self.trust(sent);
        let credits = self.contributors.credit(sent);
        let owners = credits.iter().map(|(owner, _)| *owner).collect();
        cx.out.events.push(Event::PieceVerified { download: self.order.download, piece, owners });
        self.finish_if_complete(cx);
        credits
    }

    /// Counts and reports that `piece` did not verify. Returns its senders.
    pub(super) fn reject_piece(
        &mut self,
        piece: PieceIndex,
        sent: &[(SessionKey, u32)],
        cx: &mut Context<'_>,
    ) -> Vec<NodeId> {
        cx.counters.bad_pieces += 1;
        self.accounting.bad_pieces += 1;
        let owners = self.contributors.owners_of(sent);
        let download = self.order.download;
        cx.out.events.push(Event::PieceRejected { download, piece, owners: owners.clone() });
        owners
    }

    pub(super) fn on_bad_piece(
        &mut self,
        piece: PieceIndex,
        sent: &[(SessionKey, u32)],
        suspects: Suspects,
        cx: &mut Context<'_>,
    ) {
        let owners = self.reject_piece(piece, sent, cx);
        // One sender alone is certain to have sent the bad bytes. Of several, each proves its innocence by whole
        // pieces; so does one sender, when the disk may be wrong instead.
        let alone = suspects == Suspects::Senders && owners.len() == 1;
        for owner in owners {
            let penalty = self.peers.candidates.on_bad_piece(owner, alone, cx.now);
            self.distrust(owner, cx);
            if penalty == TrustVerdict::Ban
                && let Some(key) = self.peers.sessions.with_owner(owner).map(Session::key)
            {
                self.end_session(key, SessionEnd::BadPieces, cx);
            }
        }
    }

    /// Puts `owner` on parole: from now on it gives one whole piece at a time, and what it has sent of begun pieces is
    /// discarded.
    fn distrust(&mut self, owner: NodeId, cx: &mut Context<'_>) {
        // The owner may have left meanwhile.
        let Some(key) = self.peers.sessions.put_on_parole(owner) else { return };
        self.give_up_requests(key, cx);
        if let Some(pieces) = self.lifecycle.pieces_mut() {
            pieces.distrust(key);
        }
    }

    /// Improves the trust in the senders of a piece that has verified.
    fn trust(&mut self, sent: &[(SessionKey, u32)]) {
        let owners = self.contributors.owners_of(sent);
        let alone = owners.len() == 1;
        for owner in owners {
            if self.peers.candidates.on_good_piece(owner, alone)
                && let Some(key) = self.peers.sessions.end_parole(owner)
                && let Some(pieces) = self.lifecycle.pieces_mut()
            {
                // A piece that the owner has begun on parole may be finished by any session.
                pieces.pardon(key);
            }
        }
    }
}
