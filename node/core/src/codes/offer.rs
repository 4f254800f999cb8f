//! The sender's side of a code: a number from the desk, the exchanges with those who call it, and the count of wrong
//! words.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use channel::{Code, CodeGift, CodeSender, CodeWords};
use messages::codes::{
    Answer, AnswerStep, Call, CallStep, CodeNumber, Offer, Offered, Uncalled, UncalledReason, Withdraw,
};
use messages::{CodeMessage, Conversation, Datagram, ExchangeId, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use zeroize::Zeroizing;

use super::{DESK_TIMEOUT, Repetition};

/// How often OFFER is said again: a desk lets a number go after a few times as long.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The most exchanges that are remembered; beyond that the one that began first is forgotten.
const MAX_EXCHANGES: usize = 1024;
/// An exchange is remembered for so long, so that what is repeated is answered again.
const EXCHANGE_LIFE: Duration = Duration::from_secs(30);
/// The most datagrams that wait to be sent.
const MAX_WAITING: usize = 2048;

/// How long and how often a code is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferLimits {
    /// For how long it is good.
    pub lifetime: Duration,
    /// How many wrong words are taken before it is good for nobody.
    pub guesses: u32,
}

impl Default for OfferLimits {
    fn default() -> OfferLimits {
        OfferLimits { lifetime: Duration::from_secs(30 * 60), guesses: 10 }
    }
}

/// What the driver is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum CodeOfferStep {
    /// Send the datagram that was written.
    Send,
    /// Wait until then, or until a datagram comes.
    Wait(Timestamp),
    /// Tell the person.
    News(OfferNews),
    /// The code is good no more, and nothing more is to be done.
    Over(OfferEnd),
}

/// What a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferNews {
    /// This is the code: it can be told now.
    Ready(Code),
    /// Somebody had the right words: so many by now.
    Given(u32),
    /// Somebody had wrong words. So many more are taken.
    WrongWords {
        /// How many more are taken.
        left: u32,
    },
    /// There were too many wrong words. The code is good for nobody any more; callers are told so until its time is over.
    Dead,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferEnd {
    /// Its time is over.
    TimeOver,
    /// There is no desk: no tracker answers, or it serves no codes.
    DeskSilent,
    /// The desk has no number, and says why.
    Refused(UncalledReason),
    /// Somebody asked for it.
    Withdrawn,
}

/// One exchange.
#[derive(Debug)]
enum Exchange {
    /// The sender's message was said.
    Begun(Box<CodeSender>),
    /// A proof was taken: this is the answer to it, and to no other.
    Proven { proof: [u8; 32], answer: Box<AnswerStep> },
}

#[derive(Debug)]
struct Kept {
    /// The receiver's first message and what it was answered with.
    begin: ([u8; 32], [u8; 32]),
    exchange: Exchange,
    began: Timestamp,
}

/// One code, as its sender has it.
#[derive(Debug)]
pub struct CodeOffer {
    words: CodeWords,
    gift: CodeGift,
    limits: OfferLimits,
    chance: StdRng,
    conversation: Conversation,
    number: Option<CodeNumber>,
    repetition: Repetition,
    /// Until when the desk must have answered for the first time, and then when the code ends.
    until: Timestamp,
    exchanges: BTreeMap<ExchangeId, Kept>,
    oldest_first: BTreeSet<(Timestamp, ExchangeId)>,
    given: u32,
    wrong: u32,
    answers: VecDeque<Answer>,
    news: VecDeque<OfferNews>,
    end: Option<OfferEnd>,
    withdraws: bool,
}

impl CodeOffer {
    /// A code for `gift`. All chance, its words among it, comes from `secret`: 32 random bytes that nobody else knows.
    #[must_use]
    pub fn new(gift: CodeGift, limits: OfferLimits, secret: [u8; 32], now: Timestamp) -> CodeOffer {
        let secret = Zeroizing::new(secret);
        let mut chance =
            StdRng::from_seed(blake3::derive_key("riffle 2026-11 code: chance of a sender", &*secret));
        CodeOffer {
            words: CodeWords::from_bytes(chance.random()),
            gift,
            limits,
            conversation: Conversation(chance.random()),
            chance,
            number: None,
            repetition: Repetition::from(now),
            until: now + DESK_TIMEOUT,
            exchanges: BTreeMap::new(),
            oldest_first: BTreeSet::new(),
            given: 0,
            wrong: 0,
            answers: VecDeque::new(),
            news: VecDeque::new(),
            end: None,
            withdraws: false,
        }
    }

    /// The code, when the desk has given it its number.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.number.map(|number| Code { number, words: self.words.clone() })
    }

    /// Whether the code is good for nobody because there were too many wrong words.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.wrong >= self.limits.guesses
    }

    /// Ends the code now.
    pub fn withdraw(&mut self) {
        self.finish(OfferEnd::Withdrawn);
    }

    fn finish(&mut self, end: OfferEnd) {
        if self.end.is_none() {
            self.end = Some(end);
            self.withdraws = self.number.is_some();
            self.answers.clear();
            self.exchanges.clear();
            self.oldest_first.clear();
        }
    }

    /// Returns what to do next. A datagram that is to be sent is appended to `datagram`.
    pub fn poll(&mut self, now: Timestamp, datagram: &mut Vec<u8>) -> CodeOfferStep {
        if now >= self.until {
            self.finish(if self.number.is_some() { OfferEnd::TimeOver } else { OfferEnd::DeskSilent });
        }
        if let Some(news) = self.news.pop_front() {
            return CodeOfferStep::News(news);
        }
        if let Some(answer) = self.answers.pop_front() {
            messages::encode(self.conversation, &answer, datagram);
            return CodeOfferStep::Send;
        }
        if let Some(end) = self.end {
            return match self.number.filter(|_| std::mem::take(&mut self.withdraws)) {
                Some(number) => {
                    messages::encode(self.conversation, &Withdraw { number }, datagram);
                    CodeOfferStep::Send
                }
                None => CodeOfferStep::Over(end),
            };
        }
        self.forget_old(now);
        if self.repetition.is_due(now) {
            messages::encode(self.conversation, &Offer { number: self.number }, datagram);
            return CodeOfferStep::Send;
        }
        CodeOfferStep::Wait(self.repetition.due.min(self.until))
    }

    fn forget_old(&mut self, now: Timestamp) {
        while let Some(&(began, id)) = self.oldest_first.first()
            && (now.since(began) >= EXCHANGE_LIFE || self.exchanges.len() > MAX_EXCHANGES)
        {
            self.oldest_first.remove(&(began, id));
            self.exchanges.remove(&id);
        }
    }

    /// Takes in a datagram of the desk.
    pub fn handle_datagram(&mut self, datagram: &[u8], now: Timestamp) {
        let Ok(Datagram::Code(conversation, message)) = Datagram::decode(datagram) else { return };
        if conversation != self.conversation || self.end.is_some() {
            return;
        }
        match message {
            CodeMessage::Offered(offered) => self.on_offered(offered, now),
            CodeMessage::Uncalled(uncalled) => self.on_uncalled(uncalled, now),
            CodeMessage::Call(call) if Some(call.number) == self.number => self.on_call(call, now),
            _ => {}
        }
    }

    fn on_offered(&mut self, Offered { number, .. }: Offered, now: Timestamp) {
        // The number is part of the code, which may have been told by now.
        if self.number.is_some_and(|known| known != number) {
            return;
        }
        self.repetition = Repetition { due: now + KEEP_ALIVE, ..Repetition::from(now) };
        if self.number.is_none() {
            self.number = Some(number);
            self.until = now + self.limits.lifetime;
            self.news.extend(self.code().map(OfferNews::Ready));
        }
    }

    fn on_uncalled(&mut self, Uncalled { reason, retry_after_ms }: Uncalled, now: Timestamp) {
        match reason {
            UncalledReason::TooFast => self.repetition.rest(retry_after_ms, now),
            // Once it has a number a sender has nothing else to ask for.
            _ => self.finish(OfferEnd::Refused(reason)),
        }
    }

    fn on_call(&mut self, Call { exchange, step, .. }: Call, now: Timestamp) {
        let answer = match step {
            _ if self.is_dead() => Some(AnswerStep::Dead),
            CallStep::Begin(message) => self.begin(exchange, &message, now),
            CallStep::Confirm(proof) => self.confirm(exchange, &proof),
        };
        if let Some(step) = answer
            && self.answers.len() < MAX_WAITING
        {
            self.answers.push_back(Answer { exchange, step });
        }
    }

    fn begin(&mut self, id: ExchangeId, message: &[u8; 32], now: Timestamp) -> Option<AnswerStep> {
        if let Some(Kept { begin: (said, answered), .. }) = self.exchanges.get(&id) {
            return (said == message).then_some(AnswerStep::Begin(*answered));
        }
        let (code, chance) = (self.code()?, Zeroizing::new(self.chance.random::<[u8; 32]>()));
        let sender = CodeSender::answer(&code, id, message, &chance)?;
        let answered = *sender.message();
        let exchange = Exchange::Begun(Box::new(sender));
        self.exchanges.insert(id, Kept { begin: (*message, answered), exchange, began: now });
        self.oldest_first.insert((now, id));
        self.forget_old(now);
        Some(AnswerStep::Begin(answered))
    }

    /// Takes one proof of an exchange, and counts it if it is wrong.
    fn confirm(&mut self, id: ExchangeId, proof: &[u8; 32]) -> Option<AnswerStep> {
        let Kept { begin, exchange, began } = self.exchanges.remove(&id)?;
        let (exchange, step) = match exchange {
            Exchange::Proven { proof: known, answer } => {
                let step = (known == *proof).then(|| (*answer).clone());
                (Exchange::Proven { proof: known, answer }, step)
            }
            Exchange::Begun(sender) => {
                let step = match sender.give(proof, &self.gift) {
                    Some((proof, sealed)) => {
                        self.given += 1;
                        self.news.push_back(OfferNews::Given(self.given));
                        AnswerStep::Gift { proof, sealed }
                    }
                    None => self.on_wrong(),
                };
                let answer = Box::new(step.clone());
                (Exchange::Proven { proof: *proof, answer }, Some(step))
            }
        };
        self.exchanges.insert(id, Kept { begin, exchange, began });
        step
    }

    fn on_wrong(&mut self) -> AnswerStep {
        self.wrong += 1;
        let left = self.limits.guesses.saturating_sub(self.wrong);
        self.news.push_back(if left == 0 { OfferNews::Dead } else { OfferNews::WrongWords { left } });
        AnswerStep::Wrong
    }
}
