//! Whether the tracker knows this node, and what the tracker and the node know of each other.

use std::time::Duration;

use messages::node_to_tracker::Asker;
use messages::tracker_to_node::{Owner, Registered};
use messages::{BootEpoch, Conversation, Cookie, Endpoint, NodeId, Timestamp};

use super::register_conversations::RegisterConversations;

/// REGISTER is sent at this interval until the tracker names another one.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(20);
/// REGISTER is sent at no shorter interval than this, whatever the tracker asks for.
const MIN_HEARTBEAT: Duration = Duration::from_secs(1);
/// REGISTER is sent at no longer interval than this, whatever the tracker asks for.
const MAX_HEARTBEAT: Duration = Duration::from_secs(60);
/// The node has left after this long, even without an answer to EXIT.
pub(super) const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The state of the node's registration at its tracker.
///
/// ```text
///   Joining ──REGISTERED──▶ Joined ──every heartbeat: REGISTER──▶ Joined
///      ▲                     │  ╰──EXIT──▶ Leaving ──GOODBYE, or too long──▶ Left
///      ╰─────────────────────╯
///        REFUSED NotRegistered, or another tracker
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegistrationState {
    /// The tracker does not know this node yet, or does not know it any more.
    Joining,
    /// The tracker knows this node.
    Joined,
    /// EXIT is on its way, until then.
    Leaving { until: Timestamp },
    /// The tracker has confirmed EXIT, or has not done so in time.
    Left,
}

/// The changes that REGISTERED has brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct RegisteredChanges {
    /// Whether the tracker answers for the first time, or in another life than before.
    pub(super) is_new_tracker: bool,
    /// Whether the node was not registered before.
    pub(super) has_joined: bool,
}

/// This node's registration at its tracker.
#[derive(Debug)]
pub(super) struct Registration {
    node: NodeId,
    epoch: BootEpoch,
    state: RegistrationState,
    /// The cookie that the tracker has given out for this address.
    cookie: Cookie,
    /// The life of the tracker that answered last.
    tracker_epoch: Option<u64>,
    /// This node's address as the tracker sees it.
    observed: Option<Endpoint>,
    heartbeat: Duration,
    next_register: Timestamp,
    conversations: RegisterConversations,
    /// Whether the node is to send REGISTER again once it has announced everything, because the tables differed while
    /// it was still announcing.
    needs_recheck: bool,
}

impl Registration {
    /// A registration that has not begun. The first REGISTER is due at once.
    pub(super) fn new(node: NodeId, epoch: BootEpoch, now: Timestamp) -> Registration {
        Registration {
            node,
            epoch,
            state: RegistrationState::Joining,
            cookie: Cookie::NONE,
            tracker_epoch: None,
            observed: None,
            heartbeat: HEARTBEAT,
            next_register: now,
            conversations: RegisterConversations::default(),
            needs_recheck: false,
        }
    }

    pub(super) fn state(&self) -> RegistrationState {
        self.state
    }

    pub(super) fn is_joined(&self) -> bool {
        self.state == RegistrationState::Joined
    }

    /// Whether EXIT was sent, answered or not.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, RegistrationState::Leaving { .. } | RegistrationState::Left)
    }

    /// Whether any tracker has registered this life of the node.
    pub(super) fn was_ever_registered(&self) -> bool {
        self.tracker_epoch.is_some()
    }

    pub(super) fn epoch(&self) -> BootEpoch {
        self.epoch
    }

    pub(super) fn cookie(&self) -> Cookie {
        self.cookie
    }

    /// The sender's fields of a request that is sent now.
    pub(super) fn asker(&self) -> Asker {
        Asker { node: self.node, cookie: self.cookie }
    }

    /// Whether `owner` is this node itself.
    pub(super) fn is_this_node(&self, owner: &Owner) -> bool {
        owner.node == self.node || Some(owner.endpoint) == self.observed
    }

    /// Whether the tracker means this life of the node when it asks, in `conversation`, whether the node is there.
    pub(super) fn is_asked_in(&self, conversation: Conversation) -> bool {
        self.conversations.contains(conversation)
    }

    /// Sets the cookie of the next requests.
    pub(super) fn set_cookie(&mut self, cookie: Cookie) {
        self.cookie = cookie;
    }

    /// Begins to register again, because the tracker does not know this node any more. REGISTER is due at once.
    pub(super) fn rejoin(&mut self, now: Timestamp) {
        self.state = RegistrationState::Joining;
        self.next_register = now;
    }

    /// Has REGISTER sent by `at`.
    pub(super) fn register_by(&mut self, at: Timestamp) {
        self.next_register = self.next_register.min(at);
    }

    /// Has REGISTER sent again once the node has announced everything, because the tables differ meanwhile.
    pub(super) fn recheck(&mut self) {
        self.needs_recheck = true;
    }

    /// Drops that further REGISTER, because everything is announced anew.
    pub(super) fn forget_recheck(&mut self) {
        self.needs_recheck = false;
    }

    /// When REGISTER is due. `resync_at` is when the tracker may be asked again whether the tables agree; `None` while
    /// something is being announced.
    pub(super) fn register_at(&self, resync_at: Option<Timestamp>) -> Timestamp {
        match resync_at {
            Some(at) if self.needs_recheck => self.next_register.min(at),
            _ => self.next_register,
        }
    }

    /// Records that REGISTER is sent in `conversation`.
    pub(super) fn on_register(&mut self, conversation: Conversation, now: Timestamp) {
        self.needs_recheck = false;
        self.conversations.remember(conversation);
        self.next_register = now + self.heartbeat;
    }

    /// Handles REGISTERED. Returns what it has changed.
    pub(super) fn on_registered(&mut self, registered: &Registered, now: Timestamp) -> RegisteredChanges {
        self.cookie = registered.cookie;
        self.observed = Some(registered.observed);
        self.heartbeat =
            Duration::from_millis(registered.interval_ms.into()).clamp(MIN_HEARTBEAT, MAX_HEARTBEAT);
        self.next_register = now + self.heartbeat;
        let last_epoch = self.tracker_epoch.replace(registered.tracker_epoch);
        let has_joined = self.state == RegistrationState::Joining;
        if has_joined {
            self.state = RegistrationState::Joined;
        }
        RegisteredChanges { is_new_tracker: last_epoch != Some(registered.tracker_epoch), has_joined }
    }

    /// Begins to leave. Returns whether EXIT is to be sent: a node that is not registered has left at once.
    pub(super) fn leave(&mut self, now: Timestamp) -> bool {
        let is_joined = self.is_joined();
        self.state = if is_joined {
            RegistrationState::Leaving { until: now + EXIT_TIMEOUT }
        } else {
            RegistrationState::Left
        };
        is_joined
    }

    /// Records that the tracker has confirmed EXIT, or has not done so in time.
    pub(super) fn on_left(&mut self) {
        self.state = RegistrationState::Left;
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn no_tracker_makes_the_heartbeat_shorter_than_a_second_or_longer_than_a_minute() {
        for (interval_ms, seconds) in [(0, 1), (1000, 1), (30_000, 30), (u32::MAX, 60)] {
            let mut registration =
                Registration::new(NodeId::from_bytes([1; 16]), BootEpoch(1), Timestamp::ZERO);
            let observed = Endpoint::new(SocketAddr::from(([10, 0, 0, 1], 1)));
            let cookie = Cookie::from_bytes([1; 16]);
            let registered = Registered { cookie, tracker_epoch: 1, interval_ms, resync: false, observed };
            let changes = registration.on_registered(&registered, Timestamp::ZERO);
            assert!(changes.is_new_tracker && changes.has_joined);
            let due = registration.register_at(None);
            assert_eq!(due.since(Timestamp::ZERO), Duration::from_secs(seconds));
        }
    }
}
