//! The sealed channels of hosts and tracker.

use channel::{ChannelSettings, Channels, Policy, Role, StaticKey, Suite, SwarmSecret};
use messages::BootEpoch;
use rand::RngExt as _;
use riffle_core::{Identity, Node};

use super::World;

/// The channels that a host keeps.
const MAX_CHANNELS: usize = 4096;
/// The tracker's static key.
const TRACKER_SECRET: [u8; 32] = [77; 32];

/// `node` with channels under `key`, if it has one.
pub(super) fn sealed(node: Node, key: Option<&(StaticKey, Policy)>, identity: &Identity) -> Node {
    let Some((key, policy)) = key else { return node };
    node.with_channels(Channels::new(ChannelSettings {
        key: key.clone(),
        swarm: SwarmSecret::open(),
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
    /// Gives the tracker channels, if the world has any. In each of its lives it has the policy of its first.
    pub(super) fn seal_tracker(&mut self) {
        let Some(policy) = self.tracker.policy.or(self.policy) else { return };
        self.tracker.policy = Some(policy);
        let channels = Channels::new(ChannelSettings {
            key: StaticKey::from_secret(TRACKER_SECRET),
            swarm: SwarmSecret::open(),
            policy,
            role: Role::Tracker,
            max_channels: MAX_CHANNELS,
            max_channels_per_host: MAX_CHANNELS,
            epoch: BootEpoch(self.now.as_nanos() / 1_000_000),
            secret: self.rng.random(),
            suite: Suite::Aes128Gcm,
        });
        self.tracker.core.seal_with(channels);
    }
}
