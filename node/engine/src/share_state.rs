//! How far a share is, and what can become of it.

use messages::{ContentId, Name};
use riffle_core::{DiskError, Event, ShareId};

/// Why a file is not shared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// The file cannot be read, is no regular file, or has a name that cannot be shared.
    #[error(transparent)]
    File(#[from] DiskError),
    /// The share was stopped.
    #[error("the share was stopped")]
    Stopped,
    /// The node has ended.
    #[error("the node has ended")]
    NodeEnded,
}

/// How far a share is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShareState {
    pub(crate) content: Option<(ContentId, Name, u64)>,
    pub(crate) is_announced: bool,
    pub(crate) end: Option<ShareError>,
}

impl ShareState {
    /// Whether that changed anything.
    pub(crate) fn on_event(&mut self, event: &Event) -> bool {
        match event {
            Event::Shared { content, name, length, .. } => {
                self.content = Some((*content, name.clone(), *length));
            }
            Event::ShareFailed { error, .. } => self.end = Some(ShareError::File(error.clone())),
            Event::Unshared { .. } => self.end = self.end.take().or(Some(ShareError::Stopped)),
            _ => return false,
        }
        true
    }

    /// The tracker knows that `content` is here. Whether that changed anything.
    pub(crate) fn on_announced(&mut self, content: ContentId) -> bool {
        let is_it = self.content.as_ref().is_some_and(|(own, ..)| *own == content);
        is_it && !std::mem::replace(&mut self.is_announced, true)
    }

    /// The events that somebody must know who has missed all of them.
    pub(crate) fn milestones(&self, share: ShareId) -> Vec<Event> {
        let shared = self.content.iter().map(|(content, name, length)| Event::Shared {
            share,
            content: *content,
            name: name.clone(),
            length: *length,
        });
        let announced = self.content.iter().filter(|_| self.is_announced);
        let announced = announced.map(|&(content, ..)| Event::Announced { share, content });
        let failed = self.end.iter().filter_map(|end| match end {
            ShareError::File(error) => Some(Event::ShareFailed { share, error: error.clone() }),
            ShareError::Stopped | ShareError::NodeEnded => None,
        });
        shared.chain(announced).chain(failed).collect()
    }
}
