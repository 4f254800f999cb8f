//! The order of a download: what a person asked for, and the download's numbers. None of it changes.

use std::path::PathBuf;

use messages::node_to_tracker::Query;
use messages::tracker_to_node::Listed;
use messages::{ContentId, Name, Timestamp};

use crate::command::{Destination, DownloadOrder, Wanted};
use crate::ids::{DownloadId, ShareId};
use crate::query::ask_for;

/// What a download is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The content is to be at its target.
    Content,
    /// A person wants to know what is in the content: the index of a folder is fetched, and nothing is kept.
    Index,
}

/// One order for a download.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) download: DownloadId,
    pub(super) purpose: Purpose,
    /// The share under which the file will be served.
    pub(super) share: ShareId,
    pub(super) began: Timestamp,
    pub(super) request: DownloadOrder,
}

impl Order {
    /// The content, if the order names it by its whole id.
    pub(super) fn content(&self) -> Option<ContentId> {
        match &self.request.wanted {
            Wanted::Content(content) => Some(*content),
            Wanted::Name(..) | Wanted::Newest(_) | Wanted::Digits(_) => None,
        }
    }

    /// The wanted content, as a person has typed it.
    pub(super) fn label(&self) -> String {
        match &self.request.wanted {
            Wanted::Content(content) => content.short(),
            Wanted::Name(name, _) | Wanted::Newest(name) => name.to_string(),
            Wanted::Digits(digits) => digits.to_string(),
        }
    }

    /// The question to the tracker, while the content is not known.
    pub(super) fn query(&self) -> Query {
        ask_for(&self.request.wanted)
    }

    /// The name of the file of `chosen`.
    pub(super) fn name_of(&self, chosen: &Listed) -> Name {
        match &self.request.wanted {
            Wanted::Name(name, _) | Wanted::Newest(name) => name.clone(),
            // Somebody shares the content under the typed name, whatever most hosts call it.
            Wanted::Digits(digits) if !digits.begin(chosen.content) => {
                Name::new(digits.as_str()).unwrap_or_else(|_| chosen.name.clone())
            }
            Wanted::Digits(_) | Wanted::Content(_) => chosen.name.clone(),
        }
    }

    /// The path of the finished file, if its name is `name`.
    pub(super) fn target(&self, name: &str) -> PathBuf {
        match &self.request.destination {
            Destination::Folder(folder) => folder.join(name),
            Destination::File(file) => file.clone(),
        }
    }
}
