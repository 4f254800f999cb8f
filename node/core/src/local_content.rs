//! A content that this node has in a file.

use std::sync::Arc;

use messages::node_to_tracker::{OwnEntry, Permille};
use messages::{ContentId, FileMetadata, Name, Outboard};

use crate::ids::ShareId;

/// A content of which all or a part is on this node's disk, with what is needed to serve it.
#[derive(Clone, Debug)]
pub(crate) struct LocalContent {
    /// The share under which its file is served.
    pub(crate) share: ShareId,
    pub(crate) content: ContentId,
    pub(crate) name: Name,
    pub(crate) outboard: Arc<Outboard>,
    /// What is told of the file, if the content is one file.
    pub(crate) file: FileMetadata,
}

impl LocalContent {
    /// Its length, in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.outboard.layout().length()
    }

    /// The entry that announces the content to the tracker while `permille` of it is here.
    pub(crate) fn own_entry(&self, permille: Permille) -> OwnEntry {
        let (content, length, name) = (self.content, self.length(), self.name.clone());
        OwnEntry { content, length, permille, withdrawn: false, name }
    }
}
