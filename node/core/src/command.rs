//! What people ask of a node.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use messages::{ContentId, Cursor, Digits, Name, Prefix};

use crate::ids::{DownloadId, SearchId, ShareId};

/// Something that a person asks for. Numbers come from the caller, who must not use one twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Share a file under its last path component.
    Share {
        /// The number for it.
        share: ShareId,
        /// The file.
        path: PathBuf,
        /// What it is called.
        name: Name,
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
        /// How, what and where to.
        order: DownloadOrder,
    },
    /// Give a download up; its part file stays.
    Cancel {
        /// Which.
        download: DownloadId,
    },
    /// Ask the tracker for one page of the contents that it knows.
    Search {
        /// The number for it.
        search: SearchId,
        /// What their names start with.
        prefix: Prefix,
        /// Where the page before ended.
        after: Option<Cursor>,
    },
    /// Change the limits, in bytes a second; `None`: no limit.
    Limit {
        /// For all uploads together.
        upload: Option<u64>,
        /// For all downloads together.
        download: Option<u64>,
    },
    /// Talk to the tracker at this address from now on: its address has become known, or has changed.
    UseTracker {
        /// Its address.
        tracker: SocketAddr,
    },
    /// Say EXIT and BYE; [`crate::Event::Left`] follows within a second.
    Leave,
}

/// What is to be fetched, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadOrder {
    /// What.
    pub wanted: Wanted,
    /// Where to.
    pub destination: Destination,
    /// Whether a file that stands there is replaced, once the new one is whole and verified.
    pub replace: bool,
    /// How long the download waits for what.
    pub timeouts: DownloadTimeouts,
}

/// What is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The content.
    Content(ContentId),
    /// The content of that name; with several of them, the one whose id starts with these hexadecimal digits (lower
    /// case; may be empty: then the one that clearly most hosts call so, see [`favourite`](crate::favourite)).
    Name(Name, String),
    /// Of the contents of that name, the one that was called so last; anybody can make one that is.
    Newest(Name),
    /// The content whose id begins with these digits, or that is called by them: whichever the tracker knows.
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
    /// Under its name in this folder.
    Folder(PathBuf),
    /// At this path.
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

/// How long a download waits for what, before it ends without its file; `None`: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadTimeouts {
    /// The time for the first answer of the tracker.
    pub tracker: Option<Duration>,
    /// The time for somebody to share what is wanted, counted from the tracker's first answer; zero: none.
    pub nobody_shares: Option<Duration>,
    /// The time for anything new to arrive, once somebody shares it.
    pub no_progress: Option<Duration>,
    /// The time for a full disk to have room again; zero: none.
    pub disk_full: Option<Duration>,
}

impl DownloadTimeouts {
    /// No timeout: the download waits for ever, as at the prompt, which has said why.
    pub const NONE: DownloadTimeouts =
        DownloadTimeouts { tracker: None, nobody_shares: None, no_progress: None, disk_full: None };
}
