//! What a download takes of what the tracker lists.

use messages::Name;
use messages::tracker_to_node::Listed;

use super::manifest_fetch::ManifestSources;
use super::{Describing, Download, Phase};
use crate::choice::{Choice, choose};
use crate::command::Wanted;
use crate::context::Context;
use crate::event::{Event, Failure};
use crate::status::Holders;

impl Download {
    /// Takes the one content of `found` that is wanted, if it is clear which that is; `more`: the tracker has others besides. Whether it did.
    pub(super) fn choose(&mut self, found: &[Listed], more: bool, cx: &mut Context<'_>) -> bool {
        let known = self.content.map(Wanted::Content);
        match choose(known.as_ref().unwrap_or(&self.order.wanted), found) {
            Choice::Nothing => false,
            Choice::Only(only) => {
                self.take(only, cx);
                true
            }
            Choice::Before(taken, others) => {
                let others = others.into_iter().cloned().collect();
                let (download, of) = (self.id, taken.clone());
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
        self.holders = Some(Holders { complete: chosen.complete, partial: chosen.partial });
        if self.name.is_some() {
            return;
        }
        let name = match &self.order.wanted {
            Wanted::Name(name, _) | Wanted::Newest(name) => name.clone(),
            // By whatever name most hosts know it, it is called so by somebody.
            Wanted::Digits(digits) if !digits.begin(chosen.content) => {
                Name::new(digits.as_str()).unwrap_or_else(|_| chosen.name.clone())
            }
            Wanted::Digits(_) | Wanted::Content(_) => chosen.name.clone(),
        };
        let (download, content, length) = (self.id, chosen.content, chosen.length);
        (self.name, self.content, self.length) = (Some(name.clone()), Some(content), Some(length));
        self.phase = Phase::Describing(Describing::From(ManifestSources::default()));
        // Waiting for somebody to share it has a patience of its own.
        self.progress_at = cx.now;
        cx.out.events.push(Event::DownloadIdentified { download, content, name, length });
    }
}
