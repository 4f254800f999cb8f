#![doc = include_str!("../README.md")]

mod command;
mod disk;
mod event;
mod ids;
mod node;
mod output;
mod status;

pub use command::{Command, Destination, DownloadOrder, Patience, Wanted};
pub use disk::{DiskError, DiskErrorKind, DiskRequest, DiskResult, FinishError, Opened, StoreError};
pub use event::{Event, Failure, SessionEnd, Share, Summary, Waiting};
pub use ids::{BufferId, DownloadId, SearchId, ShareId};
pub use node::{Identity, Node};
pub use output::{BufferChange, Burst, Outgoing, Output, Place, Reason, Source, Wait};
pub use status::{Counters, DownloadStatus, OwnerState, OwnerStatus, ShareStatus, Status, UploadStatus};
