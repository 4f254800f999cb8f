//! The timers of a session: a repeated HELLO, the end of a pause, PINGs, and the end of a session with a silent owner.

use std::time::Duration;

use config::NetworkSettings;
use messages::Timestamp;
use messages::node_to_node::Ping;
use rand::RngExt as _;

use super::established::Standing;
use super::{Session, SessionState};
use crate::context::Context;
use crate::event::SessionEnd;
use crate::output::{Reason, Wait};

/// A snubbed owner is sent a PING at this interval.
const SNUBBED_PING: Duration = Duration::from_millis(100);
/// A snubbed owner that stays silent this long is given up.
const SNUBBED_FOR: Duration = Duration::from_secs(10);

impl Session {
    /// Does what is due by now: repeats HELLO, ends a pause, or pings a silent owner. Returns the reason, if the
    /// session is over.
    pub(crate) fn handle_time(&mut self, cx: &mut Context<'_>) -> Option<SessionEnd> {
        let now = cx.now;
        self.inventory.retry_rejected(now);
        if self.liveness.has_ended(now) {
            return Some(SessionEnd::Silent);
        }
        let established = match &mut self.state {
            SessionState::Handshake(handshake) if now < handshake.next_at => return None,
            SessionState::Handshake(handshake) if handshake.is_exhausted(&cx.settings.network) => {
                return Some(SessionEnd::NoAnswer);
            }
            SessionState::Handshake(handshake) => {
                handshake.repeat_hello(&self.contact, cx);
                return None;
            }
            SessionState::Established(established) => established,
        };
        let pings = match &mut established.standing {
            Standing::Choked { until, .. } => {
                if now >= *until {
                    established.standing = Standing::Unchoked;
                }
                false
            }
            Standing::Snubbed { since, .. } if now.since(*since) >= SNUBBED_FOR => {
                return Some(SessionEnd::Silent);
            }
            Standing::Snubbed { next_ping, .. } => {
                let is_due = now >= *next_ping;
                if is_due {
                    *next_ping = now + SNUBBED_PING;
                }
                is_due
            }
            // Nothing has been sent to the owner for a while, but it is to keep the session.
            Standing::Unchoked => {
                let is_due = now >= self.sent_at_last + cx.settings.network.session_idle / 3;
                if is_due {
                    self.sent_at_last = now;
                }
                is_due
            }
        };
        if pings {
            let nonce = cx.rng.random_range(1..=u64::MAX);
            cx.send(self.contact.peer, established.remote, &Ping::new(nonce));
        }
        None
    }

    /// Whether nothing was sent to an unchoked owner for so long that a PING is due, which keeps the session open.
    pub(crate) fn is_unused(&self, cx: &Context<'_>) -> bool {
        self.is_unchoked() && cx.now >= self.sent_at_last + cx.settings.network.session_idle / 3
    }

    /// Snubs an owner that has been silent for too long. Returns whether it is snubbed now.
    pub(crate) fn snub_if_silent(&mut self, cx: &Context<'_>) -> bool {
        let due = self.snub_at(cx.settings.network.snub_after).is_some_and(|at| cx.now >= at);
        if due {
            self.set_standing(Standing::Snubbed { since: cx.now, next_ping: cx.now });
            self.liveness.on_snubbed();
        }
        due
    }

    /// Takes the slot from an owner that has sent nothing for too long. Returns whether it loses the slot now.
    pub(crate) fn turn_unproductive(&mut self, now: Timestamp) -> bool {
        self.liveness.turn_unproductive(now)
    }

    /// When [`Session::handle_time`] has something to do.
    pub(crate) fn next_timer(&self, network: &NetworkSettings) -> Wait {
        let rejected = Wait { until: self.inventory.next_at(), reason: Reason::HelloRetry };
        let unproductive = Wait { until: self.liveness.next_at(), reason: Reason::Snub };
        let established = match &self.state {
            SessionState::Handshake(handshake) => {
                let hello = Wait { until: handshake.next_at, reason: Reason::HelloRetry };
                return hello.earlier(rejected).earlier(unproductive);
            }
            SessionState::Established(established) => established,
        };
        let own = match &established.standing {
            Standing::Choked { until, .. } => Wait { until: *until, reason: Reason::Snub },
            Standing::Snubbed { since, next_ping } => {
                Wait { until: (*next_ping).min(*since + SNUBBED_FOR), reason: Reason::Snub }
            }
            Standing::Unchoked => {
                Wait { until: self.sent_at_last + network.session_idle / 3, reason: Reason::KeepAlive }
            }
        };
        let snub =
            self.snub_at(network.snub_after).map_or(Wait::IDLE, |until| Wait { until, reason: Reason::Snub });
        own.earlier(snub).earlier(established.flow.next_timer()).earlier(rejected).earlier(unproductive)
    }

    fn snub_at(&self, snub_after: Duration) -> Option<Timestamp> {
        self.established()?.snub_at(self.liveness.owes_since()?, snub_after)
    }
}
