//! One piece, or the outboard, while it is put together in a buffer: which bytes are missing, and which session is to
//! ask for them.

use std::ops::Range;

use messages::PieceIndex;
use messages::node_to_node::ByteRange;

use crate::ids::BufferId;
use crate::ids::SessionKey;
use crate::output::Placement;
use crate::runs::Runs;

/// A run of fewer bytes than this is not shared between two owners.
const MIN_SHARED: u32 = 32 << 10;

/// Bytes that have not been asked for, and the session that is to ask for them. `None` means that any session may ask.
#[derive(Debug)]
struct Claim {
    holder: Option<SessionKey>,
    unasked: Runs,
}

/// A piece that has been begun.
#[derive(Debug)]
pub(crate) struct Assembly {
    piece: PieceIndex,
    buffer: BufferId,
    length: u32,
    /// The bytes that the disk fills in: they are not asked for, and have no sender.
    known: Runs,
    missing: Runs,
    /// The missing bytes that are not asked for yet, because they may become known.
    held_back: Runs,
    claims: Vec<Claim>,
    /// The runs of bytes that each session has sent.
    senders: Vec<(SessionKey, Runs)>,
    /// The session that alone may send bytes of the piece, because its owner is on parole. If the piece is bad, its
    /// sender is certain.
    only: Option<SessionKey>,
    /// Whether bytes of the piece ever had to be asked for again.
    is_asked_again: bool,
}

impl Assembly {
    /// The assembly of `piece`, of which nothing has arrived. `holder` is to ask for all of it.
    pub(crate) fn new(piece: PieceIndex, length: u32, buffer: BufferId, holder: SessionKey) -> Assembly {
        let all = Runs::of(0..length);
        let claims = vec![Claim { holder: Some(holder), unasked: all.clone() }];
        Assembly {
            piece,
            buffer,
            length,
            known: Runs::default(),
            missing: all,
            held_back: Runs::default(),
            claims,
            senders: Vec::new(),
            only: None,
            is_asked_again: false,
        }
    }

    /// The same assembly, of which the disk will fill in the ranges `known`. Nothing has been asked for or has arrived.
    pub(crate) fn with_known(mut self, known: Runs) -> Assembly {
        for run in known.iter() {
            self.missing.remove(run.clone());
            self.claims.iter_mut().for_each(|claim| {
                claim.unasked.remove(run.clone());
            });
        }
        self.drop_empty_claims();
        Assembly { known, ..self }
    }

    /// The same assembly, of which only the first `length` bytes are asked for, unless none of these is missing.
    pub(crate) fn with_held_back(mut self, length: u32) -> Assembly {
        let asked: Runs = self.missing.within(0..length).collect();
        if asked.is_empty() {
            return self;
        }
        self.held_back = self.missing.within(length..self.length).collect();
        let behind = length..self.length;
        self.claims.iter_mut().for_each(|claim| {
            claim.unasked.remove(behind.clone());
        });
        self
    }

    /// The same assembly when the first bytes have been looked at: the ranges `known` are filled in by the disk. Any
    /// session may ask for the rest, or for the first `length` bytes of it.
    pub(crate) fn resumed(mut self, known: Runs, length: Option<u32>) -> Assembly {
        for run in known.iter() {
            self.missing.remove(run.clone());
            self.senders.iter_mut().for_each(|(_, runs)| {
                runs.remove(run.clone());
            });
        }
        self.senders.retain(|(_, runs)| !runs.is_empty());
        self.claims = vec![Claim { holder: None, unasked: self.missing.clone() }];
        self.drop_empty_claims();
        let resumed = Assembly { known, held_back: Runs::default(), ..self };
        match length {
            Some(length) => resumed.with_held_back(length),
            None => resumed,
        }
    }

    /// Whether only bytes are missing that are held back.
    pub(crate) fn has_all_but_held_back(&self) -> bool {
        !self.held_back.is_empty() && self.missing.len() == self.held_back.len()
    }

    /// The same assembly, of which only `holder` may send bytes.
    pub(crate) fn exclusive(self, holder: SessionKey) -> Assembly {
        Assembly { only: Some(holder), ..self }
    }

    /// The session that alone may send bytes of the piece, if there is one.
    pub(crate) fn only(&self) -> Option<SessionKey> {
        self.only
    }

    /// Which piece it is.
    pub(crate) fn piece(&self) -> PieceIndex {
        self.piece
    }

    pub(crate) fn buffer(&self) -> BufferId {
        self.buffer
    }

    pub(crate) fn length(&self) -> u32 {
        self.length
    }

    /// The ranges that the disk fills in.
    pub(crate) fn known(&self) -> &Runs {
        &self.known
    }

    /// The number of bytes that have arrived.
    pub(crate) fn arrived(&self) -> u32 {
        self.length - self.known.len() - self.missing.len()
    }

    /// The number of bytes that are still to arrive.
    pub(crate) fn missing(&self) -> u32 {
        self.missing.len()
    }

    /// Whether nothing has arrived or is asked for.
    pub(crate) fn is_untouched(&self) -> bool {
        let unasked: u32 = self.claims.iter().map(|claim| claim.unasked.len()).sum();
        self.arrived() == 0 && unasked + self.held_back.len() == self.missing.len()
    }

    /// Whether bytes of the piece ever had to be asked for again.
    pub(crate) fn is_asked_again(&self) -> bool {
        self.is_asked_again
    }

    /// Whether nothing is missing.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// The number of bytes that each session has sent.
    pub(crate) fn contributions(&self) -> impl Iterator<Item = (SessionKey, u32)> {
        self.senders.iter().map(|(key, runs)| (*key, runs.len()))
    }

    /// The number of bytes that `session` is to ask for and has not asked for yet.
    pub(crate) fn claimed_by(&self, session: SessionKey) -> u32 {
        let claims = self.claims.iter().filter(|claim| claim.holder == Some(session));
        claims.map(|claim| claim.unasked.len()).sum()
    }

    /// Takes the next range, of at most `most` bytes, that `session` is to ask for: from its own claim, or else from
    /// the claim without a holder. The range counts as asked for from here on.
    pub(crate) fn next_range(&mut self, session: SessionKey, most: u32) -> Option<ByteRange> {
        let own = self.claims.iter().position(|claim| claim.holder == Some(session));
        let claim = own.or_else(|| self.claims.iter().position(|claim| claim.holder.is_none()))?;
        let run = self.claims[claim].unasked.first()?;
        let run = run.start..run.end.min(run.start.saturating_add(most));
        self.claims[claim].unasked.remove(run.clone());
        self.drop_empty_claims();
        ByteRange::new(self.piece, run.start, run.end - run.start)
    }

    /// The offset of the first byte that has not arrived.
    pub(crate) fn first_missing(&self) -> Option<u32> {
        self.missing.first().map(|run| run.start)
    }

    /// Accepts the payload of a CHUNK that `session` sent. Returns where the payload belongs, unless all of it is here
    /// already or other bytes of the piece may not come from this session.
    pub(crate) fn place(&mut self, session: SessionKey, offset: u32, length: u32) -> Option<Placement> {
        let run = offset..offset.checked_add(length).filter(|&end| end <= self.length)?;
        if self.only.is_some_and(|only| only != session) {
            return None;
        }
        let fresh = self.missing.remove(run.clone());
        if fresh == 0 {
            return None;
        }
        self.held_back.remove(run.clone());
        // Bytes that were given up and have come after all are not asked for again.
        self.claims.iter_mut().for_each(|claim| {
            claim.unasked.remove(run.clone());
        });
        self.drop_empty_claims();
        // The payload is written as a whole, over bytes that another session may have sent.
        self.senders.iter_mut().filter(|(key, _)| *key != session).for_each(|(_, runs)| {
            runs.remove(run.clone());
        });
        // The disk fills its ranges in over whatever was written there.
        let mut sent = Runs::of(run);
        self.known.iter().for_each(|known| {
            sent.remove(known);
        });
        match self.senders.iter_mut().find(|(key, _)| *key == session) {
            Some((_, runs)) => sent.iter().for_each(|run| runs.insert(run)),
            None => self.senders.push((session, sent)),
        }
        self.senders.retain(|(_, runs)| !runs.is_empty());
        Some(Placement { buffer: self.buffer, offset })
    }

    /// Where a payload of exactly `range` from `session` belongs, if [`Assembly::place`] would accept all of it and nothing
    /// of it is here.
    pub(crate) fn expected_place(&self, session: SessionKey, range: ByteRange) -> Option<Placement> {
        let is_refused = self.only.is_some_and(|only| only != session);
        let is_missing = self.missing.contains(range.offset()..range.end());
        (!is_refused && is_missing).then_some(Placement { buffer: self.buffer, offset: range.offset() })
    }

    /// Marks the missing bytes of `range`, which did not arrive, as to be asked for again by the session `by`, or by
    /// any session if that is `None`.
    pub(crate) fn ask_again(&mut self, range: ByteRange, by: Option<SessionKey>) {
        let lost: Vec<_> = self.missing.within(range.offset()..range.end()).collect();
        self.mark_unasked(lost, by);
    }

    /// Marks all missing bytes that are not held back as to be asked for again by the session `by`, although they may be
    /// on their way.
    pub(crate) fn ask_for_all_again(&mut self, by: SessionKey) {
        let mut missing = self.missing.clone();
        self.held_back.iter().for_each(|run| {
            missing.remove(run);
        });
        self.mark_unasked(missing.iter().collect(), Some(by));
    }

    fn mark_unasked(&mut self, lost: Vec<Range<u32>>, by: Option<SessionKey>) {
        if lost.is_empty() {
            return;
        }
        self.is_asked_again = true;
        let claim = match self.claims.iter_mut().position(|claim| claim.holder == by) {
            Some(claim) => claim,
            None => {
                self.claims.push(Claim { holder: by, unasked: Runs::default() });
                self.claims.len() - 1
            }
        };
        lost.into_iter().for_each(|run| self.claims[claim].unasked.insert(run));
    }

    /// Frees the claims of `session`, which asks for nothing more. Any session may ask for their bytes.
    pub(crate) fn release(&mut self, session: SessionKey) {
        let mut freed = Runs::default();
        for claim in
            self.claims.extract_if(.., |claim| claim.holder == Some(session) || claim.holder.is_none())
        {
            claim.unasked.iter().for_each(|run| freed.insert(run));
        }
        self.claims.push(Claim { holder: None, unasked: freed });
        self.drop_empty_claims();
    }

    /// Discards what `session` has sent. Any session may ask for those bytes again.
    pub(crate) fn distrust(&mut self, session: SessionKey) {
        self.only = self.only.filter(|only| *only != session);
        for (_, runs) in self.senders.extract_if(.., |(key, _)| *key == session) {
            runs.iter().for_each(|run| self.missing.insert(run.clone()));
            self.claims.push(Claim { holder: None, unasked: runs });
        }
        self.release(session);
    }

    /// Ends the exclusive right of `session` to send bytes of the piece, if it has that.
    pub(crate) fn pardon(&mut self, session: SessionKey) {
        self.only = self.only.filter(|only| *only != session);
    }

    /// Gives `taker` the second half of the longest run that another session has not asked for yet. Returns whether the
    /// run was long enough to share.
    pub(crate) fn share_with(&mut self, taker: SessionKey) -> bool {
        let longest = |claim: &Claim| claim.unasked.iter().max_by_key(|run| run.end - run.start);
        let claims = self.claims.iter().enumerate().filter(|(_, claim)| claim.holder != Some(taker));
        let found = claims.filter_map(|(at, claim)| longest(claim).map(|run| (at, run)));
        let Some((at, run)) = found.max_by_key(|(_, run)| run.end - run.start) else {
            return false;
        };
        if run.end - run.start < 2 * MIN_SHARED {
            return false;
        }
        let half = run.start + (run.end - run.start) / 2..run.end;
        self.claims[at].unasked.remove(half.clone());
        self.claims.push(Claim { holder: Some(taker), unasked: Runs::of(half) });
        true
    }

    fn drop_empty_claims(&mut self) {
        self.claims.retain(|claim| !claim.unasked.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: SessionKey = SessionKey(1);
    const SECOND: SessionKey = SessionKey(2);

    fn assembly(length: u32) -> Assembly {
        Assembly::new(PieceIndex(3), length, BufferId(7), FIRST)
    }

    #[test]
    fn the_holder_asks_from_the_start_and_others_get_nothing() {
        let mut assembly = assembly(100);
        assert_eq!(assembly.next_range(SECOND, 40), None);
        assert_eq!(assembly.next_range(FIRST, 40), ByteRange::new(PieceIndex(3), 0, 40));
        assert_eq!(assembly.next_range(FIRST, 400), ByteRange::new(PieceIndex(3), 40, 60));
        assert_eq!(assembly.next_range(FIRST, 40), None);
    }

    #[test]
    fn lost_bytes_are_asked_for_again_first_and_only_while_they_are_missing() {
        let mut assembly = assembly(100);
        let range = assembly.next_range(FIRST, 40).expect("a range");
        assembly.place(FIRST, 0, 10);
        assembly.ask_again(range, Some(FIRST));
        assert_eq!(assembly.next_range(FIRST, 400), ByteRange::new(PieceIndex(3), 10, 90));
    }

    #[test]
    fn what_is_on_its_way_may_be_asked_for_again_and_what_is_held_back_is_not() {
        let mut assembly = assembly(100).with_held_back(40);
        assembly.next_range(FIRST, 400);
        assembly.place(FIRST, 0, 10);
        assembly.ask_for_all_again(SECOND);
        assert_eq!(assembly.next_range(SECOND, 400), ByteRange::new(PieceIndex(3), 10, 30));
        assert_eq!(assembly.next_range(SECOND, 400), None);
    }

    #[test]
    fn a_released_piece_goes_on_with_anybody() {
        let mut assembly = assembly(100);
        assembly.next_range(FIRST, 40);
        assembly.release(FIRST);
        assert_eq!(assembly.next_range(SECOND, 400), ByteRange::new(PieceIndex(3), 40, 60));
    }

    #[test]
    fn a_piece_of_ones_own_takes_nothing_from_others() {
        let mut assembly = assembly(100).exclusive(FIRST);
        assert_eq!(assembly.place(SECOND, 0, 50), None);
        assert!(assembly.place(FIRST, 0, 50).is_some());
        assembly.distrust(FIRST);
        assert_eq!((assembly.arrived(), assembly.only()), (0, None));
        assert!(assembly.place(SECOND, 0, 50).is_some());
    }

    #[test]
    fn a_place_is_expected_only_where_every_byte_is_missing() {
        let mut assembly = assembly(100).exclusive(FIRST);
        let range = |offset, length| ByteRange::new(PieceIndex(3), offset, length).expect("a range");
        let expected = Placement { buffer: BufferId(7), offset: 40 };
        assert_eq!(assembly.expected_place(FIRST, range(40, 20)), Some(expected));
        assert_eq!(assembly.expected_place(SECOND, range(40, 20)), None, "it would be refused");
        assembly.place(FIRST, 50, 5);
        assert_eq!(assembly.expected_place(FIRST, range(40, 20)), None, "some of it is here");
        assert_eq!(assembly.expected_place(FIRST, range(40, 10)), Some(expected));
        assert_eq!(assembly.place(FIRST, 40, 10), Some(expected), "as it was expected");
    }

    #[test]
    fn whose_bytes_were_written_over_sent_none() {
        let mut assembly = assembly(100);
        assembly.place(FIRST, 0, 50);
        assembly.place(SECOND, 0, 60);
        assert_eq!(assembly.contributions().collect::<Vec<_>>(), [(SECOND, 60)]);
    }

    #[test]
    fn known_ranges_are_never_asked_for_and_have_no_sender() {
        let mut known = Runs::of(20..40);
        known.insert(90..100);
        let mut assembly = assembly(100).with_known(known);
        assert!(assembly.is_untouched() && assembly.arrived() == 0 && assembly.claimed_by(FIRST) == 70);
        let range = |start, length| ByteRange::new(PieceIndex(3), start, length);
        let first = assembly.next_range(FIRST, 60);
        assert_eq!((first, assembly.next_range(FIRST, 60)), (range(0, 20), range(40, 50)));
        assert!(!assembly.is_untouched(), "all is asked for");
        assembly.ask_again(ByteRange::new(PieceIndex(3), 0, 100).expect("a range"), None);
        assembly.release(FIRST);
        assert!(assembly.is_untouched() && assembly.claimed_by(FIRST) == 0, "as if it were not begun");
        assert_eq!(assembly.place(SECOND, 25, 10), None, "the disk has that");
        assert!(assembly.place(SECOND, 10, 20).is_some(), "some of it was missing");
        assert_eq!((assembly.arrived(), assembly.first_missing()), (10, Some(0)));
        assembly.place(FIRST, 0, 10);
        assembly.place(FIRST, 40, 50);
        assert!(assembly.is_complete());
        assert_eq!(assembly.contributions().collect::<Vec<_>>(), [(SECOND, 10), (FIRST, 60)]);
        assembly.distrust(SECOND);
        assert_eq!(assembly.next_range(FIRST, 100), range(10, 10), "what is known stays known");
    }

    #[test]
    fn what_is_held_back_is_asked_for_when_the_first_bytes_have_been_looked_at() {
        let range = |start, length| ByteRange::new(PieceIndex(3), start, length);
        let mut assembly = assembly(100).with_held_back(30);
        assert!(assembly.is_untouched() && !assembly.has_all_but_held_back());
        assert_eq!((assembly.next_range(FIRST, 60), assembly.next_range(FIRST, 60)), (range(0, 30), None));
        assembly.place(FIRST, 0, 20);
        assembly.place(SECOND, 20, 10);
        assert!(assembly.has_all_but_held_back() && !assembly.is_complete());
        // Its sender may have been found to lie meanwhile, and more may have to be looked at.
        assembly.distrust(SECOND);
        let mut assembly = assembly.resumed(Runs::of(50..100), Some(40));
        assert_eq!((assembly.next_range(FIRST, 60), assembly.next_range(FIRST, 60)), (range(20, 20), None));
        assembly.place(FIRST, 20, 20);
        assert!(assembly.has_all_but_held_back());
        let mut assembly = assembly.resumed(Runs::of(50..100), None);
        assert_eq!((assembly.next_range(SECOND, 60), assembly.next_range(SECOND, 60)), (range(40, 10), None));
        assembly.place(SECOND, 40, 10);
        assert!(assembly.is_complete() && !assembly.has_all_but_held_back());
        assert_eq!(assembly.contributions().collect::<Vec<_>>(), [(FIRST, 40), (SECOND, 10)]);
    }

    #[test]
    fn nothing_is_held_back_when_the_first_bytes_are_known_or_none_are_wanted() {
        for assembly in
            [assembly(100).with_held_back(0), assembly(100).with_known(Runs::of(0..30)).with_held_back(30)]
        {
            assert!(assembly.claimed_by(FIRST) >= 70 && !assembly.has_all_but_held_back());
        }
        let all = assembly(100).with_held_back(200);
        assert!(all.claimed_by(FIRST) == 100 && !all.has_all_but_held_back());
    }

    #[test]
    fn a_large_rest_is_shared_and_a_small_one_is_not() {
        let mut assembly = assembly(4 * MIN_SHARED);
        assert!(assembly.share_with(SECOND));
        assert_eq!(assembly.claimed_by(FIRST), 2 * MIN_SHARED);
        assert_eq!(assembly.claimed_by(SECOND), 2 * MIN_SHARED);
        assert!(assembly.share_with(SECOND), "the rest of the first is still worth it");
        assert!(!assembly.share_with(SECOND));
    }

    proptest! {
        /// Each byte that arrives is placed once, and in the end all bytes are but those that are known, whatever is
        /// asked for, lost, late or released. Nothing that is known is ever asked for.
        #[test]
        fn every_byte_arrives_once(
            losses in prop::collection::vec(0u8..5, 200),
            ranges in prop::collection::vec((0u32..9_000, 1u32..900), 0..6),
        ) {
            let mut known = Runs::default();
            ranges.into_iter().for_each(|(start, length)| known.insert(start..start + length));
            let fetched = 10_000 - known.len();
            let mut assembly = assembly(10_000).with_known(known.clone());
            let asks_for_known = |range: ByteRange| known.within(range.offset()..range.end()).next().is_some();
            let mut placed = 0;
            for loss in losses {
                let key = if loss % 2 == 0 { FIRST } else { SECOND };
                let Some(range) = assembly.next_range(key, 700) else {
                    assembly.release(if key == FIRST { SECOND } else { FIRST });
                    continue;
                };
                prop_assert!(!asks_for_known(range));
                match loss {
                    0 => assembly.ask_again(range, Some(key)),
                    1 => assembly.ask_again(range, None),
                    _ => {
                        let before = assembly.arrived();
                        assembly.place(key, range.offset(), range.length());
                        placed += assembly.arrived() - before;
                    }
                }
            }
            let next = |assembly: &mut Assembly| {
                assembly.next_range(FIRST, 700).or_else(|| assembly.next_range(SECOND, 700))
            };
            while let Some(range) = next(&mut assembly) {
                prop_assert!(!asks_for_known(range));
                let before = assembly.arrived();
                assembly.place(FIRST, range.offset(), range.length());
                placed += assembly.arrived() - before;
            }
            prop_assert!(assembly.is_complete());
            prop_assert_eq!(placed, fetched);
            prop_assert_eq!(assembly.contributions().map(|c| c.1).sum::<u32>(), fetched);
            // When the bytes of one session are discarded, exactly these are missing and can be asked for.
            let theirs = assembly.contributions().find(|(key, _)| *key == SECOND).map_or(0, |c| c.1);
            assembly.distrust(SECOND);
            prop_assert_eq!(assembly.arrived(), fetched - theirs);
            while let Some(range) = assembly.next_range(FIRST, 700) {
                prop_assert!(!asks_for_known(range));
                assembly.place(FIRST, range.offset(), range.length());
            }
            prop_assert_eq!(assembly.contributions().collect::<Vec<_>>(), [(FIRST, fetched)]);
        }
    }
}
