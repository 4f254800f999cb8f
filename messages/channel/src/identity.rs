//! Who somebody is: an X25519 key pair, and the node id that follows from its public half.

use std::fmt;

use messages::NodeId;
use snow::params::{DHChoice, NoiseParams};
use snow::resolvers::{CryptoResolver as _, DefaultResolver};
use zeroize::Zeroizing;

use crate::handshake::PATTERN;

/// What a node id is derived under.
const NODE_ID_CONTEXT: &str = "riffle 2026-11 node id of a static public key";

/// The public half of a node's or tracker's static key (X25519, RFC 7748).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> PublicKey {
        PublicKey(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id of the node whose key this is: the first 16 bytes of a hash of the key.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        let hash = blake3::derive_key(NODE_ID_CONTEXT, &self.0);
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = hash;
        NodeId::from_bytes(id)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.node_id().short())
    }
}

/// A static key pair. Its secret half leaves no copy in memory when it is dropped, and is never shown.
#[derive(Clone)]
pub struct StaticKey {
    secret: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

impl StaticKey {
    /// The key pair whose secret half is made of these 32 bytes, which must be random and known to nobody else.
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> StaticKey {
        let secret = Zeroizing::new(secret);
        let params: NoiseParams =
            PATTERN.parse().unwrap_or_else(|_| unreachable!("the pattern is a constant"));
        debug_assert_eq!(params.dh, DHChoice::Curve25519, "keys of this length are X25519's");
        let mut dh = DefaultResolver
            .resolve_dh(&params.dh)
            .unwrap_or_else(|| unreachable!("X25519 is one of the crate's features"));
        dh.set(&*secret);
        let mut public = [0; 32];
        public.copy_from_slice(dh.pubkey());
        StaticKey { secret, public: PublicKey(public) }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// The id of the node whose key this is.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.public.node_id()
    }

    /// The secret half, for the handshake and for the file in which it is kept.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticKey(of {})", self.node_id().short())
    }
}
