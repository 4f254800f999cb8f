//! Which sessions get the slots of a content, when more sessions want one than there are slots: pure choices over small
//! values.
//!
//! *Tit-for-tat* (Cohen, "Incentives Build Robustness in BitTorrent", 2003; BEP 3): all slots but one go to the
//! sessions that gave most. Where there is nothing that they could give, the slots go to the sessions that passed most
//! on, or that took most while nobody passes anything on. One slot is an optimistic unchoke: it is drawn by lot, so
//! that better sessions are found and newcomers get something to give. *Fair*: the session that has waited longest is
//! next, for a few pieces.
//!
//! Sessions cost nothing, hosts do. So while others wait, one host has at most half of the slots, and a lot is drawn
//! among hosts first, then among the sessions of the drawn host.

use messages::{Conversation, Host};
use rand::RngExt as _;
use rand::rngs::StdRng;

/// A newcomer is this many times as likely to be drawn as another session (BEP 3).
const NEWCOMER_WEIGHT: u32 = 3;

/// A session that wants a slot, or has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claimant {
    pub(super) session: Conversation,
    pub(super) host: Host,
    /// The rate, in bytes a second, at which the session gave, passed on, or took bytes lately.
    pub(super) rate: u64,
    /// Whether the session was sent nothing yet.
    pub(super) is_new: bool,
    /// Whether the session was asked for something, or should have passed something on, and has not.
    pub(super) is_snubbed: bool,
    /// Whether the session's host wasted slots lately.
    pub(super) is_penalized: bool,
}

impl Claimant {
    fn is_worthy(&self) -> bool {
        !self.is_snubbed && self.rate > 0
    }
}

/// The number of `slots` that one host has at most, while others wait.
fn max_per_host(slots: usize) -> usize {
    (slots / 2).max(1)
}

/// The number of sessions among `served` that are on `host`.
fn count_of(host: Host, served: &[Claimant]) -> usize {
    served.iter().filter(|claimant| claimant.host == host).count()
}

/// The sessions of `waiting` that may get the next of `slots` slots, while `served` have some: those whose hosts are
/// below their share, or all sessions, if there are no such.
fn eligible(served: &[Claimant], waiting: &[Claimant], slots: usize) -> Vec<Claimant> {
    let has_few = |claimant: &&Claimant| count_of(claimant.host, served) < max_per_host(slots);
    let few: Vec<Claimant> = waiting.iter().filter(has_few).copied().collect();
    if few.is_empty() { waiting.to_vec() } else { few }
}

/// The sessions that get `slots` slots under tit-for-tat: the best first, the drawn one last.
pub(super) fn tit_for_tat(claimants: &[Claimant], slots: usize, rng: &mut StdRng) -> Vec<Conversation> {
    let mut rest: Vec<Claimant> = claimants.to_vec();
    shuffle(&mut rest, rng);
    rest.sort_by_key(|claimant| (claimant.is_snubbed, std::cmp::Reverse(claimant.rate)));
    if rest.len() <= slots {
        return rest.into_iter().map(|claimant| claimant.session).collect();
    }
    let (mut chosen, mut was_drawn) = (Vec::new(), false);
    while chosen.len() < slots && !rest.is_empty() {
        let may = eligible(&chosen, &rest, slots);
        let by_merit = was_drawn || chosen.len() + 1 < slots;
        let best = may.iter().find(|claimant| by_merit && claimant.is_worthy());
        let next = *best.unwrap_or_else(|| {
            was_drawn = true;
            &may[by_lot(&may, rng).expect("somebody is left, and of those that are one is drawn")]
        });
        rest.retain(|claimant| claimant.session != next.session);
        chosen.push(next);
    }
    chosen.into_iter().map(|claimant| claimant.session).collect()
}

/// The session of `waiting` that gets a slot that has come free under tit-for-tat.
pub(super) fn next_by_merit(
    served: &[Claimant],
    waiting: &[Claimant],
    slots: usize,
    rng: &mut StdRng,
) -> Option<Conversation> {
    let may = eligible(served, waiting, slots);
    let best = may.iter().filter(|claimant| claimant.is_worthy());
    let best = best.max_by_key(|claimant| claimant.rate).map(|claimant| claimant.session);
    best.or_else(|| by_lot(&may, rng).map(|drawn| may[drawn].session))
}

/// The session of `waiting`, of which the one that has waited longest is first, that gets a slot that has come free
/// under the policy `fair`: the first of those on hosts with the fewest slots. A session on a host that wasted slots
/// lately comes after all others.
pub(super) fn next_in_turn(served: &[Claimant], waiting: &[Claimant]) -> Option<Conversation> {
    let next = waiting.iter().min_by_key(|claimant| (claimant.is_penalized, count_of(claimant.host, served)));
    next.map(|claimant| claimant.session)
}

/// The sessions whose turn has `ended` and that lose their slot, because a waiting session comes before them.
pub(super) fn give_way(
    ended: &[Conversation],
    served: &[Claimant],
    waiting: &[Claimant],
) -> Vec<Conversation> {
    let first = waiting.iter().map(|claimant| (claimant.is_penalized, count_of(claimant.host, served))).min();
    let gives_way = |claimant: &&Claimant| {
        ended.contains(&claimant.session)
            && first.is_some_and(|first| first < (claimant.is_penalized, count_of(claimant.host, served)))
    };
    served.iter().filter(gives_way).map(|claimant| claimant.session).take(waiting.len()).collect()
}

/// The sessions that lose their slot because their host has more than half of `slots` while others wait: the slowest of
/// each such host, and at most as many as there are other sessions that could use the slots.
pub(super) fn above_host_share(served: &[Claimant], waiting: &[Claimant], slots: usize) -> Vec<Conversation> {
    let most = max_per_host(slots);
    let others = waiting.iter().filter(|claimant| count_of(claimant.host, served) < most);
    let wanted = others.count().saturating_sub(slots.saturating_sub(served.len()));
    let mut served = served.to_vec();
    served.sort_by_key(|claimant| claimant.rate);
    let mut lose: Vec<Claimant> = Vec::new();
    for claimant in &served {
        let left = count_of(claimant.host, &served) - count_of(claimant.host, &lose);
        if left > most && lose.len() < wanted {
            lose.push(*claimant);
        }
    }
    lose.into_iter().map(|claimant| claimant.session).collect()
}

/// The index of one of `claimants`, drawn by lot: first its host, and then the session. Newcomers are three times as
/// likely as others, and snubbed sessions are drawn only if there is nobody else.
fn by_lot(claimants: &[Claimant], rng: &mut StdRng) -> Option<usize> {
    let all_are_snubbed = claimants.iter().all(|claimant| claimant.is_snubbed);
    let weight = |claimant: &Claimant| match claimant {
        snubbed if snubbed.is_snubbed && !all_are_snubbed => 0,
        newcomer if newcomer.is_new => NEWCOMER_WEIGHT,
        _ => 1,
    };
    // A host is as new as its oldest session.
    let mut hosts: Vec<(Host, u32)> = Vec::new();
    for claimant in claimants.iter().filter(|claimant| weight(claimant) > 0) {
        match hosts.iter_mut().find(|(host, _)| *host == claimant.host) {
            Some((_, of_host)) => *of_host = weight(claimant).min(*of_host),
            None => hosts.push((claimant.host, weight(claimant))),
        }
    }
    let (host, _) = hosts[draw(hosts.iter().map(|(_, weight)| *weight), rng)?];
    let of_host = |claimant: &Claimant| if claimant.host == host { weight(claimant) } else { 0 };
    let mut drawable = (0..claimants.len()).filter(|index| of_host(&claimants[*index]) > 0);
    match (drawable.next(), drawable.next()) {
        (only, None) => only,
        _ => draw(claimants.iter().map(of_host), rng),
    }
}

/// The index of one of the `weights`, drawn with a probability in proportion to its weight.
fn draw(weights: impl Iterator<Item = u32> + Clone, rng: &mut StdRng) -> Option<usize> {
    let all: u32 = weights.clone().sum();
    let mut drawn = if all > 0 { rng.random_range(0..all) } else { return None };
    weights.enumerate().find_map(|(index, weight)| {
        let hit = drawn < weight;
        drawn = drawn.saturating_sub(weight);
        hit.then_some(index)
    })
}

/// Puts `claimants` in a random order, so that equals have no fixed order.
fn shuffle(claimants: &mut [Claimant], rng: &mut StdRng) {
    for last in (1..claimants.len()).rev() {
        claimants.swap(last, rng.random_range(0..=last));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand::SeedableRng as _;

    use super::*;

    fn host(number: u8) -> Host {
        Host::of(([192, 0, 2, number], 1).into())
    }

    /// Claimants on `hosts` hosts, or each on a host of its own if that is `None`.
    fn claimants(hosts: Option<u8>) -> impl Strategy<Value = Vec<Claimant>> {
        let one = (0u64..4, any::<bool>(), any::<bool>(), 0..hosts.unwrap_or(1));
        prop::collection::vec(one, 0..30).prop_map(move |all| {
            let claimant = |(number, (rate, is_new, is_snubbed, of)): (u8, _)| Claimant {
                session: Conversation(number.into()),
                host: host(if hosts.is_some() { of } else { number }),
                rate: rate * 1000,
                is_new,
                is_snubbed,
                is_penalized: false,
            };
            (0..).zip(all).map(claimant).collect()
        })
    }

    fn chosen_of(all: &[Claimant], chosen: &[Conversation]) -> (Vec<Claimant>, Vec<Claimant>) {
        all.iter().partition(|claimant| chosen.contains(&claimant.session))
    }

    /// Whether no host has more than half of the slots while another could use one.
    fn is_shared(served: &[Claimant], waiting: &[Claimant], slots: usize) -> bool {
        let most = max_per_host(slots);
        let over = served.iter().any(|claimant| count_of(claimant.host, served) > most);
        !over || waiting.iter().all(|claimant| count_of(claimant.host, served) >= most)
    }

    proptest! {
        /// No slot stays empty while a session wants it, no session has two, and each session that gave more than one
        /// with a slot by merit has a slot.
        #[test]
        fn the_best_have_slots_and_none_is_left_empty(all in claimants(None), slots in 1usize..8, seed in any::<u64>()) {
            let mut rng = StdRng::seed_from_u64(seed);
            let chosen = tit_for_tat(&all, slots, &mut rng);
            let distinct: BTreeSet<Conversation> = chosen.iter().copied().collect();
            prop_assert_eq!(distinct.len(), chosen.len());
            prop_assert_eq!(chosen.len(), all.len().min(slots));
            let has = |claimant: &&Claimant| distinct.contains(&claimant.session);
            let worthy = |claimant: &&Claimant| claimant.is_worthy();
            let left_out = all.iter().filter(worthy).filter(|claimant| !has(claimant)).map(|c| c.rate).max();
            // At most one slot goes to a session that gave less than a session without a slot.
            let best = left_out.unwrap_or(0);
            let by_lot = all.iter().filter(has).filter(|c| best > 0 && (!worthy(c) || c.rate < best)).count();
            prop_assert!(by_lot <= 1, "{by_lot} of {chosen:?} in {all:?}");
            let served_in_vain = all.iter().filter(has).any(|claimant| claimant.is_snubbed);
            let waits = all.iter().any(|claimant| !claimant.is_snubbed && !has(&claimant));
            prop_assert!(!(served_in_vain && waits), "{chosen:?} in {all:?}");
        }

        /// No slot is left empty, and a host has at most half of them while others wait, however many sessions it has.
        #[test]
        fn no_host_has_more_than_half_while_others_wait(all in claimants(Some(4)), slots in 1usize..8, seed in any::<u64>()) {
            let mut rng = StdRng::seed_from_u64(seed);
            let chosen = tit_for_tat(&all, slots, &mut rng);
            let (served, waiting) = chosen_of(&all, &chosen);
            prop_assert_eq!(served.len(), all.len().min(slots));
            prop_assert!(is_shared(&served, &waiting, slots), "{:?} in {:?}", chosen, all);
        }

        /// The same holds, under both policies, when slots come free one after the other and are taken from hosts that
        /// have too many.
        #[test]
        fn slots_that_come_free_are_shared_among_hosts(
            all in claimants(Some(4)),
            slots in 2usize..8,
            before in any::<prop::sample::Index>(),
            is_fair in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let mut rng = StdRng::seed_from_u64(seed);
            // The sessions that came first have the slots.
            let first = before.index(slots.min(all.len()) + 1);
            let (mut served, mut waiting) = (all[..first].to_vec(), all[first..].to_vec());
            for session in above_host_share(&served, &waiting, slots) {
                let index = served.iter().position(|claimant| claimant.session == session).expect("it had a slot");
                waiting.push(served.remove(index));
            }
            while served.len() < slots && !waiting.is_empty() {
                let next = match is_fair {
                    true => next_in_turn(&served, &waiting),
                    false => next_by_merit(&served, &waiting, slots, &mut rng),
                };
                let index = waiting.iter().position(|claimant| Some(claimant.session) == next).expect("it waits");
                served.push(waiting.remove(index));
            }
            prop_assert_eq!(served.len(), all.len().min(slots));
            prop_assert!(is_shared(&served, &waiting, slots), "{:?} before {:?}", served, waiting);
            prop_assert!(above_host_share(&served, &waiting, slots).is_empty());
        }

        /// Under the policy `fair` no session gives way to one that comes after it, and in the end no host has two
        /// slots more than one that waits.
        #[test]
        fn hosts_take_turns(all in claimants(Some(4)), slots in 2usize..8) {
            let mut served: Vec<Claimant> = all.iter().take(slots).copied().collect();
            let mut waiting: Vec<Claimant> = all.iter().skip(slots).copied().collect();
            for _ in 0..100 {
                let Some(first) = served.first().copied() else { break };
                if give_way(&[first.session], &served, &waiting).is_empty() {
                    served.rotate_left(1);
                    continue;
                }
                waiting.push(served.remove(0));
                let next = next_in_turn(&served, &waiting).expect("somebody waits");
                prop_assert!(next != first.session, "it would have kept it");
                let index = waiting.iter().position(|claimant| claimant.session == next).expect("it waits");
                served.push(waiting.remove(index));
            }
            let counts = |of: &[Claimant]| of.iter().map(|claimant| count_of(claimant.host, &served)).collect::<Vec<_>>();
            let (most, fewest) = (counts(&served).into_iter().max(), counts(&waiting).into_iter().min());
            prop_assert!(fewest.is_none_or(|fewest| most.is_some_and(|most| most <= fewest + 1)), "{:?} {:?}", served, waiting);
        }

        /// Under the policy `fair` a session on a host that wasted slots gets no slot for which another waits, and no
        /// other session gives way to it.
        #[test]
        fn who_wasted_slots_waits_behind_others(
            all in claimants(Some(4)),
            penalized in prop::collection::vec(any::<bool>(), 30),
            slots in 1usize..8,
        ) {
            let all: Vec<Claimant> = all.iter().zip(penalized).map(|(of, is_penalized)| Claimant { is_penalized, ..*of }).collect();
            let (served, waiting) = all.split_at(slots.min(all.len()));
            let next = next_in_turn(served, waiting).and_then(|next| all.iter().find(|of| of.session == next));
            prop_assert!(next.is_none_or(|next| !next.is_penalized || waiting.iter().all(|of| of.is_penalized)));
            let had: Vec<Conversation> = served.iter().map(|of| of.session).collect();
            let yields = give_way(&had, served, waiting);
            let is_penalized = |session| all.iter().any(|of| of.session == session && of.is_penalized);
            prop_assert!(waiting.iter().any(|of| !of.is_penalized) || yields.into_iter().all(is_penalized));
        }

        #[test]
        fn a_free_slot_goes_to_who_gave_most_or_to_anybody(all in claimants(None), seed in any::<u64>()) {
            let next = next_by_merit(&[], &all, 4, &mut StdRng::seed_from_u64(seed));
            prop_assert_eq!(next.is_some(), !all.is_empty());
            let best = all.iter().filter(|claimant| !claimant.is_snubbed).map(|claimant| claimant.rate).max();
            if let Some(best) = best.filter(|&best| best > 0) {
                prop_assert!(all.iter().any(|c| Some(c.session) == next && c.rate == best && !c.is_snubbed));
            }
        }
    }

    fn newcomer(number: u32, of: u8, is_new: bool) -> Claimant {
        let (session, host) = (Conversation(number), host(of));
        Claimant { session, host, rate: 0, is_new, is_snubbed: false, is_penalized: false }
    }

    fn drawn(all: &[Claimant], which: impl Fn(usize) -> bool) -> usize {
        let mut rng = StdRng::seed_from_u64(1);
        (0..6000).filter(|_| by_lot(all, &mut rng).is_some_and(&which)).count()
    }

    #[test]
    fn newcomers_are_drawn_three_times_as_often() {
        let all = [newcomer(0, 0, true), newcomer(1, 1, false), newcomer(2, 2, false), newcomer(3, 3, false)];
        let drawn = drawn(&all, |index| index == 0);
        assert!((2800..3200).contains(&drawn), "{drawn}");
    }

    #[test]
    fn a_hundred_sessions_of_a_host_are_drawn_as_often_as_one_of_another() {
        let all: Vec<Claimant> =
            (0..100).map(|number| newcomer(number, (number != 0).into(), true)).collect();
        let drawn = drawn(&all, |index| index == 0);
        assert!((2800..3200).contains(&drawn), "{drawn}");
    }
}
