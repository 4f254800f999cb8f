//! What is in a content, before it is fetched.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use messages::collection::Collection;
use messages::{ContentId, Name};
use riffle_core::{Command, DownloadId, DownloadTimeouts, Failure, Wanted};

use crate::driver::Selection;
use crate::inner::Inner;

/// How long a question may take at most, unless its asker says otherwise.
const IN_TIME: DownloadTimeouts = DownloadTimeouts {
    tracker: Some(Duration::from_secs(5)),
    nobody_shares: Some(Duration::ZERO),
    no_progress: Some(Duration::from_secs(30)),
    disk_full: Some(Duration::ZERO),
};

/// What a content is, see [`Node::index`](crate::Node::index).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentIndex {
    /// The content.
    pub content: ContentId,
    /// What it is called.
    pub name: Name,
    /// Its length, in bytes.
    pub length: u64,
    /// What is in the folder; `None`: the content is one file.
    pub folder: Option<Arc<Collection>>,
}

/// A question what is in a content, see [`Node::index`](crate::Node::index). Awaiting it gives the answer. Whoever drops
/// the future before it is ready gives the question up.
#[derive(Debug)]
#[must_use = "nothing is asked before this is awaited"]
pub struct IndexRequest {
    inner: Arc<Inner>,
    wanted: Wanted,
    timeouts: DownloadTimeouts,
}

impl IndexRequest {
    pub(crate) fn new(inner: Arc<Inner>, wanted: Wanted) -> IndexRequest {
        IndexRequest { inner, wanted, timeouts: IN_TIME }
    }

    /// How long things may take. Without this the tracker has 5 s, a content that nobody shares is not waited for, and
    /// owners have 30 s for each step.
    pub fn timeouts(self, timeouts: DownloadTimeouts) -> IndexRequest {
        IndexRequest { timeouts, ..self }
    }
}

/// A question that is asked. Dropping it gives the question up.
struct Asked {
    inner: Arc<Inner>,
    download: DownloadId,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.inner.hub.forget_download(self.download);
        // Nothing happens when it is answered.
        self.inner.driver.command(Command::Cancel { download: self.download });
    }
}

impl IntoFuture for IndexRequest {
    type Output = Result<ContentIndex, Failure>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let IndexRequest { inner, wanted, timeouts } = self;
            let download = inner.driver.new_download();
            let mut state = inner.hub.follow_download(download);
            let asked = Asked { inner, download };
            asked.inner.driver.command(Command::Index { download, wanted, timeouts });
            let over = state.wait_for(|state| state.index.is_some() || state.end.is_some()).await;
            // The node has ended.
            let Ok(over) = over else { return Err(Failure::Cancelled) };
            match (&over.index, &over.end) {
                (Some(index), _) => Ok(index.clone()),
                (None, Some(Err(why))) => Err(why.clone()),
                (None, _) => unreachable!("nothing is fetched but the index"),
            }
        })
    }
}

/// Why some text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

/// The entries of `folder` that `patterns` name, as lines of a `.gitignore` file do: those that
/// [`DownloadRequest::select`](crate::DownloadRequest::select) fetches with the same patterns. Without patterns: all.
///
/// # Errors
/// When one is no pattern.
pub fn select(folder: &Collection, patterns: &[String]) -> Result<Collection, PatternError> {
    let selection = Selection::new(patterns).map_err(PatternError)?;
    Ok(match selection {
        Some(selection) => folder.chosen(|entry| selection.has(entry)),
        None => folder.clone(),
    })
}
