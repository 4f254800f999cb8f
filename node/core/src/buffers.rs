//! The driver's piece buffers, as the core accounts for them: numbers and bytes, under one budget.

use std::collections::BTreeMap;

use crate::ids::BufferId;
use crate::output::{BufferChange, Output};

/// The buffers that are lent: piece buffers and hash queue together never hold more than the budget, whatever the
/// files' sizes. One buffer is lent in any case, when no other is.
#[derive(Debug)]
pub(crate) struct Buffers {
    budget: u64,
    /// Bytes that are lent.
    used: u64,
    /// The length of each buffer that is lent.
    lent: BTreeMap<BufferId, u32>,
    next: BufferId,
    /// Whether a buffer was refused since one came back last.
    is_wanted: bool,
    /// Whether a buffer was refused, and none was wanted before, and nobody has taken note of that.
    is_newly_wanted: bool,
    /// Whether a buffer has come back after one was refused, and nobody has taken note of that.
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

    /// A buffer of `length` bytes, or `None` while the budget is used up.
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

    /// Asks for a buffer of `length` bytes; whether [`Buffers::lend`] would lend it. If not, it is wanted from now on.
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

    /// Whether buffers are wanted that were not when this was asked last, once.
    pub(crate) fn take_newly_wanted(&mut self) -> bool {
        std::mem::take(&mut self.is_newly_wanted)
    }

    /// Whether a buffer has come back after one was refused, once.
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
        /// Whatever is lent and given back, once or twice: the pool is the driver's list of buffers, within the budget.
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
