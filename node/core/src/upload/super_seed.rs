//! What an owner of everything has given to whom, so that the swarm soon has a copy of its own: each downloader is pointed at pieces that no
//! other got, and what is seen at nobody but its taker is offered again.
//!
//! ```text
//!   not given ──somebody begins it──▶ given, seen at its taker alone ──another says that it has it──▶ spread
//!       ▲                                    │ for too long, or the taker has left
//!       ╰────────────────────────────────────╯
//! ```
//! (After the super-seeding of BEP 16. It hides what the owner has, and waits; here the downloaders are told what is rare, and choose.)

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use fixedbitset::FixedBitSet;
use messages::limits::MAX_HINT_RUNS;
use messages::{Conversation, Host, PieceRun, Timestamp};

/// A hint names so many pieces: what a session fetches in more than a round trip.
const HINTED_PIECES: usize = 4;
const _: () = assert!(HINTED_PIECES <= MAX_HINT_RUNS, "each may be a run of its own");
/// What is seen at nobody but its taker for so long is offered to others: who passes on what it gets does so sooner. (Three times what it usually
/// takes, from 1 s on, made the first of those who come one after the other get pieces twice: there was nobody to pass them to.)
const OFFERED_AGAIN: Duration = Duration::from_secs(5);
/// What is under way when everything is given is waited for so long.
const FINISHES: Duration = Duration::from_millis(500);
/// Of no more pieces than this it is remembered who has them alone.
const MAX_ALONE: usize = 4096;
/// No more pieces than this are looked at for one HAVE: of what is new within a tenth of a second there are fewer, and what is left out is offered
/// again in time.
const MAX_LOOKED_AT: usize = 512;

/// To whom a piece was given, and when.
#[derive(Clone, Copy, Debug)]
struct Taken {
    by: Conversation,
    host: Host,
    at: Timestamp,
    /// Its taker does not have it yet, nor is it offered again.
    is_under_way: bool,
}

/// The pieces of one content, and how far they have come.
#[derive(Debug)]
pub(super) struct SuperSeed {
    /// Pieces that somebody was given, and that are not offered again.
    given: FixedBitSet,
    /// And those that somebody was pointed at.
    named: FixedBitSet,
    /// Pieces that were given, and to whom alone.
    alone: BTreeMap<u32, Taken>,
    /// How many of them are under way.
    under_way: usize,
    /// When the last piece that nobody had was given.
    ran_out_at: Option<Timestamp>,
    /// When each of them was given, the earliest first.
    again: VecDeque<(Timestamp, u32)>,
}

impl SuperSeed {
    /// Nobody has any of `pieces` pieces.
    pub(super) fn new(pieces: u32) -> SuperSeed {
        let none = FixedBitSet::with_capacity(pieces as usize);
        SuperSeed {
            given: none.clone(),
            named: none,
            alone: BTreeMap::new(),
            under_way: 0,
            ran_out_at: None,
            again: VecDeque::new(),
        }
    }

    /// Whether `piece` is given to nobody, as far as anybody else knows.
    pub(super) fn is_fresh(&self, piece: u32) -> bool {
        !self.given.contains(piece as usize)
    }

    /// Whether there are pieces that were given to nobody.
    pub(super) fn goes_on(&self) -> bool {
        !self.given.is_full()
    }

    /// `to` is given `piece`.
    pub(super) fn give(&mut self, piece: u32, (to, host): (Conversation, Host), now: Timestamp) {
        if piece as usize >= self.given.len() || self.given.put(piece as usize) {
            return;
        }
        self.named.insert(piece as usize);
        if self.given.is_full() {
            // Once: who takes a piece again and again does not hold others up each time.
            self.ran_out_at.get_or_insert(now);
        }
        if self.alone.len() < MAX_ALONE {
            let taken = Taken { by: to, host, at: now, is_under_way: true };
            let before = self.alone.insert(piece, taken);
            self.under_way += usize::from(before.is_none_or(|before| !before.is_under_way));
            self.again.push_back((now, piece));
        }
    }

    /// Until when nothing is given that others got: everything is given, and some of it is still under way to the first who gets it. What is given
    /// beside it delays it, and the copy that nobody has yet.
    pub(super) fn finishes_until(&self) -> Option<Timestamp> {
        let ran_out_at = self.ran_out_at.filter(|_| !self.goes_on() && self.under_way > 0);
        ran_out_at.map(|at| at + FINISHES)
    }

    /// `who` has the pieces in `runs`. Those that were given to others first, at other hosts, have spread: who passed on how many. What is looked at is
    /// bounded, whatever `runs` name: who says that it has everything, again and again, makes no more work than others.
    pub(super) fn on_have(
        &mut self,
        runs: &[PieceRun],
        (who, host): (Conversation, Host),
    ) -> BTreeMap<Conversation, u32> {
        let mut spread = BTreeMap::new();
        let known = first_in(runs, |run| self.alone.range(run).map(|(&piece, &taken)| (piece, taken)));
        for (piece, taken) in known {
            // Whoever has it: it need not come from its taker.
            if taken.is_under_way {
                self.arrive(piece);
            }
            if taken.by != who && taken.host != host && self.alone.remove(&piece).is_some() {
                *spread.entry(taken.by).or_default() += 1;
                self.given.insert(piece as usize);
                self.named.insert(piece as usize);
            }
        }
        spread
    }

    /// `who` is gone: what it has alone is as if nobody had it.
    pub(super) fn on_left(&mut self, who: Conversation) {
        let (given, named, under_way) = (&mut self.given, &mut self.named, &mut self.under_way);
        self.alone.retain(|&piece, taken| {
            let stays = taken.by != who;
            if !stays {
                given.set(piece as usize, false);
                named.set(piece as usize, false);
                *under_way -= usize::from(taken.is_under_way);
            }
            stays
        });
    }

    /// What is seen at its taker alone for too long is offered again.
    pub(super) fn offer_again(&mut self, now: Timestamp) {
        while let Some((at, piece)) = self.again.pop_front_if(|(at, _)| *at + OFFERED_AGAIN <= now) {
            // Given anew since, it has its time anew.
            if self.alone.get(&piece).is_some_and(|taken| taken.at == at) {
                self.given.set(piece as usize, false);
                self.named.set(piece as usize, false);
                self.arrive(piece);
            }
        }
    }

    /// `piece` is under way no longer.
    fn arrive(&mut self, piece: u32) {
        if let Some(taken) = self.alone.get_mut(&piece).filter(|taken| taken.is_under_way) {
            taken.is_under_way = false;
            self.under_way -= 1;
        }
    }

    /// Those of `pieces`, which `to` was pointed at, that were given to nobody since, and as many more of those, named to nobody else, as
    /// make a hint.
    pub(super) fn hint(&mut self, mut pieces: Vec<u32>, to: Conversation, others: usize) -> Vec<u32> {
        pieces.retain(|&piece| self.is_fresh(piece));
        if self.named.is_full() {
            // Not all who were pointed at a piece took it.
            self.named.clone_from(&self.given);
        }
        // Towards the end there is something left for each.
        let left = self.given.count_zeroes(..) / (2 * (others + 1));
        let more = left.clamp(1, HINTED_PIECES).saturating_sub(pieces.len());
        let free = self
            .named
            .zeroes()
            .filter(|piece| self.alone.get(&(*piece as u32)).is_none_or(|taken| taken.by != to));
        let fresh: Vec<usize> = free.take(more).collect();
        fresh.iter().for_each(|&piece| self.named.insert(piece));
        pieces.extend(fresh.into_iter().map(|piece| piece as u32));
        pieces
    }
}

/// The first of the pieces in `runs` that are known, as many as are looked at for one message; `known` tells those in one run.
fn first_in<I: Iterator>(runs: &[PieceRun], known: impl Fn(Range<u32>) -> I) -> Vec<I::Item> {
    let mut pieces = Vec::new();
    for run in runs {
        let room = MAX_LOOKED_AT - pieces.len();
        pieces.extend(known(run.pieces()).take(room));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use messages::limits::MAX_HAVE_RUNS;
    use proptest::prelude::*;

    use super::*;

    const PIECES: u32 = 12;

    /// A session of a host of its own.
    fn at(session: u32) -> (Conversation, Host) {
        (Conversation(session), Host::of(([192, 0, 2, session as u8], 4000).into()))
    }

    proptest! {
        /// Whoever is given, has and leaves what: nobody is pointed at what others got or at what it has alone, nobody is credited for what it
        /// has itself, and what is remembered of a taker ends with it.
        #[test]
        fn each_is_pointed_at_what_no_other_gets(
            steps in prop::collection::vec((0u8..4, 0u32..PIECES, 0u32..4, 0u64..4000), 0..80),
        ) {
            let (mut spreading, mut now) = (SuperSeed::new(PIECES), Timestamp::ZERO);
            let mut holders: Vec<std::collections::BTreeSet<u32>> = vec![Default::default(); PIECES as usize];
            for (what, piece, who, millis) in steps {
                let session = Conversation(who);
                now += Duration::from_millis(millis);
                match what {
                    0 => {
                        spreading.give(piece, at(who), now);
                        holders[piece as usize].insert(who);
                        prop_assert!(!spreading.is_fresh(piece));
                    }
                    1 if holders[piece as usize].contains(&who) => {
                        let run = PieceRun::new(piece, 1).expect("a run");
                        let credit = spreading.on_have(&[run], at(who));
                        prop_assert!(!credit.contains_key(&session), "nobody is credited for what it has itself");
                        prop_assert!(credit.keys().all(|from| holders[piece as usize].contains(&from.0)));
                    }
                    2 => {
                        spreading.on_left(session);
                        holders.iter_mut().for_each(|of| { of.remove(&who); });
                    }
                    _ => spreading.offer_again(now),
                }
                let hint = spreading.hint(Vec::new(), session, 2);
                prop_assert!(hint.len() <= HINTED_PIECES);
                for piece in hint {
                    prop_assert!(spreading.is_fresh(piece));
                    prop_assert!(spreading.alone.get(&piece).is_none_or(|taken| taken.by != session));
                }
                prop_assert!(spreading.alone.keys().all(|&piece| !holders[piece as usize].is_empty()));
                let under_way = spreading.alone.iter().filter(|(_, taken)| taken.is_under_way);
                let under_way: Vec<u32> = under_way.map(|(&piece, _)| piece).collect();
                prop_assert!(under_way.iter().all(|&piece| !spreading.is_fresh(piece)), "it was given");
                prop_assert_eq!(spreading.under_way, under_way.len());
                if let Some(until) = spreading.finishes_until() {
                    prop_assert!(!spreading.goes_on() && until <= now + FINISHES);
                }
            }
        }
    }

    proptest! {
        /// Whatever runs a HAVE names, no more is looked at than for any other, and what is looked at are known pieces in them.
        #[test]
        fn one_message_makes_bounded_work(
            runs in prop::collection::vec((0u32..5000, 1u32..5000), 0..=MAX_HAVE_RUNS),
            known in prop::collection::btree_set(0u32..5000, 0..4096),
        ) {
            let runs: Vec<PieceRun> = runs.into_iter().filter_map(|(first, count)| PieceRun::new(first, count)).collect();
            let steps = std::cell::Cell::new(0);
            let step = |piece: &u32| { steps.set(steps.get() + 1); *piece };
            let looked_at = first_in(&runs, |run| known.range(run).map(step));
            prop_assert!(steps.get() <= MAX_LOOKED_AT);
            let named = |piece: &u32| known.contains(piece) && runs.iter().any(|run| run.pieces().contains(piece));
            prop_assert!(looked_at.iter().all(named));
            let all: usize = runs.iter().map(|run| known.range(run.pieces()).count()).sum();
            prop_assert_eq!(looked_at.len(), all.min(MAX_LOOKED_AT));
        }
    }

    #[test]
    fn what_is_under_way_at_the_end_is_waited_for_until_it_is_there_and_not_for_ever() {
        let run = |piece| [PieceRun::new(piece, 1).expect("a run")];
        let (mut spreading, now) = (SuperSeed::new(2), Timestamp::ZERO);
        spreading.give(0, at(1), now);
        assert_eq!(spreading.finishes_until(), None, "something is left to give");
        spreading.on_have(&run(0), at(1));
        spreading.give(1, at(2), now);
        assert_eq!(spreading.finishes_until(), Some(now + FINISHES));
        spreading.on_have(&run(1), at(2));
        assert_eq!(spreading.finishes_until(), None, "a copy is there");
        spreading.on_left(Conversation(2));
        assert!(spreading.goes_on(), "and no longer");
    }

    #[test]
    fn what_is_seen_elsewhere_is_not_offered_again_and_credits_its_taker() {
        let run = |piece| [PieceRun::new(piece, 1).expect("a run")];
        let (mut spreading, now) = (SuperSeed::new(2), Timestamp::ZERO);
        spreading.give(0, at(1), now);
        spreading.give(1, at(2), now);
        assert!(!spreading.goes_on());
        assert!(spreading.on_have(&run(0), at(1)).is_empty(), "its taker has it, and nobody else");
        assert_eq!(spreading.on_have(&run(0), at(2)), BTreeMap::from([(Conversation(1), 1)]));
        assert!(spreading.on_have(&run(0), at(3)).is_empty(), "once is enough");
        spreading.offer_again(now + OFFERED_AGAIN);
        assert!(!spreading.is_fresh(0) && spreading.is_fresh(1));
        assert_eq!(spreading.hint(Vec::new(), Conversation(2), 2), []);
        assert_eq!(spreading.hint(Vec::new(), Conversation(1), 2), [1]);
    }

    #[test]
    fn nobody_is_credited_for_what_its_own_host_says() {
        let run = [PieceRun::new(0, 1).expect("a run")];
        let (mut spreading, now) = (SuperSeed::new(2), Timestamp::ZERO);
        let (taker, host) = at(1);
        spreading.give(0, (taker, host), now);
        assert!(spreading.on_have(&run, (Conversation(2), host)).is_empty(), "a friend of the same host");
        spreading.offer_again(now + OFFERED_AGAIN);
        assert!(spreading.is_fresh(0), "nor does that count as spread");
        spreading.give(0, (taker, host), now + OFFERED_AGAIN);
        assert_eq!(spreading.on_have(&run, at(3)), BTreeMap::from([(taker, 1)]));
    }
}
