//! What is where: OWN (the file-owner table) and UPDATE (the upload-frequency table).

use messages::node_to_tracker::{Own, OwnEntry, Update};
use messages::tracker_to_node::{Owned, RefusalCode, Updated};
use messages::{ContentId, NodeId, Timestamp};

use crate::event::Event;
use crate::host::Host;
use crate::tracker::{Answer, Origin, Refusal, Tracker};

/// Which table had no room for an announcement.
enum NoRoom {
    /// The node has as many contents as one node may have.
    Node,
    /// The tracker has as many as it can have.
    Tracker,
}

impl Tracker {
    pub(crate) fn on_own(&mut self, origin: Origin, own: &Own, now: Timestamp) -> Answer {
        let id = own.asker.node;
        self.require_registered(origin, id)?;
        let mut accepted = 0;
        for entry in own.entries.iter() {
            match self.take(id, entry, now) {
                Ok(()) => accepted += 1,
                Err(NoRoom::Tracker) if accepted == 0 => {
                    return Err(Refusal::new(RefusalCode::Full, self.settings.heartbeat));
                }
                Err(NoRoom::Tracker | NoRoom::Node) => break,
            }
        }
        self.counters.owned += 1;
        Ok(Owned { accepted }.into())
    }

    pub(crate) fn on_update(&mut self, origin: Origin, update: &Update, now: Timestamp) -> Answer {
        let reporter = update.asker.node;
        self.require_registered(origin, reporter)?;
        self.counters.updates += 1;
        let answer = Updated { sequence: update.sequence }.into();
        let Some(node) = self.nodes.node_mut(reporter) else { return Ok(answer) };
        if update.sequence <= node.last_update {
            self.counters.repeated_updates += 1;
            return Ok(answer);
        }
        node.last_update = update.sequence;
        // Nobody can have verified more of a content than there is of it.
        let mut creditable = self.contents.length(update.content).unwrap_or(0);
        for credit in update.credits.iter() {
            if credit.owner == reporter || !self.contents.is_owner(credit.owner, update.content) {
                continue;
            }
            let bytes = credit.bytes.min(creditable);
            creditable -= bytes;
            if let Some(owner) = self.nodes.node_mut(credit.owner) {
                owner.uploaded.add_whole(bytes, now, self.settings.ranking.rate_window);
            }
        }
        Ok(answer)
    }

    /// `id` no longer has `content`.
    pub(crate) fn withdraw(&mut self, id: NodeId, content: ContentId) {
        let Some(mark) = self.contents.withdraw(id, content) else { return };
        if let Some(node) = self.nodes.node_mut(id) {
            node.owned.unsay(content, mark);
        }
        self.out.events.push(Event::ContentWithdrawn { node: id, content });
    }

    fn take(&mut self, id: NodeId, entry: &OwnEntry, now: Timestamp) -> Result<(), NoRoom> {
        if entry.withdrawn {
            self.withdraw(id, entry.content);
            return Ok(());
        }
        let Some(node) = self.nodes.node_mut(id) else { return Err(NoRoom::Node) };
        let host = Host::at(node.seat().address.ip());
        // What is free is the most that anybody may have: then many that want all share alike, and who comes late with
        // little still finds room.
        let most = (self.settings.limits.max_contents_per_node as usize).min(self.contents.room().max(1));
        if !node.owned.contains(entry.content) && node.owned.len() >= most {
            return Err(NoRoom::Node);
        }
        let announced = self.contents.announce((id, host), entry, now).map_err(|_| NoRoom::Tracker)?;
        node.owned.say(entry.content, announced.digest_change, now);
        let (content, name) = (entry.content, entry.name.clone());
        match announced.before {
            None => {
                let (length, permille) = (entry.length, entry.permille.value());
                self.out.events.push(Event::ContentAnnounced { node: id, content, name, length, permille });
            }
            Some(before) if !before.is_complete() && entry.permille.is_complete() => {
                self.out.events.push(Event::ContentCompleted { node: id, content, name });
            }
            Some(_) => {}
        }
        Ok(())
    }
}
