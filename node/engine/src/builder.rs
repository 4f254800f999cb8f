//! What a node is started with.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use channel::{StaticKey, SwarmSecrets};
use config::{NodeLabel, NodeSettings};
#[cfg(feature = "embedded-tracker")]
use config::{SecretFiles, ServeCodes};
use riffle_core::Command;

use crate::driver::{self, DriverSettings, HashCache};
use crate::events::Events;
use crate::hub::Hub;
use crate::inner::Inner;
use crate::node::Node;
use crate::start_error::StartError;
use crate::state::StateFolder;
use crate::tracker::Prober;
#[cfg(feature = "embedded-tracker")]
use crate::tracker::{Embedding, TrackerLog, TrackerLogFactory};
use crate::tracker::{NamedTracker, System, TrackerChoice, TrackerLink, TrackerSigns, TrackerWatch};

/// Ends the streams of the node's events when the node's thread ends, however the thread ends.
struct ClosedAtTheEnd(Arc<Hub>);

impl Drop for ClosedAtTheEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The place where a node keeps its identity.
#[derive(Debug, Default)]
enum State {
    /// Nowhere: the node has a new identity in each life.
    #[default]
    Nowhere,
    /// In a folder of its own below this one.
    Below(PathBuf),
    /// In this folder, which is taken already.
    Taken(StateFolder),
}

/// What a node is started with. Without any of it the node talks to the tracker at the default address, listens at any
/// free port of all interfaces, and keeps nothing.
#[derive(Default)]
#[must_use = "a node runs from `start` on"]
pub struct Builder {
    settings: NodeSettings,
    tracker: Option<Result<TrackerChoice, StartError>>,
    state: State,
    label: Option<NodeLabel>,
    host_folder: Option<PathBuf>,
    log: Option<tracing::Dispatch>,
    secrets: Option<SwarmSecrets>,
    #[cfg(feature = "embedded-tracker")]
    codes: ServeCodes,
    #[cfg(feature = "embedded-tracker")]
    tracker_log: Option<TrackerLogFactory>,
    #[cfg(feature = "embedded-tracker")]
    tracker_swarms: Option<SecretFiles>,
}

impl Node {
    /// What a node is started with.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Builder { settings, tracker, state, label, .. } = self;
        f.debug_struct("Builder")
            .field("settings", settings)
            .field("tracker", tracker)
            .field("state", state)
            .field("label", label)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// All numbers that a person may change, as the settings file has them: limits, budgets, the address to listen at.
    /// The tracker, the label and the folders in them are not looked at: there are methods for these.
    pub fn settings(self, settings: NodeSettings) -> Builder {
        Builder { settings, ..self }
    }

    /// Talks to the tracker at `HOST:PORT`, or `KEY@HOST:PORT` with its public key. A name is followed where it leads.
    pub fn tracker(self, tracker: impl AsRef<str>) -> Builder {
        let text = tracker.as_ref();
        let parsed = text.parse::<NamedTracker>().map(TrackerChoice::Named);
        let parsed = parsed
            .map_err(|error| StartError::TrackerAddress { text: text.to_owned(), reason: error.to_string() });
        Builder { tracker: Some(parsed), ..self }
    }

    /// Talks to the tracker of `choice`.
    pub fn tracker_choice(self, choice: TrackerChoice) -> Builder {
        Builder { tracker: Some(Ok(choice)), ..self }
    }

    /// Listens at this address; port 0: any free one.
    pub fn listen(mut self, address: SocketAddr) -> Builder {
        self.settings.listen.0 = address;
        self
    }

    /// Keeps who the node is, and what it has hashed, in a folder of its own below `root`: see [`StateFolder`].
    pub fn state_dir(self, root: impl Into<PathBuf>) -> Builder {
        Builder { state: State::Below(root.into()), ..self }
    }

    /// Keeps who the node is in a folder that was taken already.
    pub fn state(self, state: StateFolder) -> Builder {
        Builder { state: State::Taken(state), ..self }
    }

    /// Which of the nodes below the state folder's root this is. Without it the first that does not run.
    pub fn label(self, label: NodeLabel) -> Builder {
        Builder { label: Some(label), ..self }
    }

    /// A folder that no other host sees. The state folder is locked there where its file system has no locks; without
    /// it such a file system is an error.
    pub fn host_folder(self, folder: impl Into<PathBuf>) -> Builder {
        Builder { host_folder: Some(folder.into()), ..self }
    }

    /// Where the node's threads say what they do. Without it to the subscriber of the thread that calls
    /// [`Builder::start`].
    pub fn log(self, log: tracing::Dispatch) -> Builder {
        Builder { log: Some(log), ..self }
    }

    /// Is in the swarm with these secrets, such as a code brings, and not in that of `secret_file` of the settings. They
    /// are kept in memory alone: so such a node runs no tracker itself.
    pub fn secrets(self, secrets: SwarmSecrets) -> Builder {
        Builder { secrets: Some(secrets), ..self }
    }

    /// A tracker that the node runs itself serves codes, in a closed swarm too.
    #[cfg(feature = "embedded-tracker")]
    pub fn serve_codes(self) -> Builder {
        Builder { codes: ServeCodes::Always, ..self }
    }

    /// Makes the log of a tracker that the node runs itself. Without it that tracker has none.
    #[cfg(feature = "embedded-tracker")]
    pub fn tracker_log(self, log: impl Fn() -> io::Result<TrackerLog> + Send + Sync + 'static) -> Builder {
        Builder { tracker_log: Some(Arc::new(log)), ..self }
    }

    /// The secrets of the swarms that a tracker serves which the node runs itself: where several nodes of one program are
    /// in a swarm each, one port serves all of them. Without it that tracker is of the node's own swarm.
    #[cfg(feature = "embedded-tracker")]
    pub fn tracker_swarms(self, swarms: SecretFiles) -> Builder {
        Builder { tracker_swarms: Some(swarms), ..self }
    }

    /// Starts the node. It may take as long as a tracker's name takes to be looked up, a second at most.
    ///
    /// # Errors
    /// When several swarms were named, or the secret or the members of a closed swarm, the tracker, the state folder, the
    /// address or a thread cannot be had.
    pub async fn start(mut self) -> Result<Node, StartError> {
        self.log.get_or_insert_with(|| tracing::dispatcher::get_default(Clone::clone));
        let started = tokio::task::spawn_blocking(move || self.start_blocking()).await;
        started.map_err(|error| StartError::Threads(io::Error::other(error)))?
    }

    /// [`Builder::start`] where there is no runtime, or where it may be held up for a second.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn start_blocking(mut self) -> Result<Node, StartError> {
        let log = self.log.take().unwrap_or_else(|| tracing::dispatcher::get_default(Clone::clone));
        tracing::dispatcher::with_default(&log.clone(), || self.start_logged(log))
    }

    fn start_logged(self, log: tracing::Dispatch) -> Result<Node, StartError> {
        let Builder { settings, tracker, state, label, host_folder, secrets, .. } = self;
        let listen = settings.listen.0;
        let choice = match tracker.unwrap_or(Ok(TrackerChoice::Default))? {
            // A tracker has its secrets in a file.
            TrackerChoice::DefaultOrEmbedded if secrets.is_some() => TrackerChoice::Default,
            choice => choice,
        };
        let state = match state {
            State::Nowhere => None,
            State::Below(root) => {
                let host_folder = host_folder.unwrap_or_else(|| root.join("host"));
                Some(StateFolder::take(&root, label.as_ref(), &host_folder)?)
            }
            State::Taken(state) => Some(state),
        };
        // Without a state folder the key is of this life alone.
        let key = state.as_ref().map_or_else(StaticKey::random, |state| Ok(state.key().clone()));
        let key = key.map_err(StartError::Threads)?;
        let prober = match &secrets {
            Some(secrets) => Prober::with_secrets(secrets.clone()),
            None => Prober::new(settings.secret_file.only()?)?,
        };
        let link = TrackerLink::find(
            &choice,
            listen.ip(),
            Arc::new(System(prober.clone())),
            prober.clone(),
            #[cfg(feature = "embedded-tracker")]
            Embedding {
                log: self.tracker_log,
                key_file: state.as_ref().map(StateFolder::tracker_key),
                secret_file: self.tracker_swarms.unwrap_or_else(|| settings.secret_file.clone()),
                members_file: settings.members_file.clone(),
                encryption: settings.network.encryption,
                codes: self.codes,
            },
        )?;
        let address = link.status().address;
        match address {
            Some(address) => tracing::info!(tracker = %link.status(), %address, "tracker"),
            None => {
                tracing::warn!(tracker = %link.status(), trouble = link.status().trouble, "no tracker yet");
            }
        }
        let (signs, heard) = TrackerSigns::channel();
        let hash_cache = state.as_ref().map(|state| HashCache::open(state.path()));
        let (hash_cache, damage) = hash_cache.unzip();
        let hub = Arc::new(Hub::new());
        let first_events = Mutex::new(Some(Events::new(hub.follow())));
        let events = {
            let (hub, signs) = (ClosedAtTheEnd(hub.clone()), signs.clone());
            move |event| {
                signs.on_event(&event);
                hub.0.publish(event);
            }
        };
        let driver = driver::start(
            DriverSettings {
                settings,
                listen,
                port: state.as_ref().and_then(StateFolder::port),
                tracker: address,
                tracker_key: link.status().key,
                key: key.clone(),
                secrets,
                hash_cache,
                lock_folder: state.as_ref().map(StateFolder::locks),
                journal_key: state.as_ref().map(StateFolder::journal_key),
                log: log.clone(),
            },
            Box::new(events),
        )?;
        let command = driver.commander();
        let moved = move |tracker, key| command(Command::UseTracker { tracker, key });
        let tracker = TrackerWatch::start((link, prober), listen.ip(), (signs, heard), moved, log);
        let tracker = tracker.map_err(StartError::Threads)?;
        if let Some(state) = &state {
            state.keep_port(driver.local_addr().port());
        }
        let hint = driver.receive_buffer_hint();
        let notes = damage.flatten().into_iter().chain(hint).collect();
        Ok(Node::new(Inner { driver, hub, first_events, key, state, notes, tracker }))
    }
}
