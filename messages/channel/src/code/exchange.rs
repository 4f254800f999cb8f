//! The exchange by which a receiver gets what a code stands for: SPAKE2 (RFC 9382, in the form of the crate `spake2`)
//! under the words of the code.
//!
//! ```text
//! receiver                                    sender
//!    message  ───────────────────────────────▶
//!             ◀───────────────────────────────  message
//!    proof    ───────────────────────────────▶  the right one?
//!             ◀───────────────────────────────  proof, and the gift, sealed
//! ```
//!
//! The messages say nothing of the words, so that nothing can be tried offline. The receiver proves first that it has
//! them: what the sender says under a key that follows from the words is said to nobody else. A wrong proof is one
//! guess, and what guesses are worth is the caller's to count.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use messages::ExchangeId;
use messages::limits::MAX_SEALED_GIFT;
use messages::{List, codes::CodeNumber};
use rand_core::{CryptoRng, RngCore};
use spake2::{Ed25519Group, Identity, Password, Spake2};
use zeroize::Zeroizing;

use super::{Code, CodeGift};
use crate::aead::{AeadKey, Suite};

/// What `spake2` puts before a receiver's message, and before a sender's.
const OF_RECEIVER: u8 = b'A';
const OF_SENDER: u8 = b'B';

/// The receiver's side, until the sender's message comes.
#[derive(Debug)]
pub struct CodeReceiver {
    spake: Spake2<Ed25519Group>,
    number: CodeNumber,
    exchange: ExchangeId,
    message: [u8; 32],
}

impl CodeReceiver {
    /// Begins `exchange` with the sender of `code`. `chance`: 32 random bytes, used for nothing else.
    #[must_use]
    pub fn begin(code: &Code, exchange: ExchangeId, chance: &[u8; 32]) -> CodeReceiver {
        let [receiver, sender] = identities(code.number);
        let password = Password::new(code.words.text().as_bytes());
        let (spake, said) = Spake2::start_a_with_rng(&password, &receiver, &sender, Chance::new(chance));
        CodeReceiver { spake, number: code.number, exchange, message: message(&said) }
    }

    /// What to say first.
    #[must_use]
    pub fn message(&self) -> &[u8; 32] {
        &self.message
    }

    /// Takes in the sender's message, of which there is one: who answers gets one chance to know the words. `None`: it is
    /// none that a sender says.
    #[must_use]
    pub fn confirm(self, of_sender: &[u8; 32]) -> Option<CodeConfirmed> {
        let shared = Zeroizing::new(self.spake.finish(&said(OF_SENDER, of_sender)).ok()?);
        let keys = Keys::new(&shared, self.number, self.exchange, (&self.message, of_sender));
        Some(CodeConfirmed { keys })
    }
}

/// The receiver's side, when the sender's message has come.
#[derive(Debug)]
pub struct CodeConfirmed {
    keys: Keys,
}

impl CodeConfirmed {
    /// What to say now.
    #[must_use]
    pub fn proof(&self) -> [u8; 32] {
        *self.keys.of_receiver
    }

    /// What the code stands for, if `proof` shows that the sender has the words too. It may be nothing that a code stands
    /// for all the same.
    #[must_use]
    pub fn open(
        self,
        proof: &[u8; 32],
        sealed: &List<u8, MAX_SEALED_GIFT>,
    ) -> Option<Result<CodeGift, super::GiftError>> {
        if !is_equal(proof, &self.keys.of_sender) {
            return None;
        }
        let mut bytes = Zeroizing::new(sealed.to_vec());
        if !self.keys.gift().open(0, &[], &mut bytes) {
            return None;
        }
        let length = bytes.len() - crate::frame::TAG_LENGTH;
        Some(CodeGift::of_bytes(&bytes[..length]))
    }
}

/// The sender's side of one exchange.
#[derive(Debug)]
pub struct CodeSender {
    keys: Keys,
    message: [u8; 32],
}

impl CodeSender {
    /// Answers who has begun `exchange` with `of_receiver`. `chance`: 32 random bytes, used for nothing else. `None`: that
    /// is no message of a receiver.
    #[must_use]
    pub fn answer(
        code: &Code,
        exchange: ExchangeId,
        of_receiver: &[u8; 32],
        chance: &[u8; 32],
    ) -> Option<CodeSender> {
        let [receiver, sender] = identities(code.number);
        let password = Password::new(code.words.text().as_bytes());
        let (spake, of_sender) =
            Spake2::<Ed25519Group>::start_b_with_rng(&password, &receiver, &sender, Chance::new(chance));
        let message = message(&of_sender);
        let shared = Zeroizing::new(spake.finish(&said(OF_RECEIVER, of_receiver)).ok()?);
        let keys = Keys::new(&shared, code.number, exchange, (of_receiver, &message));
        Some(CodeSender { keys, message })
    }

    /// What to say first. It is random, whatever the words are.
    #[must_use]
    pub fn message(&self) -> &[u8; 32] {
        &self.message
    }

    /// The sender's proof and the gift, sealed, for who has proven to have the words. `None`: `proof` is wrong.
    ///
    /// The exchange ends with it, so that nobody tries twice.
    #[must_use]
    pub fn give(self, proof: &[u8; 32], gift: &CodeGift) -> Option<([u8; 32], List<u8, MAX_SEALED_GIFT>)> {
        if !is_equal(proof, &self.keys.of_receiver) {
            return None;
        }
        let text = gift.text();
        let mut sealed = Zeroizing::new(Vec::with_capacity(text.len() + crate::frame::TAG_LENGTH));
        sealed.extend_from_slice(text.as_bytes());
        let tag = self.keys.gift().seal(0, &[], &mut sealed);
        sealed.extend_from_slice(&tag);
        Some((*self.keys.of_sender, List::first_of(sealed.iter().copied())))
    }
}

/// What follows from one exchange.
struct Keys {
    of_receiver: Zeroizing<[u8; 32]>,
    of_sender: Zeroizing<[u8; 32]>,
    gift: Zeroizing<[u8; 32]>,
}

impl Keys {
    fn new(
        shared: &[u8],
        number: CodeNumber,
        exchange: ExchangeId,
        (of_receiver, of_sender): (&[u8; 32], &[u8; 32]),
    ) -> Keys {
        let derive = |context: &str| {
            let mut hasher = blake3::Hasher::new_derive_key(context);
            hasher.update(shared).update(&number.value().to_le_bytes()).update(exchange.as_bytes());
            hasher.update(of_receiver).update(of_sender);
            Zeroizing::new(hasher.finalize().into())
        };
        Keys {
            of_receiver: derive("riffle 2026-11 code: proof of the receiver"),
            of_sender: derive("riffle 2026-11 code: proof of the sender"),
            gift: derive("riffle 2026-11 code: gift"),
        }
    }

    /// Seals one text: the key is of one exchange.
    fn gift(&self) -> AeadKey {
        AeadKey::derive(Suite::ChaCha20Poly1305, &self.gift)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

fn is_equal(one: &[u8; 32], other: &[u8; 32]) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

/// Who takes part: an exchange with another number, or of another version, comes to other keys.
fn identities(number: CodeNumber) -> [Identity; 2] {
    ["receiver", "sender"].map(|side| Identity::new(format!("riffle code 1: {side} of {number}").as_bytes()))
}

/// A message without the byte before it, which says whose it is.
fn message(said: &[u8]) -> [u8; 32] {
    let [_, message @ ..] = <[u8; 33]>::try_from(said)
        .unwrap_or_else(|_| unreachable!("a message is a point of Edwards25519 and a byte before it"));
    message
}

fn said(by: u8, message: &[u8; 32]) -> [u8; 33] {
    let mut said = [by; 33];
    said[1..].copy_from_slice(message);
    said
}

/// Chance as `spake2` asks for it, made of 32 random bytes.
struct Chance(blake3::OutputReader);

impl Chance {
    fn new(seed: &[u8; 32]) -> Chance {
        let mut hasher = blake3::Hasher::new_derive_key("riffle 2026-11 code: chance");
        Chance(hasher.update(seed).finalize_xof())
    }
}

impl RngCore for Chance {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Chance {}

#[cfg(test)]
mod tests {
    use messages::ContentId;
    use proptest::prelude::*;

    use super::*;
    use crate::{SwarmSecret, Ticket};

    const EXCHANGE: ExchangeId = ExchangeId::from_bytes([4; 16]);

    fn code(text: &str) -> Code {
        text.parse().expect("a code")
    }

    fn gift() -> CodeGift {
        let tracker = "10.0.0.7:12345".parse().expect("a tracker");
        let ticket = Ticket::new(ContentId::from_bytes([7; 32]), tracker);
        CodeGift::new(ticket, Some(SwarmSecret::from_bytes([9; 32]).into()))
    }

    /// What a receiver with one code gets from a sender with another, and all that was said.
    fn run(of_receiver: &Code, of_sender: &Code) -> (Option<CodeGift>, Vec<Vec<u8>>) {
        let receiver = CodeReceiver::begin(of_receiver, EXCHANGE, &[1; 32]);
        let sender =
            CodeSender::answer(of_sender, EXCHANGE, receiver.message(), &[2; 32]).expect("a message");
        let mut said = vec![receiver.message().to_vec(), sender.message().to_vec()];
        let receiver = receiver.confirm(sender.message()).expect("a message");
        said.push(receiver.proof().to_vec());
        let Some((proof, sealed)) = sender.give(&receiver.proof(), &gift()) else { return (None, said) };
        said.extend([proof.to_vec(), sealed.to_vec()]);
        (receiver.open(&proof, &sealed).map(|gift| gift.expect("a gift")), said)
    }

    #[test]
    fn who_has_the_words_gets_the_gift_and_nobody_else_sees_it() {
        let code = code("7-otter-violin-salt");
        let (got, said) = run(&code, &code);
        assert_eq!(got, Some(gift()));
        let all = said.concat();
        let text = gift().text().to_string();
        assert!(all.windows(16).all(|window| !text.as_bytes().windows(16).any(|part| part == window)));
    }

    #[test]
    fn who_has_other_words_or_another_number_gets_nothing_that_is_keyed() {
        let ours = code("7-otter-violin-salt");
        for theirs in ["7-otter-violin-acorn", "7-violin-otter-salt", "8-otter-violin-salt"] {
            let (got, said) = run(&code(theirs), &ours);
            assert_eq!((got, said.len()), (None, 3), "{theirs}: the sender says its message and no more");
        }
    }

    #[test]
    fn the_sender_s_message_is_the_same_whatever_the_receiver_says() {
        let ours = code("7-otter-violin-salt");
        let message = |theirs: &str| run(&code(theirs), &ours).1[1].clone();
        assert_eq!(message("7-otter-violin-salt"), message("9-acorn-acorn-acorn"));
    }

    #[test]
    fn an_exchange_s_proof_is_good_in_no_other_one() {
        let code = code("7-otter-violin-salt");
        let receiver = CodeReceiver::begin(&code, EXCHANGE, &[1; 32]);
        let other = ExchangeId::from_bytes([5; 16]);
        let sender = CodeSender::answer(&code, other, receiver.message(), &[2; 32]).expect("a message");
        let receiver = receiver.confirm(sender.message()).expect("a message");
        assert_eq!(sender.give(&receiver.proof(), &gift()), None);
    }

    #[test]
    fn a_sender_without_the_words_or_a_gift_that_was_changed_is_noticed() {
        let code = code("7-otter-violin-salt");
        let begun = || {
            let receiver = CodeReceiver::begin(&code, EXCHANGE, &[1; 32]);
            let sender =
                CodeSender::answer(&code, EXCHANGE, receiver.message(), &[2; 32]).expect("a message");
            let receiver = receiver.confirm(sender.message()).expect("a message");
            let given = sender.give(&receiver.proof(), &gift()).expect("the right words");
            (receiver, given)
        };
        let (receiver, (_, sealed)) = begun();
        assert_eq!(receiver.open(&[0; 32], &sealed), None);
        let (_, (_, sealed)) = begun();
        for at in [0, 1, sealed.len() - 1] {
            let (receiver, (proof, sealed)) = begun();
            let mut bytes = sealed.into_vec();
            bytes[at] ^= 1;
            assert_eq!(receiver.open(&proof, &List::first_of(bytes)), None, "byte {at}");
        }
        for short in [0, 5, 16] {
            let (receiver, (proof, sealed)) = begun();
            let cut = List::first_of(sealed.into_vec().into_iter().take(short));
            assert!(receiver.open(&proof, &cut).is_none(), "{short} bytes");
        }
    }

    #[test]
    fn the_exchange_is_what_it_always_was() {
        let code = code("7-otter-violin-salt");
        let (_, said) = run(&code, &code);
        let shown: Vec<String> =
            said.iter().map(|bytes| blake3::hash(bytes).to_hex()[..16].to_owned()).collect();
        assert_eq!(shown, KNOWN);
    }

    /// The beginning of the hash of each message with fixed chance.
    const KNOWN: [&str; 5] =
        ["0bddb0f2e228d86d", "6c2f84871fb68713", "5733c50678e6a821", "ca8d0cab49645f02", "4f0c25153cd440c5"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_bytes_are_a_message_or_are_refused(bytes: [u8; 32], proof: [u8; 32]) {
            let code = code("7-otter-violin-salt");
            if let Some(sender) = CodeSender::answer(&code, EXCHANGE, &bytes, &[2; 32]) {
                prop_assert_eq!(sender.give(&proof, &gift()), None);
            }
            let receiver = CodeReceiver::begin(&code, EXCHANGE, &[1; 32]);
            if let Some(receiver) = receiver.confirm(&bytes) {
                prop_assert!(receiver.open(&proof, &List::first_of([1; 100])).is_none());
            }
        }
    }
}
