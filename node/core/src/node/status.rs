//! The status of the node at one instant, for screens.

use messages::Timestamp;

use super::Node;
use crate::status::{ShareStatus, Status};

impl Node {
    /// The state of the node at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        let served = self.uploads.all_served().map(|(share, served)| ShareStatus {
            share,
            name: served.name.clone(),
            content: Some(served.content),
            length: served.outboard.layout().length(),
            sent: served.sent,
            permille: served.permille(),
        });
        let hashing = self.hashing.iter().map(|(&share, hashing)| ShareStatus {
            share,
            name: hashing.name.clone(),
            content: None,
            length: hashing.total,
            sent: 0,
            permille: 1000,
        });
        let limited = self.shared.download_limit.ready_at(now) > now;
        let tracker = self.tracker_client.tracker();
        let channel_with = |peer| self.shared.channel_with(peer);
        let mut downloads: Vec<_> = self
            .downloads
            .iter()
            .filter(|download| download.keeps_content())
            .map(|download| download.status(limited, now))
            .collect();
        let owners = downloads.iter_mut().flat_map(|download| &mut download.owners);
        owners.for_each(|owner| owner.channel = channel_with(owner.peer));
        let mut uploads = self.uploads.uploads(now);
        uploads.iter_mut().for_each(|upload| upload.channel = channel_with(upload.peer));
        Status {
            tracker: self.tracker_client.standing(),
            shares: served.chain(hashing).collect(),
            tracker_channel: tracker.map(channel_with).unwrap_or_default(),
            tracker_key: tracker.and_then(|tracker| self.shared.channels.as_ref()?.peer_key(tracker)),
            downloads,
            uploads,
            upload_limit: self.shared.upload_limit.rate(),
            download_limit: self.shared.download_limit.rate(),
            counters: self.shared.counters,
        }
    }
}
