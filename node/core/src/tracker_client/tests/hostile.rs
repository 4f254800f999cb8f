//! What a tracker that is confused or dishonest can make a node do, and what not.

use messages::List;
use messages::tracker_to_node::{ContentOwners, Listed, Owner};

use super::super::registration::HEARTBEAT;
use super::*;

/// The way in which a tracker answers.
type Answers = fn(&NodeToTracker, turn: u32) -> TrackerToNode;

fn refuse(code: RefusalCode, retry_after_ms: u32, turn: u32) -> TrackerToNode {
    let mut cookie = [1; 16];
    cookie[..4].copy_from_slice(&turn.to_be_bytes());
    Refused { code, retry_after_ms, cookie: Cookie::from_bytes(cookie) }.into()
}

fn restarted(turn: u32) -> TrackerToNode {
    Registered { interval_ms: 0, ..registered(turn.into(), true) }.into()
}

/// The worst answers of a tracker.
const WORST: &[(&str, Answers)] = &[
    ("another cookie each time", |_, turn| refuse(RefusalCode::Cookie, 0, turn)),
    ("the same cookie each time", |_, _| refuse(RefusalCode::Cookie, 0, 0)),
    ("registered, and not", |asked, turn| match asked {
        NodeToTracker::Register(_) => registered(1, false).into(),
        _ => refuse(RefusalCode::NotRegistered, 0, turn),
    }),
    ("restarted all the time, full", |asked, turn| match asked {
        NodeToTracker::Register(_) => restarted(turn),
        NodeToTracker::Own(_) => OwnedAnswer { accepted: 0 }.into(),
        _ => Owners::Unknown { whole_in_ms: 0 }.into(),
    }),
    ("forgets what it takes", |asked, turn| match asked {
        NodeToTracker::Register(_) => Registered { interval_ms: turn, ..registered(1, true) }.into(),
        NodeToTracker::Own(_) => OwnedAnswer { accepted: u16::MAX }.into(),
        _ => Goodbye.into(),
    }),
    ("full", |asked, turn| match asked {
        NodeToTracker::Register(_) => registered(1, turn.is_multiple_of(2)).into(),
        _ => refuse(RefusalCode::Full, 0, turn),
    }),
    ("too fast, come at once", |_, turn| refuse(RefusalCode::TooFast, 0, turn)),
    ("too fast, come in a month", |_, turn| refuse(RefusalCode::TooFast, u32::MAX, turn)),
    ("the id is another's", |_, turn| refuse(RefusalCode::IdInUse, 1, turn)),
    ("never what was asked", |_, turn| Updated { sequence: turn }.into()),
];

/// The largest number of datagrams a second that any of these trackers gets, on average.
const MAX_PER_SECOND: u64 = 60;

#[test]
fn no_tracker_makes_a_node_spin_or_wait_longer_than_a_heartbeat() {
    for (what, answers) in WORST {
        let mut fixture = Fixture::new();
        (0..200).for_each(|id| fixture.with(|client, _| client.announce(entry(id))));
        let query = Query::Content(entry(1).content);
        fixture.with(|client, cx| client.need(NeedTicket::Download(DownloadId(4)), query, cx));
        let (began, time) = (fixture.now, Duration::from_secs(200));
        let (mut sent, mut turn, mut events) = (0, 0, 0);
        while fixture.now.since(began) < time {
            fixture.shared.out.clear();
            let wait = fixture.with(|client, cx| client.poll(cx));
            events += fixture.shared.out.events.len() as u64;
            let ranges: Vec<_> = fixture.shared.out.datagrams.iter().map(|one| one.range.clone()).collect();
            let messages: Vec<_> = ranges
                .into_iter()
                .map(|range| match Datagram::decode(&fixture.shared.out.bytes[range]) {
                    Ok(Datagram::ToTracker(conversation, message)) => (conversation, message),
                    other => panic!("not for a tracker: {other:?}"),
                })
                .collect();
            sent += messages.len() as u64;
            assert!(wait.until > fixture.now, "{what}: spins");
            assert!(wait.until.since(fixture.now) <= HEARTBEAT, "{what}: waits for {:?}", wait.until);
            if messages.is_empty() {
                fixture.now = wait.until;
                continue;
            }
            // The tracker answers at once, and a second time.
            fixture.now += Duration::from_micros(100);
            for (conversation, message) in messages {
                turn += 1;
                let answer = answers(&message, turn);
                fixture.answer(conversation, answer.clone());
                fixture.answer(conversation, answer);
            }
            events += std::mem::take(&mut fixture.shared.out.events).len() as u64;
        }
        assert!(sent / time.as_secs() <= MAX_PER_SECOND, "{what}: {sent} datagrams");
        assert!(events <= sent + 1, "{what}: {events} events for {sent} datagrams");
        // The tracker is honest again, and everything is announced soon.
        let whole_by = fixture.now + Duration::from_secs(25);
        while fixture.client.announcements.digest().0 < 200 && fixture.now < whole_by {
            for (conversation, message) in fixture.sent() {
                let answer: TrackerToNode = match message {
                    NodeToTracker::Register(_) => registered(u64::MAX, false).into(),
                    NodeToTracker::Own(own) => {
                        OwnedAnswer { accepted: u16::try_from(own.entries.len()).expect("few") }.into()
                    }
                    _ => Owners::Unknown { whole_in_ms: 0 }.into(),
                };
                fixture.answer(conversation, answer);
            }
            fixture.now = fixture.with(|client, cx| client.poll(cx)).until;
        }
        assert_eq!(fixture.client.announcements.digest().0, 200, "{what}: and then all is well");
        assert!(fixture.client.answers(), "{what}");
    }
}

#[test]
fn a_tracker_that_lets_nobody_in_is_not_shown_as_answering_and_the_reason_is_reported() {
    for code in [RefusalCode::TooFast, RefusalCode::IdInUse, RefusalCode::Full, RefusalCode::Cookie] {
        let mut fixture = Fixture::new();
        let mut is_reported = false;
        for _ in 0..10 {
            for (conversation, _) in fixture.sent() {
                fixture.answer(conversation, refused(code, [5; 16]));
            }
            is_reported |= fixture.shared.out.events.contains(&Event::TrackerRefused { code });
            fixture.now += Duration::from_secs(5);
        }
        assert!(is_reported && !fixture.client.answers(), "{code:?}");
    }
}

fn owner(id: u8, address: &str) -> Owner {
    let endpoint = Endpoint::new(address.parse().expect("an address"));
    Owner { node: NodeId::from_bytes([id; 16]), endpoint, permille: Permille::COMPLETE }
}

fn owners_told(fixture: &mut Fixture, owners: &[Owner]) -> Vec<Owner> {
    let query = Query::Content(entry(1).content);
    fixture.with(|client, cx| client.need(NeedTicket::Download(DownloadId(4)), query, cx));
    let (conversation, _) = fixture.sent_one();
    let OwnEntry { content, length, name, .. } = entry(1);
    let listed = Listed { content, length, complete: 6, partial: 0, hosts: 6, age_s: 0, name };
    let owners = List::first_of(owners.iter().copied());
    match fixture.answer(conversation, Owners::Content(ContentOwners { content: listed, owners })) {
        TrackerReply::Owners(_, Owners::Content(found)) => found.owners.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn owners_that_cannot_be_are_not_believed_and_counted() {
    let honest = owner(1, "10.0.0.3:7000");
    let mut fixture = Fixture::joined();
    let lies = [
        honest,
        owner(2, "127.0.0.1:22"),
        owner(3, "[::1]:22"),
        owner(4, "10.0.0.2:4"),
        owner(5, "224.0.0.1:7000"),
        owner(6, "0.0.0.0:7000"),
        owner(6, "255.255.255.255:7000"),
        owner(6, "10.0.0.3:0"),
        owner(7, "10.0.0.4:7000"),
    ];
    assert_eq!(owners_told(&mut fixture, &lies), [honest]);
    assert_eq!(fixture.shared.counters.unexpected, 8);
}

#[test]
fn a_tracker_of_this_host_may_name_owners_of_this_host() {
    let mut fixture = Fixture::new();
    let local: SocketAddr = "127.0.0.1:12345".parse().expect("an address");
    fixture.with(|client, cx| client.use_tracker(local, cx));
    let (conversation, _) = fixture.sent_one();
    let message = registered(1, false).into();
    fixture.with(|client, cx| client.handle_message(local, conversation, message, cx));
    let query = Query::Content(entry(1).content);
    fixture.with(|client, cx| client.need(NeedTicket::Download(DownloadId(4)), query, cx));
    let (conversation, _) = fixture.sent_one();
    let OwnEntry { content, length, name, .. } = entry(1);
    let owners = List::first_of([owner(1, "127.0.0.1:7001")]);
    let found = ContentOwners {
        content: Listed { content, length, complete: 1, partial: 0, hosts: 1, age_s: 0, name },
        owners,
    };
    let message = Owners::Content(found).into();
    let reply = fixture.with(|client, cx| client.handle_message(local, conversation, message, cx));
    assert!(matches!(reply, TrackerReply::Owners(_, Owners::Content(found)) if found.owners.len() == 1));
}
