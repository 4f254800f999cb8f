//! A file that a node shares, as its owner in the program holds it.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use messages::{ContentId, Name};
use riffle_core::{Command, DiskError, FolderOptions, ShareId};
use tokio::sync::watch;

use crate::inner::Inner;
use crate::names::members_of_paths;
use crate::share_state::{ShareError, ShareState};

/// A file or a folder that is about to be shared, see [`Node::share`](crate::Node::share). Awaiting it shares the file and gives
/// the [`Share`] once its content is known.
#[derive(Debug)]
#[must_use = "nothing is shared before this is awaited or begun"]
pub struct ShareRequest {
    inner: Arc<Inner>,
    path: PathBuf,
    name: Option<Name>,
    options: FolderOptions,
}

impl ShareRequest {
    pub(crate) fn new(inner: Arc<Inner>, path: PathBuf) -> ShareRequest {
        ShareRequest { inner, path, name: None, options: FolderOptions::default() }
    }

    /// Shares it under `name` instead of the last part of its path.
    pub fn name(self, name: Name) -> ShareRequest {
        ShareRequest { name: Some(name), ..self }
    }

    /// Shares what is at `path` with it, as one collection, in which each stands under the last part of its path. May be
    /// called again.
    pub fn also(mut self, path: impl Into<PathBuf>) -> ShareRequest {
        self.options.also.push(path.into());
        self
    }

    /// Leaves out of a folder what `patterns` name, as lines of a `.gitignore` file do. What a file `.riffleignore` in a
    /// folder names is left out too.
    pub fn exclude(mut self, patterns: impl IntoIterator<Item = String>) -> ShareRequest {
        self.options.exclude.extend(patterns);
        self
    }

    /// Does not tell when the file, or the files of a folder, were modified, nor which of them may be executed.
    pub fn without_metadata(mut self) -> ShareRequest {
        self.options.without_metadata = true;
        self
    }

    /// Begins to share and does not wait until the file is hashed: [`Share::hashed`] does.
    ///
    /// # Errors
    /// When the last part of the path is no name that can be shared, or two of several paths have the same.
    pub fn begin(self) -> Result<Share, DiskError> {
        if !self.options.also.is_empty() {
            let also = self.options.also.iter().map(PathBuf::as_path);
            members_of_paths(std::iter::once(&*self.path).chain(also))?;
        }
        let name = match self.name {
            Some(name) => name,
            None => crate::names::name_of_path(&self.path)?,
        };
        let inner = self.inner;
        let id = inner.driver.new_share();
        let state = inner.hub.follow_share(id, name.clone());
        inner.driver.command(Command::Share {
            share: id,
            path: self.path,
            name: name.clone(),
            options: self.options,
        });
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

    /// The node's other shares that this one is a new version of: they began before it, have its name, and are not
    /// known to have its content. [`Node::unshare`](crate::Node::unshare) takes them back.
    #[must_use]
    pub fn earlier_versions(&self) -> Vec<ShareId> {
        self.handle.inner.hub.earlier_versions(self.handle.id)
    }

    /// Stops sharing. The file stays as it is.
    pub fn stop(&self) {
        self.handle.inner.driver.command(Command::Unshare { share: self.handle.id });
    }
}
