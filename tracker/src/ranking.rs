//! Which owners an asker is told of, and in which order. A pure function over small values and a seeded generator.
//!
//! An owner's weight is the *square root* of its measured upload rate, times how much of the content it has. An owner
//! has a rate because it is chosen: if the weight were proportional to the rate, the owner that is chosen first would
//! be chosen ever after (a Pólya urn); with an exponent below one, equal owners end at equal shares. An owner's load is
//! how often it was named lately, divided by its weight, and the least load comes first: so the best owner comes first
//! while it is fresh and is not swamped, and equals take turns.

use std::collections::VecDeque;

use messages::node_to_tracker::Permille;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::decay::ONE;

/// The least rate that an owner counts with, in bytes a second: an owner that nobody asked yet is not a bad one.
const MIN_RATE: u64 = 64 << 10;

/// The positions in an answer, counted from 0, by which the first and the second complete owner stand, if there are
/// any: an asker that met only newcomers would have nothing to ask them for. Both are among the first few because a
/// download asks no more than those, and neither is the first because the first position is for the best owner.
const COMPLETE_BY: [usize; 2] = [2, 6];

/// From how many owners a download fetches at once by default.
const ASKED_AT_ONCE: usize = 8;

const _: () = assert!(COMPLETE_BY[1] < ASKED_AT_ONCE, "an owner that nobody asks would be of no use");

/// What is known about an owner that may be named in an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// How much of the content it has.
    pub(crate) permille: Permille,
    /// What downloaders confirm to have from it, in bytes a second.
    pub(crate) upload_rate: u64,
    /// How often it was named lately, in units of 1 / [`ONE`].
    pub(crate) assigned: u64,
    /// Whether its address is of the asker's family.
    pub(crate) same_family: bool,
}

/// How much an owner has to give, however many ask for it.
fn weight(candidate: &Candidate) -> u64 {
    let rate = candidate.upload_rate.max(MIN_RATE).isqrt();
    // A newcomer counts a sixteenth of a complete owner: in a rush of newcomers most positions stay with owners that
    // have something to give, and yet every newcomer is soon known to others.
    rate * (1000 + 15 * u64::from(candidate.permille.value()))
}

/// How often an owner was named lately, by its weight. The least load is the best choice.
fn load(candidate: &Candidate) -> u128 {
    (u128::from(candidate.assigned.saturating_add(ONE)) << 64) / u128::from(weight(candidate))
}

/// Whether the owner at `position` is drawn by lot: `percent` of all positions are, evenly spread, the first one last.
fn is_by_lot(position: usize, percent: u32) -> bool {
    let percent = percent.min(100) as usize;
    (position + 1) * percent / 100 > position * percent / 100
}

/// How many complete owners an answer with `length` owners owes up to `position`, that one included.
fn owed_complete(position: usize, length: usize) -> usize {
    COMPLETE_BY.iter().filter(|&&by| position >= by.min(length.saturating_sub(1))).count()
}

/// The indices of at most `max_owners` of `candidates`, the one to ask first in front.
///
/// Owners of the asker's family come before all others. Among them the least load comes first, ties are broken by lot,
/// and `newcomer_percent` of the positions are drawn by lot among all that remain. The best complete owners, of another
/// family if need be, take the positions that are owed to them when none got so far by itself.
pub(crate) fn choose(
    candidates: &[Candidate],
    max_owners: usize,
    newcomer_percent: u32,
    chance: &mut StdRng,
) -> Vec<usize> {
    let mut same_family_left = candidates.iter().filter(|candidate| candidate.same_family).count();
    let mut ranked = ranked(candidates, chance);
    let (mut chosen, mut complete) = (Vec::with_capacity(max_owners.min(ranked.len())), 0);
    while chosen.len() < max_owners && !ranked.is_empty() {
        let position = chosen.len();
        let owed = if complete < owed_complete(position, max_owners) {
            ranked.iter().position(|one| one.is_complete)
        } else {
            None
        };
        let at = match owed {
            Some(at) => at,
            None if !is_by_lot(position, newcomer_percent) => 0,
            None => {
                chance.random_range(0..if same_family_left > 0 { same_family_left } else { ranked.len() })
            }
        };
        let one = ranked.remove(at).expect("an index below the length of the queue, which is not empty");
        same_family_left -= usize::from(one.same_family);
        complete += usize::from(one.is_complete);
        chosen.push(one.index);
    }
    chosen
}

/// A candidate in the order of the ranking.
struct RankedCandidate {
    index: usize,
    same_family: bool,
    is_complete: bool,
    load: u128,
}

/// The candidates with the best in front and equals in the order of the lot; a queue, since most are taken from its
/// front.
fn ranked(candidates: &[Candidate], chance: &mut StdRng) -> VecDeque<RankedCandidate> {
    let ranked = candidates.iter().enumerate().map(|(index, candidate)| RankedCandidate {
        index,
        same_family: candidate.same_family,
        is_complete: candidate.permille.is_complete(),
        load: load(candidate),
    });
    let mut ranked: Vec<RankedCandidate> = ranked.collect();
    // The sort is stable: equals stay as they were shuffled.
    ranked.shuffle(chance);
    ranked.sort_by_key(|one| (!one.same_family, one.load));
    ranked.into()
}

/// What being named at `position` adds to an owner's assigned count, in units of 1 / [`ONE`].
///
/// The first is asked by everybody, the next few by most, since a download fetches from several owners at once, and the
/// last when those fail. The steps are few on purpose: equals differ in how often they are named by as much as the last
/// position weighs less than the first.
pub(crate) const fn charge(position: usize) -> u64 {
    match position {
        0 => ONE,
        1..ASKED_AT_ONCE => ONE * 2 / 5,
        _ => ONE / 5,
    }
}

#[cfg(test)]
mod tests;
