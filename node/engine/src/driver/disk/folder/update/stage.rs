//! The files of the new version that do not stand in their places are put together in the staging folder, each under the
//! number of its entry, and compared with the hash that the index has for it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use blake3::Hasher;
use messages::Layout;
use riffle_core::{DiskError, DiskErrorKind};

use super::super::order::run_of;
use super::super::parallel;
use super::super::unpack::copy::{BLOCK, MAX_RUN, non_zero};
use super::super::unpack::set_modified;
use super::super::unpack::tree::{Way, split};
use super::UpdatePlan;
use super::sources::Source;
use crate::driver::disk::errors::error;
use crate::driver::disk::fault_injection::{Call, DiskCalls};
use crate::driver::disk::hash::scan::StopFlag;
use crate::driver::disk::part::allocate::full_or_else;
use crate::platform::file_io::{read_at, read_exact_at, share_bytes};
use crate::platform::folder::{Folder, SYNCS_AT_ONCE};
use crate::platform::permissions::{set_mode, with_execution};

/// The files in the making.
pub(super) struct Stage<'a> {
    pub(super) plan: &'a UpdatePlan,
    /// The part file.
    pub(super) content: &'a File,
    pub(super) layout: Layout,
    /// The folder that is brought up to date.
    pub(super) top: &'a Folder,
    /// Where the files are made.
    pub(super) staging: &'a Folder,
    pub(super) calls: &'a DiskCalls,
    pub(super) stop: &'a StopFlag,
}

/// Bytes of a file that come from one place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    is_in_older: bool,
    within: Range<u64>,
}

/// What a file is called in the staging folder.
pub(super) fn staged_name(entry: usize) -> String {
    entry.to_string()
}

impl Stage<'_> {
    /// Makes all files, and makes that last.
    ///
    /// # Errors
    /// When a file has another hash than the index says; the system's, or that it was stopped.
    pub(super) fn make(&self) -> Result<(), DiskError> {
        let staged: Vec<usize> = self.plan.staged().collect();
        let left = staged.iter().map(|entry| self.plan.file_entry(*entry).length).sum();
        let left = AtomicU64::new(left);
        let begin = || (Way::from(self.top), Vec::new());
        parallel::each(&staged, begin, |(way, buffer), entry| {
            if self.stop.is_raised() {
                return Err(error(&self.plan.order.target, DiskErrorKind::Cancelled));
            }
            buffer.resize(MAX_RUN as usize, 0);
            self.file(*entry, way, buffer, &left)
        })?;
        self.calls.allow(Call::SyncAll).and_then(|()| self.staging.sync_file_system()).map_err(|cause| {
            let left = left.load(Ordering::Relaxed);
            self.fault("", &cause, left)
        })
    }

    fn file(
        &self,
        entry: usize,
        way: &mut Way<'_>,
        buffer: &mut [u8],
        left: &AtomicU64,
    ) -> Result<(), DiskError> {
        let (path, expected) = (self.plan.path(entry), self.plan.file_entry(entry));
        let fault = |cause: io::Error| self.fault(path, &cause, left.load(Ordering::Relaxed));
        let file = self.staging.make_file(&staged_name(entry), expected.is_executable).map_err(fault)?;
        let local = self.plan.local_path(entry).map(|path| {
            let (parent, name) = split(path);
            way.enter(parent).and_then(|parent| parent.open_file(name))
        });
        // What stood there when the plan was made is gone or unreadable when this fails.
        let local =
            local.transpose().map_err(|_| self.plan.changed(self.plan.local_path(entry).unwrap_or(path)))?;
        let runs = self.runs(entry);
        let made = self.write(entry, &file, (local.as_ref(), &runs), buffer);
        let hash = made.map_err(|cause| match self.stop.is_raised() {
            true => error(&self.plan.order.target, DiskErrorKind::Cancelled),
            false => fault(cause),
        })?;
        if hash != Some(expected.hash) {
            return Err(self.wrong(entry, &runs));
        }
        self.keep_mode(entry, &file);
        if let Some(modified) = expected.modified {
            set_modified(&file, modified);
        }
        if !SYNCS_AT_ONCE {
            self.calls.sync_all(&file).map_err(fault)?;
        }
        left.fetch_sub(expected.length, Ordering::Relaxed);
        Ok(())
    }

    /// What another file at the path let others do, the new one lets them do too.
    fn keep_mode(&self, entry: usize, file: &File) {
        let mode = match &self.plan.sources[entry] {
            Some(Source::Copied { mode, .. }) => *mode,
            Some(Source::Fetched { older }) => older.and_then(|older| older.mode),
            Some(Source::Kept(_)) | None => None,
        };
        let Some(mode) = mode else { return };
        let expected = self.plan.file_entry(entry);
        // A sharer who keeps the time to itself says nothing of the mode either.
        let mode = match expected.modified {
            Some(_) => with_execution(mode, expected.is_executable),
            None => mode,
        };
        set_mode(file, mode);
    }

    /// Why the file of the entry does not have the hash that it is to have.
    fn wrong(&self, entry: usize, runs: &[Run]) -> DiskError {
        match self.plan.local_path(entry) {
            Some(local) if runs.iter().any(|run| run.is_in_older) => self.plan.changed(local),
            _ => {
                let why = format!("the folder's index names another hash for {}", self.plan.path(entry));
                error(&self.plan.order.target, DiskErrorKind::Other(why))
            }
        }
    }

    /// Where the bytes of the file come from, in their order.
    fn runs(&self, entry: usize) -> Vec<Run> {
        let Some(span) = self.plan.collection.span(entry) else { return Vec::new() };
        if let Some(Source::Copied { .. }) = self.plan.sources[entry] {
            return vec![Run { is_in_older: true, within: 0..span.end - span.start }];
        }
        let mut runs: Vec<Run> = Vec::new();
        for piece in run_of(self.layout, span.clone()).into_iter().flat_map(|run| run.iter()) {
            let of_piece = self.layout.span(piece).expect("a piece of a file is one of the content");
            let (start, end) = (of_piece.start.max(span.start), of_piece.end.min(span.end));
            let is_in_older = self.plan.unchanged.contains(&piece);
            match runs.last_mut().filter(|run| run.is_in_older == is_in_older) {
                Some(run) => run.within.end = end - span.start,
                None => runs.push(Run { is_in_older, within: start - span.start..end - span.start }),
            }
        }
        runs
    }

    /// Writes the file, which is empty. The value is the hash of what it has then; `None` when it is shorter or longer.
    fn write(
        &self,
        entry: usize,
        file: &File,
        (local, runs): (Option<&File>, &[Run]),
        buffer: &mut [u8],
    ) -> io::Result<Option<[u8; 32]>> {
        let older = local.filter(|_| runs.iter().any(|run| run.is_in_older));
        let is_shared = older.is_some_and(|older| share_bytes(older, file).is_ok());
        let mut hasher = Hasher::new();
        let length = self.plan.file_entry(entry).length;
        let start = self.plan.collection.span(entry).map_or(0, |span| span.start);
        for run in runs.iter().filter(|run| !(is_shared && run.is_in_older)) {
            let (from, offset) = match (run.is_in_older, local) {
                (true, Some(local)) => (local, 0),
                (true, None) => return Ok(None),
                (false, _) => (self.content, start),
            };
            let mut at = run.within.start;
            while at < run.within.end {
                self.go_on()?;
                // Later writes begin at a block of the file.
                let end = ((at + MAX_RUN) / BLOCK * BLOCK).min(run.within.end);
                let bytes = &mut buffer[..(end - at) as usize];
                match read_exact_at(from, bytes, offset + at) {
                    Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                    read => read?,
                }
                hasher.update(bytes);
                if is_shared {
                    self.calls.write_all_at(file, bytes, at)?;
                } else {
                    for part in non_zero(bytes, at) {
                        self.calls.write_all_at(file, &bytes[part.clone()], at + part.start as u64)?;
                    }
                }
                at = end;
            }
        }
        file.set_len(length)?;
        if is_shared {
            self.hash(&staged_name(entry), length, buffer)
        } else {
            Ok(Some(hasher.finalize().into()))
        }
    }

    /// The hash of a staged file; `None` when it does not have so many bytes.
    fn hash(&self, name: &str, length: u64, buffer: &mut [u8]) -> io::Result<Option<[u8; 32]>> {
        let file = self.staging.open_file(name)?;
        let (mut hasher, mut at) = (Hasher::new(), 0);
        while at < length {
            self.go_on()?;
            let read = read_at(&file, buffer, at)?;
            if read == 0 {
                return Ok(None);
            }
            hasher.update(&buffer[..read]);
            at += read as u64;
        }
        Ok(Some(hasher.finalize().into()))
    }

    fn go_on(&self) -> io::Result<()> {
        if self.stop.is_raised() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    fn fault(&self, path: &str, cause: &io::Error, left: u64) -> DiskError {
        let target = &self.plan.order.target;
        match full_or_else(self.content, target, cause, left, left) {
            DiskError { kind: kind @ DiskErrorKind::Full { .. }, .. } => error(target, kind),
            other => DiskError { path: target.join(path), ..other },
        }
    }
}
