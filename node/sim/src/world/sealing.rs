//! The sealed channels of hosts and tracker.

use channel::{ChannelSettings, Channels, Policy, Role, StaticKey, Suite, SwarmSecret};
use messages::BootEpoch;
use rand::RngExt as _;
use riffle_core::{Identity, Node};

use super::World;
use super::tracker_host::start;

/// The channels that a host keeps.
const MAX_CHANNELS: usize = 4096;
/// The tracker's static key.
const TRACKER_SECRET: [u8; 32] = [77; 32];

/// With what the channels of a host are opened.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    /// Who the host is.
    pub(super) key: StaticKey,
    /// What may be in the clear.
    pub(super) policy: Policy,
    /// The swarm that it is in.
    pub(super) swarm: SwarmSecret,
}

/// `node` with the channels of a member, if it has any.
pub(super) fn sealed(node: Node, member: Option<&Membership>, identity: &Identity) -> Node {
    let Some(Membership { key, policy, swarm }) = member else { return node };
    node.with_channels(Channels::new(ChannelSettings {
        key: key.clone(),
        swarm: swarm.clone(),
        policy: *policy,
        role: Role::Node,
        max_channels: MAX_CHANNELS,
        max_channels_per_host: MAX_CHANNELS,
        epoch: identity.epoch,
        secret: identity.secret,
        suite: Suite::Aes128Gcm,
    }))
}

impl World {
    /// From now on hosts that are added are in the closed swarm of `secret`, which the tracker serves too. Nothing that
    /// they say is in the clear.
    pub fn close(&mut self, secret: SwarmSecret) {
        self.policy = Some(Policy::SEALED);
        self.swarm = secret.clone();
        if self.tracker.closed.iter().all(|known| *known != secret) {
            self.add_closed(&secret);
            self.tracker.closed.push(secret);
        }
    }

    /// Gives the tracker channels, if the world has any, and its closed swarms. In each of its lives it has the policy of
    /// its first.
    pub(super) fn seal_tracker(&mut self) {
        for secret in self.tracker.closed.clone() {
            self.add_closed(&secret);
        }
        let Some(policy) = self.tracker.policy.or(self.policy) else { return };
        self.tracker.policy = Some(policy);
        let channels = self.tracker_channels(policy, SwarmSecret::open());
        self.tracker.core.tracker_mut(0).expect("the open swarm is served").seal_with(channels);
    }

    fn add_closed(&mut self, secret: &SwarmSecret) {
        let mut tracker = start(&mut self.rng, self.now);
        tracker.seal_with(self.tracker_channels(Policy::SEALED, secret.clone()));
        self.tracker.core.add(tracker);
    }

    fn tracker_channels(&mut self, policy: Policy, swarm: SwarmSecret) -> Channels {
        Channels::new(ChannelSettings {
            key: StaticKey::from_secret(TRACKER_SECRET),
            swarm,
            policy,
            role: Role::Tracker,
            max_channels: MAX_CHANNELS,
            max_channels_per_host: MAX_CHANNELS,
            epoch: BootEpoch(self.now.as_nanos() / 1_000_000),
            secret: self.rng.random(),
            suite: Suite::Aes128Gcm,
        })
    }
}
