use std::sync::Arc;
use std::time::Duration;

use messages::limits::MAX_PROBE_SIZES;
use messages::node_to_node::{Probe, ProbeSize};
use messages::{Cookie, Layout, Name, Outboard};
use rand::SeedableRng as _;

use super::*;

const QUANTUM: u32 = 1 << 16;

fn session() -> (UploadSession, ServedContent) {
    let content = ContentId::from_bytes([1; 32]);
    let hello = Hello {
        nonce: 1,
        content,
        node: NodeId::from_bytes([2; 16]),
        conversation: Conversation(3),
        capabilities: 0,
        sent_at: 0,
        cookie: Cookie::NONE,
    };
    let peer = SocketAddr::from(([127, 0, 0, 1], 9));
    let outboard = Arc::new(Outboard::imagined(Layout::of(300_000).expect("two pieces"), "test"));
    let name = Name::new("a").expect("a name");
    let session = UploadSession::new(peer, ShareId(0), &hello, Timestamp::ZERO);
    (session, ServedContent::whole((content, messages::FileMetadata::default()), name, outboard))
}

fn range(piece: u32, offset: u32, length: u32) -> ByteRange {
    ByteRange::new(PieceIndex(piece), offset, length).expect("a range")
}

fn ask(
    session: &mut UploadSession,
    served: &ServedContent,
    number: u32,
    range: ByteRange,
) -> Result<(), RequestRefusal> {
    let request = RangeRequest { number, range, segment_size: 1168, asked_at: Timestamp::ZERO };
    session.queue_range(request, served, 4)
}

#[test]
fn what_the_content_does_not_have_is_refused() {
    let (mut session, served) = session();
    let refused = Err(RequestRefusal::NoSuchRange);
    let last = served.outboard.layout().piece_length(PieceIndex(1));
    assert_eq!(ask(&mut session, &served, 1, range(1, last - 10, 11)), refused);
    assert_eq!(ask(&mut session, &served, 1, range(2, 0, 1)), refused);
    let end = served.outboard.layout().outboard_length();
    let beyond = ByteRange::new(PieceIndex::OUTBOARD, end - 9, 10).expect("a range");
    assert_eq!(ask(&mut session, &served, 1, beyond), refused);
    assert_eq!(ask(&mut session, &served, 1, range(1, last - 10, 10)), Ok(()));
}

#[test]
fn a_piece_that_is_begun_needs_no_slot_and_the_outboard_never_does() {
    let (mut session, served) = session();
    assert!(session.needs_slot(range(0, 0, 1000)));
    assert!(!session.needs_slot(ByteRange::new(PieceIndex::OUTBOARD, 0, 10).expect("a range")));
    assert_eq!(ask(&mut session, &served, 1, range(0, 0, 1000)), Ok(()));
    assert!(!session.needs_slot(range(0, 1000, 1000)) && session.needs_slot(range(1, 0, 1000)));
}

#[test]
fn who_asks_for_probes_without_end_gets_no_more_than_its_turns_and_has_to_listen() {
    let (mut session, served) = session();
    let mut rng = StdRng::seed_from_u64(1);
    let size = |bytes| ProbeSize::new(bytes).expect("a size");
    let probe = Probe { id: 1, sizes: List::first_of([size(65_507); MAX_PROBE_SIZES]) };
    let (mut now, mut sent, mut pings, mut deficit) = (Timestamp::ZERO, 0, 0, 0);
    let mut breaker = CircuitBreaker::new(now);
    for turn in 1..10_000u64 {
        now += Duration::from_millis(1);
        (0..3).for_each(|_| session.requests.push_probe(&probe, 65_507));
        assert!(session.requests.len() <= MAX_PROBE_SIZES + 4, "no more than that wait, and four ranges");
        ask(&mut session, &served, turn as u32, range(0, 0, 1000)).ok();
        if session.poll_ready(&mut breaker, now) > now {
            continue;
        }
        deficit += QUANTUM;
        while let Some(response) = session.poll_response(&served, &mut deficit, &mut breaker, now, &mut rng) {
            match response {
                Response::Probed(_, nonce) => {
                    sent += 65_507;
                    pings += u64::from(nonce.is_some());
                }
                Response::Burst(burst) => {
                    sent += 1000;
                    pings += u64::from(burst.ping.is_some());
                }
                Response::Bitfield(..) => unreachable!("nobody asked which pieces are here"),
                Response::Ping(_) => break,
            }
        }
        if session.requests.is_empty() {
            deficit = 0;
        }
        assert!(sent <= turn * u64::from(QUANTUM), "{sent} bytes in {turn} turns");
    }
    assert!(pings >= 60, "it is asked {pings} times whether it listens, in {sent} bytes");
    // The downloader answers nothing for three seconds and is sent at most 64 KiB in each millisecond. Then the queue
    // is dropped.
    assert!(sent <= 3_100 * u64::from(QUANTUM), "{sent} bytes to who does not answer");
    assert!(session.requests.is_empty() && !session.requests.has_requests());
    session.requests.push_probe(&Probe { id: 2, sizes: List::first_of([size(9000)]) }, 1500);
    assert!(session.requests.is_empty(), "longer than this owner sends");
}

#[test]
fn a_downloader_that_does_not_answer_is_sent_nothing_more() {
    let (mut session, served) = session();
    let mut rng = StdRng::seed_from_u64(1);
    let mut breaker = CircuitBreaker::new(Timestamp::ZERO);
    let mut respond = |session: &mut UploadSession, breaker: &mut CircuitBreaker, number, now| {
        ask(session, &served, number, range(0, 0, 1000)).expect("the queue has space");
        let mut deficit = QUANTUM;
        session.poll_response(&served, &mut deficit, breaker, now, &mut rng)
    };
    let mut now = Timestamp::ZERO + Duration::from_secs(10);
    let mut number = 0;
    let last = loop {
        number += 1;
        now += Duration::from_millis(100);
        match respond(&mut session, &mut breaker, number, now) {
            Some(Response::Burst(_)) => {}
            other => break other,
        }
    };
    let seconds = now.since(Timestamp::ZERO).as_secs();
    assert!((13..=14).contains(&seconds), "{last:?} after {seconds} s");
    now += Duration::from_millis(600);
    let probed = (0..10).find_map(|tries| respond(&mut session, &mut breaker, 1000 + tries, now));
    let Some(Response::Ping(nonce)) = probed else { panic!("{probed:?}") };
    now += Duration::from_millis(100);
    session.on_pong(nonce ^ 1, &mut breaker, now);
    assert_eq!(respond(&mut session, &mut breaker, 2000, now), None, "no nonce of its own");
    session.on_pong(nonce, &mut breaker, now);
    assert!(matches!(respond(&mut session, &mut breaker, 2001, now), Some(Response::Burst(_))));
}
