//! One burst that was asked for: which of its segments have arrived, and what was known when it was asked for.

use std::time::Duration;

use messages::node_to_node::ByteRange;
use messages::{ChunkHeader, Timestamp};

use super::Arrival;
use super::bbr::Asking;
use super::burst_size::BurstLosses;

/// One burst. It has at most 64 segments, so that a word has a bit for each.
#[derive(Debug)]
pub(super) struct Outstanding {
    range: ByteRange,
    segment: u16,
    first_ordinal: u64,
    asked_at: Timestamp,
    /// The segments that have arrived, one bit each.
    arrived: u64,
    /// The segments that were given up, whether they have arrived since or not.
    given_up: u64,
    /// Since when later segments have overtaken segments of the burst.
    overtaken_at: Option<Timestamp>,
    /// What the flow knew when the burst was asked for.
    pub(super) send_state: SendState,
}

/// What had been delivered to a flow when a burst was asked for (the per-packet state of
/// draft-cheng-iccrg-delivery-rate-estimation §3.2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SendState {
    pub(super) delivered: u64,
    /// When the last of these bytes arrived, and when they had been asked for.
    pub(super) delivered_at: Timestamp,
    pub(super) delivered_asked_at: Timestamp,
    /// Whether there was less to ask for than the window allowed.
    pub(super) is_app_limited: bool,
    /// How much was asked for then, beside what the path delivers.
    pub(super) asking: Asking,
}

impl Outstanding {
    pub(super) fn new(range: ByteRange, segment: u16, first_ordinal: u64, now: Timestamp) -> Outstanding {
        Outstanding {
            range,
            segment,
            first_ordinal,
            asked_at: now,
            arrived: 0,
            given_up: 0,
            overtaken_at: None,
            send_state: SendState::default(),
        }
    }

    /// The same burst with the `send_state` of the flow.
    pub(super) fn with_send_state(self, send_state: SendState) -> Outstanding {
        Outstanding { send_state, ..self }
    }

    pub(super) fn range(&self) -> ByteRange {
        self.range
    }

    /// The number of segments that have arrived.
    pub(super) fn arrived(&self) -> u32 {
        self.arrived.count_ones()
    }

    /// Whether the segments that have arrived are the first of the burst, without a gap.
    pub(super) fn arrived_is_first(&self) -> bool {
        self.arrived & self.arrived.wrapping_add(1) == 0
    }

    /// The number of payload bytes in each segment but the last.
    pub(super) fn segment_size(&self) -> u16 {
        self.segment
    }

    pub(super) fn segments(&self) -> u32 {
        self.range.segments(self.segment)
    }

    pub(super) fn first_ordinal(&self) -> u64 {
        self.first_ordinal
    }

    pub(super) fn ordinal(&self, index: u8) -> u64 {
        self.first_ordinal + u64::from(index)
    }

    pub(super) fn asked_at(&self) -> Timestamp {
        self.asked_at
    }

    /// Whether no segment has arrived and none was given up.
    pub(super) fn is_untouched(&self) -> bool {
        self.arrived == 0 && self.given_up == 0
    }

    /// Whether all segments have arrived.
    pub(super) fn is_complete(&self) -> bool {
        self.arrived == self.all()
    }

    /// Whether the segment `index`, which has just arrived, is the first arrival of the burst or the burst's last
    /// segment. At these moments the burst shows how fast the path delivers, whatever other segments were lost.
    pub(super) fn shows_rate(&self, index: u8) -> bool {
        self.arrived.is_power_of_two() || u32::from(index) + 1 == self.segments()
    }

    /// Whether no segment is expected any more.
    pub(super) fn is_finished(&self) -> bool {
        self.arrived | self.given_up == self.all()
    }

    /// Whether a segment before ordinal `before` is still expected.
    pub(super) fn has_gap(&self, before: u64) -> bool {
        let earlier = before.saturating_sub(self.first_ordinal).min(u64::from(self.segments())) as u32;
        let bits = if earlier == 0 { 0 } else { u64::MAX >> (64 - earlier) };
        (self.arrived | self.given_up) & bits != bits
    }

    /// The numbers of segments, in each half of the burst, that have been given up and are not in `known`.
    pub(super) fn lost_since(&self, known: u64) -> BurstLosses {
        let fresh = self.given_up & !known;
        let half = self.segments() / 2;
        let beginning = (1u64 << half.min(63)) - 1;
        BurstLosses { beginnings: (fresh & beginning).count_ones(), ends: (fresh & !beginning).count_ones() }
    }

    /// One bit for each segment that was given up.
    pub(super) fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Since when later segments have overtaken segments of the burst.
    pub(super) fn overtaken_at(&self) -> Option<Timestamp> {
        self.overtaken_at
    }

    /// Records that later segments have overtaken segments of the burst. Returns whether that has been so for
    /// `reordering_window`.
    pub(super) fn on_overtaken(&mut self, now: Timestamp, reordering_window: Duration) -> bool {
        let since = *self.overtaken_at.get_or_insert(now);
        now >= since + reordering_window
    }

    /// Takes in one segment, which must be exactly what was asked for.
    pub(super) fn handle_segment(&mut self, header: &ChunkHeader, length: usize) -> Arrival {
        let index = u32::from(header.index);
        if index >= self.segments() || header.piece != self.range.piece() {
            return Arrival::Unexpected;
        }
        let (start, end) = self.span(index);
        if header.offset != start || length != (end - start) as usize {
            return Arrival::Unexpected;
        }
        let bit = 1 << index;
        if self.arrived & bit != 0 {
            return Arrival::Duplicate;
        }
        self.arrived |= bit;
        Arrival::Asked { late: self.given_up & bit != 0 }
    }

    /// The bytes of the segment `index`, if there is such a segment and it has not arrived.
    pub(super) fn expected(&self, index: u8) -> Option<ByteRange> {
        let index = u32::from(index);
        let is_expected = index < self.segments() && self.arrived & (1 << index) == 0;
        let (start, end) = is_expected.then(|| self.span(index))?;
        ByteRange::new(self.range.piece(), start, end - start)
    }

    /// Gives up the segments before ordinal `before` that have not arrived, and appends them to `lost` as ranges.
    /// Returns how many bytes they are.
    pub(super) fn give_up(&mut self, before: u64, lost: &mut Vec<ByteRange>) -> u32 {
        self.overtaken_at = None;
        let mut bytes = 0;
        let mut run: Option<(u32, u32)> = None;
        for index in 0..self.segments() {
            let bit = 1u64 << index;
            if (self.arrived | self.given_up) & bit != 0 || self.first_ordinal + u64::from(index) >= before {
                lost.extend(self.range_of(run.take()));
                continue;
            }
            self.given_up |= bit;
            let (start, end) = self.span(index);
            bytes += end - start;
            run = Some((run.map_or(start, |(from, _)| from), end));
        }
        lost.extend(self.range_of(run));
        bytes
    }

    /// Withdraws the segments that have not arrived: they are no longer wanted, and count as duplicates if they come.
    /// Returns how many bytes were expected.
    pub(super) fn withdraw(&mut self) -> u32 {
        let expected = self.give_up_all();
        self.arrived = self.all();
        expected
    }

    /// Gives up the segments that have not arrived. Returns how many bytes they are.
    pub(super) fn give_up_all(&mut self) -> u32 {
        let mut lost = Vec::new();
        self.give_up(u64::MAX, &mut lost)
    }

    fn range_of(&self, run: Option<(u32, u32)>) -> Option<ByteRange> {
        run.and_then(|(start, end)| ByteRange::new(self.range.piece(), start, end - start))
    }

    fn span(&self, index: u32) -> (u32, u32) {
        let start = self.range.offset() + index * u32::from(self.segment);
        (start, (start + u32::from(self.segment)).min(self.range.end()))
    }

    fn all(&self) -> u64 {
        u64::MAX >> (64 - self.segments().clamp(1, 64))
    }
}

#[cfg(test)]
mod tests {
    use messages::{Conversation, PieceIndex};
    use proptest::prelude::*;

    use super::*;

    /// The state of one segment in a naive model.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    struct Segment {
        arrived: bool,
        given_up: bool,
    }

    fn header(range: ByteRange, index: u8, offset: u32) -> ChunkHeader {
        ChunkHeader {
            conversation: Conversation(0),
            sequence: 0,
            request: 0,
            piece: range.piece(),
            offset,
            sent_at: 0,
            index,
            count: 64,
            hold: 0,
        }
    }

    proptest! {
        /// A burst of segments that arrive, twice or wrong, and are given up, behaves like a list of them.
        #[test]
        fn behaves_like_a_list_of_segments(
            segment in 1u16..1500,
            length in 1u32..60_000,
            steps in prop::collection::vec((0u8..4, 0u8..66, 0u64..80), 0..60),
        ) {
            let range = ByteRange::new(PieceIndex(3), 7000, length).filter(|range| range.fits_burst(segment));
            prop_assume!(range.is_some());
            let range = range.expect("just looked at");
            let mut burst = Outstanding::new(range, segment, 10, Timestamp::ZERO);
            let count = burst.segments() as usize;
            let mut list = vec![Segment::default(); count];
            let start = |index: usize| range.offset() + index as u32 * u32::from(segment);
            let size = |index: usize| (range.end() - start(index)).min(segment.into());
            for (what, index, before) in steps {
                let at = usize::from(index);
                if what == 0 {
                    let mut lost = Vec::new();
                    let bytes = burst.give_up(10 + before, &mut lost);
                    let fresh: Vec<usize> = (0..count)
                        .filter(|&at| (at as u64) < before && list[at] == Segment::default())
                        .collect();
                    fresh.iter().for_each(|&at| list[at].given_up = true);
                    prop_assert_eq!(bytes, fresh.iter().map(|&at| size(at)).sum::<u32>());
                    let covered = |byte: u32| lost.iter().any(|range| (range.offset()..range.end()).contains(&byte));
                    prop_assert!((0..count).all(|at| covered(start(at)) == fresh.contains(&at)), "{lost:?}");
                    prop_assert_eq!(lost.iter().map(|range| range.length()).sum::<u32>(), bytes);
                } else if at >= count || what == 1 {
                    // There is no such segment, or it is not as it was asked for.
                    let wrong = header(range, index, start(at).wrapping_add(u32::from(what == 1)));
                    prop_assert_eq!(burst.handle_segment(&wrong, segment.into()), Arrival::Unexpected);
                } else {
                    let expected = match list[at] {
                        Segment { arrived: true, .. } => Arrival::Duplicate,
                        Segment { given_up, .. } => Arrival::Asked { late: given_up },
                    };
                    let right = header(range, index, start(at));
                    prop_assert_eq!(burst.handle_segment(&right, size(at) as usize), expected);
                    list[at].arrived = true;
                }
                prop_assert_eq!(burst.is_complete(), list.iter().all(|segment| segment.arrived));
                prop_assert_eq!(burst.is_untouched(), list.iter().all(|segment| *segment == Segment::default()));
                let expected_still =
                    |until: usize| list.iter().take(until).any(|segment| *segment == Segment::default());
                prop_assert_eq!(burst.is_finished(), !expected_still(count));
                for until in [0, 1, before as usize, count, count + 1] {
                    prop_assert_eq!(burst.has_gap(10 + until as u64), expected_still(until), "before {}", until);
                }
            }
        }
    }
}
