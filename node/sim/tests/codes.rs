//! Codes over a real desk and sealed channels: a room that fetches, and guessers at many hosts that guess in parallel.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use channel::{
    ChannelSettings, Channels, Code, CodeGift, CodeWords, Policy, Received, Role, StaticKey, Suite,
    SwarmSecret, Ticket,
};
use messages::{BootEpoch, ContentId, Conversation, ExchangeId, Timestamp};
use riffle_core::{CallEnd, CodeCall, CodeCallStep, CodeOffer, CodeOfferStep, OfferLimits, OfferNews};
use tracker::{CodeDesk, Output};

/// One way through the network.
const DELAY: Duration = Duration::from_millis(5);

fn start() -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(1000)
}

fn desk_address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 100], 12345))
}

/// The address of the party with this number, each at a host of its own.
fn address(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from(([10, 1, high, low], 4000))
}

fn channels(number: u16, role: Role) -> Channels {
    let mut key = [7; 32];
    // Bits of the first and the last byte mean nothing (RFC 7748).
    key[8..10].copy_from_slice(&number.to_be_bytes());
    Channels::new(ChannelSettings {
        key: StaticKey::from_secret(key),
        swarm: SwarmSecret::codes(),
        policy: Policy::SEALED,
        role,
        max_channels: CodeDesk::MAX_CHANNELS,
        max_channels_per_host: CodeDesk::MAX_CHANNELS_PER_HOST,
        epoch: BootEpoch(1),
        secret: key,
        suite: Suite::Aes128Gcm,
    })
}

fn gift() -> CodeGift {
    let ticket = Ticket::new(ContentId::from_bytes([7; 32]), "10.0.0.7:12345".parse().expect("a tracker"));
    CodeGift::new(ticket, Some(SwarmSecret::from_bytes([9; 32]).into()))
}

enum Side {
    Sender(Box<CodeOffer>),
    Receiver(Box<CodeCall>),
}

struct Party {
    channels: Channels,
    side: Side,
}

/// A desk, a sender, and those who call it.
struct World {
    desk: CodeDesk,
    now: Timestamp,
    parties: BTreeMap<SocketAddr, Party>,
    news: Vec<OfferNews>,
    ends: BTreeMap<SocketAddr, CallEnd>,
    /// What is on its way to a party, or from one to the desk.
    to_party: Vec<(SocketAddr, Vec<u8>)>,
    to_desk: Vec<(SocketAddr, Vec<u8>)>,
}

impl World {
    fn new() -> World {
        let offer = CodeOffer::new(gift(), OfferLimits::default(), [3; 32], start());
        let sender = Party { channels: channels(0, Role::Node), side: Side::Sender(Box::new(offer)) };
        let mut world = World {
            desk: CodeDesk::new(channels(u16::MAX, Role::Tracker), 1, start()),
            now: start(),
            parties: BTreeMap::from([(address(0), sender)]),
            news: Vec::new(),
            ends: BTreeMap::new(),
            to_party: Vec::new(),
            to_desk: Vec::new(),
        };
        world.play_until(|world| !world.news.is_empty());
        world
    }

    fn code(&self) -> Code {
        match &self.news[0] {
            OfferNews::Ready(code) => code.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn call(&mut self, number: u16, code: &Code) {
        let exchange =
            ExchangeId::from_bytes([number.to_be_bytes(); 8].concat().try_into().expect("16 bytes"));
        let call = CodeCall::new(code, exchange, Conversation(number.into()), &[number as u8; 32], self.now);
        let party = Party { channels: channels(number, Role::Node), side: Side::Receiver(Box::new(call)) };
        self.parties.insert(address(number), party);
    }

    fn play_until(&mut self, is_over: impl Fn(&World) -> bool) {
        for _ in 0..20_000 {
            if is_over(self) {
                return;
            }
            self.step();
        }
        panic!("it does not end: {:?}", self.news);
    }

    /// What is on its way arrives, everybody says what is to be said, and time passes.
    fn step(&mut self) {
        let now = self.now;
        for (from, mut bytes) in std::mem::take(&mut self.to_desk) {
            assert!(self.desk.concerns(from, &bytes));
            self.desk.handle_sealed(from, None, &mut bytes, now);
        }
        let mut out = Output::default();
        self.desk.poll(now, &mut out);
        for (to, mut bytes) in std::mem::take(&mut self.to_party) {
            let Some(Party { channels, side }) = self.parties.get_mut(&to) else { continue };
            let plain = match channels.handle(desk_address(), &mut bytes, now) {
                Received::Opened { range, .. } => vec![bytes[range].to_vec()],
                Received::Greeted { early, .. } => early,
                Received::Answered | Received::Nothing => Vec::new(),
            };
            for datagram in plain {
                match side {
                    Side::Sender(offer) => offer.handle_datagram(&datagram, now),
                    Side::Receiver(call) => call.handle_datagram(&datagram, now),
                }
            }
            self.to_desk.extend(channels.take_outbox().into_iter().map(|(_, bytes)| (to, bytes)));
        }
        self.to_party.extend(out.datagrams().map(|(outgoing, bytes)| (outgoing.to, bytes.to_vec())));
        let mut over = Vec::new();
        for (&at, Party { channels, side }) in &mut self.parties {
            loop {
                let (mut datagram, mut sealed) = (Vec::new(), Vec::new());
                match side {
                    Side::Sender(offer) => match offer.poll(now, &mut datagram) {
                        CodeOfferStep::Send => {}
                        CodeOfferStep::News(news) => {
                            self.news.push(news);
                            continue;
                        }
                        CodeOfferStep::Wait(_) | CodeOfferStep::Over(_) => break,
                    },
                    Side::Receiver(call) => match call.poll(now, &mut datagram) {
                        CodeCallStep::Send => {}
                        CodeCallStep::Wait(_) => break,
                        CodeCallStep::Over(end) => {
                            self.ends.insert(at, end);
                            over.push(at);
                            break;
                        }
                    },
                }
                let leaves = channels.seal(desk_address(), &datagram, now, &mut sealed);
                self.to_desk.extend(channels.take_outbox().into_iter().map(|(_, bytes)| (at, bytes)));
                self.to_desk.extend(leaves.then_some((at, sealed)));
            }
        }
        over.iter().for_each(|at| drop(self.parties.remove(at)));
        self.now += DELAY;
    }

    fn ended(&self, like: &CallEnd) -> usize {
        self.ends.values().filter(|end| *end == like).count()
    }
}

#[test]
fn a_room_of_two_hundred_gets_the_gift_with_one_code() {
    let mut world = World::new();
    let code = world.code();
    assert!(code.number.value() <= 99, "a short number: {}", code.number);
    (1..=200).for_each(|number| world.call(number, &code));
    world.play_until(|world| world.ends.len() == 200);
    assert_eq!(world.ended(&CallEnd::Got(Box::new(gift()))), 200);
    assert!(world.now.since(start()) < Duration::from_secs(2), "{:?}", world.now.since(start()));
    assert_eq!(world.desk.counters().calls, 400);
}

#[test]
fn guessers_at_many_hosts_get_ten_guesses_together_and_no_gift() {
    let mut world = World::new();
    let code = world.code();
    world.call(1, &code);
    world.play_until(|world| world.ends.len() == 1);
    assert_eq!(world.ended(&CallEnd::Got(Box::new(gift()))), 1, "before they guess");
    for number in 2..=600_u16 {
        let [high, low] = number.to_be_bytes();
        let guess = Code { words: CodeWords::from_bytes([high, low, 0]), ..code.clone() };
        assert_ne!(guess, code);
        world.call(number, &guess);
    }
    // Somebody honest is late among them.
    world.call(601, &code);
    world.play_until(|world| world.ends.len() == 601);
    assert_eq!((world.ended(&CallEnd::Wrong), world.ended(&CallEnd::Dead)), (10, 590));
    assert_eq!(world.ended(&CallEnd::Got(Box::new(gift()))), 1);
    let wrong = world.news.iter().filter(|news| matches!(news, OfferNews::WrongWords { .. })).count();
    assert_eq!((wrong, world.news.last()), (9, Some(&OfferNews::Dead)), "the sender is told");
}
