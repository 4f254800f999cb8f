//! Why a node could not be started.

use std::io;
use std::net::SocketAddr;

use channel::{MembersFileError, SwarmFileError};
use config::SeveralSwarms;

use crate::state::StateError;
use crate::tracker::TrackerError;

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The tracker was not named as HOST:PORT.
    #[error("\"{text}\" is no tracker: {reason}")]
    TrackerAddress {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no way to the tracker, or none can be started.
    #[error(transparent)]
    Tracker(#[from] TrackerError),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The secret of a closed swarm cannot be had.
    #[error(transparent)]
    SecretFile(#[from] SwarmFileError),
    /// Several swarms were named: each has a node of its own.
    #[error(transparent)]
    SeveralSwarms(#[from] SeveralSwarms),
    /// The list of members cannot be had.
    #[error(transparent)]
    MembersFile(#[from] MembersFileError),
    /// Another socket has the port.
    #[error("{0}: the port is in use")]
    AddressInUse(SocketAddr),
    /// The address cannot be bound.
    #[error("{address}: cannot be bound: {cause}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's reason.
        cause: io::Error,
    },
    /// The system gives no thread, no reactor or no random bytes.
    #[error("cannot start the node's threads: {0}")]
    Threads(#[source] io::Error),
}
