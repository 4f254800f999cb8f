//! What was asked for: the numbers of a download, and a person's order. None of it changes.

use std::path::PathBuf;

use messages::node_to_tracker::Query;
use messages::tracker_to_node::Listed;
use messages::{ContentId, Name, Timestamp};

use crate::command::{Destination, DownloadOrder, Wanted};
use crate::ids::{DownloadId, ShareId};
use crate::query::ask_for;

/// One order.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) download: DownloadId,
    /// The number under which the file will be served.
    pub(super) share: ShareId,
    pub(super) began: Timestamp,
    pub(super) request: DownloadOrder,
}

impl Order {
    /// The content, where the order names it by its whole id.
    pub(super) fn content(&self) -> Option<ContentId> {
        match &self.request.wanted {
            Wanted::Content(content) => Some(*content),
            Wanted::Name(..) | Wanted::Newest(_) | Wanted::Digits(_) => None,
        }
    }

    /// What is asked for, as a person typed it.
    pub(super) fn label(&self) -> String {
        match &self.request.wanted {
            Wanted::Content(content) => content.short(),
            Wanted::Name(name, _) | Wanted::Newest(name) => name.to_string(),
            Wanted::Digits(digits) => digits.to_string(),
        }
    }

    /// The question to the tracker while the content is not known.
    pub(super) fn query(&self) -> Query {
        ask_for(&self.request.wanted)
    }

    /// What the file of `chosen` is called.
    pub(super) fn name_of(&self, chosen: &Listed) -> Name {
        match &self.request.wanted {
            Wanted::Name(name, _) | Wanted::Newest(name) => name.clone(),
            // By whatever name most hosts know it, it is called so by somebody.
            Wanted::Digits(digits) if !digits.begin(chosen.content) => {
                Name::new(digits.as_str()).unwrap_or_else(|_| chosen.name.clone())
            }
            Wanted::Digits(_) | Wanted::Content(_) => chosen.name.clone(),
        }
    }

    /// Where the finished file will be, if it is called `name`.
    pub(super) fn target(&self, name: &str) -> PathBuf {
        match &self.request.destination {
            Destination::Folder(folder) => folder.join(name),
            Destination::File(file) => file.clone(),
        }
    }
}
