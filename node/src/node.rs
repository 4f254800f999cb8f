//! The whole core: routes inputs to the parts and drains their outputs.

use std::net::SocketAddr;

use config::NodeSettings;
use messages::{BootEpoch, ChunkHeader, NodeId, Timestamp};

use crate::command::Command;
use crate::disk::DiskResult;
use crate::output::{Output, Place, Wait};
use crate::status::Status;

/// Who this node is, in this life.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// Which life of it.
    pub epoch: BootEpoch,
    /// Keys the cookies that this node hands out.
    pub secret: [u8; 32],
    /// Seeds all chance.
    pub seed: u64,
}

/// One node: owns, serves and downloads contents.
#[derive(Debug)]
pub struct Node {}

impl Node {
    /// A node that talks to `tracker`. `socket_credit`: bytes that may be outstanding before the receive buffer of the
    /// socket could overflow.
    #[must_use]
    pub fn new(
        _s: &NodeSettings,
        _i: Identity,
        _tracker: SocketAddr,
        _socket_credit: u32,
        _now: Timestamp,
    ) -> Node {
        todo!()
    }
    /// A datagram that is no CHUNK (any bytes whatever).
    pub fn handle_datagram(&mut self, _from: SocketAddr, _datagram: &[u8], _now: Timestamp) {
        todo!()
    }
    /// A CHUNK with `length` bytes of payload: where they belong, if they are wanted. The driver copies them there
    /// before it calls the core again.
    pub fn handle_chunk(
        &mut self,
        _from: SocketAddr,
        _h: &ChunkHeader,
        _length: usize,
        _now: Timestamp,
    ) -> Option<Place> {
        todo!()
    }
    /// A result of the disk.
    pub fn handle_disk(&mut self, _result: DiskResult, _now: Timestamp) {
        todo!()
    }
    /// A person's command.
    pub fn handle_command(&mut self, _command: Command, _now: Timestamp) {
        todo!()
    }
    /// A burst could not be sent because its file is no longer there.
    /// Everything that is to be said now, and when to come again.
    pub fn poll(&mut self, _now: Timestamp, _out: &mut Output) -> Wait {
        todo!()
    }
    /// A picture of the node.
    #[must_use]
    pub fn status(&self, _now: Timestamp) -> Status {
        todo!()
    }
}
