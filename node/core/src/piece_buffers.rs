//! The bytes behind the piece buffers, which a driver has. The core only says what happens to them.

use crate::output::Placement;

/// Where a driver keeps the piece buffers that the core knows by number.
pub trait PieceBuffers {
    /// The `length` bytes at `place` and the `before` bytes before them, if the buffer is here and has them.
    fn room(&mut self, place: Placement, before: usize, length: usize) -> Option<&mut [u8]>;

    /// Writes the payload of a CHUNK to its place.
    fn write(&mut self, place: Placement, payload: &[u8]);

    /// Copies `length` bytes that were written to `from` to where they belong.
    fn copy(&mut self, from: Placement, to: Placement, length: usize);
}
