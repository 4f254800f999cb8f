#![doc = include_str!("../README.md")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the library is where the node meets clock, threads, sockets and files"
)]
#![deny(missing_docs)]

mod builder;
mod codes;
mod content_index;
mod download;
mod download_reader;
mod download_state;
mod driver;
mod events;
mod file_hash;
mod folder_comparison;
mod folder_description;
mod hub;
mod inner;
mod known_files;
pub mod metainfo;
mod names;
mod node;
mod platform;
mod share;
mod share_index;
mod share_state;
mod start_error;
pub mod state;
mod tracker;

pub use builder::Builder;
pub use channel::secret_file::forbid_core_files;
pub use channel::{
    Code, CodeGift, MembersFileError, OlderSecret, ParseCodeError, ParseSecretError, ParseSecretsError,
    PublicKey, StaticKey, Suite, SwarmFileError, SwarmFileTrouble, SwarmSecret, SwarmSecrets, Ticket,
    TicketError, TicketTracker, complete_code,
};
pub use codes::{CodeNews, OfferError, OfferedCode, RedeemError, redeem_code};
pub use config::{NodeLabel, NodeSettings, SecretFiles, SeveralSwarms, TrackerAddress};
pub use content_index::{ContentIndex, IndexRequest, PatternError, select};
pub use download::{Download, DownloadRequest, ProgressUpdates};
pub use download_reader::{DownloadReader, ReadError};
pub use download_state::{Finished, Progress};
pub use driver::{KnownFolder, raise_open_files};
pub use events::{Events, EventsError};
pub use file_hash::{FileComparison, compare_file, hash_file, hash_reader};
pub use folder_comparison::{Difference, FolderComparison, compare_folder};
pub use folder_description::{FolderDescription, describe_folder};
pub use known_files::KnownFiles;
pub use messages::collection::{Collection, Entry, EntryKind, EntryPath, FileEntry, Modified};
pub use messages::tracker_to_node::Listed;
pub use messages::{ContentId, Cursor, Digits, Layout, Name, NodeId, Outboard, PieceIndex, PieceRun, Prefix};
pub use names::{destination_of_path, members_of_paths, name_of_path};
pub use node::{ListError, Node, NodeEnded, Page};
pub use riffle_core::{
    CallEnd, ChannelStatus, Choice, Destination, DiskError, DiskErrorKind, DownloadId, DownloadStatus,
    DownloadTimeouts, Event, Failure, FolderOptions, HashedAgain, Holders, InquiryEnd, OfferEnd, OfferLimits,
    OwnerShare, OwnerState, OwnerStatus, Question, RecheckReason, RenamedEntry, SearchId, SessionEnd,
    ShareId, ShareStatus, SkippedEntry, Status, Summary, TrackerStanding, UploadStanding, UploadStatus,
    Waiting, Wanted, choose, favourite,
};
pub use share::{Share, ShareRequest};
pub use share_state::ShareError;
pub use start_error::StartError;
#[cfg(feature = "embedded-tracker")]
pub use tracker::{EmbedError, EmbeddedTracker, TrackerLog, TrackerLogFactory};
pub use tracker::{
    NamedTracker, NamedTrackerError, QueryError, TrackerChoice, TrackerError, TrackerForOthers, TrackerQuery,
    TrackerStatus,
};
