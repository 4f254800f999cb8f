//! The driver: sockets, clock, disk and threads around the pure core. It decides nothing.
//!
//! Skeleton: the signatures stand, the bodies follow.

use std::io;
use std::net::SocketAddr;

use messages::NodeId;
use node::{Command, DownloadId, Event, SearchId, ShareId, Status};
use tokio::sync::mpsc;

/// What one node is started with.
pub struct DriverSettings {
    /// The numbers of the settings file.
    pub settings: config::NodeSettings,
    /// Where to bind; `[::]` takes both families.
    pub listen: SocketAddr,
    /// The tracker to talk to.
    pub tracker: SocketAddr,
    /// Who this node is.
    pub node: NodeId,
    /// Where the node's threads say what they do.
    pub log: tracing::Dispatch,
}

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another socket has the port.
    #[error("{0}: the port is in use")]
    AddressInUse(SocketAddr),
    /// The address cannot be bound.
    #[error("{address}: cannot be bound: {cause}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's words.
        cause: io::Error,
    },
    /// The system gives no thread or no reactor.
    #[error("cannot start the node's threads: {0}")]
    Threads(#[source] io::Error),
}

/// A running node. Dropping it stops the node without waiting for its threads.
#[derive(Debug)]
pub struct NodeHandle {}

/// Starts a node on its own threads; what happens to it comes out of the receiver, which ends when the node ends.
///
/// # Errors
/// When the address cannot be bound or a thread cannot be started.
pub fn start(_settings: DriverSettings) -> Result<(NodeHandle, mpsc::UnboundedReceiver<Event>), StartError> {
    todo!()
}

impl NodeHandle {
    /// Hands a command to the node; nothing happens when it has ended.
    pub fn command(&self, _command: Command) {
        todo!()
    }

    /// A picture of the node; `None` when it has ended.
    pub async fn status(&self) -> Option<Status> {
        todo!()
    }

    /// Where the socket is bound.
    pub fn local_addr(&self) -> SocketAddr {
        todo!()
    }

    /// A number for the next download.
    pub fn new_download(&self) -> DownloadId {
        todo!()
    }

    /// A number for the next share.
    pub fn new_share(&self) -> ShareId {
        todo!()
    }

    /// A number for the next search.
    pub fn new_search(&self) -> SearchId {
        todo!()
    }

    /// Bytes of receive buffer that the system granted.
    pub fn receive_buffer(&self) -> usize {
        todo!()
    }

    /// What to type for a larger receive buffer, in one line, when the granted one holds the node back.
    pub fn receive_buffer_hint(&self) -> Option<String> {
        todo!()
    }

    /// Ends the node and joins its threads, waiting a few seconds at most.
    pub fn stop(self) {
        todo!()
    }
}
