//! Reads the pieces of a content on all cores.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use messages::{Layout, PieceIndex};

/// What `value` says of each piece of `file`, which is cut like `layout`, in their order.
///
/// # Errors
/// When the file cannot be read, or is shorter than `layout` says.
pub(crate) fn scan<T: Send>(
    file: &File,
    layout: Layout,
    value: impl Fn(PieceIndex, &[u8]) -> T + Sync,
) -> io::Result<Vec<T>> {
    scan_with(|bytes, at| file.read_exact_at(bytes, at), layout, value)
}

/// What `value` says of each piece of a content that is cut like `layout`, and whose bytes `read` gives.
///
/// # Errors
/// Those of `read`.
pub(crate) fn scan_with<T: Send, E: Send>(
    read: impl Fn(&mut [u8], u64) -> Result<(), E> + Sync,
    layout: Layout,
    value: impl Fn(PieceIndex, &[u8]) -> T + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicU32::new(0);
    let done = Mutex::new(Ok(Vec::new()));
    let lock = || done.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        let mut bytes = Vec::new();
        loop {
            let index = PieceIndex(next.fetch_add(1, Ordering::Relaxed));
            let Some(span) = layout.span(index) else { return };
            bytes.resize((span.end - span.start) as usize, 0);
            let read = read(&mut bytes, span.start).map(|()| (index, value(index, &bytes)));
            match (&mut *lock(), read) {
                (Ok(values), Ok(one)) => values.push(one),
                (Err(_), _) => return,
                (slot, Err(error)) => *slot = Err(error),
            }
        }
    };
    let width = thread::available_parallelism().map_or(1, usize::from).min(layout.pieces() as usize);
    thread::scope(|scope| {
        // This thread works too, so that a system without threads to spare is slow and nothing worse.
        for _ in 1..width {
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let mut values = done.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    values.sort_unstable_by_key(|(index, _)| *index);
    Ok(values.into_iter().map(|(_, value)| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_read_once_and_a_short_file_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        for length in [0, 1, 262_144, 262_145, 2_000_000] {
            let bytes: Vec<u8> = (0..length).map(|at: u32| (at / 1000) as u8).collect();
            std::fs::write(&path, &bytes).expect("written");
            let file = File::open(&path).expect("there");
            let read = |length| {
                let layout = Layout::of(length).expect("short");
                scan(&file, layout, |index, bytes| (index, bytes.to_vec()))
            };
            let pieces = read(u64::from(length)).expect("read");
            assert!(pieces.iter().enumerate().all(|(number, (index, _))| index.0 as usize == number));
            assert_eq!(pieces.into_iter().flat_map(|(_, bytes)| bytes).collect::<Vec<_>>(), bytes);
            assert!(read(u64::from(length) + 1).is_err());
        }
    }
}
