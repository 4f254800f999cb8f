//! The file-owner table: who has how much of which content, and what it is called.
//!
//! It knows nothing of addresses, leases or datagrams. Two views of the same holdings are kept in step: by content, and
//! by name in the order of (name, content), which is the order in which searches are paged.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use messages::node_to_tracker::{OwnDigest, OwnEntry, Permille};
use messages::tracker_to_node::Listed;
use messages::{ContentId, Digits, Name, NodeId, Timestamp};

use crate::few::Few;
use crate::turns::Turns;
use crate::votes::Votes;

/// A name that is stored once, however many owners use it. Ordered like its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Label(Arc<Name>);

impl Borrow<str> for Label {
    fn borrow(&self) -> &str {
        self.0.as_str()
    }
}

/// What one node said about one content.
#[derive(Clone, Debug)]
struct Holding {
    permille: Permille,
    length: u64,
    label: Label,
    mark: OwnDigest,
}

#[derive(Clone, Debug)]
struct Content {
    /// Those that have all of it, apart from the others: however many are on their way, who has it is found at once.
    complete: Turns<Holding>,
    partial: Turns<Holding>,
    names: Votes<Label>,
    lengths: Votes<u64>,
    /// How many contents the table had heard of before this one.
    number: u64,
    heard_at: Timestamp,
}

/// Contents and their owners.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    by_id: BTreeMap<ContentId, Content>,
    by_name: BTreeMap<Label, Few<ContentId, ()>>,
    /// How many contents the table has heard of so far.
    heard: u64,
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
            by_name: BTreeMap::new(),
            heard: 0,
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

    /// `node` has what `entry` says. Saying it again changes nothing.
    pub(crate) fn announce(
        &mut self,
        node: NodeId,
        entry: &OwnEntry,
        now: Timestamp,
    ) -> Result<Announced, NoRoom> {
        let no_place = !self.by_id.contains_key(&entry.content) && self.by_id.len() >= self.capacity;
        if no_place || (self.room() == 0 && !self.is_owner(node, entry.content)) {
            return Err(NoRoom);
        }
        let before = self.withdraw_holding(node, entry.content, Keep::Content);
        let label = self.label(&entry.name);
        let mut mark = OwnDigest::default();
        mark.toggle(entry);
        let heard = &mut self.heard;
        let content = self.by_id.entry(entry.content).or_insert_with(|| {
            *heard += 1;
            Content::new(*heard, now)
        });
        if content.names.add(label.clone()) {
            self.by_name.entry(label.clone()).or_insert_with(Few::new).insert(entry.content, ());
        }
        content.lengths.add(entry.length);
        let holding = Holding { permille: entry.permille, length: entry.length, label, mark };
        content.owners_with(entry.permille).insert(node, holding);
        self.announcements += 1;
        let was = before.as_ref().map_or(OwnDigest::default(), |holding| holding.mark);
        Ok(Announced {
            before: before.map(|holding| holding.permille),
            digest_change: OwnDigest(was.0 ^ mark.0),
        })
    }

    /// `node` no longer has `content`. What to fold into its digest; `None` when it had nothing of it.
    pub(crate) fn withdraw(&mut self, node: NodeId, content: ContentId) -> Option<OwnDigest> {
        self.withdraw_holding(node, content, Keep::Nothing).map(|holding| holding.mark)
    }

    /// Whether `node` has some of `content`, or will.
    pub(crate) fn is_owner(&self, node: NodeId, content: ContentId) -> bool {
        self.by_id.get(&content).is_some_and(|content| content.is_owned_by(node))
    }

    /// How long most owners say that `content` is, in bytes.
    pub(crate) fn length(&self, content: ContentId) -> Option<u64> {
        self.by_id.get(&content)?.lengths.leader().copied()
    }

    /// All owners of `content`, complete or not, in the order of their ids.
    pub(crate) fn owners(&self, content: ContentId) -> Vec<NodeId> {
        let content = self.by_id.get(&content).into_iter();
        let mut owners: Vec<NodeId> =
            content.flat_map(|content| content.complete.nodes().chain(content.partial.nodes())).collect();
        owners.sort_unstable();
        owners
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

    /// `content` under the name that most of its owners use.
    pub(crate) fn listed(&self, content: ContentId, now: Timestamp) -> Option<Listed> {
        let name = self.by_id.get(&content)?.names.leader()?;
        self.listed_as(content, name, now)
    }

    /// The contents that somebody calls `name`, in the order of their ids.
    pub(crate) fn named(&self, name: &str, now: Timestamp) -> impl Iterator<Item = Listed> + use<'_> {
        let found = self.by_name.get_key_value(name);
        found.into_iter().flat_map(move |(label, contents)| {
            contents.keys_behind(None).filter_map(move |&id| self.listed_as(id, label, now))
        })
    }

    /// The content of which the table heard last among those that somebody calls `name`; `None` when nothing is called so,
    /// or more than `most` contents: it looks at all of them.
    pub(crate) fn newest(&self, name: &Name, most: usize) -> Option<ContentId> {
        let contents = self.by_name.get(name.as_str()).filter(|contents| contents.len() <= most)?;
        let number = |id: &ContentId| self.by_id.get(id).map(|content| content.number);
        contents.keys_behind(None).copied().max_by_key(number)
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

    /// Every name that starts with `prefix` with each of its contents, in the order of (name, content), from behind
    /// `after` on. A content with two names is met twice.
    pub(crate) fn search<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a (Name, ContentId)>,
        now: Timestamp,
    ) -> impl Iterator<Item = Listed> + 'a {
        let from = after.map_or(prefix, |(name, _)| name.as_str().max(prefix));
        self.by_name
            .range::<str, _>((Bound::Included(from), Bound::Unbounded))
            .take_while(move |(label, _)| label.0.as_str().starts_with(prefix))
            .flat_map(move |(label, contents)| {
                let behind = after.filter(|(name, _)| *name == *label.0).map(|(_, id)| *id);
                contents.keys_behind(behind).filter_map(move |&id| self.listed_as(id, label, now))
            })
    }

    fn listed_as(&self, id: ContentId, label: &Label, now: Timestamp) -> Option<Listed> {
        let content = self.by_id.get(&id)?;
        Some(Listed {
            content: id,
            length: *content.lengths.leader()?,
            complete: u32::try_from(content.complete.len()).unwrap_or(u32::MAX),
            partial: u32::try_from(content.partial.len()).unwrap_or(u32::MAX),
            age_s: u32::try_from(now.since(content.heard_at).as_secs()).unwrap_or(u32::MAX),
            name: Name::clone(&label.0),
        })
    }

    /// The label for `name`, shared with whoever uses it already.
    fn label(&self, name: &Name) -> Label {
        match self.by_name.get_key_value(name.as_str()) {
            Some((label, _)) => label.clone(),
            None => Label(Arc::new(name.clone())),
        }
    }

    fn withdraw_holding(&mut self, node: NodeId, id: ContentId, keep: Keep) -> Option<Holding> {
        let content = self.by_id.get_mut(&id)?;
        let holding = content.remove_owner(node)?;
        self.announcements -= 1;
        content.lengths.remove(&holding.length);
        if content.names.remove(&holding.label)
            && let Some(contents) = self.by_name.get_mut::<str>(holding.label.borrow())
        {
            contents.remove(&id);
            if contents.is_empty() {
                self.by_name.remove::<str>(holding.label.borrow());
            }
        }
        if content.owner_count() == 0 && keep == Keep::Nothing {
            self.by_id.remove(&id);
        }
        Some(holding)
    }
}

/// What stays of a content whose last owner is taken out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// Its entry: the owner comes back in the same step.
    Content,
    Nothing,
}

impl Content {
    fn new(number: u64, heard_at: Timestamp) -> Content {
        let (complete, partial) = (Turns::new(), Turns::new());
        Content { complete, partial, names: Votes::new(), lengths: Votes::new(), number, heard_at }
    }

    fn owner_count(&self) -> usize {
        self.complete.len() + self.partial.len()
    }

    fn is_owned_by(&self, node: NodeId) -> bool {
        self.complete.contains(node) || self.partial.contains(node)
    }

    /// Where an owner that has `permille` of it belongs.
    const fn owners_with(&mut self, permille: Permille) -> &mut Turns<Holding> {
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
