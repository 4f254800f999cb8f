//! What the owners of one content say of it, counted by hosts: its name and its length.

use messages::{ContentId, Timestamp};

use crate::host_counts::HostCounts;
use crate::host_key::HostKey;
use crate::names::{Label, Names};
use crate::tally::Tally;

/// What one owner says of the content, and at which host the owner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) label: Label,
    pub(crate) length: u64,
    pub(crate) host: HostKey,
}

/// The votes of a content's owners. Nearly every content has one owner, whom nobody contradicts: then nothing is kept
/// here.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContentVotes(Option<Box<Tallies>>);

/// How many hosts are for which name and for which length.
#[derive(Clone, Debug)]
struct Tallies {
    names: HostCounts<Label>,
    lengths: HostCounts<u64>,
    /// Hosts for each name and the number of its claim: of two names with as many hosts the one with the smaller number
    /// leads, which was claimed first.
    by_name: Tally<(u64, Label)>,
    /// Hosts for each length.
    by_length: Tally<u64>,
}

impl ContentVotes {
    /// No votes.
    pub(crate) const fn new() -> ContentVotes {
        ContentVotes(None)
    }

    /// Casts the `vote` of an owner of `content`, in place of its vote `before`. `other` is the vote of the only other
    /// owner, if there is exactly one.
    pub(crate) fn cast(
        &mut self,
        names: &mut Names,
        content: ContentId,
        (vote, before): (&Vote, Option<&Vote>),
        other: Option<&Vote>,
        now: Timestamp,
    ) {
        if self.0.is_none()
            && let Some(other) = other
        {
            let mut tallies = Tallies::new();
            let claim =
                names.claim(&other.label, content).expect("an owner's vote supports a claim to the name");
            let number = claim.number;
            tallies.add(other, || number);
            self.0 = Some(Box::new(tallies));
        }
        // The new vote comes before the old one goes, so that the claim of a node that votes the same again does not
        // end.
        match &mut self.0 {
            None => {
                names.support(&vote.label, content, vote.host, now);
            }
            Some(tallies) => tallies.add(vote, || names.support(&vote.label, content, vote.host, now)),
        }
        if let Some(before) = before {
            self.retract(names, content, before);
        }
    }

    /// Takes back the `vote` of an owner of `content`.
    pub(crate) fn retract(&mut self, names: &mut Names, content: ContentId, vote: &Vote) {
        match &mut self.0 {
            None => {
                names.unsupport(&vote.label, content);
            }
            Some(tallies) => tallies.remove(vote, || names.unsupport(&vote.label, content)),
        }
    }

    /// Forgets the count, since one owner is left, whose own vote is enough.
    pub(crate) fn forget_tally(&mut self) {
        self.0 = None;
    }

    /// The name for which most hosts are, where `only` is the vote of the only owner.
    pub(crate) fn label<'a>(&'a self, only: Option<&'a Vote>) -> &'a Label {
        let label = match &self.0 {
            None => only.map(|only| &only.label),
            Some(tallies) => tallies.by_name.leader().map(|(_, label)| label),
        };
        label.expect("a content in the table has an owner, and so a vote")
    }

    /// The length for which most hosts are, where `only` is the vote of the only owner.
    pub(crate) fn length(&self, only: Option<&Vote>) -> u64 {
        let length = match &self.0 {
            None => only.map(|only| only.length),
            Some(tallies) => tallies.by_length.leader().copied(),
        };
        length.expect("a content in the table has an owner, and so a vote")
    }
}

impl Tallies {
    const fn new() -> Tallies {
        Tallies {
            names: HostCounts::new(),
            lengths: HostCounts::new(),
            by_name: Tally::new(),
            by_length: Tally::new(),
        }
    }

    /// Counts `vote`. `support` is called for the first vote of a host for the name, and returns the number of the
    /// claim.
    fn add(&mut self, vote: &Vote, support: impl FnOnce() -> u64) {
        let Vote { label, length, host } = vote;
        if self.names.add(label.clone(), *host) {
            self.by_name.add((support(), label.clone()));
        }
        if self.lengths.add(*length, *host) {
            self.by_length.add(*length);
        }
    }

    /// Takes `vote` back. `unsupport` is called for the last vote of a host for the name, and returns the claim's
    /// number.
    fn remove(&mut self, vote: &Vote, unsupport: impl FnOnce() -> u64) {
        let Vote { label, length, host } = vote;
        if self.names.remove(label.clone(), *host) {
            self.by_name.remove(&(unsupport(), label.clone()));
        }
        if self.lengths.remove(*length, *host) {
            self.by_length.remove(length);
        }
    }
}
