//! A tracker inside this process, on a thread of its own, with a log of its own.

use std::io;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use config::TrackerSettings;
use logs::LogError;
use tokio::sync::oneshot;
use tracing::Dispatch;
use tracker::driver::{self, BindError};

use crate::logging::LogPlan;

/// A running tracker. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Embedded {
    address: SocketAddr,
    /// Closed to end the tracker.
    running: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why there is no tracker here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EmbedError {
    /// The port cannot be had. When somebody has it, that is the tracker.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Its log cannot be started.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The system gives no thread.
    #[error("the system gives no thread for it: {0}")]
    Thread(io::Error),
}

impl EmbedError {
    /// Whether another socket has the port.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, EmbedError::Bind(BindError::InUse { .. }))
    }
}

impl Embedded {
    /// Starts a tracker at `listen`, without a log where there is no folder for one.
    ///
    /// # Errors
    /// [`EmbedError`], the port being taken among them.
    pub(crate) fn start(listen: SocketAddr, log: Option<LogPlan>) -> Result<Embedded, EmbedError> {
        let socket = driver::bind(listen)?;
        let address = socket.local_addr();
        let (dispatch, guard) = log.map_or_else(|| Ok((Dispatch::none(), None)), LogPlan::scoped)?;
        let (running, ended) = oneshot::channel::<()>();
        let serve = move || {
            let _log = guard;
            tracing::dispatcher::with_default(&dispatch, || {
                let end = async {
                    let _ = ended.await;
                };
                if let Err(error) = driver::serve(socket, TrackerSettings::default(), end) {
                    tracing::error!(%error, "tracker stopped");
                }
            });
        };
        let thread =
            thread::Builder::new().name("tracker".to_owned()).spawn(serve).map_err(EmbedError::Thread)?;
        Ok(Embedded { address, running: Some(running), thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use config::NodeSettings;

    use super::*;
    use crate::tracker_link::answers;

    #[test]
    fn the_port_is_the_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = NodeSettings { log_dir: Some(folder.path().to_owned()), ..NodeSettings::default() };
        let log = |file: &str| LogPlan::new(&settings, file).ok();
        let listen = "127.0.0.1:0".parse().expect("an address");
        let tracker = Embedded::start(listen, log("tracker.log")).expect("started");
        let address = tracker.address();
        assert!(answers(address));
        assert!(Embedded::start(address, log("second.log")).expect_err("taken").is_taken());
        drop(tracker);
        assert!(!answers(address));
        let text = std::fs::read_to_string(folder.path().join("tracker.log")).expect("logged");
        assert!(text.contains("tracker listening") && text.contains("tracker leaving"), "{text}");
    }
}
