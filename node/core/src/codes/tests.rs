//! Senders and receivers of codes against each other, over a desk that passes on what they say, or loses it, or lies.

use std::collections::BTreeMap;

use channel::{Code, CodeGift, SwarmSecret, Ticket};
use messages::codes::{Answer, AnswerStep, Call, CallStep, CodeNumber, Offered, Uncalled, UncalledReason};
use messages::{CodeMessage, ContentId, Conversation, Datagram, ExchangeId};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const LIMITS: OfferLimits = OfferLimits { lifetime: Duration::from_secs(1800), guesses: 10 };

fn start() -> Timestamp {
    Timestamp::ZERO + 100 * SECOND
}

fn number() -> CodeNumber {
    CodeNumber::new(7).expect("a number")
}

fn gift() -> CodeGift {
    let ticket = Ticket::new(ContentId::from_bytes([7; 32]), "10.0.0.7:12345".parse().expect("a tracker"));
    CodeGift::new(ticket, Some(SwarmSecret::from_bytes([9; 32]).into()))
}

fn read(datagram: &[u8]) -> (Conversation, CodeMessage) {
    match Datagram::decode(datagram) {
        Ok(Datagram::Code(conversation, message)) => (conversation, message),
        other => panic!("{other:?}"),
    }
}

/// A sender, and what it has told its person.
struct Sender {
    offer: CodeOffer,
    news: Vec<OfferNews>,
    conversation: Conversation,
    now: Timestamp,
    end: Option<OfferEnd>,
    said: Vec<CodeMessage>,
}

impl Sender {
    /// A sender that has its number.
    fn ready() -> Sender {
        let mut sender = Sender {
            offer: CodeOffer::new(gift(), LIMITS, [3; 32], start()),
            news: Vec::new(),
            conversation: Conversation(0),
            now: start(),
            end: None,
            said: Vec::new(),
        };
        sender.drain();
        sender.hear(&Offered { number: number(), lease_ms: 45_000 }.into());
        sender
    }

    fn hear(&mut self, message: &CodeMessage) {
        let mut datagram = Vec::new();
        message.encode(self.conversation, &mut datagram);
        self.offer.handle_datagram(&datagram, self.now);
        self.drain();
    }

    fn drain(&mut self) -> Timestamp {
        loop {
            let mut datagram = Vec::new();
            match self.offer.poll(self.now, &mut datagram) {
                CodeOfferStep::Send => {
                    let (conversation, message) = read(&datagram);
                    self.conversation = conversation;
                    self.said.push(message);
                }
                CodeOfferStep::News(news) => self.news.push(news),
                CodeOfferStep::Wait(until) => return until,
                CodeOfferStep::Over(end) => {
                    self.end = Some(end);
                    return Timestamp::NEVER;
                }
            }
        }
    }

    /// The answer to `message`, if there is one.
    fn answer(&mut self, exchange: ExchangeId, step: CallStep) -> Option<AnswerStep> {
        self.said.clear();
        self.hear(&Call { number: number(), exchange, step }.into());
        match self.said.pop() {
            Some(CodeMessage::Answer(Answer { exchange: of, step })) if of == exchange => Some(step),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    fn code(&self) -> Code {
        self.offer.code().expect("it has a number")
    }
}

fn exchange(of: u16) -> ExchangeId {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&of.to_le_bytes());
    ExchangeId::from_bytes(bytes)
}

fn call(code: &Code, of: u16, now: Timestamp) -> CodeCall {
    CodeCall::new(code, exchange(of), Conversation(of.into()), &[of as u8; 32], now)
}

/// Another code than the sender's, with its number.
fn wrong(sender: &Sender, of: u16) -> Code {
    let words = channel::CodeWords::from_bytes([(of % 256) as u8, (of / 256) as u8, 0]);
    let code = Code { number: number(), words };
    assert_ne!(code, sender.code());
    code
}

/// Plays `calls` with the sender, a step of each in turn. Returns how each ended. `loses` says what the way loses.
fn play(sender: &mut Sender, calls: Vec<CodeCall>, mut loses: impl FnMut() -> bool) -> Vec<CallEnd> {
    let mut ends = BTreeMap::new();
    let mut calls: BTreeMap<usize, CodeCall> = calls.into_iter().enumerate().collect();
    while !calls.is_empty() {
        let mut wake = sender.drain();
        let mut over = Vec::new();
        for (&at, call) in &mut calls {
            let mut datagram = Vec::new();
            match call.poll(sender.now, &mut datagram) {
                CodeCallStep::Send => {
                    wake = sender.now;
                    let (conversation, message) = read(&datagram);
                    if loses() {
                        continue;
                    }
                    call.on_desk();
                    sender.said.clear();
                    sender.hear(&message);
                    for said in std::mem::take(&mut sender.said) {
                        if matches!(said, CodeMessage::Answer(_)) && !loses() {
                            let mut datagram = Vec::new();
                            said.encode(conversation, &mut datagram);
                            call.handle_datagram(&datagram, sender.now);
                            // The network may bring things twice.
                            call.handle_datagram(&datagram, sender.now);
                        }
                    }
                }
                CodeCallStep::Wait(until) => wake = wake.min(until),
                CodeCallStep::Over(end) => {
                    ends.insert(at, end);
                    over.push(at);
                }
            }
        }
        over.iter().for_each(|at| drop(calls.remove(at)));
        sender.now = sender.now.max(wake);
    }
    ends.into_values().collect()
}

#[test]
fn many_receivers_get_the_gift_with_one_code_however_much_is_lost() {
    let mut sender = Sender::ready();
    let code = sender.code();
    assert_eq!(sender.news, [OfferNews::Ready(code.clone())]);
    let mut chance = StdRng::seed_from_u64(5);
    let calls = (0..50).map(|of| call(&code, of, start())).collect();
    let ends = play(&mut sender, calls, || rand::RngExt::random_ratio(&mut chance, 3, 10));
    assert_eq!(ends.len(), 50);
    assert!(ends.iter().all(|end| *end == CallEnd::Got(Box::new(gift()))), "{ends:?}");
    assert_eq!(sender.news.last(), Some(&OfferNews::Given(50)));
    assert!(!sender.offer.is_dead());
}

#[test]
fn of_guesses_in_parallel_ten_are_answered_and_then_the_code_is_dead() {
    let mut sender = Sender::ready();
    let code = sender.code();
    let ends = play(&mut sender, vec![call(&code, 1000, start())], || false);
    assert_eq!(ends, [CallEnd::Got(Box::new(gift()))], "before the guessing");
    let guesses = (0..300).map(|of| call(&wrong(&sender, of), of, sender.now)).collect();
    let ends = play(&mut sender, guesses, || false);
    let count = |end: &CallEnd| ends.iter().filter(|one| *one == end).count();
    assert_eq!((count(&CallEnd::Wrong), count(&CallEnd::Dead)), (10, 290));
    assert!(sender.offer.is_dead());
    let told = sender.news.iter().filter(|news| matches!(news, OfferNews::WrongWords { .. })).count();
    assert_eq!((told, sender.news.last()), (9, Some(&OfferNews::Dead)));
    let last = call(&code, 1001, sender.now);
    let ends = play(&mut sender, vec![last], || false);
    assert_eq!(ends, [CallEnd::Dead], "the right words do not help any more");
}

#[test]
fn an_exchange_takes_one_proof_and_repeats_its_answer() {
    let mut sender = Sender::ready();
    let receiver = channel::CodeReceiver::begin(&sender.code(), exchange(1), &[1; 32]);
    let begin = CallStep::Begin(*receiver.message());
    let Some(AnswerStep::Begin(message)) = sender.answer(exchange(1), begin.clone()) else { panic!("begun") };
    assert_eq!(sender.answer(exchange(1), begin), Some(AnswerStep::Begin(message)), "the same again");
    assert_eq!(sender.answer(exchange(1), CallStep::Begin([9; 32])), None);
    let proof = receiver.confirm(&message).expect("a message").proof();
    for _ in 0..3 {
        assert_eq!(sender.answer(exchange(1), CallStep::Confirm([5; 32])), Some(AnswerStep::Wrong));
        // The right one comes too late.
        assert_eq!(sender.answer(exchange(1), CallStep::Confirm(proof)), None);
    }
    let told = OfferNews::WrongWords { left: 9 };
    assert_eq!(sender.news.iter().filter(|news| **news == told).count(), 1, "{:?}", sender.news);
    assert_eq!(sender.news.len(), 2);
    assert_eq!(sender.answer(exchange(2), CallStep::Confirm(proof)), None, "of no exchange");
}

#[test]
fn a_code_ends_by_time_and_gives_its_number_back() {
    let mut sender = Sender::ready();
    let mut offers = 0;
    while sender.end.is_none() {
        sender.said.clear();
        sender.now = sender.offer.poll_wait(sender.now);
        sender.drain();
        offers += sender.said.iter().filter(|said| matches!(said, CodeMessage::Offer(_))).count();
        if sender.said.iter().any(|said| matches!(said, CodeMessage::Offer(_))) {
            sender.hear(&Offered { number: number(), lease_ms: 45_000 }.into());
        }
    }
    assert_eq!((sender.end, sender.now), (Some(OfferEnd::TimeOver), start() + LIMITS.lifetime));
    assert!(matches!(sender.said[..], [CodeMessage::Withdraw(_)]), "{:?}", sender.said);
    assert!((170..=180).contains(&offers), "{offers}: it says every ten seconds that it is there");
}

impl CodeOffer {
    /// When there is something to do.
    fn poll_wait(&mut self, now: Timestamp) -> Timestamp {
        match self.poll(now, &mut Vec::new()) {
            CodeOfferStep::Wait(until) => until,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn without_a_desk_both_sides_say_so_after_a_few_seconds() {
    let mut now = start();
    let mut offer = CodeOffer::new(gift(), LIMITS, [3; 32], now);
    let end = loop {
        match offer.poll(now, &mut Vec::new()) {
            CodeOfferStep::Wait(until) => now = until,
            CodeOfferStep::Over(end) => break end,
            _ => {}
        }
    };
    assert_eq!((end, now), (OfferEnd::DeskSilent, start() + DESK_TIMEOUT));
    let code = "7-otter-violin-salt".parse().expect("a code");
    for (has_desk, expected, after) in
        [(false, CallEnd::DeskSilent, DESK_TIMEOUT), (true, CallEnd::SenderSilent, 20 * SECOND)]
    {
        let (mut call, mut now) = (call(&code, 1, start()), start());
        if has_desk {
            call.on_desk();
        }
        let end = loop {
            match call.poll(now, &mut Vec::new()) {
                CodeCallStep::Wait(until) => now = until,
                CodeCallStep::Over(end) => break end,
                CodeCallStep::Send => {}
            }
        };
        assert_eq!((end, now), (expected, start() + after));
    }
}

#[test]
fn a_receiver_gives_whoever_answers_one_chance() {
    let mut receiver = call(&"7-otter-violin-salt".parse().expect("a code"), 1, start());
    let other = "7-otter-violin-acorn".parse().expect("a code");
    let hear = |receiver: &mut CodeCall, step| {
        let mut datagram = Vec::new();
        let answer = Answer { exchange: exchange(1), step };
        messages::encode(Conversation(1), &answer, &mut datagram);
        receiver.handle_datagram(&datagram, start());
        datagram.clear();
        let _ = receiver.poll(start(), &mut datagram);
        (!datagram.is_empty()).then(|| read(&datagram).1)
    };
    let Some(CodeMessage::Call(Call { step: CallStep::Begin(begin), .. })) =
        hear(&mut receiver, AnswerStep::Wrong)
    else {
        panic!("nothing was proven that could be wrong")
    };
    let guess =
        |chance| channel::CodeSender::answer(&other, exchange(1), &begin, &[chance; 32]).expect("a message");
    let first = hear(&mut receiver, AnswerStep::Begin(*guess(1).message()));
    assert!(matches!(first, Some(CodeMessage::Call(Call { step: CallStep::Confirm(_), .. }))), "{first:?}");
    // Another guess is not answered with another proof.
    assert_eq!(hear(&mut receiver, AnswerStep::Begin(*guess(2).message())), None);
    let sealed = messages::List::first_of([0; 64]);
    hear(&mut receiver, AnswerStep::Gift { proof: [0; 32], sealed });
    assert_eq!(receiver.poll(start(), &mut Vec::new()), CodeCallStep::Over(CallEnd::Wrong));
}

#[test]
fn what_the_desk_says_ends_a_call_or_lets_it_wait() {
    let code = "7-otter-violin-salt".parse().expect("a code");
    let after = |reason, retry_after_ms| {
        let mut receiver = call(&code, 1, start());
        let _ = receiver.poll(start(), &mut Vec::new());
        let mut datagram = Vec::new();
        messages::encode(Conversation(1), &Uncalled { reason, retry_after_ms }, &mut datagram);
        receiver.handle_datagram(&datagram, start());
        receiver.poll(start(), &mut Vec::new())
    };
    let over = CodeCallStep::Over;
    assert_eq!(after(UncalledReason::NoSuchNumber, 0), over(CallEnd::NoSuchNumber));
    assert_eq!(after(UncalledReason::Ended, 0), over(CallEnd::Ended));
    assert_eq!(after(UncalledReason::TooFast, 3000), CodeCallStep::Wait(start() + 3 * SECOND));
    assert_eq!(after(UncalledReason::Full, u32::MAX), CodeCallStep::Wait(start() + MAX_REST));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_but_the_right_proof_gets_a_gift(steps in prop::collection::vec((0..4_u16, any::<bool>(), any::<[u8; 32]>()), 1..20)) {
        let mut sender = Sender::ready();
        for (of, is_begin, bytes) in steps {
            let step = if is_begin { CallStep::Begin(bytes) } else { CallStep::Confirm(bytes) };
            let answer = sender.answer(exchange(of), step);
            let is_gift = matches!(answer, Some(AnswerStep::Gift { .. }));
            prop_assert!(!is_gift);
        }
    }

    #[test]
    fn any_bytes_are_ignored_or_end_an_exchange(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0x51..=0x56_u8) {
        let mut datagram = vec![b'r', b'f', 2, kind, 1, 0, 0, 0];
        datagram.extend(bytes);
        let mut receiver = call(&"7-otter-violin-salt".parse().expect("a code"), 1, start());
        receiver.handle_datagram(&datagram, start());
        let _ = receiver.poll(start(), &mut Vec::new());
        let mut sender = Sender::ready();
        datagram[4..8].copy_from_slice(&sender.conversation.0.to_le_bytes());
        sender.offer.handle_datagram(&datagram, start());
        sender.drain();
        prop_assert_eq!(sender.offer.code(), Some(sender.code()));
    }
}
