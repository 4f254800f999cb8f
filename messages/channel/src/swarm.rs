//! The secret of a swarm, and what follows from it.
//!
//! The open swarm has a secret that everybody knows: what is said in it is sealed like in any other, and who takes part
//! is not limited.

use std::fmt;

use zeroize::Zeroizing;

/// The secret of the open swarm.
const OPEN: [u8; 32] = *b"riffle: open swarm, wire 2      ";

/// The secret of the swarm in which senders and receivers of codes talk to a tracker's desk.
const CODES: [u8; 32] = *b"riffle: codes, wire 2           ";

/// 32 bytes that open a closed swarm: who has them can find, fetch and share in it; nobody else gets an answer.
#[derive(Clone)]
pub struct SwarmSecret(Zeroizing<[u8; 32]>);

impl SwarmSecret {
    /// The secret with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> SwarmSecret {
        SwarmSecret(Zeroizing::new(bytes))
    }

    /// Of the open swarm, which everybody knows.
    #[must_use]
    pub fn open() -> SwarmSecret {
        SwarmSecret::from_bytes(OPEN)
    }

    /// Of the swarm in which senders and receivers of codes talk to a tracker's desk. Everybody knows it: it keeps what is
    /// said there apart from all else, and closes nothing.
    #[must_use]
    pub fn codes() -> SwarmSecret {
        SwarmSecret::from_bytes(CODES)
    }

    /// Whether the swarm is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.0 != OPEN && *self.0 != CODES
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The keys that handshakes in this swarm use.
    pub(crate) fn keys(&self) -> SwarmKeys {
        SwarmKeys {
            tag: Zeroizing::new(blake3::derive_key("riffle 2026-11 swarm: tags of handshakes", &*self.0)),
            psk: Zeroizing::new(blake3::derive_key("riffle 2026-11 swarm: pre-shared key", &*self.0)),
        }
    }
}

impl fmt::Debug for SwarmSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_closed() { "SwarmSecret(closed)" } else { "SwarmSecret(open)" })
    }
}

/// What handshakes in a swarm are keyed with.
pub(crate) struct SwarmKeys {
    /// Keys the tags without which nobody is answered.
    tag: Zeroizing<[u8; 32]>,
    /// The pre-shared key of the handshake (Noise §9).
    pub(crate) psk: Zeroizing<[u8; 32]>,
}

impl SwarmKeys {
    /// Whether these follow from the same secret.
    pub(crate) fn is_same(&self, other: &SwarmKeys) -> bool {
        self.tag.iter().zip(other.tag.iter()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }

    /// The tag of a handshake message, which shows that its sender knows the swarm's secret.
    pub(crate) fn tag(&self, message: &[u8]) -> [u8; 16] {
        let mut tag = [0; 16];
        blake3::Hasher::new_keyed(&self.tag).update(message).finalize_xof().fill(&mut tag);
        tag
    }

    /// Whether `tag` is that of `message`; compared in constant time.
    pub(crate) fn accepts(&self, message: &[u8], tag: &[u8; 16]) -> bool {
        is_equal(&self.tag(message), tag)
    }

    /// The key under which a responder tells an initiator its static key, once for each `message`: what stands before it
    /// in its COOKIE. With `node`, only who knows the id of the responder can read it.
    pub(crate) fn introduction(&self, node: Option<messages::NodeId>, message: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut hasher = blake3::Hasher::new_keyed(&self.tag);
        hasher.update(b"introduction").update(message);
        if let Some(node) = node {
            hasher.update(node.as_bytes());
        }
        Zeroizing::new(hasher.finalize().into())
    }
}

impl fmt::Debug for SwarmKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SwarmKeys(..)")
    }
}

/// Compares two secrets of 16 bytes in constant time.
pub(crate) fn is_equal(one: &[u8; 16], other: &[u8; 16]) -> bool {
    one.iter().zip(other).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
