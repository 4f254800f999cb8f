//! What the core asks of the disk, and what the disk answers.
//!
//! These are values only: the core never sees the bytes of a file. Each request that has an answer is answered exactly
//! once. Requests about one download are answered in the order in which they were made only where a variant says so.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use messages::collection::Collection;
use messages::{ChainingValue, ContentId, FileMetadata, Outboard, OutboardError, PieceIndex, PieceRun};

use crate::command::{Existing, FolderOptions, SaveOptions};
use crate::fetch_plan::FetchPlan;
use crate::ids::{BufferId, DownloadId, ShareId};

/// A request to the disk workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskRequest {
    /// Hash a file or a folder (BLAKE3, with the chaining value of each piece) and open it for bursts under `share`.
    /// Answered with [`DiskResult::Shared`], and with [`DiskResult::Hashing`] now and then before that.
    Share {
        /// The number under which bursts will name the file.
        share: ShareId,
        /// The file or the folder.
        path: PathBuf,
        /// What of a folder is shared.
        options: FolderOptions,
    },
    /// Close a shared file, or stop hashing it. Not answered.
    Unshare {
        /// The file's number.
        share: ShareId,
    },
    /// Check the first `length` bytes of `buffer` against `content`: they are its outboard, or all of it. Answered with
    /// [`DiskResult::OutboardChecked`].
    CheckOutboard {
        /// The download that waits for the answer.
        download: DownloadId,
        /// The buffer with the bytes.
        buffer: BufferId,
        /// The number of bytes.
        length: u32,
        /// The content that they must prove.
        content: ContentId,
        /// What the bytes are.
        evidence: Evidence,
    },
    /// See whether something of `content` may be here already: anything at `target`, or a part file. Answered with
    /// [`DiskResult::TargetSeen`].
    LookAtTarget {
        /// The download.
        download: DownloadId,
        /// The finished file's path.
        target: PathBuf,
        /// The content that the file will have.
        content: ContentId,
    },
    /// Prepare the disk for a download: look at the target, create its part file or resume it, lock it, open it for
    /// bursts under `share`. Answered with [`DiskResult::Opened`].
    Open {
        /// The download.
        download: DownloadId,
        /// The number under which bursts will name the file.
        share: ShareId,
        /// The finished file's path.
        target: PathBuf,
        /// What becomes of what exists at the target.
        existing: Existing,
        /// The patterns of the files of a folder that are wanted; none: everything.
        select: Vec<String>,
        /// How what was fetched is saved.
        save: SaveOptions,
        /// The content that the file will have.
        content: ContentId,
        /// What describes the content.
        outboard: Arc<Outboard>,
    },
    /// Prepare to take in the first pieces of a content, in memory, as far as the index of a folder reaches. Answered
    /// with [`DiskResult::Opened`], whose plan wants the first piece. What [`DiskRequest::Store`] brings may lead to
    /// [`DiskResult::Planned`], and [`DiskRequest::Finish`] is answered with [`DiskResult::IndexRead`].
    OpenIndex {
        /// The download.
        download: DownloadId,
        /// What describes the content.
        outboard: Arc<Outboard>,
    },
    /// Read the index of what is served in whole under `share`. Answered with [`DiskResult::IndexRead`].
    ReadIndex {
        /// The download.
        download: DownloadId,
        /// The number under which the content is served.
        share: ShareId,
    },
    /// Read the first `length` bytes of `buffer`, which are those of `piece` as far as anybody knows: nothing proves them
    /// yet. Answered with [`DiskResult::Previewed`].
    Preview {
        /// The download.
        download: DownloadId,
        /// The piece.
        piece: PieceIndex,
        /// The buffer with the bytes.
        buffer: BufferId,
        /// The number of bytes.
        length: u32,
    },
    /// Fill the ranges `known` of `buffer` in, check its first `length` bytes against `expected` and, when they match,
    /// write them to their place in the part file. Answered with [`DiskResult::Stored`].
    Store {
        /// The download.
        download: DownloadId,
        /// The piece.
        piece: PieceIndex,
        /// The buffer with the bytes.
        buffer: BufferId,
        /// The number of bytes.
        length: u32,
        /// The ranges of the piece that were not fetched, because the disk has named them in a [`FetchPlan`]: ascending,
        /// with a gap between any two, and never all of the piece. Nothing is in the buffer there.
        known: Vec<Range<u32>>,
        /// The chaining value that the bytes must have.
        expected: ChainingValue,
    },
    /// Sync the file, of which all wanted pieces are stored, and bring it to the target. Answered with
    /// [`DiskResult::Finished`].
    Finish {
        /// The download.
        download: DownloadId,
        /// What is set of the file, if the content is one file. `None`: neither when files were modified nor whether
        /// they may be executed is set, of the files of a folder neither.
        file: Option<FileMetadata>,
    },
    /// Close the part file and the journal of a download that has ended without its file, and keep both. Not answered.
    Abandon {
        /// The download.
        download: DownloadId,
    },
}

/// What proves that the length of a content is the one that an owner names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The outboard of a content of several pieces.
    Outboard,
    /// The only piece, which is the content.
    Piece,
}

/// The result of a [`DiskRequest`], or something that a worker has noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskResult {
    /// A file is being hashed.
    Hashing {
        /// The file's number.
        share: ShareId,
        /// The number of bytes that were hashed so far.
        done: u64,
        /// The number of bytes of the file.
        total: u64,
    },
    /// Some of what is in a folder is not shared.
    Skipped {
        /// The folder's number.
        share: ShareId,
        /// What, and why.
        skipped: Vec<SkippedEntry>,
    },
    /// The file system of a download has no locks. This is reported before the download's [`DiskResult::Opened`].
    WithoutLocks {
        /// The download's folder.
        folder: PathBuf,
        /// Whether another lock keeps the nodes of this host apart.
        elsewhere: bool,
    },
    /// A file was hashed and is open, or that has failed.
    Shared {
        /// The file's number.
        share: ShareId,
        /// What describes its content, or why it cannot be shared.
        result: Result<Arc<Outboard>, DiskError>,
        /// What is told of it, when it is one file.
        file: FileMetadata,
    },
    /// A shared file is no longer what was announced: it was changed, cut short or removed.
    ShareChanged {
        /// The file's number.
        share: ShareId,
        /// What was found.
        error: DiskError,
    },
    /// Some files of a shared folder are no longer what was announced. The rest of the folder is.
    PartChanged {
        /// The folder's number.
        share: ShareId,
        /// The pieces that have bytes of these files, which are not served any more.
        pieces: Vec<PieceRun>,
        /// What was found, of each file; at least one.
        files: Vec<DiskError>,
    },
    /// An outboard, or the only piece of a content, was checked.
    OutboardChecked {
        /// The download.
        download: DownloadId,
        /// The buffer that was read, which belongs to the core again.
        buffer: BufferId,
        /// What they prove, or why they prove nothing.
        result: Result<Arc<Outboard>, OutboardError>,
    },
    /// The target was looked at.
    TargetSeen {
        /// The download.
        download: DownloadId,
        /// Whether nothing is there, and no part file either.
        has_nothing: bool,
    },
    /// A part file is ready, or could not be prepared.
    Opened {
        /// The download.
        download: DownloadId,
        /// What was found there.
        result: Result<Opened, DiskError>,
    },
    /// More of a download is wanted, or is here, which follows from the pieces that are stored. This is reported before
    /// the [`DiskResult::Stored`] of the last of those.
    Planned {
        /// The download.
        download: DownloadId,
        /// What is wanted or here besides what was known before.
        plan: FetchPlan,
    },
    /// The first bytes of a piece were read.
    Previewed {
        /// The download.
        download: DownloadId,
        /// The buffer that was read, which belongs to the core again.
        buffer: BufferId,
        /// What follows, if the bytes are what they seem to be. When they do not make sense, the rest of the piece is
        /// fetched as if nobody had looked.
        plan: Option<FetchPlan>,
    },
    /// A piece was checked and written, or that has failed.
    Stored {
        /// The download.
        download: DownloadId,
        /// The piece.
        piece: PieceIndex,
        /// The buffer that was read, which belongs to the core again.
        buffer: BufferId,
        /// Whether it was stored.
        result: Result<(), StoreError>,
    },
    /// The file of a download has its name, or the whole download has failed.
    Finished {
        /// The download.
        download: DownloadId,
        /// What is at the target now.
        result: Result<FinishedTarget, DiskError>,
    },
    /// The index of a content was read, or cannot be.
    IndexRead {
        /// The download.
        download: DownloadId,
        /// The folder; `None`: the content is one file.
        result: Result<Option<Arc<Collection>>, DiskError>,
    },
}

/// What a finished download has left at its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedTarget {
    /// The path of the file or the folder.
    pub path: PathBuf,
    /// What was set of the file, if the content is one file.
    pub file: FileMetadata,
    /// What of a folder has another name than in the content.
    pub renamed: Vec<RenamedEntry>,
    /// Whether all of the content is there, so that it can be served: not only the chosen files of a folder. A folder
    /// that was brought up to date is whole, although most of its pieces were never fetched.
    pub is_whole: bool,
}

/// Something in a folder that was saved under another name, because the file system cannot hold its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenamedEntry {
    /// Its path in the content.
    pub path: String,
    /// Its path in the folder that was made.
    pub saved_as: String,
}

/// Something in a folder that is not shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedEntry {
    /// Where it is.
    pub path: PathBuf,
    /// Why it is not shared.
    pub why: String,
}

/// What [`DiskRequest::Open`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The target exists and has exactly this content.
    AlreadyThere,
    /// The part file is ready.
    Ready {
        /// The pieces that are wanted, and those that are in the part file from before.
        plan: FetchPlan,
        /// The part that had to be hashed again; `None` when the journal was enough.
        hashed_again: Option<HashedAgain>,
    },
}

/// The part of a part file that had to be hashed before a download could go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashedAgain {
    /// How many bytes were hashed.
    pub bytes: u64,
    /// Why the journal was not enough.
    pub why: RecheckReason,
}

/// Why the journal of a part file is not enough to know which pieces are in that file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecheckReason {
    /// The part file has no journal.
    #[error("it has no journal")]
    NoJournal,
    /// The journal is cut off, or its checksums do not match.
    #[error("its journal is damaged")]
    Damaged,
    /// The journal does not carry the seal of this person on this host: an earlier version wrote it, the secret of the
    /// state folder is gone, or somebody else has put it there.
    #[error("its journal is not sealed by this node's state folder")]
    Unsealed,
    /// Another version of the program wrote the journal.
    #[error("its journal is of another version")]
    OtherVersion,
    /// The journal belongs to another content.
    #[error("it was begun for another content")]
    OtherContent,
    /// The part file does not have all the bytes that it should have.
    #[error("the part file is shorter than its journal says")]
    Shorter,
    /// Something else has written to the part file.
    #[error("the part file was changed since")]
    Changed,
    /// The system could not write the part file to the disk.
    #[error("writing it to the disk failed")]
    WriteFailed,
    /// Bytes that were not durable yet may have been lost with the machine's memory.
    #[error("the machine was restarted since")]
    Restarted,
}

/// Why a piece was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The bytes do not have the hash of the piece.
    #[error("the bytes do not match the piece's hash")]
    Hash,
    /// The bytes do not have the hash of the piece, and some of them were filled in by the disk. Nobody can tell whether
    /// these are wrong, or those that were fetched.
    #[error("the bytes, some of which were here already, do not match the piece's hash")]
    KnownBytes,
    /// The disk could not store the bytes.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What went wrong with a file. The program derives its exit code from it, and a person reads it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {kind}", path.display())]
pub struct DiskError {
    /// The file.
    pub path: PathBuf,
    /// What happened.
    pub kind: DiskErrorKind,
}

/// What went wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskErrorKind {
    /// There is no such file.
    #[error("no such file")]
    NotFound,
    /// The folder of the file does not exist.
    #[error("no such folder")]
    NoFolder,
    /// The path is that of a folder or of another thing that is not a file.
    #[error("not a regular file")]
    NotAFile,
    /// The system does not permit the operation.
    #[error("permission denied")]
    Permission,
    /// The file system is read-only.
    #[error("the file system is read-only")]
    ReadOnly,
    /// The disk is full.
    #[error("disk full: {needed} more bytes needed")]
    Full {
        /// How many bytes are missing.
        needed: u64,
    },
    /// Another process uses the file.
    #[error("in use by another download")]
    InUse,
    /// A file with other content exists.
    #[error("exists already, with other content")]
    ExistsOther,
    /// A folder exists, which is brought up to date only when the person asks for it.
    #[error("a folder is there, which is not replaced")]
    FolderExists,
    /// Something exists that is never replaced, even when the person asks for it.
    #[error("a folder or a symbolic link is there, and neither is replaced")]
    InTheWay,
    /// The file is not what it was when it was announced.
    #[error("changed since it was shared")]
    Changed,
    /// The name cannot be shared.
    #[error("{0}: --name gives it another")]
    Name(messages::NameError),
    /// The system generates the file while it is read.
    #[error("the system does not know how long it is: copy it to a file, and share that one")]
    UnknownLength,
    /// The name is not text.
    #[error("its name is not UTF-8: --name gives it another")]
    NameNotText,
    /// The file is longer than any content can be.
    #[error("longer than {} bytes, the longest content there can be", messages::limits::MAX_CONTENT)]
    TooLong,
    /// The file is longer than the file system allows, or than this process may write.
    #[error("file too large for this file system, or for the limit of this process (`ulimit -f`)")]
    TooLarge,
    /// No further file can be opened.
    #[error("too many files are open; `ulimit -n` says how many may be")]
    TooManyOpen,
    /// The work ended without a result, which is a defect of this program.
    #[error("internal error: the log says more")]
    Internal,
    /// What was asked for is not done, and trying again changes nothing.
    #[error("{0}")]
    Refused(String),
    /// A person stopped the work.
    #[error("stopped")]
    Cancelled,
    /// Anything else, in the system's words.
    #[error("{0}")]
    Other(String),
}
