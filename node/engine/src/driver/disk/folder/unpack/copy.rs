//! The bytes of one file after the other, from the content into files of their own: hashed on the way, and with holes
//! where there are zeros.
//!
//! The system could copy by itself, or share the blocks of both; but the bytes are hashed, so they are read anyway, and
//! behind an index of any length hardly a file begins at a block.

use std::fs::File;
use std::io;
use std::ops::Range;

use blake3::Hasher;

use crate::driver::disk::fault_injection::DiskCalls;
use crate::driver::disk::hash::scan::StopFlag;
use crate::platform::file_io::{read_exact_at, written_runs};

/// At most so many bytes are read at once.
pub(crate) const MAX_RUN: u64 = 1 << 20;
/// Zeros become a hole where they fill a block of this size, which is that of common file systems.
pub(crate) const BLOCK: u64 = 4096;

static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Where the content has bytes, and where holes.
pub(super) struct ContentRuns(pub(super) Vec<Range<u64>>);

impl ContentRuns {
    /// Those of the content in `file`, of `length` bytes.
    pub(super) fn of(file: &File, length: u64) -> ContentRuns {
        ContentRuns(written_runs(file, length).unwrap_or_else(|| std::iter::once(0..length).collect()))
    }

    /// The parts of `span` that have bytes, in their order.
    fn within(&self, span: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let first = self.0.partition_point(|run| run.end <= span.start);
        let runs = self.0[first..].iter().take_while(move |run| run.start < span.end);
        runs.map(move |run| run.start.max(span.start)..run.end.min(span.end))
    }

    /// How many bytes of `span` are in no hole.
    pub(super) fn bytes_within(&self, span: Range<u64>) -> u64 {
        self.within(span).map(|run| run.end - run.start).sum()
    }
}

/// Why a file could not be copied.
#[derive(Debug)]
pub(super) enum CopyError {
    /// Nobody wants it any more.
    Stopped,
    /// The system's.
    System(io::Error),
}

impl From<io::Error> for CopyError {
    fn from(cause: io::Error) -> CopyError {
        CopyError::System(cause)
    }
}

/// Copies files out of a content, one at a time.
pub(super) struct Copier<'a> {
    content: &'a File,
    runs: &'a ContentRuns,
    calls: &'a DiskCalls,
    stop: &'a StopFlag,
    /// What was read last, and where it begins: small files lie side by side, and are read together.
    buffer: Vec<u8>,
    start: u64,
}

impl<'a> Copier<'a> {
    /// Copies out of `content`, which has bytes where `runs` says so.
    pub(super) fn new(
        content: &'a File,
        runs: &'a ContentRuns,
        (calls, stop): (&'a DiskCalls, &'a StopFlag),
    ) -> Copier<'a> {
        Copier { content, runs, calls, stop, buffer: Vec::new(), start: 0 }
    }

    /// Writes the bytes of the content at `span` to `file`, which is empty. The value is their BLAKE3. Up to `ahead`,
    /// the bytes behind them will be wanted next.
    ///
    /// # Errors
    /// The system's, or that it was stopped.
    pub(super) fn copy(&mut self, span: Range<u64>, ahead: u64, file: &File) -> Result<[u8; 32], CopyError> {
        let mut hasher = Hasher::new();
        let (runs, mut at, mut written) = (self.runs, span.start, 0);
        for run in runs.within(span.clone()) {
            // Of whole blocks of the file that is written, which lie anywhere in the content.
            let start = (run.start - span.start) / BLOCK * BLOCK + span.start;
            let end = span.end.min((run.end - span.start).next_multiple_of(BLOCK) + span.start);
            let run = start.max(at)..end;
            self.hash_zeros(&mut hasher, run.start - at)?;
            at = run.start;
            while at < run.end {
                if self.stop.is_raised() {
                    return Err(CopyError::Stopped);
                }
                // Later reads begin at a block of the file that is written.
                let offset = at - span.start;
                let max = (offset + MAX_RUN) / BLOCK * BLOCK - offset;
                let calls = self.calls;
                let bytes = self.read(at..run.end.min(at + max), ahead)?;
                hasher.update(bytes);
                at += bytes.len() as u64;
                for part in non_zero(bytes, offset) {
                    let start = offset + part.start as u64;
                    calls.write_all_at(file, &bytes[part.clone()], start)?;
                    written = start + part.len() as u64;
                }
            }
        }
        self.hash_zeros(&mut hasher, span.end - at)?;
        if written < span.end - span.start {
            file.set_len(span.end - span.start)?;
        }
        Ok(hasher.finalize().into())
    }

    fn hash_zeros(&self, hasher: &mut Hasher, mut count: u64) -> Result<(), CopyError> {
        while count > 0 {
            if self.stop.is_raised() {
                return Err(CopyError::Stopped);
            }
            let zeros = &ZEROS[..count.min(ZEROS.len() as u64) as usize];
            hasher.update(zeros);
            count -= zeros.len() as u64;
        }
        Ok(())
    }

    /// The bytes at `wanted`. When they are to be read, as much as fits is read up to `ahead`.
    fn read(&mut self, wanted: Range<u64>, ahead: u64) -> io::Result<&[u8]> {
        let held = self.start..self.start + self.buffer.len() as u64;
        if wanted.start < held.start || held.end < wanted.end {
            let end = ahead.max(wanted.end).min(wanted.start + MAX_RUN);
            // What a failed read leaves is no bytes of the content.
            self.start = wanted.start;
            self.buffer.clear();
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.resize((end - wanted.start) as usize, 0);
            read_exact_at(self.content, &mut buffer, wanted.start)?;
            self.buffer = buffer;
        }
        let from = (wanted.start - self.start) as usize;
        Ok(&self.buffer[from..][..(wanted.end - wanted.start) as usize])
    }
}

/// The parts of `bytes`, which begin at `offset` of a file, that are not whole blocks of zeros.
pub(crate) fn non_zero(bytes: &[u8], offset: u64) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let block = |at: usize| {
            let length = (BLOCK - (offset + at as u64) % BLOCK) as usize;
            &bytes[at..bytes.len().min(at + length)]
        };
        let is_hole = |block: &[u8]| block == &ZEROS[..BLOCK as usize];
        while at < bytes.len() && is_hole(block(at)) {
            at += BLOCK as usize;
        }
        let start = at;
        while at < bytes.len() && !is_hole(block(at)) {
            at += block(at).len();
        }
        (start < at).then_some(start..at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_blocks_of_zeros_are_left_out() {
        let parts = |bytes: &[u8], offset: u64| non_zero(bytes, offset).collect::<Vec<_>>();
        let mut bytes = vec![0; 5 * 4096 + 100];
        assert_eq!(parts(&bytes, 0), vec![5 * 4096..5 * 4096 + 100], "a part of a block is written");
        bytes[4096] = 1;
        bytes[3 * 4096 - 1] = 1;
        assert_eq!(parts(&bytes[..5 * 4096], 8192), vec![4096..3 * 4096]);
        assert_eq!(parts(&bytes[4096 - 10..][..4096 + 10], 4096 - 10), vec![0..4096 + 10]);
        assert_eq!(parts(&bytes[3 * 4096..][..8192], 1), vec![0..4095, 8191..8192]);
        assert!(parts(&[], 7).is_empty());
        assert_eq!(parts(&[1; 4096], 0), vec![0..4096]);
    }

    #[test]
    fn runs_are_cut_to_what_is_asked_for() {
        let runs = ContentRuns(vec![10..20, 30..40, 50..60]);
        let within = |span: Range<u64>| runs.within(span).collect::<Vec<_>>();
        assert_eq!(within(15..55), vec![15..20, 30..40, 50..55]);
        assert_eq!(within(20..30), Vec::new());
        assert_eq!(within(60..70), Vec::new());
        assert_eq!(runs.bytes_within(0..35), 15);
    }
}
