//! What becomes of a file that a person shares: hashed, served and announced, withdrawn.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use messages::node_to_tracker::{OwnEntry, Permille};
use messages::{ContentId, Manifest, Name, PieceIndex, Timestamp};

use super::Node;
use crate::disk::{DiskError, DiskErrorKind, DiskRequest};
use crate::download::{Completed, PartialReady};
use crate::event::Event;
use crate::ids::ShareId;

/// A file that is being hashed for sharing.
#[derive(Debug)]
pub(super) struct Hashing {
    pub(super) path: PathBuf,
    pub(super) name: Name,
    pub(super) done: u64,
    pub(super) total: u64,
}

/// A second file with a content that is served from the first: it takes over when that is withdrawn.
#[derive(Debug)]
pub(super) struct DuplicateFile {
    content: ContentId,
    name: Name,
    manifest: Arc<Manifest>,
}

/// A content that is served while it is fetched.
#[derive(Debug)]
pub(super) struct PartialShare {
    entry: OwnEntry,
    pieces: u32,
    told_at: Timestamp,
}

/// The tracker is told of the first piece, and then when there is so much more, in thousandths,
const TOLD_STEP: u16 = 100;
/// and no sooner than this.
const TOLD_PAUSE: Duration = Duration::from_secs(1);

impl Node {
    /// What is being fetched is served as far as it is here, and announced, unless it is served already.
    pub(super) fn start_sharing_part(&mut self, PartialReady { content: begun, have }: PartialReady) {
        let Completed { share, content, name, manifest } = begun;
        let layout = manifest.layout();
        let (length, pieces) = (layout.length(), layout.pieces());
        if self.uploads.serve_part(share, (content, name.clone(), manifest), &have) {
            let here = have.iter().map(|run| run.end - run.start).sum();
            let entry = OwnEntry { content, length, permille: part_of(here, pieces), withdrawn: false, name };
            self.tracker_client.announce(entry.clone());
            self.growing.insert(share, PartialShare { entry, pieces, told_at: Timestamp::ZERO });
        }
    }

    /// `piece` of what is fetched is here.
    pub(super) fn share_piece(&mut self, share: ShareId, piece: PieceIndex, now: Timestamp) {
        let Some(here) = self.uploads.on_piece(share, piece, now) else {
            return;
        };
        let Some(growing) = self.growing.get_mut(&share) else {
            return;
        };
        let (told, is) = (growing.entry.permille, part_of(here, growing.pieces));
        let news = told == Permille::default() || is.value() >= told.value() + TOLD_STEP;
        if is != told && news && now >= growing.told_at + TOLD_PAUSE {
            (growing.entry.permille, growing.told_at) = (is, now);
            self.tracker_client.announce(growing.entry.clone());
        }
    }

    /// What was fetched is not any more, and was not completed.
    pub(super) fn stop_sharing_part(&mut self, share: ShareId, now: Timestamp) {
        let Some(growing) = self.growing.remove(&share) else {
            return;
        };
        self.uploads.withdraw(share, &mut self.shared.context(now));
        let permille = Permille::default();
        self.tracker_client.announce(OwnEntry { withdrawn: true, permille, ..growing.entry });
    }

    pub(super) fn handle_shared(&mut self, share: ShareId, result: Result<Arc<Manifest>, DiskError>) {
        let Some(hashing) = self.hashing.remove(&share) else {
            return;
        };
        match result {
            Ok(manifest) => {
                let (content, name, length) =
                    (manifest.content_id(), hashing.name, manifest.layout().length());
                if !self.start_serving(share, content, name.clone(), manifest.clone()) {
                    self.shared.out.events.push(Event::Shared { share, content, name: name.clone(), length });
                    self.spares.insert(share, DuplicateFile { content, name, manifest });
                }
            }
            Err(error) => self.shared.out.events.push(Event::ShareFailed { share, error }),
        }
    }

    /// `content` is complete here: it is served and announced, unless it is served already. Whether it was not.
    pub(super) fn start_serving(
        &mut self,
        share: ShareId,
        content: ContentId,
        name: Name,
        manifest: Arc<Manifest>,
    ) -> bool {
        let length = manifest.layout().length();
        let fresh = self.uploads.serve(share, content, name.clone(), manifest);
        self.growing.remove(&share);
        if fresh {
            let permille = Permille::COMPLETE;
            self.tracker_client.announce(OwnEntry {
                content,
                length,
                permille,
                withdrawn: false,
                name: name.clone(),
            });
            self.shared.out.events.push(Event::Shared { share, content, name, length });
        }
        fresh
    }

    pub(super) fn withdraw(&mut self, share: ShareId, error: Option<DiskError>, now: Timestamp) {
        let cx = &mut self.shared.context(now);
        cx.out.disk.push(DiskRequest::Unshare { share });
        let hashing = self.hashing.remove(&share);
        if let Some(spare) = self.spares.remove(&share) {
            cx.out.events.push(Event::Unshared { share, content: spare.content });
        }
        if let Some(served) = self.uploads.withdraw(share, cx) {
            let length = served.manifest.layout().length();
            let (content, name) = (served.content, served.name);
            let permille = Permille::default();
            self.tracker_client.announce(OwnEntry { content, length, permille, withdrawn: true, name });
            cx.out.events.push(Event::Unshared { share, content });
            let next =
                self.spares.iter().find(|(_, spare)| spare.content == content).map(|(&share, _)| share);
            if let Some((next, spare)) = next.and_then(|next| Some((next, self.spares.remove(&next)?))) {
                self.start_serving(next, content, spare.name, spare.manifest);
            }
        } else if let (Some(hashing), None) = (hashing, &error) {
            let error = DiskError { path: hashing.path, kind: DiskErrorKind::Cancelled };
            cx.out.events.push(Event::ShareFailed { share, error });
        }
        if let Some(error) = error {
            self.shared.out.events.push(Event::ShareFailed { share, error });
        }
    }
}

/// How much `here` of `pieces` is, as the tracker is told while not all are: never complete.
fn part_of(here: u32, pieces: u32) -> Permille {
    Permille::of(here.min(pieces.saturating_sub(1)), pieces)
}
