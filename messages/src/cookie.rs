//! Proof that somebody receives at an address, without keeping anything for that address.
//!
//! Whoever is asked by an unproven address answers with a cookie and forgets; only a host that receives at that
//! address can send the cookie back. It is keyed over the address and an epoch (the idea of RFC 9000 §8.1.2's token).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How long one epoch lasts; a cookie is good in its own epoch and the next one.
pub const COOKIE_EPOCH: Duration = Duration::from_secs(120);

/// Proof of address: one byte of epoch and fifteen of keyed hash. All zero: none yet.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cookie([u8; 16]);

impl Cookie {
    /// The value that a node sends while it has no cookie.
    pub const NONE: Cookie = Cookie([0; 16]);

    /// A cookie with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Cookie {
        Cookie(bytes)
    }

    /// Its bytes, for messages that are laid out by hand.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Cookie {
    /// Shows whether there is a cookie, and not its bytes, since other people read logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Cookie::NONE { "Cookie(none)" } else { "Cookie(..)" })
    }
}

/// Makes and checks the cookies of one tracker or owner.
#[derive(Clone)]
pub struct CookieJar {
    key: [u8; 32],
}

impl CookieJar {
    /// A jar with a secret key: 32 random bytes that nobody else knows.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> CookieJar {
        CookieJar { key }
    }

    /// The cookie for `address` at `now`.
    #[must_use]
    pub fn bake(&self, address: SocketAddr, now: Timestamp) -> Cookie {
        self.of_epoch(address, epoch(now))
    }

    /// Whether `cookie` was baked for `address` in this epoch or the one before.
    #[must_use]
    pub fn accepts(&self, cookie: Cookie, address: SocketAddr, now: Timestamp) -> bool {
        let current = epoch(now);
        let of_current = blake3::Hash::from(widen(self.of_epoch(address, current)));
        let of_previous = blake3::Hash::from(widen(self.of_epoch(address, current.wrapping_sub(1))));
        // `blake3::Hash` compares in constant time.
        let given = blake3::Hash::from(widen(cookie));
        given == of_current || given == of_previous
    }

    fn of_epoch(&self, address: SocketAddr, epoch: u64) -> Cookie {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => hasher.update(&ip.octets()),
            IpAddr::V6(ip) => hasher.update(&ip.octets()),
        };
        hasher.update(&address.port().to_le_bytes()).update(&epoch.to_le_bytes());
        let mut cookie = [0; 16];
        hasher.finalize_xof().fill(&mut cookie);
        cookie[0] = epoch as u8;
        Cookie(cookie)
    }
}

fn epoch(now: Timestamp) -> u64 {
    now.as_nanos() / COOKIE_EPOCH.as_nanos() as u64
}

fn widen(cookie: Cookie) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&cookie.0);
    bytes
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieJar(..)")
    }
}
