//! What is in a part file from before: what its journal says, and how far that can be believed.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use messages::{Layout, Manifest, PieceIndex};
use node::Doubt;

use super::records::{JournalHeader, Recovered, recover};
use super::tree::piece_hash;

/// A part file may be touched this much after its journal and still be taken for what the journal describes.
const CLOCK_SLACK: Duration = Duration::from_secs(2);
/// More bytes for a piece than a journal can have: each is told of a few times at most.
const MOST_A_PIECE: u64 = 256;

/// What the part file `file`, in the state `metadata`, holds of `manifest`; the journal is at `journal`.
pub(crate) fn look_back(
    file: &File,
    metadata: &Metadata,
    journal: &Path,
    now: &JournalHeader,
    manifest: &Manifest,
) -> Recovered {
    let layout = manifest.layout();
    let pieces = layout.pieces();
    let mut recovered = match read_journal(journal, pieces) {
        Some((bytes, written)) => {
            let touched_late = modified(metadata) > written + CLOCK_SLACK;
            let part = match metadata.len() {
                length if length < layout.length() => Some(Doubt::Shorter),
                length if length > layout.length() || touched_late => Some(Doubt::Changed),
                _ => None,
            };
            recover(&bytes, now, pieces, part)
        }
        None => Recovered::nothing(pieces, Doubt::NoJournal),
    };
    // Where nothing was ever written there is nothing to be found.
    let unknown = std::mem::take(&mut recovered.unknown);
    recovered.doubtful.extend(may_be_there(file, manifest, unknown));
    recovered.doubtful.sort_unstable();
    if recovered.doubtful.is_empty() {
        recovered.doubt = None;
    }
    recovered
}

/// Those of `pieces` that are not all hole; and those that are meant to be zeros, as a hole is.
fn may_be_there(file: &File, manifest: &Manifest, pieces: Vec<PieceIndex>) -> Vec<PieceIndex> {
    let layout = manifest.layout();
    let Some(data) = data_of(file, layout.length()) else { return pieces };
    let mut zeros = Zeros::default();
    let mut data = data.into_iter().peekable();
    let mut there = Vec::new();
    for piece in pieces {
        let Some(span) = layout.span(piece) else { continue };
        while data.next_if(|run| run.end <= span.start).is_some() {}
        let touched = data.peek().is_some_and(|run| run.start < span.end);
        if touched || zeros.are(manifest, layout, piece) {
            there.push(piece);
        }
    }
    there
}

/// Which pieces are nothing but zeros; hashes each length of them once.
#[derive(Default)]
struct Zeros(Vec<(u32, messages::PieceHash)>);

impl Zeros {
    fn are(&mut self, manifest: &Manifest, layout: Layout, piece: PieceIndex) -> bool {
        let length = layout.piece_length(piece);
        let known = self.0.iter().find(|(known, _)| *known == length).map(|(_, hash)| *hash);
        let hash = known.unwrap_or_else(|| {
            let hash = piece_hash(&vec![0; length as usize]);
            self.0.push((length, hash));
            hash
        });
        manifest.piece_hash(piece) == Some(&hash)
    }
}

/// The runs of a file into which something was written; `None` where the system does not tell.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn data_of(file: &File, length: u64) -> Option<Vec<Range<u64>>> {
    use rustix::fs::{SeekFrom, seek};
    let mut runs = Vec::new();
    let mut at = 0;
    while at < length {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => break,
            Err(_) => return None,
        };
        let end = seek(file, SeekFrom::Hole(start)).ok().filter(|end| *end > start)?;
        runs.push(start..end);
        at = end;
    }
    Some(runs)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn data_of(_file: &File, _length: u64) -> Option<Vec<Range<u64>>> {
    None
}

/// The journal's bytes, and when they were last added to.
fn read_journal(path: &Path, pieces: u32) -> Option<(Vec<u8>, Duration)> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let changed = modified(&file.metadata().ok()?);
    let mut bytes = Vec::new();
    file.take((u64::from(pieces) + 1) * MOST_A_PIECE).read_to_end(&mut bytes).ok()?;
    Some((bytes, changed))
}

/// When the bytes of a file last changed, since the epoch.
fn modified(metadata: &Metadata) -> Duration {
    let nanos = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
    Duration::new(u64::try_from(metadata.mtime()).unwrap_or(0), nanos)
}
