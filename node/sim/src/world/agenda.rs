//! What is to happen, and when: what is of the same instant in the order in which it was added.
//!
//! Packets leave a link in the order in which they came to it: each link has a queue, and only the first of each queue stands in the heap, so
//! that the heap is as small as the world has hosts, however much is on its way.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use messages::Timestamp;

use super::Happening;

/// A queue of the agenda.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Queue {
    /// Of what has left this host over its access link.
    Up(usize),
    /// Of what comes to this host over its access link.
    Down(usize),
}

impl Queue {
    fn index(self) -> usize {
        match self {
            Queue::Up(host) => 2 * host,
            Queue::Down(host) => 2 * host + 1,
        }
    }
}

/// Where what is to happen stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Slot(u32),
    Queue(u32),
}

/// One line of the agenda; what is to happen stands elsewhere, so that only this moves in the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    at: Timestamp,
    order: u64,
    place: Place,
}

/// Everything that is to happen.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    lines: BinaryHeap<Reverse<Line>>,
    slots: Vec<Option<Happening>>,
    free: Vec<u32>,
    queues: Vec<VecDeque<(Line, Happening)>>,
    order: u64,
}

impl Agenda {
    pub(super) fn add(&mut self, at: Timestamp, what: Happening) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("as many as memory holds")
        });
        self.slots[slot as usize] = Some(what);
        let line = self.line(at, Place::Slot(slot));
        self.lines.push(Reverse(line));
    }

    /// The same, of what leaves a link: after everything before it, or, where it overtakes, by itself.
    pub(super) fn add_to(&mut self, queue: Queue, at: Timestamp, what: Happening) {
        let index = queue.index();
        if self.queues.len() <= index {
            self.queues.resize_with(index + 1, VecDeque::new);
        }
        let last = self.queues[index].back().map(|(line, _)| line.at);
        if last.is_some_and(|last| at < last) {
            return self.add(at, what);
        }
        let line = self.line(at, Place::Queue(u32::try_from(index).expect("as many as memory holds")));
        if last.is_none() {
            self.lines.push(Reverse(line));
        }
        self.queues[index].push_back((line, what));
    }

    fn line(&mut self, at: Timestamp, place: Place) -> Line {
        self.order += 1;
        Line { at, order: self.order, place }
    }

    /// What is next, unless that is after `deadline`.
    pub(super) fn next(&mut self, deadline: Timestamp) -> Option<(Timestamp, Happening)> {
        let mut first = self.lines.peek_mut().filter(|line| line.0.at <= deadline)?;
        let Line { at, place, .. } = first.0;
        let what = match place {
            Place::Slot(slot) => {
                std::collections::binary_heap::PeekMut::pop(first);
                self.free.push(slot);
                self.slots[slot as usize].take()
            }
            Place::Queue(index) => {
                let queue = &mut self.queues[index as usize];
                let what = queue.pop_front().map(|(_, what)| what);
                match queue.front() {
                    // It takes the place of the one before it: the heap is put in order once.
                    Some((line, _)) => *first = Reverse(*line),
                    None => {
                        std::collections::binary_heap::PeekMut::pop(first);
                    }
                }
                what
            }
        };
        Some((at, what.expect("a line of the agenda")))
    }
}
