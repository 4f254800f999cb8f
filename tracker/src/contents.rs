//! The file-owner table: which nodes own each content, how much of it each has, and under which name.
//!
//! The table knows nothing of leases or datagrams, and of addresses only which nodes are of one host. Two views of the
//! same holdings are kept in step: by content, and by name ([`Names`]).

use std::collections::BTreeMap;

use messages::node_to_tracker::{OwnDigest, OwnEntry, Permille};
use messages::tracker_to_node::Listed;
use messages::{ContentId, Cursor, Digits, NodeId, PageEnd, Timestamp};

use crate::content_votes::{ContentVotes, Vote};
use crate::host_key::HostKey;
use crate::names::{Called, Names};
use crate::rotation::Rotation;

/// What one node announced of one content.
#[derive(Clone, Debug)]
struct Holding {
    permille: Permille,
    vote: Vote,
    mark: OwnDigest,
}

/// One content and its owners.
#[derive(Clone, Debug)]
struct Content {
    /// The owners that have all of it. They stand apart from the others, so that they are found at once however many
    /// others there are.
    complete: Rotation<Holding>,
    partial: Rotation<Holding>,
    votes: ContentVotes,
}

/// Contents and their owners.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    by_id: BTreeMap<ContentId, Content>,
    names: Names,
    /// The number of announcements: each content counts once for each of its owners.
    announcements: usize,
    capacity: usize,
    announcement_capacity: usize,
}

/// What an announcement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// How much the node had before; `None` when it had nothing.
    pub(crate) before: Option<Permille>,
    /// The change that has to be folded into the node's digest.
    pub(crate) digest_change: OwnDigest,
}

/// The table is full and refuses the announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableFull;

impl Contents {
    /// An empty table for at most `capacity` contents, which have `announcement_capacity` owners altogether.
    pub(crate) const fn new(capacity: usize, announcement_capacity: usize) -> Contents {
        Contents {
            by_id: BTreeMap::new(),
            names: Names::new(),
            announcements: 0,
            capacity,
            announcement_capacity,
        }
    }

    /// The number of announcements that the table may still take.
    pub(crate) fn free_announcements(&self) -> usize {
        self.announcement_capacity.saturating_sub(self.announcements)
    }

    /// The number of contents that have an owner.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Takes in that `node`, which is at `host`, has what `entry` says. The same announcement again changes nothing.
    pub(crate) fn announce(
        &mut self,
        (node, host): (NodeId, HostKey),
        entry: &OwnEntry,
        now: Timestamp,
    ) -> Result<Announced, TableFull> {
        let is_full = !self.by_id.contains_key(&entry.content) && self.by_id.len() >= self.capacity;
        if is_full || (self.free_announcements() == 0 && !self.is_owner(node, entry.content)) {
            return Err(TableFull);
        }
        let mut mark = OwnDigest::default();
        mark.toggle(entry);
        let (permille, length) = (entry.permille, entry.length);
        let content = self.by_id.entry(entry.content).or_insert_with(Content::new);
        let before = content.remove_owner(node);
        let last_vote = before.as_ref().map(|before| &before.vote);
        let unchanged = last_vote
            .filter(|vote| (vote.label.name(), vote.length, vote.host) == (&entry.name, length, host));
        let vote = match unchanged {
            Some(vote) => vote.clone(),
            None => {
                let vote = Vote { label: self.names.label(&entry.name), length, host };
                content.cast(&mut self.names, entry.content, (&vote, last_vote), now);
                vote
            }
        };
        content.owners_with(permille).insert(node, Holding { permille, vote, mark });
        self.announcements += usize::from(before.is_none());
        let mark_before = before.as_ref().map_or(OwnDigest::default(), |holding| holding.mark);
        Ok(Announced {
            before: before.map(|holding| holding.permille),
            digest_change: OwnDigest(mark_before.0 ^ mark.0),
        })
    }

    /// Moves the announcement of content `id` by `node` to `host`.
    pub(crate) fn change_host(&mut self, node: NodeId, id: ContentId, host: HostKey, now: Timestamp) {
        let content = self.by_id.get_mut(&id).expect("what a node owns is in the table");
        let before = content.remove_owner(node).expect("what a node owns is in the table");
        let vote = Vote { host, ..before.vote.clone() };
        content.cast(&mut self.names, id, (&vote, Some(&before.vote)), now);
        content.owners_with(before.permille).insert(node, Holding { vote, ..before });
    }

    /// Takes `node` out of the owners of content `id`. Returns what has to be folded into the node's digest, or `None`
    /// when it had nothing of the content.
    pub(crate) fn withdraw(&mut self, node: NodeId, id: ContentId) -> Option<OwnDigest> {
        let content = self.by_id.get_mut(&id)?;
        let holding = content.remove_owner(node)?;
        content.votes.retract(&mut self.names, id, &holding.vote);
        self.announcements -= 1;
        match content.owner_count() {
            0 => drop(self.by_id.remove(&id)),
            1 => content.votes.forget_tally(),
            _ => {}
        }
        Some(holding.mark)
    }

    /// Whether `node` has some of `content`, or downloads it.
    pub(crate) fn is_owner(&self, node: NodeId, content: ContentId) -> bool {
        self.by_id.get(&content).is_some_and(|content| content.is_owned_by(node))
    }

    /// The length of `content` in bytes that most hosts announce.
    pub(crate) fn length(&self, content: ContentId) -> Option<u64> {
        self.by_id.get(&content).map(Content::length)
    }

    /// Takes the owners of `content` whose turn it is, and how much each has: each once, `most` of them, the complete
    /// ones first. The cost is one step for each owner that is given, however many there are.
    pub(crate) fn take_turn(
        &mut self,
        content: ContentId,
        most: usize,
    ) -> impl Iterator<Item = (NodeId, Permille)> + '_ {
        let found = self.by_id.get_mut(&content).into_iter();
        let in_turn = found.flat_map(move |content| {
            let (complete, partial) = split_turns(content.complete.len(), content.partial.len(), most);
            content.complete.walk(complete).chain(content.partial.walk(partial))
        });
        in_turn.map(|(node, holding)| (node, holding.permille))
    }

    /// `content` under the name that it has on most hosts.
    pub(crate) fn listed(&self, content: ContentId, now: Timestamp) -> Option<Listed> {
        let found = self.by_id.get(&content)?;
        let label = found.votes.label(found.only_vote());
        let claim = self.names.claim(label, content).expect("an owner's vote supports a claim to the name");
        Some(self.listed_as(Called { tier: 0, label, content, claim }, now))
    }

    /// The contents that an owner calls `name`, those with the most hosts first.
    pub(crate) fn named(&self, name: &str, now: Timestamp) -> impl Iterator<Item = Listed> + use<'_> {
        self.names.named(name).map(move |called| self.listed_as(called, now))
    }

    /// The contents that somebody calls `name`, from the id `from` on in the order of their ids.
    pub(crate) fn named_from(
        &self,
        name: &str,
        from: ContentId,
        now: Timestamp,
    ) -> impl Iterator<Item = Listed> + use<'_> {
        self.names.named_from(name, from).map(move |called| self.listed_as(called, now))
    }

    /// The content whose claim to `name` is the newest, and then the others that somebody calls so, those with the most
    /// hosts first.
    pub(crate) fn newest(&self, name: &str, now: Timestamp) -> impl Iterator<Item = Listed> + use<'_> {
        let newest = self.names.newest(name);
        let content = newest.map(|newest| newest.content);
        let others = self.names.named(name).filter(move |called| Some(called.content) != content);
        newest.into_iter().chain(others).map(move |called| self.listed_as(called, now))
    }

    /// The contents whose ids begin with `digits`, in the order of their ids, and then those that somebody calls so.
    pub(crate) fn fitting<'a>(
        &'a self,
        digits: &'a Digits,
        now: Timestamp,
    ) -> impl Iterator<Item = Listed> + use<'a> {
        let (first, last) = digits.span();
        let begun = self.by_id.range(first..=last).filter_map(move |(&id, _)| self.listed(id, now));
        let named = self.named(digits.as_str(), now);
        begun.chain(named.filter(move |listed| !digits.begin(listed.content)))
    }

    /// Every name that starts with `prefix` with each of its contents, from behind `after` on in the order of cursors,
    /// and where each stands. A content with two names is listed twice.
    pub(crate) fn search<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Cursor>,
        now: Timestamp,
    ) -> impl Iterator<Item = (Listed, PageEnd)> + 'a {
        self.names.search(prefix, after).map(move |called| {
            let end = PageEnd { tier: called.tier, number: called.claim.position() };
            (self.listed_as(called, now), end)
        })
    }

    fn listed_as(&self, called: Called<'_>, now: Timestamp) -> Listed {
        let content = self.by_id.get(&called.content).expect("a claim ends with the content's last owner");
        Listed {
            content: called.content,
            length: content.length(),
            complete: u32::try_from(content.complete.len()).unwrap_or(u32::MAX),
            partial: u32::try_from(content.partial.len()).unwrap_or(u32::MAX),
            hosts: called.claim.hosts,
            age_s: u32::try_from(now.since(called.claim.since).as_secs()).unwrap_or(u32::MAX),
            name: called.label.name().clone(),
        }
    }
}

impl Content {
    const fn new() -> Content {
        Content { complete: Rotation::new(), partial: Rotation::new(), votes: ContentVotes::new() }
    }

    /// The vote of the only owner; `None` of several.
    fn only_vote(&self) -> Option<&Vote> {
        let only = self.complete.only().filter(|_| self.partial.len() == 0);
        let only = only.or_else(|| self.partial.only().filter(|_| self.complete.len() == 0));
        only.map(|holding| &holding.vote)
    }

    /// The length in bytes that most hosts announce.
    fn length(&self) -> u64 {
        self.votes.length(self.only_vote())
    }

    /// Casts the `vote` of a node that has just been taken out, and whose last vote was `before`.
    fn cast(
        &mut self,
        names: &mut Names,
        id: ContentId,
        (vote, before): (&Vote, Option<&Vote>),
        now: Timestamp,
    ) {
        let mut votes = std::mem::take(&mut self.votes);
        votes.cast(names, id, (vote, before), self.only_vote(), now);
        self.votes = votes;
    }

    fn owner_count(&self) -> usize {
        self.complete.len() + self.partial.len()
    }

    fn is_owned_by(&self, node: NodeId) -> bool {
        self.complete.contains(node) || self.partial.contains(node)
    }

    /// Where an owner that has `permille` of the content belongs.
    const fn owners_with(&mut self, permille: Permille) -> &mut Rotation<Holding> {
        if permille.is_complete() { &mut self.complete } else { &mut self.partial }
    }

    fn remove_owner(&mut self, node: NodeId) -> Option<Holding> {
        self.complete.remove(node).or_else(|| self.partial.remove(node))
    }
}

/// How many of `complete` and of `partial` owners have their turn when `most` have: half each, and what one side leaves
/// is the other's.
fn split_turns(complete: usize, partial: usize, most: usize) -> (usize, usize) {
    let complete = complete.min(most - partial.min(most / 2));
    (complete, partial.min(most - complete))
}

#[cfg(test)]
mod tests;
