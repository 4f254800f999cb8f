//! A channel that this side has begun to open, and what waits for it.
//!
//! ```text
//!   Knocking ──COOKIE──▶ Initiating ──ACCEPT──▶ open
//!      ▲                    │
//!      └─── refused cookie ─┘   (COOKIE again: another INITIATE)
//! ```
//!
//! An attempt has no timer of its own: who has something to say says it again until it is answered, and each time the
//! attempt says its last message again as well.

use messages::{NodeId, Timestamp};
use std::time::Duration;

use crate::frame::Numbers;
use crate::handshake::{INITIATE, Initiated, MAX_EARLY};
use crate::swarms::SecretId;

/// Datagrams that wait for one channel.
const MAX_WAITING: usize = 16;
/// Sealed datagrams that wait for the channel to be open, and the longest of them: no control datagram is longer.
const MAX_AHEAD: usize = 8;
const MAX_FRAME: usize = messages::limits::CONTROL_DATAGRAM + 32;
const _: () = assert!(MAX_WAITING <= MAX_EARLY, "a handshake may carry all that waits for it");
/// After this long an attempt begins anew, with a key of its own.
const MAX_AGE: Duration = Duration::from_secs(20);
/// A handshake that is not answered for so long is begun anew, later than before: another program of the same node may
/// have overtaken it. The time doubles, so that a path on which answers take longer is no obstacle.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The same message is not said more often than this.
const MIN_PAUSE: Duration = Duration::from_millis(20);

/// One attempt to open a channel to one address.
pub(crate) struct Attempt {
    /// Whose key is awaited, if that is known.
    pub(crate) expected: Option<NodeId>,
    /// This side's numbers of the channel.
    pub(crate) numbers: Numbers,
    /// Tells the answers to this attempt from others.
    pub(crate) nonce: u64,
    pub(crate) state: AttemptState,
    /// Whether the secret under which a handshake was begun is a guess: the responder has not answered under it yet.
    pub(crate) is_guess: bool,
    /// That secret.
    pub(crate) secret: SecretId,
    pub(crate) began: Timestamp,
    /// When its handshake was begun, and after how long without an answer it is begun anew.
    pub(crate) initiated_at: Timestamp,
    pub(crate) patience: Duration,
    /// When the last message was said, and how often one was said without an answer.
    pub(crate) said_at: Option<Timestamp>,
    pub(crate) tries: u32,
    /// What is to be said over the channel.
    pub(crate) waiting: Vec<Vec<u8>>,
    /// What was said over the channel, sealed, by who has opened it already.
    pub(crate) ahead: Vec<Vec<u8>>,
}

pub(crate) enum AttemptState {
    /// Nothing is known of the responder yet.
    Knocking,
    /// The first message of the handshake is on its way, with so many of what waits.
    Initiating { initiated: Box<Initiated>, message: Box<[u8; INITIATE]>, taken: usize },
}

impl Attempt {
    pub(crate) fn new(expected: Option<NodeId>, numbers: Numbers, nonce: u64, now: Timestamp) -> Attempt {
        let state = AttemptState::Knocking;
        let (waiting, ahead) = (Vec::new(), Vec::new());
        let is_guess = false;
        Attempt {
            expected,
            numbers,
            nonce,
            state,
            is_guess,
            secret: SecretId::default(),
            began: now,
            initiated_at: now,
            patience: PATIENCE,
            said_at: None,
            tries: 0,
            waiting,
            ahead,
        }
    }

    /// Begins anew: the swarm's secrets have changed. What waits stays, and so do the numbers.
    pub(crate) fn begin_anew(&mut self) {
        self.state = AttemptState::Knocking;
        self.ahead.clear();
        self.said_at = None;
        self.tries = 0;
    }

    /// Keeps a sealed datagram until the channel is open, if few wait.
    pub(crate) fn keep_ahead(&mut self, frame: &[u8]) {
        let is_awaited = matches!(self.state, AttemptState::Initiating { .. });
        if is_awaited && self.ahead.len() < MAX_AHEAD && frame.len() <= MAX_FRAME {
            self.ahead.push(frame.to_vec());
        }
    }

    /// Keeps a datagram for the channel, unless it waits there already. Returns whether it did.
    pub(crate) fn keep(&mut self, datagram: &[u8]) -> bool {
        let waits = self.waiting.iter().any(|waiting| waiting == datagram);
        if !waits && self.waiting.len() < MAX_WAITING {
            self.waiting.push(datagram.to_vec());
        }
        waits
    }

    /// Whether the last message is to be said again, now that a datagram is to be sent which waited already or did not.
    /// Who says the same twice at once wants it to arrive for sure.
    pub(crate) fn is_due(&self, waited: bool, now: Timestamp) -> bool {
        self.said_at.is_none_or(|at| now.since(at) >= MIN_PAUSE || waited && at == now)
    }

    pub(crate) fn is_old(&self, now: Timestamp) -> bool {
        now.since(self.began) > MAX_AGE
    }

    /// Whether its handshake is to be begun anew. Then the next one may take twice as long.
    pub(crate) fn take_impatience(&mut self, now: Timestamp) -> bool {
        let is_impatient = now.since(self.initiated_at) >= self.patience;
        if is_impatient {
            self.patience *= 2;
        }
        is_impatient
    }

    pub(crate) fn on_said(&mut self, now: Timestamp) {
        self.said_at = Some(now);
        self.tries += 1;
    }
}
