//! The driver's piece buffers, of which the core keeps account: their numbers and sizes, under one budget.

use std::collections::BTreeMap;

use crate::ids::BufferId;
use crate::output::{BufferChange, Output};

/// The buffers that are lent. Piece buffers and hash queue together never hold more than the budget, whatever the sizes
/// of the files. One buffer is lent in any case, when no other is.
#[derive(Debug)]
pub(crate) struct Buffers {
    budget: u64,
    /// The number of bytes that are lent.
    used: u64,
    /// The length of each buffer that is lent.
    lent: BTreeMap<BufferId, u32>,
    next: BufferId,
    /// Whether a buffer was refused, and none has come back since.
    is_wanted: bool,
    /// Whether a buffer was refused while none was wanted before, since [`Buffers::take_newly_wanted`].
    is_newly_wanted: bool,
    /// Whether a buffer has come back after one was refused, since [`Buffers::take_freed`].
    was_freed: bool,
}

impl Buffers {
    /// A pool of `budget` bytes.
    pub(crate) fn new(budget: u64) -> Buffers {
        Buffers {
            budget,
            used: 0,
            lent: BTreeMap::new(),
            next: BufferId(0),
            is_wanted: false,
            is_newly_wanted: false,
            was_freed: false,
        }
    }

    /// Lends a buffer of `length` bytes; `None` while the budget is used up.
    pub(crate) fn lend(&mut self, length: u32, out: &mut Output) -> Option<BufferId> {
        if !self.request(length) {
            return None;
        }
        let buffer = self.next;
        self.next = BufferId(buffer.0.wrapping_add(1));
        self.used += u64::from(length);
        self.lent.insert(buffer, length);
        out.buffers.push(BufferChange::Allocate { buffer, length });
        Some(buffer)
    }

    /// Asks for a buffer of `length` bytes. Returns whether [`Buffers::lend`] would lend it; if not, it is wanted from
    /// now on.
    pub(crate) fn request(&mut self, length: u32) -> bool {
        let is_within = self.used + u64::from(length) <= self.budget || self.lent.is_empty();
        self.is_newly_wanted |= !is_within && !self.is_wanted;
        self.is_wanted |= !is_within;
        is_within
    }

    /// Whether a buffer was refused, and none has come back since.
    pub(crate) fn are_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Whether buffers have become wanted since the last call.
    pub(crate) fn take_newly_wanted(&mut self) -> bool {
        std::mem::take(&mut self.is_newly_wanted)
    }

    /// Whether a buffer has come back, after one was refused, since the last call.
    pub(crate) fn take_freed(&mut self) -> bool {
        std::mem::take(&mut self.was_freed)
    }

    /// Takes a buffer back, if it is lent.
    pub(crate) fn give_back(&mut self, buffer: BufferId, out: &mut Output) {
        if let Some(length) = self.lent.remove(&buffer) {
            self.used -= u64::from(length);
            self.was_freed |= std::mem::take(&mut self.is_wanted);
            out.buffers.push(BufferChange::Free { buffer });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_budget_bounds_what_is_lent() {
        let (mut buffers, mut out) = (Buffers::new(100), Output::default());
        let first = buffers.lend(60, &mut out).expect("within the budget");
        assert_eq!(buffers.lend(60, &mut out), None);
        let second = buffers.lend(40, &mut out).expect("within the budget");
        buffers.give_back(first, &mut out);
        buffers.give_back(first, &mut out);
        assert!(buffers.lend(60, &mut out).is_some());
        buffers.give_back(second, &mut out);
        assert_eq!(out.buffers.len(), 5);
    }

    #[test]
    fn one_buffer_is_lent_even_when_it_is_larger_than_the_budget() {
        let (mut buffers, mut out) = (Buffers::new(100), Output::default());
        let large = buffers.lend(500, &mut out).expect("the only one");
        assert_eq!(buffers.lend(1, &mut out), None);
        buffers.give_back(large, &mut out);
        assert!(buffers.lend(1, &mut out).is_some());
    }

    proptest! {
        /// The pool always matches the driver's list of buffers and stays within the budget, whatever is lent and given
        /// back, once or twice.
        #[test]
        fn the_drivers_pool_is_what_is_lent(steps in prop::collection::vec((any::<bool>(), 0u32..80), 0..200)) {
            let (mut buffers, mut out) = (Buffers::new(200), Output::default());
            let mut pool: BTreeMap<BufferId, u32> = BTreeMap::new();
            for (lends, size) in steps {
                let before: u64 = pool.values().map(|&length| u64::from(length)).sum();
                if lends {
                    let is_within = before + u64::from(size) <= 200 || pool.is_empty();
                    prop_assert_eq!(buffers.lend(size, &mut out).is_some(), is_within);
                } else {
                    buffers.give_back(BufferId(size), &mut out);
                }
                for change in out.buffers.drain(..) {
                    match change {
                        BufferChange::Allocate { buffer, length } => {
                            prop_assert_eq!(pool.insert(buffer, length), None);
                        }
                        BufferChange::Free { buffer } => prop_assert!(pool.remove(&buffer).is_some()),
                    }
                }
                prop_assert_eq!(&buffers.lent, &pool);
                prop_assert_eq!(buffers.used, pool.values().map(|&length| u64::from(length)).sum::<u64>());
            }
        }
    }
}
