//! What tests of this program's words begin with: a node's status in round numbers. A test overrides what it is about.

use std::net::SocketAddr;
use std::time::Duration;

use messages::{ContentId, Name, NodeId, PieceIndex};
use riffle::{
    ChannelStatus, DownloadId, DownloadStatus, OwnerState, OwnerStatus, ShareId, ShareStatus, Suite,
    UploadStanding, UploadStatus, Waiting,
};

/// How most is exchanged with other hosts.
pub(crate) const SEALED: ChannelStatus = ChannelStatus::Sealed(Suite::Aes128Gcm);

/// A node id of this byte alone.
pub(crate) fn node_id(byte: u8) -> NodeId {
    NodeId::from_bytes([byte; 16])
}

/// A content id of this byte alone.
pub(crate) fn content(byte: u8) -> ContentId {
    ContentId::from_bytes([byte; 32])
}

/// A name, which must be one.
pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// The address of the node with this byte.
pub(crate) fn address(byte: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, byte], 4000))
}

/// An owner that has all of a content and has brought 8 MiB of it.
pub(crate) fn owner(byte: u8) -> OwnerStatus {
    OwnerStatus {
        node: node_id(byte),
        peer: address(byte),
        state: OwnerState::Ready,
        pieces: None,
        received: 8 << 20,
        rate: 4 << 20,
        rtt: Some(Duration::from_micros(340)),
        outstanding: 65_536,
        datagram: 1472,
        permille: 1000,
        channel: SEALED,
    }
}

/// A download of 64 MiB, content 7, that has a quarter of it.
pub(crate) fn download(owners: Vec<OwnerStatus>) -> DownloadStatus {
    DownloadStatus {
        download: DownloadId(1),
        name: "film.bin".to_owned(),
        content: Some(content(7)),
        length: Some(64 << 20),
        verified: 16 << 20,
        received: 17 << 20,
        rate: 8 << 20,
        waiting: Waiting::Nothing,
        holders: None,
        owners,
    }
}

/// A whole file of 64 MiB that is shared.
pub(crate) fn share(called: &str, of: u8) -> ShareStatus {
    ShareStatus {
        share: ShareId(1),
        name: name(called),
        content: Some(content(of)),
        length: 64 << 20,
        sent: 3 << 20,
        permille: 1000,
    }
}

/// A node that fetches a content of 64 MiB from here and has been sent 24 MiB.
pub(crate) fn upload(byte: u8, of: u8, standing: UploadStanding) -> UploadStatus {
    UploadStatus {
        node: node_id(byte),
        peer: address(byte),
        content: content(of),
        sent: 24 << 20,
        rate: u64::from(byte) << 10,
        queued: 0,
        standing,
        piece: (standing != UploadStanding::Idle).then_some(PieceIndex(5)),
        length: 64 << 20,
        channel: SEALED,
    }
}
