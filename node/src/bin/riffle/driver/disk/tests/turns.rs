//! What waits until others are through.

use super::*;

#[test]
fn only_so_many_part_files_are_open_and_the_others_wait_for_their_turn() {
    let mut bench = Bench::new();
    bench.disk.limit(1, 2);
    let bytes = test_bytes(1000);
    let manifest = described(&bytes);
    let open = |bench: &mut Bench, number: u32| {
        let (download, share) = (DownloadId(number), ShareId(number));
        let (target, content) = (bench.path(&number.to_string()), manifest.content_id());
        bench.ask(DiskRequest::Open { download, share, target, content, manifest: manifest.clone() });
    };
    let opened = |bench: &mut Bench| match bench.done() {
        Done::Opened { download, share, part, .. } => {
            assert!(bench.disk.on_opened(download, share, part));
            download.0
        }
        Done::Told(DiskResult::Opened { download, result: Err(error) }) => {
            assert_eq!((download.0, error.kind), (4, DiskErrorKind::Cancelled));
            bench.disk.on_over(download);
            4
        }
        _ => panic!("another result"),
    };
    (1..=5).for_each(|number| open(&mut bench, number));
    let mut first = [opened(&mut bench), opened(&mut bench)];
    first.sort_unstable();
    assert_eq!(first, [1, 2]);
    assert_eq!(bench.names(), ["1.part", "2.part"]);
    bench.ask(DiskRequest::Abandon { download: DownloadId(4) });
    assert_eq!(opened(&mut bench), 4, "one that waited is answered when it is given up");
    bench.ask(DiskRequest::Abandon { download: DownloadId(1) });
    assert_eq!(opened(&mut bench), 3);
    bench.disk.on_over(DownloadId(3));
    assert_eq!(opened(&mut bench), 5);
}
