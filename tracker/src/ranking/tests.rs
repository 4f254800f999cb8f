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
    let by_lot: Vec<usize> = (0..20).filter(|&place| is_by_lot(place, 25)).collect();
    assert_eq!(by_lot, [3, 7, 11, 15, 19]);
    assert_eq!((0..20).filter(|&place| is_by_lot(place, 0)).count(), 0);
    assert_eq!((0..20).filter(|&place| is_by_lot(place, 100)).count(), 20);
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
    fn equal_owners_are_handed_out_evenly(count in 2..40_usize, slots in 1..20_usize, seed: u64) {
        let mut owners = vec![owner(MIB, 1000); count];
        let mut chance = chance(seed);
        for _ in 0..400 {
            for (place, index) in choose(&owners, slots, 25, &mut chance).into_iter().enumerate() {
                owners[index].assigned += charge(place);
            }
        }
        let most = owners.iter().map(|owner| owner.assigned).max().unwrap_or(0);
        let least = owners.iter().map(|owner| owner.assigned).min().unwrap_or(0);
        prop_assert!(most - least <= 2 * ONE + most / 10, "most {} least {}", most / ONE, least / ONE);
    }
}
