//! Files that are served, mapped into memory for the kernel to read.
//!
//! The process itself never reads through the mapping, and no reference into it is ever formed: somebody may shorten
//! the file at any time, and then a read would be a signal, and a `&[u8]` over bytes that others change would be
//! undefined behaviour. What comes out are raw runs for system calls, where a missing page is an error code.

#![cfg_attr(
    unix,
    expect(unsafe_code, reason = "giving pages back is not offered by any safe interface; see the block")
)]

use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::marker::PhantomData;
use std::ops::Range;

use memmap2::{MmapOptions, MmapRaw};

/// A file's bytes, as addresses.
#[derive(Debug)]
pub(crate) struct MappedFile {
    map: MmapRaw,
}

/// Some bytes that a system call may read: nothing else can be done with them.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    start: *const u8,
    length: usize,
    of: PhantomData<&'a ()>,
}

impl MappedFile {
    /// Maps the first `length` bytes of `file`; `None` when that is none.
    ///
    /// # Errors
    /// When the system does not map it, or addresses are too short for it.
    pub(crate) fn of(file: &File, length: u64) -> io::Result<Option<MappedFile>> {
        if length == 0 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let map = MmapOptions::new().len(length).map_raw_read_only(file)?;
        Ok(Some(MappedFile { map }))
    }

    /// How many bytes are mapped.
    pub(crate) fn length(&self) -> usize {
        self.map.len()
    }

    /// The run of bytes at `range` of the file; `None` when the mapping does not have them all.
    #[cfg(target_os = "linux")]
    pub(crate) fn run(&self, range: Range<u64>) -> Option<Run<'_>> {
        let range = self.within(range)?;
        Some(Run { start: self.map.as_ptr().wrapping_add(range.start), length: range.len(), of: PhantomData })
    }

    /// `range` as a range of addresses; `None` when the mapping does not have it all.
    fn within(&self, range: Range<u64>) -> Option<Range<usize>> {
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        (start <= end && end <= self.map.len()).then_some(start..end)
    }

    /// Reads `range` of the file into memory and waits for it.
    ///
    /// # Errors
    /// `InvalidInput` where the system cannot do that; anything else: the file does not have the bytes any more.
    pub(crate) fn populate(&self, range: Range<u64>) -> io::Result<()> {
        let range = self.within(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        #[cfg(target_os = "linux")]
        {
            self.map.advise_range(memmap2::Advice::PopulateRead, range.start, range.len())
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = range;
            Err(io::ErrorKind::InvalidInput.into())
        }
    }

    /// Takes the pages of `range` out of the process; the system may keep them, and finds them again when needed. A
    /// system that does not do it (Windows) keeps the pages in the process: nothing else follows from that.
    pub(crate) fn evict(&self, range: Range<u64>) {
        let Some(range) = self.within(range) else { return };
        #[cfg(not(unix))]
        let _ = range;
        #[cfg(unix)]
        // SAFETY: the mapping is read-only and of a file, so no bytes are lost: the next access reads them from the
        // file again. The process itself has no reference into it, and a system call under way does the same.
        let _ = unsafe {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            self.map.unchecked_advise_range(advice, range.start, range.len())
        };
    }
}

#[cfg(target_os = "linux")]
impl<'a> Run<'a> {
    /// Bytes that are in the process's own memory.
    pub(crate) fn of(bytes: &'a [u8]) -> Run<'a> {
        Run { start: bytes.as_ptr(), length: bytes.len(), of: PhantomData }
    }

    /// Where it starts. Valid for reading by the kernel, for [`Run::length`] bytes and as long as the run is borrowed.
    pub(crate) fn start(&self) -> *const u8 {
        self.start
    }

    /// How many bytes it has.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The part of it at `range`.
    ///
    /// # Panics
    /// When it does not have that part.
    pub(crate) fn part(&self, range: Range<usize>) -> Run<'a> {
        assert!(range.start <= range.end && range.end <= self.length, "{range:?} of {} bytes", self.length);
        Run { start: self.start.wrapping_add(range.start), length: range.len(), of: PhantomData }
    }
}
