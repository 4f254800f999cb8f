//! The contents of one name, in the order of their ids, of their claims and of how well they are supported.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use messages::{ContentId, Timestamp};

use crate::host::Host;

/// Of a name with more contents than this the order is kept in trees.
const FEW: usize = 8;

/// That a content is called something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// On how many hosts.
    pub(crate) hosts: u32,
    /// How many claims the table had heard of before.
    pub(crate) number: u64,
    /// The host that made it,
    pub(super) maker: Host,
    /// and how many other contents were called so by that host first: it has one voice for what it says first, and the others wait.
    pub(super) nth: u32,
    /// Since when.
    pub(crate) since: Timestamp,
}

/// A content of a name, and how it stands.
pub(super) type Entry = (ContentId, Claim);

/// The order of the contents of one name.
pub(super) type Rank = (Reverse<u32>, u64);

/// Bits for the number of a claim: more than a tracker hears of.
const NUMBER_BITS: u32 = 44;
/// Later contents of one host are all alike.
pub(super) const LAST_NTH: u32 = (1 << (u64::BITS - NUMBER_BITS)) - 1;

impl Claim {
    /// Its place among those that as many hosts make: what a host called so first comes before what another called so second, and of two the
    /// older.
    pub(crate) const fn place(&self) -> u64 {
        ((self.nth as u64) << NUMBER_BITS) | self.number
    }

    pub(super) const fn rank(&self) -> Rank {
        (Reverse(self.hosts), self.place())
    }
}

/// The number of the claim that has this place.
const fn number_at(place: u64) -> u64 {
    place & ((1 << NUMBER_BITS) - 1)
}

/// The contents of one name. Nearly every name has one, which lies in place.
#[derive(Clone, Debug)]
pub(super) enum Named {
    One(ContentId, Claim),
    /// In the order of ranks; of a few contents that costs less than trees.
    Few(Vec<Entry>),
    Many(Box<Many>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Many {
    by_id: BTreeMap<ContentId, Claim>,
    by_number: BTreeMap<u64, ContentId>,
    ranked: BTreeSet<Rank>,
    makers: BTreeMap<Host, u32>,
}

impl Named {
    pub(super) fn len(&self) -> usize {
        match self {
            Named::One(..) => 1,
            Named::Few(few) => few.len(),
            Named::Many(many) => many.by_id.len(),
        }
    }

    pub(super) fn claim(&self, content: ContentId) -> Option<Claim> {
        match self {
            Named::One(only, claim) => (*only == content).then_some(*claim),
            Named::Few(few) => few.iter().find(|(id, _)| *id == content).map(|(_, claim)| *claim),
            Named::Many(many) => many.by_id.get(&content).copied(),
        }
    }

    /// How many of the claims `host` has made.
    pub(super) fn made_by(&self, host: Host) -> u32 {
        let (one, few, many) = self.parts();
        let few = one.iter().chain(few).filter(|(_, claim)| claim.maker == host).count();
        many.map_or(few as u32, |many| many.makers.get(&host).copied().unwrap_or(0))
    }

    /// The contents behind that rank in the order of ranks; all of them without one.
    pub(super) fn behind(&self, rank: Option<Rank>) -> impl Iterator<Item = Entry> + use<'_> {
        let (one, few, many) = self.parts();
        let few = one.into_iter().chain(few.iter().copied());
        let few = few.filter(move |(_, claim)| rank.is_none_or(|rank| claim.rank() > rank));
        let from = rank.map_or(Unbounded, Excluded);
        few.chain(many.into_iter().flat_map(move |many| {
            many.ranked.range((from, Unbounded)).filter_map(|(_, place)| many.numbered(number_at(*place)))
        }))
    }

    /// The contents from that id on in the order of their ids.
    pub(super) fn from(&self, from: ContentId) -> impl Iterator<Item = Entry> + use<'_> {
        let (one, few, many) = self.parts();
        let mut few: Vec<_> =
            one.into_iter().chain(few.iter().copied()).filter(|(id, _)| *id >= from).collect();
        few.sort_unstable_by_key(|(id, _)| *id);
        let many = many.into_iter().flat_map(move |many| many.by_id.range(from..));
        few.into_iter().chain(many.map(|(id, claim)| (*id, *claim)))
    }

    pub(super) fn newest(&self) -> Option<Entry> {
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
    pub(super) fn with(self, content: ContentId, claim: Claim) -> Named {
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
    pub(super) fn without(self, content: ContentId) -> Option<Named> {
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
        *self.makers.entry(claim.maker).or_insert(0) += 1;
    }

    fn remove(&mut self, content: ContentId) {
        if let Some(claim) = self.by_id.remove(&content) {
            self.by_number.remove(&claim.number);
            self.ranked.remove(&claim.rank());
            if let Some(made) = self.makers.get_mut(&claim.maker) {
                *made -= 1;
                if *made == 0 {
                    self.makers.remove(&claim.maker);
                }
            }
        }
    }

    fn numbered(&self, number: u64) -> Option<Entry> {
        let content = self.by_number.get(&number)?;
        self.by_id.get(content).map(|claim| (*content, *claim))
    }
}
