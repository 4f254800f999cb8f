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

/// A second file with a content that is served from the first: it takes over when that is withdrawn.
#[derive(Debug)]
pub(super) struct Spare {
    content: ContentId,
    name: Name,
    manifest: Arc<Manifest>,
}

impl Node {
    pub(super) fn handle_shared(&mut self, share: ShareId, result: Result<Arc<Manifest>, DiskError>) {
        let Some(hashing) = self.hashing.remove(&share) else {
            return;
        };
        match result {
            Ok(manifest) => {
                let (content, name, length) =
                    (manifest.content_id(), hashing.name, manifest.layout().length());
                if !self.start_serving(share, content, name.clone(), manifest.clone()) {
                    self.lent.out.events.push(Event::Shared { share, content, name: name.clone(), length });
                    self.spares.insert(share, Spare { content, name, manifest });
                }
            }
            Err(error) => self.lent.out.events.push(Event::ShareFailed { share, error }),
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
        let fresh = self.owner.serve(share, content, name.clone(), manifest);
        if fresh {
            let permille = Permille::COMPLETE;
            self.announce.own(OwnEntry { content, length, permille, withdrawn: false, name: name.clone() });
            self.lent.out.events.push(Event::Shared { share, content, name, length });
        }
        fresh
    }

    pub(super) fn withdraw(&mut self, share: ShareId, error: Option<DiskError>, now: Timestamp) {
        let cx = &mut self.lent.context(now);
        cx.out.disk.push(DiskRequest::Unshare { share });
        let hashing = self.hashing.remove(&share);
        if let Some(spare) = self.spares.remove(&share) {
            cx.out.events.push(Event::Unshared { share, content: spare.content });
        }
        if let Some(served) = self.owner.withdraw(share, cx) {
            let length = served.manifest.layout().length();
            let (content, name) = (served.content, served.name);
            let permille = Permille::default();
            self.announce.own(OwnEntry { content, length, permille, withdrawn: true, name });
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
            self.lent.out.events.push(Event::ShareFailed { share, error });
        }
    }
}
