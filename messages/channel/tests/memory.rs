//! What an open channel costs: about half a kilobyte while it is idle, so that a tracker can have a million of them.

#[path = "../../tests/support/heap.rs"]
mod heap;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use channel::{ChannelSettings, Channels, Policy, Received, Role, StaticKey, Suite, SwarmSecret};
use messages::{BootEpoch, Conversation, Header, Kind, Timestamp};

const NODES: u32 = 600;
/// Heap bytes of an idle channel: itself, and its places in the tables, in tree nodes that are two thirds full.
const IDLE: isize = 680;

fn address(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + number.wrapping_mul(7919) % 65_536), 4000))
}

fn endpoint(number: u32, role: Role, max_channels: usize) -> Channels {
    let mut secret = [0x42; 32];
    secret[8..12].copy_from_slice(&number.to_le_bytes());
    Channels::new(ChannelSettings {
        key: StaticKey::from_secret(secret),
        swarm: SwarmSecret::open(),
        policy: Policy::SEALED,
        role,
        max_channels,
        max_channels_per_host: max_channels,
        epoch: BootEpoch(1_800_000_000_000),
        secret,
        suite: Suite::Aes128Gcm,
    })
}

fn register() -> Vec<u8> {
    Header { kind: Kind::Register, conversation: Conversation(5) }.encode().to_vec()
}

/// Whether what `node` says arrives at the tracker.
fn says(node: &mut Channels, tracker: &mut Channels, number: u32, now: Timestamp) -> bool {
    let mut bytes = Vec::new();
    node.seal(address(0), &register(), now, &mut bytes)
        && matches!(tracker.handle(address(number), &mut bytes, now), Received::Opened { .. })
}

/// Has the tracker say something to every node, so that it has keys of both directions.
fn answer(tracker: &mut Channels, now: Timestamp) {
    for number in 1..=NODES {
        assert!(tracker.seal(address(number), &register(), now, &mut Vec::new()));
    }
}

/// Opens a channel of `node`, and uses it.
fn open(node: &mut Channels, tracker: &mut Channels, number: u32, now: Timestamp) {
    node.seal(address(0), &register(), now, &mut Vec::new());
    for _ in 0..2 {
        for (_, mut bytes) in node.take_outbox() {
            tracker.handle(address(number), &mut bytes, now);
        }
        for (_, mut bytes) in tracker.take_outbox() {
            node.handle(address(0), &mut bytes, now);
        }
    }
    // As a tracker does, which logs it.
    assert_eq!(tracker.take_news().len(), 1);
    assert!(says(node, tracker, number, now), "node {number} has a channel");
}

#[test]
fn an_idle_channel_takes_little_and_is_used_again_as_if_it_had_not_been_idle() {
    let mut now = Timestamp::ZERO + Duration::from_secs(1000);
    let mut tracker = endpoint(0, Role::Tracker, NODES as usize + 1);
    let mut nodes: Vec<Channels> = (1..=NODES).map(|number| endpoint(number, Role::Node, 1)).collect();
    for (number, node) in (1..).zip(&mut nodes) {
        open(node, &mut tracker, number, now);
    }
    answer(&mut tracker, now);
    let busy = heap::held();
    now += Duration::from_secs(60);
    // One node goes on, so that time is known to pass.
    assert!(says(&mut nodes[0], &mut tracker, 1, now));
    let ready = (busy - heap::held()) / NODES as isize;
    assert!(ready >= 64, "keys that are not ready take nothing: {ready}");
    for (number, node) in (1..).zip(&mut nodes) {
        assert!(says(node, &mut tracker, number, now), "node {number} is heard");
    }
    answer(&mut tracker, now);
    // When the cookies of their handshakes are good no more, a newcomer makes the times of these be forgotten.
    now += Duration::from_secs(300);
    open(&mut endpoint(NODES + 1, Role::Node, 1), &mut tracker, NODES + 1, now);
    drop(nodes);
    let (kept, count) = (heap::held(), tracker.len() as isize);
    drop(tracker);
    assert_eq!(count, NODES as isize + 1);
    let idle = (kept - heap::held()) / count;
    assert!(idle <= IDLE, "{idle} bytes of heap a channel");
    assert!(idle >= IDLE / 2, "the limit is near what it limits: {idle}");
}
