//! Which owners sent the bytes of a download, so that good pieces are credited to them and bad ones blamed on them.
//! Ended sessions count too, because their pieces may still be on the way to the disk.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use messages::NodeId;

use super::sessions::OpenSessions;
use crate::event::OwnerShare;
use crate::ids::SessionKey;

/// Ended sessions are forgotten when this many sessions are remembered.
const MAX_SESSIONS: usize = 1024;

/// The owner of each recent session, and how many bytes each owner has contributed.
#[derive(Debug, Default)]
pub(super) struct Contributors {
    by_session: BTreeMap<SessionKey, (NodeId, SocketAddr)>,
    by_owner: BTreeMap<NodeId, (SocketAddr, u64)>,
}

impl Contributors {
    /// Records that `owner`, at `peer`, is the owner of the session `key`. A session that is not among the `open` ones
    /// may be forgotten for it.
    pub(super) fn learn(&mut self, key: SessionKey, owner: NodeId, peer: SocketAddr, open: &OpenSessions) {
        if self.by_session.len() >= MAX_SESSIONS {
            // Open sessions are kept, so that their owners are credited and blamed to the end.
            let ended = self.by_session.keys().find(|key| open.get(**key).is_none()).copied();
            ended.and_then(|key| self.by_session.remove(&key));
        }
        self.by_session.insert(key, (owner, peer));
    }

    /// The owner of the session `key`, unless that is forgotten.
    pub(super) fn owner_of(&self, key: SessionKey) -> Option<NodeId> {
        self.by_session.get(&key).map(|(owner, _)| *owner)
    }

    /// The owners that sent a piece. An owner is named once, in however many sessions it sent.
    pub(super) fn owners_of(&self, sent: &[(SessionKey, u32)]) -> Vec<NodeId> {
        let mut owners: Vec<NodeId> = sent.iter().filter_map(|(key, _)| self.owner_of(*key)).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    /// Credits the bytes of a good piece, which were `sent` in these sessions. Returns them by owner.
    pub(super) fn credit(&mut self, sent: &[(SessionKey, u32)]) -> Vec<(NodeId, u64)> {
        let mut credits = Vec::new();
        for &(key, bytes) in sent {
            if let Some(&(owner, peer)) = self.by_session.get(&key) {
                let bytes = u64::from(bytes);
                let given = self.by_owner.entry(owner).or_insert((peer, 0));
                // An owner that was restarted is listed at its last address.
                *given = (peer, given.1 + bytes);
                credits.push((owner, bytes));
            }
        }
        credits
    }

    /// What each owner has contributed, the largest first.
    pub(super) fn totals(&self) -> Vec<OwnerShare> {
        let by_owner = self.by_owner.iter();
        let mut all: Vec<OwnerShare> =
            by_owner.map(|(&owner, &(peer, bytes))| OwnerShare { owner, peer, bytes }).collect();
        all.sort_by_key(|total| std::cmp::Reverse(total.bytes));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_credited_where_it_was_last_and_named_once() {
        let (owner, other) = (NodeId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
        let at = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let (mut contributors, open) = (Contributors::default(), OpenSessions::new());
        contributors.learn(SessionKey(0), owner, at(1), &open);
        contributors.learn(SessionKey(1), owner, at(2), &open);
        contributors.learn(SessionKey(2), other, at(3), &open);
        let sent = [(SessionKey(0), 5), (SessionKey(1), 6), (SessionKey(9), 7)];
        assert_eq!(contributors.owners_of(&sent), [owner], "nobody is known behind the last");
        assert_eq!(contributors.credit(&sent), [(owner, 5), (owner, 6)]);
        assert_eq!(contributors.credit(&[(SessionKey(2), 20)]), [(other, 20)]);
        let expected = [(other, at(3), 20), (owner, at(2), 11)].map(|(owner, peer, bytes)| OwnerShare {
            owner,
            peer,
            bytes,
        });
        assert_eq!(contributors.totals(), expected);
    }

    #[test]
    fn few_sessions_are_remembered() {
        let (mut contributors, open) = (Contributors::default(), OpenSessions::new());
        let peer = SocketAddr::from(([10, 0, 0, 1], 1));
        for key in 0..MAX_SESSIONS as u32 + 10 {
            contributors.learn(SessionKey(key), NodeId::from_bytes([1; 16]), peer, &open);
        }
        assert_eq!(contributors.by_session.len(), MAX_SESSIONS);
        assert_eq!(contributors.owner_of(SessionKey(9)), None);
        assert!(contributors.owner_of(SessionKey(10)).is_some());
    }
}
