//! The receiver's side of a code: one exchange, and what comes of it.

use std::time::Duration;

use channel::{Code, CodeConfirmed, CodeGift, CodeReceiver};
use messages::codes::{Answer, AnswerStep, Call, CallStep, CodeNumber, Uncalled, UncalledReason};
use messages::{CodeMessage, Conversation, Datagram, ExchangeId, Timestamp};

use super::{DESK_TIMEOUT, Repetition};

/// A sender that does not answer for so long is not there.
const SENDER_TIMEOUT: Duration = Duration::from_secs(20);

/// What the driver is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum CodeCallStep {
    /// Send the datagram that was written.
    Send,
    /// Wait until then, or until a datagram comes.
    Wait(Timestamp),
    /// It is over.
    Over(CallEnd),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The code was right.
    Got(Box<CodeGift>),
    /// The sender has other words; or who answered is not the sender, and does not know the words.
    Wrong,
    /// There were too many wrong words, of whomever: the code is good for nobody any more.
    Dead,
    /// There is no code with this number.
    NoSuchNumber,
    /// There was one until a few minutes ago.
    Ended,
    /// Too many others call, or too much is asked from here.
    Busy,
    /// The desk passes on what is said, and the sender does not answer.
    SenderSilent,
    /// Nothing answers: there is no tracker, or it serves no codes.
    DeskSilent,
    /// The words are right, and what came is nothing that this program can use: the sender's is another version.
    Unusable,
}

/// How far the exchange is.
#[derive(Debug)]
enum State {
    Begun(CodeReceiver),
    Confirming(CodeConfirmed),
    Over(CallEnd),
}

/// One receiver's exchange with the sender of a code.
///
/// It is one guess of whoever answers, too: so it takes one message of the sender, says one proof, and never begins
/// again by itself.
#[derive(Debug)]
pub struct CodeCall {
    number: CodeNumber,
    exchange: ExchangeId,
    conversation: Conversation,
    state: State,
    repetition: Repetition,
    give_up_at: Timestamp,
    /// What the desk said last, if it did not pass a call on.
    refused: Option<UncalledReason>,
    has_heard: bool,
}

impl CodeCall {
    /// A call to the sender of `code`. `exchange`, `conversation` and `chance` are random.
    #[must_use]
    pub fn new(
        code: &Code,
        exchange: ExchangeId,
        conversation: Conversation,
        chance: &[u8; 32],
        now: Timestamp,
    ) -> CodeCall {
        CodeCall {
            number: code.number,
            exchange,
            conversation,
            state: State::Begun(CodeReceiver::begin(code, exchange, chance)),
            repetition: Repetition::from(now),
            give_up_at: now + SENDER_TIMEOUT,
            refused: None,
            has_heard: false,
        }
    }

    /// The tracker has opened a channel: there is a desk.
    pub fn on_desk(&mut self) {
        self.has_heard = true;
    }

    /// Returns what to do next. A datagram that is to be sent is appended to `datagram`.
    pub fn poll(&mut self, now: Timestamp, datagram: &mut Vec<u8>) -> CodeCallStep {
        let give_up_at =
            if self.has_heard { self.give_up_at } else { self.give_up_at - (SENDER_TIMEOUT - DESK_TIMEOUT) };
        if now >= give_up_at && !matches!(self.state, State::Over(_)) {
            self.state = State::Over(match (self.has_heard, self.refused) {
                (false, _) => CallEnd::DeskSilent,
                (true, Some(_)) => CallEnd::Busy,
                (true, None) => CallEnd::SenderSilent,
            });
        }
        let step = match &self.state {
            State::Begun(receiver) => CallStep::Begin(*receiver.message()),
            State::Confirming(receiver) => CallStep::Confirm(receiver.proof()),
            State::Over(end) => return CodeCallStep::Over(end.clone()),
        };
        if self.repetition.is_due(now) {
            let call = Call { number: self.number, exchange: self.exchange, step };
            messages::encode(self.conversation, &call, datagram);
            return CodeCallStep::Send;
        }
        CodeCallStep::Wait(self.repetition.due.min(give_up_at))
    }

    /// Takes in a datagram of the desk. One that does not belong to the exchange is ignored.
    pub fn handle_datagram(&mut self, datagram: &[u8], now: Timestamp) {
        let Ok(Datagram::Code(conversation, message)) = Datagram::decode(datagram) else { return };
        if conversation != self.conversation {
            return;
        }
        match message {
            CodeMessage::Answer(Answer { exchange, step }) if exchange == self.exchange => {
                self.on_answer(step, now);
            }
            CodeMessage::Uncalled(uncalled) => self.on_uncalled(uncalled, now),
            _ => {}
        }
        self.has_heard = true;
    }

    fn on_answer(&mut self, step: AnswerStep, now: Timestamp) {
        self.refused = None;
        let state = std::mem::replace(&mut self.state, State::Over(CallEnd::Wrong));
        self.state = match (state, step) {
            (over @ State::Over(_), _) => over,
            (_, AnswerStep::Dead) => State::Over(CallEnd::Dead),
            (State::Begun(receiver), AnswerStep::Begin(message)) => match receiver.confirm(&message) {
                Some(confirmed) => {
                    self.repetition = Repetition::from(now);
                    self.give_up_at = now + SENDER_TIMEOUT;
                    State::Confirming(confirmed)
                }
                None => State::Over(CallEnd::Wrong),
            },
            (State::Confirming(receiver), AnswerStep::Gift { proof, sealed }) => {
                State::Over(match receiver.open(&proof, &sealed) {
                    Some(Ok(gift)) => CallEnd::Got(Box::new(gift)),
                    Some(Err(_)) => CallEnd::Unusable,
                    None => CallEnd::Wrong,
                })
            }
            (State::Confirming(_), AnswerStep::Wrong) => State::Over(CallEnd::Wrong),
            // The same said again, or an answer to what was not said.
            (same, _) => same,
        };
    }

    fn on_uncalled(&mut self, Uncalled { reason, retry_after_ms }: Uncalled, now: Timestamp) {
        if matches!(self.state, State::Over(_)) {
            return;
        }
        let end = match reason {
            UncalledReason::NoSuchNumber | UncalledReason::Taken => CallEnd::NoSuchNumber,
            UncalledReason::Ended => CallEnd::Ended,
            UncalledReason::Full | UncalledReason::TooFast => {
                self.refused = Some(reason);
                return self.repetition.rest(retry_after_ms, now);
            }
        };
        self.state = State::Over(end);
    }
}
