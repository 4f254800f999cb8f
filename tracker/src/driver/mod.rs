//! The socket, the clock and the wake-ups around the pure tables. The driver decides nothing.
//!
//! [`bind`] takes the port at once, so that the caller knows whether the port is free. [`run`] then serves until it is
//! told to stop, on the current-thread runtime of its caller; [`serve`] does so on a runtime of its own.

mod clock;
mod minute;
mod record;
mod secrets;
mod socket;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use channel::{
    ChannelSettings, Channels, Encryption, MembersFile, MembersFileError, Policy, Role, StaticKey, Suite,
    SwarmFile, SwarmFileError, SwarmSecrets,
};
use config::TrackerSettings;
use messages::{BootEpoch, Kind};
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::mpsc;

use crate::{Output, Tracker};
use clock::Clock;
use record::Record;
use socket::Datagrams;
pub use socket::{BindError, Socket, bind};

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

/// What the settings say of encryption. Nothing of a closed swarm is ever in the clear, and only over a channel does
/// anybody prove to be a member.
fn policy(settings: &TrackerSettings) -> Policy {
    if settings.secret_file.is_some() || settings.members_file.is_some() {
        return Policy::SEALED;
    }
    let of = |encryption| match encryption {
        config::Encryption::Always => Encryption::Always,
        config::Encryption::Prefer => Encryption::Prefer,
        config::Encryption::Never => Encryption::Never,
    };
    Policy { elsewhere: of(settings.encryption), loopback: of(settings.loopback_encryption) }
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
    let secret_file = settings.secret_file.as_deref();
    let secret_file =
        secret_file.map(|path| SwarmFile::open(path, clock::unix_ms().unwrap_or(0) / 1000)).transpose()?;
    let secrets = secret_file.as_ref().map_or_else(SwarmSecrets::open, |file| file.secrets().clone());
    let members_file = settings.members_file.as_deref().map(MembersFile::open).transpose()?;
    let (mut secret, mut seed) = ([0; 32], [0; 8]);
    SysRng.try_fill_bytes(&mut secret).map_err(DriverError::Randomness)?;
    SysRng.try_fill_bytes(&mut seed).map_err(DriverError::Randomness)?;
    let clock = Clock::start();
    let (address, is_fresh) = (socket.local_addr(), socket.is_fresh());
    let mut datagrams = Datagrams::open(socket).map_err(DriverError::Socket)?;
    let mut channels = Channels::new(ChannelSettings {
        key,
        swarm: secrets.first().clone(),
        policy: policy(&settings),
        role: Role::Tracker,
        max_channels: settings.limits.max_nodes as usize,
        max_channels_per_host: 2 * settings.limits.max_nodes_per_address as usize,
        epoch: BootEpoch(clock::unix_ms().unwrap_or(0)),
        secret,
        suite: Suite::preferred(),
    });
    channels.change_secrets(&secrets);
    let mut tracker = Tracker::new(settings, secret, u64::from_le_bytes(seed), clock.now());
    tracker.seal_with(channels);
    if let Some(file) = &members_file {
        tracker.change_members(file.members());
    }
    if let Some(unix_ms) = clock::unix_ms() {
        tracker = tracker.with_wall_clock(unix_ms);
    }
    if is_fresh {
        tracker = tracker.without_past();
    }
    let (mut out, mut record, mut shutdown) = (Output::default(), Record::default(), pin!(shutdown));
    let (changed, mut changes) = mpsc::unbounded_channel();
    if let Some(file) = secret_file {
        tokio::spawn(secrets::follow(file, move |secrets| changed.send(secrets).is_ok()));
    }
    let (listed, mut lists) = mpsc::unbounded_channel();
    if let Some(file) = members_file {
        tokio::spawn(secrets::follow_members(file, move |members| listed.send(members).is_ok()));
    }
    tracing::info!(%address, "tracker listening");
    loop {
        let wait = tracker.poll(clock.now(), &mut out);
        for (outgoing, bytes) in out.datagrams() {
            datagrams.send(outgoing, bytes).await;
        }
        record.sum_up(clock.now());
        out.events.iter().for_each(|event| record.write(event, clock.now()));
        out.clear();
        let sleep = wait.until.min(record.due()).since(clock.now()).clamp(MIN_SLEEP, MAX_SLEEP);
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            received = datagrams.receive(|from, reached_at, bytes| {
                if Kind::is_channel(bytes) {
                    tracker.handle_sealed(from, reached_at, bytes, clock.now());
                } else {
                    tracker.handle_datagram(from, reached_at, bytes, clock.now());
                }
            }) => received.map_err(DriverError::Socket)?,
            Some(secrets) = changes.recv() => tracker.change_secrets(&secrets),
            Some(members) = lists.recv() => tracker.change_members(&members),
            () = tokio::time::sleep(sleep) => {}
        }
    }
    let (nodes, contents) = (tracker.nodes(), tracker.contents());
    record.end(tracker.counters(), &tracker.channels().map(Channels::counters).unwrap_or_default());
    tracing::info!(nodes, contents, "tracker leaving");
    Ok(())
}

#[cfg(test)]
mod tests;
