//! Any text as a code; and a script of what a desk, a sender and a receiver of codes hear, from strangers and from a
//! desk that lies.

use std::net::SocketAddr;
use std::time::Duration;

use channel::{
    ChannelSettings, Channels, Code, CodeGift, Policy, Received, Role, StaticKey, Suite, SwarmSecret, Ticket,
    complete_code,
};
use messages::codes::{
    Answer, AnswerStep, Call, CallStep, CodeNumber, Offer, Offered, Uncalled, UncalledReason, Withdraw,
};
use messages::{BootEpoch, CodeMessage, ContentId, Conversation, Datagram, ExchangeId, List, Timestamp};
use riffle_core::{CallEnd, CodeCall, CodeCallStep, CodeOffer, CodeOfferStep, OfferLimits, OfferNews};
use tracker::{CodeDesk, Output};

use super::script::Script;

/// The code of the receiver, which the sender's never is: so nobody is ever given anything.
const OTHER: &str = "7-otter-violin-salt";
/// The most datagrams of a script.
const MAX_STEPS: usize = 200;

/// A code is shown as it is read; what is heard gives nothing away and takes no more than its share.
pub(crate) fn hold(bytes: &[u8]) -> Seen {
    if let Ok(text) = std::str::from_utf8(bytes) {
        written(text);
    }
    Seen { calls: at_the_desk(bytes), ..heard(bytes) }
}

fn written(text: &str) {
    for code in complete_code(text) {
        assert!(code.starts_with(text.rsplit_once('-').map_or("", |(before, _)| before)));
    }
    match text.parse::<Code>() {
        Ok(code) => {
            let shown = code.to_string();
            assert_eq!(shown.parse(), Ok(code));
            assert!(complete_code(&shown).contains(&shown));
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
}

fn gift() -> CodeGift {
    let tracker = "10.0.0.7:12345".parse().expect("a tracker");
    CodeGift::new(Ticket::new(ContentId::from_bytes([7; 32]), tracker), None)
}

/// A message about a code, with one of a few numbers and exchanges, or a kind with any bytes behind it.
fn datagram(script: &mut Script<'_>, conversation: Conversation) -> Vec<u8> {
    let number = CodeNumber::new(u16::from(script.byte() % 2) + 1).expect("a number");
    let exchange = ExchangeId::from_bytes([script.byte() % 8; 16]);
    let of = |step| Answer { exchange, step }.into();
    let message: CodeMessage = match script.byte() % 12 {
        0 => Offer { number: script.coin().then_some(number) }.into(),
        1 => Offered { number, lease_ms: script.word() }.into(),
        2 => Withdraw { number }.into(),
        3 | 4 => Call { number, exchange, step: CallStep::Begin([script.byte(); 32]) }.into(),
        5 | 6 => Call { number, exchange, step: CallStep::Confirm([script.byte(); 32]) }.into(),
        7 => of(AnswerStep::Begin([script.byte(); 32])),
        8 => of(AnswerStep::Gift {
            proof: [script.byte(); 32],
            sealed: List::first_of(script.bytes().to_vec()),
        }),
        9 => of(if script.coin() { AnswerStep::Wrong } else { AnswerStep::Dead }),
        10 => {
            let is_end = script.byte() % 8 == 7;
            let reason = if is_end { UncalledReason::NoSuchNumber } else { UncalledReason::TooFast };
            Uncalled { reason, retry_after_ms: script.word() }.into()
        }
        _ => {
            let mut datagram = vec![b'r', b'f', 2, script.byte()];
            datagram.extend(conversation.0.to_le_bytes());
            datagram.extend_from_slice(script.bytes());
            return datagram;
        }
    };
    let mut datagram = Vec::new();
    message.encode(conversation, &mut datagram);
    datagram
}

/// What came of a script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Exchanges that a sender has begun, and wrong proofs that it has counted.
    pub(crate) begun: usize,
    pub(crate) wrong: usize,
    /// CALLs that a desk has passed on.
    pub(crate) calls: usize,
}

/// A sender and a receiver hear what the script says.
fn heard(bytes: &[u8]) -> Seen {
    let mut script = Script::new(bytes);
    let mut now = Timestamp::ZERO + Duration::from_secs(100);
    let limits = OfferLimits { lifetime: Duration::from_secs(60), guesses: 3 };
    let mut offer = CodeOffer::new(gift(), limits, [3; 32], now);
    let mut offered = Vec::new();
    let number = CodeNumber::new(1).expect("a number");
    messages::encode(Conversation(0), &Offered { number, lease_ms: 45_000 }, &mut offered);
    let other: Code = OTHER.parse().expect("a code");
    let mut call = CodeCall::new(&other, ExchangeId::from_bytes([0; 16]), Conversation(1), &[4; 32], now);
    let (mut conversation, mut seen) = (Conversation(0), Seen::default());
    for _ in 0..MAX_STEPS {
        let mut said = Vec::new();
        match offer.poll(now, &mut said) {
            CodeOfferStep::Send => match Datagram::decode(&said) {
                Ok(Datagram::Code(of, CodeMessage::Offer(_))) => {
                    conversation = of;
                    // The desk has a number, whatever it says later.
                    offered[4..8].copy_from_slice(&of.0.to_le_bytes());
                    offer.handle_datagram(&offered, now);
                }
                Ok(Datagram::Code(_, CodeMessage::Answer(answer))) => {
                    let is_gift = matches!(answer.step, AnswerStep::Gift { .. });
                    assert!(!is_gift, "nobody has proven anything");
                    seen.begun += usize::from(matches!(answer.step, AnswerStep::Begin(_)));
                }
                Ok(Datagram::Code(_, CodeMessage::Withdraw(_))) => {}
                other => panic!("{other:?}"),
            },
            CodeOfferStep::News(OfferNews::WrongWords { .. } | OfferNews::Dead) => seen.wrong += 1,
            CodeOfferStep::News(OfferNews::Given(_)) => panic!("nobody has proven anything"),
            CodeOfferStep::News(OfferNews::Ready(code)) => assert_ne!(code.words, other.words),
            CodeOfferStep::Wait(until) => assert!(until >= now),
            CodeOfferStep::Over(_) => break,
        }
        let step = call.poll(now, &mut Vec::new());
        assert!(!matches!(step, CodeCallStep::Over(CallEnd::Got(_))), "the sender has other words");
        if script.is_over() {
            break;
        }
        now += Duration::from_millis(u64::from(script.byte()) / 2);
        let heard = datagram(&mut script, conversation);
        offer.handle_datagram(&heard, now);
        let mut heard = heard;
        heard[4..8].copy_from_slice(&1u32.to_le_bytes());
        call.handle_datagram(&heard, now);
    }
    assert!(seen.wrong <= 3, "{seen:?}");
    seen
}

fn channels(key: u8, role: Role) -> Channels {
    Channels::new(ChannelSettings {
        key: StaticKey::from_secret([key; 32]),
        swarm: SwarmSecret::codes(),
        policy: Policy::SEALED,
        role,
        max_channels: 8,
        max_channels_per_host: 8,
        epoch: BootEpoch(1),
        secret: [key; 32],
        suite: Suite::ChaCha20Poly1305,
    })
}

/// Two clients say to a desk what the script says, and strangers send it bytes.
fn at_the_desk(bytes: &[u8]) -> usize {
    let mut script = Script::new(bytes);
    if script.byte() & 3 != 1 {
        // Channels are slow: a part of the scripts is enough.
        return 0;
    }
    let mut now = Timestamp::ZERO + Duration::from_secs(100);
    let at = SocketAddr::from(([10, 0, 0, 100], 12345));
    let mut desk = CodeDesk::new(channels(1, Role::Tracker), 1, now);
    let mut clients: Vec<(SocketAddr, Channels)> = (2..4)
        .map(|number| (SocketAddr::from(([10, 0, 0, number], 1)), channels(number, Role::Node)))
        .collect();
    for _ in 0..MAX_STEPS {
        if script.is_over() {
            break;
        }
        now += Duration::from_millis(u64::from(script.byte()) * 100);
        let client = script.below(clients.len());
        let from = clients[client].0;
        let plain = datagram(&mut script, Conversation(9));
        let (_, channels) = &mut clients[client];
        let mut sealed = Vec::new();
        let leaves = channels.seal(at, &plain, now, &mut sealed);
        let mut said: Vec<Vec<u8>> = channels.take_outbox().into_iter().map(|(_, bytes)| bytes).collect();
        said.extend(leaves.then_some(sealed));
        // What is said in the clear, or is none of its channels, is not the desk's.
        desk.handle_sealed(from, None, &mut plain.clone(), now);
        for _ in 0..4 {
            for mut bytes in std::mem::take(&mut said) {
                assert!(desk.concerns(from, &bytes));
                desk.handle_sealed(from, None, &mut bytes, now);
            }
            let mut out = Output::default();
            desk.poll(now, &mut out);
            for (outgoing, bytes) in out.datagrams() {
                let Some((_, channels)) = clients.iter_mut().find(|(at, _)| *at == outgoing.to) else {
                    panic!("nobody else was there")
                };
                let received = channels.handle(at, &mut bytes.to_vec(), now);
                if let Received::Opened { range, .. } = &received {
                    assert!(range.len() <= messages::limits::CONTROL_DATAGRAM);
                }
                if outgoing.to == from {
                    said.extend(channels.take_outbox().into_iter().map(|(_, bytes)| bytes));
                }
            }
        }
    }
    assert!(desk.codes() <= clients.len(), "each has one number at most");
    desk.counters().calls as usize
}
