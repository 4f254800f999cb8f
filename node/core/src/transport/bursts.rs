//! The bursts that were asked for, in the order of their requests, and how much of them is outstanding.

use std::collections::VecDeque;
use std::time::Duration;

use messages::Timestamp;
use messages::node_to_node::ByteRange;

use super::burst_size::BurstLosses;
use super::outstanding::Outstanding;

/// Finished bursts are remembered for this many round trips, to tell late segments from ones that were never asked for.
const REMEMBERED_RTTS: u32 = 3;
/// Finished bursts are remembered for at least this long, because a path may become slower all at once.
const MIN_REMEMBERED: Duration = Duration::from_secs(10);
/// Finished bursts are forgotten while more than this many bursts are remembered.
const REMEMBERED_BURSTS: usize = 4096;

/// The bursts by request number.
#[derive(Debug)]
pub(super) struct Bursts {
    bursts: VecDeque<Outstanding>,
    /// The request number of the next burst. That of `bursts[i]` is this minus the number of bursts plus `i`.
    next_request: u32,
    /// Every burst before this request is finished, and is kept for late segments only.
    first_unfinished: u32,
    /// The number of segments that were asked for so far, which tells the order in which they should arrive.
    next_ordinal: u64,
    /// The number of bytes that have neither arrived nor been given up.
    outstanding: u32,
    /// The number of bursts of which segments are still expected.
    unfinished: u32,
}

impl Bursts {
    /// An empty table. The first burst will have the request number `first_request`.
    pub(super) fn new(first_request: u32) -> Bursts {
        Bursts {
            bursts: VecDeque::new(),
            next_request: first_request,
            first_unfinished: first_request,
            next_ordinal: 0,
            outstanding: 0,
            unfinished: 0,
        }
    }

    /// The number of bytes that have neither arrived nor been given up.
    pub(super) fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// The number of bursts of which segments are still expected.
    pub(super) fn unfinished(&self) -> u32 {
        self.unfinished
    }

    /// The ordinal of the next segment: the number of segments that were asked for so far.
    pub(super) fn next_ordinal(&self) -> u64 {
        self.next_ordinal
    }

    /// Adds a burst. Returns its request number.
    pub(super) fn push(&mut self, burst: Outstanding) -> u32 {
        let request = self.next_request;
        self.next_request = self.next_request.wrapping_add(1);
        self.next_ordinal += u64::from(burst.segments());
        self.outstanding += burst.range().length();
        self.unfinished += 1;
        self.bursts.push_back(burst);
        request
    }

    /// The latest burst, with its request number.
    pub(super) fn last(&self) -> Option<(u32, &Outstanding)> {
        Some((self.next_request.wrapping_sub(1), self.bursts.back()?))
    }

    /// The burst that was asked for as `request`.
    pub(super) fn get(&self, request: u32) -> Option<&Outstanding> {
        self.bursts.get(self.index_of(request)?)
    }

    /// The burst that was asked for as `request`.
    pub(super) fn get_mut(&mut self, request: u32) -> Option<&mut Outstanding> {
        let index = self.index_of(request)?;
        self.bursts.get_mut(index)
    }

    /// Records that `bytes` that were outstanding have arrived. `finished` tells whether nothing more of their burst is
    /// expected.
    pub(super) fn on_arrived(&mut self, bytes: u32, finished: bool) {
        self.outstanding -= bytes;
        self.unfinished -= u32::from(finished);
    }

    /// Gives up `request`. Returns its range and how many bytes of it were expected, or `None` if none were.
    pub(super) fn give_up(&mut self, request: u32) -> Option<(ByteRange, u32)> {
        let burst = self.get_mut(request)?;
        let range = burst.range();
        let lost = burst.give_up_all();
        self.on_arrived(lost, lost > 0);
        (lost > 0).then_some((range, lost))
    }

    /// Withdraws every burst for whose range `fits` holds. Returns the requests of which bytes were expected, and how
    /// many bytes.
    pub(super) fn withdraw(&mut self, fits: impl Fn(&ByteRange) -> bool) -> (Vec<u32>, u32) {
        let (mut requests, mut bytes) = (Vec::new(), 0);
        let from = self.unfinished_from();
        let first = self.next_request.wrapping_sub(self.bursts.len() as u32);
        for (index, burst) in self.bursts.iter_mut().enumerate().skip(from) {
            if !fits(&burst.range()) {
                continue;
            }
            let lost = burst.withdraw();
            if lost > 0 {
                requests.push(first.wrapping_add(index as u32));
                bytes += lost;
            }
        }
        self.outstanding -= bytes;
        self.unfinished -= requests.len() as u32;
        (requests, bytes)
    }

    /// The requests of which segments are expected, with their ranges.
    pub(super) fn expected(&self) -> impl Iterator<Item = (u32, ByteRange)> {
        let first = self.next_request.wrapping_sub(self.bursts.len() as u32);
        let open = self.bursts.iter().enumerate().skip(self.unfinished_from());
        open.filter(|(_, burst)| !burst.is_finished())
            .map(move |(index, burst)| (first.wrapping_add(index as u32), burst.range()))
    }

    /// Gives up everything. Appends what was expected to `lost`, and calls `on_lost` for each burst of which anything
    /// was.
    pub(super) fn give_up_everything(
        &mut self,
        lost: &mut Vec<ByteRange>,
        mut on_lost: impl FnMut(&Outstanding, u32),
    ) {
        let from = self.unfinished_from();
        for burst in self.bursts.range_mut(from..) {
            let bytes = burst.give_up(u64::MAX, lost);
            self.outstanding -= bytes;
            self.unfinished -= u32::from(bytes > 0);
            if bytes > 0 {
                on_lost(burst, bytes);
            }
        }
    }

    /// Gives up the segments before ordinal `before` of each burst for which `due` holds, appends them to `lost`, and
    /// calls `on_lost` with each such burst and its number of lost bytes. Returns where in their bursts the segments
    /// were.
    pub(super) fn give_up_before(
        &mut self,
        before: u64,
        lost: &mut Vec<ByteRange>,
        mut due: impl FnMut(&mut Outstanding) -> bool,
        mut on_lost: impl FnMut(&Outstanding, u32),
    ) -> BurstLosses {
        let mut losses = BurstLosses::default();
        let from = self.skip_finished();
        for burst in self.bursts.range_mut(from..) {
            if burst.first_ordinal() >= before {
                break;
            }
            if burst.has_gap(before) && due(burst) {
                let known = burst.given_up();
                let bytes = burst.give_up(before, lost);
                on_lost(burst, bytes);
                self.outstanding -= bytes;
                self.unfinished -= u32::from(bytes > 0 && burst.is_finished());
                let BurstLosses { beginnings, ends } = burst.lost_since(known);
                losses.beginnings += beginnings;
                losses.ends += ends;
            }
        }
        losses
    }

    /// The bursts of which segments may still be expected, the oldest first.
    pub(super) fn open(&self) -> impl Iterator<Item = &Outstanding> {
        self.bursts.range(self.unfinished_from()..)
    }

    /// Drops finished bursts from the front, once no late segment of them is to be expected.
    pub(super) fn forget(&mut self, rtt: Duration, now: Timestamp) {
        let remembered = (rtt * REMEMBERED_RTTS).max(MIN_REMEMBERED);
        while let Some(first) = self.bursts.front() {
            let old = now.since(first.asked_at()) > remembered || self.bursts.len() > REMEMBERED_BURSTS;
            if !(first.is_complete() || first.is_finished() && old) {
                break;
            }
            self.bursts.pop_front();
        }
    }

    /// The index of the first burst of which segments may still be expected.
    fn unfinished_from(&self) -> usize {
        if self.first_unfinished == self.next_request {
            return self.bursts.len();
        }
        // A request that is older than all remembered bursts means the first of these.
        self.index_of(self.first_unfinished).unwrap_or(0)
    }

    fn skip_finished(&mut self) -> usize {
        let mut index = self.unfinished_from();
        while self.bursts.get(index).is_some_and(Outstanding::is_finished) {
            index += 1;
        }
        self.first_unfinished = self.next_request.wrapping_sub((self.bursts.len() - index) as u32);
        index
    }

    fn index_of(&self, request: u32) -> Option<usize> {
        let behind = self.next_request.wrapping_sub(request);
        self.bursts.len().checked_sub(usize::try_from(behind).ok()?).filter(|_| behind > 0)
    }
}
