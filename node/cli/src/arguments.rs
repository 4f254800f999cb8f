//! The command line: what may be typed, and the help that explains it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{FalseyValueParser, OsStringValueParser, TypedValueParser as _};
use clap::{Arg, Args, Command, CommandFactory as _, Parser, Subcommand};
use config::{
    ByteSize, Encryption, Interval, Limit, ListenAddr, NodeLabel, Period, SecretFiles, UploadPolicy,
};
use messages::{ContentId, Digits, DigitsError, Name};
use riffle::NamedTracker;
use tracker::program::{TrackerFlags, log_files, log_size};

use crate::goal::Goal;
use crate::setting_values::{upload_period, upload_slots};

const EXAMPLES: &str = "\
Examples:
  riffle demo                            see it work, on this machine alone
  riffle send film.mkv                   share a file; prints the line to type on the other side
  riffle download film.mkv               fetch it from all who share it
  riffle download --wait film.mkv -o D   ... into the folder D, as soon as somebody shares it
  riffle send film.mkv --code            share it with a room: prints a code that is easily said
  riffle download --code 7-otter-v...    ... and fetches with it
  riffle download riffle1ae7hydl5...     ... what a ticket says, which `send` prints, from the tracker that it names
  riffle info film.mkv --json            its description, for `riffle download film.riffle.json` and other programs
  riffle list                            what the tracker knows: who has it, who is on the way to it
  riffle list photos                     what is in the folder photos, before it is fetched
  riffle verify film.mkv                 is it still what it was; if not, which pieces differ
  riffle secret new lab.secret           a swarm of your own: who lacks the file sees nothing; see --secret-file
  riffle                                 the prompt: send, download, list, status, ... exit
  riffle tracker                         the tracker alone, for the whole network";

const MORE: &str =
    "riffle --help shows examples, all options and the exit codes; riffle VERB --help those of a verb.";

const AFTER: &str = "\
Every common option is also a variable RIFFLE_* and, but for --config, a line of the settings file; an option goes before \
the variable, that before the file. Without --tracker and with none at 127.0.0.1:12345, a prompt or a `send` starts one by itself. What the \
prompt shares it shares again the next time; `send` and `download --stay` share for as long as they run.

Exit codes: 0 done, 1 other, 2 usage or settings, 3 name not found or code not good, 4 no owner answered, 5 stalled, 6 tracker \
unreachable, 7 interrupted and resumable, 8 integrity, 9 disk full, 10 file or permission, 11 already running, \
13 target exists with other content, 130 a second Ctrl-C.";

/// Shares files between machines: a download comes from all who have the file, in parallel, over UDP.
#[derive(Debug, Parser)]
#[command(name = "riffle", version, max_term_width = 110)]
#[command(before_long_help = EXAMPLES, after_help = MORE, after_long_help = AFTER)]
pub(crate) struct Arguments {
    /// Options of all commands.
    #[command(flatten)]
    pub(crate) common: Common,
    /// Options of the prompt.
    #[command(flatten)]
    pub(crate) prompt: PromptOptions,
    /// What to do; nothing: the prompt.
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

/// Options that go before or behind any command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// What this node is called in logs and on screens [default: the first free number]
    #[arg(long, global = true, env = "RIFFLE_ID", hide_env_values = true, value_name = "LABEL")]
    pub(crate) id: Option<NodeLabel>,
    /// Where the tracker is, and its public key where that is known [default: 127.0.0.1:12345]
    #[arg(
        long,
        global = true,
        env = "RIFFLE_TRACKER",
        hide_env_values = true,
        value_name = "[KEY@]HOST:PORT"
    )]
    pub(crate) tracker: Option<NamedTracker>,
    /// The file with a closed swarm's secret (see `riffle secret`): who lacks it gets no answer; again for another swarm
    /// [default: open to all]
    #[arg(long, global = true, env = "RIFFLE_SECRET_FILE", hide_env_values = true, value_name = "FILE")]
    #[arg(value_parser = OsStringValueParser::new().map(tracker::program::variables::secret_files))]
    pub(crate) secret_file: Vec<SecretFiles>,
    /// A file with lines `allow NODE-ID` and `deny NODE-ID` (see `riffle id`): who is talked to [default: who has the secret]
    #[arg(long, global = true, env = "RIFFLE_MEMBERS_FILE", hide_env_values = true, value_name = "FILE")]
    pub(crate) members_file: Option<PathBuf>,
    /// Where downloads are saved and relative names start [default: the current folder]
    #[arg(long, global = true, env = "RIFFLE_DIR", hide_env_values = true, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
    /// The address and port to use [default: all interfaces, the port of the last time or any free one]
    #[arg(long, global = true, env = "RIFFLE_LISTEN", hide_env_values = true, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<ListenAddr>,
    /// Limit and policy of uploads.
    #[command(flatten)]
    pub(crate) upload: UploadOptions,
    /// The most to receive in a second, e.g. 10MiB (10M is the same), 10MB, 80Mbit, or none
    #[arg(long, global = true, env = "RIFFLE_DOWNLOAD_LIMIT", hide_env_values = true, value_name = "RATE")]
    pub(crate) download_limit: Option<Limit>,
    /// Whether what is said is sealed.
    #[command(flatten)]
    pub(crate) encryption: EncryptionOptions,
    /// Says nothing but results and errors, neither progress nor notes (a prompt at a terminal says them still)
    #[arg(short, long, global = true, env = "RIFFLE_QUIET", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub(crate) quiet: bool,
    /// How often a line says how far it is where no bars can be drawn, e.g. 1m, or none [default: 10s]
    #[arg(long, global = true, env = "RIFFLE_PROGRESS", hide_env_values = true, value_name = "TIME")]
    #[arg(hide_short_help = true)]
    pub(crate) progress: Option<Interval>,
    /// Where and what is logged.
    #[command(flatten)]
    pub(crate) log: LogOptions,
    /// A settings file [default: riffle/node.toml in the user's configuration folder, if it is there]
    #[arg(long, global = true, env = "RIFFLE_CONFIG", hide_env_values = true, value_name = "FILE")]
    #[arg(hide_short_help = true)]
    pub(crate) config: Option<PathBuf>,
    /// Where nodes keep who they are and what they share [default: riffle in the user's state folder]
    #[arg(long, global = true, env = "RIFFLE_STATE_DIR", hide_env_values = true, value_name = "FOLDER")]
    #[arg(hide_short_help = true)]
    pub(crate) state_dir: Option<PathBuf>,
}

/// The common options about uploads.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct UploadOptions {
    /// The most to send in a second, e.g. 10MiB (10M is the same), 10MB, 80Mbit, or none
    #[arg(long, global = true, env = "RIFFLE_UPLOAD_LIMIT", hide_env_values = true, value_name = "RATE")]
    pub(crate) upload_limit: Option<Limit>,
    /// Who is served when more want a content than there are places: tit-for-tat or fair [default: tit-for-tat]
    #[arg(long, global = true, env = "RIFFLE_UPLOAD_POLICY", hide_env_values = true, value_name = "POLICY")]
    #[arg(hide_short_help = true)]
    pub(crate) upload_policy: Option<UploadPolicy>,
    /// How many downloaders of one content `fair` serves at once, 2 to 64 [default: 8]
    #[arg(long, global = true, env = "RIFFLE_UPLOAD_SLOTS", hide_env_values = true, value_name = "COUNT")]
    #[arg(hide_short_help = true)]
    #[arg(value_parser = upload_slots)]
    pub(crate) upload_slots: Option<u8>,
    /// How often tit-for-tat looks again at who gives and takes most, e.g. 10s [default: 30s]
    #[arg(long, global = true, env = "RIFFLE_UPLOAD_PERIOD", hide_env_values = true, value_name = "TIME")]
    #[arg(hide_short_help = true)]
    #[arg(value_parser = upload_period)]
    pub(crate) upload_period: Option<Period>,
}

/// The common options about sealing.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct EncryptionOptions {
    /// Whether what is said to other hosts is sealed: always, prefer (in the clear with who cannot), never [default: always]
    #[arg(long, global = true, env = "RIFFLE_ENCRYPTION", hide_env_values = true, value_name = "WHEN")]
    #[arg(hide_short_help = true)]
    pub(crate) encryption: Option<Encryption>,
    /// The same for what stays in this host [default: never]
    #[arg(
        long,
        global = true,
        env = "RIFFLE_LOOPBACK_ENCRYPTION",
        hide_env_values = true,
        value_name = "WHEN"
    )]
    #[arg(hide_short_help = true)]
    pub(crate) loopback_encryption: Option<Encryption>,
}

/// The common options about logs.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LogOptions {
    /// Where log files go [default: logs in the state folder]
    #[arg(long, global = true, env = "RIFFLE_LOG_DIR", hide_env_values = true, value_name = "FOLDER")]
    #[arg(hide_short_help = true)]
    pub(crate) log_dir: Option<PathBuf>,
    /// What is logged: off, error, warn, info, debug, trace, or by part [default: info]
    #[arg(long, global = true, env = "RIFFLE_LOG_LEVEL", hide_env_values = true, value_name = "LEVEL")]
    #[arg(hide_short_help = true)]
    pub(crate) log_level: Option<String>,
    /// A log file that would become longer is put aside as NAME.1 [default: 10MB]
    #[arg(long, global = true, env = "RIFFLE_LOG_SIZE", hide_env_values = true, value_name = "SIZE")]
    #[arg(hide_short_help = true)]
    #[arg(value_parser = log_size)]
    pub(crate) log_size: Option<ByteSize>,
    /// So many log files are kept, the one that is written included [default: 5]
    #[arg(long, global = true, env = "RIFFLE_LOG_FILES", hide_env_values = true, value_name = "COUNT")]
    #[arg(hide_short_help = true)]
    #[arg(value_parser = log_files)]
    pub(crate) log_files: Option<u8>,
}

/// Options of the prompt, for when its lines come from a pipe.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Options of a piped prompt")]
pub(crate) struct PromptOptions {
    /// Carry out what comes behind a mistake; its exit code is that of the end (the default)
    #[arg(long, hide_short_help = true)]
    pub(crate) keep_going: bool,
    /// Leave at the first mistake or failure, with its exit code
    #[arg(long, env = "RIFFLE_STOP_ON_ERROR", hide_env_values = true)]
    #[arg(hide_short_help = true, value_parser = FalseyValueParser::new())]
    pub(crate) stop_on_error: bool,
}

impl PromptOptions {
    /// What the first mistake leads to.
    pub(crate) fn on_mistake(self) -> OnMistake {
        if self.stop_on_error && !self.keep_going { OnMistake::Stop } else { OnMistake::GoOn }
    }
}

/// What the first mistake of a script leads to, beside the exit code at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnMistake {
    /// The commands behind the mistake are carried out.
    GoOn,
    /// The prompt is left.
    Stop,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Verb {
    /// Share files until Ctrl-C, and print for each the line that fetches it on another machine
    Send(Send),
    /// Fetch files from all who share them
    #[command(visible_aliases = ["get", "receive"])]
    Download(Download),
    /// Show what the tracker knows, or what is in a folder before it is fetched
    List(List),
    /// Describe a content: its name, length, id and pieces, and the files of a folder
    Info(Info),
    /// Show how far the transfers of this host's running nodes are, and why not faster
    Status,
    /// Show whom this host's running nodes give to and take from
    Peers,
    /// Print the BLAKE3 hash of files, which is their id, as b3sum does
    Hash(Hash),
    /// Tell whether a file or folder is what it was when it was shared or fetched, or the content of an id, and what is not
    Verify(Verify),
    /// See it work: a tracker, four owners and a downloader on this machine
    Demo(Demo),
    /// Be the tracker, until Ctrl-C
    Tracker(TrackerFlags),
    /// Show who the node of --id is, or the first one: what others write into their lists of members
    Id(Id),
    /// Make and look after the secret of a closed swarm, which --secret-file names
    #[command(subcommand)]
    Secret(Secret),
}

/// How `id` is said.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Id {
    /// Prints one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is to be done with a file of secrets. There is no option that takes a secret itself: whoever sees the processes of
/// this host would see it.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Secret {
    /// Write a new secret into a file that is not there yet, for this user alone; it is not shown
    New {
        /// The file to make
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print what is in the file: whoever has the line is a member of the swarm
    Show {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Put a new secret first in the file. The one before stays good for some time, in which every member takes the new
    /// file; running programs read it again by themselves
    Rotate {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// For how long the secrets before are accepted; 0: no longer
        #[arg(long, value_name = "TIME", default_value = "1d")]
        overlap: Period,
    },
    /// Tell whether the file is whole and private, and by which fingerprint others know that they have the same secret
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// What `send` is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Send {
    /// The files and folders to share, each under the last part of its path; those that cannot be are told, and the
    /// exit code is 10. `-` with --name: what comes from the standard input, to its end; it is spooled to the disk of
    /// the state folder for as long as it is shared
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Share the file or folder under this name. Several: all of them as one folder of this name, in which each stands
    /// under the last part of its path
    #[arg(long, visible_alias = "as", value_name = "NAME")]
    pub(crate) name: Option<Name>,
    /// Leave out of folders what this pattern names, as a line of .gitignore; may be given again. A file .riffleignore
    /// in a folder does so too
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Do not tell when files were modified, nor which may be executed
    #[arg(long)]
    pub(crate) no_metadata: bool,
    /// Share all of the files, and all that is in the folders, or nothing
    #[arg(long)]
    pub(crate) strict: bool,
    /// Of several contents of one name share the last alone, once it is announced (at the prompt: in place of what it
    /// shares)
    #[arg(long)]
    pub(crate) replace: bool,
    /// Print a code too, such as 7-otter-violin-salt, for any number of receivers: each types it behind `download
    /// --code`, and gets the ticket and in a closed swarm its secret. It is good for half an hour (`code_lifetime` in the
    /// settings file). The file or folder is one; several are one with --name
    #[arg(long)]
    pub(crate) code: bool,
    /// In a closed swarm: print a ticket with the swarm's secret in it, so that nothing else is needed to fetch. Whoever
    /// sees the ticket is a member of the swarm
    #[arg(long)]
    pub(crate) open_ticket: bool,
    /// Leave as soon as so many other nodes have all of each file
    #[arg(long, value_name = "COUNT")]
    pub(crate) copies: Option<NonZeroUsize>,
    /// Leave as soon as another node has all of each file: --copies 1
    #[arg(long, conflicts_with = "copies")]
    pub(crate) until_delivered: bool,
    /// Share it in each of the swarms whose secrets are named; without this there may be one alone
    #[arg(long)]
    pub(crate) all_swarms: bool,
}

impl Send {
    /// How many other nodes must have all of each file before the program leaves by itself; `None`: it never does.
    pub(crate) fn copies_wanted(&self) -> Option<usize> {
        self.copies.map(NonZeroUsize::get).or(self.until_delivered.then_some(1))
    }
}

/// What `download` is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Download {
    /// Tickets (the line that `send` prints has one), names, ids (64 hexadecimal digits, or the first 8 and more), or NAME@ID where ID is the beginning of one; of
    /// several contents of one name, the one that clearly most hosts call so. A file that is there and whose name ends
    /// with .riffle.json says what to fetch, under which name and, without --tracker, from whose tracker: see `info`; so
    /// does a ticket
    #[arg(required_unless_present_any = ["ticket_file", "code"], value_name = "TICKET|NAME|ID")]
    pub(crate) wanted: Vec<String>,
    /// Fetch what somebody else offers with a code (`send --code` prints one), by way of the tracker at which it was made.
    /// `-`: the code comes from the standard input; nothing: it is asked for
    #[arg(long, value_name = "CODE", num_args = 0..=1, conflicts_with_all = ["wanted", "ticket_file"])]
    pub(crate) code: Option<Option<String>>,
    /// Fetch what the tickets in this file say; `-`: those that come from the standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) ticket_file: Option<PathBuf>,
    /// Save it as this file, or in this folder (several names: a folder). `-`: write it to the standard output, in order,
    /// as it arrives and is verified; it is spooled to the disk of the state folder. `/dev/null`: keep nothing of it
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Of several contents of one name, take the one that was called so last, which may be anybody's
    #[arg(long)]
    pub(crate) newest: bool,
    /// Replace a file that is there with other content, once the new one is whole and verified
    #[arg(long)]
    pub(crate) force: bool,
    /// Bring a folder that is there up to date: fetch only what differs, and replace each file that differs once the new
    /// one is whole and verified; files that the new version lacks stay
    #[arg(long)]
    pub(crate) update: bool,
    /// As --update, and remove from the folder what the new version lacks
    #[arg(long, conflicts_with = "select")]
    pub(crate) delete: bool,
    /// Fetch of a folder the files alone that this pattern names, as a line of .gitignore; may be given again
    #[arg(long, value_name = "GLOB")]
    pub(crate) select: Vec<String>,
    /// Fetch the pieces in order, for what reads the file while it arrives; slower where many fetch the same
    #[arg(long)]
    pub(crate) sequential: bool,
    /// Save files as new ones are: neither when they were modified is kept, nor whether they may be executed
    #[arg(long)]
    pub(crate) no_metadata: bool,
    /// Give names in a folder that the file system here cannot hold other ones, with a line each. Without this they are
    /// told, and nothing is saved. Such a folder is not served on
    #[arg(long)]
    pub(crate) rename_invalid: bool,
    /// Wait for the tracker, for somebody to share it, and for room on a full disk
    #[arg(long)]
    pub(crate) wait: bool,
    /// Give up when nothing new has arrived for this long [default: 60s]
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<Period>,
    /// Share on what was fetched: for this long, or until Ctrl-C
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true)]
    pub(crate) stay: Option<Option<Period>>,
}

/// What `list` is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct List {
    /// Only what is called so from its beginning on, or whose id begins with these 8 digits or more. Where that is one
    /// content, typed by its whole name or by its id, and a folder: what is in the folder, as --files shows it
    #[arg(value_name = "PREFIX")]
    pub(crate) prefix: Option<String>,
    /// Show what is in the content that `download` would take by this name or id, before it is fetched: the tree of a
    /// folder, with sizes; without a terminal for each entry its bytes, a tab and its path
    #[arg(short, long, requires = "prefix")]
    pub(crate) files: bool,
    /// Of what is in the folder show what this pattern names, as `download --select` fetches it; may be given again
    #[arg(long, value_name = "GLOB", requires = "prefix")]
    pub(crate) select: Vec<String>,
    /// Show whole ids; done without a terminal in any case
    #[arg(short, long)]
    pub(crate) long: bool,
    /// Wait until so many nodes have all of it, the first one counted, such as lab.img=12; may be given several times
    #[arg(long, value_name = "NAME|ID=COUNT", conflicts_with = "prefix")]
    pub(crate) wait_complete: Vec<Goal>,
    /// Leave with 5 when they do not have it after this long [default: wait on]
    #[arg(long, value_name = "TIME", requires = "wait_complete")]
    pub(crate) timeout: Option<Period>,
}

/// What `hash` is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Hash {
    /// The files to hash; `-`, or none: the standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// What `verify` is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Verify {
    /// The file or the folder to read
    #[arg(value_name = "FILE|DIR")]
    pub(crate) file: PathBuf,
    /// The id that it should have (64 hexadecimal digits, or the first 8 and more), or a description of what it should
    /// be (a file whose name ends with .riffle.json) [default: what it was when a node of this host shared or fetched
    /// it]
    #[arg(value_name = "ID|DESCRIPTION", value_parser = verified_against)]
    pub(crate) against: Option<VerifiedAgainst>,
}

/// What a file or a folder should be.
#[derive(Clone, Debug)]
pub(crate) enum VerifiedAgainst {
    /// The content with this id.
    Id(WantedId),
    /// What the description at this path says.
    Description(String),
}

fn verified_against(text: &str) -> Result<VerifiedAgainst, DigitsError> {
    if text.ends_with(riffle::metainfo::SUFFIX) {
        return Ok(VerifiedAgainst::Description(text.to_owned()));
    }
    id(text).map(VerifiedAgainst::Id)
}

/// An id, or how it begins.
#[derive(Clone, Debug)]
pub(crate) enum WantedId {
    /// All of it.
    Whole(ContentId),
    /// How it begins.
    Beginning(Digits),
}

fn id(text: &str) -> Result<WantedId, DigitsError> {
    match text.parse() {
        Ok(content) => Ok(WantedId::Whole(content)),
        Err(_) => Digits::new(text).map(WantedId::Beginning),
    }
}

/// What `info` is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Info {
    /// A file or a folder, whose description is made; a description (a file whose name ends with .riffle.json), which
    /// is checked and shown; an ID that a node of this host has shared or fetched; or a NAME or ID that the tracker is
    /// asked for, which does not know the values of the pieces (what is in a folder its owners are asked). Of a TICKET it
    /// is shown what the ticket says, and nobody is asked
    #[arg(value_name = "FILE|DIR|TICKET|NAME|ID")]
    pub(crate) what: String,
    /// Write the description as JSON, as `download` takes it; its form stands in messages/README.md
    #[arg(long)]
    pub(crate) json: bool,
    /// Describe each piece by its SHA-1 too, for other programs
    #[arg(long)]
    pub(crate) sha1: bool,
    /// Describe the file or folder under this name
    #[arg(long, visible_alias = "as", value_name = "NAME")]
    pub(crate) name: Option<Name>,
    /// Leave out of a folder what this pattern names, as `send` does; may be given again
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Describe a folder without when its files were modified, and which may be executed, as `send` shares it
    #[arg(long)]
    pub(crate) no_metadata: bool,
    /// Describe all that is in a folder, or nothing
    #[arg(long)]
    pub(crate) strict: bool,
}

/// What `demo` is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Demo {
    /// The file to use [default: 256 MiB of random bytes]
    pub(crate) file: Option<PathBuf>,
}

/// The common options that each of these verbs uses; the other verbs but `tracker` use all of them. A verb accepts the
/// others too, because they may stand before the verb or in the environment, but its help does not show them.
const USED: [(&str, &[&str]); 9] = [
    (
        "list",
        &[
            "id",
            "tracker",
            "secret_file",
            "members_file",
            "listen",
            "encryption",
            "loopback_encryption",
            "quiet",
            "config",
            "state_dir",
        ],
    ),
    ("id", &["id", "config", "state_dir"]),
    (
        "info",
        &[
            "id",
            "tracker",
            "secret_file",
            "members_file",
            "listen",
            "encryption",
            "loopback_encryption",
            "dir",
            "quiet",
            "config",
            "state_dir",
        ],
    ),
    ("secret", &[]),
    ("status", &["id", "quiet", "config", "state_dir"]),
    ("peers", &["id", "quiet", "config", "state_dir"]),
    ("hash", &[]),
    ("verify", &["dir", "config", "state_dir"]),
    (
        "demo",
        &[
            "upload_limit",
            "download_limit",
            "quiet",
            "progress",
            "log_dir",
            "log_level",
            "log_size",
            "log_files",
            "config",
            "state_dir",
        ],
    ),
];

impl Arguments {
    /// Reads the command line of this process, and the environment.
    ///
    /// # Errors
    /// A refusal of clap, or the help that was asked for.
    pub(crate) fn read() -> Result<Arguments, clap::Error> {
        tracker::program::variables::parse(command())
    }
}

fn command() -> Command {
    let command = Arguments::command();
    let common: Vec<Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    let command = USED.iter().fold(command, |command, (verb, used)| {
        let unused = common.iter().filter(|arg| !used.contains(&arg.get_id().as_str()));
        // clap hands no global option down to a verb that defines it itself.
        command.mut_subcommand(verb, |verb| verb.args(unused.map(|arg| arg.clone().hide(true))))
    });
    // The options of `tracker` and their help are those of the program `riffle-tracker`.
    let flags = tracker::program::Flags::augment_args(Command::new("riffle-tracker"));
    let own =
        common.iter().map(|arg| match flags.get_arguments().find(|flag| flag.get_id() == arg.get_id()) {
            Some(flag) => arg.clone().help(flag.get_help().cloned().unwrap_or_default()),
            None => arg.clone().hide(true),
        });
    command.mut_subcommand("tracker", |verb| verb.args(own))
}

/// A refusal of clap in one line: what is wrong and what was likely meant, without the usage.
pub(crate) fn one_line(refusal: &str) -> String {
    let told = refusal.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let told = told.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let line = told.collect::<Vec<_>>().join("; ");
    line.strip_prefix("error: ").unwrap_or(&line).replace(":; ", ": ").replace("tip: ", "")
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        let words = crate::shell_words::split(line).expect("closed");
        Arguments::from_arg_matches(&command().try_get_matches_from(words)?)
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn common_options_go_before_or_behind_the_verb() {
        let before = parse("riffle --id 3 --listen 10.0.0.3:0 --dir D download NAME").expect("fits");
        let behind = parse("riffle download NAME --id 3 --listen 10.0.0.3:0 --dir D").expect("fits");
        for arguments in [before, behind] {
            assert_eq!(arguments.common.id.as_ref().map(NodeLabel::as_str), Some("3"));
            assert_eq!(arguments.common.dir, Some("D".into()));
            assert_eq!(arguments.common.listen.map(|listen| listen.to_string()), Some("10.0.0.3:0".into()));
            assert!(
                matches!(arguments.verb, Some(Verb::Download(Download { wanted, .. })) if wanted == ["NAME"])
            );
        }
    }

    #[test]
    fn every_common_option_is_a_variable_too() {
        let command = Arguments::command();
        let common = command.get_arguments().filter(|argument| argument.is_global_set());
        for argument in common {
            let long = argument.get_long().expect("common options have long names");
            let variable = format!("RIFFLE_{}", long.replace('-', "_").to_uppercase());
            assert_eq!(argument.get_env(), Some(variable.as_ref()), "--{long}");
        }
    }

    #[test]
    fn no_option_of_any_verb_takes_an_empty_variable_for_a_value() {
        fn with_variable(command: &clap::Command) -> usize {
            let own = command.get_arguments().filter(|argument| argument.get_env().is_some()).count();
            own + command.get_subcommands().map(with_variable).sum::<usize>()
        }
        let without_empty = tracker::program::variables::without_empty;
        let kept = without_empty(command(), &|_| None);
        assert_eq!(with_variable(&kept), with_variable(&command()));
        assert_eq!(with_variable(&without_empty(command(), &|_| Some("".into()))), 0);
    }

    #[test]
    fn the_help_of_a_verb_shows_what_means_something_there_and_all_is_taken() {
        // Options stand at the beginning of their lines, alone or behind a short one.
        let shows = |verb: &str, option: &str| {
            let error = parse(&format!("riffle {verb} --help")).expect_err("help");
            assert!(!error.use_stderr());
            let (help, flag) = (error.to_string(), format!("--{}", option.replace('_', "-")));
            let options = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
            options
                .map(|line| line.split_whitespace().take(2))
                .any(|mut words| words.any(|word| word == flag))
        };
        let all: Vec<String> = Arguments::command()
            .get_arguments()
            .filter(|arg| arg.is_global_set())
            .map(|arg| arg.get_id().to_string())
            .collect();
        for (verb, used) in USED {
            for option in &all {
                assert_eq!(shows(verb, option), used.contains(&option.as_str()), "{verb} {option}");
            }
        }
        for (option, is_used) in
            [("listen", true), ("log_files", true), ("config", true), ("id", false), ("dir", false)]
        {
            assert_eq!(shows("tracker", option), is_used, "{option}");
        }
        let tracker = parse("riffle tracker --help").expect_err("help").to_string();
        assert!(tracker.contains("[default: 12345]") && !tracker.contains("node.toml"), "{tracker}");
        for verb in ["send", "download"] {
            assert!(all.iter().all(|option| shows(verb, option)), "{verb}");
        }
        for line in
            ["riffle --id 3 tracker", "riffle tracker --id 3", "riffle demo --id 3", "riffle --id 3 list"]
        {
            let id = parse(line).expect("taken").common.id;
            assert_eq!(id.as_ref().map(NodeLabel::as_str), Some("3"), "{line}");
        }
    }

    #[test]
    fn a_download_goes_by_the_names_that_other_programs_have_for_it() {
        for verb in ["download", "get", "receive"] {
            let verb = parse(&format!("riffle {verb} NAME")).expect("fits").verb;
            assert!(matches!(verb, Some(Verb::Download(Download { wanted, .. })) if wanted == ["NAME"]));
        }
    }

    #[test]
    fn places_are_given_out_as_the_command_line_says() {
        let line = "riffle --upload-policy fair send f --upload-slots 8 --upload-period 1m30s";
        let upload = parse(line).expect("fits").common.upload;
        assert_eq!((upload.upload_policy, upload.upload_slots), (Some(UploadPolicy::Fair), Some(8)));
        assert_eq!(upload.upload_period.map(|period| period.0.as_secs()), Some(90));
        let upload = parse("riffle").expect("fits").common.upload;
        assert_eq!((upload.upload_policy, upload.upload_slots, upload.upload_period), (None, None, None));
    }

    #[test]
    fn download_takes_all_its_options() {
        let line = "riffle download a b --wait --timeout 90s --stay=5m";
        let Some(Verb::Download(download)) = parse(line).expect("fits").verb else {
            panic!("not a download");
        };
        assert_eq!(download.wanted, ["a", "b"]);
        assert_eq!(download.timeout.map(|timeout| timeout.0.as_secs()), Some(90));
        assert_eq!(download.stay.flatten().map(|stay| stay.0.as_secs()), Some(300));
        let Some(Verb::Download(download)) = parse("riffle download --stay a").expect("fits").verb else {
            panic!("not a download");
        };
        assert_eq!((download.wanted, download.stay), (vec!["a".to_owned()], Some(None)));
    }

    #[test]
    fn list_shows_or_waits() {
        let list = |line: &str| match parse(line).map(|arguments| arguments.verb) {
            Ok(Some(Verb::List(list))) => Some(list),
            _ => None,
        };
        let shown = list("riffle list -l lab").expect("fits");
        assert_eq!((shown.prefix.as_deref(), shown.long), (Some("lab"), true));
        let line = "riffle list --wait-complete lab.img=12 --wait-complete b=1 --timeout 10m";
        assert_eq!(list(line).map(|list| list.wait_complete.len()), Some(2));
        for wrong in
            ["riffle list a --wait-complete b=1", "riffle list --timeout 1s", "riffle list --wait-complete b"]
        {
            assert!(list(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_refusal_is_one_line_that_names_it() {
        let refusal = |line: &str| one_line(&parse(line).expect_err("refused").to_string());
        assert!(refusal("riffle --listen nowhere").contains("`nowhere` is not an address to listen at"));
        assert!(refusal("riffle --lisden 1").contains("'--listen'"));
        assert!(refusal("riffle download").contains("<TICKET|NAME|ID>"));
        assert!(refusal("riffle sendd x").contains("'send'"), "{}", refusal("riffle sendd x"));
        assert_eq!(
            refusal("riffle --upload-slots 1"),
            "invalid value '1' for '--upload-slots <COUNT>': must be from 2 to 64, not 1"
        );
        for line in ["riffle --listen nowhere", "riffle --lisden 1", "riffle download", "riffle sendd x"] {
            assert!(!refusal(line).contains('\n') && !refusal(line).contains("Usage"), "{}", refusal(line));
        }
    }

    #[test]
    fn the_long_help_begins_with_examples_and_the_short_one_is_short() {
        let (short, long) = (command().render_help().to_string(), command().render_long_help().to_string());
        assert!(long.starts_with("Examples:") && long.contains("Exit codes: 0 done"), "{long}");
        assert!(!short.contains("Examples:") && !short.contains("Exit codes:"), "{short}");
        assert!(short.lines().count() * 2 < long.lines().count(), "{short}");
        assert!(short.contains("--tracker") && !short.contains("--upload-slots"), "{short}");
    }
}
