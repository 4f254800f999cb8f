//! What is to happen, and when: one heap, and what is of the same instant in the order in which it was added.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use messages::Timestamp;

use super::Happening;

/// One line of the agenda; what is to happen stands in a slot, so that only this moves in the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    at: Timestamp,
    order: u64,
    slot: u32,
}

/// Everything that is to happen.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    lines: BinaryHeap<Reverse<Line>>,
    slots: Vec<Option<Happening>>,
    free: Vec<u32>,
    order: u64,
}

impl Agenda {
    pub(super) fn add(&mut self, at: Timestamp, what: Happening) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("as many as memory holds")
        });
        self.slots[slot as usize] = Some(what);
        self.lines.push(Reverse(Line { at, order: self.order, slot }));
        self.order += 1;
    }

    /// What is next, unless that is after `deadline`.
    pub(super) fn next(&mut self, deadline: Timestamp) -> Option<(Timestamp, Happening)> {
        let Reverse(next) = self.lines.peek().filter(|Reverse(line)| line.at <= deadline)?;
        let (at, slot) = (next.at, next.slot);
        self.lines.pop();
        self.free.push(slot);
        Some((at, self.slots[slot as usize].take().expect("a line of the agenda")))
    }
}
