//! What waits to be sent to one downloader, in order: ranges, answers to PROBEs, and BITFIELDs of the pieces that are
//! here. Each range is queued once, and the number of waiting ranges and probes is limited.

use std::collections::VecDeque;
use std::ops::Range;

use messages::limits::MAX_PROBE_SIZES;
use messages::node_to_node::{ByteRange, Probe, Probed};
use messages::{PieceIndex, Timestamp};

use super::piece_updates;
use super::replay_window::ReplayWindow;

/// Why a range is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestRefusal {
    /// The range was asked for before.
    Duplicate,
    /// The content has no such bytes, or this node does not have them.
    NoSuchRange,
    /// Too many ranges wait.
    QueueFull,
    /// The session has no slot.
    Choked,
}

/// A range that the downloader asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct RangeRequest {
    pub(super) number: u32,
    pub(super) range: ByteRange,
    pub(super) segment_size: u16,
    pub(super) asked_at: Timestamp,
}

/// An entry of the queue, which waits for its session's turn.
#[derive(Debug)]
pub(super) enum Queued {
    Range(RangeRequest),
    Probe(Probed),
    /// The BITFIELD that tells which of these pieces are here.
    Bitfield(Range<PieceIndex>),
}

impl Queued {
    /// How many bytes of a turn the entry takes.
    pub(super) fn length(&self) -> u32 {
        match self {
            Queued::Range(request) => request.range.length(),
            Queued::Probe(probed) => probed.size.bytes().into(),
            Queued::Bitfield(pieces) => piece_updates::bitfield_bytes(pieces),
        }
    }
}

/// The queue of one session.
#[derive(Debug, Default)]
pub(super) struct RequestQueue {
    queue: VecDeque<Queued>,
    /// How many entries are ranges.
    ranges: usize,
    /// How many entries are answers to PROBEs.
    probes: usize,
    /// The numbers of the ranges that were queued.
    seen: ReplayWindow,
}

impl RequestQueue {
    /// Whether no entry waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many entries wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether something waits that the downloader asked for.
    pub(super) fn has_requests(&self) -> bool {
        self.ranges + self.probes > 0
    }

    /// How many bytes of a turn the first entry takes.
    pub(super) fn next_length(&self) -> Option<u32> {
        self.queue.front().map(Queued::length)
    }

    /// Queues a range of a piece with `piece_length` bytes, where at most `limit` ranges may wait.
    pub(super) fn push_range(
        &mut self,
        request: RangeRequest,
        piece_length: u32,
        limit: usize,
    ) -> Result<(), RequestRefusal> {
        if self.seen.has(request.number) {
            return Err(RequestRefusal::Duplicate);
        }
        if request.range.end() > piece_length || !request.range.fits_burst(request.segment_size) {
            return Err(RequestRefusal::NoSuchRange);
        }
        if self.ranges >= limit {
            return Err(RequestRefusal::QueueFull);
        }
        self.seen.insert(request.number);
        self.ranges += 1;
        self.queue.push_back(Queued::Range(request));
        Ok(())
    }

    /// Queues the answers to a PROBE that have at most `max_datagram` bytes each, as many as may wait. Answers wait for
    /// the session's turn like everything that is sent, so a downloader that sends many PROBEs gets no more bytes than
    /// one that asks for ranges.
    pub(super) fn push_probe(&mut self, probe: &Probe, max_datagram: u16) {
        let free = MAX_PROBE_SIZES - self.probes;
        let sizes = probe.sizes.iter().filter(|size| size.bytes() <= max_datagram).take(free);
        for &size in sizes {
            self.queue.push_back(Queued::Probe(Probed { id: probe.id, size }));
            self.probes += 1;
        }
    }

    /// Queues the BITFIELD that tells which of `pieces` are here.
    pub(super) fn push_bitfield(&mut self, pieces: Range<PieceIndex>) {
        self.queue.push_back(Queued::Bitfield(pieces));
    }

    /// Drops the range `number`, which the downloader no longer wants.
    pub(super) fn cancel(&mut self, number: u32) {
        let before = self.queue.len();
        self.queue.retain(|queued| !matches!(queued, Queued::Range(request) if request.number == number));
        self.ranges -= before - self.queue.len();
    }

    /// Takes the first entry, if it takes no more than `deficit` bytes of the turn.
    pub(super) fn pop(&mut self, deficit: u32) -> Option<Queued> {
        let queued = self.queue.pop_front_if(|queued| queued.length() <= deficit)?;
        match queued {
            Queued::Range(_) => self.ranges -= 1,
            Queued::Probe(_) => self.probes -= 1,
            Queued::Bitfield(_) => {}
        }
        Some(queued)
    }

    /// Drops all entries. The numbers of ranges that were queued stay seen.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        (self.ranges, self.probes) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use messages::List;
    use messages::node_to_node::ProbeSize;
    use proptest::prelude::*;

    use super::*;

    fn request(number: u32, offset: u32, length: u32) -> RangeRequest {
        let range = ByteRange::new(PieceIndex(0), offset, length).expect("a range");
        RangeRequest { number, range, segment_size: 1168, asked_at: Timestamp::ZERO }
    }

    #[test]
    fn a_full_queue_says_so_and_the_request_may_come_again() {
        let mut queue = RequestQueue::default();
        for number in 1..=4 {
            assert_eq!(queue.push_range(request(number, 0, 1000), 1000, 4), Ok(()));
        }
        assert_eq!(queue.push_range(request(5, 0, 1000), 1000, 4), Err(RequestRefusal::QueueFull));
        queue.cancel(2);
        assert_eq!(queue.push_range(request(5, 0, 1000), 1000, 4), Ok(()));
        assert_eq!(queue.push_range(request(5, 0, 1000), 1000, 5), Err(RequestRefusal::Duplicate));
        assert_eq!(queue.push_range(request(6, 1, 1000), 1000, 5), Err(RequestRefusal::NoSuchRange));
    }

    proptest! {
        /// The counts are always those of the waiting entries, and within their limits, whatever is queued, cancelled,
        /// sent and dropped.
        #[test]
        fn the_counts_are_those_of_what_waits(steps in prop::collection::vec((0u8..7, 0u32..40, 1u32..2000), 0..200)) {
            let mut queue = RequestQueue::default();
            for (what, number, length) in steps {
                match what {
                    0 | 1 => drop(queue.push_range(request(number, 0, length), 1500, 4)),
                    2 => {
                        let sizes = List::first_of([ProbeSize::new(1400).expect("a size"); 3]);
                        queue.push_probe(&Probe { id: number, sizes }, if length < 1000 { 1400 } else { 1399 });
                    }
                    3 => queue.push_bitfield(PieceIndex(0)..PieceIndex(number)),
                    4 => queue.cancel(number),
                    5 => {
                        let next = queue.next_length();
                        prop_assert_eq!(queue.pop(length).map(|queued| queued.length()), next.filter(|next| *next <= length));
                    }
                    _ => if number == 0 { queue.clear() },
                }
                let count = |is: fn(&Queued) -> bool| queue.queue.iter().filter(|queued| is(queued)).count();
                prop_assert_eq!(queue.ranges, count(|queued| matches!(queued, Queued::Range(_))));
                prop_assert_eq!(queue.probes, count(|queued| matches!(queued, Queued::Probe(_))));
                prop_assert!(queue.ranges <= 4 && queue.probes <= MAX_PROBE_SIZES);
            }
        }
    }
}
