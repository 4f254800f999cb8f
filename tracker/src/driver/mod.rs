//! The socket, the clock and the wake-ups around the pure tables. The driver decides nothing.
//!
//! [`bind`] takes the port at once, so that the caller knows whether the port is free. [`run`] then serves until it is
//! told to stop, on the current-thread runtime of its caller; [`serve`] does so on a runtime of its own.

mod clock;
mod minute;
mod record;
mod secrets;
mod socket;
mod swarms;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use channel::{MembersFileError, StaticKey, SwarmFileError};
use config::{MAX_SECRET_FILES, TrackerSettings};
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::Output;
use clock::Clock;
use socket::Datagrams;
pub use socket::{BindError, Socket, bind};
use swarms::Served;

/// The shortest sleep: work that is due at once is done step by step, and the system's timers count milliseconds
/// anyway.
const MIN_SLEEP: Duration = Duration::from_millis(1);
/// The longest sleep: a runtime's timer does not reach as far as "never".
const MAX_SLEEP: Duration = Duration::from_secs(3600);

/// Why a tracker stopped, or did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The system gives no random bytes, of which secrets are made.
    #[error("the system gives no random bytes: {0}")]
    Randomness(rand::rngs::SysError),
    /// The secret of a closed swarm cannot be had.
    #[error(transparent)]
    SecretFile(#[from] SwarmFileError),
    /// There are more swarms than a process serves.
    #[error("{count} secret files are named: a tracker serves {MAX_SECRET_FILES} closed swarms at most")]
    ManySwarms {
        /// How many closed ones were named.
        count: usize,
    },
    /// The list of members cannot be had.
    #[error(transparent)]
    MembersFile(#[from] MembersFileError),
    /// The socket cannot be read any more.
    #[error("the tracker's socket failed: {0}")]
    Socket(io::Error),
    /// There is no runtime to serve in.
    #[error("cannot start the tracker's event loop: {0}")]
    Runtime(io::Error),
}

/// Serves at `socket` until `shutdown` is ready, on a runtime of its own: blocks the calling thread.
///
/// # Errors
/// No runtime, and as [`run`].
pub fn serve(
    socket: Socket,
    settings: TrackerSettings,
    key: StaticKey,
    shutdown: impl Future<Output = ()>,
) -> Result<(), DriverError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(DriverError::Runtime)?.block_on(run(socket, settings, key, shutdown))
}

/// Serves at `socket` until `shutdown` is ready.
///
/// # Errors
/// The system has no random bytes, the secret or the members of a closed swarm cannot be had, or the socket fails.
pub async fn run(
    socket: Socket,
    settings: TrackerSettings,
    key: StaticKey,
    shutdown: impl Future<Output = ()>,
) -> Result<(), DriverError> {
    let clock = Clock::start();
    let Served { mut swarms, mut records, files, members } = swarms::open(&settings, &key, (&socket, clock))?;
    let address = socket.local_addr();
    let mut datagrams = Datagrams::open(socket).map_err(DriverError::Socket)?;
    let (mut outs, mut shutdown) = (Vec::new(), pin!(shutdown));
    let (changed, mut changes) = mpsc::unbounded_channel();
    for (which, file) in files {
        let changed = changed.clone();
        let followed = secrets::follow(file, move |secrets| changed.send((which, secrets)).is_ok());
        tokio::spawn(followed.instrument(records.span(which)));
    }
    let (listed, mut lists) = mpsc::unbounded_channel();
    if let Some(file) = members {
        tokio::spawn(secrets::follow_members(file, move |members| listed.send(members).is_ok()));
    }
    tracing::info!(%address, swarms = swarms.trackers().len(), "tracker listening");
    loop {
        let wait = swarms.poll(clock.now(), &mut outs);
        for (outgoing, bytes) in outs.iter().flat_map(Output::datagrams) {
            datagrams.send(outgoing, bytes).await;
        }
        records.write(&mut outs, clock.now());
        let sleep = wait.until.min(records.due()).since(clock.now()).clamp(MIN_SLEEP, MAX_SLEEP);
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            received = datagrams.receive(|from, reached_at, bytes| {
                swarms.handle(from, reached_at, bytes, clock.now());
            }) => received.map_err(DriverError::Socket)?,
            Some((which, secrets)) = changes.recv() => {
                swarms.change_secrets(which, &secrets);
                records.rename(which, &secrets);
            }
            Some(members) = lists.recv() => swarms.change_members(&members),
            () = tokio::time::sleep(sleep) => {}
        }
    }
    records.end(&swarms);
    Ok(())
}

#[cfg(test)]
mod tests;
