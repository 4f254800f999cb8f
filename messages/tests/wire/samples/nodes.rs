//! Samples of what nodes say to each other.

use messages::collection::Modified;
use messages::node_to_node::{
    Bitfield, Bye, ByeReason, ByteRange, Control, Have, Hello, Hint, Operation, Ping, Pong, Probe, ProbeSize,
    Probed, Request, Retry, Welcome,
};
use messages::{
    Bits, ChunkHeader, Conversation, FileMetadata, Kind, List, NodeId, NodeToNode, PieceIndex, PieceRun,
};

use super::{CONVERSATION, Sample, content, cookie};
use crate::Said;

/// What opens, keeps and ends a session.
pub(super) fn sessions() -> Vec<Sample> {
    let hello = Hello {
        nonce: 0x55,
        content: content(),
        node: NodeId::from_bytes([0x11; 16]),
        conversation: Conversation(0xd4d3_d2d1),
        capabilities: 0x56,
        sent_at: 0x57,
        cookie: cookie(),
    };
    let welcome = Welcome {
        nonce: 0x55,
        echoed_at: 0x57,
        conversation: Conversation(0xd4d3_d2d1),
        length: 1 << 32,
        have: 4096,
        max_outstanding: 64 << 20,
        max_datagram: 1472,
        capabilities: 0x58,
        node: NodeId::from_bytes([0x33; 16]),
        file: FileMetadata {
            modified: Some(Modified { seconds: -2, nanos: 999_999_999 }),
            is_executable: true,
        },
    };
    let retry = Retry { nonce: 0x55, echoed_at: 0x57, cookie: cookie() };
    let bits = Bits { first: PieceIndex(8), bytes: List::first_of([0b101, 0xff]) };
    let have = Have { runs: List::first_of(PieceRun::new(PieceIndex(5), 3)) };
    let nonce = || ("nonce", vec![0x55, 0, 0, 0, 0, 0, 0, 0]);
    vec![
        peer(
            "HELLO",
            Kind::Hello,
            hello.into(),
            vec![
                nonce(),
                ("content", vec![0xcc; 32]),
                ("node", vec![0x11; 16]),
                ("conversation", vec![0xd1, 0xd2, 0xd3, 0xd4]),
                ("capabilities", vec![0x56, 0, 0, 0]),
                ("sent_at", vec![0x57, 0, 0, 0]),
                ("cookie", vec![0x22; 16]),
                ("zeros", vec![0; 1108]),
            ],
        ),
        peer(
            "RETRY",
            Kind::Retry,
            retry.into(),
            vec![nonce(), ("echoed_at", vec![0x57, 0, 0, 0]), ("cookie", vec![0x22; 16])],
        ),
        peer(
            "WELCOME",
            Kind::Welcome,
            welcome.into(),
            vec![
                nonce(),
                ("echoed_at", vec![0x57, 0, 0, 0]),
                ("conversation", vec![0xd1, 0xd2, 0xd3, 0xd4]),
                ("length", vec![0, 0, 0, 0, 1, 0, 0, 0]),
                ("have", vec![0, 0x10, 0, 0]),
                ("max_outstanding", vec![0, 0, 0, 4]),
                ("max_datagram", vec![0xc0, 0x05]),
                ("capabilities", vec![0x58, 0, 0, 0]),
                ("node", vec![0x33; 16]),
                ("flags", vec![3]),
                ("modified_seconds", vec![0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
                ("modified_nanos", vec![0xff, 0xc9, 0x9a, 0x3b]),
            ],
        ),
        peer(
            "BITFIELD",
            Kind::Bitfield,
            Bitfield { bits }.into(),
            vec![("first", vec![8, 0, 0, 0]), ("count", vec![2, 0]), ("bytes", vec![0b101, 0xff])],
        ),
        peer(
            "HAVE",
            Kind::Have,
            have.into(),
            vec![
                ("count", vec![1, 0]),
                ("runs[0].first", vec![5, 0, 0, 0]),
                ("runs[0].count", vec![3, 0, 0, 0]),
            ],
        ),
        peer(
            "HINT",
            Kind::Hint,
            Hint { runs: List::first_of(PieceRun::new(PieceIndex(5), 3)) }.into(),
            vec![
                ("count", vec![1, 0]),
                ("runs[0].first", vec![5, 0, 0, 0]),
                ("runs[0].count", vec![3, 0, 0, 0]),
            ],
        ),
        peer(
            "PING",
            Kind::Ping,
            Ping { nonce: 0x55, size: 1200 }.into(),
            vec![nonce(), ("size", vec![0xb0, 0x04]), ("zeros", vec![0; 1182])],
        ),
        peer("PONG", Kind::Pong, Pong { nonce: 0x55 }.into(), vec![nonce()]),
        peer("BYE", Kind::Bye, Bye { reason: ByeReason::Fault }.into(), vec![("reason", vec![3, 0, 0, 0])]),
    ]
}

/// What moves bytes.
pub(super) fn requests() -> Vec<Sample> {
    let request = Request {
        first_request: 0x61,
        highest_sequence: 0x62,
        ping_echo: 0x63,
        segment_size: 1168,
        ranges: List::first_of(ByteRange::new(PieceIndex(5), 4096, 32_768)),
    };
    let control = Control { operation: Operation::Gone, retry_after_ms: 250, request: 0x61 };
    let probe = Probe { id: 0x64, sizes: List::first_of(ProbeSize::new(1472)) };
    let probed = Probed { id: 0x64, size: ProbeSize::new(1472).expect("a size") };
    let chunk = ChunkHeader {
        conversation: CONVERSATION,
        sequence: 0x62,
        request: 0x61,
        piece: PieceIndex(5),
        offset: 4096,
        sent_at: 0x57,
        index: 1,
        count: 29,
        hold: 0x65,
    };
    vec![
        peer(
            "REQUEST",
            Kind::Request,
            request.into(),
            vec![
                ("first_request", vec![0x61, 0, 0, 0]),
                ("highest_sequence", vec![0x62, 0, 0, 0]),
                ("ping_echo", vec![0x63, 0, 0, 0, 0, 0, 0, 0]),
                ("segment_size", vec![0x90, 0x04]),
                ("count", vec![1, 0]),
                ("ranges[0].piece", vec![5, 0, 0, 0]),
                ("ranges[0].offset", vec![0, 0x10, 0, 0]),
                ("ranges[0].length", vec![0, 0x80, 0, 0]),
            ],
        ),
        peer(
            "CONTROL",
            Kind::Control,
            control.into(),
            vec![
                ("operation", vec![5, 0, 0, 0]),
                ("retry_after_ms", vec![250, 0]),
                ("request", vec![0x61, 0, 0, 0]),
            ],
        ),
        peer(
            "PROBE",
            Kind::Probe,
            probe.into(),
            vec![("id", vec![0x64, 0, 0, 0]), ("count", vec![1, 0]), ("sizes", vec![0xc0, 0x05])],
        ),
        peer(
            "PROBED",
            Kind::Probed,
            probed.into(),
            vec![("id", vec![0x64, 0, 0, 0]), ("size", vec![0xc0, 0x05]), ("zeros", vec![0; 1458])],
        ),
        Sample::new(
            "CHUNK",
            Kind::Chunk,
            Said::Chunk(chunk, b"bytes of file".to_vec()),
            [
                ("sequence", vec![0x62, 0, 0, 0]),
                ("request", vec![0x61, 0, 0, 0]),
                ("piece", vec![5, 0, 0, 0]),
                ("offset", vec![0, 0x10, 0, 0]),
                ("sent_at", vec![0x57, 0, 0, 0]),
                ("index", vec![1]),
                ("count", vec![29]),
                ("hold", vec![0x65, 0]),
                ("payload", b"bytes of file".to_vec()),
            ],
        ),
    ]
}

fn peer(title: &'static str, kind: Kind, message: NodeToNode, body: Vec<(&'static str, Vec<u8>)>) -> Sample {
    Sample::new(title, kind, message, body)
}
