//! The handling of OWN (the file-owner table) and of UPDATE (the upload-frequency table).

use messages::node_to_tracker::{Own, OwnEntry, Update};
use messages::tracker_to_node::{Owned, RefusalCode, Updated};
use messages::{ContentId, NodeId, Timestamp};

use crate::credit::shares;
use crate::event::Event;
use crate::host_key::HostKey;
use crate::request::{Answer, Origin, Refusal};
use crate::tracker::Tracker;

/// Which limit an announcement has met.
enum LimitReached {
    /// The node has as many contents as one node may have.
    OfNode,
    /// The tracker has as many announcements as it may have.
    OfTracker,
}

impl Tracker {
    pub(crate) fn on_own(&mut self, origin: Origin, own: &Own, now: Timestamp) -> Answer {
        let id = own.asker.node;
        self.require_registered(origin, id)?;
        let mut accepted = 0;
        for entry in own.entries.iter() {
            match self.accept(id, entry, now) {
                Ok(()) => accepted += 1,
                Err(LimitReached::OfTracker) if accepted == 0 => {
                    return Err(Refusal::new(RefusalCode::Full, self.settings.heartbeat));
                }
                Err(LimitReached::OfTracker | LimitReached::OfNode) => break,
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
        let node = self.nodes.node_mut(reporter).expect("the reporter is registered");
        if update.sequence <= node.last_update {
            self.counters.repeated_updates += 1;
            return Ok(answer);
        }
        node.last_update = update.sequence;
        let (owners, reported) = self.creditable(origin, update);
        let taken = self.budgets.take(messages::Host::of(origin.address), reported.iter().sum(), now);
        let window = self.settings.ranking.rate_window;
        for (id, bytes) in owners.into_iter().zip(shares(&reported, taken)) {
            let owner = self.nodes.node_mut(id).expect("only registered owners are credited");
            owner.uploaded.add_whole(bytes, now, window);
        }
        Ok(answer)
    }

    /// Whom `update` may credit, and with how many bytes: owners of the content at other hosts than the reporter's,
    /// since one host would praise itself.
    fn creditable(&self, origin: Origin, update: &Update) -> (Vec<NodeId>, Vec<u64>) {
        let host = messages::Host::of;
        let reporter = host(origin.address);
        let is_elsewhere =
            |id| self.nodes.node(id).is_some_and(|node| host(node.registration().address) != reporter);
        // Nobody can have verified more of a content than there is of it.
        let mut left = self.contents.length(update.content).unwrap_or(0);
        let owners = update
            .credits
            .iter()
            .filter(|credit| self.is_owner(credit.owner, update.content) && is_elsewhere(credit.owner));
        let reported = owners.map(|credit| {
            let bytes = credit.bytes.min(left);
            left -= bytes;
            (credit.owner, bytes)
        });
        reported.unzip()
    }

    /// Takes `content` out of what `id` owns.
    pub(crate) fn withdraw(&mut self, id: NodeId, content: ContentId) {
        if self.departed.take(id, content) {
            return self.remove_departed(id, content);
        }
        let Some(mark) = self.contents.withdraw(id, content) else { return };
        if let Some(node) = self.nodes.node_mut(id) {
            node.owned.withdraw(content, mark);
        }
        self.out.events.push(Event::ContentWithdrawn { node: id, content });
    }

    /// Takes out a content that the node was asked to announce again and did not. Returns whether there was one; of a
    /// node that is gone there is none.
    pub(crate) fn withdraw_outdated(&mut self, id: NodeId) -> bool {
        let Some(node) = self.nodes.node_mut(id) else { return false };
        let Some(content) = node.owned.take_outdated() else { return false };
        if let Some(mark) = self.contents.withdraw(id, content) {
            node.owned.withdraw(content, mark);
            self.out.events.push(Event::ContentWithdrawn { node: id, content });
        }
        true
    }

    /// Takes out a content that a departed life of `id` had: no other life ever heard of it.
    pub(crate) fn remove_departed(&mut self, id: NodeId, content: ContentId) {
        if self.contents.withdraw(id, content).is_some() {
            self.out.events.push(Event::ContentWithdrawn { node: id, content });
        }
    }

    /// Carries out one entry of an OWN.
    fn accept(&mut self, id: NodeId, entry: &OwnEntry, now: Timestamp) -> Result<(), LimitReached> {
        if entry.withdrawn {
            self.withdraw(id, entry.content);
            return Ok(());
        }
        if self.departed.take(id, entry.content) {
            self.remove_departed(id, entry.content);
        }
        let node = self.nodes.node_mut(id).expect("only a registered node announces");
        let host = HostKey::at(node.registration().address.ip());
        // No node may have more announcements than are free. So nodes that announce without bound get equal shares, and
        // a late node with few contents still finds space.
        let limit = (self.settings.limits.max_contents_per_node as usize)
            .min(self.contents.free_announcements().max(1));
        if !node.owned.contains(entry.content) && node.owned.len() >= limit {
            return Err(LimitReached::OfNode);
        }
        let announced =
            self.contents.announce((id, host), entry, now).map_err(|_| LimitReached::OfTracker)?;
        node.owned.announce(entry.content, announced.digest_change, now);
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
