//! How bytes are written so that a person can pass them on: base32 (RFC 4648 §6) in lower case, without padding. One
//! sequence of bytes has one text.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use zeroize::Zeroizing;

use crate::PublicKey;

/// The alphabet of RFC 4648, in lower case. It has no `0`, `1`, `8` and `9`, which look like letters.
const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz234567";
/// How many characters a public key has.
pub(crate) const KEY_LENGTH: usize = 52;

static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str(ALPHABET);
    specification.encoding().unwrap_or_else(|_| unreachable!("the alphabet is a constant of 32 characters"))
});

/// Appends the text of `bytes` to `text`.
pub(crate) fn write_base32(bytes: &[u8], text: &mut String) {
    BASE32.encode_append(bytes, text);
}

/// The bytes whose text is `text`; `None` when it is no bytes' text.
pub(crate) fn read_base32(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    BASE32.decode(text.as_bytes()).ok().map(Zeroizing::new)
}

/// Some text that is not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public key is {KEY_LENGTH} characters: a to z and 2 to 7")]
pub struct ParseKeyError;

/// 52 characters of base32.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(KEY_LENGTH);
        write_base32(self.as_bytes(), &mut text);
        f.write_str(&text)
    }
}

impl FromStr for PublicKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<PublicKey, ParseKeyError> {
        let bytes = read_base32(text).ok_or(ParseKeyError)?;
        bytes.as_slice().try_into().map(PublicKey::from_bytes).map_err(|_| ParseKeyError)
    }
}

/// Its 52 characters.
#[cfg(feature = "serde")]
impl serde::Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<PublicKey, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_vectors_of_the_rfc_hold_in_lower_case_and_without_padding() {
        let vectors = [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ];
        for (bytes, expected) in vectors {
            let mut text = String::new();
            write_base32(bytes.as_bytes(), &mut text);
            assert_eq!(text, expected);
            assert_eq!(read_base32(expected).as_ref().map(|read| read.as_slice()), Some(bytes.as_bytes()));
        }
        for wrong in ["m", "mz", "MY", "my======", "m1", "mzxw6ytbo", "my ", "mü"] {
            assert_eq!(read_base32(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_key_has_one_text(bytes: [u8; 32], text in "[a-z2-7]{50,54}") {
            let key = PublicKey::from_bytes(bytes);
            prop_assert_eq!(key.to_string().len(), KEY_LENGTH);
            prop_assert_eq!(key.to_string().parse(), Ok(key));
            if let Ok(key) = text.parse::<PublicKey>() {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }
}
