//! A node's conversation with a tracker that answers from a list.

mod hostile;

use messages::node_to_tracker::{Credit, Permille};
use messages::tracker_to_node::{
    Goodbye, Owned as OwnedAnswer, RefusalCode, Refused, Registered, TrackerPing, Updated,
};
use messages::{Conversation, Datagram, Endpoint, Name, TrackerToNode};

use super::registration::EXIT_TIMEOUT;
use super::*;
use crate::context::Shared;

/// A tracker client and what it shares with the rest of its node.
struct Fixture {
    client: TrackerClient,
    shared: Shared,
    now: Timestamp,
}

fn tracker() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 12345))
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::of(NodeId::from_bytes([7; 16]), 1)
    }

    fn of(node: NodeId, seed: u64) -> Fixture {
        let now = Timestamp::ZERO + Duration::from_secs(1);
        Fixture {
            client: TrackerClient::new(Some(tracker()), node, BootEpoch(3), now),
            shared: Shared::of_test(node, seed, now),
            now,
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut TrackerClient, &mut Context<'_>) -> T) -> T {
        act(&mut self.client, &mut self.shared.context(self.now))
    }

    /// The messages that the client sends when it is polled now.
    fn sent(&mut self) -> Vec<(Conversation, NodeToTracker)> {
        self.shared.out.clear();
        self.with(|client, cx| client.poll(cx));
        let decode = |range: std::ops::Range<usize>| match Datagram::decode(&self.shared.out.bytes[range]) {
            Ok(Datagram::ToTracker(conversation, message)) => (conversation, message),
            other => panic!("not for a tracker: {other:?}"),
        };
        self.shared.out.datagrams.iter().map(|datagram| decode(datagram.range.clone())).collect()
    }

    fn sent_one(&mut self) -> (Conversation, NodeToTracker) {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    fn answer(&mut self, conversation: Conversation, message: impl Into<TrackerToNode>) -> TrackerReply {
        let message = message.into();
        self.with(|client, cx| client.handle_message(tracker(), conversation, message, cx))
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    fn joined() -> Fixture {
        let mut fixture = Fixture::new();
        let (conversation, _) = fixture.sent_one();
        fixture.answer(conversation, registered(1, false));
        fixture
    }
}

fn registered(tracker_epoch: u64, resync: bool) -> Registered {
    let observed = Endpoint::new(SocketAddr::from(([10, 0, 0, 2], 4)));
    Registered { cookie: Cookie::from_bytes([9; 16]), tracker_epoch, interval_ms: 20_000, resync, observed }
}

fn entry(id: u8) -> OwnEntry {
    OwnEntry {
        content: ContentId::from_bytes([id; 32]),
        length: 5,
        permille: Permille::COMPLETE,
        withdrawn: false,
        name: Name::new("a").expect("a name"),
    }
}

fn refused(code: RefusalCode, cookie: [u8; 16]) -> Refused {
    Refused { code, retry_after_ms: 0, cookie: Cookie::from_bytes(cookie) }
}

#[test]
fn an_unanswered_register_is_repeated_ever_more_rarely_and_never_later_than_the_heartbeat() {
    let mut fixture = Fixture::new();
    let mut sent_at = Vec::new();
    while sent_at.len() < 12 {
        sent_at.extend(fixture.sent().iter().map(|_| fixture.now));
        let wait = fixture.with(|client, cx| client.poll(cx));
        assert!(wait.until > fixture.now && wait.until < Timestamp::NEVER, "{wait:?}");
        fixture.now = wait.until;
    }
    let gaps: Vec<Duration> = sent_at.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(gaps.iter().all(|gap| *gap <= MAX_REGISTER_RETRY), "{gaps:?}");
    assert!(*gaps.iter().max().expect("gaps") >= MAX_REGISTER_RETRY * 4 / 5, "{gaps:?}");
}

#[test]
fn a_refused_cookie_is_replaced_at_once() {
    let mut fixture = Fixture::new();
    let (conversation, _) = fixture.sent_one();
    fixture.answer(conversation, refused(RefusalCode::Cookie, [5; 16]));
    let NodeToTracker::Register(register) = fixture.sent_one().1 else { panic!("REGISTER is awaited") };
    assert_eq!(register.asker.cookie, Cookie::from_bytes([5; 16]));
}

#[test]
fn the_same_refused_cookie_does_not_start_a_storm() {
    let mut fixture = Fixture::new();
    let (conversation, _) = fixture.sent_one();
    fixture.answer(conversation, refused(RefusalCode::Cookie, [5; 16]));
    fixture.sent_one();
    fixture.answer(conversation, refused(RefusalCode::Cookie, [5; 16]));
    assert_eq!(fixture.sent(), []);
}

#[test]
fn what_is_owned_is_announced_after_joining_and_once() {
    let mut fixture = Fixture::new();
    fixture.with(|client, _| client.announce(entry(1)));
    let (conversation, _) = fixture.sent_one();
    fixture.answer(conversation, registered(1, false));
    let (conversation, message) = fixture.sent_one();
    assert!(matches!(message, NodeToTracker::Own(own) if own.entries.len() == 1));
    let reply = fixture.answer(conversation, OwnedAnswer { accepted: 1 });
    assert!(matches!(reply, TrackerReply::Announced(contents) if contents == [entry(1).content]));
    fixture.wait(Duration::from_secs(1));
    assert_eq!(fixture.sent(), []);
}

#[test]
fn to_a_tracker_that_has_forgotten_everything_is_announced_again() {
    let mut fixture = Fixture::joined();
    fixture.with(|client, _| client.announce(entry(1)));
    let (conversation, _) = fixture.sent_one();
    fixture.answer(conversation, OwnedAnswer { accepted: 1 });
    fixture.wait(Duration::from_secs(20));
    let (conversation, message) = fixture.sent_one();
    assert!(matches!(message, NodeToTracker::Register(register) if register.contents == 1));
    fixture.answer(conversation, registered(2, true));
    assert!(matches!(fixture.sent_one().1, NodeToTracker::Own(_)));
}

#[test]
fn a_restarted_tracker_that_does_not_know_us_is_joined_again() {
    let mut fixture = Fixture::joined();
    let query = Query::Content(entry(1).content);
    fixture.with(|client, cx| client.need(NeedTicket::Download(DownloadId(4)), query, cx));
    let (need, _) = fixture.sent_one();
    fixture.answer(need, refused(RefusalCode::NotRegistered, [0; 16]));
    let (conversation, message) = fixture.sent_one();
    assert!(matches!(message, NodeToTracker::Register(_)));
    fixture.answer(conversation, registered(2, true));
    let (again, _) = fixture.sent_one();
    assert_eq!(again, need);
    let reply = fixture.answer(again, Owners::Unknown { whole_in_ms: 0 });
    assert!(matches!(
        reply,
        TrackerReply::Owners(NeedTicket::Download(DownloadId(4)), Owners::Unknown { .. })
    ));
}

#[test]
fn credits_are_gathered_and_reported_once_each() {
    let mut fixture = Fixture::joined();
    let (content, owner) = (entry(1).content, NodeId::from_bytes([8; 16]));
    let now = fixture.now;
    fixture.with(|client, _| {
        client.credit(content, owner, 10, now);
        client.credit(content, owner, 20, now);
    });
    assert_eq!(fixture.sent(), []);
    fixture.wait(Duration::from_secs(1));
    let (conversation, message) = fixture.sent_one();
    let NodeToTracker::Update(update) = message else { panic!("UPDATE is awaited") };
    assert_eq!((update.sequence, &update.credits[..]), (1, &[Credit { owner, bytes: 30 }][..]));
    fixture.answer(conversation, Updated { sequence: 1 });
    fixture.wait(Duration::from_secs(2));
    assert_eq!(fixture.sent(), []);
}

#[test]
fn exit_is_sent_until_it_is_answered_and_takes_a_second_at_most() {
    let mut fixture = Fixture::joined();
    fixture.with(|client, cx| client.leave(cx));
    let (conversation, message) = fixture.sent_one();
    assert!(matches!(message, NodeToTracker::Exit(_)));
    assert!(!fixture.client.has_left());
    fixture.answer(conversation, Goodbye);
    assert!(fixture.client.has_left());

    let mut unanswered = Fixture::joined();
    unanswered.with(|client, cx| client.leave(cx));
    unanswered.sent();
    unanswered.wait(EXIT_TIMEOUT);
    unanswered.sent();
    assert!(unanswered.client.has_left());
}

#[test]
fn a_tracker_that_was_not_asked_is_not_silent() {
    let mut fixture = Fixture::joined();
    fixture.wait(Duration::from_secs(20));
    assert_eq!(fixture.sent().len(), 1);
    fixture.wait(Duration::from_secs(1));
    fixture.sent();
    assert!(fixture.client.answers());
}

#[test]
fn messages_of_strangers_are_ignored() {
    let mut fixture = Fixture::new();
    let (conversation, _) = fixture.sent_one();
    let stranger = SocketAddr::from(([10, 0, 0, 66], 12345));
    let message = TrackerToNode::from(registered(1, false));
    fixture.with(|client, cx| client.handle_message(stranger, conversation, message.clone(), cx));
    fixture.with(|client, cx| client.handle_message(tracker(), Conversation(!conversation.0), message, cx));
    assert_eq!(fixture.shared.counters.unexpected, 2);
    assert!(!fixture.client.answers());
}

#[test]
fn a_tracker_s_ping_is_answered_in_the_conversation_of_a_register() {
    let mut fixture = Fixture::new();
    let (conversation, _) = fixture.sent_one();
    fixture.answer(conversation, registered(1, false));
    for (asked_in, answers) in [(conversation, 1), (Conversation(conversation.0 ^ 1), 0)] {
        fixture.shared.out.clear();
        fixture.answer(asked_in, TrackerPing { nonce: 5 });
        assert_eq!(
            fixture.shared.out.datagrams.len(),
            answers,
            "it answers for itself, and for nobody who was here before"
        );
    }
}

/// The tracker asks the old address whether anybody is there, which is not reported.
#[test]
fn a_node_that_is_put_off_asks_again_when_the_time_is_over_and_reports_nothing() {
    let mut fixture = Fixture::new();
    let (conversation, _) = fixture.sent_one();
    let in_use = |millis| Refused { retry_after_ms: millis, ..refused(RefusalCode::IdInUse, [0; 16]) };
    fixture.answer(conversation, in_use(1000));
    assert_eq!(fixture.shared.out.events, []);
    fixture.wait(Duration::from_millis(999));
    assert_eq!(fixture.sent(), []);
    fixture.wait(Duration::from_millis(1));
    let (conversation, message) = fixture.sent_one();
    assert!(matches!(message, NodeToTracker::Register(_)), "{message:?}");
    // The old address has answered.
    fixture.answer(conversation, in_use(18_000));
    assert_eq!(fixture.shared.out.events, [Event::TrackerRefused { code: RefusalCode::IdInUse }]);
    fixture.wait(Duration::from_secs(18));
    let (conversation, _) = fixture.sent_one();
    fixture.answer(conversation, registered(1, false));
    assert!(fixture.client.answers());
}

#[test]
fn a_silent_tracker_is_reported_once() {
    let mut fixture = Fixture::joined();
    let mut silent = 0;
    for _ in 0..200 {
        fixture.wait(Duration::from_millis(500));
        fixture.sent();
        silent += fixture
            .shared
            .out
            .events
            .iter()
            .filter(|event| matches!(event, Event::TrackerSilent { .. }))
            .count();
    }
    assert_eq!(silent, 1);
    assert!(!fixture.client.answers());
}

#[test]
fn a_tracker_that_is_silent_while_the_node_leaves_is_no_news() {
    let mut fixture = Fixture::joined();
    // A question is asked, and the node leaves just before the silence would be reported.
    let query = Query::Content(entry(1).content);
    fixture.with(|client, cx| client.need(NeedTicket::Download(DownloadId(4)), query, cx));
    fixture.sent();
    for _ in 0..9 {
        fixture.wait(Duration::from_millis(500));
        fixture.sent();
    }
    fixture.shared.out.clear();
    fixture.with(|client, cx| client.leave(cx));
    for _ in 0..4 {
        fixture.wait(Duration::from_millis(300));
        fixture.sent();
        assert_eq!(fixture.shared.out.events, []);
    }
}

#[test]
fn a_node_that_does_not_know_where_its_tracker_is_sends_nothing_until_it_is_told() {
    let mut fixture = Fixture::new();
    fixture.client = TrackerClient::new(None, NodeId::from_bytes([7; 16]), BootEpoch(3), fixture.now);
    let query = Query::Content(entry(1).content);
    fixture.with(|client, cx| {
        client.announce(entry(1));
        client.need(NeedTicket::Search(SearchId(1)), query.clone(), cx);
        client.need(NeedTicket::Download(DownloadId(4)), query, cx);
    });
    for _ in 0..100 {
        assert_eq!(fixture.sent(), []);
        let failed = Event::SearchFailed { search: SearchId(1) };
        assert!(
            fixture.shared.out.events.iter().all(|event| *event == failed),
            "{:?}",
            fixture.shared.out.events
        );
        fixture.wait(Duration::from_secs(1));
    }
    let wait = fixture.with(|client, cx| client.poll(cx));
    assert_eq!(wait.until, Timestamp::NEVER, "nothing is due for one who cannot be asked");
    fixture.with(|client, cx| client.use_tracker(tracker(), cx));
    let (conversation, message) = fixture.sent_one();
    assert!(matches!(message, NodeToTracker::Register(_)));
    fixture.answer(conversation, registered(1, false));
    let sent: Vec<NodeToTracker> = fixture.sent().into_iter().map(|(_, message)| message).collect();
    assert!(matches!(sent.as_slice(), [NodeToTracker::Need(_), NodeToTracker::Own(_)]), "{sent:?}");
    assert!(fixture.client.answers());
}

#[test]
fn a_node_that_leaves_without_ever_having_known_its_tracker_has_left_at_once() {
    let mut fixture = Fixture::new();
    fixture.client = TrackerClient::new(None, NodeId::from_bytes([7; 16]), BootEpoch(3), fixture.now);
    fixture.sent();
    fixture.with(|client, cx| client.leave(cx));
    assert!(fixture.client.has_left());
}

#[test]
fn what_a_silent_tracker_was_asked_is_asked_at_once_where_it_has_moved_to() {
    let mut fixture = Fixture::joined();
    let query = Query::Content(entry(1).content);
    fixture.with(|client, cx| client.need(NeedTicket::Download(DownloadId(4)), query, cx));
    while fixture.client.answers() {
        fixture.sent();
        fixture.wait(Duration::from_millis(500));
    }
    let moved = SocketAddr::from(([10, 0, 0, 7], 12345));
    fixture.with(|client, cx| client.use_tracker(moved, cx));
    let (conversation, message) = fixture.sent_one();
    assert!(matches!(message, NodeToTracker::Register(_)));
    assert_eq!(fixture.shared.out.datagrams[0].to, moved);
    let answer = TrackerToNode::from(registered(1, false));
    fixture.with(|client, cx| client.handle_message(tracker(), conversation, answer.clone(), cx));
    assert!(!fixture.client.answers(), "it is not there any more");
    fixture.with(|client, cx| client.handle_message(moved, conversation, answer, cx));
    assert!(fixture.client.answers());
    assert!(matches!(fixture.sent_one().1, NodeToTracker::Need(_)));
}
