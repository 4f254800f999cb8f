//! A ticket: one line of text that says which content is meant, where its tracker is and which key that tracker has.
//! Who has the line finds the content, and nobody on the way can put another tracker in its place.
//!
//! The text is `riffle1` and the base32 (RFC 4648 §6, lower case, no padding) of:
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version: 1 |
//! | 32 | content id |
//! | 1 | flags: 1 a key follows, 2 a secret follows; the other bits are 0 |
//! | 1 + n | length of the name (0: none), the name |
//! | 1 | number of trackers, 1 to 4 |
//! | 1 + n, each | length of a tracker's text (1 to 64), `HOST:PORT` |
//! | 32, by flag | the static public key of the first tracker |
//! | 32, by flag | the secret of a closed swarm |
//! | 4 | checksum: the first bytes of BLAKE3 in its mode for deriving keys, over all bytes before |
//!
//! One ticket has one text, and every other text is refused. The version stands first and the checksum last in tickets
//! of all versions, so that a later version is told from a mistyped text. The checksum finds mistakes; whoever makes a
//! ticket can make any.
//!
//! Nothing here looks a name up or knows which of the trackers answers.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use messages::{ContentId, Name};
use zeroize::Zeroizing;

use crate::text::{read_base32, write_base32};
use crate::{PublicKey, SwarmSecret};

/// What every ticket begins with. The digit is no character of base32, so it also ends the word.
const PREFIX: &str = "riffle1";
/// The version of the tickets that are made here.
const VERSION: u8 = 1;
/// The most trackers of a ticket.
const MAX_TRACKERS: usize = 4;
/// The most bytes of a tracker's text.
const MAX_TRACKER: usize = 64;
/// Bytes of the checksum.
const CHECKSUM: usize = 4;
/// What the checksum is derived under.
const CHECKSUM_CONTEXT: &str = "riffle 2026-11 checksum of a ticket";
/// No ticket of any version has more characters.
const MAX_TEXT: usize = 4096;
/// A text with so many letters and digits behind the prefix, and nothing else, is meant as a ticket.
const MIN_MEANT: usize = 16;

/// The flag of a ticket with a tracker's key.
const HAS_KEY: u8 = 1;
/// The flag of a ticket with a secret.
const HAS_SECRET: u8 = 2;

/// Why some text is not a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// It does not begin as tickets do.
    #[error("it is not a ticket, which begins with {PREFIX}")]
    NotATicket,
    /// The checksum does not fit.
    #[error("the ticket is cut short or mistyped")]
    Damaged,
    /// The ticket was made by a later version.
    #[error("the ticket is of version {0}, which this riffle does not know yet; a later one does")]
    LaterVersion(u8),
    /// The checksum fits, and what is in the ticket cannot be.
    #[error("the ticket is not one that riffle makes: {0}")]
    Invalid(&'static str),
}

/// A tracker in a ticket: a host name or an IP address and a port, as text of at most 64 bytes: `tracker.lan:12345`,
/// `10.0.0.7:12345`, `[fd00::7]:12345`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TicketTracker(String);

/// Some text that is no tracker of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tracker in a ticket is a host and a port of at most {MAX_TRACKER} bytes, such as 10.0.0.1:12345")]
pub struct TicketTrackerError;

impl TicketTracker {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TicketTracker {
    type Err = TicketTrackerError;

    fn from_str(text: &str) -> Result<TicketTracker, TicketTrackerError> {
        let is_fine = text.len() <= MAX_TRACKER
            && text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port));
        if is_fine { Ok(TicketTracker(text.to_owned())) } else { Err(TicketTrackerError) }
    }
}

impl fmt::Display for TicketTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TicketTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A host name, an IPv4 address, or an IPv6 address in brackets. A zone means nothing on another host.
fn is_host(text: &str) -> bool {
    if let Some(bracketed) = text.strip_prefix('[') {
        return bracketed.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
    text.bytes().all(allowed) && text.bytes().any(|c| !c.is_ascii_digit())
}

/// A port other than 0, in as few digits as it has.
fn is_port(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_digit()) && !text.starts_with('0') && text.parse::<u16>().is_ok()
}

/// Which content is meant, and who is asked for it. [`Ticket::text`] is the line to pass on.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    content: ContentId,
    name: Option<Name>,
    /// 1 to [`MAX_TRACKERS`].
    trackers: Vec<TicketTracker>,
    /// Of the first tracker.
    tracker_key: Option<PublicKey>,
    secret: Option<Zeroizing<[u8; 32]>>,
}

impl Ticket {
    /// A ticket for `content`, of which `tracker` knows.
    #[must_use]
    pub fn new(content: ContentId, tracker: TicketTracker) -> Ticket {
        Ticket { content, name: None, trackers: vec![tracker], tracker_key: None, secret: None }
    }

    /// With the name under which the content is to be saved.
    #[must_use]
    pub fn with_name(self, name: Name) -> Ticket {
        Ticket { name: Some(name), ..self }
    }

    /// With the key of the first tracker.
    #[must_use]
    pub fn with_tracker_key(self, key: PublicKey) -> Ticket {
        Ticket { tracker_key: Some(key), ..self }
    }

    /// With one more tracker, behind those that it has. A ticket that has as many as it can have stays as it is.
    #[must_use]
    pub fn with_other_tracker(mut self, tracker: TicketTracker) -> Ticket {
        if self.trackers.len() < MAX_TRACKERS {
            self.trackers.push(tracker);
        }
        self
    }

    /// With the secret of a closed swarm: from then on the text is a secret too.
    #[must_use]
    pub fn with_secret(self, secret: &SwarmSecret) -> Ticket {
        Ticket { secret: Some(Zeroizing::new(*secret.bytes())), ..self }
    }

    /// What is to be fetched.
    #[must_use]
    pub fn content(&self) -> ContentId {
        self.content
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// Who knows its owners: at least one tracker.
    #[must_use]
    pub fn trackers(&self) -> &[TicketTracker] {
        &self.trackers
    }

    /// The static public key of the first tracker.
    #[must_use]
    pub fn tracker_key(&self) -> Option<PublicKey> {
        self.tracker_key
    }

    /// The secret of the closed swarm in which the content is.
    #[must_use]
    pub fn secret(&self) -> Option<SwarmSecret> {
        self.secret.as_ref().map(|secret| SwarmSecret::from_bytes(**secret))
    }

    /// Whether whoever typed `text` meant a ticket, be it whole or not: a file may be called `riffle1`, too.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        let behind = text.strip_prefix(PREFIX);
        behind.is_some_and(|all| all.len() >= MIN_MEANT && all.bytes().all(|c| c.is_ascii_alphanumeric()))
    }

    /// The line to pass on. It shows all that is in the ticket, a secret included; [`fmt::Debug`] does not.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let bytes = self.bytes();
        // The text is never moved to another place in memory while it grows.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + bytes.len() * 8 / 5 + 8));
        text.push_str(PREFIX);
        write_base32(&bytes, &mut text);
        text
    }

    fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let trackers = MAX_TRACKERS * (1 + MAX_TRACKER);
        let most = 1 + 32 + 1 + (1 + usize::from(u8::MAX)) + 1 + trackers + 32 + 32 + CHECKSUM;
        let mut bytes = Zeroizing::new(Vec::with_capacity(most));
        bytes.push(VERSION);
        bytes.extend_from_slice(self.content.as_bytes());
        let key_flag = if self.tracker_key.is_some() { HAS_KEY } else { 0 };
        let secret_flag = if self.secret.is_some() { HAS_SECRET } else { 0 };
        bytes.push(key_flag | secret_flag);
        write_text(self.name.as_ref().map_or("", Name::as_str), &mut bytes);
        bytes.push(self.trackers.len() as u8);
        self.trackers.iter().for_each(|tracker| write_text(tracker.as_str(), &mut bytes));
        self.tracker_key.iter().for_each(|key| bytes.extend_from_slice(key.as_bytes()));
        self.secret.iter().for_each(|secret| bytes.extend_from_slice(&secret[..]));
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        bytes
    }
}

const _: () = assert!(messages::limits::MAX_NAME <= u8::MAX as usize, "the length of a name is one byte");

impl FromStr for Ticket {
    type Err = TicketError;

    /// Reads [`Ticket::text`], and nothing else.
    fn from_str(text: &str) -> Result<Ticket, TicketError> {
        let base32 = text.strip_prefix(PREFIX).ok_or(TicketError::NotATicket)?;
        if base32.len() > MAX_TEXT {
            return Err(TicketError::Damaged);
        }
        let bytes = read_base32(base32).ok_or(TicketError::Damaged)?;
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(TicketError::Damaged)?;
        let (&version, fields) = body.split_first().ok_or(TicketError::Damaged)?;
        if checksum(body) != *sum {
            return Err(TicketError::Damaged);
        }
        match version {
            0 => Err(TicketError::Invalid("there is no version 0")),
            VERSION => Fields(fields).ticket(),
            later => Err(TicketError::LaterVersion(later)),
        }
    }
}

/// Without the secret.
impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("content", &self.content)
            .field("name", &self.name)
            .field("trackers", &self.trackers)
            .field("tracker_key", &self.tracker_key)
            .field("has_secret", &self.secret.is_some())
            .finish()
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let [a, b, c, d, ..] = blake3::derive_key(CHECKSUM_CONTEXT, bytes);
    [a, b, c, d]
}

/// A length in one byte, and the text.
fn write_text(text: &str, bytes: &mut Vec<u8>) {
    bytes.push(text.len() as u8);
    bytes.extend_from_slice(text.as_bytes());
}

/// The fields of a ticket that are not read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn ticket(mut self) -> Result<Ticket, TicketError> {
        let content = ContentId::from_bytes(*self.array()?);
        let flags = self.byte()?;
        if flags & !(HAS_KEY | HAS_SECRET) != 0 {
            return Err(TicketError::Invalid("it has flags that do not exist"));
        }
        let name = match self.text()? {
            "" => None,
            name => Some(Name::new(name).map_err(|_| TicketError::Invalid("its name is no file's name"))?),
        };
        let count = usize::from(self.byte()?);
        if !(1..=MAX_TRACKERS).contains(&count) {
            return Err(TicketError::Invalid("it has no tracker, or too many"));
        }
        let mut trackers = Vec::with_capacity(count);
        for _ in 0..count {
            let tracker = self.text()?.parse();
            trackers.push(tracker.map_err(|_| TicketError::Invalid("its tracker is no host and port"))?);
        }
        let mut key =
            |flag| if flags & flag == 0 { Ok(None) } else { self.array().map(|bytes| Some(*bytes)) };
        let tracker_key = key(HAS_KEY)?.map(PublicKey::from_bytes);
        let secret = key(HAS_SECRET)?.map(Zeroizing::new);
        if !self.0.is_empty() {
            return Err(TicketError::Invalid("something stands behind its last field"));
        }
        Ok(Ticket { content, name, trackers, tracker_key, secret })
    }

    fn byte(&mut self) -> Result<u8, TicketError> {
        let [byte] = self.array()?;
        Ok(*byte)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<&'a [u8; LENGTH], TicketError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(array)
    }

    fn text(&mut self) -> Result<&'a str, TicketError> {
        let length = usize::from(self.byte()?);
        let (text, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        str::from_utf8(text).map_err(|_| TicketError::Invalid("a text in it is not UTF-8"))
    }
}

/// A field of a ticket ends behind its end.
const CUT: TicketError = TicketError::Invalid("a field in it is cut short");

#[cfg(test)]
mod tests;
