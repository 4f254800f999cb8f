//! Who publishes something: an Ed25519 key pair (RFC 8032) that follows from a node's static key, and its signature that a
//! content of some length is what it calls by some name.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use messages::{ContentId, Name};
use zeroize::Zeroizing;

use crate::StaticKey;
use crate::text::{read_base32, write_base32};

/// What a publisher's seed is derived under.
const SEED_CONTEXT: &str = "riffle 2026-11 seed of a publisher's key";
/// What stands before all that is signed, so that no other bytes that the key may ever sign are mistaken for it.
const SIGNED_CONTEXT: &[u8] = b"riffle 2026-11 publication\0";
/// What the checksum of a key's text is derived under.
const CHECKSUM_CONTEXT: &str = "riffle 2026-11 checksum of a publisher's key";
/// What a key's text begins with. The number is the version.
const PREFIX: &str = "riffle-publisher1-";
/// Characters of base32 behind it: 36 bytes.
const TEXT_LENGTH: usize = 58;
/// Bytes of a public key, and of a checksum.
const KEY: usize = 32;
const CHECKSUM: usize = 4;
const _: () = assert!(TEXT_LENGTH == ((KEY + CHECKSUM) * 8).div_ceil(5));
/// Bytes of a signature (RFC 8032 §5.1.6).
const SIGNATURE: usize = 64;

/// By which others know a publisher. Its text is `riffle-publisher1-` and 58 characters of base32, the last of which tell
/// a mistyped one; so it is not mistaken for the key of a tracker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublisherKey([u8; KEY]);

impl PublisherKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY]) -> PublisherKey {
        PublisherKey(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY] {
        &self.0
    }

    fn checksum(&self) -> [u8; CHECKSUM] {
        let [a, b, c, d, ..] = blake3::derive_key(CHECKSUM_CONTEXT, &self.0);
        [a, b, c, d]
    }
}

impl fmt::Display for PublisherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = PREFIX.to_owned();
        write_base32(&[&self.0[..], &self.checksum()].concat(), &mut text);
        f.write_str(&text)
    }
}

impl fmt::Debug for PublisherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublisherKey({self})")
    }
}

/// Some text that is no publisher's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePublisherError {
    /// It is something else.
    #[error("a publisher's key is {PREFIX} and {TEXT_LENGTH} characters: a to z and 2 to 7")]
    NotAKey,
    /// A character is wrong, or two have changed places.
    #[error("the publisher's key is mistyped: its checksum is another")]
    Mistyped,
}

impl FromStr for PublisherKey {
    type Err = ParsePublisherError;

    fn from_str(text: &str) -> Result<PublisherKey, ParsePublisherError> {
        let base32 = text.strip_prefix(PREFIX).filter(|base32| base32.len() == TEXT_LENGTH);
        let bytes = base32.and_then(read_base32).ok_or(ParsePublisherError::NotAKey)?;
        let (key, checksum) = bytes.split_first_chunk().ok_or(ParsePublisherError::NotAKey)?;
        let key = PublisherKey(*key);
        if key.checksum() == *checksum { Ok(key) } else { Err(ParsePublisherError::Mistyped) }
    }
}

/// Signs what a node publishes. Its secret half is never shown.
pub struct Publisher {
    pair: Ed25519KeyPair,
    key: PublisherKey,
}

impl StaticKey {
    /// The publisher that whoever has this key is. Its secret half says nothing of this one's.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        let seed = Zeroizing::new(blake3::derive_key(SEED_CONTEXT, self.secret()));
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed)
            .unwrap_or_else(|_| unreachable!("any 32 bytes are a seed"));
        let mut key = [0; KEY];
        key.copy_from_slice(pair.public_key().as_ref());
        Publisher { pair, key: PublisherKey(key) }
    }
}

impl Publisher {
    /// By which others know it.
    #[must_use]
    pub const fn key(&self) -> PublisherKey {
        self.key
    }

    /// Signs that it publishes `content`, of `length` bytes, as `name`. The same is always signed with the same bytes.
    #[must_use]
    pub fn sign(&self, content: ContentId, length: u64, name: &Name) -> Publication {
        let mut signature = [0; SIGNATURE];
        signature.copy_from_slice(self.pair.sign(&signed(content, length, name)).as_ref());
        Publication { publisher: self.key, signature }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Publisher({})", self.key)
    }
}

/// That somebody publishes a content under a name: who says so, and the signature. It is worth nothing until it is
/// verified, and says nothing of when it was made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    publisher: PublisherKey,
    signature: [u8; SIGNATURE],
}

impl Publication {
    /// Its bytes: the publisher's key, and the signature.
    pub const LENGTH: usize = KEY + SIGNATURE;

    /// What these bytes say.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Publication::LENGTH]) -> Publication {
        let (mut publisher, mut signature) = ([0; KEY], [0; SIGNATURE]);
        publisher.copy_from_slice(&bytes[..KEY]);
        signature.copy_from_slice(&bytes[KEY..]);
        Publication { publisher: PublisherKey(publisher), signature }
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Publication::LENGTH] {
        let mut bytes = [0; Publication::LENGTH];
        bytes[..KEY].copy_from_slice(&self.publisher.0);
        bytes[KEY..].copy_from_slice(&self.signature);
        bytes
    }

    /// Who is said to publish it. See [`Publication::is_of`].
    #[must_use]
    pub const fn publisher(&self) -> PublisherKey {
        self.publisher
    }

    /// Whether the publisher has signed that `content`, of `length` bytes, is what it calls `name`.
    #[must_use]
    pub fn is_of(&self, content: ContentId, length: u64, name: &Name) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.publisher.0);
        key.verify(&signed(content, length, name), &self.signature).is_ok()
    }
}

impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Publication(of {})", self.publisher)
    }
}

/// The bytes that are signed. All but the last part have always the same length, so no two statements have the same.
fn signed(content: ContentId, length: u64, name: &Name) -> Vec<u8> {
    [SIGNED_CONTEXT, content.as_bytes(), &length.to_le_bytes(), name.as_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn publisher(number: u8) -> Publisher {
        StaticKey::from_secret([number; 32]).publisher()
    }

    fn content(number: u8) -> ContentId {
        ContentId::from_bytes([number; 32])
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn a_signature_is_of_one_content_one_length_one_name_and_one_publisher() {
        let signed = publisher(1).sign(content(1), 9, &name("film.mkv"));
        assert!(signed.is_of(content(1), 9, &name("film.mkv")));
        assert_eq!(signed.publisher(), publisher(1).key());
        assert!(!signed.is_of(content(2), 9, &name("film.mkv")), "another content");
        assert!(!signed.is_of(content(1), 10, &name("film.mkv")), "another length");
        assert!(!signed.is_of(content(1), 9, &name("film.mk")), "another name");
        let other = publisher(2).sign(content(1), 9, &name("film.mkv"));
        assert!(other.is_of(content(1), 9, &name("film.mkv")), "two may publish the same");
        let stolen = Publication { publisher: other.publisher, ..signed };
        assert!(!stolen.is_of(content(1), 9, &name("film.mkv")), "nobody signs in the name of another");
    }

    #[test]
    fn who_a_publisher_is_follows_from_the_key_and_its_text_is_no_trackers() {
        let key = publisher(1).key();
        assert_eq!(key, publisher(1).key());
        assert_ne!(key, publisher(2).key());
        let text = key.to_string();
        assert_eq!(text.parse(), Ok(key));
        assert!(text.parse::<crate::PublicKey>().is_err());
        let tracker = StaticKey::from_secret([1; 32]).public();
        assert_ne!(tracker.as_bytes(), key.as_bytes());
        assert_eq!(tracker.to_string().parse::<PublisherKey>(), Err(ParsePublisherError::NotAKey));
        for wrong in ["", "riffle-publisher1-", &text[..75], &format!("{text}a"), &text.to_uppercase()] {
            assert_eq!(wrong.parse::<PublisherKey>(), Err(ParsePublisherError::NotAKey), "{wrong}");
        }
    }

    /// The same bytes for all times: a publisher is known by them.
    #[test]
    fn key_and_signature_are_known_to_the_byte() {
        let publication = publisher(7).sign(content(9), 1 << 32, &name("a b"));
        let hex: String = publication.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let known = concat!(
            "77580110c5846ecc12a1e74712477a8919fb2fdaf1af2f3e22ae47135cd3b29c",
            "212c9f21b3d1287eedb2fc6fa4164457f72d3fd250fef480523b4e579959d5e7",
            "0a2bc9c0121571a6950da92d818a149499daf9aa9675a49cfc8d1e218b7f2105"
        );
        assert_eq!(hex, known);
        assert_eq!(
            publisher(7).key().to_string(),
            "riffle-publisher1-o5macegfqrxmyevb45drer32rem7wl626gxs6prcvzdrgxgtwkoloqrwxu"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_changed_the_signature_is_good_no_more(at in 0..Publication::LENGTH, change in 1..=255_u8) {
            let mut bytes = publisher(3).sign(content(4), 5, &name("film.mkv")).to_bytes();
            let signed = Publication::from_bytes(&bytes);
            prop_assert!(signed.to_bytes() == bytes && signed.is_of(content(4), 5, &name("film.mkv")));
            bytes[at] ^= change;
            prop_assert!(!Publication::from_bytes(&bytes).is_of(content(4), 5, &name("film.mkv")));
        }

        #[test]
        fn a_mistyped_key_is_no_key(at in PREFIX.len()..PREFIX.len() + TEXT_LENGTH, letter in "[a-z2-7]") {
            let text = publisher(3).key().to_string();
            let mut wrong = text.clone();
            wrong.replace_range(at..=at, &letter);
            prop_assert_eq!(wrong.parse::<PublisherKey>().is_ok(), wrong == text);
        }
    }
}
