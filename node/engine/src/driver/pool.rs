//! The piece buffers that the core knows by number. Memory that is freed is used again for the next of its size.

use std::collections::BTreeMap;

use riffle_core::{BufferChange, BufferId, PieceBuffers, Placement};

use crate::platform::aligned_bytes::AlignedBytes;

/// The pool keeps at most so many bytes of freed memory: enough that a running download never asks the system again.
const MAX_FREE_BYTES: usize = 32 << 20;

/// The buffers of one node.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    buffers: BTreeMap<BufferId, BufferState>,
    /// Freed memory to use again, by its size, which is a power of two.
    free: BTreeMap<usize, Vec<AlignedBytes>>,
    free_bytes: usize,
}

#[derive(Debug)]
enum BufferState {
    /// The memory is in the pool.
    Here(AlignedBytes),
    /// A worker has the memory.
    Lent,
    /// A worker has the memory, and the core no longer uses the buffer.
    LentAndFreed,
}

impl Pool {
    /// Allocates or frees a buffer.
    pub(crate) fn change(&mut self, change: BufferChange) {
        match change {
            BufferChange::Allocate { buffer, length } => {
                let size = (length as usize).next_power_of_two();
                let memory = match self.free.get_mut(&size).and_then(Vec::pop) {
                    Some(memory) => {
                        self.free_bytes -= size;
                        memory
                    }
                    None => AlignedBytes::zeroed(size),
                };
                self.buffers.insert(buffer, BufferState::Here(memory));
            }
            BufferChange::Free { buffer } => match self.buffers.remove(&buffer) {
                Some(BufferState::Here(memory)) => self.recycle(memory),
                Some(BufferState::Lent | BufferState::LentAndFreed) => {
                    self.buffers.insert(buffer, BufferState::LentAndFreed);
                }
                None => {}
            },
        }
    }

    /// Takes a buffer's memory out of the pool, to be moved to a worker. Empty when the memory is not in the pool.
    pub(crate) fn lend(&mut self, buffer: BufferId) -> AlignedBytes {
        match self.buffers.insert(buffer, BufferState::Lent) {
            Some(BufferState::Here(memory)) => memory,
            other => {
                debug_assert!(false, "{buffer:?} is lent while it is {other:?}");
                AlignedBytes::default()
            }
        }
    }

    /// Puts a buffer's memory back.
    pub(crate) fn put_back(&mut self, buffer: BufferId, memory: AlignedBytes) {
        match self.buffers.remove(&buffer) {
            Some(BufferState::Lent) => {
                self.buffers.insert(buffer, BufferState::Here(memory));
            }
            Some(BufferState::LentAndFreed) => self.recycle(memory),
            Some(BufferState::Here(_)) | None => debug_assert!(false, "{buffer:?} was not lent"),
        }
    }

    fn recycle(&mut self, memory: AlignedBytes) {
        let size = memory.len();
        if size.is_power_of_two() && self.free_bytes + size <= MAX_FREE_BYTES {
            self.free_bytes += size;
            self.free.entry(size).or_default().push(memory);
        }
    }
}

impl PieceBuffers for Pool {
    fn room(&mut self, place: Placement, before: usize, length: usize) -> Option<&mut [u8]> {
        let Some(BufferState::Here(memory)) = self.buffers.get_mut(&place.buffer) else { return None };
        let at = place.offset as usize;
        memory.get_mut(at.checked_sub(before)?..at + length)
    }

    fn write(&mut self, place: Placement, payload: &[u8]) {
        match self.room(place, 0, payload.len()) {
            Some(room) => room.copy_from_slice(payload),
            None => debug_assert!(false, "{place:?} has no room for {} bytes", payload.len()),
        }
    }

    fn copy(&mut self, from: Placement, to: Placement, length: usize) {
        let bytes = self.room(from, 0, length).map(|room| room.to_vec());
        bytes.into_iter().for_each(|bytes| self.write(to, &bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: BufferId = BufferId(1);

    fn allocate(pool: &mut Pool, buffer: BufferId, length: u32) {
        pool.change(BufferChange::Allocate { buffer, length });
    }

    #[test]
    fn payloads_stand_where_they_were_placed_and_survive_a_loan() {
        let mut pool = Pool::default();
        allocate(&mut pool, FIRST, 10);
        pool.write(Placement { buffer: FIRST, offset: 4 }, b"later");
        pool.write(Placement { buffer: FIRST, offset: 0 }, b"now ");
        let memory = pool.lend(FIRST);
        assert_eq!(&memory[..9], b"now later");
        pool.put_back(FIRST, memory);
        assert_eq!(&pool.lend(FIRST)[..9], b"now later");
    }

    #[test]
    fn there_is_room_in_what_is_here_and_what_was_written_elsewhere_is_copied_to_its_place() {
        let mut pool = Pool::default();
        allocate(&mut pool, FIRST, 16);
        allocate(&mut pool, BufferId(2), 16);
        let at = |offset| Placement { buffer: FIRST, offset };
        pool.write(at(0), b"before, text");
        assert_eq!(pool.room(at(8), 8, 4).map(|room| &*room), Some(&b"before, text"[..]));
        assert!(pool.room(at(7), 8, 4).is_none(), "nothing stands before it");
        assert!(pool.room(at(8), 0, 9).is_none(), "nothing stands behind it");
        pool.copy(at(8), Placement { buffer: BufferId(2), offset: 3 }, 4);
        assert_eq!(&pool.lend(BufferId(2))[3..7], b"text");
        assert!(pool.room(Placement { buffer: BufferId(2), offset: 3 }, 0, 4).is_none(), "it is away");
    }

    #[test]
    fn freed_memory_is_used_again_for_its_size_only() {
        let mut pool = Pool::default();
        allocate(&mut pool, FIRST, 1000);
        let memory = pool.lend(FIRST);
        let address = memory.as_ptr();
        pool.put_back(FIRST, memory);
        pool.change(BufferChange::Free { buffer: FIRST });
        assert_eq!(pool.free_bytes, 1024);
        allocate(&mut pool, BufferId(2), 5000);
        assert_eq!(pool.free_bytes, 1024, "another size");
        allocate(&mut pool, BufferId(3), 600);
        let again = pool.lend(BufferId(3));
        assert_eq!(again.as_ptr(), address);
        assert_eq!(pool.free_bytes, 0);
    }

    #[test]
    fn a_buffer_that_is_freed_while_it_is_away_is_recycled_when_it_comes_back() {
        let mut pool = Pool::default();
        allocate(&mut pool, FIRST, 1024);
        let memory = pool.lend(FIRST);
        pool.change(BufferChange::Free { buffer: FIRST });
        assert_eq!(pool.free_bytes, 0);
        pool.put_back(FIRST, memory);
        assert_eq!((pool.free_bytes, pool.buffers.len()), (1024, 0));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut pool = Pool::default();
        for number in 0..20 {
            allocate(&mut pool, BufferId(number), 8 << 20);
        }
        for number in 0..20 {
            pool.change(BufferChange::Free { buffer: BufferId(number) });
        }
        assert_eq!(pool.free_bytes, MAX_FREE_BYTES);
    }
}
