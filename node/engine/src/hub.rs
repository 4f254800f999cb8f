//! Where the node's events go: to those who follow them all, and to the handles of the shares and downloads that they are
//! about.
//!
//! The network thread publishes; it never waits for anybody.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use messages::ContentId;
use riffle_core::{DownloadId, Event, ShareId};
use tokio::sync::{broadcast, watch};

use crate::download_state::DownloadState;
use crate::share_state::ShareState;

/// So many events wait for a follower before it misses the oldest.
const CAPACITY: usize = 16_384;

/// The shares and downloads that somebody has a handle of, and which shares are of one content.
#[derive(Debug, Default)]
struct Followed {
    /// The node has ended: nothing happens to what is asked of it from now on, and nobody waits for that.
    has_ended: bool,
    shares: BTreeMap<ShareId, watch::Sender<ShareState>>,
    downloads: BTreeMap<DownloadId, watch::Sender<DownloadState>>,
    /// All contents that the node shares, with and without handles: a content is announced once, however many shares of
    /// it there are.
    contents: BTreeMap<ContentId, SharedContent>,
}

/// The shares of one content.
#[derive(Debug, Default)]
struct SharedContent {
    shares: BTreeSet<ShareId>,
    is_announced: bool,
}

impl Followed {
    fn on_share_event(&mut self, share: ShareId, event: &Event) {
        if let Some(state) = self.shares.get(&share) {
            state.send_if_modified(|state| state.on_event(event));
        }
        let content = match event {
            Event::Shared { content, .. } => {
                self.contents.entry(*content).or_default().shares.insert(share);
                *content
            }
            Event::Announced { content, .. } => {
                self.contents.entry(*content).or_default().is_announced = true;
                *content
            }
            Event::Unshared { content, .. } => {
                if let Entry::Occupied(mut entry) = self.contents.entry(*content) {
                    entry.get_mut().shares.remove(&share);
                    if entry.get().shares.is_empty() {
                        entry.remove();
                    }
                }
                return;
            }
            _ => return,
        };
        let SharedContent { shares, is_announced } = &self.contents[&content];
        if *is_announced {
            for state in shares.iter().filter_map(|share| self.shares.get(share)) {
                state.send_if_modified(|state| state.on_announced(content));
            }
        }
    }
}

/// Hands events on. Ends its followers when it is closed.
#[derive(Debug)]
pub(crate) struct Hub {
    followed: Mutex<Followed>,
    /// `None`: the node has ended.
    sender: Mutex<Option<broadcast::Sender<Event>>>,
}

impl Hub {
    pub(crate) fn new() -> Hub {
        Hub { followed: Mutex::default(), sender: Mutex::new(Some(broadcast::Sender::new(CAPACITY))) }
    }

    /// All events from now on.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Event> {
        match &*locked(&self.sender) {
            Some(sender) => sender.subscribe(),
            // Of a node that has ended there are none.
            None => broadcast::channel(1).1,
        }
    }

    /// What happens to `share` from now on.
    pub(crate) fn follow_share(&self, share: ShareId) -> watch::Receiver<ShareState> {
        let (sender, receiver) = watch::channel(ShareState::default());
        let mut followed = locked(&self.followed);
        if !followed.has_ended {
            followed.shares.insert(share, sender);
        }
        receiver
    }

    /// What happens to `download` from now on.
    pub(crate) fn follow_download(&self, download: DownloadId) -> watch::Receiver<DownloadState> {
        let (sender, receiver) = watch::channel(DownloadState::default());
        let mut followed = locked(&self.followed);
        if !followed.has_ended {
            followed.downloads.insert(download, sender);
        }
        receiver
    }

    /// Nobody has a handle of `share` any more.
    pub(crate) fn forget_share(&self, share: ShareId) {
        locked(&self.followed).shares.remove(&share);
    }

    /// Nobody has a handle of `download` any more.
    pub(crate) fn forget_download(&self, download: DownloadId) {
        locked(&self.followed).downloads.remove(&download);
    }

    /// Something has happened.
    pub(crate) fn publish(&self, event: Event) {
        // What is about neither, such as each burst that is sent, takes no lock but the followers'.
        if let Some(share) = share_of(&event) {
            locked(&self.followed).on_share_event(share, &event);
        } else if let Some(download) = download_of(&event)
            && let Some(state) = locked(&self.followed).downloads.get(&download)
        {
            let now = Instant::now();
            state.send_if_modified(|state| state.on_event(&event, now));
        }
        if let Some(sender) = &*locked(&self.sender) {
            // Nobody may be following.
            let _ = sender.send(event);
        }
    }

    /// The node has ended: nobody waits for anything any more.
    pub(crate) fn close(&self) {
        locked(&self.sender).take();
        *locked(&self.followed) = Followed { has_ended: true, ..Followed::default() };
    }

    /// What somebody who missed events must know of the shares and downloads that have handles.
    pub(crate) fn milestones(&self) -> Vec<Event> {
        let followed = locked(&self.followed);
        let shares = followed.shares.iter().flat_map(|(&share, state)| state.borrow().milestones(share));
        let downloads =
            followed.downloads.iter().flat_map(|(&download, state)| state.borrow().milestones(download));
        shares.chain(downloads).collect()
    }
}

/// A thread that panicked while it held the lock has left nothing half done that others could not live with.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn share_of(event: &Event) -> Option<ShareId> {
    match event {
        Event::Hashing { share, .. }
        | Event::Shared { share, .. }
        | Event::Announced { share, .. }
        | Event::ShareFailed { share, .. }
        | Event::Unshared { share, .. } => Some(*share),
        _ => None,
    }
}

fn download_of(event: &Event) -> Option<DownloadId> {
    match event {
        Event::DownloadIdentified { download, .. }
        | Event::DownloadResumed { download, .. }
        | Event::DownloadWaits { download, .. }
        | Event::OwnerReady { download, .. }
        | Event::OwnerLost { download, .. }
        | Event::PieceVerified { download, .. }
        | Event::DownloadDone { download, .. }
        | Event::DownloadFailed { download, .. } => Some(*download),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_too_late_is_told_how_much_was_missed() {
        let hub = Hub::new();
        let mut events = crate::Events::new(hub.follow());
        for _ in 0..CAPACITY + 7 {
            hub.publish(Event::Left);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        assert_eq!(runtime.block_on(events.next()), Err(crate::EventsError::Lagged(7)));
        assert_eq!(runtime.block_on(events.next()), Ok(Event::Left));
        hub.close();
        let rest = std::iter::from_fn(|| Some(runtime.block_on(events.next())));
        assert_eq!(rest.take_while(Result::is_ok).count(), CAPACITY - 1);
        assert_eq!(runtime.block_on(events.next()), Err(crate::EventsError::Ended));
    }

    #[test]
    fn two_shares_of_one_content_are_announced_together() {
        let hub = Hub::new();
        let content = ContentId::from_bytes([7; 32]);
        let name = messages::Name::new("f").expect("a name");
        let states = [1, 2].map(|share| hub.follow_share(ShareId(share)));
        for share in [1, 2].map(ShareId) {
            hub.publish(Event::Shared { share, content, name: name.clone(), length: 3 });
        }
        hub.publish(Event::Announced { share: ShareId(1), content });
        assert!(states.iter().all(|state| state.borrow().is_announced));
        assert_eq!(hub.milestones().len(), 4);
        // The tracker is not told again of what it knows.
        let third = hub.follow_share(ShareId(3));
        hub.publish(Event::Shared { share: ShareId(3), content, name: name.clone(), length: 3 });
        assert!(third.borrow().is_announced);
        for share in [1, 2, 3].map(ShareId) {
            hub.publish(Event::Unshared { share, content });
        }
        let fourth = hub.follow_share(ShareId(4));
        hub.publish(Event::Shared { share: ShareId(4), content, name, length: 3 });
        assert!(!fourth.borrow().is_announced, "the tracker has yet to hear of it");
    }
}
