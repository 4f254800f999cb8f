//! The commands of people to a node.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use channel::PublicKey;
use messages::{ContentId, Cursor, Digits, Name, Prefix};

use crate::ids::{DownloadId, SearchId, ShareId};

/// A person's command. Its numbers come from the caller, who must not use one twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Share a file or a folder, or several of them as one.
    Share {
        /// The number for it.
        share: ShareId,
        /// The file or the folder, or the first of several.
        path: PathBuf,
        /// The name under which it is shared.
        name: Name,
        /// What of a folder is shared, and what else.
        options: FolderOptions,
    },
    /// Stop sharing.
    Unshare {
        /// Which.
        share: ShareId,
    },
    /// Fetch a content.
    Download {
        /// The number for it.
        download: DownloadId,
        /// What is to be fetched, and how.
        order: DownloadOrder,
    },
    /// Fetch what a content is: the index of a folder, which its first pieces have, and nothing else. Nothing of it
    /// reaches a disk, and nothing is shared. The end is [`crate::Event::IndexRead`] or
    /// [`crate::Event::DownloadFailed`].
    Index {
        /// The number for it.
        download: DownloadId,
        /// The content.
        wanted: Wanted,
        /// The times for which it waits.
        timeouts: DownloadTimeouts,
    },
    /// Give a download up. Its part file is kept.
    Cancel {
        /// Which.
        download: DownloadId,
    },
    /// Ask the tracker for one page of the contents that it knows.
    Search {
        /// The number for it.
        search: SearchId,
        /// The beginning of their names.
        prefix: Prefix,
        /// Where the previous page ended.
        after: Option<Cursor>,
    },
    /// Change the limits, in bytes a second. `None` means no limit.
    Limit {
        /// The limit for all uploads together.
        upload: Option<u64>,
        /// The limit for all downloads together.
        download: Option<u64>,
    },
    /// Talk to the tracker at this address from now on: its address has become known, or has changed.
    UseTracker {
        /// The address of the tracker.
        tracker: SocketAddr,
        /// Its static public key, where that is known.
        key: Option<PublicKey>,
    },
    /// Leave the tracker with EXIT and all sessions with BYE. [`crate::Event::Left`] follows within a second.
    Leave,
}

/// What of a folder is shared, and what else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderOptions {
    /// Further files and folders that make one collection with the first: each of all these stands in it under the last
    /// part of its path. None: the file or the folder is shared as itself.
    pub also: Vec<PathBuf>,
    /// The patterns of what is left out, as in a `.gitignore` file.
    pub exclude: Vec<String>,
    /// Whether it stays untold when files were modified, and whether they may be executed.
    pub without_metadata: bool,
}

/// What is to be fetched, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadOrder {
    /// The wanted content.
    pub wanted: Wanted,
    /// The place where the file is saved.
    pub destination: Destination,
    /// What becomes of what stands there already.
    pub existing: Existing,
    /// The patterns of the files of a folder that are wanted, as in a `.gitignore` file; none: everything.
    pub select: Vec<String>,
    /// Whether pieces are fetched in the order of the content, for somebody who reads them while they arrive, rather than
    /// as the swarm is served best.
    pub sequential: bool,
    /// How what was fetched is saved.
    pub save: SaveOptions,
    /// The times for which the download waits.
    pub timeouts: DownloadTimeouts,
}

/// How what was fetched is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaveOptions {
    /// Whether files are as new ones are: neither when they were modified nor whether they may be executed is kept.
    pub without_metadata: bool,
    /// Whether names in a folder that the file system cannot hold are changed, so that it can. Such a folder cannot be
    /// served on. Without this they are an error, which comes as soon as the index of the folder is there.
    pub rename_invalid: bool,
}

/// What a download does with what stands at its destination and is another content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// What stands there stays, and the download fails.
    #[default]
    Keep,
    /// A file is replaced, once the new one is whole and verified. Anything else stays, and the download fails.
    Replace,
    /// A folder is brought up to date: what of the new version is in the folder already is not fetched, and each file
    /// that differs is replaced, once the new one is whole and verified. A file is treated as by [`Existing::Replace`].
    Update {
        /// Whether what the new version lacks is removed from the folder.
        delete: bool,
    },
}

impl Existing {
    /// Whether a file that stands there is replaced.
    #[must_use]
    pub const fn replaces_files(self) -> bool {
        !matches!(self, Existing::Keep)
    }

    /// One word for it, for logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Existing::Keep => "keep",
            Existing::Replace => "replace",
            Existing::Update { delete: false } => "update",
            Existing::Update { delete: true } => "update-and-delete",
        }
    }
}

/// What is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The content with this id.
    Content(ContentId),
    /// The content of this name. If there are several, it is the one whose id starts with these hexadecimal digits (in
    /// lower case). Without digits it is the one that clearly most hosts call so, see [`favourite`](crate::favourite).
    Name(Name, String),
    /// Of the contents of this name, the one that was last called so. Anybody can make such a content.
    Newest(Name),
    /// The content whose id begins with these digits, or whose name they are: whichever the tracker knows.
    Digits(Digits),
}

impl From<ContentId> for Wanted {
    fn from(content: ContentId) -> Wanted {
        Wanted::Content(content)
    }
}

impl From<Name> for Wanted {
    fn from(name: Name) -> Wanted {
        Wanted::Name(name, String::new())
    }
}

/// Where a download is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The file is saved under its name in this folder.
    Folder(PathBuf),
    /// The file is saved at this path.
    File(PathBuf),
}

impl Destination {
    /// The folder, or the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Destination::Folder(path) | Destination::File(path) => path,
        }
    }
}

/// The times for which a download waits before it ends without its file. `None` means for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadTimeouts {
    /// The time for the first answer of the tracker.
    pub tracker: Option<Duration>,
    /// The time for somebody to share the wanted content, counted from the tracker's first answer. With zero the
    /// download does not wait.
    pub nobody_shares: Option<Duration>,
    /// The time for new bytes to arrive, once somebody shares the content.
    pub no_progress: Option<Duration>,
    /// The time for a full disk to have room again. With zero the download does not wait.
    pub disk_full: Option<Duration>,
}

impl DownloadTimeouts {
    /// No timeouts: the download waits for ever, as at the prompt, which has reported the reason.
    pub const NONE: DownloadTimeouts =
        DownloadTimeouts { tracker: None, nobody_shares: None, no_progress: None, disk_full: None };
}
