//! The driver: socket, clock, disk and threads around the pure core. It decides nothing.
//!
//! One network thread a node runs the core; disk workers do what is slow. `README.md` beside this file tells how.

mod clock;
mod disk;
mod event_log;
mod limits;
mod net;
mod network_thread;
mod pool;
mod secrets;
mod serve;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver as EndReceiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel::{
    ChannelSettings, Channels, Encryption, MembersFile, Policy, PublicKey, Role, StaticKey, Suite, SwarmFile,
    SwarmSecrets,
};
use messages::{BootEpoch, NodeId};
use quinn_udp::{UdpSockRef, UdpSocketState};
use rand::TryRng;
use rand::rngs::SysRng;
use riffle_core::{Command, DownloadId, Identity, Node, SearchId, ShareId, Status};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use crate::start_error::StartError;

use self::clock::Clock;
pub use self::disk::KnownFolder;
pub(crate) use self::disk::{
    DescribedFolder, FileIdentity, HashCache, Part, Selection, describe, disk_error, error, files_in,
    open_regular,
};
use self::disk::{Disk, Results, StateKey};
use self::limits::FileLimits;
pub use self::limits::raise_open_files;
use self::net::BoundSocket;
use self::net::Receiver;
use self::net::Transmitter;
use self::network_thread::{EventSink, NetworkThread, Request};
use self::pool::Pool;
use self::serve::FileCache;

/// How long the disk workers may take to finish what they are at.
const WORKERS_STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long [`NodeHandle::stop`] waits in all.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);

/// What one node is started with.
pub(crate) struct DriverSettings {
    /// The numbers of the settings file.
    pub(crate) settings: config::NodeSettings,
    /// Where to bind; `[::]` takes both families.
    pub(crate) listen: SocketAddr,
    /// The port to have if it is free, where `listen` leaves the choice to the system.
    pub(crate) port: Option<u16>,
    /// The tracker to talk to; `None`: nobody knows yet where it is.
    pub(crate) tracker: Option<SocketAddr>,
    /// The tracker's static public key, where that is known.
    pub(crate) tracker_key: Option<PublicKey>,
    /// Who this node is, and what opens what is said to it.
    pub(crate) key: StaticKey,
    /// The secrets of its swarm, which are in no file; `None`: those of `secret_file` in the settings, or the open swarm.
    pub(crate) secrets: Option<SwarmSecrets>,
    /// What it has hashed in its lives before; `None`: nothing is remembered.
    pub(crate) hash_cache: Option<HashCache>,
    /// Where part files are locked on file systems without locks; `None`: nowhere.
    pub(crate) lock_folder: Option<PathBuf>,
    /// Where the secret is from which the seals of journals are made; `None`: they are believed in this life alone.
    pub(crate) journal_key: Option<PathBuf>,
    /// Where the node's threads say what they do.
    pub(crate) log: tracing::Dispatch,
}

/// A running node. Dropping it stops the node without waiting for its threads.
#[derive(Debug)]
pub(crate) struct NodeHandle {
    requests: mpsc::UnboundedSender<Request>,
    address: SocketAddr,
    receive_buffer: usize,
    receive_buffer_asked: usize,
    downloads: AtomicU32,
    shares: AtomicU32,
    searches: AtomicU32,
    /// Ends when the network thread has ended.
    ended: Mutex<EndReceiver<()>>,
}

/// Starts a node on its own threads; what happens to it goes to `events`.
///
/// # Errors
/// When the secret or the members of a closed swarm cannot be had, the address cannot be bound or a thread cannot be started.
pub(crate) fn start(settings: DriverSettings, events: EventSink) -> Result<NodeHandle, StartError> {
    let DriverSettings {
        settings,
        listen,
        port,
        tracker,
        tracker_key,
        key,
        secrets,
        hash_cache,
        lock_folder,
        journal_key,
        log,
    } = settings;
    // What may fail is done before there is a runtime, which cannot be dropped in another one.
    let members_file = settings.members_file.as_deref().map(MembersFile::open).transpose()?;
    let clock = Clock::start();
    let identity = identity(key.node_id()).map_err(StartError::Threads)?;
    let bound = BoundSocket::bind_preferring(port, listen, &settings.network)?;
    let (address, receive_buffer, receive_budget) =
        (bound.address, bound.receive_buffer, bound.receive_budget());
    let (requests, request_queue) = mpsc::unbounded_channel();
    let (alive, ended) = channel();
    let (results, done) = Results::channel();
    let limits = FileLimits::of_process(settings.disk.open_files);
    let disk = Disk::start(&settings.disk, results.clone(), &log).map_err(StartError::Threads)?;
    let disk = configured(disk, limits, (hash_cache, lock_folder, journal_key));
    let state = UdpSocketState::new(UdpSockRef::from(&bound.socket))
        .map_err(|cause| StartError::Bind { address: listen, cause })?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Threads)?;
    let socket = {
        let _reactor = runtime.enter();
        UdpSocket::from_std(bound.socket.into()).map_err(StartError::Threads)?
    };
    let receive_buffer_asked = settings.network.receive_buffer.as_usize();
    let secret_file = settings.secret_file.only()?.filter(|_| secrets.is_none());
    let secret_file = secret_file.map(|path| SwarmFile::open(path, secrets::unix_seconds())).transpose()?;
    let of_file = secret_file.as_ref().map(|file| file.secrets().clone());
    let secrets = secrets.or(of_file).unwrap_or_else(SwarmSecrets::open);
    let mut channels = channels(&settings, (key, &secrets), &identity);
    if let Some(file) = &members_file {
        channels.change_members(file.members().clone());
    }
    if let (Some(tracker), Some(key)) = (tracker, tracker_key) {
        channels.expect_key(tracker, key);
    }
    let node = Node::new(settings, &identity, tracker, receive_budget, clock.now()).with_channels(channels);
    // The thread ends with the last handle of the node.
    let changed = requests.downgrade();
    let listed = changed.clone();
    let run = move || {
        let _alive = alive;
        let mut thread = NetworkThread {
            node,
            clock,
            socket,
            receiver: Receiver::new(bound.family),
            transmitter: Transmitter::new(state, bound.family),
            file_cache: FileCache::new(disk.queue().clone(), results, limits.shared),
            pool: Pool::default(),
            disk,
            requests: request_queue,
            results: done,
            events,
        };
        let tracker = tracker.map(tracing::field::display);
        tracing::info!(%address, tracker, receive_buffer, receive_budget, "node started");
        let FileLimits { shared, hashed, parts } = limits;
        tracing::info!(shared, hashed, parts, "files that may be open");
        let changed = move |secrets| {
            changed.upgrade().is_some_and(|requests| requests.send(Request::ChangeSecrets(secrets)).is_ok())
        };
        let listed = move |members| {
            listed.upgrade().is_some_and(|requests| requests.send(Request::ChangeMembers(members)).is_ok())
        };
        runtime.block_on(async {
            if let Some(file) = members_file {
                tokio::spawn(secrets::follow_members(file, listed));
            }
            if let Some(file) = secret_file {
                tokio::spawn(secrets::follow(file, changed));
            }
            thread.run().await;
        });
        if !thread.disk.stop(WORKERS_STOP_TIMEOUT) {
            tracing::warn!("disk workers are still at work");
        }
        tracing::info!("node stopped");
    };
    std::thread::Builder::new()
        .name("riffle-network".to_owned())
        .spawn(move || tracing::dispatcher::with_default(&log, run))
        .map_err(StartError::Threads)?;
    let handle = NodeHandle {
        requests,
        address,
        receive_buffer,
        receive_buffer_asked,
        downloads: AtomicU32::new(1),
        shares: AtomicU32::new(1),
        searches: AtomicU32::new(1),
        ended: Mutex::new(ended),
    };
    Ok(handle)
}

/// The disk with its limits, and with what the node keeps from one life to the next: see [`DriverSettings`].
fn configured(
    mut disk: Disk,
    limits: FileLimits,
    (hash_cache, lock_folder, journal_key): (Option<HashCache>, Option<PathBuf>, Option<PathBuf>),
) -> Disk {
    disk.limit(limits.hashed, limits.parts);
    if let Some(hash_cache) = hash_cache {
        disk.remember(hash_cache);
    }
    if let Some(lock_folder) = lock_folder {
        disk.lock_in(&lock_folder);
    }
    if let Some(path) = journal_key {
        disk.seal_under(StateKey::at(path));
    }
    disk
}

/// Who this node is from now on: a later life has a larger epoch, and nobody can guess its secret.
fn identity(node: NodeId) -> io::Result<Identity> {
    let mut secret = [0; 32];
    SysRng.try_fill_bytes(&mut secret).map_err(io::Error::other)?;
    let seed = SysRng.try_next_u64().map_err(io::Error::other)?;
    Ok(Identity { node, epoch: boot_epoch(), secret, seed })
}

/// Which life begins now: a later one has a larger number.
pub(crate) fn boot_epoch() -> BootEpoch {
    BootEpoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64)
}

/// The sealed channels of a node.
fn channels(
    settings: &config::NodeSettings,
    (key, secrets): (StaticKey, &SwarmSecrets),
    identity: &Identity,
) -> Channels {
    let network = &settings.network;
    let mut channels = Channels::new(ChannelSettings {
        key,
        swarm: secrets.first().clone(),
        policy: if secrets.is_closed() { Policy::SEALED } else { policy(settings) },
        role: Role::Node,
        max_channels: 2 * network.max_sessions as usize,
        max_channels_per_host: network.max_sessions_per_address as usize,
        epoch: identity.epoch,
        secret: identity.secret,
        suite: Suite::preferred(),
    });
    channels.change_secrets(secrets);
    channels
}

/// What the settings say of encryption. Nothing of a closed swarm is ever in the clear, and only over a channel does
/// anybody prove to be a member.
pub(crate) fn policy(settings: &config::NodeSettings) -> Policy {
    if !settings.secret_file.is_empty() || settings.members_file.is_some() {
        return Policy::SEALED;
    }
    let of = |encryption| match encryption {
        config::Encryption::Always => Encryption::Always,
        config::Encryption::Prefer => Encryption::Prefer,
        config::Encryption::Never => Encryption::Never,
    };
    let network = &settings.network;
    Policy { elsewhere: of(network.encryption), loopback: of(network.loopback_encryption) }
}

impl NodeHandle {
    /// Hands a command to the node; nothing happens when it has ended.
    pub(crate) fn command(&self, command: Command) {
        let _ = self.requests.send(Request::Command(command));
    }

    /// A picture of the node; `None` when it has ended.
    pub(crate) async fn status(&self) -> Option<Status> {
        self.ask_for_status().await.ok()
    }

    /// Asks for a picture of the node; none comes when it has ended.
    pub(crate) fn ask_for_status(&self) -> oneshot::Receiver<Status> {
        let (answer, picture) = oneshot::channel();
        let _ = self.requests.send(Request::Status(answer));
        picture
    }

    /// The part file of a download; `None` while it has none, or none any more, or the node has ended.
    pub(crate) async fn part_of(&self, download: DownloadId) -> Option<Arc<Part>> {
        let (answer, part) = oneshot::channel();
        let _ = self.requests.send(Request::Part(download, answer));
        part.await.ok().flatten()
    }

    /// Where the socket is bound.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A number for the next download.
    pub(crate) fn new_download(&self) -> DownloadId {
        DownloadId(self.downloads.fetch_add(1, Ordering::Relaxed))
    }

    /// A number for the next share.
    pub(crate) fn new_share(&self) -> ShareId {
        ShareId(self.shares.fetch_add(1, Ordering::Relaxed))
    }

    /// A number for the next search.
    pub(crate) fn new_search(&self) -> SearchId {
        SearchId(self.searches.fetch_add(1, Ordering::Relaxed))
    }

    /// What to type for a larger receive buffer, in one line, when the granted one holds the node back.
    pub(crate) fn receive_buffer_hint(&self) -> Option<String> {
        net::receive_buffer_hint(self.receive_buffer, self.receive_buffer_asked)
    }

    /// Hands commands to the node from anywhere; nothing happens when it has ended.
    pub(crate) fn commander(&self) -> impl Fn(Command) + Send + 'static {
        let requests = self.requests.clone();
        move |command| drop(requests.send(Request::Command(command)))
    }

    /// Ends the node and waits for its threads, a few seconds at most.
    pub(crate) fn stop(&self) {
        let _ = self.requests.send(Request::Stop);
        // Nothing is ever sent: the channel ends with the thread.
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(STOP_TIMEOUT);
    }
}

/// Bytes that look random and are the same each time.
#[cfg(test)]
fn test_bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}
