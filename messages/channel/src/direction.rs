//! What one side says: a packet number for each datagram, and a new key long before the cipher asks for one.
//!
//! The secrets of the generations form a ratchet: from each follows the next, and none before. Which generation a
//! datagram belongs to follows from its number, so nothing is said about it.

use messages::{CHUNK_HEADER, ChunkHeader, Conversation};
use zeroize::Zeroizing;

use crate::aead::{AeadKey, Suite};
use crate::frame::{self, SEALED_CHUNK_PREFIX, SEALED_OVERHEAD, TAG_LENGTH};
use crate::replay::{REPLAY_WINDOW, ReplayWindow};

/// So many datagrams are sealed under one key: half of what AES-GCM may seal of datagrams of 64 KiB (RFC 9001 §6.6 and
/// §B.1.1: 2^23).
const GENERATION: u64 = 1 << 22;
const _: () = assert!(GENERATION > REPLAY_WINDOW, "a late datagram is of this generation or the one before");

/// One generation of one direction. Its key is derived when it is first needed: it is many times larger than the secret
/// from which it follows.
struct Generation {
    number: u64,
    secret: Zeroizing<[u8; 32]>,
    key: Option<Box<AeadKey>>,
}

impl Generation {
    fn first(secret: Zeroizing<[u8; 32]>) -> Generation {
        Generation { number: 0, secret, key: None }
    }

    fn next(&self) -> Generation {
        let secret = Zeroizing::new(blake3::derive_key("riffle 2026-11 channel: next secret", &*self.secret));
        Generation { number: self.number + 1, secret, key: None }
    }

    fn key(&mut self, suite: Suite) -> &AeadKey {
        self.key.get_or_insert_with(|| Box::new(AeadKey::derive(suite, &self.secret)))
    }
}

/// Seals what this side says over one channel.
pub struct Sealer {
    suite: Suite,
    generation: Generation,
    /// The number of the next datagram.
    next: u64,
    /// The other side's numbers that belong to this channel.
    remote: frame::Numbers,
}

impl Sealer {
    pub(crate) fn new(suite: Suite, secret: Zeroizing<[u8; 32]>, remote: frame::Numbers) -> Sealer {
        Sealer { suite, generation: Generation::first(secret), next: 0, remote }
    }

    fn next_number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        if number / GENERATION > self.generation.number {
            self.generation = self.generation.next();
        }
        number
    }

    /// Forgets the key until it is needed again.
    pub(crate) fn sleep(&mut self) {
        self.generation.key = None;
    }

    /// Whether its key is derived.
    #[cfg(test)]
    pub(crate) fn is_ready(&self) -> bool {
        self.generation.key.is_some()
    }

    /// Appends `datagram`, sealed, to `out`.
    pub fn seal(&mut self, datagram: &[u8], out: &mut Vec<u8>) {
        let number = self.next_number();
        let start = out.len();
        let text_at = start + frame::write_plain(self.remote, number, datagram, out);
        let (header, text) = out[start..].split_at_mut(text_at - start);
        let tag = self.generation.key(self.suite).seal(number, &header[..frame::AUTHENTICATED], text);
        out.extend_from_slice(&tag);
    }

    /// Whether a CHUNK of `conversation` can be sealed with this: the other side has chosen that number for this channel.
    #[must_use]
    pub fn may_carry(&self, conversation: Conversation) -> bool {
        self.remote.contain(conversation)
    }

    /// Seals a CHUNK in `frame`: its payload stands there already, behind [`SEALED_CHUNK_PREFIX`] bytes and before
    /// [`TAG_LENGTH`] bytes, all of which are written here.
    ///
    /// # Panics
    /// When `frame` is too short to have a payload.
    pub fn seal_chunk(&mut self, chunk: &ChunkHeader, frame: &mut [u8]) {
        assert!(frame.len() > SEALED_CHUNK_PREFIX + TAG_LENGTH, "a CHUNK has a payload");
        let number = self.next_number();
        frame[..SEALED_CHUNK_PREFIX].copy_from_slice(&frame::chunk_prefix(number, chunk));
        let (rest, tag) = frame.split_at_mut(frame.len() - TAG_LENGTH);
        let (header, text) = rest.split_at_mut(frame::TEXT_AT);
        tag.copy_from_slice(&self.generation.key(self.suite).seal(
            number,
            &header[..frame::AUTHENTICATED],
            text,
        ));
    }
}

const _: () = assert!(
    SEALED_CHUNK_PREFIX + TAG_LENGTH - CHUNK_HEADER == SEALED_OVERHEAD,
    "a CHUNK grows as any other datagram does"
);

/// Opens what the other side says over one channel.
pub(crate) struct Opener {
    suite: Suite,
    previous: Option<Box<Generation>>,
    current: Generation,
    window: ReplayWindow,
}

/// Why a sealed datagram was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotOpened {
    /// Its number has arrived before, or is too old to tell.
    Replayed,
    /// It was not sealed by the other side, or was changed on the way.
    Forged,
}

impl Opener {
    pub(crate) fn new(suite: Suite, secret: Zeroizing<[u8; 32]>) -> Opener {
        Opener { suite, previous: None, current: Generation::first(secret), window: ReplayWindow::default() }
    }

    /// Forgets the keys until they are needed again.
    pub(crate) fn sleep(&mut self) {
        self.current.key = None;
        if let Some(previous) = &mut self.previous {
            previous.key = None;
        }
    }

    /// Opens `datagram` where it stands.
    pub(crate) fn open(&mut self, datagram: &mut [u8]) -> Result<(), NotOpened> {
        let (header, text) = datagram.split_at_mut(frame::TEXT_AT);
        self.open_with(header, |key, number, aad| key.open(number, aad, text))
    }

    /// Opens `datagram` into `plain`, which has as many bytes as are sealed in it.
    pub(crate) fn open_into(&mut self, datagram: &[u8], plain: &mut [u8]) -> Result<(), NotOpened> {
        let (header, text) = datagram.split_at(frame::TEXT_AT);
        self.open_with(header, |key, number, aad| key.open_into(number, aad, text, plain))
    }

    /// Opens the datagram that begins with `header` by `open`, which says whether it is authentic under that key.
    fn open_with(
        &mut self,
        header: &[u8],
        open: impl FnOnce(&AeadKey, u64, &[u8]) -> bool,
    ) -> Result<(), NotOpened> {
        let number = self.window.expand(frame::packet_number(header));
        if !self.window.is_new(number) {
            return Err(NotOpened::Replayed);
        }
        let generation = number / GENERATION;
        let aad = &header[..frame::AUTHENTICATED];
        if generation == self.current.number + 1 {
            let mut next = self.current.next();
            if !open(next.key(self.suite), number, aad) {
                return Err(NotOpened::Forged);
            }
            self.previous = Some(Box::new(std::mem::replace(&mut self.current, next)));
        } else {
            let of_number = if generation == self.current.number {
                Some(&mut self.current)
            } else {
                self.previous.as_deref_mut().filter(|previous| previous.number == generation)
            };
            if !of_number.is_some_and(|generation| open(generation.key(self.suite), number, aad)) {
                return Err(NotOpened::Forged);
            }
        }
        self.window.record(number);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
