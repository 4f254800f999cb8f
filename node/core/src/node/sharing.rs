//! The steps of a file that is shared: it is hashed, served and announced, and later withdrawn.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use messages::node_to_tracker::{OwnEntry, Permille};
use messages::{FileMetadata, Name, Outboard, PieceIndex, PieceRun, Timestamp};

use super::Node;
use crate::disk::{DiskError, DiskErrorKind, DiskRequest};
use crate::download::PartialReady;
use crate::event::Event;
use crate::ids::ShareId;
use crate::local_content::LocalContent;

/// A file that is being hashed for sharing.
#[derive(Debug)]
pub(super) struct HashingFile {
    pub(super) path: PathBuf,
    pub(super) name: Name,
    pub(super) done: u64,
    pub(super) total: u64,
}

/// A content that is served while it is fetched.
#[derive(Debug)]
pub(super) struct PartialShare {
    /// The entry that was last announced.
    entry: OwnEntry,
    announced_at: Timestamp,
    pieces: u32,
}

/// After its first piece a partial content is announced again each time its share has grown by this much, in
/// thousandths.
const ANNOUNCED_STEP: u16 = 100;
/// A partial content is announced again no sooner than this.
const ANNOUNCED_PAUSE: Duration = Duration::from_secs(1);

impl PartialShare {
    /// Records that `here` pieces are here now. Returns the entry that is to be announced, if one is.
    fn grow(&mut self, here: u32, now: Timestamp) -> Option<OwnEntry> {
        let (known, is) = (self.entry.permille, part_of(here, self.pieces));
        let is_news = known == Permille::default() || is.value() >= known.value() + ANNOUNCED_STEP;
        if is == known || !is_news || now < self.announced_at + ANNOUNCED_PAUSE {
            return None;
        }
        (self.entry.permille, self.announced_at) = (is, now);
        Some(self.entry.clone())
    }
}

impl Node {
    /// Serves and announces a content that is being fetched, as far as it is here, unless it is served already.
    pub(super) fn start_sharing_part(&mut self, PartialReady { content: local, have }: PartialReady) {
        let pieces = local.outboard.layout().pieces();
        let here = have.iter().map(|run| run.count()).sum();
        let (share, entry) = (local.share, local.own_entry(part_of(here, pieces)));
        if self.uploads.serve_part(local, &have) {
            self.tracker_client.announce(entry.clone());
            self.partial.insert(share, PartialShare { entry, announced_at: Timestamp::ZERO, pieces });
        }
    }

    /// Serves `piece`, which the download into `share` has stored.
    pub(super) fn share_piece(&mut self, share: ShareId, piece: PieceIndex, now: Timestamp) {
        // A content that is served from another file is not served from this one.
        let Some(here) = self.uploads.on_piece(share, piece, now) else {
            return;
        };
        let partial =
            self.partial.get_mut(&share).expect("a content that is served in part has an entry here");
        if let Some(entry) = partial.grow(here, now) {
            self.tracker_client.announce(entry);
        }
    }

    /// Withdraws the partial content of the download into `share`, which is over and not complete.
    pub(super) fn stop_sharing_part(&mut self, share: ShareId, now: Timestamp) {
        // A content that is served from another file, or of which nothing was known yet, is not served from this one.
        let Some(partial) = self.partial.remove(&share) else {
            return;
        };
        self.uploads.withdraw(share, &mut self.shared.context(now));
        let permille = Permille::default();
        self.tracker_client.announce(OwnEntry { withdrawn: true, permille, ..partial.entry });
    }

    pub(super) fn handle_shared(
        &mut self,
        share: ShareId,
        result: Result<(Arc<Outboard>, FileMetadata), DiskError>,
        now: Timestamp,
    ) {
        // The file may have been withdrawn while it was hashed.
        let Some(hashing) = self.hashing.remove(&share) else {
            return;
        };
        match result {
            Ok((outboard, file)) => {
                let (content, name) = (outboard.content(), hashing.name);
                let local = LocalContent { share, content, name, outboard, file };
                // A copy that has lost pieces makes way for a whole one.
                if let Some(worn) = self.uploads.share_with_losses(content) {
                    self.withdraw(worn, None, now);
                }
                if !self.start_serving(local.clone()) {
                    let (name, length) = (local.name.clone(), local.length());
                    self.shared.out.events.push(Event::Shared { share, content, name, length });
                    self.duplicates.insert(share, local);
                }
            }
            Err(error) => self.shared.out.events.push(Event::ShareFailed { share, error }),
        }
    }

    /// Serves and announces `local`, which is complete, unless its content is served already. Returns whether it was
    /// not served before.
    pub(super) fn start_serving(&mut self, local: LocalContent) -> bool {
        let entry = local.own_entry(Permille::COMPLETE);
        let (share, content, name, length) = (local.share, local.content, local.name.clone(), local.length());
        let is_new = self.uploads.serve(local);
        self.partial.remove(&share);
        if is_new {
            self.tracker_client.announce(entry);
            self.shared.out.events.push(Event::Shared { share, content, name, length });
        }
        is_new
    }

    /// Serves `lost` pieces of `share` no longer, because `files` in which they were have changed. Downloaders are told
    /// by the end of their sessions: as they greet this node again, they learn what it still has.
    pub(super) fn withdraw_pieces(
        &mut self,
        share: ShareId,
        lost: &[PieceRun],
        files: Vec<DiskError>,
        now: Timestamp,
    ) {
        let first = || files.first().cloned().expect("pieces are lost because of a file");
        let Some(content) = self.uploads.content_of(share) else {
            // It waits to take the place of another share, for which it has to be whole; or it is withdrawn already.
            if self.duplicates.contains_key(&share) {
                self.withdraw(share, Some(first()), now);
            }
            return;
        };
        let has_other = self.duplicates.values().any(|other| other.content == content);
        let local = self.uploads.lose(share, lost, &mut self.shared.context(now));
        let Some((local, have)) = local.filter(|(_, have)| *have > 0 && !has_other) else {
            return self.withdraw(share, Some(first()), now);
        };
        let pieces = local.outboard.layout().pieces();
        self.tracker_client.announce(local.own_entry(part_of(have, pieces)));
        let name = local.name;
        self.shared.out.events.push(Event::FilesWithdrawn { share, name, files, have, pieces });
    }

    pub(super) fn withdraw(&mut self, share: ShareId, error: Option<DiskError>, now: Timestamp) {
        let cx = &mut self.shared.context(now);
        cx.out.disk.push(DiskRequest::Unshare { share });
        let hashing = self.hashing.remove(&share);
        if let Some(duplicate) = self.duplicates.remove(&share) {
            cx.out.events.push(Event::Unshared { share, content: duplicate.content });
        }
        if let Some(served) = self.uploads.withdraw(share, cx) {
            let length = served.outboard.layout().length();
            let (content, name) = (served.content, served.name);
            let permille = Permille::default();
            self.tracker_client.announce(OwnEntry { content, length, permille, withdrawn: true, name });
            cx.out.events.push(Event::Unshared { share, content });
            let mut same = self.duplicates.extract_if(.., |_, other| other.content == content);
            if let Some((_, duplicate)) = same.next() {
                drop(same);
                self.start_serving(duplicate);
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

/// The share of `here` in `pieces`, as it is announced while the content is being fetched: never complete.
fn part_of(here: u32, pieces: u32) -> Permille {
    Permille::of(here.min(pieces.saturating_sub(1)), pieces)
}
