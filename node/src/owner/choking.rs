//! Who gets the places of a content, when more want one than there are: pure choices over small values.
//!
//! *Tit-for-tat* (Cohen, "Incentives Build Robustness in BitTorrent", 2003; BEP 3): all places but one go to those who gave most, or,
//! where there is nothing that they could give, who passed most on, or took most while nobody passes on anything; one goes by lot, so that better ones are found and newcomers
//! get something to give. *Fair*: whoever waits longest is next, for a few pieces.

use messages::Conversation;
use rand::RngExt as _;
use rand::rngs::StdRng;

/// A newcomer counts as so many in the lot (BEP 3).
const NEWCOMER: u32 = 3;

/// A session that wants a place, or has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claimant {
    pub(super) session: Conversation,
    /// Bytes a second that it gave, or took, lately.
    pub(super) rate: u64,
    /// It has got nothing yet.
    pub(super) is_new: bool,
    /// It was asked for something and does not give it.
    pub(super) is_snubbed: bool,
}

/// Who gets one of `places` places under tit-for-tat: the best first, the one by lot last.
pub(super) fn tit_for_tat(claimants: &[Claimant], places: usize, rng: &mut StdRng) -> Vec<Conversation> {
    let mut ranked: Vec<Claimant> = claimants.to_vec();
    shuffle(&mut ranked, rng);
    ranked.sort_by_key(|claimant| (claimant.is_snubbed, std::cmp::Reverse(claimant.rate)));
    if ranked.len() <= places {
        return ranked.into_iter().map(|claimant| claimant.session).collect();
    }
    let worthy = ranked.iter().take_while(|claimant| !claimant.is_snubbed && claimant.rate > 0).count();
    let mut rest = ranked.split_off(worthy.min(places.saturating_sub(1)));
    let mut chosen: Vec<Conversation> = ranked.into_iter().map(|claimant| claimant.session).collect();
    while chosen.len() < places
        && let Some(drawn) = by_lot(&rest, rng)
    {
        chosen.push(rest.swap_remove(drawn).session);
    }
    chosen
}

/// Who gets a place that has come free under tit-for-tat, of those who wait.
pub(super) fn next(waiting: &[Claimant], rng: &mut StdRng) -> Option<Conversation> {
    let best = waiting.iter().filter(|claimant| !claimant.is_snubbed && claimant.rate > 0);
    let best = best.max_by_key(|claimant| claimant.rate).map(|claimant| claimant.session);
    best.or_else(|| by_lot(waiting, rng).map(|drawn| waiting[drawn].session))
}

/// One of `claimants` by lot, newcomers three times as likely; of those that are snubbed only if there is nobody else.
fn by_lot(claimants: &[Claimant], rng: &mut StdRng) -> Option<usize> {
    let all_are_snubbed = claimants.iter().all(|claimant| claimant.is_snubbed);
    let weight = |claimant: &Claimant| match claimant {
        snubbed if snubbed.is_snubbed && !all_are_snubbed => 0,
        newcomer if newcomer.is_new => NEWCOMER,
        _ => 1,
    };
    let all: u32 = claimants.iter().map(weight).sum();
    let mut drawn = if all > 0 { rng.random_range(0..all) } else { return None };
    claimants.iter().position(|claimant| {
        let hit = drawn < weight(claimant);
        drawn = drawn.saturating_sub(weight(claimant));
        hit
    })
}

/// Equals are in no order.
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

    fn claimants() -> impl Strategy<Value = Vec<Claimant>> {
        prop::collection::vec((0u64..4, any::<bool>(), any::<bool>()), 0..30).prop_map(|all| {
            let claimant = |(number, (rate, is_new, is_snubbed))| Claimant {
                session: Conversation(number),
                rate: rate * 1000,
                is_new,
                is_snubbed,
            };
            (0u32..).zip(all).map(claimant).collect()
        })
    }

    proptest! {
        /// No place stays empty while somebody wants it, nobody has two, and whoever gave more than one who has a place by merit has one.
        #[test]
        fn the_best_have_places_and_none_is_left_empty(all in claimants(), places in 1usize..8, seed in any::<u64>()) {
            let mut rng = StdRng::seed_from_u64(seed);
            let chosen = tit_for_tat(&all, places, &mut rng);
            let distinct: BTreeSet<Conversation> = chosen.iter().copied().collect();
            prop_assert_eq!(distinct.len(), chosen.len());
            prop_assert_eq!(chosen.len(), all.len().min(places));
            let has = |claimant: &&Claimant| distinct.contains(&claimant.session);
            let worthy = |claimant: &&Claimant| !claimant.is_snubbed && claimant.rate > 0;
            let left_out = all.iter().filter(worthy).filter(|claimant| !has(claimant)).map(|c| c.rate).max();
            // One place at most goes to somebody who gave less than one who has none.
            let best = left_out.unwrap_or(0);
            let by_lot = all.iter().filter(has).filter(|c| best > 0 && (!worthy(c) || c.rate < best)).count();
            prop_assert!(by_lot <= 1, "{by_lot} of {chosen:?} in {all:?}");
            let served_in_vain = all.iter().filter(has).any(|claimant| claimant.is_snubbed);
            let waits = all.iter().any(|claimant| !claimant.is_snubbed && !has(&claimant));
            prop_assert!(!(served_in_vain && waits), "{chosen:?} in {all:?}");
        }

        #[test]
        fn a_free_place_goes_to_who_gave_most_or_to_anybody(all in claimants(), seed in any::<u64>()) {
            let next = next(&all, &mut StdRng::seed_from_u64(seed));
            prop_assert_eq!(next.is_some(), !all.is_empty());
            let best = all.iter().filter(|claimant| !claimant.is_snubbed).map(|claimant| claimant.rate).max();
            if let Some(best) = best.filter(|&best| best > 0) {
                prop_assert!(all.iter().any(|c| Some(c.session) == next && c.rate == best && !c.is_snubbed));
            }
        }
    }

    #[test]
    fn newcomers_are_drawn_three_times_as_often() {
        let claimant =
            |number, is_new| Claimant { session: Conversation(number), rate: 0, is_new, is_snubbed: false };
        let all = [claimant(0, true), claimant(1, false), claimant(2, false), claimant(3, false)];
        let mut rng = StdRng::seed_from_u64(1);
        let drawn = (0..6000).filter(|_| by_lot(&all, &mut rng) == Some(0)).count();
        assert!((2800..3200).contains(&drawn), "{drawn}");
    }
}
