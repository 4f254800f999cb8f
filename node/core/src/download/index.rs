//! A download that finds out what a content is: it fetches the index of a folder and keeps nothing.

use std::sync::Arc;

use messages::Outboard;
use messages::collection::Collection;
use messages::node_to_node::ByeReason;

use super::lifecycle::{Ending, Identified, Stage};
use super::storage::IDENTIFIED;
use super::{Download, Purpose};
use crate::context::Context;
use crate::disk::{DiskError, DiskRequest};
use crate::event::{Event, Failure, SessionEnd};
use crate::ids::ShareId;

impl Download {
    /// Whether the content is to be at its target in the end, and is served as far as it is here.
    pub(crate) fn keeps_content(&self) -> bool {
        self.order.purpose == Purpose::Content
    }

    /// Has the index read from `share`, under which this node serves all of the content.
    pub(crate) fn read_own_index(&mut self, share: ShareId, outboard: Arc<Outboard>, cx: &mut Context<'_>) {
        if self.lifecycle.sources().is_some_and(|sources| sources.is_empty()) {
            cx.out.disk.push(DiskRequest::ReadIndex { download: self.order.download, share });
            self.lifecycle.open(outboard, None, true);
        }
    }

    /// Handles that the index was read, or cannot be.
    pub(crate) fn handle_index(
        &mut self,
        result: Result<Option<Arc<Collection>>, DiskError>,
        cx: &mut Context<'_>,
    ) {
        // The download may have ended meanwhile.
        let Some(Stage::Opening { .. } | Stage::Finishing(_)) = self.lifecycle.stage() else { return };
        let folder = match result {
            Ok(folder) => folder,
            Err(error) => return self.fail(Failure::Disk(error), cx),
        };
        // `Done` would say that the content is here.
        self.end_all_sessions(SessionEnd::Done, ByeReason::Cancelled, cx);
        self.account(true, cx);
        let Identified { content, name, length, .. } = self.lifecycle.identified().expect(IDENTIFIED).clone();
        let download = self.order.download;
        cx.out.events.push(Event::IndexRead { download, content, name, length, folder });
        self.lifecycle.end(Ending::Selected);
    }
}
