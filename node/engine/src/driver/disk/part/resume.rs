//! Which pieces a part file has from before: what its journal says, and how far the journal can be believed. A journal
//! that is not proven to be ours is not believed at all, and whatever may be in the part file is hashed.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use messages::{Layout, Outboard, PieceIndex, piece_value};
use riffle_core::RecheckReason;

use crate::driver::disk::file_owner::FileOwner;
use crate::driver::disk::journal::records::{JournalContents, JournalHeader, RECORD, Recovered};
use crate::platform::error_kind::is_passing;
use crate::platform::file_id::{FileNumber, bytes_changed, file_number};
use crate::platform::file_io::{read_exact_at, written_runs};
use crate::platform::open::open_regular_file;

/// A part file may be touched this much after its journal and still be taken for what the journal describes.
const CLOCK_SLACK: Duration = Duration::from_secs(2);
/// No journal has so many bytes for a piece: each piece is recorded a few times at most.
const MAX_A_PIECE: u64 = 6 * RECORD as u64;
/// So many pieces are hashed to find out whether a part file that was moved is ours: one or two may be lost.
const PIECES_TRIED: usize = 4;

/// A journal as it was found.
#[derive(Clone, Debug)]
pub(crate) struct OldJournal {
    contents: JournalContents,
    /// When the last record was appended, since the epoch.
    written: Duration,
    /// The number of the journal's file.
    number: Option<FileNumber>,
    /// Whether the journal carries our seal and is the file that was sealed. Only then it is believed.
    is_proven: bool,
    /// Whether the journal was read to its end, where earlier records are taken back.
    is_all: bool,
}

impl OldJournal {
    /// The journal at `path`, as `read` reads one; `None` when there is none that can be about a content of so many
    /// pieces, or when it is somebody else's, as `owner` says.
    ///
    /// # Errors
    /// When the system cannot tell now: that says nothing about what stands there.
    pub(crate) fn read(
        path: &Path,
        pieces: u32,
        read: impl Fn(&[u8]) -> Result<JournalContents, RecheckReason>,
        owner: impl Fn(&Metadata) -> FileOwner,
    ) -> io::Result<Option<OldJournal>> {
        let max_bytes = (u64::from(pieces) + 1) * MAX_A_PIECE;
        let found = || {
            let file = open_regular_file(path)?;
            let found = file.metadata()?;
            let mut bytes = Vec::new();
            if owner(&found) != FileOwner::Others {
                (&file).take(max_bytes).read_to_end(&mut bytes)?;
            }
            Ok((file, found, bytes))
        };
        let (file, found, bytes) = match found() {
            Ok(found) => found,
            Err(cause) if is_passing(&cause) => return Err(cause),
            Err(_) => return Ok(None),
        };
        let Ok(contents) = read(&bytes) else { return Ok(None) };
        let is_itself = contents.header.journal.is_of(&file);
        let is_proven = contents.is_sealed && is_itself && owner(&found) == FileOwner::Ours;
        let is_all = found.len() <= max_bytes;
        Ok(Some(OldJournal {
            contents,
            written: modified(&found),
            number: file_number(&file),
            is_proven,
            is_all,
        }))
    }

    /// The header of the journal.
    pub(crate) fn header(&self) -> &JournalHeader {
        &self.contents.header
    }

    /// Whether this node's user wrote the journal and nobody else can have changed it.
    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// The number of the journal's file.
    pub(crate) fn number(&self) -> Option<FileNumber> {
        self.number
    }

    /// Whether `file` has a piece that it tells to be stored: then this is its journal, whatever became of its inode on
    /// the way (a copy, a backup, a stick that was plugged in again).
    pub(crate) fn has_a_piece_in(&self, file: &File, outboard: &Outboard) -> bool {
        let layout = outboard.layout();
        let is_there = |piece: PieceIndex| {
            let span = layout.span(piece).expect("a journal of other pieces cannot be read");
            let mut bytes = vec![0; (span.end - span.start) as usize];
            let read = read_exact_at(file, &mut bytes, span.start);
            read.is_ok() && outboard.value(piece) == Some(&piece_value(layout, piece, &bytes))
        };
        // The first is as good as any: of a file that is not ours none is there.
        self.contents.listed_pieces().take(PIECES_TRIED).any(is_there)
    }

    /// What `file`, in the state `metadata`, holds of `outboard`. `is_moved`: it is not the inode that was written to,
    /// or others can have written to it as well.
    pub(crate) fn recover(
        &self,
        (file, metadata): (&File, &Metadata),
        now: &JournalHeader,
        outboard: &Outboard,
        is_moved: bool,
    ) -> Recovered {
        let layout = outboard.layout();
        let pieces = layout.pieces();
        let touched_late = modified(metadata) > self.written + CLOCK_SLACK;
        let part = match metadata.len() {
            length if length < layout.length() => Some(RecheckReason::Shorter),
            length if length > layout.length() || touched_late || is_moved => Some(RecheckReason::Changed),
            _ => None,
        };
        let mut recovered = match (self.is_proven, self.is_all) {
            (true, true) => self.contents.recover(now, part),
            (true, false) => Recovered::nothing(pieces, RecheckReason::Damaged),
            (false, _) => Recovered::nothing(pieces, RecheckReason::Unsealed),
        };
        // The values of a journal are those that were stored under: of this outboard, or not of this content.
        recovered.doubt_values_unlike(outboard);
        // A hole has no pieces, because nothing was ever written there.
        let unknown = std::mem::take(&mut recovered.unknown);
        recovered.doubtful.extend(may_be_there(file, outboard, unknown));
        recovered.doubtful.sort_unstable();
        if recovered.doubtful.is_empty() {
            recovered.doubt = None;
        }
        recovered
    }
}

/// The `pieces` of which something was written, and those that are meant to be zeros, as a hole is.
fn may_be_there(file: &File, outboard: &Outboard, pieces: Vec<PieceIndex>) -> Vec<PieceIndex> {
    let layout = outboard.layout();
    let Some(data) = written_runs(file, layout.length()) else { return pieces };
    let mut zeros = Zeros::default();
    let mut data = data.into_iter().peekable();
    let mut there = Vec::new();
    for piece in pieces {
        let span = layout.span(piece).expect("a journal of other pieces cannot be read");
        while data.next_if(|run| run.end <= span.start).is_some() {}
        let touched = data.peek().is_some_and(|run| run.start < span.end);
        if touched || zeros.are(outboard, layout, piece) {
            there.push(piece);
        }
    }
    there
}

/// Which pieces are nothing but zeros. The value of each depends on where it is.
#[derive(Default)]
struct Zeros(Vec<u8>);

impl Zeros {
    fn are(&mut self, outboard: &Outboard, layout: Layout, piece: PieceIndex) -> bool {
        let length = layout.piece_length(piece) as usize;
        self.0.resize(self.0.len().max(length), 0);
        outboard.value(piece) == Some(&piece_value(layout, piece, &self.0[..length]))
    }
}

/// When the bytes of a file last changed, since the epoch.
fn modified(metadata: &Metadata) -> Duration {
    let (seconds, nanos) = bytes_changed(metadata);
    Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0))
}
