//! The contents of one name, in the order of their ids, of their claims and of how well they are supported.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use messages::{ContentId, Timestamp};

use crate::host_key::HostKey;

/// The most contents of one name that a sorted list holds; of more the order is kept in trees.
const MAX_FEW: usize = 8;

/// The claim that a content has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NameClaim {
    /// How many hosts support it.
    pub(crate) hosts: u32,
    /// How many claims the table had heard of before this one.
    pub(crate) number: u64,
    /// The host that made it.
    pub(super) maker: HostKey,
    /// How many contents the maker had called so before: its first claim to a name ranks as high as those of others,
    /// and its later ones wait.
    pub(super) nth: u32,
    /// When it was made.
    pub(crate) since: Timestamp,
}

/// A content of a name, and its claim to the name.
pub(super) type Entry = (ContentId, NameClaim);

/// The order of the contents of one name: by hosts, and then by [`NameClaim::position`].
pub(super) type Rank = (Reverse<u32>, u64);

/// How many bits the number of a claim has: more than a tracker ever hears of.
const NUMBER_BITS: u32 = 44;
/// The largest [`NameClaim::nth`]: still later contents of one host are all alike.
pub(super) const MAX_NTH: u32 = (1 << (u64::BITS - NUMBER_BITS)) - 1;

impl NameClaim {
    /// The position among claims with as many hosts: the first claim of one host comes before the second of another,
    /// and of two the older one comes first.
    pub(crate) const fn position(&self) -> u64 {
        ((self.nth as u64) << NUMBER_BITS) | self.number
    }

    pub(super) const fn rank(&self) -> Rank {
        (Reverse(self.hosts), self.position())
    }
}

/// The number of the claim that has this position.
const fn number_at(position: u64) -> u64 {
    position & ((1 << NUMBER_BITS) - 1)
}

/// The contents of one name. Nearly every name has one content, which costs no tree.
#[derive(Clone, Debug)]
pub(super) enum Named {
    One(ContentId, NameClaim),
    /// A few contents in the order of ranks, which cost less than trees.
    Few(Vec<Entry>),
    Indexed(Box<NameIndex>),
}

/// The contents of one name in several orders that are kept in step.
#[derive(Clone, Debug, Default)]
pub(super) struct NameIndex {
    by_id: BTreeMap<ContentId, NameClaim>,
    by_number: BTreeMap<u64, ContentId>,
    by_rank: BTreeSet<Rank>,
    makers: BTreeMap<HostKey, u32>,
}

impl Named {
    pub(super) fn len(&self) -> usize {
        match self {
            Named::One(..) => 1,
            Named::Few(few) => few.len(),
            Named::Indexed(index) => index.by_id.len(),
        }
    }

    pub(super) fn claim(&self, content: ContentId) -> Option<NameClaim> {
        match self {
            Named::One(only, claim) => (*only == content).then_some(*claim),
            Named::Few(few) => few.iter().find(|(id, _)| *id == content).map(|(_, claim)| *claim),
            Named::Indexed(index) => index.by_id.get(&content).copied(),
        }
    }

    /// How many of the claims `host` made.
    pub(super) fn made_by(&self, host: HostKey) -> u32 {
        let (one, few, index) = self.parts();
        let few = one.iter().chain(few).filter(|(_, claim)| claim.maker == host).count();
        index.map_or(few as u32, |index| index.makers.get(&host).copied().unwrap_or(0))
    }

    /// The contents behind `rank` in the order of ranks; all of them without one.
    pub(super) fn behind(&self, rank: Option<Rank>) -> impl Iterator<Item = Entry> + use<'_> {
        let (one, few, index) = self.parts();
        let few = one.into_iter().chain(few.iter().copied());
        let few = few.filter(move |(_, claim)| rank.is_none_or(|rank| claim.rank() > rank));
        let from = rank.map_or(Unbounded, Excluded);
        few.chain(index.into_iter().flat_map(move |index| {
            index.by_rank.range((from, Unbounded)).map(|(_, position)| index.numbered(number_at(*position)))
        }))
    }

    /// The contents from the id `from` on, in the order of their ids.
    pub(super) fn from(&self, from: ContentId) -> impl Iterator<Item = Entry> + use<'_> {
        let (one, few, index) = self.parts();
        let mut few: Vec<_> =
            one.into_iter().chain(few.iter().copied()).filter(|(id, _)| *id >= from).collect();
        few.sort_unstable_by_key(|(id, _)| *id);
        let index = index.into_iter().flat_map(move |index| index.by_id.range(from..));
        few.into_iter().chain(index.map(|(id, claim)| (*id, *claim)))
    }

    pub(super) fn newest(&self) -> Option<Entry> {
        let (one, few, index) = self.parts();
        let few = one.into_iter().chain(few.iter().copied()).max_by_key(|(_, claim)| claim.number);
        few.or_else(|| index.and_then(|index| Some(index.numbered(*index.by_number.last_key_value()?.0))))
    }

    /// The one content, the list, or the trees.
    fn parts(&self) -> (Option<Entry>, &[Entry], Option<&NameIndex>) {
        match self {
            Named::One(only, claim) => (Some((*only, *claim)), &[], None),
            Named::Few(few) => (None, few, None),
            Named::Indexed(index) => (None, &[], Some(index)),
        }
    }

    /// The same with `content` under this claim.
    pub(super) fn with(self, content: ContentId, claim: NameClaim) -> Named {
        match self {
            Named::One(only, before) if only != content => Named::few([(only, before), (content, claim)]),
            Named::One(..) => Named::One(content, claim),
            Named::Few(few) => {
                let others = few.into_iter().filter(|(id, _)| *id != content);
                Named::few(others.chain([(content, claim)]))
            }
            Named::Indexed(mut index) => {
                index.insert(content, claim);
                Named::Indexed(index)
            }
        }
    }

    /// The same without `content`; `None` when nothing is left.
    pub(super) fn without(self, content: ContentId) -> Option<Named> {
        match self {
            Named::One(only, claim) => (only != content).then_some(Named::One(only, claim)),
            Named::Few(few) => Some(Named::few(few.into_iter().filter(|(id, _)| *id != content))),
            Named::Indexed(mut index) => {
                index.remove(content);
                // The list comes back later than the trees came, so that a name at the limit does not build trees each
                // time.
                if index.by_id.len() > MAX_FEW / 2 {
                    return Some(Named::Indexed(index));
                }
                Some(Named::few(index.by_id))
            }
        }
    }

    /// A name with these contents: two and more, or the one that is left of two.
    fn few(contents: impl IntoIterator<Item = Entry>) -> Named {
        let mut few: Vec<_> = contents.into_iter().collect();
        if let [(only, claim)] = few[..] {
            return Named::One(only, claim);
        }
        if few.len() > MAX_FEW {
            let mut index = Box::<NameIndex>::default();
            few.into_iter().for_each(|(content, claim)| index.insert(content, claim));
            return Named::Indexed(index);
        }
        few.sort_unstable_by_key(|(_, claim)| claim.rank());
        few.shrink_to_fit();
        Named::Few(few)
    }
}

impl NameIndex {
    fn insert(&mut self, content: ContentId, claim: NameClaim) {
        self.remove(content);
        self.by_id.insert(content, claim);
        self.by_number.insert(claim.number, content);
        self.by_rank.insert(claim.rank());
        *self.makers.entry(claim.maker).or_insert(0) += 1;
    }

    fn remove(&mut self, content: ContentId) {
        if let Some(claim) = self.by_id.remove(&content) {
            self.by_number.remove(&claim.number);
            self.by_rank.remove(&claim.rank());
            if let Some(made) = self.makers.get_mut(&claim.maker) {
                *made -= 1;
                if *made == 0 {
                    self.makers.remove(&claim.maker);
                }
            }
        }
    }

    /// The content whose claim has this number.
    fn numbered(&self, number: u64) -> Entry {
        let content = self.by_number[&number];
        (content, self.by_id[&content])
    }
}
