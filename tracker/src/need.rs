//! Who has this? NEED is answered from the tables and changes none of them, except how often the owners were named and
//! whose turn is next.

use messages::limits::{CONTROL_DATAGRAM, MAX_LISTED, MAX_OWNERS};
use messages::node_to_tracker::{Need, Query};
use messages::tracker_to_node::{ContentOwners, Listed, Listing, Owner, Owners};
use messages::{ContentId, List, NodeId, PageEnd, Timestamp, TrackerToNode};

use crate::address_selection::{endpoint_for, same_family};
use crate::event::{Event, Found};
use crate::ranking::{Candidate, charge, choose};
use crate::request::{Origin, millis_up};
use crate::tracker::Tracker;

/// How many owners of a content are ranked for one question, all in their turn: a question costs no more.
const MAX_RANKED_OWNERS: usize = 512;

const _: () = assert!(config::MAX_OWNERS_PER_ANSWER as usize <= MAX_OWNERS, "an answer carries them");

impl Tracker {
    pub(crate) fn on_need(&mut self, origin: Origin, need: &Need, now: Timestamp) -> TrackerToNode {
        let asker = need.asker.node;
        let answer = match &need.query {
            Query::Content(content) => self.owners_for(origin, asker, *content, now),
            Query::Name(name) => {
                let listing = page(self.contents.named(name.as_str(), now).map(unplaced));
                self.only(origin, asker, listing, now)
            }
            Query::Digits(digits) => {
                let listing = page(self.contents.fitting(digits, now).map(unplaced));
                self.only(origin, asker, listing, now)
            }
            Query::Newest(name) => {
                let listing = page(self.contents.newest(name.as_str(), now).map(unplaced));
                self.only(origin, asker, listing, now)
            }
            Query::NameFrom { name, from } => {
                let listing = page(self.contents.named_from(name.as_str(), *from, now).map(unplaced));
                self.several(listing, now)
            }
            Query::Search { prefix, after } => {
                let listing = page(self.contents.search(prefix.as_str(), after.as_ref(), now));
                self.several(listing, now)
            }
        };
        let found = match &answer {
            Owners::Unknown { .. } => Found::Nothing,
            Owners::Content(found) => Found::Owners(found.content.content, found.owners.len()),
            Owners::Contents(listing) => Found::Contents(listing.contents.len()),
        };
        self.counters.needs += 1;
        self.out.events.push(Event::NeedAnswered { node: asker, address: origin.address, found });
        answer.into()
    }

    /// The answer that nobody has it, and how long that may still change because nodes have not come back yet.
    fn unknown(&self, now: Timestamp) -> Owners {
        Owners::Unknown { whole_in_ms: millis_up(self.rebuilt_at.since(now)) }
    }

    /// The answer for a list: the contents of `listing`, if there are any.
    fn several(&self, listing: Listing, now: Timestamp) -> Owners {
        if listing.contents.is_empty() { self.unknown(now) } else { Owners::Contents(listing) }
    }

    /// The answer for one content: the owners of the only content of `listing`, or `listing` if there are several.
    fn only(&mut self, origin: Origin, asker: NodeId, listing: Listing, now: Timestamp) -> Owners {
        match listing.contents.as_ref() {
            [] => self.unknown(now),
            [only] if listing.more.is_none() => self.owners_for(origin, asker, only.content, now),
            _ => Owners::Contents(listing),
        }
    }

    fn owners_for(&mut self, origin: Origin, asker: NodeId, content: ContentId, now: Timestamp) -> Owners {
        let Some(listed) = self.contents.listed(content, now) else { return self.unknown(now) };
        let (owners, candidates) = self.candidates(origin, asker, content, now);
        let ranking = &self.settings.ranking;
        let slots = usize::from(ranking.owners_per_answer);
        let lots = u32::from(ranking.newcomer_share_percent);
        let chosen = choose(&candidates, slots, lots, &mut self.chance);
        let mut named = List::new();
        for (position, owner) in chosen.into_iter().map(|index| owners[index]).enumerate() {
            if named.push(owner).is_err() {
                break;
            }
            let node = self.nodes.node_mut(owner.node).expect("only registered owners are candidates");
            node.assigned.add(charge(position), now, ranking.assigned_window);
        }
        Owners::Content(ContentOwners { content: listed, owners: named })
    }

    /// The owners that the asker can reach, without the asker itself, and what the ranking has to know of each.
    fn candidates(
        &mut self,
        origin: Origin,
        asker: NodeId,
        content: ContentId,
        now: Timestamp,
    ) -> (Vec<Owner>, Vec<Candidate>) {
        let (asker_view, ranking) = (origin.reachable_from(), &self.settings.ranking);
        let in_turn = self.contents.take_turn(content, MAX_RANKED_OWNERS);
        in_turn
            .filter(|&(node, _)| node != asker && !self.departed.holds(node, content))
            .filter_map(|(id, permille)| {
                let node = self.nodes.node(id).expect("an owner that has not departed is registered");
                let endpoint = endpoint_for(asker_view, node.registration().address)?;
                let candidate = Candidate {
                    permille,
                    upload_rate: node.uploaded.per_second(now, ranking.rate_window),
                    assigned: node.assigned.level(now, ranking.assigned_window),
                    same_family: same_family(asker_view, endpoint),
                };
                Some((Owner { node: id, endpoint, permille }, candidate))
            })
            .unzip()
    }
}

/// A content of an answer that has no further page.
fn unplaced(listed: Listed) -> (Listed, PageEnd) {
    (listed, PageEnd::default())
}

/// As many of `found` as fit one datagram.
fn page(found: impl Iterator<Item = (Listed, PageEnd)>) -> Listing {
    let mut listing: Listing = Listing { contents: List::<Listed, MAX_LISTED>::new(), more: None };
    let mut bytes_left = CONTROL_DATAGRAM - Listing::WIRE_FIXED;
    let mut last = PageEnd::default();
    for (listed, end) in found {
        let length = listed.wire_length();
        if length > bytes_left || listing.contents.push(listed).is_err() {
            listing.more = Some(last);
            break;
        }
        (bytes_left, last) = (bytes_left - length, end);
    }
    listing
}
