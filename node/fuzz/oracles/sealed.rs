//! Any datagrams over an open channel: each is opened as it was said, once, in whatever order; no damaged form of one is.

use std::net::SocketAddr;
use std::time::Duration;

use channel::{ChannelSettings, Channels, Policy, Received, Role, StaticKey, Suite, SwarmSecret, TAG_LENGTH};
use messages::{BootEpoch, HEADER_LENGTH, Header, Kind, Timestamp};

use crate::script::Script;

const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000_000);

/// Fewer than the window of packet numbers, so that whatever is late still counts.
const MAX_DATAGRAMS: usize = 500;

fn address(side: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + side], 4000))
}

fn endpoint(side: u8, suite: Suite) -> Channels {
    Channels::new(ChannelSettings {
        key: StaticKey::from_secret([0x20 * (side + 1); 32]),
        swarm: SwarmSecret::open(),
        policy: Policy::SEALED,
        role: Role::Node,
        max_channels: 2,
        max_channels_per_host: 2,
        epoch: BootEpoch(1_800_000_000_000),
        secret: [side; 32],
        suite,
    })
}

/// Two endpoints with a channel between them.
fn pair(suite: Suite) -> (Channels, Channels) {
    let (mut one, mut other) = (endpoint(0, suite), endpoint(1, suite));
    one.expect_key(address(1), StaticKey::from_secret([0x40; 32]).public());
    let hello = Header { kind: Kind::Hello, conversation: messages::Conversation(1) }.encode();
    one.seal(address(1), &hello, NOW, &mut Vec::new());
    for _ in 0..3 {
        for (_, mut bytes) in one.take_outbox() {
            other.handle(address(0), &mut bytes, NOW);
        }
        for (_, mut bytes) in other.take_outbox() {
            one.handle(address(1), &mut bytes, NOW);
        }
    }
    assert!(one.peer(address(1)).is_some() && other.peer(address(0)).is_some(), "a channel");
    (one, other)
}

/// Panics when something does not hold.
pub(crate) fn hold(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let suite = if script.coin() { Suite::Aes128Gcm } else { Suite::ChaCha20Poly1305 };
    let (mut one, mut other) = pair(suite);
    let mut on_way: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for _ in 0..MAX_DATAGRAMS {
        if script.is_over() {
            break;
        }
        let kind = *script.pick(Kind::ALL).unwrap_or(&Kind::Ping);
        let conversation = messages::Conversation(script.word());
        let mut datagram = Header { kind, conversation }.encode().to_vec();
        datagram.extend_from_slice(script.bytes());
        let mut sealed = Vec::new();
        assert!(one.seal(address(1), &datagram, NOW, &mut sealed));
        // Where they stand. Elsewhere somebody who sees what is sealed may have said just that.
        let last = (datagram.len() >= HEADER_LENGTH + 16).then(|| &datagram[datagram.len() - 16..]);
        assert!(last.is_none_or(|last| !sealed[..sealed.len() - TAG_LENGTH].ends_with(last)), "hidden");
        on_way.push((sealed, datagram));
        if script.coin() {
            let which = script.below(on_way.len());
            let (sealed, datagram) = on_way.swap_remove(which);
            deliver(&mut other, &sealed, &datagram, &mut script);
        }
    }
    for (sealed, datagram) in on_way {
        deliver(&mut other, &sealed, &datagram, &mut script);
    }
}

fn deliver(to: &mut Channels, sealed: &[u8], datagram: &[u8], script: &mut Script) {
    let later = NOW + Duration::from_millis(script.byte().into());
    let mut damaged = script.damage(sealed);
    if damaged != sealed {
        assert_eq!(to.handle(address(0), &mut damaged, later), Received::Nothing, "damaged");
    }
    let mut bytes = sealed.to_vec();
    match to.handle(address(0), &mut bytes, later) {
        Received::Opened { range, .. } => assert_eq!(&bytes[range], datagram, "as it was said"),
        Received::Nothing => assert!(Kind::is_channel(datagram), "it was said"),
        Received::Greeted { .. } | Received::Answered => panic!("nobody greets"),
    }
    assert_eq!(to.handle(address(0), &mut sealed.to_vec(), later), Received::Nothing, "once");
}
