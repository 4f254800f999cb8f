//! A running node.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use channel::{CodeGift, PublicKey, Ticket};
use messages::tracker_to_node::Listed;
use messages::{Cursor, NodeId, Prefix};
use riffle_core::{Command, Event, OfferLimits, SearchId, Status, Wanted};
use tokio::sync::watch;

use crate::codes::{OfferError, OfferedCode};
use crate::content_index::IndexRequest;
use crate::download::DownloadRequest;
use crate::events::{Events, EventsError};
use crate::inner::Inner;
use crate::share::ShareRequest;
use crate::state::StateFolder;
use crate::tracker::{TrackerForOthers, TrackerStatus};

/// How long a node that leaves waits for the tracker to hear of that.
const LEAVE_TIME: Duration = Duration::from_millis(1500);

/// The node has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has ended")]
pub struct NodeEnded;

/// Why a tracker's contents are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The tracker does not answer.
    #[error("the tracker does not answer")]
    NoAnswer,
    /// The node has ended.
    #[error("the node has ended")]
    NodeEnded,
}

/// One page of what a tracker knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The contents, in the tracker's order.
    pub contents: Vec<Listed>,
    /// Where the next page begins; `None`: this is the last one.
    pub next: Option<Cursor>,
}

/// A running node: shares files, fetches contents, and tells what happens. Clones are the same node.
///
/// The node runs on threads of its own. It ends with [`Node::shutdown`] or [`Node::stop`], or when the last clone and
/// the last handle of a share or download are dropped.
#[derive(Clone, Debug)]
pub struct Node {
    inner: Arc<Inner>,
}

impl Node {
    pub(crate) fn new(inner: Inner) -> Node {
        Node { inner: Arc::new(inner) }
    }

    /// Who the node is, in all its lives.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.inner.key.node_id()
    }

    /// Where the node's socket is bound.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.driver.local_addr()
    }

    /// The static public key of the node's tracker, which somebody has said or which the sealed channel with it proves.
    /// `None`: nobody has said it, and the tracker is spoken to in the clear or not yet. It is what a
    /// [`Ticket`](crate::Ticket) says of the tracker.
    #[must_use]
    pub fn tracker_key(&self) -> Option<PublicKey> {
        self.inner.tracker.key()
    }

    /// The folder in which the node keeps its identity; `None`: nowhere.
    #[must_use]
    pub fn state(&self) -> Option<&StateFolder> {
        self.inner.state.as_ref()
    }

    /// What a person should know of the start, in whole sentences: nothing of it keeps the node from running.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.inner.notes
    }

    /// Shares the file or the folder at `path`, or several as one: await it for a [`Share`](crate::Share) that is hashed.
    pub fn share(&self, path: impl Into<PathBuf>) -> ShareRequest {
        ShareRequest::new(self.inner.clone(), path.into())
    }

    /// Fetches a content, by its id, its name or the beginning of its id.
    pub fn download(&self, wanted: impl Into<Wanted>) -> DownloadRequest {
        DownloadRequest::new(self.inner.clone(), wanted.into())
    }

    /// Asks what is in a content, before it is fetched: await it for the tree of a folder, or the length of a file. The
    /// first pieces of the content are fetched, as far as its index reaches, and verified against its id; nothing of it
    /// reaches a disk, and nothing is shared. What this node serves itself is answered from there.
    ///
    /// Errors are those of a download, with deadlines of their own: see [`IndexRequest::timeouts`].
    ///
    /// ```
    /// # use riffle::{EmbeddedTracker, Node, TrackerLog};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let here = tempfile::tempdir()?;
    /// # let album = here.path().join("album");
    /// # std::fs::create_dir(&album)?;
    /// # std::fs::write(album.join("one.txt"), b"1")?;
    /// # let tracker = EmbeddedTracker::start("127.0.0.1:0".parse()?, TrackerLog::none())?;
    /// # let local = || Node::builder().tracker(tracker.address().to_string()).listen(([127, 0, 0, 1], 0).into());
    /// # let owner = local().start().await?;
    /// # let content = owner.share(&album).await?.announced().await?;
    /// # let node = local().start().await?;
    /// let index = node.index(content).await?;
    /// let folder = index.folder.expect("it is a folder");
    /// assert_eq!(folder.entries()[0].path.as_str(), "one.txt");
    /// # tokio::join!(node.shutdown(), owner.shutdown());
    /// # Ok(())
    /// # }
    /// ```
    pub fn index(&self, wanted: impl Into<Wanted>) -> IndexRequest {
        IndexRequest::new(self.inner.clone(), wanted.into())
    }

    /// Asks the tracker for one page of the contents whose names start with `prefix` (empty: all), from `after` on.
    ///
    /// # Errors
    /// When the tracker does not answer, or the node has ended.
    pub async fn list(&self, prefix: Prefix, after: Option<Cursor>) -> Result<Page, ListError> {
        let mut events = self.new_events();
        let mut asked = self.search(prefix.clone(), after.clone());
        loop {
            match events.next().await {
                Ok(Event::Found { search, contents, next }) if search == asked => {
                    return Ok(Page { contents, next });
                }
                Ok(Event::SearchFailed { search }) if search == asked => return Err(ListError::NoAnswer),
                Ok(_) => {}
                // The answer may be among what was missed.
                Err(EventsError::Lagged(_)) => asked = self.search(prefix.clone(), after.clone()),
                Err(EventsError::Ended) => return Err(ListError::NodeEnded),
            }
        }
    }

    /// Asks as [`Node::list`] does and does not wait: the answer is [`Event::Found`] or [`Event::SearchFailed`] with
    /// the number that this returns.
    pub fn search(&self, prefix: Prefix, after: Option<Cursor>) -> SearchId {
        let search = self.inner.driver.new_search();
        self.inner.driver.command(Command::Search { search, prefix, after });
        search
    }

    /// Everything that happens from now on. Whoever calls this first gets what has happened since the start as well.
    #[must_use]
    pub fn events(&self) -> Events {
        let mut first = self.inner.first_events.lock().unwrap_or_else(PoisonError::into_inner);
        first.take().unwrap_or_else(|| self.new_events())
    }

    /// Everything that happens from now on.
    fn new_events(&self) -> Events {
        Events::new(self.inner.hub.follow())
    }

    /// The events that somebody who missed some must know of the shares and downloads that have handles: what they are,
    /// and how they ended.
    #[must_use]
    pub fn milestones(&self) -> Vec<Event> {
        self.inner.hub.milestones()
    }

    /// A picture of the node at this instant.
    ///
    /// # Errors
    /// When the node has ended.
    pub async fn status(&self) -> Result<Status, NodeEnded> {
        self.inner.driver.status().await.ok_or(NodeEnded)
    }

    /// What is known of the tracker, now and whenever that changes.
    #[must_use]
    pub fn tracker(&self) -> watch::Receiver<TrackerStatus> {
        self.inner.tracker.status()
    }

    /// Offers `ticket`, and the secrets of the node's swarm if that is closed, for a code: a number from the node's
    /// tracker and three words, which a person tells to a room. Needs a tokio runtime with I/O and time.
    ///
    /// ```
    /// # use riffle::{CodeNews, EmbeddedTracker, Node, NodeSettings, OfferLimits, Ticket, TrackerChoice, TrackerLog};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let here = tempfile::tempdir()?;
    /// # let film = here.path().join("film.mkv");
    /// # std::fs::write(&film, b"1")?;
    /// # let tracker = EmbeddedTracker::start("127.0.0.1:0".parse()?, TrackerLog::none())?;
    /// # let local = || Node::builder().tracker(tracker.address().to_string()).listen(([127, 0, 0, 1], 0).into());
    /// # let owner = local().start().await?;
    /// # let content = owner.share(&film).await?.announced().await?;
    /// let ticket = Ticket::new(content, tracker.address().to_string().parse()?);
    /// let mut offered = owner.offer_code(ticket.clone(), OfferLimits::default())?;
    /// let Some(CodeNews::Ready(code)) = offered.next().await else { panic!("no code") };
    /// // Elsewhere:
    /// let choice = TrackerChoice::Named(tracker.address().to_string().parse()?);
    /// let gift = riffle::redeem_code(&code, &choice, &NodeSettings::default()).await?;
    /// assert_eq!(*gift.ticket(), ticket);
    /// assert_eq!(offered.next().await, Some(CodeNews::Given(1)));
    /// # offered.withdraw().await;
    /// # owner.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn offer_code(&self, ticket: Ticket, limits: OfferLimits) -> Result<OfferedCode, OfferError> {
        let gift = CodeGift::new(ticket, Some(self.inner.tracker.secrets()));
        OfferedCode::start(self.tracker(), gift, limits)
    }

    /// How other hosts reach the node's tracker. Takes as long as a probe when the tracker is another process of this
    /// host.
    #[must_use]
    pub fn tracker_for_others(&self) -> TrackerForOthers {
        self.inner.tracker.for_others()
    }

    /// Limits all uploads together, and all downloads together, to so many bytes a second from now on; `None`: no
    /// limit.
    pub fn set_limits(&self, upload: Option<u64>, download: Option<u64>) {
        self.inner.driver.command(Command::Limit { upload, download });
    }

    /// Gives the download of that number up, as [`Download::cancel`](crate::Download::cancel) does.
    pub fn cancel(&self, download: riffle_core::DownloadId) {
        self.inner.driver.command(Command::Cancel { download });
    }

    /// Stops the share of that number, as [`Share::stop`](crate::Share::stop) does.
    pub fn unshare(&self, share: riffle_core::ShareId) {
        self.inner.driver.command(Command::Unshare { share });
    }

    /// Takes leave of the tracker and of the other nodes, saves what is kept, and ends the node: within a few seconds
    /// in any case. Downloads that are not over can be taken up again.
    pub async fn shutdown(&self) {
        let mut events = self.new_events();
        self.inner.driver.command(Command::Leave);
        let until_left = async {
            loop {
                match events.next().await {
                    Ok(Event::Left) | Err(EventsError::Ended) => return,
                    Ok(_) | Err(EventsError::Lagged(_)) => {}
                }
            }
        };
        // The tracker finds out by itself when it does not hear of it.
        let _ = tokio::time::timeout(LEAVE_TIME, until_left).await;
        let node = self.clone();
        // A panic of the node's thread was reported when it happened.
        let _ = tokio::task::spawn_blocking(move || node.stop()).await;
    }

    /// Ends the node at once, without a word to anybody, and waits a few seconds at most for its threads.
    pub fn stop(&self) {
        self.inner.driver.stop();
        self.inner.hub.close();
    }
}
