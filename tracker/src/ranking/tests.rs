//! The ranking's promises: order, shares, spreading, newcomers, families.

use proptest::prelude::*;
use rand::SeedableRng;

use super::*;

const MIB: u64 = 1 << 20;

fn owner(upload_rate: u64, have: u32) -> Candidate {
    Candidate { permille: Permille::of(have, 1000), upload_rate, assigned: 0, same_family: true }
}

fn chance(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

#[test]
fn the_fastest_comes_first_and_completeness_counts() {
    let owners = [owner(MIB, 1000), owner(64 * MIB, 1000), owner(16 * MIB, 1000), owner(64 * MIB, 100)];
    assert_eq!(choose(&owners, 4, 0, &mut chance(1)), [1, 2, 3, 0]);
}

#[test]
fn the_best_is_not_swamped() {
    let mut owners = [owner(64 * MIB, 1000), owner(16 * MIB, 1000)];
    assert_eq!(choose(&owners, 1, 0, &mut chance(1)), [0]);
    owners[0].assigned = 3 * ONE;
    assert_eq!(choose(&owners, 1, 0, &mut chance(1)), [1], "twice as good, handed out three times more");
}

#[test]
fn one_place_in_four_is_by_lot() {
    let by_lot: Vec<usize> = (0..20).filter(|&position| is_by_lot(position, 25)).collect();
    assert_eq!(by_lot, [3, 7, 11, 15, 19]);
    assert_eq!((0..20).filter(|&position| is_by_lot(position, 0)).count(), 0);
    assert_eq!((0..20).filter(|&position| is_by_lot(position, 100)).count(), 20);
}

#[test]
fn a_newcomer_among_many_fast_owners_gets_its_chance() {
    let mut owners = vec![owner(64 * MIB, 1000); 40];
    owners.push(owner(0, 0));
    let mut chance = chance(7);
    let met = (0..1000).filter(|_| choose(&owners, 20, 25, &mut chance).contains(&40)).count();
    // Five draws of about 24 to 37 that remain: between one in eight and one in five.
    assert!((100..260).contains(&met), "{met}");
    let never = (0..1000).filter(|_| choose(&owners, 20, 0, &mut chance).contains(&40)).count();
    assert_eq!(never, 0, "without lots it would have none");
}

#[test]
fn however_many_are_empty_who_has_all_is_among_the_first() {
    let mut owners = vec![owner(0, 0); 400];
    owners[17] = Candidate { assigned: 1_000_000 * ONE, ..owner(0, 1000) };
    let first = |owners: &[Candidate], slots, lots, seed| -> Vec<usize> {
        let order = choose(owners, slots, lots, &mut chance(seed));
        (0..order.len()).filter(|&position| owners[order[position]].permille.is_complete()).collect()
    };
    for seed in 0..50 {
        assert_eq!(first(&owners, 20, 0, seed), [2]);
        assert!(first(&owners, 20, 100, seed).iter().all(|&position| position <= 2));
        assert_eq!(first(&owners, 1, 25, seed), [0], "one position is no reason to be told of nobody");
    }
    owners[200] = Candidate { same_family: false, ..owners[17] };
    assert_eq!(first(&owners, 20, 0, 1), [2, 6], "one of another family may be reached as well");
}

#[test]
fn the_askers_family_comes_first() {
    let mut owners = [owner(64 * MIB, 1000), owner(64 * MIB, 1000), owner(0, 10), owner(0, 0)];
    owners[0].same_family = false;
    owners[1].same_family = false;
    for seed in 0..50 {
        let order = choose(&owners, 4, 25, &mut chance(seed));
        assert_eq!(&order[..2], [2, 3]);
        assert_eq!(order.len(), 4, "the others still fill the free places");
    }
}

proptest! {
    #[test]
    fn every_choice_is_of_different_owners_and_as_many_as_there_are(
        rates in prop::collection::vec((0..u64::MAX, 0..1001_u32, 0..u64::MAX, any::<bool>()), 0..60),
        slots in 0..24_usize, percent in 0..120_u32, seed: u64,
    ) {
        let owners: Vec<Candidate> = rates.iter().map(|&(upload_rate, have, assigned, same_family)| Candidate {
            permille: Permille::of(have, 1000), upload_rate, assigned, same_family,
        }).collect();
        let order = choose(&owners, slots, percent, &mut chance(seed));
        prop_assert_eq!(order.len(), slots.min(owners.len()));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        sorted.dedup();
        prop_assert_eq!(sorted.len(), order.len());
        prop_assert_eq!(order, choose(&owners, slots, percent, &mut chance(seed)), "same seed, same choice");
    }

    #[test]
    fn complete_owners_have_their_places(
        owners in prop::collection::vec((0..64 * MIB, 0..1500_u32, 0..100 * ONE, any::<bool>()), 1..60),
        slots in 1..24_usize, percent in 0..101_u32, seed: u64,
    ) {
        let owners: Vec<Candidate> = owners.iter().map(|&(rate, have, assigned, same_family)| {
            Candidate { assigned, same_family, ..owner(rate, have.min(1000)) }
        }).collect();
        let there = owners.iter().filter(|one| one.permille.is_complete()).count();
        let order = choose(&owners, slots, percent, &mut chance(seed));
        let complete_in = |places: usize| {
            order.iter().take(places).filter(|&&index| owners[index].permille.is_complete()).count()
        };
        prop_assert!(complete_in(3) >= there.min(1));
        let owed = if slots > 3 { 2 } else { 1 };
        prop_assert!(complete_in(7) >= there.min(owed));
    }

    #[test]
    fn among_equally_laden_the_highest_rate_comes_first(
        rates in prop::collection::vec(0..1_u64 << 40, 1..60), slots in 1..24_usize, seed: u64,
    ) {
        let owners: Vec<Candidate> = rates.iter().map(|&rate| owner(rate, 1000)).collect();
        let order = choose(&owners, slots, 25, &mut chance(seed));
        let places = order.iter().enumerate().filter(|&(position, _)| !is_by_lot(position, 25));
        let worth: Vec<u64> = places.map(|(_, &index)| weight(&owners[index])).collect();
        prop_assert!(worth.is_sorted_by(|better, worse| better >= worse), "{:?}", worth);
    }

    #[test]
    fn equal_owners_are_handed_out_evenly(count in 2..40_usize, slots in 1..20_usize, seed: u64) {
        let mut owners = vec![owner(MIB, 1000); count];
        let mut chance = chance(seed);
        for _ in 0..400 {
            for (position, index) in choose(&owners, slots, 25, &mut chance).into_iter().enumerate() {
                owners[index].assigned += charge(position);
            }
        }
        let most = owners.iter().map(|owner| owner.assigned).max().unwrap_or(0);
        let least = owners.iter().map(|owner| owner.assigned).min().unwrap_or(0);
        prop_assert!(most - least <= 2 * ONE + most / 10, "most {} least {}", most / ONE, least / ONE);
    }
}

proptest! {
    // A thousand questions each.
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// As in a rush: each newcomer asks, and owns nothing yet from then on.
    #[test]
    fn newcomers_are_spread_over_all_owners_alike(count in 20..120_usize, seed: u64) {
        let mut owners = vec![owner(0, 1000); count];
        let (mut named, mut chance) = (vec![0_u64; count], chance(seed));
        for _ in 0..1000 {
            for (position, index) in choose(&owners, 20, 25, &mut chance).into_iter().enumerate() {
                owners[index].assigned += charge(position);
                named.get_mut(index).into_iter().for_each(|times| *times += 1);
            }
            owners.push(owner(0, 0));
        }
        let mean = named.iter().sum::<u64>() / count as u64;
        prop_assert!(mean * count as u64 > 5000, "more than a quarter of all places is with them: {}", mean);
        prop_assert!(named.iter().all(|times| times.abs_diff(mean) * 5 <= mean), "{:?}", named);
    }

    /// Named in the ratio of the square roots: 1 to 2 to 4.
    #[test]
    fn the_fast_are_named_more_often_and_are_not_swamped(seed: u64) {
        let rates = [1, 4, 16].map(|rate| rate * MIB);
        let mut owners: Vec<Candidate> = (0..120).map(|index| owner(rates[index % 3], 1000)).collect();
        let (mut named, mut chance) = ([0_u64; 3], chance(seed));
        for _ in 0..1000 {
            for (position, index) in choose(&owners, 20, 25, &mut chance).into_iter().enumerate() {
                owners[index].assigned += charge(position);
                named[index % 3] += 1;
            }
        }
        for ratio in named.windows(2).map(|pair| pair[1] * 10 / pair[0]) {
            prop_assert!((15..25).contains(&ratio), "{:?}", named);
        }
    }
}
