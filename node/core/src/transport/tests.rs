//! A flow with an owner that answers from a list: what arrives, what is lost, and what is asked for.

use messages::{Conversation, PieceIndex};
use proptest::prelude::*;

use super::*;

const SEGMENT: u16 = 1000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn flow() -> Flow {
    let settings = FlowSettings {
        segment_size: SEGMENT,
        initial_window: 40_000,
        min_window: 0,
        max_outstanding: 1 << 20,
        max_burst: 60_000,
        max_bursts: 8,
    };
    Flow::new(settings, u32::MAX - 1, Some(Duration::from_millis(10)), at(0))
}

fn range(offset: u32, length: u32) -> ByteRange {
    ByteRange::new(PieceIndex(0), offset, length).expect("a range")
}

fn segment(request: u32, range: ByteRange, index: u8) -> (ChunkHeader, usize) {
    let offset = range.offset() + u32::from(index) * u32::from(SEGMENT);
    let header = ChunkHeader {
        conversation: Conversation(1),
        sequence: 0,
        request,
        piece: range.piece(),
        offset,
        sent_at: 0,
        index,
        count: range.segments(SEGMENT) as u8,
        hold: 0,
    };
    (header, (range.end() - offset).min(SEGMENT.into()) as usize)
}

fn deliver(flow: &mut Flow, request: u32, range: ByteRange, index: u8, now: Timestamp) -> Arrival {
    let (header, length) = segment(request, range, index);
    flow.handle_chunk(&header, length, now)
}

#[test]
fn everything_that_arrives_in_order_is_asked_for_once() {
    let mut flow = flow();
    let asked = range(0, 3500);
    let request = flow.ask(asked, at(1));
    for index in 0..4 {
        assert_eq!(deliver(&mut flow, request, asked, index, at(11)), Arrival::Asked { late: false });
        assert_eq!(deliver(&mut flow, request, asked, index, at(11)), Arrival::Duplicate);
    }
    assert_eq!(flow.outstanding(), 0);
    let mut lost = Vec::new();
    assert!(!flow.detect_loss(at(5000), &mut lost));
    assert_eq!(lost, []);
}

#[test]
fn the_next_segment_is_expected_behind_the_last_one_and_none_twice() {
    let mut flow = flow();
    assert_eq!(flow.expected_next(), None, "nothing was asked for");
    let asked = [range(0, 2500), range(8000, 1000), range(5000, 1000)];
    let requests = asked.map(|range| flow.ask(range, at(1)));
    for (which, index, next) in [
        (0, 0, Some(range(1000, 1000))),
        (0, 1, Some(range(2000, 500))),
        (0, 2, Some(range(8000, 1000))),
        (2, 0, None),
        (1, 0, None),
    ] {
        deliver(&mut flow, requests[which], asked[which], index, at(11));
        assert_eq!(flow.expected_next(), next, "behind segment {index} of burst {which}");
    }
}

#[test]
fn what_is_there_is_taken_back_and_what_is_not_is_still_expected() {
    let mut flow = flow();
    let (first, whole) = (range(0, 3000), range(3000, 1000));
    let other = ByteRange::new(PieceIndex(1), 0, 2000).expect("a range");
    let requests = [first, whole, other].map(|range| flow.ask(range, at(1)));
    deliver(&mut flow, requests[0], first, 0, at(11));
    deliver(&mut flow, requests[1], whole, 0, at(11));
    let expected: Vec<_> = flow.expected().collect();
    assert_eq!(expected, [(requests[0], first), (requests[2], other)], "of the second all has arrived");
    assert_eq!(flow.withdraw(|piece| piece == PieceIndex(0)), (vec![requests[0]], 2000));
    assert_eq!(flow.outstanding(), 2000);
    assert_eq!(flow.withdraw(|piece| piece == PieceIndex(0)), (vec![], 0), "once");
    assert_eq!(deliver(&mut flow, requests[0], first, 1, at(12)), Arrival::Duplicate, "as if it were there");
    assert_eq!(deliver(&mut flow, requests[2], other, 0, at(12)), Arrival::Asked { late: false });
}

#[test]
fn a_gap_is_lost_when_three_later_segments_have_arrived() {
    let mut flow = flow();
    let asked = range(0, 5000);
    let request = flow.ask(asked, at(1));
    let mut lost = Vec::new();
    for index in [0, 2, 3] {
        deliver(&mut flow, request, asked, index, at(11));
        flow.detect_loss(at(11), &mut lost);
        assert_eq!(lost, []);
    }
    deliver(&mut flow, request, asked, 4, at(11));
    flow.detect_loss(at(11), &mut lost);
    assert_eq!(lost, [range(1000, 1000)]);
    assert_eq!(flow.outstanding(), 0);
}

#[test]
fn a_lost_request_is_found_by_the_next_one_that_is_answered() {
    let mut flow = flow();
    let first = range(0, 4000);
    flow.ask(first, at(1));
    let second = range(4000, 4000);
    let request = flow.ask(second, at(1));
    (0..4).for_each(|index| {
        deliver(&mut flow, request, second, index, at(11));
    });
    let mut lost = Vec::new();
    flow.detect_loss(at(11), &mut lost);
    assert_eq!(lost, [first]);
}

#[test]
fn silence_costs_everything_outstanding_after_the_timeout_and_no_earlier() {
    let mut flow = flow();
    flow.ask(range(0, 4000), at(100));
    let wait = flow.next_timer();
    assert_eq!(wait.reason, Reason::LossTimer);
    let mut lost = Vec::new();
    assert!(!flow.detect_loss(wait.until - Duration::from_nanos(1), &mut lost));
    assert!(flow.detect_loss(wait.until, &mut lost));
    assert_eq!(lost, [range(0, 4000)]);
    assert_eq!(flow.next_timer(), Wait::IDLE);
}

#[test]
fn a_late_segment_is_taken_and_teaches_patience() {
    let mut flow = flow();
    let asked = range(0, 8000);
    let request = flow.ask(asked, at(1));
    let mut lost = Vec::new();
    for index in [1, 2, 3, 4] {
        deliver(&mut flow, request, asked, index, at(11));
    }
    flow.detect_loss(at(11), &mut lost);
    assert_eq!(lost, [range(0, 1000)]);
    assert_eq!(deliver(&mut flow, request, asked, 0, at(12)), Arrival::Asked { late: true });
    lost.clear();
    deliver(&mut flow, request, asked, 7, at(12));
    flow.detect_loss(at(12), &mut lost);
    assert_eq!(lost, [], "segments 5 and 6 may only be late as well");
}

#[test]
fn what_was_never_asked_for_changes_nothing() {
    let mut flow = flow();
    let asked = range(1000, 3000);
    let request = flow.ask(asked, at(1));
    let strangers = [
        segment(request.wrapping_add(1), asked, 0),
        segment(request.wrapping_sub(1), asked, 0),
        segment(request, range(0, 3000), 0),
        (ChunkHeader { index: 63, ..segment(request, asked, 0).0 }, 1000),
        (ChunkHeader { piece: PieceIndex(9), ..segment(request, asked, 0).0 }, 1000),
        (segment(request, asked, 0).0, 999),
    ];
    for (header, length) in strangers {
        assert_eq!(flow.handle_chunk(&header, length, at(2)), Arrival::Unexpected, "{header:?}");
    }
    assert_eq!(flow.outstanding(), 3000);
}

proptest! {
    /// Reordering within the threshold is never taken for loss, whatever the order.
    #[test]
    fn no_loss_is_seen_where_there_is_none(swaps in prop::collection::vec(any::<bool>(), 40)) {
        let mut flow = flow();
        let asked: Vec<_> = (0..5).map(|i| {
            let asked = range(i * 8000, 8000);
            (flow.ask(asked, at(1)), asked)
        }).collect();
        let mut order: Vec<(usize, u8)> = (0..5).flat_map(|burst| (0..8).map(move |index| (burst, index))).collect();
        let mut position = 0;
        for swap in swaps {
            if swap && position + 1 < order.len() {
                order.swap(position, position + 1);
                position += 1;
            }
            position += 1;
        }
        let mut lost = Vec::new();
        for (burst, index) in order {
            let (request, asked) = asked[burst];
            prop_assert_eq!(deliver(&mut flow, request, asked, index, at(11)), Arrival::Asked { late: false });
            flow.detect_loss(at(11), &mut lost);
        }
        prop_assert_eq!(&lost, &[]);
        prop_assert_eq!(flow.outstanding(), 0);
    }

    /// Every byte that is asked for arrives or is given up exactly once.
    #[test]
    fn every_byte_is_accounted_for(drops in prop::collection::vec(any::<bool>(), 48)) {
        let mut flow = flow();
        let asked: Vec<_> = (0..6).map(|i| {
            let asked = range(i * 8000, 7500);
            (flow.ask(asked, at(1)), asked)
        }).collect();
        let (mut lost, mut arrived) = (Vec::new(), 0u32);
        for (position, dropped) in drops.iter().enumerate() {
            let (request, asked) = asked[position / 8];
            if !dropped {
                let index = (position % 8) as u8;
                let (_, length) = segment(request, asked, index);
                deliver(&mut flow, request, asked, index, at(11));
                arrived += length as u32;
            }
            flow.detect_loss(at(11), &mut lost);
        }
        flow.detect_loss(at(11) + Duration::from_secs(3), &mut lost);
        let given_up: u32 = lost.iter().map(|range| range.length()).sum();
        prop_assert_eq!(arrived + given_up, 6 * 7500);
        prop_assert_eq!(flow.outstanding(), 0);
    }
}

#[test]
fn no_more_bursts_are_outstanding_than_an_owner_may_be_asked_for() {
    let mut flow = flow();
    for burst in 0..8 {
        assert!(flow.window_available(WindowShare::default()) > 0, "{burst}");
        flow.ask(range(burst * 2 * u32::from(SEGMENT), 2 * u32::from(SEGMENT)), at(0));
    }
    assert_eq!(flow.window_available(WindowShare::default()), 0, "however much the window leaves");
}
