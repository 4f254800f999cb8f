//! A file that a node shares, as its owner in the program holds it.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use messages::{ContentId, Name};
use riffle_core::{Command, DiskError, Event, ShareId};
use tokio::sync::watch;

use crate::node::{Inner, Node};

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
    content: Option<(ContentId, Name, u64)>,
    is_announced: bool,
    end: Option<ShareError>,
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

    #[cfg(test)]
    pub(crate) fn is_announced(&self) -> bool {
        self.is_announced
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

/// A file that is about to be shared, see [`Node::share`]. Awaiting it shares the file and gives the [`Share`] once its
/// content is known.
#[derive(Debug)]
#[must_use = "nothing is shared before this is awaited or begun"]
pub struct ShareRequest {
    node: Node,
    path: PathBuf,
    name: Option<Name>,
}

impl ShareRequest {
    pub(crate) fn new(node: Node, path: PathBuf) -> ShareRequest {
        ShareRequest { node, path, name: None }
    }

    /// Shares the file under `name` instead of the last part of its path.
    pub fn name(self, name: Name) -> ShareRequest {
        ShareRequest { name: Some(name), ..self }
    }

    /// Begins to share and does not wait until the file is hashed: [`Share::hashed`] does.
    ///
    /// # Errors
    /// When the last part of the path is no name that can be shared.
    pub fn begin(self) -> Result<Share, DiskError> {
        let name = match self.name {
            Some(name) => name,
            None => crate::names::of_path(&self.path)?,
        };
        let inner = self.node.inner().clone();
        let id = inner.driver.new_share();
        let state = inner.hub.follow_share(id);
        inner.driver.command(Command::Share { share: id, path: self.path, name: name.clone() });
        Ok(Share { handle: Arc::new(Handle { inner, id, name, state }) })
    }
}

impl IntoFuture for ShareRequest {
    type Output = Result<Share, ShareError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let share = self.begin()?;
            share.hashed().await?;
            Ok(share)
        })
    }
}

/// A file that a node shares. Dropping it changes nothing: the file is shared until [`Share::stop`] or the node's end.
#[derive(Clone, Debug)]
pub struct Share {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    inner: Arc<Inner>,
    id: ShareId,
    name: Name,
    state: watch::Receiver<ShareState>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inner.hub.forget_share(self.id);
    }
}

impl Share {
    /// The number of the share in the node's events and status.
    #[must_use]
    pub fn id(&self) -> ShareId {
        self.handle.id
    }

    /// What the file is called for others.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.handle.name
    }

    /// What the file is, once it is hashed.
    #[must_use]
    pub fn content(&self) -> Option<ContentId> {
        self.handle.state.borrow().content.as_ref().map(|(content, ..)| *content)
    }

    /// Why the file is not shared any more, if it is not.
    #[must_use]
    pub fn end(&self) -> Option<ShareError> {
        self.handle.state.borrow().end.clone()
    }

    /// Waits until the file is hashed: what it is.
    ///
    /// # Errors
    /// When the file cannot be shared, or the share or the node ended before.
    pub async fn hashed(&self) -> Result<ContentId, ShareError> {
        let state = self.wait_for(|state| state.content.is_some()).await?;
        Ok(state.content.expect("it was waited for").0)
    }

    /// Waits until the tracker knows of the file, so that others find it.
    ///
    /// # Errors
    /// As [`Share::hashed`].
    pub async fn announced(&self) -> Result<ContentId, ShareError> {
        let state = self.wait_for(|state| state.is_announced).await?;
        Ok(state.content.expect("only a content can be announced").0)
    }

    async fn wait_for(&self, is_there: impl Fn(&ShareState) -> bool) -> Result<ShareState, ShareError> {
        let mut state = self.handle.state.clone();
        let found = state.wait_for(|state| state.end.is_some() || is_there(state)).await;
        let found = found.map_err(|_| ShareError::NodeEnded)?.clone();
        found.end.clone().map_or(Ok(found), Err)
    }

    /// Stops sharing. The file stays as it is.
    pub fn stop(&self) {
        self.handle.inner.driver.command(Command::Unshare { share: self.handle.id });
    }
}
