//! The node's turn, in which each part gives out what it has to send and to report; the downloads do so one after the
//! other.

use messages::{ContentId, NodeId, Timestamp};

use super::Node;
use crate::context::Reciprocation;
use crate::disk::DiskRequest;
use crate::event::Event;
use crate::output::{Output, Wait};
use crate::tracker_client::NeedTicket;

impl Node {
    /// Moves everything that is to be sent or done now into `out`, whose former content is dropped. Returns when to
    /// poll again.
    pub fn poll(&mut self, now: Timestamp, out: &mut Output) -> Wait {
        let mut wait = self.downloads.poll(&mut self.shared, &mut self.tracker_client, now);
        self.collect_completed(now);
        let cx = &mut self.shared.context(now);
        let downloads = &self.downloads;
        let reciprocation = |content: ContentId, node: NodeId| {
            downloads
                .fetching(content)
                .map_or(Reciprocation::default(), |download| download.reciprocation(node, now))
        };
        wait = wait.earlier(self.uploads.poll(&reciprocation, cx));
        while let Some((content, have)) = self.uploads.take_piece_news() {
            if let Some(download) = self.downloads.fetching(content) {
                download.tell_owners(&have, cx);
            }
        }
        wait = wait.earlier(self.tracker_client.poll(cx));
        if self.tracker_client.has_left() && !self.has_left {
            self.has_left = true;
            cx.out.events.push(Event::Left);
        }
        out.clear();
        std::mem::swap(out, &mut self.shared.out);
        self.shared.seal(out, now);
        self.shared.report_channels(self.tracker_client.tracker(), out);
        wait
    }

    /// Removes the downloads that are over. The contents that they completed are served from now on.
    pub(super) fn collect_completed(&mut self, now: Timestamp) {
        for (id, download) in self.downloads.remove_ended() {
            self.tracker_client.forget_need(NeedTicket::Download(id));
            self.tracker_client.flush_credits(now);
            let Some(completed) = download.completed() else {
                self.stop_sharing_part(download.share(), now);
                continue;
            };
            self.uploads.record_contributions(completed.content, |node| download.reciprocation(node, now));
            let share = completed.share;
            if !self.start_serving(completed) {
                self.shared.out.disk.push(DiskRequest::Unshare { share });
            }
        }
    }
}
