//! One content that is fetched, from a person's order to the finished file.
//!
//! A [`Download`] routes: an input goes to the part that it concerns, and what one part finds out goes to the others.
//! The parts do not know each other. [`lifecycle`] holds the stage and what is known by then, [`pieces`] what is
//! missing and which session fetches it, [`peers`] which owners are known and which of them have a session. A download
//! knows no packets: sessions send its requests, and flows tell it which ranges are lost.

mod accounting;
mod assembly;
mod availability;
mod candidates;
mod contributors;
mod dial_limits;
mod disk_full;
mod duplicates;
mod endgame;
mod head_start;
mod hints;
mod index;
mod initial_path;
mod lifecycle;
mod need_schedule;
mod order;
mod outboard_fetch;
mod peer_messages;
mod peers;
mod picker;
mod piece_verdicts;
mod pieces;
mod poll;
mod progress;
mod reachability;
mod ready_set;
mod remote_pieces;
mod request_scheduler;
mod rotation;
mod session;
mod sessions;
mod short_path;
mod snub;
mod speed_trial;
mod status;
mod storage;
mod trust;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use messages::node_to_node::{ByeReason, Have};
use messages::tracker_to_node::{Listed, Owners};
use messages::{ContentId, Layout, NodeId, Outboard, Timestamp};

use crate::choice::{Choice, choose};
use crate::command::{DownloadOrder, Wanted};
use crate::context::{Context, PathShares, Reciprocation};
use crate::disk::DiskRequest;
use crate::event::{Event, Failure, SessionEnd};
use crate::ids::{DownloadId, SessionKey, ShareId};
use crate::local_content::LocalContent;
use crate::meter::Meter;
use crate::output::Placement;
use crate::query::may_still_come;
use crate::status::Holders;
use accounting::Accounting;
use contributors::Contributors;
use disk_full::DiskSpace;
use initial_path::is_local;
pub(crate) use lifecycle::PartialReady;
use lifecycle::{Ending, Identified, Lifecycle, Stage};
use order::Order;
pub(crate) use order::Purpose;
use peers::Peers;
use progress::ProgressWatch;
use request_scheduler::RequestScheduler;

/// One content that is fetched.
#[derive(Debug)]
pub(crate) struct Download {
    order: Order,
    lifecycle: Lifecycle,
    peers: Peers,
    scheduler: RequestScheduler,
    disk_space: DiskSpace,
    progress: ProgressWatch,
    contributors: Contributors,
    meter: Meter,
    /// What the download waited for and which bytes were in vain, for the log.
    accounting: Accounting,
}

impl Download {
    /// The download `id`, which fetches what `request` orders. Its file will be served under `share`.
    pub(crate) fn new(
        id: DownloadId,
        share: ShareId,
        (purpose, request): (Purpose, DownloadOrder),
        now: Timestamp,
    ) -> Download {
        Download {
            order: Order { download: id, purpose, share, began: now, request },
            lifecycle: Lifecycle::new(),
            peers: Peers::new(now),
            scheduler: RequestScheduler::default(),
            disk_space: DiskSpace::default(),
            progress: ProgressWatch::new(now),
            contributors: Contributors::default(),
            meter: Meter::new(now),
            accounting: Accounting::new(now),
        }
    }

    /// Whether the download is over, so that it can be forgotten.
    pub(crate) fn is_over(&self) -> bool {
        self.lifecycle.is_over()
    }

    /// The complete content, if the download ended with its file.
    pub(crate) fn completed(&self) -> Option<LocalContent> {
        let (outboard, file) = self.lifecycle.completed()?;
        let outboard = outboard.clone();
        let Identified { content, name, .. } = self.lifecycle.identified()?.clone();
        Some(LocalContent { share: self.order.share, content, name, outboard, file })
    }

    /// The share under which the download's file is served.
    pub(crate) fn share(&self) -> ShareId {
        self.order.share
    }

    /// What `node` sends to this download.
    pub(crate) fn reciprocation(&self, node: NodeId, now: Timestamp) -> Reciprocation {
        let session = self.peers.sessions.with_owner(node);
        Reciprocation {
            rate: session.map_or(0, |session| session.rate(now)),
            is_snubbed: self.peers.candidates.gives_nothing(node),
        }
    }

    /// The content that is fetched, once it is known.
    pub(crate) fn content(&self) -> Option<ContentId> {
        let identified = self.lifecycle.identified().map(|identified| identified.content);
        identified.or_else(|| self.order.content())
    }

    /// Whether the content and its name are known.
    pub(crate) fn is_identified(&self) -> bool {
        self.lifecycle.identified().is_some()
    }

    /// The path of the finished file, which is right once its name is known.
    pub(crate) fn target(&self) -> PathBuf {
        self.order.target(self.lifecycle.identified().map_or("", |identified| identified.name.as_str()))
    }

    /// Ends this download in favour of the download `by`, which fetches the content `its` into the same file.
    pub(crate) fn give_way(&mut self, by: DownloadId, its: Option<ContentId>, cx: &mut Context<'_>) {
        let is_same = its == self.content();
        let target = self.target();
        self.fail(if is_same { Failure::Doubled { by } } else { Failure::TargetTaken { by, target } }, cx);
    }

    /// Whether the session `key` is with the node at `peer`.
    /// Handles the first answer of who is at `peer`, where a channel is being opened.
    pub(crate) fn handle_answered(&mut self, peer: SocketAddr, cx: &Context<'_>) {
        for key in self.peers.sessions.keys_of(|session| session.peer() == peer) {
            if let Some(session) = self.peers.sessions.get_mut(key) {
                session.handle_answered(cx);
            }
        }
    }

    /// Whether what is being handled comes from the owner of the session `key`, who is at `peer`.
    pub(crate) fn is_from(&self, key: SessionKey, peer: SocketAddr, cx: &Context<'_>) -> bool {
        let session = self.peers.sessions.get(key);
        session.is_some_and(|session| session.peer() == peer && cx.may_be_from(session.owner()))
    }

    /// Where the payload of the next CHUNK of the session `key` belongs, if it has `length` bytes and comes from `peer` as
    /// the next one that was asked for. All of it is missing.
    pub(crate) fn expected_place(
        &self,
        key: SessionKey,
        peer: SocketAddr,
        length: usize,
    ) -> Option<Placement> {
        let session = self.peers.sessions.get(key).filter(|session| session.peer() == peer)?;
        let next = session.flow()?.expected_next().filter(|next| next.length() as usize == length)?;
        self.lifecycle.pieces()?.expected_place(session, next)
    }

    /// The number of bytes outstanding over paths so short that all of them may arrive at once, as of the last turn and
    /// what has arrived since.
    pub(crate) fn local_outstanding(&self) -> u32 {
        self.peers.sessions.ready().local_outstanding()
    }

    /// Counts the flows of the download that ask for as much as they may. Those over local paths share this host and its
    /// receive buffer, wherever their owners are.
    pub(crate) fn count_path_shares(&self, shares: &mut PathShares) {
        for session in self.peers.sessions.iter() {
            let Some(flow) = session.flow() else { continue };
            let full = flow.settled_window().filter(|window| flow.outstanding() >= window / 2);
            match full {
                Some(window) if is_local(flow) => shares.count_local(window),
                Some(window) => shares.count(session.peer(), window),
                None => {}
            }
        }
    }

    /// Marks all sessions ready, because something that all downloads share has changed: buffers have come back or are
    /// wanted, or a limit has changed.
    pub(crate) fn on_shared_change(&mut self) {
        self.peers.sessions.mark_all();
    }

    /// Handles the answer to NEED of the tracker, which may be far away.
    pub(crate) fn handle_owners(&mut self, owners: &Owners, is_far: bool, cx: &mut Context<'_>) {
        if self.is_over() {
            return;
        }
        self.peers.on_tracker_answer(is_far);
        self.lifecycle.on_tracker_answer(cx.now + may_still_come(owners));
        match owners {
            Owners::Unknown { .. } => {}
            Owners::Content(found) => {
                let is_another = self.content().is_some_and(|content| content != found.content.content);
                if !is_another && self.choose(std::slice::from_ref(&found.content), false, cx) {
                    for moved in self.peers.learn(&found.owners, cx.now) {
                        self.end_session(moved, SessionEnd::Forgotten, cx);
                    }
                }
            }
            Owners::Contents(listing) => {
                if self.content().is_none() && self.choose(&listing.contents, listing.more.is_some(), cx) {
                    // Its owners are asked for at once, by the content's id.
                    self.peers.need.ask_now(cx.now);
                }
            }
        }
    }

    /// Takes the content of `found` that is wanted, if it is clear which one that is. `more` tells whether the tracker
    /// knows further contents. Returns whether one was taken.
    fn choose(&mut self, found: &[Listed], more: bool, cx: &mut Context<'_>) -> bool {
        let known = self.content().map(Wanted::Content);
        match choose(known.as_ref().unwrap_or(&self.order.request.wanted), found) {
            Choice::Nothing => false,
            Choice::Only(only) => {
                self.take(only, cx);
                true
            }
            Choice::Before(taken, others) => {
                let others = others.into_iter().cloned().collect();
                let (download, of) = (self.order.download, taken.clone());
                cx.out.events.push(Event::DownloadPrefers { download, taken: of, others, more });
                self.take(taken, cx);
                true
            }
            Choice::Unclear(contents) => {
                let contents = contents.into_iter().cloned().collect();
                self.fail(Failure::Ambiguous { contents, more }, cx);
                false
            }
        }
    }

    fn take(&mut self, chosen: &Listed, cx: &mut Context<'_>) {
        let holders = Holders { complete: chosen.complete, partial: chosen.partial };
        if self.is_identified() {
            self.lifecycle.update_holders(holders);
            return;
        }
        let (download, name) = (self.order.download, self.order.name_of(chosen));
        let (content, length) = (chosen.content, chosen.length);
        self.lifecycle.identify(Identified { content, name: name.clone(), length, holders });
        // The wait for somebody who shares the content has a timeout of its own.
        self.progress.on_step(cx.now);
        if self.keeps_content() {
            cx.out.events.push(Event::DownloadIdentified { download, content, name, length });
        }
        // Nobody has to send the content without bytes.
        if let Some(Ok(empty)) = Layout::of(0).map(|layout| Outboard::of_one_piece(layout, content)) {
            self.open(Arc::new(empty), None, false, cx);
        }
    }

    /// Tells the owners that send hints which pieces this node has, so that they see how the pieces spread.
    pub(crate) fn tell_owners(&self, have: &Have, cx: &mut Context<'_>) {
        for session in self.peers.sessions.iter().filter(|session| session.hints().are_given()) {
            if let Some((peer, remote)) = session.address() {
                cx.send(peer, remote, have);
            }
        }
    }

    /// Records that `node`, at `peer`, fetches the same content.
    pub(crate) fn meet(&mut self, node: NodeId, peer: SocketAddr, now: Timestamp) {
        self.peers.meet(node, peer, now);
    }

    /// Takes the outboard from this node, which serves the content itself, instead of from an owner. The file may be at
    /// its target already.
    pub(crate) fn use_outboard(&mut self, outboard: Arc<Outboard>, cx: &mut Context<'_>) {
        if self.lifecycle.sources().is_some_and(|sources| sources.is_empty()) {
            self.open(outboard, None, true, cx);
        }
    }

    /// Gives the download up, because a person cancels it or the node leaves.
    pub(crate) fn cancel(&mut self, leaving: bool, cx: &mut Context<'_>) {
        // The last step cannot be undone, and it is short.
        if self.is_over() || matches!(self.lifecycle.stage(), Some(Stage::Finishing(_))) {
            return;
        }
        let reason = if leaving { ByeReason::Leaving } else { ByeReason::Cancelled };
        self.end_all_sessions(SessionEnd::Ours, reason, cx);
        self.fail(Failure::Cancelled, cx);
    }

    fn fail(&mut self, why: Failure, cx: &mut Context<'_>) {
        self.end_all_sessions(SessionEnd::Ours, ByeReason::Cancelled, cx);
        self.account(true, cx);
        let left = self.lifecycle.end(Ending::Failed);
        left.buffers.into_iter().for_each(|buffer| cx.buffers.give_back(buffer, cx.out));
        let download = self.order.download;
        if left.has_part_file {
            cx.out.disk.push(DiskRequest::Abandon { download });
        }
        cx.out.events.push(Event::DownloadFailed { download, why });
    }
}

#[cfg(test)]
mod tests;
