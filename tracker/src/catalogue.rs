//! What is where: OWN (the file-owner table) and UPDATE (the upload-frequency table).

use messages::node_to_tracker::{Own, OwnEntry, Update};
use messages::tracker_to_node::{Owned, RefusalCode, Updated};
use messages::{ContentId, NodeId, Timestamp};

use crate::credit::shares;
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
        let (owners, claims) = self.creditable(origin, update);
        let taken = self.budgets.take(messages::Host::of(origin.address), claims.iter().sum(), now);
        let window = self.settings.ranking.rate_window;
        for (id, bytes) in owners.into_iter().zip(shares(&claims, taken)) {
            if let Some(owner) = self.nodes.node_mut(id) {
                owner.uploaded.add_whole(bytes, now, window);
            }
        }
        Ok(answer)
    }

    /// Whom `update` may credit and with how many bytes: owners of the content at other hosts than the reporter's, for who
    /// is at one host would praise itself.
    fn creditable(&self, origin: Origin, update: &Update) -> (Vec<NodeId>, Vec<u64>) {
        let host = messages::Host::of;
        let reporter = host(origin.address);
        let is_elsewhere = |id| self.nodes.node(id).is_some_and(|node| host(node.seat().address) != reporter);
        // Nobody can have verified more of a content than there is of it.
        let mut left = self.contents.length(update.content).unwrap_or(0);
        let owners = update
            .credits
            .iter()
            .filter(|credit| self.is_owner(credit.owner, update.content) && is_elsewhere(credit.owner));
        let claims = owners.map(|credit| {
            let bytes = credit.bytes.min(left);
            left -= bytes;
            (credit.owner, bytes)
        });
        claims.unzip()
    }

    /// `id` no longer has `content`.
    pub(crate) fn withdraw(&mut self, id: NodeId, content: ContentId) {
        if self.departed.take(id, content) {
            return self.take_out(id, content);
        }
        let Some(mark) = self.contents.withdraw(id, content) else { return };
        if let Some(node) = self.nodes.node_mut(id) {
            node.owned.unsay(content, mark);
        }
        self.out.events.push(Event::ContentWithdrawn { node: id, content });
    }

    /// Something that the node was asked to say again, and did not, is taken out. Whether there was anything.
    pub(crate) fn withdraw_outdated(&mut self, id: NodeId) -> bool {
        let Some(node) = self.nodes.node_mut(id) else { return false };
        let Some(content) = node.owned.take_outdated() else { return false };
        if let Some(mark) = self.contents.withdraw(id, content) {
            node.owned.unsay(content, mark);
            self.out.events.push(Event::ContentWithdrawn { node: id, content });
        }
        true
    }

    /// `content` goes that a life of `id` had which is over: no other life ever heard of it.
    pub(crate) fn take_out(&mut self, id: NodeId, content: ContentId) {
        if self.contents.withdraw(id, content).is_some() {
            self.out.events.push(Event::ContentWithdrawn { node: id, content });
        }
    }

    fn take(&mut self, id: NodeId, entry: &OwnEntry, now: Timestamp) -> Result<(), NoRoom> {
        if entry.withdrawn {
            self.withdraw(id, entry.content);
            return Ok(());
        }
        if self.departed.take(id, entry.content) {
            self.take_out(id, entry.content);
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
