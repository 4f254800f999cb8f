//! What a node's log says, and what of it people are shown.

use node::Event;
use tracing::{debug, info, warn};

/// Logs an event. Whether it is for people's eyes too: what happens for each burst is not.
pub(crate) fn log(event: &Event) -> bool {
    match event {
        Event::RangeSent { content, peer, piece, offset, length } => {
            debug!(content = %content.short(), %peer, %piece, offset, length, "range sent");
            false
        }
        Event::PieceVerified { download, piece, owners } => {
            debug!(%download, %piece, owners = %names(owners), "piece received and verified");
            true
        }
        Event::Hashing { .. } => true,
        _ => {
            log_tracker(event);
            log_serving(event);
            log_download(event);
            true
        }
    }
}

fn names(nodes: &[messages::NodeId]) -> String {
    nodes.iter().map(messages::NodeId::short).collect::<Vec<_>>().join(",")
}

fn log_tracker(event: &Event) {
    match event {
        Event::TrackerReached { tracker, observed } => info!(%tracker, %observed, "tracker answers"),
        Event::TrackerRestored { tracker } => info!(%tracker, "tracker answers again"),
        Event::TrackerSilent { tracker, silent } => {
            warn!(%tracker, silent_ms = silent.as_millis() as u64, "tracker is silent");
        }
        Event::TrackerRefused { code } => warn!(?code, "tracker refuses a request"),
        Event::Left => info!("left"),
        Event::Found { search, contents, more } => {
            info!(%search, contents = contents.len(), more, "search answered");
        }
        Event::SearchFailed { search } => warn!(%search, "search not answered"),
        _ => {}
    }
}

fn log_serving(event: &Event) {
    match event {
        Event::Shared { share, content, name, length } => {
            info!(%share, %content, %name, length, "shared");
        }
        Event::Announced { share, content } => {
            info!(%share, content = %content.short(), "announced");
        }
        Event::ShareFailed { share, error } => warn!(%share, %error, "not shared"),
        Event::Unshared { share, content } => {
            info!(%share, content = %content.short(), "no longer shared");
        }
        Event::ServingStarted { content, peer, node } => {
            info!(content = %content.short(), %peer, node = %node.short(), "serving a downloader");
        }
        Event::ServingEnded { content, peer, bytes, why } => {
            info!(content = %content.short(), %peer, bytes, ?why, "downloader's session ended");
        }
        _ => {}
    }
}

fn log_download(event: &Event) {
    match event {
        Event::DownloadIdentified { download, content, name, length } => {
            info!(%download, %content, %name, length, "download identified");
        }
        Event::DownloadResumed { download, have_bytes, hashed_again: None } => {
            info!(%download, have_bytes, "part file found, nothing to be hashed");
        }
        Event::DownloadResumed { download, have_bytes, hashed_again: Some(again) } => {
            info!(%download, have_bytes, hashed_bytes = again.bytes, why = %again.why, "part file found");
        }
        Event::WithoutLocks { folder, elsewhere } => {
            warn!(folder = %folder.display(), elsewhere, "the file system has no locks");
        }
        Event::DownloadWaits { download, why } => info!(%download, ?why, "download waits"),
        Event::OwnerReady { download, owner, peer, rtt } => {
            info!(%download, owner = %owner.short(), %peer, rtt_us = rtt.as_micros() as u64, "owner ready");
        }
        Event::PathCarries { download, peer, datagram } => {
            info!(%download, %peer, datagram, "path carries");
        }
        Event::StretchAssigned { download, owner, peer, pieces } => {
            let (first, end) = (pieces.start, pieces.end);
            info!(%download, owner = %owner.short(), %peer, first, end, "range assigned");
        }
        Event::OwnerLost { download, owner, peer, why } => {
            info!(%download, owner = %owner.short(), %peer, ?why, "owner's session ended");
        }
        Event::PieceRejected { download, piece, owners } => {
            warn!(%download, %piece, owners = %names(owners), "piece does not match its hash");
        }
        Event::DownloadDone { download, path, summary } => {
            let took_ms = summary.took.as_millis() as u64;
            let (length, owners) = (summary.length, summary.shares.len());
            info!(%download, path = %path.display(), length, took_ms, owners, "download complete");
        }
        Event::DownloadFailed { download, why } => warn!(%download, %why, "download failed"),
        _ => {}
    }
}
