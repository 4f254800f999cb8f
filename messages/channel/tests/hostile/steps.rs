//! Each message of an exchange, in the state in which it is awaited, after every damaged form of it: none of these is
//! taken for it, none is answered with more than it has, and the true one is still taken.

use std::net::SocketAddr;
use std::time::Duration;

use channel::{ChannelSettings, Channels, Policy, Received, Role, StaticKey, Suite, SwarmSecret};
use messages::{BootEpoch, Conversation, Header, Kind, Timestamp};

const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000_000);

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + side as u8], 4000))
}

fn endpoint(side: usize) -> Channels {
    Channels::new(ChannelSettings {
        key: StaticKey::from_secret([0x20 * (side as u8 + 1); 32]),
        // A closed swarm knows no UNKNOWN.
        swarm: SwarmSecret::open(),
        policy: Policy::SEALED,
        role: Role::Node,
        max_channels: 4,
        max_channels_per_host: 4,
        epoch: BootEpoch(1_800_000_000_000),
        secret: [side as u8; 32],
        suite: Suite::Aes128Gcm,
    })
}

/// Every damaged form of `datagram`: cut anywhere, longer, and with any one bit changed.
///
/// An UNKNOWN with another number of the same channel is as true: its token is the channel's.
fn damaged(datagram: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let is_unknown = datagram[3] == Kind::Unknown as u8;
    let is_free = move |bit: &usize| !(is_unknown && (32..46).contains(bit));
    let cut = (0..datagram.len()).map(|length| datagram[..length].to_vec());
    let longer = [(1, 0u8), (1, 1), (16, 0xff), (64_000, 7)].into_iter().map(|(extra, fill)| {
        let mut longer = datagram.to_vec();
        longer.resize(longer.len() + extra, fill);
        longer
    });
    let changed = (0..8 * datagram.len()).filter(is_free).map(|bit| {
        let mut changed = datagram.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    });
    cut.chain(longer).chain(changed)
}

/// `to` gets every damaged form of `datagram` from `from`, and then the true one.
fn take(to: &mut Channels, from: SocketAddr, datagram: &[u8]) -> Received {
    let before = (to.len(), to.counters().opened);
    for mut damaged in damaged(datagram) {
        let length = damaged.len();
        assert_eq!(to.handle(from, &mut damaged, NOW), Received::Nothing, "{length} bytes");
        let answers = to.take_outbox();
        let said: usize = answers.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(said <= length && answers.iter().all(|(at, _)| *at == from), "{said} for {length} bytes");
        assert_eq!((to.len(), to.counters().opened), before);
    }
    to.handle(from, &mut datagram.to_vec(), NOW)
}

fn only(outbox: Vec<(SocketAddr, Vec<u8>)>, kind: Kind) -> Vec<u8> {
    let [(_, bytes)] = &outbox[..] else { panic!("{kind:?} and nothing else: {} datagrams", outbox.len()) };
    assert_eq!(bytes[3], kind as u8);
    bytes.clone()
}

#[test]
fn no_damaged_message_is_taken_for_the_true_one_or_keeps_it_from_being_taken() {
    let [mut node, mut owner] = [0, 1].map(endpoint);
    let hello =
        [&Header { kind: Kind::Hello, conversation: Conversation(7) }.encode()[..], b"hello"].concat();
    let id = owner.node_id();
    node.expect(address(1), id);
    assert!(!node.seal(address(1), &hello, NOW, &mut Vec::new()));
    let knock = only(node.take_outbox(), Kind::Knock);
    assert_eq!(take(&mut owner, address(0), &knock), Received::Nothing);
    let cookie = only(owner.take_outbox(), Kind::Cookie);
    assert_eq!(take(&mut node, address(1), &cookie), Received::Answered);
    let initiate = only(node.take_outbox(), Kind::Initiate);
    let greeted = Received::Greeted { early: vec![hello.clone()], peer: node.node_id() };
    assert_eq!(take(&mut owner, address(0), &initiate), greeted);
    let accept = only(owner.take_outbox(), Kind::Accept);
    assert_eq!(take(&mut node, address(1), &accept), Received::Nothing);
    assert_eq!(node.peer(address(1)), Some(owner.node_id()));
    let mut sealed = Vec::new();
    assert!(node.seal(address(1), &hello, NOW, &mut sealed));
    assert!(matches!(take(&mut owner, address(0), &sealed), Received::Opened { .. }));
    // The owner forgets the channel.
    let mut owner = endpoint(1);
    let mut lost = Vec::new();
    node.seal(address(1), &hello, NOW + Duration::from_secs(1), &mut lost);
    assert_eq!(owner.handle(address(0), &mut lost, NOW), Received::Nothing);
    let unknown = only(owner.take_outbox(), Kind::Unknown);
    assert_eq!(take(&mut node, address(1), &unknown), Received::Nothing);
    assert_eq!(node.peer(address(1)), None, "the true one is believed");
}
