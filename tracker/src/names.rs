//! What is called what: for each name its contents, the one that most hosts call so first, and all names in the order of a search.
//!
//! ```text
//!   tier 0   names with a content that 128 hosts and more call so:  "a" "k" "z"     of each its four best contents
//!   tier 1   ... 64 and more:                                       "b" "x"
//!     :
//!   tier 7   ... one host:                                          "c" "d" ...
//!   tier 8   what more such a name has, behind its four best:       "a" "d"
//! ```
//!
//! So what many stand behind is met first, whatever few call theirs, and each page of a search costs a few steps a content, since a part is in the
//! order of its names. It knows nothing of owners: it is told how many hosts there are by one more and one less.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use messages::{ContentId, Cursor, Name, Timestamp};

/// Names whose best content has one host, two, four, and so on by doubling, to 128 and more.
const TIERS: u8 = 8;
/// Of one name so many contents are shown where the name stands; the others come behind all names. Enough to choose from, and one name
/// fills no page.
const BEST: usize = 4;

/// Of a name with more contents than this the order is kept in trees.
const FEW: usize = 8;

/// A name that is stored once, however many owners use it. Ordered like its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label(Arc<Name>);

impl Label {
    /// The name.
    pub(crate) fn name(&self) -> &Name {
        &self.0
    }
}

impl Borrow<str> for Label {
    fn borrow(&self) -> &str {
        self.0.as_str()
    }
}

/// That a content is called something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// On how many hosts.
    pub(crate) hosts: u32,
    /// How many claims the table had heard of before: of two that as many hosts make, the older comes first.
    pub(crate) number: u64,
    /// Since when.
    pub(crate) since: Timestamp,
}

/// A content of a name, and how it stands.
type Entry = (ContentId, Claim);

/// The order of the contents of one name.
type Rank = (Reverse<u32>, u64);

impl Claim {
    const fn rank(&self) -> Rank {
        (Reverse(self.hosts), self.number)
    }
}

/// A content under one of its names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called<'a> {
    pub(crate) tier: u8,
    pub(crate) label: &'a Label,
    pub(crate) content: ContentId,
    pub(crate) claim: Claim,
}

/// The contents of one name. Nearly every name has one, which lies in place.
#[derive(Clone, Debug)]
enum Named {
    One(ContentId, Claim),
    /// In the order of ranks; of a few contents that costs less than trees.
    Few(Vec<Entry>),
    Many(Box<Many>),
}

#[derive(Clone, Debug, Default)]
struct Many {
    by_id: BTreeMap<ContentId, Claim>,
    by_number: BTreeMap<u64, ContentId>,
    ranked: BTreeSet<Rank>,
}

/// All names.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    tiers: [BTreeMap<Label, Named>; TIERS as usize],
    /// Those with more contents than are shown where they stand.
    crowded: BTreeSet<Label>,
    /// How many claims the table has heard of so far.
    heard: u64,
}

impl Names {
    /// No names.
    pub(crate) const fn new() -> Names {
        Names { tiers: [const { BTreeMap::new() }; TIERS as usize], crowded: BTreeSet::new(), heard: 0 }
    }

    /// The label for `name`, shared with whoever uses it already.
    pub(crate) fn label(&self, name: &Name) -> Label {
        let known = self.tiers.iter().find_map(|names| names.get_key_value(name.as_str()));
        known.map_or_else(|| Label(Arc::new(name.clone())), |(label, _)| label.clone())
    }

    /// One more host calls `content` so. The claim's number.
    pub(crate) fn support(&mut self, label: &Label, content: ContentId, now: Timestamp) -> u64 {
        let named = self.take(label);
        let known = named.as_ref().and_then(|named| named.claim(content));
        let claim = known.map_or_else(
            || {
                self.heard += 1;
                Claim { hosts: 1, number: self.heard, since: now }
            },
            |claim| Claim { hosts: claim.hosts.saturating_add(1), ..claim },
        );
        let named = match named {
            None => Named::One(content, claim),
            Some(named) => named.with(content, claim),
        };
        self.put(label, named);
        claim.number
    }

    /// One less host calls `content` so. The claim's number, if it was known.
    pub(crate) fn unsupport(&mut self, label: &Label, content: ContentId) -> Option<u64> {
        let named = self.take(label)?;
        let known = named.claim(content);
        let left = match known {
            Some(claim) if claim.hosts > 1 => {
                Some(named.with(content, Claim { hosts: claim.hosts - 1, ..claim }))
            }
            Some(_) => named.without(content),
            None => Some(named),
        };
        if let Some(left) = left {
            self.put(label, left);
        }
        known.map(|claim| claim.number)
    }

    /// How `content` stands under this name.
    pub(crate) fn claim(&self, label: &Label, content: ContentId) -> Option<Claim> {
        self.find(label.name().as_str())?.2.claim(content)
    }

    /// The contents of that name, the best supported first.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = Called<'_>> + use<'_> {
        let found = self.find(name).into_iter();
        found.flat_map(|(tier, label, named)| named.behind(None).map(called(tier, label)))
    }

    /// The contents of that name from that id on, in the order of their ids.
    pub(crate) fn named_from(
        &self,
        name: &str,
        from: ContentId,
    ) -> impl Iterator<Item = Called<'_>> + use<'_> {
        let found = self.find(name).into_iter();
        found.flat_map(move |(tier, label, named)| named.from(from).map(called(tier, label)))
    }

    /// The content of that name that was called so last.
    pub(crate) fn newest(&self, name: &str) -> Option<Called<'_>> {
        let (tier, label, named) = self.find(name)?;
        named.newest().map(called(tier, label))
    }

    /// Every name that starts with `prefix` with each of its contents, from behind `after` on, in the order of cursors. Takes a few steps for each.
    pub(crate) fn search<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Cursor>,
    ) -> impl Iterator<Item = Called<'a>> + use<'a> {
        let begins = after.map_or(0, |after| after.tier);
        let bests = (0..).zip(&self.tiers).skip(begins.into()).flat_map(move |(tier, names)| {
            let after = after.filter(|after| after.tier == tier);
            let range = names.range::<str, _>((Included(from(prefix, after)), Unbounded));
            let range = range.take_while(move |(label, _)| label.name().as_str().starts_with(prefix));
            range.flat_map(move |(label, named)| {
                let behind = rank_in(label, after);
                let best = named.behind(None).take(BEST);
                let best = best.filter(move |(_, claim)| behind.is_none_or(|behind| claim.rank() > behind));
                best.map(called(tier, label))
            })
        });
        let after = after.filter(|after| after.tier == TIERS);
        let crowded = (begins <= TIERS).then_some(&self.crowded).into_iter();
        let range = crowded
            .flat_map(move |labels| labels.range::<str, _>((Included(from(prefix, after)), Unbounded)))
            .take_while(move |label| label.name().as_str().starts_with(prefix));
        let others = range.filter_map(|label| self.find(label.name().as_str()));
        let others = others.flat_map(move |(_, label, named)| {
            let shown = named.behind(None).nth(BEST - 1).map(|(_, claim)| claim.rank());
            named.behind(shown.max(rank_in(label, after))).map(called(TIERS, label))
        });
        bests.chain(others)
    }

    fn find(&self, name: &str) -> Option<(u8, &Label, &Named)> {
        (0..).zip(&self.tiers).find_map(|(tier, names)| {
            let (label, named) = names.get_key_value(name)?;
            Some((tier, label, named))
        })
    }

    /// Takes a name's contents out, to be put where they belong when they have changed.
    fn take(&mut self, label: &Label) -> Option<Named> {
        self.crowded.remove(label);
        self.tiers.iter_mut().find_map(|names| names.remove(label))
    }

    fn put(&mut self, label: &Label, named: Named) {
        if named.len() > BEST {
            self.crowded.insert(label.clone());
        }
        let best = named.behind(None).next().map_or(0, |(_, claim)| claim.hosts);
        if let Some(names) = self.tiers.get_mut(usize::from(tier(best))) {
            names.insert(label.clone(), named);
        }
    }
}

/// The part of the list for names whose best content has so many hosts.
fn tier(hosts: u32) -> u8 {
    let doublings = hosts.max(1).ilog2().min(u32::from(TIERS) - 1);
    TIERS - 1 - doublings as u8
}

/// The first name that a page can begin with.
fn from<'a>(prefix: &'a str, after: Option<&'a Cursor>) -> &'a str {
    after.map_or(prefix, |after| after.name.as_str().max(prefix))
}

/// How far the contents of `label` were shown, where the page before ended with it.
fn rank_in(label: &Label, after: Option<&Cursor>) -> Option<Rank> {
    after.filter(|after| after.name == *label.name()).map(|after| (Reverse(after.hosts), after.number))
}

fn called<'a>(tier: u8, label: &'a Label) -> impl Fn(Entry) -> Called<'a> {
    move |(content, claim)| Called { tier, label, content, claim }
}

impl Named {
    fn len(&self) -> usize {
        match self {
            Named::One(..) => 1,
            Named::Few(few) => few.len(),
            Named::Many(many) => many.by_id.len(),
        }
    }

    fn claim(&self, content: ContentId) -> Option<Claim> {
        match self {
            Named::One(only, claim) => (*only == content).then_some(*claim),
            Named::Few(few) => few.iter().find(|(id, _)| *id == content).map(|(_, claim)| *claim),
            Named::Many(many) => many.by_id.get(&content).copied(),
        }
    }

    /// The contents behind that rank in the order of ranks; all of them without one.
    fn behind(&self, rank: Option<Rank>) -> impl Iterator<Item = Entry> + use<'_> {
        let (one, few, many) = self.parts();
        let few = one.into_iter().chain(few.iter().copied());
        let few = few.filter(move |(_, claim)| rank.is_none_or(|rank| claim.rank() > rank));
        let from = rank.map_or(Unbounded, Excluded);
        few.chain(many.into_iter().flat_map(move |many| {
            many.ranked.range((from, Unbounded)).filter_map(|(_, number)| many.numbered(*number))
        }))
    }

    /// The contents from that id on in the order of their ids.
    fn from(&self, from: ContentId) -> impl Iterator<Item = Entry> + use<'_> {
        let (one, few, many) = self.parts();
        let mut few: Vec<_> =
            one.into_iter().chain(few.iter().copied()).filter(|(id, _)| *id >= from).collect();
        few.sort_unstable_by_key(|(id, _)| *id);
        let many = many.into_iter().flat_map(move |many| many.by_id.range(from..));
        few.into_iter().chain(many.map(|(id, claim)| (*id, *claim)))
    }

    fn newest(&self) -> Option<Entry> {
        let (one, few, many) = self.parts();
        let few = one.into_iter().chain(few.iter().copied()).max_by_key(|(_, claim)| claim.number);
        few.or_else(|| many.and_then(|many| many.numbered(*many.by_number.last_key_value()?.0)))
    }

    /// The content that lies in place, those of a list, or those of trees.
    fn parts(&self) -> (Option<Entry>, &[Entry], Option<&Many>) {
        match self {
            Named::One(only, claim) => (Some((*only, *claim)), &[], None),
            Named::Few(few) => (None, few, None),
            Named::Many(many) => (None, &[], Some(many)),
        }
    }

    /// `content` stands so from now on.
    fn with(self, content: ContentId, claim: Claim) -> Named {
        match self {
            Named::One(only, before) if only != content => Named::few([(only, before), (content, claim)]),
            Named::One(..) => Named::One(content, claim),
            Named::Few(few) => {
                let others = few.into_iter().filter(|(id, _)| *id != content);
                Named::few(others.chain([(content, claim)]))
            }
            Named::Many(mut many) => {
                many.insert(content, claim);
                Named::Many(many)
            }
        }
    }

    /// Without `content`; `None`: nothing is left.
    fn without(self, content: ContentId) -> Option<Named> {
        match self {
            Named::One(only, claim) => (only != content).then_some(Named::One(only, claim)),
            Named::Few(few) => Some(Named::few(few.into_iter().filter(|(id, _)| *id != content))),
            Named::Many(mut many) => {
                many.remove(content);
                // Not at once: what comes and goes at the border does not build trees each time.
                if many.by_id.len() > FEW / 2 {
                    return Some(Named::Many(many));
                }
                Some(Named::few(many.by_id))
            }
        }
    }

    /// Two contents and more, or the one that is left of two.
    fn few(contents: impl IntoIterator<Item = Entry>) -> Named {
        let mut few: Vec<_> = contents.into_iter().collect();
        if let [(only, claim)] = few[..] {
            return Named::One(only, claim);
        }
        if few.len() > FEW {
            let mut many = Box::<Many>::default();
            few.into_iter().for_each(|(content, claim)| many.insert(content, claim));
            return Named::Many(many);
        }
        few.sort_unstable_by_key(|(_, claim)| claim.rank());
        few.shrink_to_fit();
        Named::Few(few)
    }
}

impl Many {
    fn insert(&mut self, content: ContentId, claim: Claim) {
        self.remove(content);
        self.by_id.insert(content, claim);
        self.by_number.insert(claim.number, content);
        self.ranked.insert(claim.rank());
    }

    fn remove(&mut self, content: ContentId) {
        if let Some(claim) = self.by_id.remove(&content) {
            self.by_number.remove(&claim.number);
            self.ranked.remove(&claim.rank());
        }
    }

    fn numbered(&self, number: u64) -> Option<Entry> {
        let content = self.by_number.get(&number)?;
        self.by_id.get(content).map(|claim| (*content, *claim))
    }
}

#[cfg(test)]
mod tests;
