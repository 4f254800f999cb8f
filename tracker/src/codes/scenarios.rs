//! The desk through its one door: sealed datagrams in, sealed datagrams out, time by hand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use channel::{ChannelSettings, Channels, Policy, Received, Role, StaticKey, Suite, SwarmSecret};
use messages::codes::{
    Answer, AnswerStep, Call, CallStep, CodeNumber, Offer, Offered, Uncalled, UncalledReason, Withdraw,
};
use messages::{BootEpoch, CodeMessage, Conversation, Datagram, ExchangeId, Timestamp};

use super::exchanges::{MAX_EXCHANGES, MAX_EXCHANGES_PER_HOST};
use super::numbers::{MAX_CODES, MAX_CODES_PER_HOST};
use super::{CodeDesk, LEASE};
use crate::{Event, Output};

const SECOND: Duration = Duration::from_secs(1);

fn desk_address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 100], 12345))
}

fn channels(key: [u8; 32], role: Role, secret: SwarmSecret) -> Channels {
    Channels::new(ChannelSettings {
        key: StaticKey::from_secret(key),
        swarm: secret,
        policy: Policy::SEALED,
        role,
        max_channels: CodeDesk::MAX_CHANNELS,
        max_channels_per_host: CodeDesk::MAX_CHANNELS_PER_HOST,
        epoch: BootEpoch(1),
        secret: key,
        suite: Suite::Aes128Gcm,
    })
}

/// A sender or a receiver.
struct Client {
    address: SocketAddr,
    channels: Channels,
}

/// A desk, its time, and those who have spoken with it.
struct Scene {
    desk: CodeDesk,
    now: Timestamp,
    clients: BTreeMap<SocketAddr, Client>,
    heard: BTreeMap<SocketAddr, Vec<(Conversation, CodeMessage)>>,
    events: Vec<Event>,
}

fn address(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from(([10, 1, high, low], 4000))
}

fn exchange(number: u16) -> ExchangeId {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    ExchangeId::from_bytes(bytes)
}

fn call(number: CodeNumber, of: u16) -> CodeMessage {
    Call { number, exchange: exchange(of), step: CallStep::Begin([1; 32]) }.into()
}

fn answer(of: u16) -> CodeMessage {
    Answer { exchange: exchange(of), step: AnswerStep::Begin([2; 32]) }.into()
}

fn uncalled(reason: UncalledReason) -> impl Fn(&(Conversation, CodeMessage)) -> bool {
    move |(_, message)| matches!(message, CodeMessage::Uncalled(Uncalled { reason: said, .. }) if *said == reason)
}

impl Scene {
    fn new() -> Scene {
        let now = Timestamp::ZERO + 1000 * SECOND;
        Scene {
            desk: CodeDesk::new(channels([1; 32], Role::Tracker, SwarmSecret::codes()), 1, now),
            now,
            clients: BTreeMap::new(),
            heard: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    fn client(&mut self, address: SocketAddr) -> &mut Client {
        self.clients.entry(address).or_insert_with(|| {
            let mut key = [7; 32];
            let octets = address.to_string();
            key[..octets.len()].copy_from_slice(octets.as_bytes());
            Client { address, channels: channels(key, Role::Node, SwarmSecret::codes()) }
        })
    }

    /// `message` is said from `address`, and all that follows from it. Returns what is heard there.
    fn say(&mut self, address: SocketAddr, message: &CodeMessage) -> Vec<(Conversation, CodeMessage)> {
        let (now, mut plain, mut sealed) = (self.now, Vec::new(), Vec::new());
        message.encode(Conversation(77), &mut plain);
        let client = self.client(address);
        let leaves = client.channels.seal(desk_address(), &plain, now, &mut sealed);
        let mut said: Vec<Vec<u8>> =
            client.channels.take_outbox().into_iter().map(|(_, bytes)| bytes).collect();
        said.extend(leaves.then_some(sealed));
        let mut pending: Vec<(SocketAddr, Vec<u8>)> =
            said.into_iter().map(|bytes| (address, bytes)).collect();
        while !pending.is_empty() {
            let mut answers = Vec::new();
            for (from, mut bytes) in pending.drain(..) {
                assert!(self.desk.concerns(from, &bytes));
                self.desk.handle_sealed(from, None, &mut bytes, self.now);
                answers.extend(self.poll());
            }
            for (to, mut bytes) in answers {
                let now = self.now;
                let client = self.client(to);
                let received = client.channels.handle(desk_address(), &mut bytes, now);
                let replies = client.channels.take_outbox();
                let at = client.address;
                pending.extend(replies.into_iter().map(|(_, bytes)| (at, bytes)));
                let plain = match received {
                    Received::Opened { range, .. } => vec![bytes[range].to_vec()],
                    Received::Greeted { early, .. } => early,
                    Received::Answered | Received::Nothing => Vec::new(),
                };
                for plain in plain {
                    let Ok(Datagram::Code(conversation, message)) = Datagram::decode(&plain) else {
                        panic!("a desk says nothing else")
                    };
                    self.heard.entry(to).or_default().push((conversation, message));
                }
            }
        }
        self.take_heard(address)
    }

    fn poll(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut out = Output::default();
        self.desk.poll(self.now, &mut out);
        let said = out.datagrams().map(|(outgoing, bytes)| (outgoing.to, bytes.to_vec())).collect();
        self.events.extend(out.events);
        said
    }

    fn take_heard(&mut self, address: SocketAddr) -> Vec<(Conversation, CodeMessage)> {
        self.heard.remove(&address).unwrap_or_default()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.poll();
    }

    /// The number that a sender gets.
    fn offer(&mut self, address: SocketAddr) -> CodeNumber {
        match self.say(address, &Offer { number: None }.into())[..] {
            [(Conversation(77), CodeMessage::Offered(Offered { number, lease_ms: 45_000 }))] => number,
            ref other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_call_reaches_the_sender_and_its_answer_the_caller() {
    let mut scene = Scene::new();
    let (sender, receivers) = (address(1), [address(2), address(3)]);
    let number = scene.offer(sender);
    assert!((1..=99).contains(&number.value()), "short ones first: {number}");
    for (of, receiver) in (2..).zip(receivers) {
        assert_eq!(scene.say(receiver, &call(number, of)), []);
        assert_eq!(scene.take_heard(sender), [(Conversation(77), call(number, of))]);
    }
    // In another order than they were asked.
    for (of, receiver) in [(3, receivers[1]), (2, receivers[0])] {
        assert_eq!(scene.say(sender, &answer(of)), []);
        assert_eq!(scene.take_heard(receiver), [(Conversation(77), answer(of))]);
    }
    assert_eq!(scene.desk.counters().calls, 2);
    assert!(matches!(scene.events[..], [Event::CodeOffered { .. }]), "{:?}", scene.events);
}

#[test]
fn a_sender_keeps_one_number_however_often_it_asks_and_as_long_as_it_asks() {
    let mut scene = Scene::new();
    let number = scene.offer(address(1));
    assert_eq!(scene.offer(address(1)), number, "the answer was lost");
    for _ in 0..10 {
        scene.pass(LEASE - SECOND);
        let heard = scene.say(address(1), &Offer { number: Some(number) }.into());
        assert!(matches!(heard[..], [(_, CodeMessage::Offered(_))]), "{heard:?}");
    }
    scene.pass(LEASE + SECOND);
    assert_eq!(scene.desk.codes(), 0);
    assert!(matches!(scene.events.last(), Some(Event::CodeEnded { .. })));
    let heard = scene.say(address(2), &call(number, 1));
    assert!(heard.iter().any(uncalled(UncalledReason::Ended)), "{heard:?}");
    let heard = scene.say(address(2), &Offer { number: Some(number) }.into());
    assert!(heard.iter().any(uncalled(UncalledReason::Taken)), "somebody may still be told of it: {heard:?}");
    // Who had it may have it again: the way to the tracker was cut for a while.
    let heard = scene.say(address(1), &Offer { number: Some(number) }.into());
    assert!(matches!(heard[..], [(_, CodeMessage::Offered(_))]), "{heard:?}");
}

#[test]
fn a_number_that_was_withdrawn_rests_and_nobody_else_withdraws_it() {
    let mut scene = Scene::new();
    let number = scene.offer(address(1));
    scene.say(address(2), &Withdraw { number }.into());
    assert_eq!(scene.desk.codes(), 1);
    scene.say(address(2), &call(number, 1));
    scene.say(address(1), &Withdraw { number }.into());
    assert_eq!(scene.desk.codes(), 0);
    assert_eq!(scene.say(address(1), &answer(1)), []);
    assert_eq!(scene.take_heard(address(2)), [], "the exchange is over, too");
    let heard = scene.say(address(2), &call(number, 1));
    assert!(heard.iter().any(uncalled(UncalledReason::Ended)), "{heard:?}");
    scene.pass(601 * SECOND);
    let heard = scene.say(address(2), &call(number, 1));
    assert!(heard.iter().any(uncalled(UncalledReason::NoSuchNumber)), "{heard:?}");
}

#[test]
fn nobody_answers_in_another_s_place_or_goes_on_with_another_s_exchange() {
    let mut scene = Scene::new();
    let number = scene.offer(address(1));
    scene.offer(address(4));
    scene.say(address(2), &call(number, 1));
    scene.take_heard(address(1));
    scene.say(address(3), &call(number, 1));
    assert_eq!(scene.take_heard(address(1)), []);
    scene.say(address(3), &answer(1));
    scene.say(address(4), &answer(1));
    assert_eq!(scene.take_heard(address(2)), []);
    scene.say(address(1), &answer(1));
    assert_eq!(scene.take_heard(address(2)).len(), 1);
}

#[test]
fn a_sender_cannot_flood_a_caller() {
    let mut scene = Scene::new();
    let number = scene.offer(address(1));
    scene.say(address(2), &call(number, 1));
    for _ in 0..100 {
        scene.say(address(1), &answer(1));
    }
    assert_eq!(scene.take_heard(address(2)).len(), 2);
    scene.pass(11 * SECOND);
    scene.say(address(2), &call(number, 1));
    scene.pass(11 * SECOND);
    scene.say(address(1), &answer(1));
    assert_eq!(scene.take_heard(address(2)), [], "it is over");
}

#[test]
fn who_counts_through_the_numbers_is_slowed_down_and_takes_nothing_from_others() {
    let mut scene = Scene::new();
    let number = scene.offer(address(1));
    let mut told = 0;
    for guess in (1..=9999).filter_map(CodeNumber::new).filter(|guess| *guess != number).take(500) {
        let heard = scene.say(address(2), &call(guess, 1));
        told += heard.iter().filter(|said| uncalled(UncalledReason::NoSuchNumber)(said)).count();
    }
    assert_eq!(told, 20);
    scene.say(address(3), &call(number, 2));
    assert_eq!(scene.take_heard(address(1)).len(), 1);
    // A whole room of one address calls a code that there is.
    let mut passed = 0;
    for of in 0..2000 {
        let from = SocketAddr::from(([10, 2, 0, 1], 1000 + of));
        scene.say(from, &call(number, 1000 + of));
        passed += scene.take_heard(address(1)).len();
        scene.now += Duration::from_micros(100);
    }
    // Its channels are bounded by the key agreements of a host, and its calls by exchanges.
    assert!((200..=MAX_EXCHANGES_PER_HOST).contains(&passed), "{passed}");
}

#[test]
fn numbers_are_bounded_in_all_and_of_each_host_and_no_two_are_the_same() {
    let mut scene = Scene::new();
    let of_host = |port: u16| SocketAddr::from(([10, 2, 0, 1], port));
    for port in 0..MAX_CODES_PER_HOST as u16 {
        scene.offer(of_host(1000 + port));
    }
    let heard = scene.say(of_host(5000), &Offer { number: None }.into());
    assert!(heard.iter().any(uncalled(UncalledReason::Full)), "{heard:?}");
    let mut numbers = Vec::new();
    for of in 1..=(MAX_CODES - MAX_CODES_PER_HOST) as u16 {
        scene.now += Duration::from_millis(2);
        numbers.push(scene.offer(address(of)));
    }
    let heard = scene.say(address(9999), &Offer { number: None }.into());
    assert!(heard.iter().any(uncalled(UncalledReason::Full)), "{heard:?}");
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!((sorted.len(), scene.desk.codes()), (numbers.len(), MAX_CODES));
    scene.pass(LEASE + SECOND);
    assert_eq!(scene.desk.codes(), 0);
    assert!(scene.desk.exchanges.next_end().is_none() && MAX_EXCHANGES > MAX_CODES);
}

#[test]
fn what_is_not_sealed_in_the_desk_s_swarm_concerns_it_not() {
    let scene = Scene::new();
    let mut plain = Vec::new();
    call(CodeNumber::new(1).expect("a number"), 1).encode(Conversation(1), &mut plain);
    assert!(!scene.desk.concerns(address(1), &plain));
    for secret in [SwarmSecret::open(), SwarmSecret::from_bytes([9; 32])] {
        let mut stranger = channels([9; 32], Role::Node, secret);
        stranger.seal(desk_address(), &plain, scene.now, &mut Vec::new());
        for (_, bytes) in stranger.take_outbox() {
            assert!(!scene.desk.concerns(address(1), &bytes));
        }
    }
}

#[test]
fn any_bytes_leave_the_desk_as_it_was() {
    let mut scene = Scene::new();
    let number = scene.offer(address(1));
    for kind in 0..=u8::MAX {
        for length in [8, 24, 80, 1200] {
            let mut bytes = vec![kind; length];
            bytes[..4].copy_from_slice(&[b'r', b'f', 2, kind]);
            scene.desk.handle_sealed(address(2), None, &mut bytes, scene.now);
        }
        // Sealed as it should be, but not for a desk.
        let mut plain = vec![b'r', b'f', 2, kind, 0, 0, 0, 0];
        plain.resize(64, kind);
        let (now, mut sealed) = (scene.now, Vec::new());
        if scene.client(address(1)).channels.seal(desk_address(), &plain, now, &mut sealed) {
            scene.desk.handle_sealed(address(1), None, &mut sealed, now);
        }
    }
    scene.poll();
    assert_eq!(scene.desk.codes(), 1);
    scene.say(address(3), &call(number, 2));
    assert_eq!(scene.take_heard(address(1)).len(), 1);
}
