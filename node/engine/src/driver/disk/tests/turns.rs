//! What waits until others are through.

use super::*;

#[test]
fn only_so_many_part_files_are_open_and_the_others_wait_for_their_turn() {
    let mut bench = Bench::new();
    bench.disk.limit(1, 2);
    let bytes = test_bytes(2 * PIECE);
    let outboard = described(&bytes);
    let open = |bench: &mut Bench, number: u32| {
        let (download, share) = (DownloadId(number), ShareId(number));
        let (target, content) = (bench.path(&number.to_string()), outboard.content());
        let (outboard, existing) = (outboard.clone(), Existing::Keep);
        bench.ask(DiskRequest::Open {
            save: riffle_core::SaveOptions::default(),
            download,
            share,
            target,
            existing,
            select: Vec::new(),
            content,
            outboard,
        });
    };
    let opened = |bench: &mut Bench| match bench.done() {
        Completion::Opened { download, share, part, .. } => {
            assert!(bench.disk.on_opened(download, share, part));
            download.0
        }
        Completion::ForCore(DiskResult::Opened { download, result: Err(error) }) => {
            assert_eq!((download.0, error.kind), (4, DiskErrorKind::Cancelled));
            bench.disk.on_download_ended(download);
            4
        }
        _ => panic!("another result"),
    };
    (1..=5).for_each(|number| open(&mut bench, number));
    let mut first = [opened(&mut bench), opened(&mut bench)];
    first.sort_unstable();
    assert_eq!(first, [1, 2]);
    assert_eq!(bench.names(), ["journal", "journal", "part", "part"]);
    bench.ask(DiskRequest::Abandon { download: DownloadId(4) });
    assert_eq!(opened(&mut bench), 4, "one that waited is answered when it is given up");
    bench.ask(DiskRequest::Abandon { download: DownloadId(1) });
    assert_eq!(opened(&mut bench), 3);
    bench.disk.on_download_ended(DownloadId(3));
    assert_eq!(opened(&mut bench), 5);
}

#[test]
fn a_file_that_changes_while_it_is_hashed_is_not_shared() {
    type Tampering = fn(&Path);
    let ways: [(DiskErrorKind, Tampering); 5] = [
        (DiskErrorKind::Changed, |path| {
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(PIECE as u64 + 5).unwrap();
        }),
        (DiskErrorKind::Changed, |path| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            let before = file.metadata().unwrap().modified().unwrap();
            file.write_all_at(b"other", 7).unwrap();
            file.set_modified(before + Duration::from_millis(4)).unwrap();
        }),
        (DiskErrorKind::Changed, |path| {
            fs::copy(path, path.with_extension("other")).unwrap();
            fs::rename(path.with_extension("other"), path).unwrap();
        }),
        (DiskErrorKind::NotFound, |path| fs::remove_file(path).unwrap()),
        (DiskErrorKind::Changed, |path| {
            fs::copy(path, path.with_extension("other")).unwrap();
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink(path.with_extension("other"), path).unwrap();
        }),
    ];
    for (way, (why, meddle)) in ways.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let (results, mut heard) = Results::channel();
        let settings = config::DiskSettings { hash_threads: 1, ..config::NodeSettings::default().disk };
        let mut disk = Disk::start(&settings, results, &tracing::Dispatch::none()).unwrap();
        let path = folder.path().join("f");
        fs::write(&path, test_bytes(4 * PIECE)).unwrap();
        // The one worker is held until all is queued; then it opens the file, meets this, and only then the slices.
        let (go, gate) = std::sync::mpsc::channel::<()>();
        disk.queue().push(Priority::Urgent, Box::new(move |_| assert!(gate.recv().is_err())));
        disk.request(
            DiskRequest::Share { share: SHARE, path: path.clone(), options: FolderOptions::default() },
            &mut Pool::default(),
        );
        let changed = path.clone();
        disk.queue().push(Priority::Urgent, Box::new(move |_| meddle(&changed)));
        drop(go);
        let result = loop {
            match heard.blocking_recv().expect("the worker lives") {
                Completion::ForCore(DiskResult::Hashing { .. }) => {}
                Completion::ForCore(DiskResult::Shared { result, .. }) => break result.err(),
                Completion::Shared { .. } => break None,
                _ => panic!("another result"),
            }
        };
        assert_eq!(result, Some(DiskError { path, kind: why }), "{way}");
    }
}
