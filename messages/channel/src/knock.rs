//! The first two messages to somebody who is not known: KNOCK, which shows that its sender knows the swarm's secret, and
//! COOKIE, which only somebody who knows it too can answer with, and which brings the answerer's static key.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use messages::{Conversation, Cookie, HEADER_LENGTH, Header, Kind, NodeId};

use crate::frame::TAG_LENGTH;
use crate::handshake::SWARM_TAG;
use crate::identity::PublicKey;
use crate::swarm::{SwarmKeys, SwarmSecret};

/// Bytes of a KNOCK, and of the COOKIE that answers it.
pub(crate) const KNOCK: usize = 80;
pub(crate) const NONCE_AT: usize = HEADER_LENGTH;
pub(crate) const NONCE_END: usize = NONCE_AT + 8;
pub(crate) const COOKIE_LENGTH: usize = 16;
/// Where the sealed static key stands in a COOKIE, behind the cookie.
const INTRODUCTION_AT: usize = NONCE_END + COOKIE_LENGTH;
const _: () = assert!(INTRODUCTION_AT + 32 + TAG_LENGTH == KNOCK, "no answer is longer");

/// A question whether a tracker of a swarm is somewhere, for who opens no channel. Whoever is not of the swarm does not
/// answer it, and learns nothing from it.
#[derive(Debug)]
pub struct Knock {
    message: [u8; KNOCK],
    swarm: SwarmKeys,
}

impl Knock {
    /// To a tracker of the swarm of `secret`. `chance` is random: by it the answer is told from others.
    #[must_use]
    pub fn new(secret: &SwarmSecret, chance: u64) -> Knock {
        let swarm = secret.keys();
        // The answerer keeps nothing of the number.
        Knock { message: knock(&swarm, Conversation(0), chance), swarm }
    }

    /// The datagram to send.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.message
    }

    /// Whether `datagram` is the answer of a tracker that knows the secret.
    #[must_use]
    pub fn is_answered_by(&self, datagram: &[u8]) -> bool {
        let Ok(cookie) = <&[u8; KNOCK]>::try_from(datagram) else { return false };
        let is_its = Header::decode(datagram)
            .is_ok_and(|header| header.kind == Kind::Cookie && header.conversation == Conversation(0))
            && nonce(cookie) == nonce(&self.message);
        is_its && read_cookie(&self.swarm, None, cookie).is_some()
    }
}

/// The number by which a COOKIE is told to be the answer to its KNOCK.
pub(crate) fn nonce(message: &[u8; KNOCK]) -> u64 {
    message[NONCE_AT..].first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// A KNOCK.
pub(crate) fn knock(swarm: &SwarmKeys, conversation: Conversation, nonce: u64) -> [u8; KNOCK] {
    let mut knock = [0; KNOCK];
    knock[..HEADER_LENGTH].copy_from_slice(&Header { kind: Kind::Knock, conversation }.encode());
    knock[NONCE_AT..NONCE_END].copy_from_slice(&nonce.to_le_bytes());
    let tag = swarm.tag(&knock[..KNOCK - SWARM_TAG]);
    knock[KNOCK - SWARM_TAG..].copy_from_slice(&tag);
    knock
}

/// A COOKIE with `key`, which who knows the id `node` can read, or, without one, everybody in the swarm.
pub(crate) fn cookie(
    swarm: &SwarmKeys,
    (node, key): (Option<NodeId>, PublicKey),
    (conversation, nonce): (Conversation, u64),
    cookie: Cookie,
) -> [u8; KNOCK] {
    let mut answer = [0; KNOCK];
    answer[..HEADER_LENGTH].copy_from_slice(&Header { kind: Kind::Cookie, conversation }.encode());
    answer[NONCE_AT..NONCE_END].copy_from_slice(&nonce.to_le_bytes());
    answer[NONCE_END..INTRODUCTION_AT].copy_from_slice(cookie.as_bytes());
    let (before, rest) = answer.split_at_mut(INTRODUCTION_AT);
    let (text, tag) = rest.split_at_mut(32);
    text.copy_from_slice(key.as_bytes());
    let sealed = introduction_key(&swarm.introduction(node, before))
        .seal_in_place_separate_tag(one_nonce(), Aad::empty(), text)
        .unwrap_or_else(|_| unreachable!("a key is shorter than what the cipher takes"));
    tag.copy_from_slice(sealed.as_ref());
    answer
}

/// What a COOKIE says to who expects `node`, or a tracker. `None`: it is not from somebody in the swarm who is that.
pub(crate) fn read_cookie(
    swarm: &SwarmKeys,
    node: Option<NodeId>,
    datagram: &[u8; KNOCK],
) -> Option<(Cookie, PublicKey)> {
    let (before, text) = datagram.split_at(INTRODUCTION_AT);
    let mut text: [u8; 32 + TAG_LENGTH] = text.try_into().ok()?;
    let key = introduction_key(&swarm.introduction(node, before));
    key.open_in_place(one_nonce(), Aad::empty(), &mut text).ok()?;
    let cookie = Cookie::from_bytes(*before[NONCE_END..].first_chunk()?);
    Some((cookie, PublicKey::from_bytes(*text.first_chunk()?)))
}

/// A key that seals one introduction: it follows from what stands before that in its COOKIE.
fn introduction_key(key: &[u8; 32]) -> LessSafeKey {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key)
        .unwrap_or_else(|_| unreachable!("the key is as long as the cipher asks for"));
    LessSafeKey::new(key)
}

fn one_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_knock_is_answered_by_a_tracker_of_its_swarm_and_by_nobody_else() {
        let secret = SwarmSecret::from_bytes([1; 32]);
        let (ours, theirs) = (secret.keys(), SwarmSecret::from_bytes([2; 32]).keys());
        let sent = Knock::new(&secret, 77);
        let message: &[u8; KNOCK] = sent.bytes().try_into().expect("its length");
        let key = PublicKey::from_bytes([7; 32]);
        let answer = |swarm, node, nonce| {
            let told = (Conversation(0), nonce);
            cookie(swarm, (node, key), told, Cookie::from_bytes([9; 16]))
        };
        let right = answer(&ours, None, 77);
        assert!(sent.is_answered_by(&right));
        assert_eq!(nonce(message), 77);
        let mut damaged = right;
        damaged[KNOCK - 1] ^= 1;
        let wrong = [
            answer(&theirs, None, 77),
            answer(&ours, Some(key.node_id()), 77),
            answer(&ours, None, 78),
            damaged,
            *message,
        ];
        for (number, wrong) in wrong.iter().enumerate() {
            assert!(!sent.is_answered_by(wrong), "{number}");
        }
        assert!(!sent.is_answered_by(&right[..KNOCK - 1]) && !sent.is_answered_by(&[]));
    }
}
