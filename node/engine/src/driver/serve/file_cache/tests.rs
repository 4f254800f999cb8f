//! What waits for the disk, in which order it goes on, and what happens to a file that changed.

use std::fs::File;
use std::sync::Arc;

use messages::{ChunkHeader, Conversation, PieceIndex};
use tokio::sync::mpsc;

use super::*;
use crate::driver::disk::{Completion, Disk};
use crate::platform::mapping::MappedFile;

const SHARE: ShareId = ShareId(4);

struct Bench {
    file_cache: FileCache,
    /// Keeps the workers alive.
    _disk: Disk,
    results: mpsc::UnboundedReceiver<Completion>,
    file: Arc<File>,
}

/// A file cache with one sparse file of so many blocks.
fn bench(blocks: u64) -> Bench {
    let (results, heard) = Results::channel();
    let settings = config::NodeSettings::default().disk;
    let disk = Disk::start(&settings, results.clone(), &tracing::Dispatch::none()).unwrap();
    let file = Arc::new(tempfile::tempfile().unwrap());
    file.set_len(blocks * BLOCK).unwrap();
    let map = MappedFile::of(&file, blocks * BLOCK).unwrap().map(Arc::new);
    let mut file_cache = FileCache::new(disk.queue().clone(), results, 8);
    let served = ServedFile { path: "f".into(), file: file.clone(), map, identity: None };
    assert!(file_cache.insert(SHARE, served).is_none());
    Bench { file_cache, _disk: disk, results: heard, file }
}

pub(super) fn burst(port: u16, start: u64) -> Burst {
    let first = ChunkHeader {
        conversation: Conversation(1),
        sequence: 0,
        request: 0,
        piece: PieceIndex(0),
        offset: 0,
        sent_at: 0,
        index: 0,
        count: 10,
        hold: 0,
    };
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    Burst {
        to,
        source: Source::Share(SHARE),
        start,
        length: 10_000,
        segment_size: 1000,
        first,
        no_gso: false,
        ping: None,
    }
}

impl Bench {
    /// The next block that a worker has looked at, told to the file cache.
    fn populated(&mut self) -> (usize, Option<DiskError>) {
        let Some(Completion::Populated { share, block, result }) = self.results.blocking_recv() else {
            panic!("another result")
        };
        (block, self.file_cache.on_populated(share, block, result))
    }

    fn released(&mut self) -> Vec<(u16, u64)> {
        let mut ready = Vec::new();
        self.file_cache.take_ready(&mut ready);
        ready.iter().map(|burst| (burst.to.port(), burst.start)).collect()
    }
}

#[test]
fn cold_blocks_are_read_first_and_the_next_one_ahead() {
    let mut bench = bench(4);
    assert!(bench.file_cache.admit(burst(1, 0)).is_none());
    let mut blocks = [bench.populated().0, bench.populated().0];
    blocks.sort_unstable();
    assert_eq!(blocks, [0, 1]);
    assert_eq!(bench.released(), [(1, 0)]);
    assert!(bench.file_cache.admit(burst(1, 5000)).is_some(), "warm");
    assert!(bench.file_cache.admit(burst(1, BLOCK)).is_some(), "read ahead");
    assert_eq!(bench.populated().0, 2, "and the one after that");
    assert_eq!(bench.file_cache.counters().waited, 1);
}

#[test]
fn what_follows_to_the_same_destination_keeps_its_place() {
    let mut bench = bench(9);
    assert!(bench.file_cache.admit(burst(1, 0)).is_none());
    bench.populated();
    bench.populated();
    assert_eq!(bench.released(), [(1, 0)]);
    assert!(bench.file_cache.admit(burst(1, 5 * BLOCK)).is_none(), "cold");
    assert!(bench.file_cache.admit(burst(1, 0)).is_none(), "behind the cold one");
    assert!(bench.file_cache.admit(burst(2, 0)).is_some(), "another destination goes on");
    assert_eq!(bench.released(), []);
    while bench.populated().0 != 5 {}
    assert_eq!(bench.released(), [(1, 5 * BLOCK), (1, 0)]);
}

#[test]
fn a_burst_over_two_blocks_waits_for_both() {
    let mut bench = bench(3);
    assert!(bench.file_cache.admit(burst(1, BLOCK - 5000)).is_none());
    let mut seen = Vec::new();
    while !(seen.contains(&0) && seen.contains(&1)) {
        assert_eq!(bench.released(), []);
        seen.push(bench.populated().0);
    }
    assert_eq!(bench.released(), [(1, BLOCK - 5000)]);
}

#[test]
fn a_shortened_file_is_reported_once_and_nothing_more_is_sent_from_it() {
    let mut bench = bench(4);
    bench.file.set_len(BLOCK).unwrap();
    assert!(bench.file_cache.admit(burst(1, 2 * BLOCK)).is_none());
    let errors: Vec<_> = [bench.populated(), bench.populated()].into_iter().filter_map(|(_, e)| e).collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].kind, DiskErrorKind::Changed);
    assert_eq!(bench.released(), []);
    assert!(bench.file_cache.bytes(&burst(1, 0)).is_none());
    assert!(bench.file_cache.admit(burst(1, 0)).is_none());
    assert_eq!(bench.file_cache.on_fault(&burst(1, 0)), None);
    assert_eq!(bench.file_cache.counters().dropped, 2);
}

#[test]
fn bursts_outside_the_file_or_of_no_file_are_dropped() {
    let mut bench = bench(1);
    assert!(bench.file_cache.admit(burst(1, BLOCK)).is_none());
    assert!(bench.file_cache.remove(SHARE).is_some());
    assert!(bench.file_cache.admit(burst(1, 0)).is_none());
    assert_eq!(bench.file_cache.counters().dropped, 2);
}

#[test]
fn outboards_are_always_ready() {
    let mut bench = bench(1);
    let source = Source::Outboard(vec![7; 10_100].into());
    let burst = |start| Burst { source: source.clone(), ..burst(1, start) };
    assert!(bench.file_cache.admit(burst(100)).is_some());
    assert!(
        matches!(bench.file_cache.bytes(&burst(100)), Some(Bytes::Memory(bytes)) if bytes.len() == 10_000)
    );
    assert!(bench.file_cache.bytes(&burst(101)).is_none());
}

#[test]
fn a_slow_send_makes_its_file_cold_again() {
    let mut bench = bench(1);
    assert!(bench.file_cache.admit(burst(1, 0)).is_none());
    bench.populated();
    assert_eq!(bench.released().len(), 1);
    bench.file_cache.on_sent(&burst(1, 0), STALL / 2);
    assert!(bench.file_cache.admit(burst(1, 0)).is_some());
    bench.file_cache.on_sent(&burst(1, 0), STALL);
    assert!(bench.file_cache.admit(burst(1, 0)).is_none());
    assert_eq!(bench.file_cache.counters().stalls, 1);
}

#[test]
fn what_stays_in_the_process_is_bounded() {
    let blocks = MAX_RESIDENT as u64 + 2;
    let mut bench = bench(blocks);
    for block in 0..blocks {
        if bench.file_cache.admit(burst(1, block * BLOCK)).is_none() {
            while bench.released().is_empty() {
                bench.populated();
            }
        }
    }
    let resident = |bench: &Bench| bench.file_cache.files[&SHARE].warm.count_ones(..);
    while resident(&bench) < MAX_RESIDENT {
        bench.populated();
    }
    assert!(bench.file_cache.admit(burst(1, 0)).is_none(), "the oldest has gone");
    while bench.released().is_empty() {
        bench.populated();
    }
    assert!(resident(&bench) <= MAX_RESIDENT);
}

#[test]
fn what_waits_for_the_disk_is_bounded_for_each_and_for_all() {
    let mut bench = bench(1);
    for number in 0..=MAX_WAITING {
        assert!(bench.file_cache.admit(burst(1, number as u64 % 100)).is_none());
    }
    assert_eq!(bench.file_cache.counters().dropped, 1);
    for number in MAX_WAITING..=MAX_WAITING_IN_ALL {
        assert!(bench.file_cache.admit(burst(2 + (number % 50) as u16, 0)).is_none());
    }
    assert_eq!(bench.file_cache.counters().dropped, 2);
    bench.populated();
    assert_eq!(bench.released().len(), MAX_WAITING_IN_ALL);
    assert_eq!(bench.file_cache.waiting_in_all, 0);
    assert!(bench.file_cache.admit(burst(1, 0)).is_some());
}
