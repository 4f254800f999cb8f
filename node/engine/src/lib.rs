//! Riffle as a library: a node with its threads, its socket and its disk.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the library is where the node meets clock, threads, sockets and files"
)]

mod driver;
mod platform;
pub mod state;

pub use driver::{DriverSettings, HashCache, NodeHandle, StartError, raise_open_files, start};
pub use riffle_core::{
    Choice, Command, Destination, DiskError, DiskErrorKind, Doubt, DownloadId, DownloadOrder, DownloadStatus,
    DownloadTimeouts, Event, Failure, HashedAgain, Holders, Inquiry, InquiryEnd, InquiryStep, OwnerState,
    OwnerStatus, Question, SearchId, SessionEnd, Share, ShareId, ShareStatus, Status, Summary,
    TrackerStanding, UploadStanding, UploadStatus, Waiting, Wanted, choose, favourite,
};
