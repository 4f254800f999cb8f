//! Which owners an asker is told of, and in which order. A pure function over small values and a seeded generator.
//!
//! The score of an owner grows with the *square root* of its measured upload rate. The rate is made by being chosen:
//! were the score proportional to it, whoever is chosen first would be chosen ever after (a Pólya urn); with an
//! exponent below one, equal owners end at equal shares. It shrinks with how often the owner was handed out lately, so
//! that the best is not swamped, and grows with how much of the content the owner has.

use std::cmp::Reverse;

use messages::node_to_tracker::Permille;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::decay::ONE;

/// Nobody's rate counts as less than this, in bytes a second: an owner that nobody asked yet is not a bad one.
const LEAST_RATE: u64 = 64 << 10;

/// What is known about an owner when it may be handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// How much of the content it has.
    pub(crate) permille: Permille,
    /// What downloaders confirm to have from it, in bytes a second.
    pub(crate) upload_rate: u64,
    /// How often it was handed out lately, in units of 1 / [`ONE`].
    pub(crate) assigned: u64,
    /// Whether its address is of the asker's family.
    pub(crate) same_family: bool,
}

/// How good a choice an owner is.
fn score(candidate: &Candidate) -> u128 {
    let rate = u128::from(candidate.upload_rate.max(LEAST_RATE).isqrt());
    // A newcomer that has nothing yet counts a quarter of one that has all.
    let had = 1000 + 3 * u128::from(candidate.permille.value());
    ((rate * had) << 32) / u128::from(candidate.assigned.saturating_add(ONE))
}

/// Whether the owner at `place` is drawn by lot: `percent` of all places, evenly spread, the first one last.
fn is_by_lot(place: usize, percent: u32) -> bool {
    let percent = percent.min(100) as usize;
    (place + 1) * percent / 100 > place * percent / 100
}

/// At most `slots` of `candidates`, as indices, the one to ask first first.
///
/// Those of the asker's family come before all others. Among them the best score comes first, ties are broken by lot,
/// and `newcomer_percent` of the places are drawn by lot among all that remain.
pub(crate) fn choose(
    candidates: &[Candidate],
    slots: usize,
    newcomer_percent: u32,
    chance: &mut StdRng,
) -> Vec<usize> {
    let mut ranked: Vec<(Reverse<(bool, u128)>, usize)> = candidates
        .iter()
        .enumerate()
        .map(|(index, candidate)| (Reverse((candidate.same_family, score(candidate))), index))
        .collect();
    // The sort is stable: equals stay in the order of the lot.
    ranked.shuffle(chance);
    ranked.sort_by_key(|&(rank, _)| rank);
    let mut near = candidates.iter().filter(|candidate| candidate.same_family).count();
    let mut chosen = Vec::with_capacity(slots.min(ranked.len()));
    while chosen.len() < slots && !ranked.is_empty() {
        let among = if near > 0 { near } else { ranked.len() };
        let at = if is_by_lot(chosen.len(), newcomer_percent) { chance.random_range(0..among) } else { 0 };
        chosen.push(ranked.remove(at).1);
        near = near.saturating_sub(1);
    }
    chosen
}

/// What being handed out at `place` adds to an owner's assigned count, in units of 1 / [`ONE`]: the first is asked for
/// certain, the last hardly ever.
pub(crate) const fn charge(place: usize) -> u64 {
    ONE / (place as u64 + 1)
}

#[cfg(test)]
mod tests;
