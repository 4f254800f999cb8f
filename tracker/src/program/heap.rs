//! How the system's allocator keeps what is freed.

#![expect(unsafe_code, reason = "the allocator is told by no safe interface; see the blocks")]

/// From here on small blocks that are freed are joined with their neighbours at once. The GNU allocator else puts them
/// aside and joins all of them together some day: when a node with a hundred thousand contents has left, that is 20 ms
/// in which no datagram is answered. Returns whether the allocator took the setting.
pub(super) fn join_freed_blocks_at_once() -> bool {
    // SAFETY: it changes a number of the allocator's and takes its locks; nothing that was allocated is touched.
    unsafe { libc::mallopt(libc::M_MXFAST, 0) == 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_small_blocks_are_put_aside() {
        // SAFETY: it counts, under the allocator's locks.
        let put_aside = || unsafe { libc::mallinfo2() }.fsmblks;
        assert!(join_freed_blocks_at_once());
        let mut blocks: Vec<Box<[u8; 40]>> =
            (0..10_000).map(|_| std::hint::black_box(Box::new([0; 40]))).collect();
        let before = put_aside();
        // Not the list of them: what is freed in one large block joins all others.
        blocks.clear();
        assert!(put_aside() <= before, "{} after {before}", put_aside());
    }
}
