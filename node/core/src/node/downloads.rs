//! The downloads of a node, the paths of their files, and the order in which they get their turns.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;

use messages::{ContentId, Timestamp};

use crate::agenda::Agenda;
use crate::command::{Destination, DownloadOrder, DownloadTimeouts, Existing, SaveOptions, Wanted};
use crate::context::{Context, Shared};
use crate::download::{Download, Purpose};
use crate::ids::{DownloadId, ShareId};
use crate::output::{Reason, Wait};
use crate::tracker_client::{NeedTicket, TrackerClient};

/// The core numbers the shares of its downloads from here on; the numbers in commands stay below.
const FIRST_OWN_SHARE: u32 = 1 << 31;

/// The downloads that are not over.
#[derive(Debug)]
pub(super) struct Downloads {
    /// Each has a block of memory of its own: the map moves its entries whenever one comes or goes.
    by_id: BTreeMap<DownloadId, Box<Download>>,
    /// The path of each finished file, as far as it is known, with its download.
    targets: BTreeMap<PathBuf, DownloadId>,
    next_share: u32,
    agenda: Agenda<DownloadId>,
    local: LocalOutstanding,
    /// The download that had the first turn last time.
    first: DownloadId,
}

/// The bytes that are outstanding over local paths, of all downloads together.
#[derive(Debug, Default)]
struct LocalOutstanding {
    by_download: BTreeMap<DownloadId, u32>,
    sum: u64,
}

impl LocalOutstanding {
    /// Records that `download` has so many.
    fn note(&mut self, download: DownloadId, bytes: u32) {
        let before = match bytes {
            0 => self.by_download.remove(&download),
            _ => self.by_download.insert(download, bytes),
        };
        self.sum = self.sum + u64::from(bytes) - u64::from(before.unwrap_or(0));
    }

    fn sum(&self) -> u32 {
        u32::try_from(self.sum).unwrap_or(u32::MAX)
    }
}

impl Downloads {
    pub(super) fn new() -> Downloads {
        Downloads {
            by_id: BTreeMap::new(),
            targets: BTreeMap::new(),
            next_share: FIRST_OWN_SHARE,
            agenda: Agenda::default(),
            local: LocalOutstanding::default(),
            first: DownloadId(0),
        }
    }

    /// Begins the download `id`, which fetches what `order` names.
    pub(super) fn start(&mut self, id: DownloadId, order: DownloadOrder, now: Timestamp) {
        self.insert(id, (Purpose::Content, order), now);
    }

    /// Begins the download `id`, which finds out what the content `wanted` is.
    pub(super) fn start_index(
        &mut self,
        id: DownloadId,
        (wanted, timeouts): (Wanted, DownloadTimeouts),
        now: Timestamp,
    ) {
        // There is no target.
        let destination = Destination::Folder(PathBuf::new());
        let (existing, select, sequential) = (Existing::Keep, Vec::new(), false);
        let order = DownloadOrder {
            wanted,
            destination,
            existing,
            select,
            sequential,
            save: SaveOptions::default(),
            timeouts,
        };
        self.insert(id, (Purpose::Index, order), now);
    }

    fn insert(&mut self, id: DownloadId, order: (Purpose, DownloadOrder), now: Timestamp) {
        let share = ShareId(self.next_share);
        self.next_share = self.next_share.wrapping_add(1).max(FIRST_OWN_SHARE);
        self.by_id.insert(id, Box::new(Download::new(id, share, order, now)));
        self.agenda.touch(id);
    }

    /// The download `id`, to change. It has a turn the next time.
    pub(super) fn get_mut(&mut self, id: DownloadId) -> Option<&mut Download> {
        let download = self.by_id.get_mut(&id)?;
        self.agenda.touch(id);
        Some(download)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Download> {
        self.by_id.values().map(Box::as_ref)
    }

    /// All downloads, to change. Those that are looked at have a turn the next time.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Download> {
        let agenda = &mut self.agenda;
        self.by_id.iter_mut().map(|(id, download)| {
            agenda.touch(*id);
            download.as_mut()
        })
    }

    /// The download that fetches `content` to keep it.
    pub(super) fn fetching(&self, content: ContentId) -> Option<&Download> {
        self.iter().find(|download| download.keeps_content() && download.content() == Some(content))
    }

    /// The download that fetches `content` to keep it.
    pub(super) fn fetching_mut(&mut self, content: ContentId) -> Option<&mut Download> {
        let mut downloads = self.by_id.iter_mut();
        let fetches = |(_, download): &(&DownloadId, &mut Box<Download>)| {
            download.keeps_content() && download.content() == Some(content)
        };
        let (id, download) = downloads.find(fetches)?;
        self.agenda.touch(*id);
        Some(download)
    }

    /// Claims the path of its file for the download `id`, if the path is known. If another download has the path, `id`
    /// gives way to that. Returns whether `id` goes on.
    pub(super) fn claim_target(&mut self, id: DownloadId, cx: &mut Context<'_>) -> bool {
        let known =
            self.by_id.get(&id).map(Box::as_ref).filter(|download| {
                download.keeps_content() && download.is_identified() && !download.is_over()
            });
        let Some(target) = known.map(Download::target) else {
            return true;
        };
        let by = *self.targets.entry(target).or_insert(id);
        if by == id {
            return true;
        }
        let its = self.by_id.get(&by).and_then(|download| download.content());
        let download = self.get_mut(id).expect("it was found above, and nothing was removed since");
        download.give_way(by, its, cx);
        false
    }

    /// Removes and returns the downloads that are over. The paths of their files are free again.
    pub(super) fn remove_ended(&mut self) -> Vec<(DownloadId, Box<Download>)> {
        // Nobody ends without having been touched.
        let touched = self.agenda.touched().into_iter();
        let is_over = |id: &DownloadId| self.by_id.get(id).is_some_and(|download| download.is_over());
        let over: Vec<DownloadId> = touched.filter(is_over).collect();
        let ended = over.into_iter().filter_map(|id| Some((id, self.by_id.remove(&id)?)));
        let ended: Vec<_> = ended.collect();
        for (id, download) in &ended {
            self.agenda.forget(*id);
            self.local.note(*id, 0);
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
        for id in self.agenda.touched() {
            let local = self.by_id.get(&id).map_or(0, |download| download.local_outstanding());
            self.local.note(id, local);
        }
        let local = self.local.sum();
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
        let mut ready = self.agenda.ready(now);
        let before = ready.partition_point(|id| *id <= self.first);
        ready.rotate_left(before);
        let mut behind = self.by_id.range((Bound::Excluded(self.first), Bound::Unbounded));
        let next = behind.next().or_else(|| self.by_id.first_key_value());
        self.first = next.map_or(self.first, |(id, _)| *id);
        for id in ready {
            let Some(download) = self.by_id.get_mut(&id) else { continue };
            let mut wait = download.wait();
            if download.is_due(now) {
                let cx = &mut shared.context(now);
                if let Some(query) = download.poll_need(now, cx.settings) {
                    tracker_client.need(NeedTicket::Download(id), query, cx);
                }
                wait = download.poll(cx);
            }
            self.agenda.plan(id, wait);
            self.local.note(id, download.local_outstanding());
            if download.is_over() {
                self.agenda.touch(id);
            }
        }
        self.agenda.next()
    }

    /// Makes all downloads ready, because something that they share has changed.
    fn wake(&mut self) {
        self.iter_mut().for_each(Download::on_shared_change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_last_counts() {
        let (mut local, a, b) = (LocalOutstanding::default(), DownloadId(1), DownloadId(2));
        for (download, bytes) in [(a, 7), (b, 5), (a, 3)] {
            local.note(download, bytes);
        }
        assert_eq!(local.sum(), 8);
        local.note(a, 0);
        assert_eq!((local.sum(), local.by_download.len()), (5, 1));
    }
}
