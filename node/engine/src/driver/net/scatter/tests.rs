//! Bursts of mapped files over loopback, compared to the byte.

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use messages::node_to_node::Ping;
use messages::{ChunkHeader, Conversation, Datagram, NodeToNode, PieceIndex};
use riffle_core::{PingAmong, ShareId, Source};

use super::*;
use crate::driver::test_bytes;
use crate::platform::mapping::MappedFile;

fn pair() -> (UdpSocket, UdpSocket, SocketAddr) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = receiver.local_addr().unwrap();
    (UdpSocket::bind("127.0.0.1:0").unwrap(), receiver, address)
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn burst(to: SocketAddr, start: u64, length: u32, segment_size: u16) -> Burst {
    let first = ChunkHeader {
        conversation: Conversation(9),
        sequence: u32::MAX,
        request: 5,
        piece: PieceIndex(2),
        offset: 4096,
        sent_at: 77,
        index: 0,
        count: length.div_ceil(segment_size.into()) as u8,
        hold: 3,
    };
    Burst {
        to,
        source: Source::Share(ShareId(0)),
        start,
        length,
        segment_size,
        first,
        no_gso: false,
        ping: None,
    }
}

/// Sends a burst of a mapped file, and checks every datagram that arrives.
fn arrives(offload: bool, start: usize, length: usize, segment_size: u16) -> Scatter {
    arrives_with(offload, start, length, segment_size, None)
}

/// The same with a PING before that segment.
fn arrives_with(
    offload: bool,
    start: usize,
    length: usize,
    segment_size: u16,
    before: Option<u8>,
) -> Scatter {
    let bytes = test_bytes(start + length + 100);
    let map = MappedFile::of(&file_of(&bytes), bytes.len() as u64).unwrap().unwrap();
    let (sender, receiver, to) = pair();
    let size = length.min(segment_size.into()) as u16 + CHUNK_HEADER as u16;
    let ping = before.map(|before| PingAmong { ping: Ping { nonce: 77, size }, before });
    let burst = Burst { ping, ..burst(to, start as u64, length as u32, segment_size) };
    let run = map.run(burst.start..burst.start + u64::from(burst.length)).unwrap();
    let (mut scatter, mut next) = (Scatter::new(offload), 0);
    scatter.send(sender.as_fd(), &to.into(), &burst, run, &mut next).unwrap();
    assert_eq!(next, burst.datagrams());

    let mut datagram = vec![0; 1 << 16];
    for index in 0..burst.datagrams() {
        let received = receiver.recv(&mut datagram).unwrap();
        let index = match burst.part(index) {
            BurstPart::Segment(index) => index,
            BurstPart::Ping(ping) => {
                let said = Datagram::Peer(burst.first.conversation, NodeToNode::Ping(ping));
                assert_eq!(Datagram::decode(&datagram[..received]), Ok(said));
                continue;
            }
        };
        let (header, payload) = ChunkHeader::decode(&datagram[..received]).unwrap();
        assert_eq!(header, burst.header(index));
        let span = burst.payload(index);
        assert_eq!(payload, &bytes[span.start as usize..span.end as usize], "segment {index}");
    }
    receiver.set_nonblocking(true).unwrap();
    assert!(receiver.recv(&mut datagram).is_err(), "nothing else arrives");
    scatter
}

#[test]
fn a_mapped_burst_arrives_to_the_byte() {
    for offload in [true, false] {
        for (start, length, segment) in [
            (0, 1, 1400),
            (4097, 1400, 1400),
            (5, 1401, 1400),
            (70_000, 45 * 1400 - 77, 1400),
            (1, 64_000, 1168),
        ] {
            let scatter = arrives(offload, start, length, segment);
            assert_eq!(scatter.offloads(), offload, "offload is kept where it works");
        }
    }
}

#[test]
fn a_ping_goes_before_any_of_the_segments_and_is_as_long_as_they() {
    for offload in [true, false] {
        for (length, segment, places) in
            [(1, 1400, 1), (2901, 1400, 3), (64_000, 1168, 55), (64 << 10, 8192, 8)]
        {
            for before in 0..places {
                let scatter = arrives_with(offload, 9, length, segment, Some(before));
                assert_eq!(scatter.offloads(), offload, "offload is kept where it works");
            }
        }
        arrives_with(offload, 10, 64 << 10, 60_000, Some(1));
    }
}

#[test]
fn a_burst_that_is_longer_than_one_send_is_split() {
    for offload in [true, false] {
        arrives(offload, 10, 64 << 10, 8192);
        arrives(offload, 10, 64 << 10, 60_000);
    }
}

#[test]
fn bytes_from_memory_go_the_same_way() {
    let bytes = test_bytes(3000);
    let (sender, receiver, to) = pair();
    let burst = burst(to, 500, 2000, 1168);
    let mut next = 0;
    Scatter::new(true)
        .send(sender.as_fd(), &to.into(), &burst, Run::of(&bytes[500..2500]), &mut next)
        .unwrap();
    let mut datagram = vec![0; 1 << 16];
    let mut joined = Vec::new();
    for _ in 0..2 {
        let received = receiver.recv(&mut datagram).unwrap();
        joined.extend_from_slice(ChunkHeader::decode(&datagram[..received]).unwrap().1);
    }
    assert_eq!(joined, bytes[500..2500]);
}

#[test]
fn a_shortened_file_is_an_error_and_not_a_signal() {
    let bytes = test_bytes(300_000);
    let file = file_of(&bytes);
    let map = MappedFile::of(&file, 300_000).unwrap().unwrap();
    file.set_len(100_000).unwrap();
    let (sender, _receiver, to) = pair();
    for offload in [true, false] {
        let burst = burst(to, 200_000, 30_000, 1400);
        let mut next = 0;
        let cause = Scatter::new(offload)
            .send(sender.as_fd(), &to.into(), &burst, map.run(200_000..230_000).unwrap(), &mut next)
            .unwrap_err();
        assert_eq!((cause.raw_os_error(), next), (Some(libc::EFAULT), 0));
    }
    assert!(map.populate(200_000..230_000).is_err());
    assert!(map.populate(0..50_000).is_ok());
}

#[test]
fn a_segment_that_no_path_carries_does_not_cost_the_offload() {
    let bytes = test_bytes(140_000);
    let (sender, _receiver, to) = pair();
    let burst = burst(to, 0, 131_000, 65_500);
    let mut scatter = Scatter::new(true);
    let cause =
        scatter.send(sender.as_fd(), &to.into(), &burst, Run::of(&bytes[..131_000]), &mut 0).unwrap_err();
    assert_eq!(cause.raw_os_error(), Some(libc::EMSGSIZE));
    assert!(scatter.offloads());
}

/// What one receive gives of a burst of four segments: what left as one and was joined again, or one datagram.
fn first_receive_of(no_gso: bool) -> usize {
    let bytes = test_bytes(4000);
    let map = MappedFile::of(&file_of(&bytes), bytes.len() as u64).unwrap().unwrap();
    let (sender, receiver, to) = pair();
    let state = quinn_udp::UdpSocketState::new((&receiver).into()).unwrap();
    receiver.set_nonblocking(false).unwrap();
    let burst = Burst { no_gso, ..burst(to, 0, 4000, 1000) };
    let (mut scatter, mut next) = (Scatter::new(true), 0);
    scatter.send(sender.as_fd(), &to.into(), &burst, map.run(0..4000).unwrap(), &mut next).unwrap();
    assert!(next == 4 && scatter.offloads(), "offload goes on for others");
    let mut buffer = vec![0; 1 << 16];
    let mut metas = [quinn_udp::RecvMeta::default()];
    let mut slices = [io::IoSliceMut::new(&mut buffer)];
    assert_eq!(state.recv((&receiver).into(), &mut slices, &mut metas).unwrap(), 1);
    metas[0].len
}

#[test]
fn a_burst_that_is_to_go_apart_is_never_one_for_the_system() {
    assert_eq!(first_receive_of(false), 4 * 1032);
    assert_eq!(first_receive_of(true), 1032);
}
