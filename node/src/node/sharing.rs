//! What becomes of a file that a person shares: hashed, served and announced, withdrawn.

use std::path::PathBuf;
use std::sync::Arc;

use messages::node_to_tracker::{OwnEntry, Permille};
use messages::{ContentId, Manifest, Name, Timestamp};

use super::Node;
use crate::disk::{DiskError, DiskErrorKind, DiskRequest};
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

impl Node {
    pub(super) fn handle_shared(&mut self, share: ShareId, result: Result<Arc<Manifest>, DiskError>) {
        let Some(hashing) = self.hashing.remove(&share) else {
            return;
        };
        match result {
            Ok(manifest) => self.start_serving(share, manifest.content_id(), hashing.name, manifest),
            Err(error) => self.lent.out.events.push(Event::ShareFailed { share, error }),
        }
    }

    /// `content` is complete here: it is served and announced. One that is served already stays under its first number.
    pub(super) fn start_serving(
        &mut self,
        share: ShareId,
        content: ContentId,
        name: Name,
        manifest: Arc<Manifest>,
    ) {
        let length = manifest.layout().length();
        let out = &mut self.lent.out;
        if self.owner.serve(share, content, name.clone(), manifest) {
            let permille = Permille::COMPLETE;
            self.announce.own(OwnEntry { content, length, permille, withdrawn: false, name: name.clone() });
        } else {
            out.disk.push(DiskRequest::Unshare { share });
        }
        out.events.push(Event::Shared { share, content, name, length });
    }

    pub(super) fn withdraw(&mut self, share: ShareId, error: Option<DiskError>, now: Timestamp) {
        let cx = &mut self.lent.context(now);
        cx.out.disk.push(DiskRequest::Unshare { share });
        let hashing = self.hashing.remove(&share);
        if let Some(served) = self.owner.withdraw(share, cx) {
            let length = served.manifest.layout().length();
            let (content, name) = (served.content, served.name);
            let permille = Permille::default();
            self.announce.own(OwnEntry { content, length, permille, withdrawn: true, name });
            cx.out.events.push(Event::Unshared { share, content });
        } else if let (Some(hashing), None) = (hashing, &error) {
            let error = DiskError { path: hashing.path, kind: DiskErrorKind::Cancelled };
            cx.out.events.push(Event::ShareFailed { share, error });
        }
        if let Some(error) = error {
            cx.out.events.push(Event::ShareFailed { share, error });
        }
    }
}
