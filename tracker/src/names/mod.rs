//! Which contents have which names: the contents of each name, those with the most hosts first, and all names in the
//! order of a search.
//!
//! ```text
//!   tier 0   names with a content that 128 hosts and more call so:  "a" "k" "z"     of each its four best contents
//!   tier 1   ... 64 and more:                                       "b" "x"
//!     :
//!   tier 7   ... one host:                                          "c" "d" ...
//!   tier 8   what more such a name has, behind its four best:       "a" "d"
//! ```
//!
//! So what many hosts support comes first, whatever a few hosts call theirs. A page of a search costs a few steps for
//! each content, since a tier is in the order of its names. The names know nothing of owners: hosts are counted up and
//! down by one.

mod named;

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Included, Unbounded};
use std::sync::Arc;

use messages::{ContentId, Cursor, Name, Timestamp};

use crate::host_key::HostKey;
pub(crate) use named::NameClaim;
use named::{Entry, MAX_NTH, Named, Rank};

/// How many tiers there are: for names whose best content has one host, two, four, and so on by doubling, to 128 and
/// more.
const TIERS: u8 = 8;
/// The most contents of one name that are listed where the name stands; its others come behind all names. These are
/// enough to choose from, and one name fills no page.
const MAX_BEST: usize = 4;

/// A name that is stored once, however many owners use it; ordered like its text.
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

/// A content under one of its names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called<'a> {
    pub(crate) tier: u8,
    pub(crate) label: &'a Label,
    pub(crate) content: ContentId,
    pub(crate) claim: NameClaim,
}

/// All names, and the contents of each.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    tiers: [BTreeMap<Label, Named>; TIERS as usize],
    /// The names with more contents than are listed where they stand.
    overflowing: BTreeSet<Label>,
    /// How many claims the table has heard of so far: the number of the last one.
    claims_made: u64,
}

impl Names {
    /// No names.
    pub(crate) const fn new() -> Names {
        Names {
            tiers: [const { BTreeMap::new() }; TIERS as usize],
            overflowing: BTreeSet::new(),
            claims_made: 0,
        }
    }

    /// The label for `name`, shared with whoever uses it already.
    pub(crate) fn label(&self, name: &Name) -> Label {
        let known = self.tiers.iter().find_map(|names| names.get_key_value(name.as_str()));
        known.map_or_else(|| Label(Arc::new(name.clone())), |(label, _)| label.clone())
    }

    /// Counts `host` as one more that calls `content` so; returns the claim's number.
    pub(crate) fn support(
        &mut self,
        label: &Label,
        content: ContentId,
        host: HostKey,
        now: Timestamp,
    ) -> u64 {
        let named = self.take(label);
        let known = named.as_ref().and_then(|named| named.claim(content));
        let claim = known.map_or_else(
            || {
                self.claims_made += 1;
                let nth = named.as_ref().map_or(0, |named| named.made_by(host)).min(MAX_NTH);
                NameClaim { hosts: 1, number: self.claims_made, maker: host, nth, since: now }
            },
            |claim| NameClaim { hosts: claim.hosts.saturating_add(1), ..claim },
        );
        let named = match named {
            None => Named::One(content, claim),
            Some(named) => named.with(content, claim),
        };
        self.put(label, named);
        claim.number
    }

    /// Counts one host less that calls `content` so; returns the claim's number.
    pub(crate) fn unsupport(&mut self, label: &Label, content: ContentId) -> u64 {
        let reason = "only a host that supports a claim withdraws its support";
        let named = self.take(label).expect(reason);
        let claim = named.claim(content).expect(reason);
        let left = match claim.hosts {
            1 => named.without(content),
            hosts => Some(named.with(content, NameClaim { hosts: hosts - 1, ..claim })),
        };
        if let Some(left) = left {
            self.put(label, left);
        }
        claim.number
    }

    /// The claim of `content` to this name.
    pub(crate) fn claim(&self, label: &Label, content: ContentId) -> Option<NameClaim> {
        self.find(label.name().as_str())?.2.claim(content)
    }

    /// The contents of `name`, those with the most hosts first.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = Called<'_>> + use<'_> {
        let found = self.find(name).into_iter();
        found.flat_map(|(tier, label, named)| named.behind(None).map(called(tier, label)))
    }

    /// The contents of `name` from the id `from` on, in the order of their ids.
    pub(crate) fn named_from(
        &self,
        name: &str,
        from: ContentId,
    ) -> impl Iterator<Item = Called<'_>> + use<'_> {
        let found = self.find(name).into_iter();
        found.flat_map(move |(tier, label, named)| named.from(from).map(called(tier, label)))
    }

    /// The content of `name` with the newest claim.
    pub(crate) fn newest(&self, name: &str) -> Option<Called<'_>> {
        let (tier, label, named) = self.find(name)?;
        named.newest().map(called(tier, label))
    }

    /// Every name that starts with `prefix` with each of its contents, from behind `after` on, in the order of cursors.
    /// The cost is a few steps for each.
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
                let best = named.behind(None).take(MAX_BEST);
                let best = best.filter(move |(_, claim)| behind.is_none_or(|behind| claim.rank() > behind));
                best.map(called(tier, label))
            })
        });
        let after = after.filter(|after| after.tier == TIERS);
        let overflowing = (begins <= TIERS).then_some(&self.overflowing).into_iter();
        let range = overflowing
            .flat_map(move |labels| labels.range::<str, _>((Included(from(prefix, after)), Unbounded)))
            .take_while(move |label| label.name().as_str().starts_with(prefix));
        let others = range.filter_map(|label| self.find(label.name().as_str()));
        let others = others.flat_map(move |(_, label, named)| {
            let shown = named.behind(None).nth(MAX_BEST - 1).map(|(_, claim)| claim.rank());
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

    /// Takes out the contents of a name, to be put where they belong after a change.
    fn take(&mut self, label: &Label) -> Option<Named> {
        self.overflowing.remove(label);
        self.tiers.iter_mut().find_map(|names| names.remove(label))
    }

    /// Puts the contents of a name into the tier to which they belong.
    fn put(&mut self, label: &Label, named: Named) {
        if named.len() > MAX_BEST {
            self.overflowing.insert(label.clone());
        }
        let best = named.behind(None).next().map_or(0, |(_, claim)| claim.hosts);
        self.tiers[usize::from(tier(best))].insert(label.clone(), named);
    }
}

/// The tier of a name whose best content has so many hosts.
fn tier(hosts: u32) -> u8 {
    let doublings = hosts.max(1).ilog2().min(u32::from(TIERS) - 1);
    TIERS - 1 - doublings as u8
}

/// The first name with which a page can begin.
fn from<'a>(prefix: &'a str, after: Option<&'a Cursor>) -> &'a str {
    after.map_or(prefix, |after| after.name.as_str().max(prefix))
}

/// The rank of the last content of `label` on the page before, where that page ended with `label`.
fn rank_in(label: &Label, after: Option<&Cursor>) -> Option<Rank> {
    after.filter(|after| after.name == *label.name()).map(|after| (Reverse(after.hosts), after.number))
}

fn called<'a>(tier: u8, label: &'a Label) -> impl Fn(Entry) -> Called<'a> {
    move |(content, claim)| Called { tier, label, content, claim }
}

#[cfg(test)]
mod tests;
