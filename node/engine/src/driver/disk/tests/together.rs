//! Pieces that are hashed side by side are judged and described one by one.

use sha1::{Digest, Sha1};

use super::*;
use crate::driver::disk::hash::piece_hasher::PieceDigest;
use crate::driver::disk::hash::scan::{ScanOrder, scan};

fn order(part: &Arc<Part>, piece: u32, bytes: Vec<u8>) -> StoreOrder {
    let expected = *part.outboard().value(PieceIndex(piece)).unwrap();
    let (length, buffer) = (bytes.len() as u32, BufferId(piece));
    let lent = LentBuffer { buffer, bytes: bytes.into() };
    let (piece, part) = (PieceIndex(piece), Some(part.clone()));
    StoreOrder { download: DOWNLOAD, piece, lent, length, expected, part }
}

#[test]
fn pieces_that_wait_together_are_judged_one_by_one() {
    let mut bench = Bench::new();
    let bytes = test_bytes(6 * PIECE + 77);
    let outboard = described(&bytes);
    bench.open(&outboard).unwrap();
    let Some((_, part)) = bench.disk.downloads.part(DOWNLOAD) else { panic!("not open") };
    let part = part.clone();
    let piece = |index: usize| bytes[index * PIECE..bytes.len().min((index + 1) * PIECE)].to_vec();
    let stores = StoreQueue::default();
    for index in [6, 0, 1, 2, 3, 4, 5] {
        let mut bytes = piece(index);
        match index {
            1 => bytes[PIECE - 1] ^= 1,
            2 => bytes.truncate(PIECE - 1),
            _ => {}
        }
        let order = order(&part, index as u32, bytes);
        stores.add(if index == 4 { StoreOrder { part: None, ..order } } else { order });
    }
    let mut results = Vec::new();
    for expected in [4, 3, 0] {
        stores.serve(&bench.disk.results);
        let before = results.len();
        while let Ok(done) = bench.results.try_recv() {
            let Completion::Stored { piece, result, .. } = done else { panic!("another result") };
            results.push((piece.0, result));
        }
        assert_eq!(results.len() - before, expected);
    }
    let not_open = Err(StoreError::Disk(super::super::not_open()));
    let bad = Err(StoreError::Hash);
    let expected =
        [(6, Ok(())), (0, Ok(())), (1, bad.clone()), (2, bad), (3, Ok(())), (4, not_open), (5, Ok(()))];
    assert_eq!(results, expected);
    for index in [1, 2, 4] {
        assert_eq!(bench.store(&outboard, index, &piece(index as usize)), Ok(()));
    }
    assert_eq!(bench.finish(), Ok(bench.path("f")), "the values of all pieces are right");
    assert_eq!(fs::read(bench.path("f")).unwrap(), bytes);
}

#[test]
fn long_pieces_are_hashed_side_by_side_over_several_slices() {
    let bench = Bench::new();
    let length = (20 << 30) + (3 << 20) + 5;
    let layout = Layout::of(length).unwrap();
    let size = u64::from(layout.piece_size());
    assert_eq!(size, 8 << 20);
    let file = fs::File::create_new(bench.path("long")).unwrap();
    // Almost all of it is a hole.
    file.set_len(length).unwrap();
    let last = layout.pieces() - 1;
    let pieces: Vec<PieceIndex> = [0, 1, 3, 900, 901, 2000, last].map(PieceIndex).into();
    let pattern = test_bytes(1 << 20);
    for (number, piece) in pieces.iter().enumerate() {
        let span = layout.span(*piece).unwrap();
        file.write_all_at(&pattern[number..], span.start).unwrap();
        file.write_all_at(&pattern[..4000 + number], span.end - 4000 - number as u64).unwrap();
    }
    drop(file);
    let file = Arc::new(fs::File::open(bench.path("long")).unwrap());
    let (sender, heard) = std::sync::mpsc::channel();
    let (order, stop) = (pieces.clone(), StopFlag::default());
    let order = ScanOrder { file: file.clone(), layout, pieces: order, stop, progress: Box::new(|_| {}) };
    let scan_workers = ScanWorkers::from(&bench.disk.workers);
    scan(&scan_workers, order, Box::new(move |digests| sender.send(digests.unwrap()).unwrap()));
    let digests: Vec<PieceDigest> = heard.recv().unwrap();
    for (piece, digest) in pieces.iter().zip(&digests) {
        let span = layout.span(*piece).unwrap();
        let mut bytes = vec![0; (span.end - span.start) as usize];
        file.read_exact_at(&mut bytes, span.start).unwrap();
        assert_eq!(digest.hash, <[u8; 20]>::from(Sha1::digest(&bytes)), "{piece:?}");
        let mut hasher = blake3::Hasher::new();
        blake3::hazmat::HasherExt::set_input_offset(&mut hasher, span.start).update(&bytes);
        assert_eq!(digest.subtree, blake3::hazmat::HasherExt::finalize_non_root(&hasher), "{piece:?}");
    }
    assert_eq!(digests.len(), pieces.len());
}
