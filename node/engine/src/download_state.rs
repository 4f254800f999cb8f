//! The progress of a download, and its end.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use messages::{ContentId, Layout, Name, NodeId, PieceIndex};
use riffle_core::{DownloadId, Event, Failure, Summary, Waiting};

use crate::content_index::ContentIndex;

/// The time over which a rate is measured.
const RATE_WINDOW: Duration = Duration::from_secs(3);
/// The most samples of a rate that are remembered.
const RATE_SAMPLES: usize = 32;

/// The progress of a download.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Progress {
    /// The name of the content, once the name is known.
    pub name: Option<Name>,
    /// The content's length in bytes, once the length is known.
    pub length: Option<u64>,
    /// The bytes that are verified and stored, including those that an earlier download stored.
    pub verified: u64,
    /// Verified bytes a second, over the last seconds.
    pub rate: u64,
    /// The number of owners with an open session.
    pub owners: usize,
    /// What the download waits for.
    pub waiting: Waiting,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress { name: None, length: None, verified: 0, rate: 0, owners: 0, waiting: Waiting::Nothing }
    }
}

/// A download that is complete and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Finished {
    /// The path of the file.
    pub path: PathBuf,
    /// The content, the time that the download took, and the bytes that each owner gave.
    pub summary: Summary,
}

/// What is known of a download.
#[derive(Clone, Debug, Default)]
pub(crate) struct DownloadState {
    pub(crate) progress: Progress,
    pub(crate) content: Option<ContentId>,
    owners: BTreeSet<NodeId>,
    /// Verified bytes at moments of the last seconds.
    samples: VecDeque<(Instant, u64)>,
    pub(crate) end: Option<Result<Finished, Failure>>,
    /// What a content is of which the index alone was asked for.
    pub(crate) index: Option<ContentIndex>,
}

impl DownloadState {
    /// Whether that changed anything.
    pub(crate) fn on_event(&mut self, event: &Event, now: Instant) -> bool {
        match event {
            Event::DownloadIdentified { content, name, length, .. } => {
                self.content = Some(*content);
                self.progress.name = Some(name.clone());
                self.progress.length = Some(*length);
            }
            Event::DownloadResumed { have_bytes, .. } => self.progress.verified = *have_bytes,
            Event::DownloadWaits { why, .. } => self.progress.waiting = why.clone(),
            Event::OwnerReady { owner, .. } => {
                self.owners.insert(*owner);
                self.progress.owners = self.owners.len();
            }
            Event::OwnerLost { owner, .. } => {
                self.owners.remove(owner);
                self.progress.owners = self.owners.len();
            }
            Event::PieceVerified { piece, .. } => self.on_piece(*piece, now),
            Event::DownloadDone { path, summary, .. } => {
                self.progress.verified = summary.length;
                self.end = Some(Ok(Finished { path: path.clone(), summary: summary.clone() }));
            }
            Event::DownloadFailed { why, .. } => self.end = Some(Err(why.clone())),
            Event::IndexRead { content, name, length, folder, .. } => {
                let (content, name, length, folder) = (*content, name.clone(), *length, folder.clone());
                self.index = Some(ContentIndex { content, name, length, folder });
            }
            _ => return false,
        }
        true
    }

    fn on_piece(&mut self, piece: PieceIndex, now: Instant) {
        let layout = self.progress.length.and_then(Layout::of);
        self.progress.verified += layout.map_or(0, |layout| u64::from(layout.piece_length(piece)));
        self.samples.push_back((now, self.progress.verified));
        let is_old = |&(at, _): &(Instant, u64)| at + RATE_WINDOW < now;
        while self.samples.len() > RATE_SAMPLES
            || (self.samples.len() > 2 && self.samples.front().is_some_and(is_old))
        {
            self.samples.pop_front();
        }
        if let Some(&(since, before)) = self.samples.front() {
            let nanos = (now - since).as_nanos().max(1);
            let bytes = u128::from(self.progress.verified - before);
            self.progress.rate = if since == now { 0 } else { (bytes * 1_000_000_000 / nanos) as u64 };
        }
    }

    /// The events that somebody must know who has missed all of them.
    pub(crate) fn milestones(&self, download: DownloadId) -> Vec<Event> {
        let Progress { name, length, .. } = &self.progress;
        let identified = match (self.content, name, length) {
            (Some(content), Some(name), &Some(length)) => {
                Some(Event::DownloadIdentified { download, content, name: name.clone(), length })
            }
            _ => None,
        };
        let over = self.end.as_ref().map(|end| match end {
            Ok(Finished { path, summary }) => {
                Event::DownloadDone { download, path: path.clone(), summary: summary.clone() }
            }
            Err(why) => Event::DownloadFailed { download, why: why.clone() },
        });
        identified.into_iter().chain(over).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_follows_the_pieces() {
        let download = DownloadId(1);
        let (mut state, start) = (DownloadState::default(), Instant::now());
        let length = 3 << 18;
        let identified = Event::DownloadIdentified {
            download,
            content: ContentId::from_bytes([1; 32]),
            name: Name::new("f").expect("a name"),
            length,
        };
        assert!(state.on_event(&identified, start));
        for piece in 0..3 {
            let event = Event::PieceVerified { download, piece: PieceIndex(piece), owners: Vec::new() };
            state.on_event(&event, start + Duration::from_secs(piece.into()));
        }
        assert_eq!((state.progress.verified, state.progress.rate), (length, length / 3));
        assert!(!state.on_event(&Event::Left, start));
        state.on_event(&Event::DownloadFailed { download, why: Failure::NoOwner }, start);
        assert_eq!(state.milestones(download).len(), 2);
    }
}
