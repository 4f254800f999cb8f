//! Nonces among the CHUNKs of a session. A downloader that returns a nonce receives at the address to which the CHUNKs
//! go, and the share of nonces that are returned tells which share of the CHUNKs arrives.
//!
//! A nonce goes in a PING among the CHUNKs of a burst. The PING is as long as the CHUNKs and stands at a random place
//! among them, so that the path loses it as it loses them. Behind a burst, a PING would measure only the last place in
//! a queue, and a short one would find space where a longer datagram has just been refused. No nonce is ever repeated,
//! because a repeated one could come back however much is lost.

use std::collections::VecDeque;
use std::time::Duration;

use messages::Timestamp;
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::circuit_breaker::CircuitBreaker;

/// The next nonce is sent after this many bytes, or after the bytes of [`SPACING_PINGS`] PINGs, whichever is more.
const SPACING: u64 = 1 << 20;
/// The next nonce is sent after this many times the bytes of its own PING, so that nonces cost next to nothing.
const SPACING_PINGS: u64 = 128;
/// While anything is sent, a nonce is sent at least this often.
const PERIOD: Duration = Duration::from_secs(10);
/// While the last nonces are unanswered, a nonce is sent at least this often.
const UNANSWERED_PERIOD: Duration = Duration::from_millis(500);
/// At most this many nonces are open at a time; beyond that, more bytes are sent between two of them. As many lost
/// nonces are remembered, in case the path has only become longer.
const MAX_OPEN: usize = 64;
/// A downloader is unresponsive when the last nonces, this many, did not come back for [`UNRESPONSIVE_AFTER`].
const UNRESPONSIVE_NONCES: u32 = 3;
/// A downloader is unresponsive when [`UNRESPONSIVE_NONCES`] nonces did not come back for this long.
const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(3);
/// A nonce that has not come back after three round trips is lost, but not before this and not after
/// [`UNRESPONSIVE_AFTER`].
const MIN_LOSS_TIMEOUT: Duration = Duration::from_millis(250);

/// A nonce that may come back.
#[derive(Clone, Copy, Debug)]
struct OpenNonce {
    nonce: u64,
    sent_at: Timestamp,
    /// The number of bytes that were sent since the nonce before this one.
    bytes: u64,
    /// The epoch of the circuit breaker in which the nonce was sent.
    epoch: u32,
    has_come: bool,
}

/// The nonces of one session.
#[derive(Debug)]
pub(super) struct Challenge {
    /// The open nonces in the order in which they were sent. The outcome of a nonce counts when the outcomes of all
    /// before it are known, because a loss becomes known later than an answer.
    open: VecDeque<OpenNonce>,
    lost: VecDeque<(u64, Timestamp)>,
    /// The number of bytes that were sent since the last nonce.
    bytes: u64,
    sent_at: Timestamp,
    /// The number of nonces that were sent after the last one that came back.
    unanswered: u32,
    /// When the first of the unanswered nonces was sent.
    unanswered_since: Timestamp,
    rtt: Option<Duration>,
}

impl Challenge {
    /// The state of a session that begins at `now` and was sent no nonce yet.
    pub(super) fn new(now: Timestamp) -> Challenge {
        Challenge {
            open: VecDeque::new(),
            lost: VecDeque::new(),
            bytes: 0,
            sent_at: now,
            unanswered: 0,
            unanswered_since: now,
            rtt: None,
        }
    }

    /// Records that `bytes` are sent in datagrams of at most `datagram` bytes. Returns the nonce that is sent with
    /// them, if a nonce is due. The `breaker` of the host learns the bytes and which earlier nonces are lost.
    pub(super) fn on_sent(
        &mut self,
        breaker: &mut CircuitBreaker,
        bytes: u32,
        datagram: u16,
        now: Timestamp,
        rng: &mut StdRng,
    ) -> Option<u64> {
        self.settle(breaker, now);
        breaker.spend(bytes, now);
        self.bytes += u64::from(bytes);
        let usual = SPACING.max(SPACING_PINGS * u64::from(datagram));
        let since = now.since(self.sent_at);
        let is_due = self.open.len() < MAX_OPEN && self.bytes >= breaker.spacing(usual)
            || since >= PERIOD
            || since >= UNANSWERED_PERIOD && self.unanswered > 0;
        is_due.then(|| self.send(breaker, now, rng))
    }

    /// The next nonce, if one is due, for an unresponsive downloader, to which nothing else is sent.
    pub(super) fn poll_probe(
        &mut self,
        breaker: &CircuitBreaker,
        now: Timestamp,
        rng: &mut StdRng,
    ) -> Option<u64> {
        (now.since(self.sent_at) >= UNANSWERED_PERIOD).then(|| self.send(breaker, now, rng))
    }

    /// Records that `nonce` has come back. A nonce that was never sent, or that comes back twice, changes nothing.
    pub(super) fn on_answer(&mut self, breaker: &mut CircuitBreaker, nonce: u64, now: Timestamp) {
        let Some(sent_at) = self.take_answered(nonce) else {
            return;
        };
        let took = now.since(sent_at);
        self.rtt = Some(self.rtt.map_or(took, |rtt| (rtt * 7 + took) / 8));
        let mut later = self.open.iter().filter(|open| open.sent_at > sent_at);
        self.unanswered_since = later.next().map_or(now, |next| next.sent_at);
        self.unanswered =
            self.unanswered.min(self.open.iter().filter(|open| open.sent_at > sent_at).count() as u32);
        self.settle(breaker, now);
    }

    /// Marks `nonce` as answered. Returns when it was sent, unless it was never sent or has come back before.
    fn take_answered(&mut self, nonce: u64) -> Option<Timestamp> {
        if let Some(open) = self.open.iter_mut().find(|open| open.nonce == nonce && !open.has_come) {
            open.has_come = true;
            return Some(open.sent_at);
        }
        let index = self.lost.iter().position(|(lost, _)| *lost == nonce)?;
        self.lost.remove(index).map(|(_, sent_at)| sent_at)
    }

    /// Whether no nonce has come back for so long that no more CHUNKs are sent.
    pub(super) fn is_unresponsive(&self, now: Timestamp) -> bool {
        self.unanswered >= UNRESPONSIVE_NONCES && now.since(self.unanswered_since) > UNRESPONSIVE_AFTER
    }

    /// Asks when something may be sent: at once, if the result is not after `now`.
    pub(super) fn poll_ready(&mut self, breaker: &mut CircuitBreaker, now: Timestamp) -> Timestamp {
        self.settle(breaker, now);
        breaker.poll_ready(now)
    }

    fn send(&mut self, breaker: &CircuitBreaker, now: Timestamp, rng: &mut StdRng) -> u64 {
        if self.open.len() >= MAX_OPEN {
            self.open.pop_front();
        }
        let nonce = rng.random_range(1..=u64::MAX);
        let (bytes, epoch) = (std::mem::take(&mut self.bytes), breaker.epoch());
        self.open.push_back(OpenNonce { nonce, sent_at: now, bytes, epoch, has_come: false });
        if self.unanswered == 0 {
            self.unanswered_since = now;
        }
        self.unanswered += 1;
        self.sent_at = now;
        nonce
    }

    /// Counts the nonces that have not come back in time as lost, and tells `breaker` the outcomes.
    fn settle(&mut self, breaker: &mut CircuitBreaker, now: Timestamp) {
        let rtt = self.rtt.unwrap_or(UNRESPONSIVE_AFTER);
        let timeout = (rtt * 3).clamp(MIN_LOSS_TIMEOUT, UNRESPONSIVE_AFTER);
        let is_settled = |open: &mut OpenNonce| open.has_come || now.since(open.sent_at) > timeout;
        while let Some(open) = self.open.pop_front_if(is_settled) {
            if !open.has_come {
                self.lost.push_back((open.nonce, open.sent_at));
            }
            if open.epoch == breaker.epoch() {
                breaker.on_outcome(open.has_come, open.bytes, rtt, now);
            }
        }
        while self.lost.len() > MAX_OPEN
            || self.lost.front().is_some_and(|(_, sent_at)| now.since(*sent_at) > UNRESPONSIVE_AFTER)
        {
            self.lost.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    const BURST: u32 = 1 << 16;

    fn start() -> (Challenge, CircuitBreaker, Timestamp, StdRng) {
        let now = Timestamp::ZERO + Duration::from_secs(1);
        (Challenge::new(now), CircuitBreaker::new(now), now, StdRng::seed_from_u64(7))
    }

    #[test]
    fn a_nonce_goes_behind_each_mebibyte_or_behind_more_of_long_datagrams_and_none_is_ever_repeated() {
        for (datagram, count) in [(1200, 64), (16_416, 31), (65_507, 8)] {
            let (mut challenge, mut breaker, mut now, mut rng) = start();
            let mut nonces = Vec::new();
            for _ in 0..1024 {
                now += Duration::from_micros(100);
                if let Some(nonce) = challenge.on_sent(&mut breaker, BURST, datagram, now, &mut rng) {
                    challenge.on_answer(&mut breaker, nonce, now + Duration::from_micros(50));
                    nonces.push(nonce);
                }
            }
            assert_eq!(nonces.len(), count, "{datagram}");
            nonces.sort_unstable();
            nonces.dedup();
            assert_eq!(nonces.len(), count, "each another one");
        }
    }

    #[test]
    fn many_are_open_at_once_and_each_may_come_back_in_any_order() {
        let (mut challenge, mut breaker, mut now, mut rng) = start();
        let mut nonces = Vec::new();
        for _ in 0..40 * 16 {
            now += Duration::from_millis(1);
            nonces.extend(challenge.on_sent(&mut breaker, BURST, 1200, now, &mut rng));
        }
        assert_eq!(nonces.len(), 40);
        for nonce in nonces.into_iter().rev() {
            challenge.on_answer(&mut breaker, nonce, now);
        }
        assert!(challenge.open.is_empty() && challenge.lost.is_empty() && challenge.unanswered == 0);
    }

    #[test]
    fn the_number_of_kept_nonces_is_bounded_whatever_is_sent() {
        let (mut challenge, mut breaker, mut now, mut rng) = start();
        for _ in 0..100_000 {
            now += Duration::from_micros(30);
            challenge.on_sent(&mut breaker, BURST, 1200, now, &mut rng);
            assert!(challenge.open.len() <= MAX_OPEN && challenge.lost.len() <= MAX_OPEN);
        }
    }

    #[test]
    fn a_path_that_has_become_far_longer_is_not_mistaken_for_one_that_loses_all() {
        let (mut challenge, mut breaker, mut now, mut rng) = start();
        let mut under_way = VecDeque::new();
        let (short, long) = (Duration::from_millis(20), Duration::from_millis(900));
        for burst in 0..100_000u32 {
            now += Duration::from_millis(1);
            let rtt = if burst < 3000 { short } else { long };
            under_way.extend(
                challenge.on_sent(&mut breaker, BURST, 1200, now, &mut rng).map(|nonce| (now + rtt, nonce)),
            );
            while let Some((_, nonce)) = under_way.pop_front_if(|(at, _)| *at <= now) {
                challenge.on_answer(&mut breaker, nonce, now);
            }
            assert!(
                !challenge.is_unresponsive(now) && challenge.poll_ready(&mut breaker, now) <= now,
                "{burst}"
            );
        }
        assert!(challenge.rtt > Some(long - long / 16), "{:?}", challenge.rtt);
    }

    #[test]
    fn while_little_is_sent_a_nonce_still_goes_now_and_then() {
        let (mut challenge, mut breaker, mut now, mut rng) = start();
        let mut sent_at = Vec::new();
        for _ in 0..600 {
            now += Duration::from_millis(100);
            if let Some(nonce) = challenge.on_sent(&mut breaker, 1000, 1200, now, &mut rng) {
                sent_at.push(now);
                challenge.on_answer(&mut breaker, nonce, now);
            }
        }
        assert!(sent_at.windows(2).all(|pair| pair[1].since(pair[0]) >= PERIOD) && sent_at.len() == 6);
    }
}
