//! The settings of a tracker.

use std::path::PathBuf;
use std::time::Duration;

use crate::address::{DEFAULT_TRACKER_PORT, ListenAddr};
use crate::codes::ServeCodes;
use crate::document;
use crate::encryption::Encryption;
use crate::error::ConfigError;
use crate::secret_files::SecretFiles;
use crate::settings;
use crate::size::ByteSize;

/// The first lines of `config/tracker.toml`.
const HEADING: [&str; 4] = [
    " The settings of a tracker and their defaults: `riffle-tracker --config FILE` reads a file like this one.",
    " A flag goes before the environment (RIFFLE_*), that before the file, that before the default.",
    " Leave out what you do not change. A line that starts with `#` and a key shows a setting without a default.",
    " Sizes are written as \"64MiB\" (\"64M\" is the same) or \"10MB\", durations as \"20s\", \"250ms\" or \"1h30m\".",
];

/// The most owners that one answer can carry. The wire has the same limit, which this room does not know.
pub const MAX_OWNERS_PER_ANSWER: u8 = 20;

impl TrackerSettings {
    /// Reads settings from the text of a TOML file; what it leaves out has its default.
    ///
    /// # Errors
    /// The first mistake in the file: not TOML, an unknown key, a value of the wrong type or out of its range, or a
    /// pair that contradicts itself.
    pub fn from_toml(text: &str) -> Result<TrackerSettings, ConfigError> {
        let settings: TrackerSettings = document::read(text)?;
        let is_sealed = !settings.serves_open_swarm() || settings.members_file.is_some();
        let clear = settings.encryption.contradicts_secret().filter(|_| is_sealed);
        clear.map_or(Ok(settings), |message| Err(ConfigError::Disagree { key: "encryption", message }))
    }

    /// Whether the open swarm is served: beside closed ones if it is wished, and where there are none.
    #[must_use]
    pub fn serves_open_swarm(&self) -> bool {
        self.open_swarm || self.secret_file.is_empty()
    }

    /// The text of `config/tracker.toml`: every key with its comment and default.
    pub fn annotated_defaults() -> String {
        settings::annotated::<TrackerSettings>(&HEADING)
    }
}

settings! {
    /// The settings of a tracker.
    pub struct TrackerSettings {
        /// The address and port of the tracker's socket: IP:PORT, or a port alone for all interfaces.
        pub listen: ListenAddr = ListenAddr::any(DEFAULT_TRACKER_PORT);

        /// The file with the secret of a closed swarm, which `riffle secret new FILE` makes. With it the tracker answers
        /// only who has the secret too, and everything is sealed, within this host as well: `encryption` must be "always"
        /// then, and `loopback_encryption` means nothing. Without one, the tracker is of the open swarm. Several files,
        /// as in ["a.secret", "b.secret"], are as many swarms, 15 at most: each has its own tables, and all limits for
        /// itself, and nothing of one is known in another.
        pub secret_file: SecretFiles = SecretFiles::NONE, such as "\"/etc/riffle/lab.secret\"";

        /// Whether the open swarm is served beside those with a secret. What `encryption` and `loopback_encryption` say
        /// is of the open swarm then. Without a secret the open swarm is the only one, whatever this says.
        pub open_swarm: bool = false;

        /// The file that says which nodes are members: lines `allow NODE-ID` and `deny NODE-ID` (`riffle id` shows an id).
        /// With one `allow` or more only those are answered; `deny` wins. It is read again when it changes, and who is a
        /// member no longer is forgotten at once. As with a secret, everything is sealed. Without one, whoever has the
        /// secret is a member.
        pub members_file: Option<PathBuf> = None, such as "\"/etc/riffle/lab.members\"";

        /// The folder of the log file `tracker.log`. Without one, the state folder of the user.
        pub log_dir: Option<PathBuf> = None, such as "\"/var/log/riffle\"";

        /// What is logged: off, error, warn, info, debug or trace, for one part too, as in "info,tracker=debug".
        pub log_level: String = "info".to_owned();

        /// How long a log file may become. A full one is put aside as `NAME.1`, the one before as `NAME.2`, and so on.
        pub log_size: ByteSize = ByteSize::bytes(10_000_000), within ByteSize::kib(16)..=ByteSize::gib(1024);

        /// How many log files are kept, the one that is written included; the oldest is removed.
        pub log_files: u8 = 5, within 1..=99;

        /// Whether what is said to nodes on other hosts is sealed: "always"; "prefer": nodes may talk in the clear;
        /// "never".
        pub encryption: Encryption = Encryption::Always;

        /// The same for nodes on this host, by a loopback address.
        pub loopback_encryption: Encryption = Encryption::Prefer;

        /// Whether codes are served (`riffle send --code`), by which who has no secret is let in for a while: "always",
        /// "never", or "auto": by a tracker without `secret_file`. With codes strangers can tell that a closed tracker is
        /// there, and learn nothing else.
        pub codes: ServeCodes = ServeCodes::Auto;

        /// How often nodes register again.
        pub heartbeat: Duration = Duration::from_secs(20),
            within Duration::from_secs(1)..=Duration::from_secs(3600);

        /// After how many missed heartbeats a node is forgotten.
        pub missed_heartbeats: u32 = 3, within 1..=100;

        /// How long a known node has to answer the PINGs when another address claims its id.
        pub takeover_ping: Duration = Duration::from_secs(1),
            within Duration::from_millis(50)..=Duration::from_secs(60);

        tables {
            /// Which owners a node that needs a content is told of.
            pub ranking: RankingSettings;
            /// The limits of what strangers can cause. Loopback addresses are exempt from the limits for each address.
            pub limits: LimitSettings;
        }
    }
}

settings! {
    /// Which owners a node that needs a content is told of.
    pub struct RankingSettings {
        /// The most owners in one answer.
        pub owners_per_answer: u8 = MAX_OWNERS_PER_ANSWER, within 1..=MAX_OWNERS_PER_ANSWER;

        /// The time in which confirmed uploads lose half of their weight.
        pub rate_window: Duration = Duration::from_secs(60),
            within Duration::from_secs(1)..=Duration::from_secs(3600);

        /// How many bytes a second count at most of what the nodes at one address confirm to have received. So an owner
        /// that is to be named much more often than others must serve several addresses.
        pub credit_per_address: ByteSize = ByteSize::bytes(1_000_000),
            within ByteSize::kib(1)..=ByteSize::gib(1024);

        /// How many of a hundred positions go by lot to owners that have not uploaded much yet.
        pub newcomer_share_percent: u8 = 25, within 0..=100;

        /// The time in which the count of how often an owner was named loses half of its weight.
        pub assigned_window: Duration = Duration::from_secs(10),
            within Duration::ZERO..=Duration::from_secs(3600);
    }
}

settings! {
    /// The limits of what strangers can cause.
    pub struct LimitSettings {
        /// The most nodes.
        pub max_nodes: u32 = 1_000_000, within 1..=16_000_000;

        /// The most nodes at one address.
        pub max_nodes_per_address: u32 = 256, within 1..=65_535;

        /// The most contents that one node may own.
        pub max_contents_per_node: u32 = 100_000, within 1..=16_000_000;

        /// The most contents.
        pub max_contents: u32 = 2_000_000, within 1..=64_000_000;

        /// The most announcements of all nodes together: a content counts once for each node that owns it. When few are
        /// left, no node may have more than are left.
        pub max_announcements: u32 = 2_000_000, within 1..=64_000_000;

        /// How many messages a second one address may send, on average.
        pub requests_per_second: u32 = 4000, within 1..=10_000_000;

        /// How many messages one address may send at once.
        pub request_burst: u32 = 8000, within 1..=10_000_000;

        /// For how many addresses messages are counted; the address with the least to remember is forgotten for
        /// another.
        pub tracked_addresses: u32 = 65_536, within 1..=16_000_000;
    }
}
