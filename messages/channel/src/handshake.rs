//! The key agreement: Noise, pattern IK, with the swarm's secret as pre-shared key, so that one round trip opens a
//! channel between two static keys and what is said in its first message is sealed already.
//!
//! Knows no addresses and keeps nothing: a message in, a message and two secrets out.

use messages::{BootEpoch, HEADER_LENGTH, Kind, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use crate::aead::Suite;
use crate::frame::Numbers;
use crate::identity::{PublicKey, StaticKey};
use crate::swarm::SwarmKeys;

/// The Noise protocol of the handshake. The pre-shared key is mixed into the first message already, so that nobody
/// without the swarm's secret reads what that says.
pub(crate) const PATTERN: &str = "Noise_IKpsk1_25519_ChaChaPoly_BLAKE2s";
/// What every handshake begins with, before the header of its INITIATE.
const PROLOGUE: &[u8; 13] = b"riffle wire 2";

/// Bytes of an INITIATE and of the Noise message in it.
pub(crate) const INITIATE: usize = messages::limits::CONTROL_DATAGRAM;
/// Where the Noise message begins in an INITIATE: behind header, nonce and cookie.
pub(crate) const NOISE_AT: usize = HEADER_LENGTH + 8 + 16;
/// Bytes of the tag of the swarm.
pub(crate) const SWARM_TAG: usize = 16;
/// Bytes of the Noise message in an INITIATE.
const NOISE_LENGTH: usize = INITIATE - NOISE_AT - SWARM_TAG;
/// What Noise adds to a payload: the ephemeral key, the sealed static key, and the tag of the payload.
const NOISE_OVERHEAD: usize = 32 + 48 + 16;
const OFFER_LENGTH: usize = NOISE_LENGTH - NOISE_OVERHEAD;
/// Of an offer, what is not early data.
const OFFER_FIELDS: usize = 8 + 1 + 1 + 16;
/// Bytes of an ACCEPT.
pub(crate) const ACCEPT: usize = HEADER_LENGTH + 32 + ANSWER_LENGTH + 16;
const ANSWER_LENGTH: usize = 4 + 1 + 1 + 16;
/// What stands before each early datagram: how long it is, and how many of its bytes follow; the others are zeros.
const EARLY_FIELDS: usize = 4;
/// Early datagrams of one handshake: with the zeros at their ends they may be far longer than what carries them.
pub(crate) const MAX_EARLY: usize = 16;

/// A token by which the one who gave it can say that it has forgotten the channel (RFC 9000 §10.3).
pub(crate) type ResetToken = [u8; 16];

/// Tells the handshakes of one initiator apart: each later one has a larger number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HandshakeTime(pub(crate) u64);

impl HandshakeTime {
    /// Before every handshake of the life `epoch`.
    pub(crate) const fn of_life(epoch: BootEpoch) -> HandshakeTime {
        HandshakeTime(epoch.0 << 16)
    }

    /// The next one of the life `epoch`, which has lasted until `now`. It follows the clock: a program that has the same
    /// key, and asks something meanwhile, makes no handshake of this life an earlier one.
    pub(crate) fn next(self, epoch: BootEpoch, now: Timestamp) -> HandshakeTime {
        let elapsed = now.as_nanos() / 1_000_000;
        HandshakeTime((self.0 + 1).max(epoch.0.saturating_add(elapsed) << 16))
    }
}

/// What one side says of itself in the handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The conversation numbers that are this side's of the channel.
    pub(crate) numbers: Numbers,
    /// What it prefers to seal with, or, in the answer, what both use.
    pub(crate) suite: Suite,
    /// By which it can say later that it has forgotten the channel.
    pub(crate) token: ResetToken,
}

/// The outcome for one side.
pub(crate) struct Agreed {
    pub(crate) peer: PublicKey,
    pub(crate) remote: Terms,
    /// Seals what this side says.
    pub(crate) outgoing: Zeroizing<[u8; 32]>,
    /// Opens what the other side says.
    pub(crate) incoming: Zeroizing<[u8; 32]>,
}

/// What the first message says.
pub(crate) struct Offer {
    pub(crate) agreed: Agreed,
    pub(crate) time: HandshakeTime,
    /// The datagrams that came with it, which nobody but the responder could read.
    pub(crate) early: Vec<Vec<u8>>,
}

/// A handshake that was begun and is not answered.
pub(crate) struct Initiated {
    state: HandshakeState,
    peer: PublicKey,
}

/// Writes the Noise message of `initiate`, whose header is written already, to `peer`, with as many of the datagrams
/// `early` as fit. Returns how many these are.
pub(crate) fn initiate(
    key: &StaticKey,
    peer: PublicKey,
    swarm: &SwarmKeys,
    (terms, time): (Terms, HandshakeTime),
    early: &[Vec<u8>],
    initiate: &mut [u8; INITIATE],
    rng: &mut StdRng,
) -> (Initiated, usize) {
    let mut offer = [0; OFFER_LENGTH];
    offer[..8].copy_from_slice(&time.0.to_le_bytes());
    offer[8] = terms.numbers.free_bits();
    offer[9] = terms.suite as u8;
    offer[10..OFFER_FIELDS].copy_from_slice(&terms.token);
    let taken = write_early(early, &mut offer[OFFER_FIELDS..]);
    let prologue = prologue(initiate);
    let mut state = builder(key, swarm, &prologue, rng)
        .and_then(|builder| builder.remote_public_key(peer.as_bytes()))
        .and_then(Builder::build_initiator)
        .unwrap_or_else(|error| unreachable!("everything that the pattern asks for is given: {error}"));
    let length = state
        .write_message(&offer, &mut initiate[NOISE_AT..INITIATE - SWARM_TAG])
        .unwrap_or_else(|error| unreachable!("the message is as long as its space: {error}"));
    debug_assert_eq!(length, NOISE_LENGTH, "an INITIATE is full");
    (Initiated { state, peer }, taken)
}

impl Initiated {
    /// Takes the answer. `None`: it is not the responder's. The handshake can still be answered then.
    pub(crate) fn finish(mut self: Box<Initiated>, accept: &[u8]) -> Result<Agreed, Option<Box<Initiated>>> {
        let mut answer = [0; ANSWER_LENGTH];
        let noise = accept.get(HEADER_LENGTH..).unwrap_or_default();
        // A message that does not decrypt leaves the state as it was.
        match self.state.read_message(noise, &mut answer) {
            Ok(ANSWER_LENGTH) => {}
            Ok(_) => return Err(None),
            Err(_) => return Err(Some(self)),
        }
        let number = u32::from_le_bytes([answer[0], answer[1], answer[2], answer[3]]);
        let remote = terms(number, answer[4], answer[5], &answer[6..]).ok_or(None)?;
        let (outgoing, incoming) = self.state.dangerously_get_raw_split();
        let (outgoing, incoming) = (Zeroizing::new(outgoing), Zeroizing::new(incoming));
        Ok(Agreed { peer: self.peer, remote, outgoing, incoming })
    }
}

/// Reads the INITIATE whose tag and cookie are good, and writes the answer of `terms` to `accept`. The suite of both is
/// agreed here. `None`: it is no handshake with this key and secret.
pub(crate) fn respond(
    key: &StaticKey,
    swarm: &SwarmKeys,
    terms: Terms,
    initiate: &[u8; INITIATE],
    accept: &mut [u8; ACCEPT],
    rng: &mut StdRng,
) -> Option<(Offer, Suite)> {
    let prologue = prologue(initiate);
    let mut state = builder(key, swarm, &prologue, rng).and_then(Builder::build_responder).ok()?;
    let mut offer = [0; OFFER_LENGTH];
    let length = state.read_message(&initiate[NOISE_AT..INITIATE - SWARM_TAG], &mut offer).ok()?;
    if length != OFFER_LENGTH {
        return None;
    }
    let [time @ .., _, _, _, _, _, _, _, _] = offer[..16].first_chunk::<16>()?;
    let time = HandshakeTime(u64::from_le_bytes(*time));
    let number = u32::from_le_bytes(*initiate[4..HEADER_LENGTH].first_chunk()?);
    let remote = self::terms(number, offer[8], offer[9], &offer[10..OFFER_FIELDS])?;
    let early = read_early(&offer[OFFER_FIELDS..])?;
    let peer = PublicKey::from_bytes(*state.get_remote_static()?.first_chunk()?);
    let suite = terms.suite.agreed(remote.suite);
    let mut answer = [0; ANSWER_LENGTH];
    answer[..4].copy_from_slice(&terms.numbers.channel().0.to_le_bytes());
    answer[4] = terms.numbers.free_bits();
    answer[5] = suite as u8;
    answer[6..].copy_from_slice(&terms.token);
    let length = state.write_message(&answer, &mut accept[HEADER_LENGTH..]).ok()?;
    debug_assert_eq!(length, ACCEPT - HEADER_LENGTH, "an ACCEPT is full");
    let (incoming, outgoing) = state.dangerously_get_raw_split();
    let (outgoing, incoming) = (Zeroizing::new(outgoing), Zeroizing::new(incoming));
    Some((Offer { agreed: Agreed { peer, remote, outgoing, incoming }, time, early }, suite))
}

fn terms(number: u32, free_bits: u8, suite: u8, token: &[u8]) -> Option<Terms> {
    let numbers = Numbers::new(number, free_bits).filter(|numbers| numbers.channel().0 == number)?;
    Some(Terms { numbers, suite: Suite::from_byte(suite)?, token: *token.first_chunk()? })
}

fn prologue(initiate: &[u8; INITIATE]) -> [u8; PROLOGUE.len() + HEADER_LENGTH] {
    let mut prologue = [0; PROLOGUE.len() + HEADER_LENGTH];
    prologue[..PROLOGUE.len()].copy_from_slice(PROLOGUE);
    prologue[PROLOGUE.len()..].copy_from_slice(&initiate[..HEADER_LENGTH]);
    prologue
}

fn builder<'a>(
    key: &'a StaticKey,
    swarm: &'a SwarmKeys,
    prologue: &'a [u8],
    rng: &mut StdRng,
) -> Result<Builder<'a>, snow::Error> {
    let params = PATTERN.parse()?;
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    Builder::with_resolver(params, Box::new(SeededResolver { seed }))
        .prologue(prologue)?
        .local_private_key(key.secret())?
        .psk(1, &swarm.psk)
}

/// How many of the datagrams fit `space`, each without the zeros at its end; these are written there.
fn write_early(datagrams: &[Vec<u8>], mut space: &mut [u8]) -> usize {
    for (taken, datagram) in datagrams.iter().enumerate() {
        let kept = datagram.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        if EARLY_FIELDS + kept > space.len() {
            return taken;
        }
        let (one, rest) = space.split_at_mut(EARLY_FIELDS + kept);
        one[..2].copy_from_slice(&(datagram.len() as u16).to_le_bytes());
        one[2..EARLY_FIELDS].copy_from_slice(&(kept as u16).to_le_bytes());
        one[EARLY_FIELDS..].copy_from_slice(&datagram[..kept]);
        space = rest;
    }
    datagrams.len()
}

/// The datagrams that [`write_early`] wrote. `None`: there are too many, or one is longer than a control datagram or than
/// what is there, or belongs to a channel itself, or they are not as [`write_early`] writes them.
fn read_early(mut space: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut datagrams = Vec::new();
    while let Some((fields, rest)) = space.split_first_chunk::<EARLY_FIELDS>() {
        let [l0, l1, k0, k1] = *fields;
        let (length, kept) = (u16::from_le_bytes([l0, l1]).into(), u16::from_le_bytes([k0, k1]).into());
        if length == 0 {
            // There is one way only to say that there is nothing more.
            return space.iter().all(|&byte| byte == 0).then_some(datagrams);
        }
        if length > messages::limits::CONTROL_DATAGRAM || kept > length || datagrams.len() == MAX_EARLY {
            return None;
        }
        let mut datagram = rest.get(..kept)?.to_vec();
        if datagram.last() == Some(&0) {
            return None;
        }
        datagram.resize(length, 0);
        if Kind::is_channel(&datagram) {
            return None;
        }
        datagrams.push(datagram);
        space = &rest[kept..];
    }
    space.iter().all(|&byte| byte == 0).then_some(datagrams)
}

/// Snow's own primitives, with chance that is handed in.
struct SeededResolver {
    seed: [u8; 32],
}

impl CryptoResolver for SeededResolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Seeded(StdRng::from_seed(self.seed))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct Seeded(StdRng);

impl Random for Seeded {
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), snow::Error> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
