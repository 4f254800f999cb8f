//! Which of many things get a turn: those that were lent to be changed since their last one, and those for which a
//! timer is due. Most downloads and contents of a node wait; those need not be looked at.

use std::collections::{BTreeMap, BTreeSet};

use messages::Timestamp;

use crate::output::Wait;

/// When each thing gets its next turn.
#[derive(Debug)]
pub(crate) struct Agenda<Id> {
    /// What was lent to be changed since its last turn.
    touched: BTreeSet<Id>,
    planned: BTreeMap<Id, Wait>,
    /// What is in `planned`, in the order in which it is due.
    by_time: BTreeSet<(Timestamp, Id)>,
}

impl<Id> Default for Agenda<Id> {
    fn default() -> Agenda<Id> {
        Agenda { touched: BTreeSet::new(), planned: BTreeMap::new(), by_time: BTreeSet::new() }
    }
}

impl<Id: Copy + Ord> Agenda<Id> {
    /// Records that `id` may have changed.
    pub(crate) fn touch(&mut self, id: Id) {
        self.touched.insert(id);
    }

    /// What may have changed since its last turn, in ascending order.
    pub(crate) fn touched(&self) -> Vec<Id> {
        self.touched.iter().copied().collect()
    }

    /// What may have something to do at `now`, in ascending order.
    pub(crate) fn ready(&self, now: Timestamp) -> Vec<Id> {
        let due = self.by_time.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id);
        let mut ready: Vec<Id> = due.chain(self.touched.iter().copied()).collect();
        ready.sort_unstable();
        ready.dedup();
        ready
    }

    /// Records that `id` has had its turn, and that the next one is due as `wait` says.
    pub(crate) fn plan(&mut self, id: Id, wait: Wait) {
        self.forget(id);
        if wait.until < Timestamp::NEVER {
            self.planned.insert(id, wait);
            self.by_time.insert((wait.until, id));
        }
    }

    /// Forgets `id`, which gets no turns any more.
    pub(crate) fn forget(&mut self, id: Id) {
        self.touched.remove(&id);
        if let Some(planned) = self.planned.remove(&id) {
            self.by_time.remove(&(planned.until, id));
        }
    }

    /// When the next planned turn is due.
    pub(crate) fn next(&self) -> Wait {
        let first = self.by_time.first().and_then(|(_, id)| self.planned.get(id));
        first.copied().unwrap_or(Wait::IDLE)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::output::Reason;

    fn at(millis: u64) -> Wait {
        Wait { until: Timestamp::ZERO + Duration::from_millis(millis), reason: Reason::LossTimer }
    }

    #[test]
    fn what_was_touched_or_is_due_gets_a_turn() {
        let mut agenda = Agenda::default();
        assert_eq!(agenda.next(), Wait::IDLE);
        for (id, millis) in [(3, 30), (1, 10), (2, 20)] {
            agenda.touch(id);
            agenda.plan(id, at(millis));
        }
        assert_eq!(agenda.next(), at(10));
        assert_eq!(agenda.ready(at(5).until), []);
        agenda.touch(3);
        assert_eq!((agenda.touched(), agenda.ready(at(5).until)), (vec![3], vec![3]));
        assert_eq!(agenda.ready(at(10).until), [1, 3]);
        agenda.plan(1, Wait::IDLE);
        agenda.plan(3, at(15));
        assert_eq!((agenda.next(), agenda.ready(at(20).until)), (at(15), vec![2, 3]));
        agenda.forget(3);
        assert_eq!((agenda.next(), agenda.ready(at(60).until)), (at(20), vec![2]));
    }
}
