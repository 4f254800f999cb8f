//! The buffer pool, without bytes: a buffer is runs of "these bytes of that content".

use std::collections::BTreeMap;
use std::ops::Range;

use messages::ContentId;
use riffle_core::{BufferChange, BufferId};

/// Which bytes the payload of a CHUNK is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Of which content.
    pub content: ContentId,
    /// Whether they are of its outboard.
    pub outboard: bool,
    /// From which byte on, counted in the content or in the outboard.
    pub from: u64,
}

impl Provenance {
    /// Bytes of no content: what a liar sends, or what a damaged payload is.
    pub const WRONG: Provenance =
        Provenance { content: ContentId::from_bytes([0xee; 32]), outboard: false, from: 0 };

    /// Whether `next` begins `length` bytes behind the start of `self`.
    fn goes_on(self, length: u32, next: Provenance) -> bool {
        self.content == next.content
            && self.outboard == next.outboard
            && self.from + u64::from(length) == next.from
    }
}

#[derive(Debug)]
struct Buffer {
    length: u32,
    /// What was placed: (start, end, source), disjoint and ascending.
    placed: Vec<(u32, u32, Provenance)>,
}

/// One host's buffers.
#[derive(Debug, Default)]
pub struct Pool {
    buffers: BTreeMap<BufferId, Buffer>,
    /// How many bytes all buffers have together.
    pub bytes: u64,
}

impl Pool {
    /// Carries out changes of the pool, in order.
    pub fn change(&mut self, changes: &[BufferChange]) {
        for change in changes {
            match *change {
                BufferChange::Allocate { buffer, length } => {
                    let new = self.buffers.insert(buffer, Buffer { length, placed: Vec::new() });
                    assert!(new.is_none(), "{buffer} is allocated twice");
                    self.bytes += u64::from(length);
                }
                BufferChange::Free { buffer } => {
                    let old =
                        self.buffers.remove(&buffer).unwrap_or_else(|| panic!("{buffer} is freed twice"));
                    self.bytes -= u64::from(old.length);
                }
            }
        }
    }

    /// Puts `length` bytes from `source` at `offset` of `buffer`.
    pub fn place(&mut self, buffer: BufferId, offset: u32, length: u32, source: Provenance) {
        let buffer =
            self.buffers.get_mut(&buffer).unwrap_or_else(|| panic!("a place in {buffer}, which is nobody's"));
        let end = offset + length;
        assert!(end <= buffer.length, "a place beyond the end of a buffer");
        // Most bytes go on where the last run ends.
        if let Some((start, stop, of)) = buffer.placed.last_mut()
            && *stop == offset
            && of.goes_on(offset - *start, source)
        {
            *stop = end;
            return;
        }
        // Bytes that are overwritten are gone.
        let mut kept = Vec::new();
        for (start, stop, of) in buffer.placed.drain(..) {
            if start < offset {
                kept.push((start, stop.min(offset), of));
            }
            if stop > end {
                let skipped = u64::from(end.saturating_sub(start));
                kept.push((start.max(end), stop, Provenance { from: of.from + skipped, ..of }));
            }
        }
        kept.push((offset, end, source));
        kept.sort_unstable_by_key(|run| run.0);
        // Runs that go on where the one before ends are one.
        kept.dedup_by(|next, before| {
            let joins = before.1 == next.0 && before.2.goes_on(before.1 - before.0, next.2);
            if joins {
                before.1 = next.1;
            }
            joins
        });
        buffer.placed = kept;
    }

    /// Whether the first `length` bytes of `buffer` are those of `expected` from its byte on.
    pub fn holds(&self, buffer: BufferId, length: u32, expected: Provenance) -> bool {
        self.holds_all_but(buffer, length, &[], expected)
    }

    /// Whether the first `length` bytes of `buffer` are those of `expected` from its byte on, apart from the ascending
    /// ranges `known`.
    pub fn holds_all_but(
        &self,
        buffer: BufferId,
        length: u32,
        known: &[Range<u32>],
        expected: Provenance,
    ) -> bool {
        let Some(Buffer { placed, .. }) = self.buffers.get(&buffer) else { return false };
        let starts = std::iter::once(0).chain(known.iter().map(|range| range.end));
        let ends = known.iter().map(|range| range.start).chain([length]);
        let mut parts = starts.zip(ends).filter(|(start, end)| start < end);
        parts.all(|(start, end)| {
            placed.iter().any(|(from, to, of)| {
                let is_right = of.content == expected.content
                    && of.outboard == expected.outboard
                    && of.from == expected.from + u64::from(*from);
                *from <= start && *to >= end && is_right
            })
        })
    }
}
