//! Samples of what is said about codes.

use messages::codes::{
    Answer, AnswerStep, Call, CallStep, CodeNumber, Offer, Offered, Uncalled, UncalledReason, Withdraw,
};
use messages::{CodeMessage, ExchangeId, List};

use super::Sample;

/// One of each kind and variant.
pub(super) fn all() -> Vec<Sample> {
    let number = CodeNumber::new(0x0103).expect("a number");
    let number_bytes = || ("number", vec![0x03, 0x01]);
    let exchange = ExchangeId::from_bytes([0x44; 16]);
    let exchange_bytes = || ("exchange", vec![0x44; 16]);
    let sample = |title, message: CodeMessage, body: Vec<(&'static str, Vec<u8>)>| {
        Sample::new(title, message.kind(), message, body)
    };
    let call = |title, step, body: [(&'static str, Vec<u8>); 2]| {
        let message = Call { number, exchange, step };
        sample(title, message.into(), [number_bytes(), exchange_bytes()].into_iter().chain(body).collect())
    };
    let answer = |title, step, body: Vec<(&'static str, Vec<u8>)>| {
        sample(title, Answer { exchange, step }.into(), [exchange_bytes()].into_iter().chain(body).collect())
    };
    let gift = AnswerStep::Gift { proof: [0x66; 32], sealed: List::first_of([0x67]) };
    vec![
        sample("OFFER", Offer { number: Some(number) }.into(), vec![("has_number", vec![1]), number_bytes()]),
        sample(
            "OFFERED",
            Offered { number, lease_ms: 45_000 }.into(),
            vec![number_bytes(), ("lease_ms", vec![0xc8, 0xaf, 0, 0])],
        ),
        sample("WITHDRAW", Withdraw { number }.into(), vec![number_bytes()]),
        call(
            "CALL: Begin",
            CallStep::Begin([0x65; 32]),
            [("step", vec![0, 0, 0, 0]), ("message", vec![0x65; 32])],
        ),
        call(
            "CALL: Confirm",
            CallStep::Confirm([0x66; 32]),
            [("step", vec![1, 0, 0, 0]), ("proof", vec![0x66; 32])],
        ),
        answer(
            "ANSWER: Begin",
            AnswerStep::Begin([0x65; 32]),
            vec![("step", vec![0, 0, 0, 0]), ("message", vec![0x65; 32])],
        ),
        answer(
            "ANSWER: Gift",
            gift,
            vec![
                ("step", vec![1, 0, 0, 0]),
                ("proof", vec![0x66; 32]),
                ("count", vec![1, 0]),
                ("sealed[0]", vec![0x67]),
            ],
        ),
        answer("ANSWER: Wrong", AnswerStep::Wrong, vec![("step", vec![2, 0, 0, 0])]),
        answer("ANSWER: Dead", AnswerStep::Dead, vec![("step", vec![3, 0, 0, 0])]),
        sample(
            "UNCALLED",
            Uncalled { reason: UncalledReason::TooFast, retry_after_ms: 250 }.into(),
            vec![("reason", vec![4, 0, 0, 0]), ("retry_after_ms", vec![250, 0, 0, 0])],
        ),
    ]
}
