//! One content being fetched: from a person's order to the finished name.
//!
//! ```text
//!   Locating ──content known──▶ Describing ──manifest checked──▶ Opening ──part file──▶ Fetching
//!      │ NEED                     │ CHUNKs of the manifest          │ disk                │ all pieces stored
//!      ▼                          ▼                                 ▼                     ▼
//!    failed                     failed                 failed, or already there        Finishing ──▶ done
//! ```
//!
//! A download knows no packets: sessions carry its requests, flows tell it what is lost.

mod accounting;
mod assembly;
mod availability;
mod candidates;
mod content_choice;
mod dial_limits;
mod disk_full;
mod endgame;
mod hints;
mod initial_path;
mod manifest_fetch;
mod need_schedule;
mod peer_discovery;
mod peer_messages;
mod picker;
mod pieces;
mod poll;
mod reachability;
mod ready_set;
mod remote_pieces;
mod request_scheduler;
mod rotation;
mod session;
mod short_path;
mod snub;
mod storage;
mod trust;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use messages::node_to_node::{ByeReason, Have};
use messages::tracker_to_node::Owners;
use messages::{ContentId, Manifest, Name, NodeId, Timestamp};

use crate::command::{DownloadOrder, Wanted};
use crate::context::{Context, Gives};
use crate::disk::DiskRequest;
use crate::event::{Event, Failure, SessionEnd};
use crate::ids::{DownloadId, SessionKey, ShareId};
use crate::local_content::LocalContent;
use crate::meter::Meter;
use crate::query::may_still_come;
use crate::status::{DownloadStatus, Holders};
use crate::waiting::Waiting;
use accounting::Accounting;
use candidates::Candidates;
use disk_full::DiskFull;
use endgame::DuplicateRequest;
use manifest_fetch::ManifestSources;
use need_schedule::NeedSchedule;
use pieces::Pieces;
use reachability::Reachability;
use ready_set::ReadySet;
use rotation::Rotation;
use session::Session;
use short_path::ShortPath;

/// No more sessions than this are remembered after their end.
const REMEMBERED_SENDERS: usize = 1024;

/// Of the owners that say nothing so many are named.
const OWNERS_NAMED: usize = 3;

/// How far a download is.
#[derive(Debug)]
enum Phase {
    /// The tracker is asked for the content, or for its owners.
    Locating,
    /// The manifest is fetched from one owner.
    Describing(Describing),
    /// The part file is being made.
    Opening(Arc<Manifest>),
    /// Pieces are fetched.
    Fetching(Pieces),
    /// The whole is being checked and renamed.
    Finishing(Pieces),
    /// It is over, and the person has been told.
    Over,
}

/// A manifest on its way.
#[derive(Debug)]
enum Describing {
    /// These owners send it, if any has answered.
    From(ManifestSources),
    /// A worker checks it.
    Checking(SessionKey),
}

/// A content that is being fetched here now, and can be served as far as it is here.
#[derive(Debug)]
pub(crate) struct PartialReady {
    pub(crate) content: LocalContent,
    /// Pieces that were here before.
    pub(crate) have: Vec<Range<u32>>,
}

/// How much of what is wanted has arrived, in bytes, verified or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Progress {
    file: u64,
    manifest: u32,
}

/// One content being fetched.
#[derive(Debug)]
pub(crate) struct Download {
    id: DownloadId,
    /// The number under which its file will be served.
    share: ShareId,
    order: DownloadOrder,
    began: Timestamp,
    content: Option<ContentId>,
    name: Option<Name>,
    length: Option<u64>,
    /// How many have it, as the tracker said last.
    holders: Option<Holders>,
    phase: Phase,
    sessions: BTreeMap<SessionKey, Session>,
    next_session: u32,
    /// Where the asking went on last time, so that all sessions get their turn.
    turn: u32,
    candidates: Candidates,
    need: NeedSchedule,
    /// When the tracker's first answer counts: at once, or when a young one knows everybody.
    located_at: Option<Timestamp>,
    /// When it last had more than ever before, a piece was verified, or a phase began.
    progress_at: Timestamp,
    /// The most that it has had: of the manifest, then of the file. What turns out to be bad is no progress.
    progress: Progress,
    /// When an owner was last ready to serve it.
    willing_at: Timestamp,
    /// The disk had no room.
    disk_full: Option<DiskFull>,
    /// Whether this node serves the content already, from another file.
    served_here: bool,
    /// Whether any owner ever answered.
    answered: bool,
    /// Whether any ever said anything at all.
    reachability: Reachability,
    short_path: ShortPath,
    rotation: Rotation,
    meter: Meter,
    /// Who is behind each session of late, ended ones included: their pieces may still be on the way to the disk.
    senders: BTreeMap<SessionKey, (NodeId, SocketAddr)>,
    /// Verified bytes by owner.
    given: BTreeMap<NodeId, (SocketAddr, u64)>,
    /// Why it waits, as it was told last.
    reported: Option<Waiting>,
    /// What it waited for and what was in vain, for the log.
    accounting: Accounting,
    completed: Option<LocalContent>,
    partial_ready: Option<PartialReady>,
    ready_set: ReadySet,
    /// What is asked of two, the oldest first.
    duplicates: Vec<DuplicateRequest>,
}

impl Download {
    /// The download `id` of what `order` says; its file will be served under `share`.
    pub(crate) fn new(id: DownloadId, share: ShareId, order: DownloadOrder, now: Timestamp) -> Download {
        let content = match &order.wanted {
            Wanted::Content(content) => Some(*content),
            Wanted::Name(..) | Wanted::Newest(_) | Wanted::Digits(_) => None,
        };
        Download {
            id,
            share,
            order,
            began: now,
            content,
            name: None,
            length: None,
            holders: None,
            phase: Phase::Locating,
            sessions: BTreeMap::new(),
            next_session: 0,
            turn: 0,
            candidates: Candidates::default(),
            need: NeedSchedule::new(now),
            located_at: None,
            progress_at: now,
            progress: Progress::default(),
            willing_at: now,
            disk_full: None,
            served_here: false,
            answered: false,
            reachability: Reachability::default(),
            short_path: ShortPath::default(),
            rotation: Rotation::new(now),
            meter: Meter::new(now),
            senders: BTreeMap::new(),
            given: BTreeMap::new(),
            reported: None,
            accounting: Accounting::new(now),
            completed: None,
            partial_ready: None,
            ready_set: ReadySet::new(),
            duplicates: Vec::new(),
        }
    }

    /// Whether it is over: it can be forgotten.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// What is complete here now, once.
    pub(crate) fn take_completed(&mut self) -> Option<LocalContent> {
        self.completed.take()
    }

    /// What can be served from now on as far as it is here, once.
    pub(crate) fn take_partial_ready(&mut self) -> Option<PartialReady> {
        self.partial_ready.take()
    }

    /// The number under which its file is served.
    pub(crate) fn share(&self) -> ShareId {
        self.share
    }

    /// What `node` gives to this download.
    pub(crate) fn gives(&self, node: NodeId, now: Timestamp) -> Gives {
        let session = self.sessions.values().find(|session| session.owner() == node);
        Gives {
            rate: session.map_or(0, |session| session.rate(now)),
            is_snubbed: self.candidates.gives_nothing(node),
        }
    }

    /// What is fetched, once it is known.
    pub(crate) fn content(&self) -> Option<ContentId> {
        self.content
    }

    /// Whether it is known what it fetches and what that is called.
    pub(crate) fn is_identified(&self) -> bool {
        self.name.is_some()
    }

    /// Another download is to have the same file, with the same content or with another: one of them is enough.
    pub(crate) fn give_way(&mut self, by: DownloadId, its: Option<ContentId>, cx: &mut Context<'_>) {
        let is_same = its == self.content;
        let target = self.target();
        self.fail(if is_same { Failure::Doubled { by } } else { Failure::TargetTaken { by, target } }, cx);
    }

    /// Whether the session `key` is with the node at `peer`.
    pub(crate) fn is_from(&self, key: SessionKey, peer: SocketAddr) -> bool {
        self.sessions.get(&key).is_some_and(|session| session.peer() == peer)
    }

    /// Bytes outstanding over paths so short that they may all arrive at once, as of the last turn and what has arrived since.
    pub(crate) fn local_outstanding(&self) -> u32 {
        self.ready_set.local_outstanding()
    }

    /// Something that all downloads share has changed: buffers have come back, or are wanted, or a limit is another.
    pub(crate) fn on_shared_change(&mut self) {
        self.ready_set.mark_all();
    }

    /// The tracker's answer to NEED.
    pub(crate) fn handle_owners(&mut self, owners: &Owners, cx: &mut Context<'_>) {
        self.ready_set.mark_all();
        self.need.on_answer();
        self.located_at.get_or_insert(cx.now + may_still_come(owners));
        match owners {
            Owners::Unknown { .. } => {}
            Owners::Content(found) => {
                if self.content.is_some_and(|content| content != found.content.content) {
                    return;
                }
                if self.choose(std::slice::from_ref(&found.content), false, cx) {
                    let has_news = self.candidates.learn(&found.owners, cx.now);
                    self.rotation.on_answer(has_news);
                    self.note_known(cx.now);
                    self.end_moved_sessions(cx);
                }
            }
            Owners::Contents(listing) => {
                if self.content.is_none() && self.choose(&listing.contents, listing.more.is_some(), cx) {
                    // Its owners are asked for by id, at once.
                    self.need.ask_now(cx.now);
                }
            }
        }
    }

    /// Owners that point this node at what no other gets learn what it has got: so they see what spreads.
    pub(crate) fn tell_owners(&self, have: &Have, cx: &mut Context<'_>) {
        for session in self.sessions.values().filter(|session| session.hints().are_given()) {
            if let Some((peer, theirs)) = session.address() {
                cx.send(peer, theirs, have);
            }
        }
    }

    /// The node at `peer` fetches the same.
    pub(crate) fn meet(&mut self, node: NodeId, peer: SocketAddr, now: Timestamp) {
        self.ready_set.mark_all();
        self.candidates.meet(node, peer, now);
        self.note_known(now);
    }

    fn note_known(&mut self, now: Timestamp) {
        if !self.candidates.is_empty() {
            self.reachability.on_known(now);
        }
    }

    /// Nothing has come from any owner for so long that a person should know from where, while the tracker answers.
    fn is_cut_off(&self, now: Timestamp) -> bool {
        now >= self.reachability.report_at() && !self.need.is_unanswered(now)
    }

    /// This node serves the content itself, as `manifest` describes it: no owner need do so. It may be there already.
    pub(crate) fn use_manifest(&mut self, manifest: Arc<Manifest>, cx: &mut Context<'_>) {
        self.ready_set.mark_all();
        if matches!(&self.phase, Phase::Describing(Describing::From(sources)) if sources.is_empty()) {
            self.served_here = true;
            self.open(manifest, cx);
        }
    }

    /// A person gives it up, or the node leaves.
    pub(crate) fn cancel(&mut self, leaving: bool, cx: &mut Context<'_>) {
        // The last step cannot be taken back; it is short.
        if matches!(self.phase, Phase::Over | Phase::Finishing(_)) {
            return;
        }
        let reason = if leaving { ByeReason::Leaving } else { ByeReason::Cancelled };
        self.end_all_sessions(SessionEnd::Ours, reason, cx);
        self.fail(Failure::Cancelled, cx);
    }

    fn fail(&mut self, why: Failure, cx: &mut Context<'_>) {
        self.end_all_sessions(SessionEnd::Ours, ByeReason::Cancelled, cx);
        self.ready_set.mark_all();
        self.account_at_end(cx);
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        match phase {
            Phase::Fetching(mut fetch) => {
                fetch.abandon().into_iter().for_each(|buffer| cx.buffers.give_back(buffer, cx.out));
                cx.out.disk.push(DiskRequest::Abandon { download: self.id });
            }
            Phase::Describing(Describing::From(sources)) => {
                let buffers = sources.into_assemblies().map(|assembly| assembly.buffer());
                buffers.for_each(|buffer| cx.buffers.give_back(buffer, cx.out));
            }
            Phase::Opening(_) | Phase::Finishing(_) => {
                cx.out.disk.push(DiskRequest::Abandon { download: self.id })
            }
            Phase::Locating | Phase::Describing(_) | Phase::Over => {}
        }
        cx.out.events.push(Event::DownloadFailed { download: self.id, why });
    }

    /// For screens.
    pub(crate) fn status(&self, limited: bool, now: Timestamp) -> DownloadStatus {
        let (verified, unstored) = match &self.phase {
            Phase::Fetching(fetch) | Phase::Finishing(fetch) => (fetch.verified(), fetch.unstored()),
            _ => (0, 0),
        };
        let pieces = |key| match &self.phase {
            Phase::Fetching(fetch) => fetch.pieces_of(key),
            _ => 0..0,
        };
        let wanted = match &self.order.wanted {
            Wanted::Content(content) => content.short(),
            Wanted::Name(name, _) | Wanted::Newest(name) => name.to_string(),
            Wanted::Digits(digits) => digits.to_string(),
        };
        DownloadStatus {
            download: self.id,
            name: self.name.as_ref().map_or(wanted, Name::to_string),
            content: self.content,
            length: self.length,
            verified,
            received: verified + unstored,
            rate: self.meter.rate(now),
            waiting: self.waiting(limited, now),
            holders: self.holders,
            owners: self
                .sessions
                .values()
                .map(|session| session.status(pieces(session.key()), now))
                .collect(),
        }
    }

    fn waiting_for_owners(&self, now: Timestamp) -> Waiting {
        if !self.is_cut_off(now) {
            return Waiting::Owners;
        }
        let short: Vec<SocketAddr> = self.short_path.answered(self.candidates.peers());
        if !short.is_empty() {
            let others = short.len().saturating_sub(OWNERS_NAMED);
            let peers = short.into_iter().take(OWNERS_NAMED).collect();
            return Waiting::ShortPath { peers, others };
        }
        let mut peers = self.candidates.peers();
        let named: Vec<SocketAddr> = peers.by_ref().take(OWNERS_NAMED).collect();
        Waiting::NoSignOfLife { peers: named, others: peers.count() }
    }

    /// Why it does not go faster.
    fn waiting(&self, limited: bool, now: Timestamp) -> Waiting {
        let willing = self.sessions.values().any(Session::is_unchoked);
        match &self.phase {
            Phase::Locating if self.located_at.is_none() => Waiting::Tracker,
            Phase::Locating => match self.located_at.map_or(Duration::ZERO, |at| at.since(now)) {
                Duration::ZERO => Waiting::Unknown,
                whole_in => Waiting::TrackerIsYoung { whole_in },
            },
            Phase::Describing(Describing::From(sources)) if !sources.is_empty() => Waiting::Manifest,
            Phase::Describing(Describing::Checking(_)) => Waiting::Manifest,
            Phase::Describing(_) if self.candidates.has_banned(now) => Waiting::Liars,
            Phase::Describing(_) => self.waiting_for_owners(now),
            Phase::Opening(_) | Phase::Fetching(_) if self.disk_full.is_some() => {
                Waiting::DiskFull { needed: self.disk_full.as_ref().map_or(0, DiskFull::needed) }
            }
            Phase::Opening(_) => Waiting::Disk,
            Phase::Finishing(_) | Phase::Over => Waiting::Finishing,
            Phase::Fetching(_) if !willing && self.sessions.values().any(|s| s.is_choked()) => {
                Waiting::OwnersBusy
            }
            Phase::Fetching(_) if !willing && self.candidates.has_banned(now) => Waiting::Liars,
            Phase::Fetching(_) if !willing => self.waiting_for_owners(now),
            Phase::Fetching(fetch) if fetch.is_starved() => Waiting::DiskBehind,
            Phase::Fetching(_) if limited => Waiting::Limit,
            Phase::Fetching(fetch) => {
                let wanted =
                    self.sessions.values().any(|s| s.flow().is_some_and(|flow| flow.outstanding() > 0));
                if wanted || fetch.unstored() > 0 { Waiting::Nothing } else { Waiting::MissingPieces }
            }
        }
    }
}
