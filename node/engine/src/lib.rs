//! Riffle as a library: nodes that share files and fetch them from each other over UDP.
//!
//! ```no_run
//! # async fn example(id: riffle::ContentId) -> Result<(), Box<dyn std::error::Error>> {
//! let node = riffle::Node::builder().tracker("tracker.lan:12345").start().await?;
//! let share = node.share("film.mkv").await?;
//! println!("others fetch it as {}", share.announced().await?);
//!
//! let download = node.download(id).into_dir("films").start();
//! let mut progress = download.progress();
//! while let Some(progress) = progress.next().await {
//!     println!("{} bytes are here", progress.verified);
//! }
//! println!("{}", download.finished().await?.path.display());
//! # Ok(())
//! # }
//! ```
//!
//! A [`Node`] runs on threads of its own: its futures run on any tokio runtime with time. Several nodes live in one process; each
//! has a port, and a state folder if it has one, for itself. The library prints nothing, writes no log file and reads no
//! environment: what it has to say are [`Events`], values and `tracing`.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the library is where the node meets clock, threads, sockets and files"
)]
#![deny(missing_docs)]

mod builder;
mod download;
mod driver;
mod events;
mod hub;
mod names;
mod node;
mod platform;
mod share;
pub mod state;
mod tracker;

pub use builder::{Builder, StartError};
pub use config::{NodeLabel, NodeSettings, TrackerAddress};
pub use download::{Download, DownloadRequest, Finished, Progress, ProgressUpdates};
pub use driver::raise_open_files;
pub use events::{Events, EventsError};
pub use messages::tracker_to_node::Listed;
pub use messages::{ContentId, Cursor, Name, NodeId, Prefix};
pub use node::{ListError, Node, NodeEnded, Page};
pub use riffle_core::{
    Choice, Destination, DiskError, DiskErrorKind, Doubt, DownloadId, DownloadOrder, DownloadStatus,
    DownloadTimeouts, Event, Failure, HashedAgain, Holders, InquiryEnd, OwnerShare, OwnerState, OwnerStatus,
    Question, SearchId, SessionEnd, ShareId, ShareStatus, Status, Summary, TrackerStanding, UploadStanding,
    UploadStatus, Waiting, Wanted, choose, favourite,
};
pub use share::{Share, ShareError, ShareRequest};
#[cfg(feature = "embedded-tracker")]
pub use tracker::{EmbedError, EmbeddedTracker, TrackerLog, TrackerLogFactory};
pub use tracker::{QueryError, TrackerChoice, TrackerError, TrackerForOthers, TrackerQuery, TrackerStatus};
