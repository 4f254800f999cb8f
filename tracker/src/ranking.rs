//! Which owners an asker is told of, and in which order. A pure function over small values and a seeded generator.
//!
//! An owner is worth the *square root* of its measured upload rate, times how much of the content it has. The rate is
//! made by being chosen: were the worth proportional to it, whoever is chosen first would be chosen ever after (a Pólya
//! urn); with an exponent below one, equal owners end at equal shares. Its load is what it was handed out lately by what
//! it is worth, and the least laden comes first: so the best comes first while it is fresh and is not swamped, and equals
//! take turns.

use std::collections::VecDeque;

use messages::node_to_tracker::Permille;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::decay::ONE;

/// Nobody's rate counts as less than this, in bytes a second: an owner that nobody asked yet is not a bad one.
const MIN_RATE: u64 = 64 << 10;

/// By these places of an answer, counted from 0, stands one complete owner, and another one, if there are any: an asker
/// that met only others who have nothing yet would have nothing to ask them for. Both are among the first few because a
/// download asks no more than those, and neither is the first because the first place is for the best.
const COMPLETE_BY: [usize; 2] = [2, 6];

/// From so many owners a download fetches at once, when its node keeps to the default.
const ASKED_AT_ONCE: usize = 8;

const _: () = assert!(COMPLETE_BY[1] < ASKED_AT_ONCE, "what nobody asks would be of no use");

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

/// How much an owner is worth, whoever else asks for it.
fn weight(candidate: &Candidate) -> u64 {
    let rate = candidate.upload_rate.max(MIN_RATE).isqrt();
    // Who has nothing yet counts a sixteenth of who has all: of a rush of newcomers most places stay with those that have
    // something to give, and yet every newcomer is soon known to others.
    rate * (1000 + 15 * u64::from(candidate.permille.value()))
}

/// How much of its worth an owner was handed out lately. The least laden is the best choice.
fn load(candidate: &Candidate) -> u128 {
    (u128::from(candidate.assigned.saturating_add(ONE)) << 64) / u128::from(weight(candidate))
}

/// Whether the owner at `place` is drawn by lot: `percent` of all places, evenly spread, the first one last.
fn is_by_lot(place: usize, percent: u32) -> bool {
    let percent = percent.min(100) as usize;
    (place + 1) * percent / 100 > place * percent / 100
}

/// How many complete owners an answer of `slots` places owes, those in front of `place` and `place` itself together.
fn owed_complete(place: usize, slots: usize) -> usize {
    COMPLETE_BY.iter().filter(|&&by| place >= by.min(slots.saturating_sub(1))).count()
}

/// At most `slots` of `candidates`, as indices, the one to ask first first.
///
/// Those of the asker's family come before all others. Among them the least laden comes first, ties are broken by lot,
/// and `newcomer_percent` of the places are drawn by lot among all that remain. The best of the complete owners, of
/// another family if need be, take the places that are kept for them when none got so far by itself.
pub(crate) fn choose(
    candidates: &[Candidate],
    slots: usize,
    newcomer_percent: u32,
    chance: &mut StdRng,
) -> Vec<usize> {
    let mut near = candidates.iter().filter(|candidate| candidate.same_family).count();
    let mut ranked = ranked(candidates, chance);
    let (mut chosen, mut complete) = (Vec::with_capacity(slots.min(ranked.len())), 0);
    while chosen.len() < slots && !ranked.is_empty() {
        let place = chosen.len();
        let kept = if complete < owed_complete(place, slots) {
            ranked.iter().position(|one| one.is_complete)
        } else {
            None
        };
        let at = match kept {
            Some(at) => at,
            None if !is_by_lot(place, newcomer_percent) => 0,
            None => chance.random_range(0..if near > 0 { near } else { ranked.len() }),
        };
        let Some(one) = ranked.remove(at) else { break };
        near -= usize::from(one.same_family);
        complete += usize::from(one.is_complete);
        chosen.push(one.index);
    }
    chosen
}

/// A candidate in the order of the ranking.
struct Ranked {
    index: usize,
    same_family: bool,
    is_complete: bool,
    load: u128,
}

/// The best first, equals in the order of the lot; a queue, since most are taken from its front.
fn ranked(candidates: &[Candidate], chance: &mut StdRng) -> VecDeque<Ranked> {
    let ranked = candidates.iter().enumerate().map(|(index, candidate)| Ranked {
        index,
        same_family: candidate.same_family,
        is_complete: candidate.permille.is_complete(),
        load: load(candidate),
    });
    let mut ranked: Vec<Ranked> = ranked.collect();
    // The sort is stable: equals stay as they were shuffled.
    ranked.shuffle(chance);
    ranked.sort_by_key(|one| (!one.same_family, one.load));
    ranked.into()
}
/// What being handed out at `place` adds to an owner's assigned count, in units of 1 / [`ONE`].
///
/// The first is asked by everybody, the next few by most, for a download fetches from several owners at once, and the
/// last when those fail. The steps are few on purpose: equals differ in how often they are named by as much as the last
/// place weighs less than the first.
pub(crate) const fn charge(place: usize) -> u64 {
    match place {
        0 => ONE,
        1..ASKED_AT_ONCE => ONE * 2 / 5,
        _ => ONE / 5,
    }
}

#[cfg(test)]
mod tests;
