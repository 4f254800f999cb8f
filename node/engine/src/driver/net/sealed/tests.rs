use std::time::Duration;

use channel::{ChannelSettings, Channels, Policy, Received, Role, StaticKey, Suite, SwarmSecret};
use messages::node_to_node::Ping;
use messages::{
    BootEpoch, ChunkHeader, Conversation, Datagram, Header, Kind, NodeToNode, PieceIndex, Timestamp,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use riffle_core::{PingAmong, ShareId, Source};

use super::*;
use crate::driver::test_bytes;

const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000_000);

fn channels(number: u8) -> Channels {
    Channels::new(ChannelSettings {
        key: StaticKey::from_secret([number; 32]),
        swarm: SwarmSecret::open(),
        policy: Policy::SEALED,
        role: Role::Node,
        max_channels: 8,
        max_channels_per_host: 8,
        epoch: BootEpoch(1),
        secret: [number; 32],
        suite: Suite::preferred(),
    })
}

/// An owner and a downloader with a channel, and the number of a session of the downloader.
fn pair(owner_at: SocketAddr, downloader_at: SocketAddr) -> (Channels, Channels, Conversation) {
    let (mut owner, mut downloader) = (channels(1), channels(2));
    downloader.expect(owner_at, owner.node_id());
    let mut rng = StdRng::seed_from_u64(1);
    let session = downloader.draw_conversation(owner_at, |_| true, &mut rng, NOW);
    let hello = Header { kind: Kind::Hello, conversation: session }.encode();
    downloader.seal(owner_at, &hello, NOW, &mut Vec::new());
    for _ in 0..2 {
        for (_, mut bytes) in downloader.take_outbox() {
            owner.handle(downloader_at, &mut bytes, NOW);
        }
        for (_, mut bytes) in owner.take_outbox() {
            downloader.handle(owner_at, &mut bytes, NOW);
        }
    }
    (owner, downloader, session)
}

#[tokio::test]
async fn a_burst_arrives_sealed_to_the_byte_whatever_its_segments_and_its_ping() {
    let (sender, receiver) = ["127.0.0.1:0"; 2].map(|at| std::net::UdpSocket::bind(at).unwrap()).into();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (owner_at, at) = (sender.local_addr().unwrap(), receiver.local_addr().unwrap());
    sender.set_nonblocking(true).unwrap();
    let socket = UdpSocket::from_std(sender).unwrap();
    let state = UdpSocketState::new(UdpSockRef::from(&socket)).unwrap();
    let (mut owner, mut downloader, session) = pair(owner_at, at);
    let bytes = test_bytes(10_000);
    let mut sealed_sender = SealedSender::default();
    for (length, segment_size, before) in [
        (10_000, 1440, Some(3)),
        (10_000, 1440, None),
        (9000, 1000, Some(8)),
        (700, 1440, Some(0)),
        (1, 1440, Some(0)),
        (700, 1440, None),
    ] {
        let segments = u32::div_ceil(length, segment_size);
        let first = ChunkHeader {
            conversation: session,
            sequence: 0,
            request: 5,
            piece: PieceIndex(2),
            offset: 0,
            sent_at: 7,
            index: 0,
            count: segments as u8,
            hold: 0,
        };
        let size = (segment_size.min(length) + CHUNK_HEADER as u32) as u16;
        let ping = before.map(|before| PingAmong { ping: Ping { nonce: 9, size }, before });
        let burst = Burst {
            to: at,
            source: Source::Share(ShareId(1)),
            start: 0,
            length,
            segment_size: segment_size as u16,
            first,
            no_gso: false,
            ping,
        };
        let source = Bytes::Memory(&bytes[..length as usize]);
        let sealer = owner.sealer(at, session).expect("a channel with the session");
        let mut next = 0;
        sealed_sender.send((&state, &socket), at, &burst, source, sealer, &mut next).unwrap();
        assert_eq!(next, burst.datagrams());
        let (mut found, mut pings) = (vec![0; length as usize], 0);
        for _ in 0..burst.datagrams() {
            let mut datagram = [0; 2000];
            let (received, _) = receiver.recv_from(&mut datagram).unwrap();
            let opened = downloader.handle(owner_at, &mut datagram[..received], NOW);
            let Received::Opened { range, .. } = opened else { panic!("{opened:?}") };
            match Datagram::decode(&datagram[range]) {
                Ok(Datagram::Chunk(header, payload)) => {
                    found[header.offset as usize..][..payload.len()].copy_from_slice(payload);
                }
                Ok(Datagram::Peer(_, NodeToNode::Ping(ping))) => {
                    assert_eq!((ping.nonce, ping.size), (9, size));
                    pings += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(found == bytes[..length as usize], "{length} bytes in segments of {segment_size}");
        assert_eq!(pings, usize::from(before.is_some()));
    }
}
