//! All contents that are served, and which of them have something to do.

use std::collections::BTreeMap;
use std::ops::Index;

use messages::{ContentId, PieceIndex, PieceRun, Timestamp};

use super::served_content::ServedContent;
use crate::agenda::Agenda;
use crate::ids::ShareId;
use crate::local_content::LocalContent;
use crate::output::{Reason, Wait};

/// The contents, by share and by content.
#[derive(Debug, Default)]
pub(super) struct Contents {
    served: BTreeMap<ShareId, ServedContent>,
    /// The share of each content with which sessions may begin.
    by_content: BTreeMap<ContentId, ShareId>,
    /// When the contents have news, or slots to give.
    agenda: Agenda<ShareId>,
}

impl Contents {
    /// Serves all of `local` from now on. Returns whether `local` was not served before.
    pub(super) fn serve(&mut self, local: LocalContent) -> bool {
        let LocalContent { share, content, name, outboard, file } = local;
        match self.by_content.get(&content) {
            None => {
                self.by_content.insert(content, share);
                let whole = ServedContent::whole((content, file), name, outboard);
                self.served.insert(share, whole);
                true
            }
            // The content was already served while it was downloaded.
            Some(&of) if of == share => {
                let served = self.served.get_mut(&share).filter(|served| served.is_growing());
                served.map(|served| served.complete(file)).is_some()
            }
            Some(_) => false,
        }
    }

    /// Serves the pieces in `have` of `local` from now on, and others as they come. Returns whether `local` was not
    /// served before.
    pub(super) fn serve_part(&mut self, local: LocalContent, have: &[PieceRun]) -> bool {
        let LocalContent { share, content, name, outboard, file: _ } = local;
        if self.by_content.contains_key(&content) {
            return false;
        }
        self.by_content.insert(content, share);
        self.served.insert(share, ServedContent::part(content, name, outboard, have));
        true
    }

    /// Records that `piece` of the content that is served from `share` is here now. Returns how many of its pieces are
    /// here, if the content is served from there and not complete.
    pub(super) fn on_piece(&mut self, share: ShareId, piece: PieceIndex, now: Timestamp) -> Option<u32> {
        let served = self.served.get_mut(&share).filter(|served| served.is_growing())?;
        served.add(piece, now);
        self.agenda.touch(share);
        Some(served.pieces())
    }

    /// Stops serving `share`. Returns what was served from it.
    pub(super) fn withdraw(&mut self, share: ShareId) -> Option<ServedContent> {
        let served = self.served.remove(&share)?;
        self.by_content.remove(&served.content);
        self.agenda.forget(share);
        Some(served)
    }

    /// Lets no more sessions begin.
    pub(super) fn close(&mut self) {
        self.by_content.clear();
    }

    /// All contents that are served, with their shares.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ShareId, &ServedContent)> {
        self.served.iter().map(|(&share, served)| (share, served))
    }

    /// The share from which `content` is served.
    pub(super) fn share_of(&self, content: ContentId) -> Option<ShareId> {
        self.by_content.get(&content).copied()
    }

    /// The content that is served from `share`.
    pub(super) fn get(&self, share: ShareId) -> Option<&ServedContent> {
        self.served.get(&share)
    }

    /// The content that is served from `share`, to change. It has a turn the next time.
    pub(super) fn get_mut(&mut self, share: ShareId) -> Option<&mut ServedContent> {
        let served = self.served.get_mut(&share)?;
        self.agenda.touch(share);
        Some(served)
    }

    /// The contents that may have something to do at `now`.
    pub(super) fn ready(&self, now: Timestamp) -> Vec<ShareId> {
        self.agenda.ready(now)
    }

    /// Records that the content of `share` has done what was due.
    pub(super) fn settle(&mut self, share: ShareId, now: Timestamp) {
        let due = self.served.get(&share).map_or(Timestamp::NEVER, |served| served.next_due(now));
        self.agenda.plan(share, Wait { until: due, reason: Reason::Rechoke });
    }

    /// When a content has something to do next.
    pub(super) fn next_due(&self) -> Wait {
        self.agenda.next()
    }
}

impl Index<ShareId> for Contents {
    type Output = ServedContent;

    /// The content that is served from `share`, for which there must be a session.
    fn index(&self, share: ShareId) -> &ServedContent {
        self.get(share).expect("a content that is withdrawn ends its sessions first")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use messages::{FileMetadata, Layout, Name, Outboard};

    use super::*;

    #[test]
    fn a_content_that_was_lent_to_be_changed_is_ready_and_then_when_it_is_due() {
        let outboard = Arc::new(Outboard::imagined(Layout::of(300_000).expect("two pieces"), "test"));
        let (share, content) = (ShareId(1), ContentId::from_bytes([1; 32]));
        let (name, file) = (Name::new("a").expect("a name"), FileMetadata::default());
        let local = LocalContent { share, content, name, outboard, file };
        let (mut contents, now) = (Contents::default(), Timestamp::ZERO);
        assert!(contents.serve_part(local.clone(), &[]));
        assert!(contents.get(share).is_some() && contents.ready(now).is_empty());
        assert!(contents.get_mut(share).is_some() && contents.ready(now) == [share]);
        contents.settle(share, now);
        assert_eq!(contents.next_due(), Wait::IDLE);
        assert!(contents.ready(now).is_empty());
        assert_eq!(contents.on_piece(share, PieceIndex(0), now), Some(1));
        contents.settle(share, now);
        let due = contents.next_due().until;
        assert!(now < due && contents.ready(now).is_empty() && contents.ready(due) == [share]);
        assert!(contents.serve(local.clone()), "it is complete");
        assert!(!contents.serve(LocalContent { share: ShareId(2), ..local }), "it is served already");
        assert_eq!(contents.on_piece(share, PieceIndex(1), now), None);
        assert!(contents.withdraw(share).is_some() && contents.ready(due).is_empty());
        assert_eq!(contents.share_of(content), None);
    }
}
