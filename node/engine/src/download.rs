//! A content that a node fetches, as its owner in the program holds it.

use std::path::PathBuf;
use std::sync::Arc;

use messages::ContentId;
use riffle_core::{
    Command, Destination, DownloadId, DownloadOrder, DownloadTimeouts, Existing, Failure, SaveOptions, Wanted,
};
use tokio::sync::watch;

use crate::download_reader::DownloadReader;
use crate::download_state::{DownloadState, Finished, Progress};
use crate::driver::Part;
use crate::inner::Inner;

/// A download that is about to begin, see [`Node::download`](crate::Node::download).
#[derive(Debug)]
#[must_use = "nothing is fetched before this is started"]
pub struct DownloadRequest {
    inner: Arc<Inner>,
    wanted: Wanted,
    destination: Option<Destination>,
    existing: Existing,
    select: Vec<String>,
    sequential: bool,
    save: SaveOptions,
    timeouts: DownloadTimeouts,
}

impl DownloadRequest {
    pub(crate) fn new(inner: Arc<Inner>, wanted: Wanted) -> DownloadRequest {
        let (select, timeouts) = (Vec::new(), DownloadTimeouts::NONE);
        let (destination, existing, sequential) = (None, Existing::Keep, false);
        let save = SaveOptions::default();
        DownloadRequest { inner, wanted, destination, existing, select, sequential, save, timeouts }
    }

    /// Saves the file under its own name in `folder`, which must be there. Without a destination it is saved in the
    /// current folder.
    pub fn into_dir(self, folder: impl Into<PathBuf>) -> DownloadRequest {
        self.to(Destination::Folder(folder.into()))
    }

    /// Saves the file at `path`.
    pub fn into_file(self, path: impl Into<PathBuf>) -> DownloadRequest {
        self.to(Destination::File(path.into()))
    }

    /// Saves the file there.
    pub fn to(self, destination: Destination) -> DownloadRequest {
        DownloadRequest { destination: Some(destination), ..self }
    }

    /// Whether a file that stands there is replaced once the new one is whole and verified. Without this such a file
    /// with other content is an error and stays.
    pub fn replace(self, replace: bool) -> DownloadRequest {
        DownloadRequest { existing: if replace { Existing::Replace } else { Existing::Keep }, ..self }
    }

    /// Brings a folder that stands there up to date: what of it is the same already is not fetched, and each file that
    /// differs is replaced once the new one is whole and verified. What the new version lacks stays, unless `delete`. A
    /// file that stands there is replaced.
    pub fn update(self, delete: bool) -> DownloadRequest {
        DownloadRequest { existing: Existing::Update { delete }, ..self }
    }

    /// Fetches of a folder the files alone that `patterns` name, as lines of a `.gitignore` file do. Nobody is served from
    /// such a folder.
    pub fn select(mut self, patterns: impl IntoIterator<Item = String>) -> DownloadRequest {
        self.select.extend(patterns);
        self
    }

    /// Fetches the pieces in the order of the content, for somebody who reads them while they arrive. It is slower where
    /// many fetch the same, since all of them lack the same pieces.
    pub fn sequential(self) -> DownloadRequest {
        DownloadRequest { sequential: true, ..self }
    }

    /// Saves files as new ones are: neither when they were modified is kept, nor whether they may be executed.
    pub fn without_metadata(mut self) -> DownloadRequest {
        self.save.without_metadata = true;
        self
    }

    /// Changes names in a folder that the file system cannot hold, so that it can. Nobody is served from such a folder.
    /// Without this such names are an error, which comes as soon as it is known what is in the folder.
    pub fn rename_invalid(mut self) -> DownloadRequest {
        self.save.rename_invalid = true;
        self
    }

    /// How long things may take. Without this the download waits for ever.
    pub fn timeouts(self, timeouts: DownloadTimeouts) -> DownloadRequest {
        DownloadRequest { timeouts, ..self }
    }

    /// Begins to fetch.
    pub fn start(self) -> Download {
        let inner = self.inner;
        let id = inner.driver.new_download();
        let state = inner.hub.follow_download(id);
        let order = DownloadOrder {
            wanted: self.wanted,
            destination: self.destination.unwrap_or_else(|| Destination::Folder(".".into())),
            existing: self.existing,
            select: self.select,
            save: self.save,
            sequential: self.sequential,
            timeouts: self.timeouts,
        };
        inner.driver.command(Command::Download { download: id, order });
        Download { handle: Arc::new(Handle { inner, id, state }) }
    }
}

/// A content that a node fetches. Dropping it changes nothing: the download goes on until it is over or
/// [cancelled](Download::cancel).
#[derive(Clone, Debug)]
pub struct Download {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    inner: Arc<Inner>,
    id: DownloadId,
    state: watch::Receiver<DownloadState>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inner.hub.forget_download(self.id);
    }
}

impl Download {
    /// The number of the download in the node's events and status.
    #[must_use]
    pub fn id(&self) -> DownloadId {
        self.handle.id
    }

    /// What is fetched, once that is known.
    #[must_use]
    pub fn content(&self) -> Option<ContentId> {
        self.handle.state.borrow().content
    }

    /// How the download ended, if it is over.
    #[must_use]
    pub fn end(&self) -> Option<Result<Finished, Failure>> {
        self.handle.state.borrow().end.clone()
    }

    /// How far the download is, now and whenever that changes: always the latest, never a queue.
    #[must_use]
    pub fn progress(&self) -> ProgressUpdates {
        let mut state = self.handle.state.clone();
        state.mark_changed();
        ProgressUpdates { state, is_over: false }
    }

    /// Waits until the download is over.
    ///
    /// # Errors
    /// Why there is no file. [`Failure::Cancelled`] too when the node ended before.
    pub async fn finished(&self) -> Result<Finished, Failure> {
        let mut state = self.handle.state.clone();
        let over = state.wait_for(|state| state.end.is_some()).await;
        let Ok(over) = over else { return Err(Failure::Cancelled) };
        over.end.clone().expect("it was waited for")
    }

    /// Reads the content from its beginning while it arrives, verified bytes only. It is soonest useful when the pieces
    /// come [in order](DownloadRequest::sequential). A reader does not hold the download up: what it has not read yet
    /// waits on the disk.
    ///
    /// ```
    /// # use riffle::{EmbeddedTracker, Node, TrackerLog};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let here = tempfile::tempdir()?;
    /// # let film = here.path().join("film.mkv");
    /// # std::fs::write(&film, vec![7; 3 << 20])?;
    /// # let tracker = EmbeddedTracker::start("127.0.0.1:0".parse()?, TrackerLog::none())?;
    /// # let local = || Node::builder().tracker(tracker.address().to_string()).listen(([127, 0, 0, 1], 0).into());
    /// # let owner = local().start().await?;
    /// # let content = owner.share(&film).await?.announced().await?;
    /// # let node = local().start().await?;
    /// # let saved = here.path().join("saved.mkv");
    /// let mut reader = node.download(content).into_file(&saved).sequential().start().reader();
    /// let mut length = 0;
    /// loop {
    ///     let bytes = reader.read().await?;
    ///     if bytes.is_empty() {
    ///         break;
    ///     }
    ///     length += bytes.len();
    /// }
    /// assert_eq!(length, 3 << 20);
    /// # tokio::join!(node.shutdown(), owner.shutdown());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn reader(&self) -> DownloadReader {
        DownloadReader::new(self.clone(), self.handle.state.clone())
    }

    pub(crate) async fn part(&self) -> Option<Arc<Part>> {
        self.handle.inner.driver.part_of(self.handle.id).await
    }

    /// Gives the download up. What is verified stays, and the same download goes on with it.
    pub fn cancel(&self) {
        self.handle.inner.driver.command(Command::Cancel { download: self.handle.id });
    }
}

/// How far a download is, see [`Download::progress`].
#[derive(Debug)]
pub struct ProgressUpdates {
    state: watch::Receiver<DownloadState>,
    is_over: bool,
}

impl ProgressUpdates {
    /// Waits until the progress is another than the last that was given; the first is given at once. `None` once the
    /// download is over and its last progress was given, or the node has ended.
    pub async fn next(&mut self) -> Option<Progress> {
        if self.is_over {
            return None;
        }
        self.state.changed().await.ok()?;
        let state = self.state.borrow_and_update();
        self.is_over = state.end.is_some();
        Some(state.progress.clone())
    }
}
