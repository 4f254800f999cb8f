//! The node's turn: each part says what it has to say, the downloads one after the other.

use messages::{ContentId, NodeId, Timestamp};

use super::Node;
use crate::context::Gives;
use crate::disk::DiskRequest;
use crate::download::{Completed, Download};
use crate::event::Event;
use crate::ids::DownloadId;
use crate::output::{Output, Reason, Wait};
use crate::tracker_client::NeedTicket;

impl Node {
    /// Everything that is to be said now goes to `out`, whose former content is dropped; and when to come again.
    pub fn poll(&mut self, now: Timestamp, out: &mut Output) -> Wait {
        let near = self.downloads.values().map(Download::local_outstanding).fold(0, u32::saturating_add);
        self.shared.receive_budget.set_used(near);
        let wanted = self.shared.buffers.are_wanted();
        if self.shared.buffers.take_freed() | self.shared.receive_budget.end_shortage() {
            self.downloads.values_mut().for_each(Download::on_shared_change);
        }
        let mut wait = self.poll_downloads(now);
        if self.shared.buffers.are_wanted() && !wanted || self.shared.buffers.take_freed() {
            // Behind the back of who wants a buffer one came free, or behind the back of who has some they are wanted now.
            self.downloads.values_mut().for_each(Download::on_shared_change);
            wait = Wait { until: now, reason: Reason::MoreToSend };
        }
        self.collect_completed(now);
        let cx = &mut self.shared.context(now);
        let downloads = &self.downloads;
        let gives = |content: ContentId, node: NodeId| {
            let download = downloads.values().find(|download| download.content() == Some(content));
            download.map_or(Gives::default(), |download| download.gives(node, now))
        };
        wait = wait.earlier(self.uploads.poll(&gives, cx));
        while let Some((content, have)) = self.uploads.take_news() {
            let same = self.downloads.values().find(|download| download.content() == Some(content));
            if let Some(download) = same {
                download.tell_owners(&have, cx);
            }
        }
        wait = wait.earlier(self.tracker_client.poll(cx));
        if self.tracker_client.has_left() && !self.left {
            self.left = true;
            cx.out.events.push(Event::Left);
        }
        out.clear();
        std::mem::swap(out, &mut self.shared.out);
        wait
    }

    fn poll_downloads(&mut self, now: Timestamp) -> Wait {
        let mut wait = Wait::IDLE;
        // Each time another download is the first to ask, so that none takes all credit or limit.
        let ids: Vec<DownloadId> = self.downloads.keys().copied().collect();
        let first = ids.partition_point(|id| *id <= self.turn);
        self.turn = ids.get(first).or(ids.first()).copied().unwrap_or(self.turn);
        for &id in ids[first..].iter().chain(&ids[..first]) {
            let Some(download) = self.downloads.get_mut(&id) else {
                continue;
            };
            if !download.is_due(now) {
                wait = wait.earlier(download.wait());
                continue;
            }
            let cx = &mut self.shared.context(now);
            if let Some(query) = download.poll_need(now, cx.settings) {
                self.tracker_client.need(NeedTicket::Download(id), query, cx);
            }
            wait = wait.earlier(download.poll(cx));
        }
        wait
    }

    /// Downloads that are over leave; what they completed is served from now on.
    pub(super) fn collect_completed(&mut self, now: Timestamp) {
        let over = self.downloads.iter().filter(|(_, download)| download.is_over()).map(|(&id, _)| id);
        for id in over.collect::<Vec<_>>() {
            self.tracker_client.forget_need(NeedTicket::Download(id));
            self.tracker_client.flush_credits(now);
            let Some(mut download) = self.downloads.remove(&id) else {
                continue;
            };
            if self.targets.get(&download.target()) == Some(&id) {
                self.targets.remove(&download.target());
            }
            let completed = download.take_completed();
            if let Some(content) = download.content().filter(|_| completed.is_some()) {
                self.uploads.remember_gifts(content, |node| download.gives(node, now));
            }
            if completed.is_none() {
                self.stop_sharing_part(download.share(), now);
            }
            if let Some(Completed { share, content, name, manifest }) = completed
                && !self.start_serving(share, content, name, manifest)
            {
                self.shared.out.disk.push(DiskRequest::Unshare { share });
            }
        }
    }
}
