//! Hashing files without a node: what `b3sum` computes, and how a file differs from a content. All cores take part,
//! each with one piece at a time, with positioned reads: a file that is shortened meanwhile is an error and no signal,
//! as it would be behind a mapping.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use messages::{ChainingValue, ContentId, Layout, Outboard, PieceHasher, PieceIndex, PieceRun, root};
use riffle_core::{DiskError, DiskErrorKind};

use crate::driver::{FileIdentity, disk_error, error, open_regular};
use crate::platform::aligned_bytes::AlignedBytes;
use crate::platform::file_io::read_exact_at;

/// A thread reads through a block of so many bytes, which stays in the second-level cache while the hash passes over
/// it.
const BLOCK: usize = 256 << 10;

/// The BLAKE3 hash of what is at `path`, which is the id of that content. What has no known length (a pipe, a device,
/// what the system makes up as it is read) is read to its end.
///
/// # Errors
/// When there is none, it is a folder, or it cannot be read.
///
/// ```
/// # let here = tempfile::tempdir()?;
/// # let film = here.path().join("film.mkv");
/// std::fs::write(&film, b"abc")?;
/// let id = riffle::hash_file(&film)?;
/// assert_eq!(id.to_string(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn hash_file(path: &Path) -> Result<ContentId, DiskError> {
    let told = |cause: io::Error| disk_error(path, &cause);
    let mut file = File::open(path).map_err(told)?;
    let found = file.metadata().map_err(told)?;
    if found.is_dir() {
        return Err(error(path, DiskErrorKind::NotAFile));
    }
    if let Some(layout) = Layout::of(found.len()).filter(|layout| found.is_file() && layout.pieces() > 0) {
        match piece_values(&file, layout, layout.pieces()) {
            Ok(values) => return Ok(root(layout, &values)),
            // It is shorter than the system says, as files of `/sys` are.
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(cause) => return Err(told(cause)),
        }
    }
    hash_reader(&mut file).map_err(told)
}

/// The BLAKE3 hash of what `reader` gives, up to its end.
///
/// # Errors
/// The reader's.
pub fn hash_reader(reader: impl Read) -> io::Result<ContentId> {
    let mut blake3 = blake3::Hasher::new();
    blake3.update_reader(reader)?;
    Ok(ContentId::from_bytes(*blake3.finalize().as_bytes()))
}

/// How a file differs from a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileComparison {
    layout: Layout,
    length: u64,
    differing: Vec<PieceRun>,
}

impl FileComparison {
    /// Whether the file holds exactly the content.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.differing.is_empty() && self.length == self.layout.length()
    }

    /// Bytes of the file.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How the content is cut.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The pieces of the content that the file does not hold at their places, and where these lie in the content. Of a
    /// file that is too short, the pieces that it does not have to their end are among them.
    pub fn differing(&self) -> impl Iterator<Item = (PieceRun, Range<u64>)> {
        let start_of = |piece: PieceIndex| u64::from(piece.0) * u64::from(self.layout.piece_size());
        self.differing
            .iter()
            .map(move |run| (*run, start_of(run.start())..start_of(run.end()).min(self.layout.length())))
    }
}

/// Compares the file at `path` with the content that `outboard` describes. All of the file is read.
///
/// # Errors
/// When there is no regular file, it cannot be read, or it changes meanwhile.
pub fn compare_file(path: &Path, outboard: &Outboard) -> Result<FileComparison, DiskError> {
    let told = |cause: io::Error| disk_error(path, &cause);
    let file = open_regular(path)?;
    let before = FileIdentity::of_file(&file).map_err(told)?;
    let (layout, length) = (outboard.layout(), before.length());
    let whole = if length >= layout.length() {
        layout.pieces()
    } else {
        (length / u64::from(layout.piece_size())) as u32
    };
    let values = piece_values(&file, layout, whole).map_err(told)?;
    before.check(path, &file)?;
    let differs = |index: &PieceIndex| values.get(index.0 as usize) != outboard.value(*index);
    let differing = PieceRun::runs_of((0..layout.pieces()).map(PieceIndex).filter(differs));
    Ok(FileComparison { layout, length, differing })
}

/// The chaining values of the first `count` pieces of a file that is cut like `layout`.
fn piece_values(file: &File, layout: Layout, count: u32) -> io::Result<Vec<ChainingValue>> {
    let next = AtomicU32::new(0);
    let hash_some = || {
        let mut block = AlignedBytes::zeroed(BLOCK.min(layout.length() as usize));
        let mut values = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(values);
            }
            match piece_value(file, layout, PieceIndex(index), &mut block) {
                Ok(value) => values.push((index, value)),
                Err(cause) => {
                    next.store(count, Ordering::Relaxed);
                    return Err(cause);
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(count as usize);
    let parts: Vec<io::Result<Vec<(u32, ChainingValue)>>> = thread::scope(|scope| {
        // Those that the system does not give are done without.
        let start = |_| thread::Builder::new().spawn_scoped(scope, hash_some).ok();
        let others: Vec<_> = (1..threads).filter_map(start).collect();
        let own = hash_some();
        let others = others.into_iter().map(|other| other.join().expect("hashing does not panic"));
        std::iter::once(own).chain(others).collect()
    });
    let mut all = Vec::with_capacity(count as usize);
    for part in parts {
        all.extend(part?);
    }
    all.sort_unstable_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, value)| value).collect())
}

fn piece_value(
    file: &File,
    layout: Layout,
    index: PieceIndex,
    block: &mut [u8],
) -> io::Result<ChainingValue> {
    let mut rest = layout.span(index).expect("only pieces of the layout are asked for");
    let mut hasher = PieceHasher::new(layout, index);
    while !rest.is_empty() {
        let length = (rest.end - rest.start).min(block.len() as u64);
        let run = &mut block[..length as usize];
        read_exact_at(file, run, rest.start)?;
        hasher.update(run);
        rest.start += length;
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use messages::LengthProof;

    use super::*;

    const PIECE: usize = 256 << 10;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    fn outboard_of(content: &[u8]) -> Outboard {
        let layout = Layout::of(content.len() as u64).expect("a short content");
        let pieces: Vec<&[u8]> = content.chunks(layout.piece_size() as usize).collect();
        let value = |(index, piece): (u32, &&[u8])| messages::piece_value(layout, PieceIndex(index), piece);
        let values: Vec<_> = (0..).zip(&pieces).map(value).collect();
        if values.len() < 2 {
            return Outboard::of_one_piece(layout, root(layout, &values)).expect("one piece or none");
        }
        let proof = LengthProof::of(layout, pieces.last().expect("several"));
        Outboard::new(layout, values, proof).expect("what describes it")
    }

    #[test]
    fn a_file_hashes_to_its_blake3() {
        let here = tempfile::tempdir().expect("a folder");
        let path = here.path().join("f");
        for length in [0, 1, PIECE, PIECE + 1, 5 * PIECE + 77] {
            let content = bytes(length);
            fs::write(&path, &content).expect("written");
            let expected = ContentId::from_bytes(*blake3::hash(&content).as_bytes());
            assert_eq!(hash_file(&path), Ok(expected), "{length}");
            assert_eq!(hash_reader(&content[..]).expect("read"), expected, "{length}");
        }
        let kind = |path: &Path| hash_file(path).expect_err("nothing to hash").kind;
        assert_eq!(kind(here.path()), DiskErrorKind::NotAFile);
        assert_eq!(kind(&here.path().join("nothing")), DiskErrorKind::NotFound);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_has_no_length_before_it_is_read_is_read_to_its_end() {
        for path in ["/proc/version", "/sys/kernel/profiling"].map(Path::new) {
            let Ok(content) = fs::read(path) else { continue };
            let expected = ContentId::from_bytes(*blake3::hash(&content).as_bytes());
            assert_eq!(hash_file(path), Ok(expected), "{}", path.display());
        }
    }

    #[test]
    fn a_comparison_tells_the_pieces_that_differ() {
        let here = tempfile::tempdir().expect("a folder");
        let path = here.path().join("f");
        let content = bytes(5 * PIECE + 77);
        let compared = |content: &[u8], there: &[u8]| {
            fs::write(&path, there).expect("written");
            let compared = compare_file(&path, &outboard_of(content)).expect("compared");
            let runs = compared.differing().map(|(run, range)| (run.start().0, run.count(), range)).collect();
            (compared.is_same(), runs)
        };
        let piece = PIECE as u64;
        let end = content.len() as u64;
        let mut other = content.clone();
        for at in [2 * PIECE, 4 * PIECE - 1, content.len() - 1] {
            other[at] ^= 1;
        }
        let longer = [&content[..], b"more"].concat();
        assert_eq!(compared(&content, &content), (true, vec![]));
        assert_eq!(
            compared(&content, &other),
            (false, vec![(2, 2, 2 * piece..4 * piece), (5, 1, 5 * piece..end)])
        );
        assert_eq!(compared(&content, &longer), (false, vec![]), "only its length differs");
        assert_eq!(compared(&content, &content[..4 * PIECE + 1]), (false, vec![(4, 2, 4 * piece..end)]));
        assert_eq!(compared(&content, b""), (false, vec![(0, 6, 0..end)]));
        assert_eq!(compared(b"abc", b"abd"), (false, vec![(0, 1, 0..3)]));
        assert_eq!(compared(b"abc", b"abcd"), (false, vec![]));
        assert_eq!(compared(b"", b""), (true, vec![]));
        assert_eq!(compared(b"", b"a"), (false, vec![]));
    }
}
