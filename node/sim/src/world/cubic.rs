//! One TCP connection with CUBIC (RFC 9438) whose packets leave over a host's uplink: the competitor of a session.
//!
//! The connection always has something to send. Each packet is acknowledged by itself, and only the uplink's queue
//! loses any. A loss is found by three later acknowledgements (RFC 6675, RFC 8985 without their timers: the path keeps
//! the order) and counts as sent once more with a later packet. When no acknowledgement comes, the connection begins
//! anew after a time (RFC 6298).

use std::collections::VecDeque;
use std::time::Duration;

use messages::Timestamp;

use super::sim_event::SimEvent;
use super::{HostId, World};

/// The length of its IP packets, in bytes.
const PACKET: u64 = 1500;
/// The constant C of RFC 9438 §5.
const C: f64 = 0.4;
/// The factor by which a loss lowers the window (RFC 9438 §4.6).
const BETA: f64 = 0.7;
/// The initial window in packets (RFC 6928).
const INITIAL_WINDOW: f64 = 10.0;
/// How many later acknowledgements say that a packet is lost.
const DUPLICATES: u64 = 3;
/// After how long without any acknowledgement the connection begins anew, twice as long each time (RFC 6298 §2).
const MIN_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest such time.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);

/// The connection.
#[derive(Debug)]
pub struct Cubic {
    uplink: HostId,
    /// The congestion window, in packets as all windows here.
    window: f64,
    /// The slow-start threshold.
    threshold: f64,
    /// The window before the last loss (`W_max` of RFC 9438).
    w_max: f64,
    epoch: Option<Epoch>,
    next: u64,
    /// The packets that are sent and neither acknowledged nor lost, in order.
    outstanding: VecDeque<u64>,
    /// The first packet that was sent after the last cut: losses before it make no second cut.
    recovers_at: u64,
    acknowledged_at: Timestamp,
    timeout: Duration,
    /// How many bytes have arrived.
    pub delivered_bytes: u64,
}

/// The congestion avoidance since the last cut.
#[derive(Debug)]
struct Epoch {
    began: Timestamp,
    /// The seconds until the window is where it was before the cut (`K` of RFC 9438).
    k: f64,
    /// The window that Reno would have (`W_est` of RFC 9438).
    reno: f64,
}

impl World {
    /// Starts a CUBIC connection over the uplink of `host`.
    pub fn start_cubic(&mut self, host: HostId) {
        self.cubic = Some(Cubic {
            uplink: host,
            window: INITIAL_WINDOW,
            threshold: f64::INFINITY,
            w_max: 0.0,
            epoch: None,
            next: 0,
            outstanding: VecDeque::new(),
            recovers_at: 0,
            acknowledged_at: self.now,
            timeout: MIN_TIMEOUT,
            delivered_bytes: 0,
        });
        self.send_cubic();
        self.schedule(self.now + MIN_TIMEOUT, SimEvent::CubicTimer);
    }

    /// The retransmission timer may be due.
    pub(super) fn on_cubic_timer(&mut self) {
        let now = self.now;
        let Some(cubic) = &mut self.cubic else {
            return;
        };
        if now.since(cubic.acknowledged_at) >= cubic.timeout {
            cubic.begin_anew(now);
            self.send_cubic();
        }
        let next = self.cubic().acknowledged_at + self.cubic().timeout;
        self.schedule(next, SimEvent::CubicTimer);
    }

    /// The CUBIC connection, and what it has delivered.
    pub fn cubic(&self) -> &Cubic {
        self.cubic.as_ref().expect("World::start_cubic was called before")
    }

    /// The acknowledgement of packet `number` arrives.
    pub(super) fn on_cubic_acknowledged(&mut self, number: u64, rtt: Duration) {
        let now = self.now;
        if let Some(cubic) = &mut self.cubic {
            cubic.on_acknowledged(number, rtt, now);
        }
        self.send_cubic();
    }

    fn send_cubic(&mut self) {
        let Some(mut cubic) = self.cubic.take() else {
            return;
        };
        let HostId(index) = cubic.uplink;
        while (cubic.outstanding.len() as f64) < cubic.window {
            let number = cubic.next;
            cubic.next += 1;
            cubic.outstanding.push_back(number);
            let host = &mut self.hosts[index];
            let (link, now) = (host.link.spec, self.now);
            if let Some(sent_at) = host.link.up.enqueue(link.up, link.queue, PACKET, now) {
                // The way back is as long and empty.
                let at = sent_at + link.delay + link.delay;
                self.schedule(at, SimEvent::CubicAcknowledged { number, rtt: at.since(now) });
            }
        }
        self.cubic = Some(cubic);
    }
}

impl Cubic {
    fn on_acknowledged(&mut self, number: u64, rtt: Duration, now: Timestamp) {
        self.delivered_bytes += PACKET;
        (self.acknowledged_at, self.timeout) = (now, MIN_TIMEOUT);
        let mut lost = false;
        while let Some(&first) = self.outstanding.front() {
            if first + DUPLICATES <= number {
                self.outstanding.pop_front();
                lost |= first >= self.recovers_at;
            } else {
                break;
            }
        }
        if let Ok(index) = self.outstanding.binary_search(&number) {
            self.outstanding.remove(index);
        }
        if lost {
            self.on_lost();
        } else {
            self.grow(rtt.as_secs_f64(), now);
        }
    }

    /// RFC 9438 §4.8.
    fn begin_anew(&mut self, now: Timestamp) {
        self.on_lost();
        self.window = 1.0;
        self.outstanding.clear();
        (self.acknowledged_at, self.timeout) = (now, (self.timeout * 2).min(MAX_TIMEOUT));
    }

    /// RFC 9438 §4.6, with the fast convergence of §4.7.
    fn on_lost(&mut self) {
        let most = self.window;
        self.w_max = if most < self.w_max { most * (1.0 + BETA) / 2.0 } else { most };
        self.window = (most * BETA).max(2.0);
        self.threshold = self.window;
        self.epoch = None;
        self.recovers_at = self.next;
    }

    /// RFC 9438 §4.2 to §4.5.
    fn grow(&mut self, rtt: f64, now: Timestamp) {
        if self.window < self.threshold {
            self.window += 1.0;
            return;
        }
        let (window, most) = (self.window, self.w_max);
        let epoch = self.epoch.get_or_insert_with(|| Epoch {
            began: now,
            k: cube_root((most - window).max(0.0) / C),
            reno: window,
        });
        let cubic = |seconds: f64| {
            let from_k = seconds - epoch.k;
            C * from_k * from_k * from_k + most.max(window)
        };
        let since = now.since(epoch.began).as_secs_f64();
        let alpha = if epoch.reno < most { 3.0 * (1.0 - BETA) / (1.0 + BETA) } else { 1.0 };
        epoch.reno += alpha / window;
        let target = cubic(since + rtt).clamp(window, window * 1.5);
        self.window = if cubic(since) < epoch.reno {
            window.max(epoch.reno)
        } else {
            window + (target - window) / window
        };
    }
}

/// By Newton's method, which is the same on every machine.
fn cube_root(of: f64) -> f64 {
    let mut root = of.max(1.0);
    for _ in 0..200 {
        root -= (root * root * root - of) / (3.0 * root * root);
    }
    root
}

#[cfg(test)]
mod tests {
    use super::cube_root;

    #[test]
    fn cube_roots_are_found() {
        for root in [0.01, 1.0, 7.5, 100.0] {
            assert!((cube_root(root * root * root) - root).abs() < 1e-6, "{root}");
        }
    }
}
