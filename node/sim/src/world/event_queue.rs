//! The events to come, in the order of their instants; those of the same instant in the order in which they were added.
//!
//! Packets leave a link in the order in which they came to it. So each link has a queue, and only the first event of
//! each queue stands in the heap: the heap is as small as the world has hosts, however many packets are on their way.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use messages::Timestamp;

use super::sim_event::SimEvent;

/// The queue of one link and direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LinkQueue {
    /// What has left this host over its access link.
    Up(usize),
    /// What comes to this host over its access link.
    Down(usize),
}

impl LinkQueue {
    fn index(self) -> usize {
        match self {
            LinkQueue::Up(host) => 2 * host,
            LinkQueue::Down(host) => 2 * host + 1,
        }
    }
}

/// Where the event of an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Location {
    Slot(u32),
    Queue(u32),
}

/// One entry of the heap; its event stands elsewhere, so that only this moves in the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Timestamp,
    order: u64,
    location: Location,
}

/// All events to come.
#[derive(Debug, Default)]
pub(super) struct EventQueue {
    heap: BinaryHeap<Reverse<Entry>>,
    slots: Vec<Option<SimEvent>>,
    free: Vec<u32>,
    queues: Vec<VecDeque<(Entry, SimEvent)>>,
    order: u64,
}

impl EventQueue {
    /// Adds an event.
    pub(super) fn add(&mut self, at: Timestamp, what: SimEvent) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("as many as memory holds")
        });
        self.slots[slot as usize] = Some(what);
        let entry = self.entry(at, Location::Slot(slot));
        self.heap.push(Reverse(entry));
    }

    /// Adds an event of a link: behind the events before it in that queue, or by itself where it overtakes them.
    pub(super) fn add_to(&mut self, queue: LinkQueue, at: Timestamp, what: SimEvent) {
        let index = queue.index();
        if self.queues.len() <= index {
            self.queues.resize_with(index + 1, VecDeque::new);
        }
        let last = self.queues[index].back().map(|(entry, _)| entry.at);
        if last.is_some_and(|last| at < last) {
            return self.add(at, what);
        }
        let entry = self.entry(at, Location::Queue(u32::try_from(index).expect("as many as memory holds")));
        if last.is_none() {
            self.heap.push(Reverse(entry));
        }
        self.queues[index].push_back((entry, what));
    }

    fn entry(&mut self, at: Timestamp, location: Location) -> Entry {
        self.order += 1;
        Entry { at, order: self.order, location }
    }

    /// Takes the next event, unless it comes after `deadline`.
    pub(super) fn next(&mut self, deadline: Timestamp) -> Option<(Timestamp, SimEvent)> {
        let mut first = self.heap.peek_mut().filter(|entry| entry.0.at <= deadline)?;
        let Entry { at, location, .. } = first.0;
        let what = match location {
            Location::Slot(slot) => {
                std::collections::binary_heap::PeekMut::pop(first);
                self.free.push(slot);
                self.slots[slot as usize].take()
            }
            Location::Queue(index) => {
                let queue = &mut self.queues[index as usize];
                let what = queue.pop_front().map(|(_, what)| what);
                match queue.front() {
                    // It takes the position of the one before it, so that the heap is put in order once.
                    Some((entry, _)) => *first = Reverse(*entry),
                    None => {
                        std::collections::binary_heap::PeekMut::pop(first);
                    }
                }
                what
            }
        };
        Some((at, what.expect("the event of an entry stands where the entry says")))
    }
}
