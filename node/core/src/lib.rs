#![doc = include_str!("../README.md")]

mod account;
mod agenda;
mod buffers;
mod choice;
mod codes;
mod command;
mod context;
mod disk;
mod download;
mod event;
mod fetch_plan;
mod ids;
mod inquiry;
mod limiter;
mod local_content;
mod meter;
mod node;
mod output;
mod piece_buffers;
mod query;
mod runs;
mod status;
mod tracker_client;
mod transport;
mod upload;
mod waiting;

pub use account::{Account, Contributor};
pub use choice::{Choice, choose, favourite};
pub use codes::{
    CallEnd, CodeCall, CodeCallStep, CodeOffer, CodeOfferStep, OfferEnd, OfferLimits, OfferNews,
};
pub use command::{
    Command, Destination, DownloadOrder, DownloadTimeouts, Existing, FolderOptions, SaveOptions, Wanted,
};
pub use disk::{
    DiskError, DiskErrorKind, DiskRequest, DiskResult, Evidence, FinishedTarget, HashedAgain, Opened,
    RecheckReason, RenamedEntry, SkippedEntry, StoreError,
};
pub use event::{Event, Failure, OwnerShare, SessionEnd, Summary};
pub use fetch_plan::{FetchPlan, KnownRanges, Preview, WantedPieces};
pub use ids::{BufferId, DownloadId, SearchId, ShareId};
pub use inquiry::{Inquiry, InquiryEnd, InquiryStep, Question};
pub use node::{Identity, Node};
pub use output::{
    BufferChange, Burst, BurstPart, Outgoing, Output, PingAmong, Placement, Reason, Source, Wait,
};
pub use piece_buffers::PieceBuffers;
pub use status::{
    ChannelStatus, Counters, DownloadStatus, Holders, OwnerState, OwnerStatus, ShareStatus, Status,
    TrackerStanding, UploadStanding, UploadStatus,
};
pub use waiting::Waiting;
