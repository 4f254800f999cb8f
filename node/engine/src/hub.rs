//! Where the node's events go: to those who follow them all, and to the handles of the shares and downloads that they
//! are about.
//!
//! The network thread publishes; it never waits for anybody.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use messages::{ContentId, Name};
use riffle_core::{DownloadId, Event, ShareId};
use tokio::sync::{broadcast, watch};

use crate::download_state::DownloadState;
use crate::share_index::ShareIndex;
use crate::share_state::ShareState;

/// The number of events that wait for a follower before the follower misses the oldest.
const CAPACITY: usize = 16_384;

/// The shares and downloads that have a handle, and all shares of the node.
#[derive(Debug, Default)]
struct Followed {
    /// The node has ended: nothing happens to what is asked of it from now on, and nobody waits for that.
    has_ended: bool,
    shares: BTreeMap<ShareId, watch::Sender<ShareState>>,
    downloads: BTreeMap<DownloadId, watch::Sender<DownloadState>>,
    index: ShareIndex,
}

impl Followed {
    /// Takes in an event about `share`. Returns the other shares that the tracker knows from now on, with their
    /// content.
    fn on_share_event(&mut self, share: ShareId, event: &Event) -> Vec<(ShareId, ContentId)> {
        if let Some(state) = self.shares.get(&share) {
            state.send_if_modified(|state| state.on_event(event));
        }
        let also = self.index.on_event(event);
        let (Event::Shared { content, .. } | Event::Announced { content, .. }) = event else {
            return Vec::new();
        };
        let about = matches!(event, Event::Announced { .. }).then_some(share);
        for state in about.iter().chain(&also).filter_map(|share| self.shares.get(share)) {
            state.send_if_modified(|state| state.on_announced(*content));
        }
        also.into_iter().map(|share| (share, *content)).collect()
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

    /// What happens from now on to `share`, which begins under `name`.
    pub(crate) fn follow_share(&self, share: ShareId, name: Name) -> watch::Receiver<ShareState> {
        let (sender, receiver) = watch::channel(ShareState::default());
        let mut followed = locked(&self.followed);
        if !followed.has_ended {
            followed.index.insert(share, name);
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

    /// Takes in that the last handle of `share` is dropped.
    pub(crate) fn forget_share(&self, share: ShareId) {
        locked(&self.followed).shares.remove(&share);
    }

    /// Takes in that the last handle of `download` is dropped.
    pub(crate) fn forget_download(&self, download: DownloadId) {
        locked(&self.followed).downloads.remove(&download);
    }

    /// Something has happened. The node announces a content for one of its shares; here each of them has an
    /// [`Event::Announced`] of its own.
    pub(crate) fn publish(&self, event: Event) {
        let mut also = Vec::new();
        // What is about neither, such as each burst that is sent, takes no lock but the followers'.
        if let Some(share) = share_of(&event) {
            also = locked(&self.followed).on_share_event(share, &event);
        } else if let Some(download) = download_of(&event)
            && let Some(state) = locked(&self.followed).downloads.get(&download)
        {
            let now = Instant::now();
            state.send_if_modified(|state| state.on_event(&event, now));
        }
        if let Some(sender) = &*locked(&self.sender) {
            let also = also.into_iter().map(|(share, content)| Event::Announced { share, content });
            for event in std::iter::once(event).chain(also) {
                // There may be no follower.
                let _ = sender.send(event);
            }
        }
    }

    /// See [`Share::earlier_versions`](crate::Share::earlier_versions).
    pub(crate) fn earlier_versions(&self, share: ShareId) -> Vec<ShareId> {
        locked(&self.followed).index.earlier_versions(share)
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
        | Event::Skipped { share, .. }
        | Event::Shared { share, .. }
        | Event::Announced { share, .. }
        | Event::ShareFailed { share, .. }
        | Event::FilesWithdrawn { share, .. }
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
        | Event::DownloadRenamed { download, .. }
        | Event::DownloadDone { download, .. }
        | Event::IndexRead { download, .. }
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
    fn each_share_of_a_content_is_announced() {
        let hub = Hub::new();
        let mut events = hub.follow();
        let content = ContentId::from_bytes([7; 32]);
        let name = Name::new("f").expect("a name");
        let follow = |share| hub.follow_share(ShareId(share), name.clone());
        let shared = |share| Event::Shared { share: ShareId(share), content, name: name.clone(), length: 3 };
        let announced = |share| Event::Announced { share: ShareId(share), content };
        let mut seen = || std::iter::from_fn(|| events.try_recv().ok()).collect::<Vec<_>>();
        let states = [1, 2].map(follow);
        for share in [1, 2] {
            hub.publish(shared(share));
        }
        hub.publish(announced(1));
        assert!(states.iter().all(|state| state.borrow().is_announced));
        assert_eq!(seen(), [shared(1), shared(2), announced(1), announced(2)]);
        assert_eq!(hub.milestones().len(), 4);
        // The tracker is not told again of what it knows.
        let third = follow(3);
        hub.publish(shared(3));
        assert!(third.borrow().is_announced);
        assert_eq!(seen(), [shared(3), announced(3)]);
        for share in [1, 2, 3].map(ShareId) {
            hub.publish(Event::Unshared { share, content });
        }
        let fourth = follow(4);
        hub.publish(shared(4));
        assert!(!fourth.borrow().is_announced, "the tracker has yet to hear of it");
    }
}
