//! Which owners sent the bytes of a download, so that good pieces are credited to them and bad ones blamed on them.
//! Ended sessions count too, because their pieces may still be on the way to the disk.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use messages::{FileMetadata, NodeId};

use super::sessions::OpenSessions;
use crate::event::OwnerShare;
use crate::ids::SessionKey;

/// Ended sessions are forgotten when this many sessions are remembered.
const MAX_SESSIONS: usize = 1024;

/// The words of so many owners about the file are kept.
const MAX_TOLD: usize = 256;

/// The owner of each recent session, and how many bytes each owner has contributed.
#[derive(Debug, Default)]
pub(super) struct Contributors {
    by_session: BTreeMap<SessionKey, (NodeId, SocketAddr)>,
    by_owner: BTreeMap<NodeId, (SocketAddr, u64)>,
    /// What complete owners say of the file, in the order in which they said so first.
    told: Vec<(NodeId, FileMetadata)>,
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

    /// Records what `owner`, which has all of the content, says of the file.
    pub(super) fn on_told(&mut self, owner: NodeId, file: FileMetadata) {
        let known = self.told.iter().position(|(other, _)| *other == owner);
        match known {
            Some(at) => self.told[at].1 = file,
            None if self.told.len() < MAX_TOLD => self.told.push((owner, file)),
            None => {}
        }
    }

    /// What is believed of the file: the word of the owner that has contributed most, else the first.
    pub(super) fn file(&self) -> FileMetadata {
        let bytes = |owner: &NodeId| self.by_owner.get(owner).map_or(0, |(_, bytes)| *bytes);
        // Of equals the last is the greatest for `max_by_key`, and here it is the first.
        let told = self.told.iter().rev().filter(|(_, file)| file.is_told());
        told.max_by_key(|(owner, _)| bytes(owner)).map(|(_, file)| *file).unwrap_or_default()
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
    fn the_owner_that_gave_most_is_believed_about_the_file_else_the_first() {
        let owners = [1, 2, 3].map(|byte| NodeId::from_bytes([byte; 16]));
        let said = |seconds| {
            let modified = Some(messages::collection::Modified { seconds, nanos: 5 });
            FileMetadata { modified, is_executable: false }
        };
        let (mut contributors, open) = (Contributors::default(), OpenSessions::new());
        assert_eq!(contributors.file(), FileMetadata::default());
        for (key, owner) in (0..).zip(owners) {
            contributors.learn(SessionKey(key), owner, SocketAddr::from(([10, 0, 0, 1], 1)), &open);
            contributors.on_told(owner, said(key.into()));
        }
        assert_eq!(contributors.file(), said(0), "nobody gave anything");
        contributors.credit(&[(SessionKey(1), 5), (SessionKey(2), 5)]);
        assert_eq!(contributors.file(), said(1));
        contributors.credit(&[(SessionKey(2), 1)]);
        assert_eq!(contributors.file(), said(2));
        contributors.on_told(owners[2], FileMetadata::default());
        assert_eq!(contributors.file(), said(1), "who tells nothing any more is not asked");
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
