//! Which owner is to give which run of pieces, as a pure table: the one picking rule.
//!
//! A stretch is a run of pieces that one owner is to give. Owners that are ready at the same time cut the longest
//! stretch without a holder into equal parts. An owner that comes later, or that has finished its own stretch, takes
//! the second half of the stretch that would finish last. So N equal complete owners give N contiguous ranges, and slow
//! owners are relieved.

use std::time::Duration;

use messages::{PieceIndex, PieceRun};

use crate::ids::SessionKey;

/// A run of pieces that are missing and not begun, and the session that is to begin them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) pieces: PieceRun,
    pub(crate) holder: Option<SessionKey>,
}

impl Stretch {
    fn len(&self) -> u32 {
        self.pieces.count()
    }

    fn indices(&self) -> impl Iterator<Item = PieceIndex> + use<> {
        self.pieces.iter()
    }
}

/// The time that an owner needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// How long the owner would need for one more piece.
    pub(crate) per_piece: Duration,
    /// How long the owner will need for what it has begun.
    pub(crate) begun: Duration,
}

/// All pieces that are missing and not begun: disjoint stretches in ascending order.
#[derive(Debug, Default)]
pub(crate) struct Picker {
    list: Vec<Stretch>,
}

impl Picker {
    /// The table of `runs`, which are ascending, have gaps between them, and have no holder yet.
    pub(crate) fn new(runs: impl IntoIterator<Item = PieceRun>) -> Picker {
        let free = |pieces| Stretch { pieces, holder: None };
        Picker { list: runs.into_iter().map(free).collect() }
    }

    /// The stretches in ascending order.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = &Stretch> {
        self.list.iter()
    }

    /// The pieces of the table in ascending order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = PieceIndex> {
        self.list.iter().flat_map(Stretch::indices)
    }

    /// Whether every piece has been begun.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The first stretch of `session`: the pieces that the session is to begin.
    pub(crate) fn of(&self, session: SessionKey) -> Option<PieceRun> {
        self.list.iter().find(|stretch| stretch.holder == Some(session)).map(|stretch| stretch.pieces)
    }

    /// Whether `has` holds for any piece of the stretches of `session`.
    pub(crate) fn any_of(&self, session: SessionKey, has: impl Fn(PieceIndex) -> bool) -> bool {
        let held = self.list.iter().filter(|stretch| stretch.holder == Some(session));
        held.flat_map(Stretch::indices).any(has)
    }

    /// Begins the next piece in the stretches of `session` for which `has` holds. The piece leaves the table.
    pub(crate) fn begin(
        &mut self,
        session: SessionKey,
        has: impl Fn(PieceIndex) -> bool,
    ) -> Option<PieceIndex> {
        let held = |stretch: &Stretch| stretch.holder == Some(session);
        let piece = self
            .list
            .iter()
            .filter(|stretch| held(stretch))
            .find_map(|stretch| stretch.indices().find(|&piece| has(piece)))?;
        self.take(piece);
        Some(piece)
    }

    /// The runs without a holder in ascending order.
    pub(crate) fn free(&self) -> impl Iterator<Item = PieceRun> {
        self.list.iter().filter(|stretch| stretch.holder.is_none()).map(|stretch| stretch.pieces)
    }

    /// Whether `piece` is in a stretch without a holder.
    pub(crate) fn is_free(&self, piece: PieceIndex) -> bool {
        let stretch = self.list.get(self.position(piece));
        stretch.is_some_and(|stretch| stretch.holder.is_none() && stretch.pieces.contains(piece))
    }

    /// Begins `piece`, which leaves the table.
    pub(crate) fn take(&mut self, piece: PieceIndex) {
        let at = self.position(piece);
        let stretch = self.list.get(at).filter(|stretch| stretch.pieces.contains(piece));
        let stretch = stretch.expect("only a piece that is in the table is begun");
        let Stretch { pieces, holder } = *stretch;
        let next = PieceIndex(piece.0 + 1);
        let parts = [PieceRun::between(pieces.start(), piece), PieceRun::between(next, pieces.end())];
        self.list.splice(at..=at, parts.into_iter().flatten().map(|pieces| Stretch { pieces, holder }));
    }

    /// Returns `piece` to the table, without a holder, because it is missing again.
    pub(crate) fn put_back(&mut self, piece: PieceIndex) {
        let at = self.position(piece);
        let pieces = PieceRun::new(piece, 1).expect("only a piece of the content is put back");
        self.list.insert(at, Stretch { pieces, holder: None });
        self.join_free();
    }

    /// The index of the stretch that contains `piece`, or at which such a stretch would be inserted.
    fn position(&self, piece: PieceIndex) -> usize {
        self.list.partition_point(|stretch| stretch.pieces.end() <= piece)
    }

    /// Takes all stretches from `session`. They have no holder from now on.
    pub(crate) fn release(&mut self, session: SessionKey) {
        for stretch in &mut self.list {
            if stretch.holder == Some(session) {
                stretch.holder = None;
            }
        }
        self.join_free();
    }

    /// Gives each of the `idle` sessions a stretch, if there is one to give. `has` tells whether a session could begin
    /// any piece of a run; `pace` tells how fast a session is. Returns the new stretches in the order of giving.
    pub(crate) fn assign(
        &mut self,
        idle: &[SessionKey],
        has: impl Fn(SessionKey, PieceRun) -> bool,
        pace: impl Fn(SessionKey) -> Pace,
    ) -> Vec<Stretch> {
        let mut given = Vec::new();
        let mut waiting: Vec<SessionKey> = idle.to_vec();
        while let Some(at) = self.longest_free(|pieces| waiting.iter().any(|&key| has(key, pieces))) {
            let able: Vec<SessionKey> =
                waiting.iter().copied().filter(|&key| has(key, self.list[at].pieces)).collect();
            let parts = cut_equally(self.list[at].pieces, &able);
            waiting.retain(|key| !parts.iter().any(|part| part.holder == Some(*key)));
            given.extend(parts.iter().copied());
            self.list.splice(at..=at, parts);
        }
        for key in waiting {
            if let Some(part) = self.take_over_from_slow(key, &has, &pace) {
                given.push(part);
            }
        }
        given
    }

    fn longest_free(&self, wanted: impl Fn(PieceRun) -> bool) -> Option<usize> {
        let free = self.list.iter().enumerate().filter(|(_, stretch)| stretch.holder.is_none());
        // Of equally long stretches the first is taken; `max_by_key` would take the last.
        free.filter(|(_, stretch)| wanted(stretch.pieces))
            .min_by_key(|(_, stretch)| u32::MAX - stretch.len())
            .map(|(at, _)| at)
    }

    /// Gives `key` the second half of the stretch that would finish last, if that helps.
    fn take_over_from_slow(
        &mut self,
        key: SessionKey,
        has: &impl Fn(SessionKey, PieceRun) -> bool,
        pace: &impl Fn(SessionKey) -> Pace,
    ) -> Option<Stretch> {
        let finish = |stretch: &Stretch| {
            let holder = pace(stretch.holder?);
            Some(holder.begun + holder.per_piece * stretch.len())
        };
        let (at, time) = (self.list.iter().enumerate())
            .filter(|(_, stretch)| stretch.holder != Some(key) && has(key, halves(stretch.pieces).1))
            .filter_map(|(at, stretch)| finish(stretch).map(|time| (at, time)))
            .max_by_key(|&(at, time)| (time, usize::MAX - at))?;
        let (kept, part) = halves(self.list[at].pieces);
        let own = pace(key);
        // The last piece of a stretch changes hands only when that is sooner.
        if self.list[at].len() == 1 && own.begun + own.per_piece >= time {
            return None;
        }
        let given = Stretch { pieces: part, holder: Some(key) };
        let kept = kept.map(|pieces| Stretch { pieces, ..self.list[at] });
        self.list.splice(at..=at, kept.into_iter().chain([given]));
        Some(given)
    }

    fn join_free(&mut self) {
        self.list.dedup_by(|next, before| {
            let are_free = before.holder.is_none() && next.holder.is_none();
            let joined = before.pieces.joined(next.pieces).filter(|_| are_free);
            before.pieces = joined.unwrap_or(before.pieces);
            joined.is_some()
        });
    }
}

/// Cuts `pieces` into as many equal parts as there are `sessions`, in the order of these. Sessions for which no piece
/// is left are omitted.
fn cut_equally(pieces: PieceRun, sessions: &[SessionKey]) -> Vec<Stretch> {
    let (length, parts) = (u64::from(pieces.count()), sessions.len() as u64);
    let edge = |part: u64| PieceIndex(pieces.start().0 + (length * part / parts) as u32);
    let cut = (0..parts).zip(sessions).filter_map(|(part, &key)| {
        Some(Stretch { pieces: PieceRun::between(edge(part), edge(part + 1))?, holder: Some(key) })
    });
    cut.collect()
}

/// The first half of `pieces`, unless there is only one piece, and the second half, which is the longer one.
fn halves(pieces: PieceRun) -> (Option<PieceRun>, PieceRun) {
    let middle = PieceIndex(pieces.start().0 + pieces.count() / 2);
    let second =
        PieceRun::between(middle, pieces.end()).expect("half of a run, rounded up, is a piece at least");
    (PieceRun::between(pieces.start(), middle), second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(pieces: std::ops::Range<u32>) -> PieceRun {
        PieceRun::between(PieceIndex(pieces.start), PieceIndex(pieces.end)).expect("a run")
    }

    fn pace(millis: u64) -> Pace {
        Pace { per_piece: Duration::from_millis(millis), begun: Duration::ZERO }
    }

    fn keys(count: u32) -> Vec<SessionKey> {
        (0..count).map(SessionKey).collect()
    }

    fn everything(_: SessionKey, _: PieceRun) -> bool {
        true
    }

    proptest! {
        #[test]
        fn equal_owners_that_are_ready_together_give_equal_contiguous_ranges(
            pieces in 1u32..100_000,
            owners in 1u32..20,
        ) {
            let mut picker = Picker::new([run(0..pieces)]);
            let given = picker.assign(&keys(owners), everything, |_| pace(1));
            prop_assert_eq!(given.iter().map(Stretch::len).sum::<u32>(), pieces);
            prop_assert_eq!(given[0].pieces.start(), PieceIndex(0));
            for pair in given.windows(2) {
                prop_assert_eq!(pair[0].pieces.end(), pair[1].pieces.start());
            }
            for stretch in &given {
                let share = f64::from(pieces) / f64::from(owners);
                prop_assert!((f64::from(stretch.len()) - share).abs() <= 1.0);
            }
        }

        #[test]
        fn no_piece_is_ever_lost_or_given_twice(
            steps in prop::collection::vec((0u8..4, 0u32..6, 0u32..64), 1..120),
        ) {
            let mut picker = Picker::new([run(0..64)]);
            let mut begun: Vec<PieceIndex> = Vec::new();
            for (step, session, piece) in steps {
                let key = SessionKey(session);
                match step {
                    0 => { picker.assign(&[key], everything, |key| pace(u64::from(key.0) + 1)); }
                    1 => begun.extend(picker.begin(key, |p| p.0 % 7 != session)),
                    2 => picker.release(key),
                    _ => if let Some(at) = begun.iter().position(|p| p.0 == piece) {
                        picker.put_back(begun.swap_remove(at));
                    }
                }
                let mut all: Vec<u32> = picker.iter().flat_map(Stretch::indices).map(|piece| piece.0).collect();
                prop_assert!(all.is_sorted(), "{:?}", picker);
                prop_assert!(picker.iter().all(|stretch| stretch.len() > 0));
                all.extend(begun.iter().map(|piece| piece.0));
                all.sort_unstable();
                prop_assert_eq!(&all, &(0..64).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_later_owner_takes_the_second_half_of_the_slowest() {
        let mut picker = Picker::new([run(0..100)]);
        picker.assign(&keys(2), everything, |_| pace(1));
        let given = picker.assign(&[SessionKey(2)], everything, |key| pace(if key.0 == 1 { 5 } else { 1 }));
        assert_eq!(given, [Stretch { pieces: run(75..100), holder: Some(SessionKey(2)) }]);
    }

    #[test]
    fn a_released_stretch_goes_first_and_from_its_start() {
        let mut picker = Picker::new([run(0..100)]);
        picker.assign(&keys(4), everything, |_| pace(1));
        picker.release(SessionKey(1));
        let given = picker.assign(&[SessionKey(9)], everything, |_| pace(1));
        assert_eq!(given[0].pieces, run(25..50));
    }

    #[test]
    fn the_last_piece_changes_hands_only_when_that_is_sooner() {
        let mut picker = Picker::new([run(0..1)]);
        picker.assign(&[SessionKey(0)], everything, |_| pace(1));
        assert_eq!(picker.assign(&[SessionKey(1)], everything, |_| pace(1)), []);
        let given = picker.assign(&[SessionKey(1)], everything, |key| pace(if key.0 == 0 { 9 } else { 1 }));
        assert_eq!(given[0].pieces, run(0..1));
    }

    #[test]
    fn an_owner_begins_only_what_it_has() {
        let mut picker = Picker::new([run(0..10)]);
        picker.assign(&[SessionKey(0)], everything, |_| pace(1));
        assert_eq!(picker.begin(SessionKey(0), |piece| piece.0 == 4), Some(PieceIndex(4)));
        assert_eq!(picker.begin(SessionKey(0), |_| true), Some(PieceIndex(0)));
        assert_eq!(picker.begin(SessionKey(1), |_| true), None);
        assert_eq!(picker.iter().map(|s| s.pieces).collect::<Vec<_>>(), [run(1..4), run(5..10)]);
    }
}
