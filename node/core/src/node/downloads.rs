//! The downloads of a node, the paths of their files, and the order in which they get their turns.

use std::collections::BTreeMap;
use std::path::PathBuf;

use messages::{ContentId, Timestamp};

use crate::command::DownloadOrder;
use crate::context::{Context, Shared};
use crate::download::Download;
use crate::ids::{DownloadId, ShareId};
use crate::output::{Reason, Wait};
use crate::tracker_client::{NeedTicket, TrackerClient};

/// The core numbers the shares of its downloads from here on; the numbers in commands stay below.
const FIRST_OWN_SHARE: u32 = 1 << 31;

/// The downloads that are not over.
#[derive(Debug)]
pub(super) struct Downloads {
    by_id: BTreeMap<DownloadId, Download>,
    /// The path of each finished file, as far as it is known, with its download.
    targets: BTreeMap<PathBuf, DownloadId>,
    next_share: u32,
    /// The download that had the first turn last time.
    first: DownloadId,
}

impl Downloads {
    pub(super) fn new() -> Downloads {
        Downloads {
            by_id: BTreeMap::new(),
            targets: BTreeMap::new(),
            next_share: FIRST_OWN_SHARE,
            first: DownloadId(0),
        }
    }

    /// Begins the download `id`, which fetches what `order` names.
    pub(super) fn start(&mut self, id: DownloadId, order: DownloadOrder, now: Timestamp) {
        let share = ShareId(self.next_share);
        self.next_share = self.next_share.wrapping_add(1).max(FIRST_OWN_SHARE);
        self.by_id.insert(id, Download::new(id, share, order, now));
    }

    pub(super) fn get_mut(&mut self, id: DownloadId) -> Option<&mut Download> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Download> {
        self.by_id.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Download> {
        self.by_id.values_mut()
    }

    /// The download that fetches `content`.
    pub(super) fn fetching(&self, content: ContentId) -> Option<&Download> {
        self.by_id.values().find(|download| download.content() == Some(content))
    }

    /// The download that fetches `content`.
    pub(super) fn fetching_mut(&mut self, content: ContentId) -> Option<&mut Download> {
        self.by_id.values_mut().find(|download| download.content() == Some(content))
    }

    /// Claims the path of its file for the download `id`, if the path is known. If another download has the path, `id`
    /// gives way to that. Returns whether `id` goes on.
    pub(super) fn claim_target(&mut self, id: DownloadId, cx: &mut Context<'_>) -> bool {
        let is_known = |download: &&Download| download.is_identified() && !download.is_over();
        let Some(target) = self.by_id.get(&id).filter(is_known).map(Download::target) else {
            return true;
        };
        let by = *self.targets.entry(target).or_insert(id);
        if by == id {
            return true;
        }
        let its = self.by_id.get(&by).and_then(Download::content);
        let download = self.by_id.get_mut(&id).expect("it was found above, and nothing was removed since");
        download.give_way(by, its, cx);
        false
    }

    /// Removes and returns the downloads that are over. The paths of their files are free again.
    pub(super) fn remove_ended(&mut self) -> Vec<(DownloadId, Download)> {
        let ended: Vec<_> = self.by_id.extract_if(.., |_, download| download.is_over()).collect();
        for (id, download) in &ended {
            let target = download.target();
            if self.targets.get(&target) == Some(id) {
                self.targets.remove(&target);
            }
        }
        ended
    }

    /// Gives each download its turn, if it has anything to do. Returns when to poll again.
    pub(super) fn poll(
        &mut self,
        shared: &mut Shared,
        tracker_client: &mut TrackerClient,
        now: Timestamp,
    ) -> Wait {
        let local = self.by_id.values().map(Download::local_outstanding).fold(0, u32::saturating_add);
        if shared.path_shares.begin_count(now) {
            self.by_id.values().for_each(|download| download.count_path_shares(&mut shared.path_shares));
        }
        if shared.begin_turn(local) {
            self.wake();
        }
        let wait = self.poll_in_turn(shared, tracker_client, now);
        if shared.end_turn() {
            self.wake();
            return Wait { until: now, reason: Reason::MoreToSend };
        }
        wait
    }

    fn poll_in_turn(
        &mut self,
        shared: &mut Shared,
        tracker_client: &mut TrackerClient,
        now: Timestamp,
    ) -> Wait {
        // Another download has the first turn each time, so that none takes all of the receive buffer or the limit.
        let ids: Vec<DownloadId> = self.by_id.keys().copied().collect();
        let first = ids.partition_point(|id| *id <= self.first);
        self.first = ids.get(first).or(ids.first()).copied().unwrap_or(self.first);
        let mut wait = Wait::IDLE;
        for id in ids[first..].iter().chain(&ids[..first]) {
            let download = self.by_id.get_mut(id).expect("no download leaves while they have their turns");
            if !download.is_due(now) {
                wait = wait.earlier(download.wait());
                continue;
            }
            let cx = &mut shared.context(now);
            if let Some(query) = download.poll_need(now, cx.settings) {
                tracker_client.need(NeedTicket::Download(*id), query, cx);
            }
            wait = wait.earlier(download.poll(cx));
        }
        wait
    }

    /// Makes all downloads ready, because something that they share has changed.
    fn wake(&mut self) {
        self.by_id.values_mut().for_each(Download::on_shared_change);
    }
}
