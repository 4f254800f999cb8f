//! Long files are hashed slice by slice, on all workers.

use super::*;
use crate::driver::disk::hash::scan::{ScanOrder, ScanSource, scan};

#[test]
fn long_pieces_are_hashed_over_several_slices() {
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
    let order = ScanOrder {
        source: ScanSource::File(file.clone()),
        layout,
        pieces: order,
        stop,
        progress: Box::new(|_| {}),
    };
    let scan_workers = ScanWorkers::from(&bench.disk.workers);
    scan(&scan_workers, order, Box::new(move |values| sender.send(values.unwrap()).unwrap()));
    let values = heard.recv().unwrap();
    for (piece, value) in pieces.iter().zip(&values) {
        let span = layout.span(*piece).unwrap();
        let mut bytes = vec![0; (span.end - span.start) as usize];
        file.read_exact_at(&mut bytes, span.start).unwrap();
        let mut hasher = blake3::Hasher::new();
        blake3::hazmat::HasherExt::set_input_offset(&mut hasher, span.start).update(&bytes);
        assert_eq!(*value, blake3::hazmat::HasherExt::finalize_non_root(&hasher), "{piece:?}");
    }
    assert_eq!(values.len(), pieces.len());
}
