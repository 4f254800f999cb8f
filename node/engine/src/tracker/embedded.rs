//! A tracker inside this process, on a thread of its own.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use channel::secret_file::SecretFileError;
use channel::{PublicKey, StaticKey};
use config::TrackerSettings;
use tokio::sync::oneshot;
use tracing::Dispatch;
use tracker::driver::{self, BindError};

/// Where an embedded tracker says what it does.
pub struct TrackerLog {
    /// What its thread logs to.
    pub dispatch: Dispatch,
    /// What has to live as long as the tracker does, such as the guard of a log's writer.
    pub guard: Option<Box<dyn Any + Send>>,
}

/// Makes the log of a tracker that is about to be embedded.
pub type TrackerLogFactory = Arc<dyn Fn() -> io::Result<TrackerLog> + Send + Sync>;

impl TrackerLog {
    /// No log at all.
    #[must_use]
    pub fn none() -> TrackerLog {
        TrackerLog { dispatch: Dispatch::none(), guard: None }
    }
}

impl fmt::Debug for TrackerLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackerLog").field("dispatch", &self.dispatch).finish_non_exhaustive()
    }
}

/// A running tracker. It ends when this is dropped.
#[derive(Debug)]
pub struct EmbeddedTracker {
    address: SocketAddr,
    key: PublicKey,
    /// Closed to end the tracker.
    running: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why there is no tracker here.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The port cannot be bound. A process that holds the port is the tracker.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system gives no thread.
    #[error("the system gives no thread for it: {0}")]
    Thread(io::Error),
    /// The file of its key cannot be read or made, or others may know what is in it.
    #[error("its key {}: {cause}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: SecretFileError,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(io::Error),
}

impl EmbedError {
    /// Whether another socket has the port.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        matches!(self, EmbedError::Bind(BindError::InUse { .. }))
    }
}

impl EmbeddedTracker {
    /// Starts a tracker of the open swarm at `listen`, whose key is of this life alone. What it does is said to `log`,
    /// until the tracker ends.
    ///
    /// # Errors
    /// [`EmbedError`], the port being taken among them.
    pub fn start(listen: SocketAddr, log: TrackerLog) -> Result<EmbeddedTracker, EmbedError> {
        let key = || StaticKey::random().map_err(EmbedError::Randomness);
        EmbeddedTracker::start_with(listen, log, TrackerSettings::default(), key)
    }

    /// As [`EmbeddedTracker::start`], with these settings, and with the key by which others know the tracker. The key is
    /// asked for when the port is had: who has the port is the tracker, and nobody else needs a key.
    pub(crate) fn start_with(
        listen: SocketAddr,
        log: TrackerLog,
        settings: TrackerSettings,
        key: impl FnOnce() -> Result<StaticKey, EmbedError>,
    ) -> Result<EmbeddedTracker, EmbedError> {
        let socket = driver::bind(listen)?;
        let key = key()?;
        let (address, public) = (socket.local_addr(), key.public());
        let (running, ended) = oneshot::channel::<()>();
        let serve = move || {
            let TrackerLog { dispatch, guard } = log;
            let _guard = guard;
            tracing::dispatcher::with_default(&dispatch, || {
                let end = async {
                    let _ = ended.await;
                };
                if let Err(error) = driver::serve(socket, settings, key, end) {
                    tracing::error!(%error, "tracker stopped");
                }
            });
        };
        let thread =
            thread::Builder::new().name("tracker".to_owned()).spawn(serve).map_err(EmbedError::Thread)?;
        Ok(EmbeddedTracker { address, key: public, running: Some(running), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its static public key.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.key
    }
}

impl Drop for EmbeddedTracker {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe::Prober;
    use super::*;

    #[test]
    fn the_port_is_the_lock() {
        let listen = "127.0.0.1:0".parse().expect("an address");
        let tracker = EmbeddedTracker::start(listen, TrackerLog::none()).expect("started");
        let address = tracker.address();
        let prober = Prober::new(None).expect("open");
        assert!(prober.finds(address));
        assert!(EmbeddedTracker::start(address, TrackerLog::none()).expect_err("taken").is_taken());
        let no_key = || panic!("nobody needs a key without the port");
        assert!(
            EmbeddedTracker::start_with(address, TrackerLog::none(), TrackerSettings::default(), no_key)
                .expect_err("taken")
                .is_taken()
        );
        drop(tracker);
        assert!(!prober.finds(address));
    }
}
