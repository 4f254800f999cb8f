//! Which contents one node owns, as ids, and whether the node and the tracker agree about them.
//!
//! When they do not agree, the node is told to announce all its contents again, and a round begins. What the node does
//! not announce again until a later heartbeat is forgotten: a withdrawal was lost, or an old OWN came late.

use std::time::Duration;

use messages::node_to_tracker::OwnDigest;
use messages::{ContentId, Timestamp};

use crate::rounds::Rounds;

/// The contents of one registered node, and the state of the agreement about them.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnedContents {
    /// The contents, by the round in which the node announced each last.
    rounds: Rounds,
    digest: OwnDigest,
    /// The current round.
    round: u32,
    /// What the node announced last in an earlier round than this one is outdated.
    outdated_before: u32,
    agreement: Agreement,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Agreement {
    #[default]
    Agreed,
    /// The node was asked to announce everything again. `since` is the instant at which it was asked, or announced a
    /// content for the first time in this round: a node that still does so is not late, however much it has to
    /// announce.
    Asked { since: Timestamp, has_begun: bool },
}

/// What a heartbeat's count and digest say about the tracker's own table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Both tables are the same.
    InSync,
    /// The node must announce its contents again.
    Differs,
    /// The node had the time to announce its contents again, so some of them it does not have. The caller compares
    /// again without those that [`OwnedContents::take_outdated`] gives.
    Outdated,
}

impl OwnedContents {
    /// The number of contents.
    pub(crate) fn len(&self) -> usize {
        self.rounds.len()
    }

    /// Whether the node owns `content`.
    pub(crate) fn contains(&self, content: ContentId) -> bool {
        self.rounds.contains(content)
    }

    /// All contents, in the order of their ids.
    pub(crate) fn contents(&self) -> impl Iterator<Item = ContentId> + use<'_> {
        self.rounds.contents()
    }

    /// What is left to be taken out of the file-owner table when the node is gone.
    pub(crate) fn into_contents(self) -> Rounds {
        self.rounds
    }

    /// Whether the node was asked to announce a content again and did not.
    pub(crate) fn is_outdated(&self) -> bool {
        self.rounds.announced_before(self.outdated_before).is_some()
    }

    /// Takes out a content that the node did not announce again; its mark is still in the digest.
    pub(crate) fn take_outdated(&mut self) -> Option<ContentId> {
        let content = self.rounds.announced_before(self.outdated_before)?;
        self.rounds.remove(content);
        Some(content)
    }

    /// Whether the node reports the same, by count and digest.
    pub(crate) fn matches(&self, count: u32, digest: OwnDigest) -> bool {
        self.rounds.len() == count as usize && self.digest == digest
    }

    /// Takes in that the node announced `content` in this round; `change` is folded into the digest.
    pub(crate) fn announce(&mut self, content: ContentId, change: OwnDigest, now: Timestamp) {
        let before = self.rounds.announce(content, self.round);
        self.digest.0 ^= change.0;
        if let Agreement::Asked { since, has_begun } = &mut self.agreement {
            *has_begun = true;
            if before != Some(self.round) {
                *since = now;
            }
        }
    }

    /// Takes `content` out, and its `mark` out of the digest.
    pub(crate) fn withdraw(&mut self, content: ContentId, mark: OwnDigest) {
        self.rounds.remove(content);
        self.digest.0 ^= mark.0;
    }

    /// Compares with what the node reports. `resync_timeout` is how long the node may pause while it announces
    /// everything again, and half of the time until its next REGISTER.
    pub(crate) fn compare(
        &mut self,
        count: u32,
        digest: OwnDigest,
        now: Timestamp,
        resync_timeout: Duration,
    ) -> Comparison {
        if self.matches(count, digest) {
            self.agreement = Agreement::Agreed;
            return Comparison::InSync;
        }
        // A node that has nothing announces nothing again. But a REGISTER from before its first OWN may come late, or
        // be a replay: a node that has something contradicts that with its next one.
        let is_late = |since, has_begun| match count {
            0 => now.since(since) >= resync_timeout * 2,
            _ => has_begun && now.since(since) >= resync_timeout,
        };
        match self.agreement {
            Agreement::Asked { since, has_begun } if !is_late(since, has_begun) => {}
            Agreement::Agreed => self.begin_round(now),
            Agreement::Asked { .. } => {
                self.outdated_before = self.round;
                self.begin_round(now);
                if self.is_outdated() {
                    return Comparison::Outdated;
                }
            }
        }
        Comparison::Differs
    }

    fn begin_round(&mut self, now: Timestamp) {
        self.round = self.round.saturating_add(1);
        self.agreement = Agreement::Asked { since: now, has_begun: false };
    }
}

#[cfg(test)]
mod tests;
