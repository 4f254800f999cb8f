//! The settings of a node.

use std::path::PathBuf;
use std::time::Duration;

use crate::address::{ListenAddr, TrackerAddress};
use crate::document;
use crate::encryption::Encryption;
use crate::error::ConfigError;
use crate::interval::Interval;
use crate::label::NodeLabel;
use crate::limit::Limit;
use crate::period::{MAX_PERIOD, Period};
use crate::policy::UploadPolicy;
use crate::secret_files::SecretFiles;
use crate::settings;
use crate::size::ByteSize;

/// The first lines of `config/node.toml`.
const HEADING: [&str; 4] = [
    " The settings of a node and their defaults: `riffle --config FILE` reads a file like this one.",
    " A flag goes before the environment (RIFFLE_*), that before the file, that before the default.",
    " Leave out what you do not change. A line that starts with `#` and a key shows a setting without a default.",
    " Sizes are written as \"64MiB\" (\"64M\" is the same) or \"10MB\", durations as \"20s\", \"250ms\" or \"1h30m\".",
];

/// The smallest limit for a datagram with file bytes: what every path carries (RFC 8899 BASE_PLPMTU).
const MIN_SEGMENT: u16 = 1200;

impl NodeSettings {
    /// Reads settings from the text of a TOML file; what it leaves out has its default.
    ///
    /// # Errors
    /// The first mistake in the file: not TOML, an unknown key, a value of the wrong type or out of its range.
    pub fn from_toml(text: &str) -> Result<NodeSettings, ConfigError> {
        let settings: NodeSettings = document::read(text)?;
        settings.disagreement().map_or(Ok(settings), Err)
    }

    /// The text of `config/node.toml`: every key with its comment and default.
    pub fn annotated_defaults() -> String {
        settings::annotated::<NodeSettings>(&HEADING)
    }

    fn disagreement(&self) -> Option<ConfigError> {
        let (first, most) = (self.retry_first, self.retry_most);
        if first > most {
            let message = format!("({}) is more than `retry_most` ({})", Period(first), Period(most));
            return Some(ConfigError::Disagree { key: "retry_first", message });
        }
        let (first, most) = (self.network.first_window, self.network.session_window);
        if first > most {
            let message = format!("({first}) is more than `network.session_window` ({most})");
            return Some(ConfigError::Disagree { key: "network.first_window", message });
        }
        let segment = self.network.segment_size;
        if (1..MIN_SEGMENT).contains(&segment) {
            let message = format!("must be 0 (automatic) or at least {MIN_SEGMENT}, not {segment}");
            return Some(ConfigError::Disagree { key: "network.segment_size", message });
        }
        let is_sealed = !self.secret_file.is_empty() || self.members_file.is_some();
        let clear = self.network.encryption.contradicts_secret().filter(|_| is_sealed);
        clear.map(|message| ConfigError::Disagree { key: "network.encryption", message })
    }
}

settings! {
    /// The settings of a node.
    pub struct NodeSettings {
        /// The label of this node in log files and on screens: 1 to 32 letters, digits, `-` or `_`.
        /// Without one, the label is the first number that is free on this host.
        pub id: Option<NodeLabel> = None, such as "\"kitchen\"";

        /// The address of the tracker, as HOST:PORT. Without one, the node tries 127.0.0.1:12345, and a prompt or a
        /// `send` that finds no tracker there starts one. A host name is looked up again when its tracker falls silent.
        pub tracker: Option<TrackerAddress> = None, such as "\"10.0.0.1:12345\"";

        /// The file with the secret of a closed swarm, which `riffle secret new FILE` makes. With it the node hears and
        /// answers only who has the secret too, and everything is sealed, within this host as well: `encryption` must be
        /// "always" then, and `loopback_encryption` means nothing. Without one, the node is in the open swarm. Several
        /// files, as in ["a.secret", "b.secret"], are as many swarms, 15 at most: `list` and `download` look in all of
        /// them, and nothing of one is known in another.
        pub secret_file: SecretFiles = SecretFiles::NONE, such as "\"/home/me/.config/riffle/lab.secret\"";

        /// The file that says which nodes are members: lines `allow NODE-ID` and `deny NODE-ID` (`riffle id` shows an id).
        /// With one `allow` or more only those are talked to; `deny` wins. It is read again when it changes. As with a
        /// secret, everything is sealed. Without one, whoever has the secret is a member.
        pub members_file: Option<PathBuf> = None, such as "\"/home/me/.config/riffle/lab.members\"";

        /// The folder in which downloads are saved and relative names start. Without one, the current folder.
        pub dir: Option<PathBuf> = None, such as "\"/home/me/shared\"";

        /// The address and port of the node's one socket. Port 0 is the port of the node's last life if that is free;
        /// else the system chooses one.
        pub listen: ListenAddr = ListenAddr::any(0);

        /// The folder of the log file `node-<id>.log`. Without one, the folder `logs` in the state folder.
        pub log_dir: Option<PathBuf> = None, such as "\"/var/log/riffle\"";

        /// What is logged: off, error, warn, info, debug or trace, for one part too, as in "info,node=debug".
        pub log_level: String = "info".to_owned();

        /// How long a log file may become. A full one is put aside as `NAME.1`, the one before as `NAME.2`, and so on.
        pub log_size: ByteSize = ByteSize::bytes(10_000_000), within ByteSize::kib(16)..=ByteSize::gib(1024);

        /// How many log files are kept, the one that is written included; the oldest is removed.
        pub log_files: u8 = 5, within 1..=99;

        /// The folder in which each node keeps what it must not forget. Without one, the state folder of the user.
        pub state_dir: Option<PathBuf> = None, such as "\"/var/lib/riffle\"";

        /// How often a line reports the progress of hashing and downloads where no bars can be drawn, as in a pipe or
        /// in the journal: "10s", or "none".
        pub progress_period: Interval = Interval::seconds(10);

        /// Whether only results and errors are shown, and neither progress nor notes.
        pub quiet: bool = false;

        /// After how long an unanswered message to the tracker is sent again for the first time.
        pub retry_first: Duration = Duration::from_millis(250),
            within Duration::from_millis(10)..=Duration::from_secs(60);

        /// The longest wait between two tries towards the tracker.
        pub retry_most: Duration = Duration::from_secs(20),
            within Duration::from_millis(10)..=Duration::from_secs(600);

        /// For how long a code of `send --code` is good.
        pub code_lifetime: Duration = Duration::from_secs(30 * 60),
            within Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

        /// How many wrong words are taken for a code before it is good for nobody any more. Each is one guess of 16
        /// million.
        pub code_guesses: u32 = 10, within 1..=1000;

        tables {
            /// What this node uploads.
            pub upload: UploadSettings;
            /// What this node downloads.
            pub download: DownloadSettings;
            /// How the socket and the sessions behave. The defaults suit links from a slow Wi-Fi to 10 Gbit/s.
            pub network: NetworkSettings;
            /// How files are hashed and written.
            pub disk: DiskSettings;
        }
    }
}

settings! {
    /// What a node uploads.
    pub struct UploadSettings {
        /// The most file bytes a second that all uploads together send: "10MiB", "80Mbit", or "none".
        pub limit: Limit = Limit::NONE;

        /// Which downloaders are served when there are more than upload slots. "tit-for-tat" serves those that gave
        /// most (of a complete content, those that took most) and one by lot. "fair" serves everybody in turn, which is
        /// right within one company.
        pub policy: UploadPolicy = UploadPolicy::TitForTat;

        /// How many downloaders of one content the policy "fair" serves at once; others wait for an upload slot, and
        /// are told so. (Tit-for-tat serves four.)
        pub slots: u8 = 8, within 2..=64;

        /// How often tit-for-tat chooses anew whom it serves.
        pub period: Duration = Duration::from_secs(30), within Duration::from_millis(100)..=MAX_PERIOD;
    }
}

settings! {
    /// What a node downloads.
    pub struct DownloadSettings {
        /// The most file bytes a second that all downloads together receive: "10MiB", "80Mbit", or "none".
        pub limit: Limit = Limit::NONE;

        /// From how many owners one download fetches at the same time; from a quarter more where uploads are fair.
        pub owners: u8 = 8, within 1..=64;

        /// The most memory of all downloads together, for pieces that are being received or wait for the disk. A
        /// download over a short path takes about 48 MiB; a path of 1 Gbit/s and a second needs all of it. The smallest
        /// value holds two of the largest pieces.
        pub memory: ByteSize = ByteSize::mib(512), within ByteSize::mib(16)..=ByteSize::gib(1024);

        /// After which waits a download with too few owners asks the tracker again; after the last of them it asks at
        /// every heartbeat.
        pub need_again: Vec<Duration> = [250, 500, 1000, 2000, 5000].map(Duration::from_millis).to_vec();

        /// After how long without anything new a download is given up as stalled.
        pub stall_timeout: Duration = Duration::from_secs(60), within Duration::from_secs(1)..=MAX_PERIOD;

        /// How long a one-shot download waits for a tracker that does not answer.
        pub tracker_patience: Duration = Duration::from_secs(5), within Duration::from_millis(100)..=MAX_PERIOD;
    }
}

settings! {
    /// How the socket and the sessions behave.
    pub struct NetworkSettings {
        /// The receive buffer that the socket asks for. The system may grant less, and the node counts with what is
        /// granted.
        pub receive_buffer: ByteSize = ByteSize::mib(8), within ByteSize::kib(64)..=ByteSize::gib(1);

        /// The send buffer that the socket asks for.
        pub send_buffer: ByteSize = ByteSize::mib(4), within ByteSize::kib(64)..=ByteSize::gib(1);

        /// The most bytes that a download may have requested from one owner and not yet received.
        pub session_window: ByteSize = ByteSize::mib(192), within ByteSize::kib(64)..=ByteSize::gib(4);

        /// How many bytes are requested from an owner before anything is known of the path to it. Over more than 100 ms
        /// there are more in proportion, up to eight times as many.
        pub first_window: ByteSize = ByteSize::kib(48), within ByteSize::kib(4)..=ByteSize::mib(64);

        /// After how long an unanswered HELLO is sent again; the time doubles with each further one.
        pub hello_timeout: Duration = Duration::from_millis(250),
            within Duration::from_millis(10)..=Duration::from_secs(60);

        /// How many HELLOs an owner may leave unanswered before it counts as unreachable.
        pub hello_tries: u8 = 5, within 1..=100;

        /// After how long without a datagram a session ends.
        pub session_idle: Duration = Duration::from_secs(30),
            within Duration::from_secs(1)..=Duration::from_secs(3600);

        /// After how long an unanswered request counts as snubbed, so that its ranges are requested from others too.
        pub snub_after: Duration = Duration::from_secs(2),
            within Duration::from_millis(100)..=Duration::from_secs(300);

        /// Whether what is said to other hosts is sealed: "always"; "prefer": with whoever does not answer a handshake
        /// the node talks in the clear, and shows that it does; "never".
        pub encryption: Encryption = Encryption::Always;

        /// The same for what stays in this host, by a loopback address.
        pub loopback_encryption: Encryption = Encryption::Never;

        /// How many sessions this node serves at the same time. When the table is full, a session that requests nothing
        /// is ended for a new one, and so is one of the host with the most sessions for a host with fewer.
        pub max_sessions: u32 = 4096, within 1..=1_000_000;

        /// How many of these sessions one host may have: one IPv4 address, or one IPv6 /64.
        pub max_sessions_per_address: u32 = 1024, within 1..=1_000_000;

        /// How many requested ranges of one session may wait to be served.
        pub requests_per_session: u32 = 64, within 1..=65_536;

        /// The longest datagram with file bytes that is requested and sent, with the headers of Riffle.
        /// 0 is what each path is found to carry, up to 16416, beyond which nothing is gained. 1200 is what every path
        /// carries, and no path is probed then.
        pub segment_size: u16 = 0, within 0..=65_507;
    }
}

settings! {
    /// How files are hashed and written.
    pub struct DiskSettings {
        /// How many threads hash. 0 is one for each core.
        pub hash_threads: u16 = 0, within 0..=1024;

        /// The most shared files that are kept open; others are opened when somebody downloads them.
        /// 0 is half of what the system lets the program open.
        pub open_files: u32 = 0, within 0..=1_000_000;

        /// After how many written bytes the files are synced, so that these bytes survive a loss of power.
        pub sync_bytes: ByteSize = ByteSize::mib(64), within ByteSize::mib(1)..=ByteSize::gib(1024);

        /// After how long written bytes are synced at the latest.
        pub sync_period: Duration = Duration::from_secs(5),
            within Duration::from_millis(100)..=Duration::from_secs(3600);
    }
}
