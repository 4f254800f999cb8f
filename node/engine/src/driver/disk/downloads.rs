//! Where each download stands on the disk: so many have their files open at the same time, the others wait in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use riffle_core::{DownloadId, ShareId};

use super::hash::scan::StopFlag;
use super::part::Part;
use super::part::open::OpenRequest;

/// The state of the files of one download.
pub(crate) enum DownloadState {
    /// Too many others are open.
    Waiting(Box<OpenRequest>),
    /// A worker opens its files; the flag stops that.
    Opening(StopFlag),
    /// Its part file is open.
    Open {
        /// The number under which the part file is served.
        share: ShareId,
        /// The part file.
        part: Arc<Part>,
    },
}

impl DownloadState {
    /// Whether files are open for it, or about to be.
    fn is_open(&self) -> bool {
        matches!(self, DownloadState::Opening(_) | DownloadState::Open { .. })
    }
}

/// The downloads of one node. Each that is open or being opened counts, whatever changes.
pub(crate) struct Downloads {
    states: BTreeMap<DownloadId, DownloadState>,
    /// Those that wait, in the order in which they were asked for, and some that are over by now.
    waiting: VecDeque<DownloadId>,
    /// How many are open or being opened.
    open: usize,
    max_open: usize,
}

impl Default for Downloads {
    fn default() -> Downloads {
        Downloads { states: BTreeMap::new(), waiting: VecDeque::new(), open: 0, max_open: usize::MAX }
    }
}

impl Downloads {
    /// No more than `max_open` are open at the same time, and one in any case.
    pub(crate) fn limit(&mut self, max_open: usize) {
        self.max_open = max_open.max(1);
    }

    /// Takes one more, which waits for its turn.
    pub(crate) fn add(&mut self, request: OpenRequest) {
        let download = request.download;
        self.insert(download, DownloadState::Waiting(Box::new(request)));
        self.waiting.push_back(download);
    }

    /// The next to open, which is being opened from then on: when so many may be open.
    pub(crate) fn next_to_open(&mut self) -> Option<OpenRequest> {
        while self.open < self.max_open {
            let download = self.waiting.pop_front()?;
            match self.remove(download) {
                Some(DownloadState::Waiting(request)) => {
                    self.insert(download, DownloadState::Opening(request.stop.clone()));
                    return Some(*request);
                }
                // The entry in the queue is of a request before.
                Some(state) => self.insert(download, state),
                None => {}
            }
        }
        None
    }

    /// The download was opened and has a part file.
    pub(crate) fn insert_open(&mut self, download: DownloadId, share: ShareId, part: Arc<Part>) {
        self.insert(download, DownloadState::Open { share, part });
    }

    fn insert(&mut self, download: DownloadId, state: DownloadState) {
        self.open += usize::from(state.is_open());
        let before = self.states.insert(download, state);
        self.open -= usize::from(before.is_some_and(|before| before.is_open()));
    }

    /// Removes a download.
    pub(crate) fn remove(&mut self, download: DownloadId) -> Option<DownloadState> {
        let state = self.states.remove(&download)?;
        self.open -= usize::from(state.is_open());
        Some(state)
    }

    /// The part file of a download, and the number under which it is served, while it is open.
    pub(crate) fn part(&self, download: DownloadId) -> Option<(ShareId, &Arc<Part>)> {
        match self.states.get(&download)? {
            DownloadState::Open { share, part } => Some((*share, part)),
            DownloadState::Waiting(_) | DownloadState::Opening(_) => None,
        }
    }

    /// All part files that are open.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Arc<Part>> {
        self.states.keys().filter_map(|download| self.part(*download)).map(|(_, part)| part)
    }

    /// Ends all downloads.
    pub(crate) fn stop(&mut self) {
        while let Some((_, state)) = self.states.pop_first() {
            match state {
                DownloadState::Opening(stop) => stop.raise(),
                DownloadState::Open { part, .. } => part.stop(),
                DownloadState::Waiting(_) => {}
            }
        }
        self.open = 0;
    }
}
