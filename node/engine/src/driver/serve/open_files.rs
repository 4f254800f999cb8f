//! The set of shared files that are open, which has a maximum size. This part knows numbers only, no files.
//!
//! The least recently used file is closed first (LRU). Uses are numbered; the order is put right only when somebody
//! has to go, so that a burst costs no more than noting a number.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use riffle_core::ShareId;

/// Open shared files, and those that are to be opened.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    max_open: usize,
    /// The open files, each under the number of one of its uses, which need not be the last.
    order: BTreeMap<u64, ShareId>,
    use_of: BTreeMap<ShareId, u64>,
    uses: u64,
    /// The files that a worker is opening.
    opening: BTreeSet<ShareId>,
    /// The files that bursts wait for, in the order in which the waiting began.
    wanted: VecDeque<ShareId>,
    is_wanted: BTreeSet<ShareId>,
}

impl OpenFiles {
    /// Nothing is open, and never more than `max_open` will be.
    pub(crate) fn new(max_open: usize) -> OpenFiles {
        OpenFiles {
            max_open: max_open.max(1),
            order: BTreeMap::new(),
            use_of: BTreeMap::new(),
            uses: 0,
            opening: BTreeSet::new(),
            wanted: VecDeque::new(),
            is_wanted: BTreeSet::new(),
        }
    }

    /// The number of files that are open or being opened.
    pub(crate) fn count(&self) -> usize {
        self.order.len() + self.opening.len()
    }

    /// The number of files that have to be closed for the maximum to hold.
    pub(crate) fn too_many(&self) -> usize {
        self.count().saturating_sub(self.max_open)
    }

    /// Notes that a file is open.
    pub(crate) fn opened(&mut self, share: ShareId) {
        self.gone(share);
        let used = self.number_use();
        self.put(share, used);
    }

    /// A number for a use of a file, larger than all before.
    pub(crate) fn number_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    fn put(&mut self, share: ShareId, used: u64) {
        self.order.insert(used, share);
        self.use_of.insert(share, used);
    }

    /// Notes that a file is neither open nor being opened.
    pub(crate) fn gone(&mut self, share: ShareId) {
        self.opening.remove(&share);
        if let Some(used_at) = self.use_of.remove(&share) {
            self.order.remove(&used_at);
        }
    }

    /// Notes that a burst waits for a file.
    pub(crate) fn want(&mut self, share: ShareId) {
        let known = self.use_of.contains_key(&share) || self.opening.contains(&share);
        if !known && self.is_wanted.insert(share) {
            self.wanted.push_back(share);
        }
    }

    /// Lowers the maximum to what is open now, because the system opens no more.
    pub(crate) fn retreat(&mut self) {
        self.max_open = self.count().max(1);
    }

    /// Takes the next file to open, when one more may be open.
    pub(crate) fn next_to_open(&mut self) -> Option<ShareId> {
        if self.count() >= self.max_open {
            return None;
        }
        let share = self.wanted.pop_front()?;
        self.is_wanted.remove(&share);
        self.opening.insert(share);
        Some(share)
    }

    /// Whether a burst waits for a file while no more may be open.
    pub(crate) fn is_short(&self) -> bool {
        !self.wanted.is_empty() && self.count() >= self.max_open
    }

    /// The next to close, if there is one that may be: `last_use` says the number of a file's last use, and nothing of
    /// one that has to stay.
    pub(crate) fn next_to_close(
        &mut self,
        mut last_use: impl FnMut(ShareId) -> Option<u64>,
    ) -> Option<ShareId> {
        let mut stay = Vec::new();
        let mut closed = None;
        while let Some((used_at, share)) = self.order.pop_first() {
            match last_use(share) {
                None => stay.push((used_at, share)),
                // Later than those that were used less lately; met again there.
                Some(used) if used > used_at => self.put(share, used),
                Some(_) => {
                    self.use_of.remove(&share);
                    closed = Some(share);
                    break;
                }
            }
        }
        self.order.extend(stay);
        closed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_was_not_used_for_the_longest_time_goes_first() {
        let mut files = OpenFiles::new(4);
        (0..4).for_each(|share| files.opened(ShareId(share)));
        let used: BTreeMap<_, _> = [2, 0].map(|share| (ShareId(share), files.number_use())).into();
        let last_use = |share: ShareId| Some(used.get(&share).copied().unwrap_or(0));
        let but_one = |share| last_use(share).filter(|_| share != ShareId(1));
        assert_eq!(files.next_to_close(but_one), Some(ShareId(3)), "1 has to stay");
        let order = [(); 4].map(|()| files.next_to_close(last_use));
        assert_eq!(order, [Some(ShareId(1)), Some(ShareId(2)), Some(ShareId(0)), None]);
        files.opened(ShareId(7));
        assert_eq!(files.next_to_close(|_| None), None, "all are needed");
        assert_eq!(files.count(), 1);
    }

    #[test]
    fn a_system_that_opens_no_more_is_not_asked_for_more() {
        let mut files = OpenFiles::new(10);
        files.opened(ShareId(1));
        files.want(ShareId(2));
        assert_eq!(files.next_to_open(), Some(ShareId(2)));
        files.gone(ShareId(2));
        files.retreat();
        files.want(ShareId(2));
        assert!(files.is_short() && files.next_to_open().is_none());
        assert_eq!(files.next_to_close(|_| Some(0)), Some(ShareId(1)));
        assert_eq!(files.next_to_open(), Some(ShareId(2)));
    }

    proptest! {
        #[test]
        fn never_more_are_open_than_may_be_and_who_waits_is_opened_in_turn(
            max_open in 1usize..6,
            steps in proptest::collection::vec((0u8..4, 0u32..12), 1..200),
        ) {
            let mut files = OpenFiles::new(max_open);
            let (mut open, mut opening) = (BTreeSet::new(), VecDeque::new());
            let mut waiting: VecDeque<u32> = VecDeque::new();
            for (step, number) in steps {
                let share = ShareId(number);
                match step {
                    0 => {
                        files.want(share);
                        if !open.contains(&number) && !opening.contains(&number) && !waiting.contains(&number) {
                            waiting.push_back(number);
                        }
                    }
                    1 => if let Some(number) = opening.pop_front() {
                        files.opened(ShareId(number));
                        open.insert(number);
                    },
                    2 => if let Some(closed) = files.next_to_close(|_| Some(0)) {
                        prop_assert!(open.remove(&closed.0));
                    },
                    _ => while let Some(next) = files.next_to_open() {
                        prop_assert_eq!(waiting.pop_front(), Some(next.0));
                        opening.push_back(next.0);
                    },
                }
                prop_assert_eq!(files.count(), open.len() + opening.len());
                prop_assert!(files.count() <= max_open && files.too_many() == 0);
                prop_assert_eq!(files.is_short(), !waiting.is_empty() && files.count() == max_open);
            }
        }
    }
}
