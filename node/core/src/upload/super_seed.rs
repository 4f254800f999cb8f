//! Super-seeding: which pieces a complete owner has given to which session, so that the swarm soon has a copy of its
//! own. Each downloader is pointed at pieces that no other downloader got, and a piece that only its taker is seen to
//! have is offered again after a time.
//!
//! ```text
//!   fresh ──a session begins it──▶ given, seen at its taker alone ──another says that it has it──▶ spread
//!       ▲                                    │ for too long, or the taker has left
//!       ╰────────────────────────────────────╯
//! ```
//! BEP 16 describes super-seeding. There the owner hides the pieces that it has, and waits; here the downloaders are
//! told which pieces are rare, and choose.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use fixedbitset::FixedBitSet;
use messages::limits::MAX_HINT_RUNS;
use messages::{Conversation, Host, PieceIndex, PieceRun, Timestamp};

/// A hint names at most this many pieces: as many as a session fetches in more than a round trip.
const HINTED_PIECES: usize = 4;
const _: () = assert!(HINTED_PIECES <= MAX_HINT_RUNS, "each may be a run of its own");
/// A piece that only its taker is seen to have for this long is offered to others, because downloaders that pass pieces
/// on do so sooner. (With three times the usual time, from 1 s on, the first of several downloaders that came one after
/// the other got pieces twice: there was nobody to whom it could pass them on.)
const OFFERED_AGAIN: Duration = Duration::from_secs(5);
/// The pieces that are under way when every piece was given are waited for this long.
const MAX_FINISH: Duration = Duration::from_millis(500);
/// The takers of at most this many pieces are remembered.
const MAX_ALONE: usize = 4096;
/// At most this many pieces are looked at for one HAVE. Fewer are new within a tenth of a second, and a piece that is
/// left out is offered again in time.
const MAX_LOOKED_AT: usize = 512;

/// The only session that is known to have a piece or to fetch it.
#[derive(Clone, Copy, Debug)]
struct SoleTaker {
    session: Conversation,
    host: Host,
    given_at: Timestamp,
    /// Whether the taker does not have the piece yet, and the piece is not offered again.
    is_under_way: bool,
}

/// The pieces of one content, and how far they have spread.
#[derive(Debug)]
pub(super) struct SuperSeed {
    /// The pieces that were given to a session and are not offered again.
    given: FixedBitSet,
    /// The given pieces, and those at which a session was pointed.
    named: FixedBitSet,
    /// The pieces that were given to one session alone.
    alone: BTreeMap<PieceIndex, SoleTaker>,
    /// The number of pieces in `alone` that are under way.
    under_way: usize,
    /// When the last fresh piece was given for the first time.
    ran_out_at: Option<Timestamp>,
    /// When each of the pieces in `alone` was given, the earliest first.
    offered_again: VecDeque<(Timestamp, PieceIndex)>,
}

impl SuperSeed {
    /// The state of a content with `pieces` pieces, of which nobody has any.
    pub(super) fn new(pieces: u32) -> SuperSeed {
        let none = FixedBitSet::with_capacity(pieces as usize);
        SuperSeed {
            given: none.clone(),
            named: none,
            alone: BTreeMap::new(),
            under_way: 0,
            ran_out_at: None,
            offered_again: VecDeque::new(),
        }
    }

    /// Whether `piece` is fresh: it was given to no session, or is offered again.
    pub(super) fn is_fresh(&self, piece: PieceIndex) -> bool {
        !self.given.contains(piece.0 as usize)
    }

    /// Whether there are fresh pieces.
    pub(super) fn has_fresh(&self) -> bool {
        !self.given.is_full()
    }

    /// Records that the session `to`, on `host`, is given `piece`.
    pub(super) fn on_given(&mut self, piece: PieceIndex, (to, host): (Conversation, Host), now: Timestamp) {
        let index = piece.0 as usize;
        if index >= self.given.len() || self.given.put(index) {
            return;
        }
        self.named.insert(index);
        if self.given.is_full() {
            // Only the first time counts: a session that takes a piece again and again does not hold others up each
            // time.
            self.ran_out_at.get_or_insert(now);
        }
        if self.alone.len() < MAX_ALONE {
            let taker = SoleTaker { session: to, host, given_at: now, is_under_way: true };
            let before = self.alone.insert(piece, taker);
            self.under_way += usize::from(before.is_none_or(|before| !before.is_under_way));
            self.offered_again.push_back((now, piece));
        }
    }

    /// Until when no piece is given a second time: every piece was given, and some are still under way to their first
    /// takers. Bytes that are sent beside these would delay them, and with them the first copy of the whole in the
    /// swarm.
    pub(super) fn finish_deadline(&self) -> Option<Timestamp> {
        let ran_out_at = self.ran_out_at.filter(|_| !self.has_fresh() && self.under_way > 0);
        ran_out_at.map(|at| at + MAX_FINISH)
    }

    /// Records that the session `who`, on `host`, has the pieces in `runs`. Pieces that were first given to sessions on
    /// other hosts have spread. Returns how many pieces each such session has passed on. The work is bounded, whatever
    /// `runs` name: a session that announces everything again and again makes no more work than others.
    pub(super) fn on_have(
        &mut self,
        runs: &[PieceRun],
        (who, host): (Conversation, Host),
    ) -> BTreeMap<Conversation, u32> {
        let mut spread = BTreeMap::new();
        let known = first_in(runs, |run| self.alone.range(run).map(|(&piece, &taker)| (piece, taker)));
        for (piece, taker) in known {
            // The piece has arrived somewhere, even if not by way of its taker.
            self.on_arrived(piece);
            if taker.session != who && taker.host != host && self.alone.remove(&piece).is_some() {
                *spread.entry(taker.session).or_default() += 1;
                self.given.insert(piece.0 as usize);
                self.named.insert(piece.0 as usize);
            }
        }
        spread
    }

    /// Records that the session `who` has ended because it has everything: nothing is under way to it any more.
    pub(super) fn on_done(&mut self, who: Conversation) {
        for taker in self.alone.values_mut().filter(|taker| taker.session == who && taker.is_under_way) {
            taker.is_under_way = false;
            self.under_way -= 1;
        }
    }

    /// Makes the pieces fresh that the session `who` has alone, because it has ended.
    pub(super) fn on_left(&mut self, who: Conversation) {
        let (given, named, under_way) = (&mut self.given, &mut self.named, &mut self.under_way);
        self.alone.retain(|&piece, taker| {
            let stays = taker.session != who;
            if !stays {
                given.set(piece.0 as usize, false);
                named.set(piece.0 as usize, false);
                *under_way -= usize::from(taker.is_under_way);
            }
            stays
        });
    }

    /// Makes the pieces fresh again that only their taker was seen to have for too long.
    pub(super) fn offer_again(&mut self, now: Timestamp) {
        while let Some((at, piece)) = self.offered_again.pop_front_if(|(at, _)| *at + OFFERED_AGAIN <= now) {
            // The time of a piece that was given anew meanwhile begins anew.
            if self.alone.get(&piece).is_some_and(|taker| taker.given_at == at) {
                self.given.set(piece.0 as usize, false);
                self.named.set(piece.0 as usize, false);
                self.on_arrived(piece);
            }
        }
    }

    /// Records that `piece` is no longer under way.
    fn on_arrived(&mut self, piece: PieceIndex) {
        if let Some(taker) = self.alone.get_mut(&piece).filter(|taker| taker.is_under_way) {
            taker.is_under_way = false;
            self.under_way -= 1;
        }
    }

    /// Chooses the pieces of a hint for the session `to`, beside `others` that are served: the fresh ones of `pieces`,
    /// at which the session was pointed before, and as many fresh ones that no session was pointed at as make up a
    /// hint.
    pub(super) fn choose_hint(
        &mut self,
        mut pieces: Vec<PieceIndex>,
        to: Conversation,
        others: usize,
    ) -> Vec<PieceIndex> {
        pieces.retain(|&piece| self.is_fresh(piece));
        if self.named.is_full() {
            // Not every session took the pieces at which it was pointed, so these may be named again.
            self.named.clone_from(&self.given);
        }
        // Hints grow shorter towards the end, so that there is something left for each session.
        let left = self.given.count_zeroes(..) / (2 * (others + 1));
        let more = left.clamp(1, HINTED_PIECES).saturating_sub(pieces.len());
        let unnamed = self.named.zeroes().map(|index| PieceIndex(index as u32));
        let is_free = |piece: &PieceIndex| self.alone.get(piece).is_none_or(|taker| taker.session != to);
        let fresh: Vec<PieceIndex> = unnamed.filter(is_free).take(more).collect();
        fresh.iter().for_each(|piece| self.named.insert(piece.0 as usize));
        pieces.extend(fresh);
        pieces
    }
}

/// The first known pieces in `runs`, as many as are looked at for one message. `known` yields those in one run.
fn first_in<I: Iterator>(runs: &[PieceRun], known: impl Fn(Range<PieceIndex>) -> I) -> Vec<I::Item> {
    let mut pieces = Vec::new();
    for run in runs {
        let left = MAX_LOOKED_AT - pieces.len();
        pieces.extend(known(run.start()..run.end()).take(left));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use messages::limits::MAX_HAVE_RUNS;
    use proptest::prelude::*;

    use super::*;

    const PIECES: u32 = 12;

    /// A session on a host of its own.
    fn at(session: u32) -> (Conversation, Host) {
        (Conversation(session), Host::of(([192, 0, 2, session as u8], 4000).into()))
    }

    proptest! {
        /// No session is pointed at pieces that others got or that it has alone, none is credited for pieces that it
        /// has itself, and what is remembered of a taker ends with it, whichever sessions are given, have and leave
        /// what.
        #[test]
        fn each_is_pointed_at_what_no_other_gets(
            steps in prop::collection::vec((0u8..4, 0u32..PIECES, 0u32..4, 0u64..4000), 0..80),
        ) {
            let (mut super_seed, mut now) = (SuperSeed::new(PIECES), Timestamp::ZERO);
            let mut holders: Vec<std::collections::BTreeSet<u32>> = vec![Default::default(); PIECES as usize];
            for (what, piece, who, millis) in steps {
                let session = Conversation(who);
                now += Duration::from_millis(millis);
                match what {
                    0 => {
                        super_seed.on_given(PieceIndex(piece), at(who), now);
                        holders[piece as usize].insert(who);
                        prop_assert!(!super_seed.is_fresh(PieceIndex(piece)));
                    }
                    1 if holders[piece as usize].contains(&who) => {
                        let run = PieceRun::new(PieceIndex(piece), 1).expect("a run");
                        let credit = super_seed.on_have(&[run], at(who));
                        prop_assert!(!credit.contains_key(&session), "nobody is credited for what it has itself");
                        prop_assert!(credit.keys().all(|from| holders[piece as usize].contains(&from.0)));
                    }
                    2 => {
                        super_seed.on_left(session);
                        holders.iter_mut().for_each(|of| { of.remove(&who); });
                    }
                    _ => super_seed.offer_again(now),
                }
                let hint = super_seed.choose_hint(Vec::new(), session, 2);
                prop_assert!(hint.len() <= HINTED_PIECES);
                for piece in hint {
                    prop_assert!(super_seed.is_fresh(piece));
                    prop_assert!(super_seed.alone.get(&piece).is_none_or(|taker| taker.session != session));
                }
                prop_assert!(super_seed.alone.keys().all(|piece| !holders[piece.0 as usize].is_empty()));
                let under_way = super_seed.alone.iter().filter(|(_, taker)| taker.is_under_way);
                let under_way: Vec<PieceIndex> = under_way.map(|(&piece, _)| piece).collect();
                prop_assert!(under_way.iter().all(|&piece| !super_seed.is_fresh(piece)), "it was given");
                prop_assert_eq!(super_seed.under_way, under_way.len());
                if let Some(until) = super_seed.finish_deadline() {
                    prop_assert!(!super_seed.has_fresh() && until <= now + MAX_FINISH);
                }
            }
        }
    }

    proptest! {
        /// At most as many pieces are looked at for one HAVE as for any other, whatever runs it names, and those that
        /// are looked at are known pieces in the runs.
        #[test]
        fn one_message_makes_bounded_work(
            runs in prop::collection::vec((0u32..5000, 1u32..5000), 0..=MAX_HAVE_RUNS),
            known in prop::collection::btree_set(0u32..5000, 0..4096),
        ) {
            let runs: Vec<PieceRun> = runs.into_iter().filter_map(|(first, count)| PieceRun::new(PieceIndex(first), count)).collect();
            let steps = std::cell::Cell::new(0);
            let step = |piece: &u32| { steps.set(steps.get() + 1); *piece };
            let looked_at = first_in(&runs, |run| known.range(run.start.0..run.end.0).map(step));
            prop_assert!(steps.get() <= MAX_LOOKED_AT);
            let named = |piece: &u32| known.contains(piece) && runs.iter().any(|run| run.contains(PieceIndex(*piece)));
            prop_assert!(looked_at.iter().all(named));
            let all: usize = runs.iter().map(|run| known.range(run.start().0..run.end().0).count()).sum();
            prop_assert_eq!(looked_at.len(), all.min(MAX_LOOKED_AT));
        }
    }

    #[test]
    fn pieces_under_way_at_the_end_are_waited_for_until_they_arrive_and_not_for_ever() {
        let run = |piece| [PieceRun::new(PieceIndex(piece), 1).expect("a run")];
        let (mut super_seed, now) = (SuperSeed::new(2), Timestamp::ZERO);
        super_seed.on_given(PieceIndex(0), at(1), now);
        assert_eq!(super_seed.finish_deadline(), None, "something is left to give");
        super_seed.on_have(&run(0), at(1));
        super_seed.on_given(PieceIndex(1), at(2), now);
        assert_eq!(super_seed.finish_deadline(), Some(now + MAX_FINISH));
        super_seed.on_have(&run(1), at(2));
        assert_eq!(super_seed.finish_deadline(), None, "a copy is there");
        super_seed.on_left(Conversation(2));
        assert!(super_seed.has_fresh(), "and no longer");
    }

    #[test]
    fn nothing_is_waited_for_that_was_under_way_to_a_session_that_has_everything() {
        let (mut super_seed, now) = (SuperSeed::new(2), Timestamp::ZERO);
        super_seed.on_given(PieceIndex(0), at(1), now);
        super_seed.on_given(PieceIndex(1), at(2), now);
        assert_eq!(super_seed.finish_deadline(), Some(now + MAX_FINISH));
        super_seed.on_done(Conversation(1));
        assert_eq!(super_seed.finish_deadline(), Some(now + MAX_FINISH), "the other is not done");
        super_seed.on_done(Conversation(2));
        assert_eq!((super_seed.finish_deadline(), super_seed.has_fresh()), (None, false));
    }

    #[test]
    fn a_piece_that_is_seen_elsewhere_is_not_offered_again_and_credits_its_taker() {
        let run = |piece| [PieceRun::new(PieceIndex(piece), 1).expect("a run")];
        let (mut super_seed, now) = (SuperSeed::new(2), Timestamp::ZERO);
        super_seed.on_given(PieceIndex(0), at(1), now);
        super_seed.on_given(PieceIndex(1), at(2), now);
        assert!(!super_seed.has_fresh());
        assert!(super_seed.on_have(&run(0), at(1)).is_empty(), "its taker has it, and nobody else");
        assert_eq!(super_seed.on_have(&run(0), at(2)), BTreeMap::from([(Conversation(1), 1)]));
        assert!(super_seed.on_have(&run(0), at(3)).is_empty(), "once is enough");
        super_seed.offer_again(now + OFFERED_AGAIN);
        assert!(!super_seed.is_fresh(PieceIndex(0)) && super_seed.is_fresh(PieceIndex(1)));
        assert_eq!(super_seed.choose_hint(Vec::new(), Conversation(2), 2), []);
        assert_eq!(super_seed.choose_hint(Vec::new(), Conversation(1), 2), [PieceIndex(1)]);
    }

    #[test]
    fn nobody_is_credited_for_a_have_of_its_own_host() {
        let run = [PieceRun::new(PieceIndex(0), 1).expect("a run")];
        let (mut super_seed, now) = (SuperSeed::new(2), Timestamp::ZERO);
        let (taker, host) = at(1);
        super_seed.on_given(PieceIndex(0), (taker, host), now);
        assert!(super_seed.on_have(&run, (Conversation(2), host)).is_empty(), "a friend of the same host");
        super_seed.offer_again(now + OFFERED_AGAIN);
        assert!(super_seed.is_fresh(PieceIndex(0)), "nor does that count as spread");
        super_seed.on_given(PieceIndex(0), (taker, host), now + OFFERED_AGAIN);
        assert_eq!(super_seed.on_have(&run, at(3)), BTreeMap::from([(taker, 1)]));
    }
}
