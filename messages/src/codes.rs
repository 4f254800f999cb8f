//! What senders, receivers and a tracker's desk say about codes. A code is a number, by which the desk knows the sender,
//! and words, which the desk never hears.
//!
//! All of it travels sealed, over channels of a swarm of its own that everybody is in: so addresses are proven, and a
//! sender is known by its key. What is inside of CALL and ANSWER is the crate `channel`'s.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::codec::Body;
use crate::id::ExchangeId;
use crate::kind::Kind;
use crate::limits::{MAX_CODE_NUMBER, MAX_SEALED_GIFT};
use crate::list::List;

/// The number of a code: 1 to [`MAX_CODE_NUMBER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct CodeNumber(u16);

impl CodeNumber {
    /// The number, if a code can have it.
    #[must_use]
    pub const fn new(number: u16) -> Option<CodeNumber> {
        if number >= 1 && number <= MAX_CODE_NUMBER { Some(CodeNumber(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CodeNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for CodeNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CodeNumber, D::Error> {
        let number = u16::deserialize(deserializer)?;
        CodeNumber::new(number).ok_or_else(|| serde::de::Error::custom("no code has that number"))
    }
}

/// OFFER: a number for a code, chosen by the desk; with the number, said again and again: it is still wanted. A sender
/// has one number at a time. Answered with OFFERED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The number that the sender has; `None`: any one.
    pub number: Option<CodeNumber>,
}

/// OFFERED: the sender has the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// The number.
    pub number: CodeNumber,
    /// For how long, in milliseconds, unless OFFER is said again.
    pub lease_ms: u32,
}

/// WITHDRAW: the number is not wanted any more. Not answered; a lease ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// The number.
    pub number: CodeNumber,
}

/// CALL: one step of an exchange with the sender that has the number. The desk passes it on as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Whom it is for.
    pub number: CodeNumber,
    /// Which exchange it belongs to: random, of one run of one receiver.
    pub exchange: ExchangeId,
    /// What is said.
    pub step: CallStep,
}

/// What a receiver says in an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallStep {
    /// Its SPAKE2 message.
    Begin([u8; 32]),
    /// The proof that it has the words.
    Confirm([u8; 32]),
}

/// ANSWER: the sender's part of an exchange. The desk passes it on to where the exchange's last CALL came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which exchange it belongs to.
    pub exchange: ExchangeId,
    /// What is said.
    pub step: AnswerStep,
}

/// What a sender says in an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerStep {
    /// Its SPAKE2 message.
    Begin([u8; 32]),
    /// The receiver has the words.
    Gift {
        /// The proof that the sender has them too.
        proof: [u8; 32],
        /// What the code stands for, sealed.
        sealed: List<u8, MAX_SEALED_GIFT>,
    },
    /// The receiver has other words: the exchange is over.
    Wrong,
    /// There were too many wrong words: the code is good for nobody any more.
    Dead,
}

/// UNCALLED: the desk did not carry out a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncalled {
    /// Why.
    pub reason: UncalledReason,
    /// After how many milliseconds it may be asked again; 0: it would be in vain.
    pub retry_after_ms: u32,
}

/// Why a desk does not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UncalledReason {
    /// No sender has the number.
    NoSuchNumber,
    /// A sender had the number until a few minutes ago.
    Ended,
    /// Another sender has the number.
    Taken,
    /// There are too many codes, or too many exchanges with this one.
    Full,
    /// Too many requests from this address.
    TooFast,
}

impl Body for Offer {
    const KIND: Kind = Kind::Offer;
}
impl Body for Offered {
    const KIND: Kind = Kind::Offered;
}
impl Body for Withdraw {
    const KIND: Kind = Kind::Withdraw;
}
impl Body for Call {
    const KIND: Kind = Kind::Call;
}
impl Body for Answer {
    const KIND: Kind = Kind::Answer;
}
impl Body for Uncalled {
    const KIND: Kind = Kind::Uncalled;
}
