//! What the disk says to a download: the manifest, the part file, each piece, the whole.

use std::path::PathBuf;
use std::sync::Arc;

use messages::node_to_node::{Bye, ByeReason};
use messages::{ContentId, Manifest, ManifestError, Name, NodeId, PieceIndex};

use super::manifest_fetch::ManifestSources;
use super::pieces::Pieces;
use super::session::Session;
use super::trust::Penalty;
use super::{Describing, Download, PartialReady, Phase};
use crate::command::Destination;
use crate::context::Context;
use crate::disk::{DiskError, DiskErrorKind, DiskRequest, FinishError, Opened, StoreError};
use crate::event::{Event, Failure, SessionEnd, Share, Summary};
use crate::ids::BufferId;
use crate::ids::SessionKey;
use crate::local_content::LocalContent;

impl Download {
    pub(super) fn check_manifest_if_complete(&mut self, cx: &mut Context<'_>) {
        let (Phase::Describing(Describing::From(sources)), Some(content)) = (&mut self.phase, self.content)
        else {
            return;
        };
        let Some((key, assembly)) = sources.take_complete() else {
            return;
        };
        let (buffer, length) = (assembly.buffer(), assembly.length());
        let others = std::mem::take(sources).into_assemblies().map(|assembly| assembly.buffer());
        others.for_each(|buffer| cx.buffers.give_back(buffer, cx.out));
        self.withdraw_requests(|piece| piece == PieceIndex::MANIFEST, cx);
        cx.out.disk.push(DiskRequest::CheckManifest { download: self.id, buffer, length, content });
        self.phase = Phase::Describing(Describing::Checking(key));
    }

    /// The worker's word on the manifest.
    pub(crate) fn handle_manifest(
        &mut self,
        buffer: BufferId,
        result: Result<Arc<Manifest>, ManifestError>,
        cx: &mut Context<'_>,
    ) {
        self.ready_set.mark_all();
        cx.buffers.give_back(buffer, cx.out);
        let Phase::Describing(Describing::Checking(key)) = &self.phase else {
            return;
        };
        let key = *key;
        match result {
            Ok(manifest) => self.open(manifest, cx),
            Err(_) => {
                self.phase = Phase::Describing(Describing::From(ManifestSources::default()));
                if self.sessions.contains_key(&key) {
                    self.end_session(key, SessionEnd::BadManifest, cx);
                } else if let Some(&(owner, _)) = self.senders.get(&key) {
                    // It left in time, and is not forgiven for that.
                    self.candidates.on_ended(owner, SessionEnd::BadManifest, cx.now);
                }
            }
        }
    }

    pub(super) fn open(&mut self, manifest: Arc<Manifest>, cx: &mut Context<'_>) {
        let Some(content) = self.content else {
            return;
        };
        self.length = Some(manifest.layout().length());
        self.ask_open(content, manifest.clone(), cx);
        self.phase = Phase::Opening(manifest);
    }

    pub(super) fn ask_open(&self, content: ContentId, manifest: Arc<Manifest>, cx: &mut Context<'_>) {
        let (download, share, target, replace) = (self.id, self.share, self.target(), self.order.replace);
        cx.out.disk.push(DiskRequest::Open { download, share, target, replace, content, manifest });
    }

    /// The part file is there, or cannot be.
    pub(crate) fn handle_opened(&mut self, result: Result<Opened, DiskError>, cx: &mut Context<'_>) {
        self.ready_set.mark_all();
        let Phase::Opening(manifest) = &self.phase else {
            return;
        };
        let manifest = manifest.clone();
        if let Err(error) = &result
            && self.wait_if_full(error, cx)
        {
            return;
        }
        self.disk_full = None;
        match result {
            Err(error) => self.fail(Failure::Disk(error), cx),
            Ok(Opened::AlreadyThere) => {
                let target = self.target();
                self.succeed(target, manifest, true, cx);
            }
            Ok(Opened::Ready { .. }) if self.served_here && self.candidates.is_empty() => {
                self.fail(Failure::OnlyHere, cx);
            }
            Ok(Opened::Ready { have, hashed_again }) => {
                self.progress_at = cx.now;
                if let (Some(content), Some(name)) = (self.content, self.name.clone()) {
                    let (share, manifest, have) = (self.share, manifest.clone(), have.clone());
                    self.partial_ready =
                        Some(PartialReady { content: LocalContent { share, content, name, manifest }, have });
                }
                self.need.on_begun(cx.now);
                let fetch = Pieces::new(self.id, manifest, &have);
                let (download, have_bytes) = (self.id, fetch.verified());
                if have_bytes > 0 || hashed_again.is_some() {
                    cx.out.events.push(Event::DownloadResumed { download, have_bytes, hashed_again });
                }
                self.phase = Phase::Fetching(fetch);
                self.finish_if_complete(cx);
            }
        }
    }

    /// Where the finished file will be, once its name is known.
    pub(crate) fn target(&self) -> PathBuf {
        let name = self.name.as_ref().map_or("", Name::as_str);
        match &self.order.destination {
            Destination::Folder(folder) => folder.join(name),
            Destination::File(file) => file.clone(),
        }
    }

    /// A piece is on the disk, or not.
    pub(crate) fn handle_stored(
        &mut self,
        piece: PieceIndex,
        buffer: BufferId,
        result: Result<(), StoreError>,
        cx: &mut Context<'_>,
    ) -> Vec<(NodeId, u64)> {
        self.ready_set.mark_all();
        if let (Phase::Fetching(fetch), Err(StoreError::Disk(error))) = (&mut self.phase, &result)
            && matches!(error.kind, DiskErrorKind::Full { .. })
        {
            fetch.on_refused(piece);
            self.wait_if_full(error, cx);
            return Vec::new();
        }
        cx.buffers.give_back(buffer, cx.out);
        let Phase::Fetching(fetch) = &mut self.phase else {
            return Vec::new();
        };
        match result {
            Ok(()) => {
                let contributions = fetch.on_stored(piece);
                // What was handed over before the disk was full says nothing about what it has refused since.
                if !fetch.is_refused() {
                    self.disk_full = None;
                }
                self.progress_at = cx.now;
                self.trust(&contributions);
                let credits = self.credit(&contributions);
                let owners = credits.iter().map(|(owner, _)| *owner).collect();
                cx.out.events.push(Event::PieceVerified { download: self.id, piece, owners });
                self.finish_if_complete(cx);
                credits
            }
            Err(StoreError::Hash) => {
                let contributions = fetch.on_not_stored(piece);
                self.on_bad_piece(piece, &contributions, cx);
                Vec::new()
            }
            Err(StoreError::Disk(error)) => {
                fetch.on_not_stored(piece);
                self.fail(Failure::Disk(error), cx);
                Vec::new()
            }
        }
    }

    pub(super) fn credit(&mut self, contributions: &[(SessionKey, u32)]) -> Vec<(NodeId, u64)> {
        let mut credits = Vec::new();
        for &(key, bytes) in contributions {
            let Some(&(owner, peer)) = self.senders.get(&key) else {
                continue;
            };
            let given = self.given.entry(owner).or_insert((peer, 0));
            // An owner that was restarted is where it was last.
            *given = (peer, given.1 + u64::from(bytes));
            credits.push((owner, u64::from(bytes)));
        }
        credits
    }

    pub(super) fn on_bad_piece(
        &mut self,
        piece: PieceIndex,
        contributions: &[(SessionKey, u32)],
        cx: &mut Context<'_>,
    ) {
        cx.counters.bad_pieces += 1;
        self.accounting.bad_pieces += 1;
        let owners = self.owners_of(contributions);
        cx.out.events.push(Event::PieceRejected { download: self.id, piece, owners: owners.clone() });
        // With one sender it is clear who sent the bad bytes; with several, each shows by whole pieces that it is not the one.
        let alone = owners.len() == 1;
        for owner in owners {
            let verdict = self.candidates.on_bad_piece(owner, alone, cx.now);
            self.distrust(owner, cx);
            if verdict == Penalty::Ban {
                let of_owner = self.sessions.values().find(|session| session.owner() == owner);
                if let Some(key) = of_owner.map(|session| session.key()) {
                    self.end_session(key, SessionEnd::BadPieces, cx);
                }
            }
        }
    }

    /// Who sent a piece: an owner once, in however many sessions it did so.
    fn owners_of(&self, contributions: &[(SessionKey, u32)]) -> Vec<NodeId> {
        let mut owners: Vec<NodeId> =
            contributions.iter().filter_map(|(key, _)| Some(self.senders.get(key)?.0)).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    /// From now on `owner` gives one whole piece at a time, and what it sent of pieces that are begun does not count.
    fn distrust(&mut self, owner: NodeId, cx: &mut Context<'_>) {
        let Some(session) = self.sessions.values_mut().find(|session| session.owner() == owner) else {
            return;
        };
        let key = session.key();
        if !std::mem::replace(&mut session.on_parole, true) {
            self.give_up_requests(key, cx);
            if let Phase::Fetching(fetch) = &mut self.phase {
                fetch.distrust(key);
            }
        }
    }

    /// A piece verified: its senders are the better for it.
    fn trust(&mut self, contributions: &[(SessionKey, u32)]) {
        let owners = self.owners_of(contributions);
        let alone = owners.len() == 1;
        for owner in owners {
            if self.candidates.on_good_piece(owner, alone)
                && let Some(session) = self.sessions.values_mut().find(|session| session.owner() == owner)
            {
                session.on_parole = false;
                // A piece that it has begun since is anybody's to finish.
                if let Phase::Fetching(fetch) = &mut self.phase {
                    fetch.pardon(session.key());
                }
            }
        }
    }

    pub(super) fn finish_if_complete(&mut self, cx: &mut Context<'_>) {
        if !matches!(&self.phase, Phase::Fetching(fetch) if fetch.is_complete()) {
            return;
        }
        if let Phase::Fetching(fetch) = std::mem::replace(&mut self.phase, Phase::Locating) {
            cx.out.disk.push(DiskRequest::Finish { download: self.id });
            self.phase = Phase::Finishing(fetch);
        }
        self.release_owners(cx);
    }

    /// Nothing more is wanted of the owners, and others may have this node's places. They hear that it is done when the file has its name: it
    /// may still come to nothing.
    fn release_owners(&mut self, cx: &mut Context<'_>) {
        let unanswered = self.sessions.values().filter(|session| session.address().is_none());
        let unanswered: Vec<SessionKey> = unanswered.map(|session| session.key()).collect();
        unanswered.into_iter().for_each(|key| self.end_session(key, SessionEnd::Done, cx));
        self.withdraw_requests(|_| true, cx);
        self.sessions.values_mut().for_each(|session| session.release_slot(cx));
    }

    /// The file has its name, or not.
    pub(crate) fn handle_finished(&mut self, result: Result<PathBuf, FinishError>, cx: &mut Context<'_>) {
        self.ready_set.mark_all();
        let Phase::Finishing(fetch) = &self.phase else {
            return;
        };
        let manifest = fetch.manifest.clone();
        match result {
            Ok(path) => self.succeed(path, manifest, false, cx),
            Err(FinishError::Integrity) => self.fail(Failure::Integrity, cx),
            Err(FinishError::Disk(error)) => self.fail(Failure::Disk(error), cx),
        }
    }

    pub(super) fn succeed(
        &mut self,
        path: PathBuf,
        manifest: Arc<Manifest>,
        already_there: bool,
        cx: &mut Context<'_>,
    ) {
        // Nobody answers a BYE: it is said twice.
        for (peer, theirs) in self.sessions.values().filter_map(Session::address) {
            cx.send(peer, theirs, &Bye { reason: ByeReason::Done });
        }
        self.end_all_sessions(SessionEnd::Done, ByeReason::Done, cx);
        self.account_at_end(cx);
        let mut shares: Vec<Share> =
            self.given.iter().map(|(&owner, &(peer, bytes))| Share { owner, peer, bytes }).collect();
        shares.sort_by_key(|share| std::cmp::Reverse(share.bytes));
        if let (Some(content), Some(name)) = (self.content, self.name.clone()) {
            let took = cx.now.since(self.began);
            let length = manifest.layout().length();
            let summary = Summary { content, length, took, shares, already_there };
            cx.out.events.push(Event::DownloadDone { download: self.id, path, summary });
            self.completed = Some(LocalContent { share: self.share, content, name, manifest });
        }
        self.phase = Phase::Over;
    }
}
