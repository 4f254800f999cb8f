//! The secrets of a closed swarm as they are written: one line each, for files and password stores.
//!
//! ```text
//! riffle-secret1-qkj2...                             begins every handshake
//! riffle-secret1-7x3a... secret-until=1764345600     is accepted until then (seconds since 1970)
//! ```
//!
//! A secret is `riffle-secret1-` and the base32 (RFC 4648 §6, lower case, no padding) of its 32 bytes and of a checksum
//! of 4: 58 characters. One secret has one text. The first line has no end; those below it are older secrets, which
//! stay good until everybody has the new one. Spaces around a line and empty lines mean nothing.

use std::str::FromStr;

use zeroize::Zeroizing;

use crate::SwarmSecret;
use crate::text::{read_base32, write_base32};

/// What a secret begins with: what it is, and the version of its text.
const PREFIX: &str = "riffle-secret1-";
/// What a secret of any version begins with.
const ANY_VERSION: &str = "riffle-secret";
/// What stands before the end of an older secret.
const UNTIL: &str = "secret-until=";
/// Bytes of a secret, and of the checksum behind it.
const SECRET: usize = 32;
const CHECKSUM: usize = 4;
/// Characters of base32.
const TEXT_LENGTH: usize = 58;
const _: () = assert!(TEXT_LENGTH == ((SECRET + CHECKSUM) * 8).div_ceil(5));
/// What the checksum is derived under.
const CHECKSUM_CONTEXT: &str = "riffle 2026-11 checksum of a swarm's secret";
/// What the fingerprint is derived under.
const FINGERPRINT_CONTEXT: &str = "riffle 2026-11 fingerprint of a swarm's secret";
/// Bytes of a fingerprint: enough that nobody finds another secret with the same one.
const FINGERPRINT: usize = 10;
/// Secrets at a time. Each one more costs a hash for each datagram of a stranger.
pub(crate) const MAX_SECRETS: usize = 8;

/// Why some text is not a swarm's secret. No part of the text is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSecretError {
    /// It does not begin as a secret does.
    #[error("it is not a secret: one begins with {PREFIX}")]
    NotASecret,
    /// It was made by a later Riffle.
    #[error("it is a secret of a version that this riffle does not know")]
    LaterVersion,
    /// A character is missing, or is another.
    #[error("the secret is cut short or mistyped")]
    Damaged,
}

/// Why some text is not a list of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSecretsError {
    /// No line has a secret.
    #[error("there is no secret in it")]
    Empty,
    /// A line is not a secret.
    #[error("line {line}: {cause}")]
    Secret {
        /// Which line, from 1 on.
        line: usize,
        /// What is wrong with it.
        cause: ParseSecretError,
    },
    /// The end of a secret is not a number of seconds.
    #[error("line {line}: behind an older secret stands {UNTIL}SECONDS, in seconds since 1970")]
    Until {
        /// Which line, from 1 on.
        line: usize,
    },
    /// The first secret has an end.
    #[error("line {line}: the first secret is the one in use, and has no {UNTIL}")]
    FirstHasEnd {
        /// Which line, from 1 on.
        line: usize,
    },
    /// There are more lines than secrets can be accepted.
    #[error("there are more than {MAX_SECRETS} secrets in it")]
    TooMany,
}

impl SwarmSecret {
    /// The line to keep in a file or a password store. Whoever has it is a member of the swarm.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; SECRET + CHECKSUM]);
        bytes[..SECRET].copy_from_slice(self.bytes());
        bytes[SECRET..].copy_from_slice(&checksum(self.bytes()));
        // The text is never moved to another place in memory while it grows.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + TEXT_LENGTH));
        text.push_str(PREFIX);
        write_base32(&*bytes, &mut text);
        text
    }

    /// Tells two secrets apart without saying anything of them: it may be compared in public. Four times four characters.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let hash = blake3::derive_key(FINGERPRINT_CONTEXT, self.bytes());
        let mut text = String::new();
        write_base32(&hash[..FINGERPRINT], &mut text);
        let mut groups = String::with_capacity(text.len() + 3);
        for (place, letter) in text.chars().enumerate() {
            if place > 0 && place % 4 == 0 {
                groups.push('-');
            }
            groups.push(letter);
        }
        groups
    }
}

impl FromStr for SwarmSecret {
    type Err = ParseSecretError;

    /// Reads [`SwarmSecret::text`], and nothing else.
    fn from_str(text: &str) -> Result<SwarmSecret, ParseSecretError> {
        let Some(base32) = text.strip_prefix(PREFIX) else {
            let later = text.strip_prefix(ANY_VERSION).and_then(|rest| rest.split_once('-'));
            let is_number =
                |version: &str| !version.is_empty() && version.bytes().all(|c| c.is_ascii_digit());
            return Err(match later {
                Some((version, _)) if is_number(version) => ParseSecretError::LaterVersion,
                _ => ParseSecretError::NotASecret,
            });
        };
        let bytes = Some(base32).filter(|base32| base32.len() == TEXT_LENGTH).and_then(read_base32);
        let bytes = bytes.ok_or(ParseSecretError::Damaged)?;
        let (secret, sum) = bytes.split_first_chunk::<SECRET>().ok_or(ParseSecretError::Damaged)?;
        if checksum(secret) != *sum {
            return Err(ParseSecretError::Damaged);
        }
        Ok(SwarmSecret::from_bytes(*secret))
    }
}

fn checksum(secret: &[u8; SECRET]) -> [u8; CHECKSUM] {
    let [a, b, c, d, ..] = blake3::derive_key(CHECKSUM_CONTEXT, secret);
    [a, b, c, d]
}

/// A secret that was the first one once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OlderSecret {
    /// The secret.
    pub secret: SwarmSecret,
    /// Until when it is accepted, in seconds since 1970.
    pub until: u64,
}

/// The secret of a swarm, and those that are still accepted while not everybody has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwarmSecrets {
    first: SwarmSecret,
    /// At most [`MAX_SECRETS`] less one, the newest first.
    older: Vec<OlderSecret>,
}

impl SwarmSecrets {
    /// Of the open swarm, which everybody knows.
    #[must_use]
    pub fn open() -> SwarmSecrets {
        SwarmSecret::open().into()
    }

    /// The secret with which everything begins.
    #[must_use]
    pub fn first(&self) -> &SwarmSecret {
        &self.first
    }

    /// The secrets that are accepted beside it, with their ends, the newest first.
    #[must_use]
    pub fn older(&self) -> &[OlderSecret] {
        &self.older
    }

    /// All of them, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &SwarmSecret> {
        std::iter::once(&self.first).chain(self.older.iter().map(|older| &older.secret))
    }

    /// Whether `secret` is one of them, with or without an end.
    #[must_use]
    pub fn contains(&self, secret: &SwarmSecret) -> bool {
        self.iter().any(|one| one == secret)
    }

    /// Whether the swarm is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.first.is_closed()
    }

    /// Without the secrets whose end has come at `now`, in seconds since 1970.
    #[must_use]
    pub fn at(mut self, now: u64) -> SwarmSecrets {
        self.older.retain(|older| now < older.until);
        self
    }

    /// Without the one that was the first one the longest time ago; `None`: there is only the first.
    #[must_use]
    pub fn without_oldest(mut self) -> Option<SwarmSecrets> {
        self.older.pop().map(|_| self)
    }

    /// With `new` as the first secret. The one that was the first is accepted until `until`, and none longer. Of more
    /// than can be accepted, the oldest go.
    #[must_use]
    pub fn rotated(self, new: SwarmSecret, until: u64) -> SwarmSecrets {
        let SwarmSecrets { first, older } = self;
        let older = older.into_iter().map(|older| OlderSecret { until: older.until.min(until), ..older });
        let older = std::iter::once(OlderSecret { secret: first, until }).chain(older);
        SwarmSecrets { first: new, older: older.take(MAX_SECRETS - 1).collect() }
    }

    /// What stands in a file of secrets: a line for each. See the head of this module.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let line = PREFIX.len() + TEXT_LENGTH + 1 + UNTIL.len() + 20 + 1;
        let mut text = Zeroizing::new(String::with_capacity(line * MAX_SECRETS));
        text.push_str(&self.first.text());
        text.push('\n');
        for OlderSecret { secret, until } in &self.older {
            text.push_str(&secret.text());
            text.push_str(&format!(" {UNTIL}{until}\n"));
        }
        text
    }
}

impl From<SwarmSecret> for SwarmSecrets {
    fn from(first: SwarmSecret) -> SwarmSecrets {
        SwarmSecrets { first, older: Vec::new() }
    }
}

impl FromStr for SwarmSecrets {
    type Err = ParseSecretsError;

    /// Reads [`SwarmSecrets::text`], with more spaces or empty lines if somebody wrote some.
    fn from_str(text: &str) -> Result<SwarmSecrets, ParseSecretsError> {
        let mut secrets: Option<SwarmSecrets> = None;
        for (line, mut words) in (1..).zip(text.lines().map(str::split_ascii_whitespace)) {
            let Some(secret) = words.next() else { continue };
            let secret = secret.parse().map_err(|cause| ParseSecretsError::Secret { line, cause })?;
            let until = match (words.next(), words.next()) {
                (None, _) => None,
                (Some(word), None) => Some(read_until(word).ok_or(ParseSecretsError::Until { line })?),
                (Some(_), Some(_)) => return Err(ParseSecretsError::Until { line }),
            };
            match (&mut secrets, until) {
                (None, None) => secrets = Some(SwarmSecrets::from(secret)),
                (None, Some(_)) => return Err(ParseSecretsError::FirstHasEnd { line }),
                (Some(_), None) => return Err(ParseSecretsError::Until { line }),
                (Some(all), Some(_)) if all.older.len() + 1 == MAX_SECRETS => {
                    return Err(ParseSecretsError::TooMany);
                }
                (Some(all), Some(until)) => all.older.push(OlderSecret { secret, until }),
            }
        }
        secrets.ok_or(ParseSecretsError::Empty)
    }
}

fn read_until(word: &str) -> Option<u64> {
    let digits = word.strip_prefix(UNTIL)?;
    digits.bytes().all(|c| c.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

impl PartialEq for SwarmSecret {
    fn eq(&self, other: &SwarmSecret) -> bool {
        self.bytes().iter().zip(other.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

impl Eq for SwarmSecret {}

#[cfg(test)]
mod tests;
