//! The file-owner table: who has how much of which content, and what it is called.
//!
//! It knows nothing of leases or datagrams, and of addresses only which nodes are of one host. Two views of the same holdings are kept in step: by
//! content, and by name ([`Names`]).

use std::collections::BTreeMap;

use messages::node_to_tracker::{OwnDigest, OwnEntry, Permille};
use messages::tracker_to_node::Listed;
use messages::{ContentId, Cursor, Digits, NodeId, PageEnd, Timestamp};

use crate::host::Host;
use crate::names::{Called, Names};
use crate::rotation::Rotation;
use crate::voices::{Voice, Voices};

/// What one node said about one content.
#[derive(Clone, Debug)]
struct Holding {
    permille: Permille,
    voice: Voice,
    mark: OwnDigest,
}

#[derive(Clone, Debug)]
struct Content {
    /// Those that have all of it, apart from the others: however many are on their way, who has it is found at once.
    complete: Rotation<Holding>,
    partial: Rotation<Holding>,
    voices: Voices,
}

/// Contents and their owners.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    by_id: BTreeMap<ContentId, Content>,
    names: Names,
    /// How many announcements there are: contents, each once for each of its owners.
    announcements: usize,
    capacity: usize,
    announcement_capacity: usize,
}

/// What an announcement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// How much the node had before; `None`: nothing.
    pub(crate) before: Option<Permille>,
    /// What to fold into the node's digest.
    pub(crate) digest_change: OwnDigest,
}

/// There is no room for another content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

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

    /// How many more announcements there is room for.
    pub(crate) fn room(&self) -> usize {
        self.announcement_capacity.saturating_sub(self.announcements)
    }

    /// How many contents have an owner.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// `node`, which is at `host`, has what `entry` says. Saying it again changes nothing.
    pub(crate) fn announce(
        &mut self,
        (node, host): (NodeId, Host),
        entry: &OwnEntry,
        now: Timestamp,
    ) -> Result<Announced, NoRoom> {
        let no_place = !self.by_id.contains_key(&entry.content) && self.by_id.len() >= self.capacity;
        if no_place || (self.room() == 0 && !self.is_owner(node, entry.content)) {
            return Err(NoRoom);
        }
        let mut mark = OwnDigest::default();
        mark.toggle(entry);
        let (permille, length) = (entry.permille, entry.length);
        let content = self.by_id.entry(entry.content).or_insert_with(Content::new);
        let before = content.remove_owner(node);
        let said = before.as_ref().map(|before| &before.voice);
        let unchanged =
            said.filter(|said| (said.label.name(), said.length, said.host) == (&entry.name, length, host));
        let voice = match unchanged {
            Some(said) => said.clone(),
            None => {
                let voice = Voice { label: self.names.label(&entry.name), length, host };
                content.hear(&mut self.names, entry.content, (&voice, said), now);
                voice
            }
        };
        content.owners_with(permille).insert(node, Holding { permille, voice, mark });
        self.announcements += usize::from(before.is_none());
        let was = before.as_ref().map_or(OwnDigest::default(), |holding| holding.mark);
        Ok(Announced {
            before: before.map(|holding| holding.permille),
            digest_change: OwnDigest(was.0 ^ mark.0),
        })
    }

    /// `node`, which has `content`, is at `host` from now on.
    pub(crate) fn rehouse(&mut self, node: NodeId, id: ContentId, host: Host, now: Timestamp) {
        let Some(content) = self.by_id.get_mut(&id) else { return };
        let Some(before) = content.remove_owner(node) else { return };
        let voice = Voice { host, ..before.voice.clone() };
        content.hear(&mut self.names, id, (&voice, Some(&before.voice)), now);
        content.owners_with(before.permille).insert(node, Holding { voice, ..before });
    }

    /// `node` no longer has `content`. What to fold into its digest; `None` when it had nothing of it.
    pub(crate) fn withdraw(&mut self, node: NodeId, id: ContentId) -> Option<OwnDigest> {
        let content = self.by_id.get_mut(&id)?;
        let holding = content.remove_owner(node)?;
        content.voices.unhear(&mut self.names, id, &holding.voice);
        self.announcements -= 1;
        match content.owner_count() {
            0 => drop(self.by_id.remove(&id)),
            1 => content.voices.forget_others(),
            _ => {}
        }
        Some(holding.mark)
    }

    /// Whether `node` has some of `content`, or will.
    pub(crate) fn is_owner(&self, node: NodeId, content: ContentId) -> bool {
        self.by_id.get(&content).is_some_and(|content| content.is_owned_by(node))
    }

    /// How long `content` is by what most hosts say, in bytes.
    pub(crate) fn length(&self, content: ContentId) -> Option<u64> {
        self.by_id.get(&content)?.length()
    }

    /// The owners of `content` whose turn it is and how much each has: each once, `most` of them, the complete ones
    /// first. Takes as many steps as it gives owners, however many there are.
    pub(crate) fn owners_in_turn(
        &mut self,
        content: ContentId,
        most: usize,
    ) -> impl Iterator<Item = (NodeId, Permille)> + '_ {
        let found = self.by_id.get_mut(&content).into_iter();
        let in_turn = found.flat_map(move |content| {
            let (complete, partial) = places(content.complete.len(), content.partial.len(), most);
            content.complete.walk(complete).chain(content.partial.walk(partial))
        });
        in_turn.map(|(node, holding)| (node, holding.permille))
    }

    /// `content` under the name that it has on most hosts.
    pub(crate) fn listed(&self, content: ContentId, now: Timestamp) -> Option<Listed> {
        let found = self.by_id.get(&content)?;
        let label = found.voices.label(found.only_voice())?;
        let claim = self.names.claim(label, content)?;
        self.listed_as(Called { tier: 0, label, content, claim }, now)
    }

    /// The contents that somebody calls `name`, the one with most hosts first.
    pub(crate) fn named(&self, name: &str, now: Timestamp) -> impl Iterator<Item = Listed> + use<'_> {
        self.names.named(name).filter_map(move |called| self.listed_as(called, now))
    }

    /// The contents that somebody calls `name`, from the id `from` on in the order of their ids.
    pub(crate) fn named_from(
        &self,
        name: &str,
        from: ContentId,
        now: Timestamp,
    ) -> impl Iterator<Item = Listed> + use<'_> {
        self.names.named_from(name, from).filter_map(move |called| self.listed_as(called, now))
    }

    /// The content that was called `name` last, and then the others that somebody calls so, the one with most hosts first.
    pub(crate) fn newest(&self, name: &str, now: Timestamp) -> impl Iterator<Item = Listed> + use<'_> {
        let newest = self.names.newest(name);
        let content = newest.map(|newest| newest.content);
        let others = self.names.named(name).filter(move |called| Some(called.content) != content);
        newest.into_iter().chain(others).filter_map(move |called| self.listed_as(called, now))
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

    /// Every name that starts with `prefix` with each of its contents, from behind `after` on in the order of cursors, and where each is. A content
    /// with two names is met twice.
    pub(crate) fn search<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Cursor>,
        now: Timestamp,
    ) -> impl Iterator<Item = (Listed, PageEnd)> + 'a {
        self.names.search(prefix, after).filter_map(move |called| {
            let end = PageEnd { tier: called.tier, number: called.claim.place() };
            Some((self.listed_as(called, now)?, end))
        })
    }

    fn listed_as(&self, called: Called<'_>, now: Timestamp) -> Option<Listed> {
        let content = self.by_id.get(&called.content)?;
        Some(Listed {
            content: called.content,
            length: content.length()?,
            complete: u32::try_from(content.complete.len()).unwrap_or(u32::MAX),
            partial: u32::try_from(content.partial.len()).unwrap_or(u32::MAX),
            hosts: called.claim.hosts,
            age_s: u32::try_from(now.since(called.claim.since).as_secs()).unwrap_or(u32::MAX),
            name: called.label.name().clone(),
        })
    }
}

impl Content {
    const fn new() -> Content {
        Content { complete: Rotation::new(), partial: Rotation::new(), voices: Voices::new() }
    }

    /// What its owner says, if it has one and no more.
    fn only_voice(&self) -> Option<&Voice> {
        let only = self.complete.only().filter(|_| self.partial.len() == 0);
        let only = only.or_else(|| self.partial.only().filter(|_| self.complete.len() == 0));
        only.map(|holding| &holding.voice)
    }

    /// How long it is by what most hosts say.
    fn length(&self) -> Option<u64> {
        self.voices.length(self.only_voice())
    }

    /// A node says `voice` of it, that has just been taken out with what it said `before`.
    fn hear(
        &mut self,
        names: &mut Names,
        id: ContentId,
        (voice, before): (&Voice, Option<&Voice>),
        now: Timestamp,
    ) {
        let mut voices = std::mem::take(&mut self.voices);
        voices.hear(names, id, (voice, before), self.only_voice(), now);
        self.voices = voices;
    }

    fn owner_count(&self) -> usize {
        self.complete.len() + self.partial.len()
    }

    fn is_owned_by(&self, node: NodeId) -> bool {
        self.complete.contains(node) || self.partial.contains(node)
    }

    /// Where an owner that has `permille` of it belongs.
    const fn owners_with(&mut self, permille: Permille) -> &mut Rotation<Holding> {
        if permille.is_complete() { &mut self.complete } else { &mut self.partial }
    }

    fn remove_owner(&mut self, node: NodeId) -> Option<Holding> {
        self.complete.remove(node).or_else(|| self.partial.remove(node))
    }
}

/// How many of `complete` and of `partial` owners share `most` places: half each, and what one side leaves is the
/// other's.
fn places(complete: usize, partial: usize, most: usize) -> (usize, usize) {
    let complete = complete.min(most - partial.min(most / 2));
    (complete, partial.min(most - complete))
}

#[cfg(test)]
mod tests;
