//! Counts what each thread asks of the heap and what it still holds: the global allocator of tests that bound memory.
//! Shared by several test binaries, each of which uses a part.
#![allow(dead_code, reason = "each test binary counts what it bounds")]
#![expect(
    unsafe_code,
    reason = "counting what is allocated takes a global allocator, which is unsafe to implement"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread has asked for; plain cells, so that counting does not itself allocate.
    static ASKED_FOR: Cell<usize> = const { Cell::new(0) };
    /// Bytes that this thread has asked for and not given back. What another thread gives back is not seen here.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// How often this thread has asked for something or given something back.
    static CALLS: Cell<usize> = const { Cell::new(0) };
    /// The most that was held since somebody looked.
    static MAX_HELD: Cell<isize> = const { Cell::new(0) };
}

/// Bytes that this thread has asked for so far, those given back among them.
pub(crate) fn asked_for() -> usize {
    ASKED_FOR.get()
}

/// Bytes that this thread holds.
pub(crate) fn held() -> isize {
    HELD.get()
}

/// How often this thread has asked for something or given something back so far.
pub(crate) fn calls() -> usize {
    CALLS.get()
}

/// What `act` gives, and the most bytes that were held at any moment of it beyond what was held before.
pub(crate) fn peak_of<T>(act: impl FnOnce() -> T) -> (T, isize) {
    let before = HELD.get();
    MAX_HELD.set(before);
    let result = act();
    (result, MAX_HELD.get() - before)
}

/// The system's allocator, counting what each thread asks for and gives back.
struct Counting;

// SAFETY: every method hands its arguments on to `System` as they came and returns what `System` returned, so each
// keeps exactly the promises that `System` keeps. Counting touches only constant-initialised cells of this thread that
// need no drop: it neither allocates nor unwinds, and `try_with` does nothing when the thread is ending.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: the caller's promises about `layout` are the ones that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(layout.size(), 0);
        // SAFETY: `block` came from `System`, as all blocks here do, with this `layout`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(layout.size(), new_size);
        // SAFETY: `block` came from `System` with this `layout`, and the caller vouches for `new_size`.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(given_back: usize, taken: usize) {
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
    let _ = ASKED_FOR.try_with(|asked_for| asked_for.set(asked_for.get() + taken));
    let _ = HELD.try_with(|held| {
        held.set(held.get() + taken.cast_signed() - given_back.cast_signed());
        let _ = MAX_HELD.try_with(|most| most.set(most.get().max(held.get())));
    });
}
