//! Disks that fill up, fail, or are meddled with while a download writes.
#![expect(clippy::single_range_in_vec_init, reason = "runs of pieces, of which there may be one")]

use super::*;
use crate::driver::disk::fault_injection::{Call, Fault};
use Fault::{Fails, Panics, Takes};

const PIECES: u32 = 4;

fn begun() -> (Bench, Vec<u8>, Arc<Outboard>) {
    let mut bench = Bench::new();
    let bytes = test_bytes(PIECES as usize * PIECE);
    let outboard = described(&bytes);
    bench.open(&outboard).unwrap();
    (bench, bytes, outboard)
}

fn piece(bytes: &[u8], index: u32) -> &[u8] {
    &bytes[index as usize * PIECE..][..PIECE]
}

fn completes(bench: &mut Bench, outboard: &Outboard, bytes: &[u8], have: &[Range<u32>]) {
    let have: Vec<u32> = have.iter().cloned().flatten().collect();
    for index in (0..PIECES).filter(|index| !have.contains(index)) {
        bench.store_all(outboard, bytes, index..index + 1);
    }
    bench.finish().unwrap();
    assert!(fs::read(bench.path("f")).unwrap() == bytes);
}

fn kind(result: Result<(), StoreError>) -> DiskErrorKind {
    match result {
        Err(StoreError::Disk(error)) => error.kind,
        other => panic!("{other:?}"),
    }
}

#[test]
fn short_and_interrupted_writes_are_gone_on_with() {
    let (mut bench, bytes, outboard) = begun();
    let calls = [(Call::Write, Takes(1)), (Call::Write, Fails(libc::EINTR)), (Call::Write, Takes(100_000))];
    bench.disk.settings.calls.plan(&calls);
    bench.disk.settings.calls.plan(&[(Call::Append, Takes(7)), (Call::Append, Fails(libc::EINTR))]);
    bench.store(&outboard, 2, piece(&bytes, 2)).unwrap();
    assert!(bench.disk.settings.calls.is_over());
    let mut bench = bench.restarted();
    assert_eq!(bench.resumed(&outboard), (vec![2..3], None));
    completes(&mut bench, &outboard, &bytes, &[2..3]);
}

#[test]
fn a_write_that_fails_in_the_middle_records_nothing_and_may_be_tried_again() {
    for number in [libc::EIO, libc::ENOSPC, libc::EDQUOT] {
        let (mut bench, bytes, outboard) = begun();
        bench.store_all(&outboard, &bytes, 0..1);
        bench.disk.settings.calls.plan(&[(Call::Write, Takes(PIECE / 2)), (Call::Write, Fails(number))]);
        match kind(bench.store(&outboard, 1, piece(&bytes, 1))) {
            // There is room on this disk, so it is a quota: what is known is that the piece does not fit.
            DiskErrorKind::Full { needed } => assert_eq!(needed, PIECE as u64),
            DiskErrorKind::Other(_) => assert_eq!(number, libc::EIO),
            other => panic!("{other:?}"),
        }
        assert!(bench.finish_again().is_err(), "a piece is missing");
        bench.store_all(&outboard, &bytes, 1..2);
        let mut bench = bench.restarted();
        assert_eq!(bench.resumed(&outboard), (vec![0..2], None));
        completes(&mut bench, &outboard, &bytes, &[0..2]);
    }
}

#[test]
fn a_journal_that_is_full_counts_nothing_and_what_comes_after_it_is_read() {
    let (mut bench, bytes, outboard) = begun();
    bench.store_all(&outboard, &bytes, 0..1);
    bench.disk.settings.calls.plan(&[(Call::Append, Takes(20)), (Call::Append, Fails(libc::ENOSPC))]);
    let full = kind(bench.store(&outboard, 1, piece(&bytes, 1)));
    assert!(matches!(full, DiskErrorKind::Full { needed } if needed > 0), "{full:?}");
    bench.store_all(&outboard, &bytes, 3..4);
    let mut bench = bench.restarted();
    assert_eq!(bench.resumed(&outboard), (vec![0..1, 3..4], None), "half a record hides nothing");
    completes(&mut bench, &outboard, &bytes, &[0..1, 3..4]);
}

#[test]
fn what_could_not_be_synced_is_never_called_durable() {
    let mut settings = config::NodeSettings::default().disk;
    settings.sync_bytes = config::ByteSize::bytes(2 * PIECE as u64);
    let mut bench = Bench::with(tempfile::tempdir().unwrap(), settings);
    let bytes = test_bytes(PIECES as usize * PIECE);
    let outboard = described(&bytes);
    bench.open(&outboard).unwrap();
    bench.disk.settings.calls.plan(&[(Call::Sync, Fails(libc::EIO))]);
    bench.store_all(&outboard, &bytes, 0..1);
    assert!(matches!(kind(bench.store(&outboard, 1, piece(&bytes, 1))), DiskErrorKind::Other(_)));
    // The next sync works, and is about what came after.
    bench.store_all(&outboard, &bytes, 2..4);
    let mut bench = bench.restarted();
    let again = HashedAgain { bytes: 2 * PIECE as u64, why: RecheckReason::WriteFailed };
    assert_eq!(bench.resumed(&outboard), (vec![0..4], Some(again)));
    bench.finish().unwrap();
}

#[test]
fn what_could_not_be_synced_is_read_back_before_it_gets_its_name() {
    let mut settings = config::NodeSettings::default().disk;
    settings.sync_bytes = config::ByteSize::bytes(2 * PIECE as u64);
    for lost in [false, true] {
        let mut bench = Bench::with(tempfile::tempdir().unwrap(), settings.clone());
        let bytes = test_bytes(PIECES as usize * PIECE);
        let outboard = described(&bytes);
        bench.open(&outboard).unwrap();
        bench.disk.settings.calls.plan(&[(Call::Sync, Fails(libc::ENOSPC))]);
        bench.store_all(&outboard, &bytes, 0..1);
        let full = kind(bench.store(&outboard, 1, piece(&bytes, 1)));
        assert!(matches!(full, DiskErrorKind::Full { needed } if needed > 0), "{full:?}");
        bench.store_all(&outboard, &bytes, 1..4);
        if lost {
            overwrite(&bench.working(&outboard).part, 7);
        }
        assert_eq!(bench.finish_again().is_err(), lost);
        if lost {
            assert_eq!(bench.names(), ["journal", "part"]);
            let mut bench = bench.restarted();
            assert_eq!(bench.have(&outboard), [1..4]);
            completes(&mut bench, &outboard, &bytes, &[1..4]);
        }
    }
}

/// Changes a byte and leaves the file's time as it was: as a disk does that loses a write.
fn overwrite(path: &Path, at: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn a_finish_that_fails_keeps_all_and_believes_less() {
    for number in [libc::EIO, libc::ENOSPC] {
        let (mut bench, bytes, outboard) = begun();
        bench.store_all(&outboard, &bytes, 0..4);
        bench.disk.settings.calls.plan(&[(Call::SyncAll, Fails(number))]);
        let Err(error) = bench.finish() else { panic!("finished") };
        assert_eq!(matches!(error.kind, DiskErrorKind::Full { .. }), number == libc::ENOSPC, "{error}");
        assert_eq!(bench.names(), ["journal", "part"]);
        let mut bench = bench.restarted();
        let again = HashedAgain { bytes: 4 * PIECE as u64, why: RecheckReason::WriteFailed };
        assert_eq!(bench.resumed(&outboard), (vec![0..4], Some(again)));
        bench.finish().unwrap();
        assert!(fs::read(bench.path("f")).unwrap() == bytes);
    }
}

#[test]
fn an_opening_without_room_leaves_nothing_and_may_be_tried_again() {
    let mut bench = Bench::new();
    let bytes = test_bytes(PIECES as usize * PIECE);
    let outboard = described(&bytes);
    for call in [Call::Allocate, Call::Create] {
        bench.disk.settings.calls.plan(&[(call, Fails(libc::ENOSPC))]);
        let error = bench.open(&outboard).err().unwrap();
        assert!(matches!(error.kind, DiskErrorKind::Full { needed } if needed > 0), "{call:?}: {error}");
        assert_eq!(bench.names(), [""; 0]);
    }
    assert_eq!(bench.resumed(&outboard), (vec![], None));
    completes(&mut bench, &outboard, &bytes, &[]);
}

#[test]
fn a_file_system_that_promises_no_room_gets_a_sparse_file() {
    for number in [libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL] {
        let mut bench = Bench::new();
        let bytes = test_bytes(PIECES as usize * PIECE);
        let outboard = described(&bytes);
        bench.disk.settings.calls.plan(&[(Call::Allocate, Fails(number))]);
        bench.open(&outboard).unwrap();
        assert!(bench.disk.settings.calls.is_over());
        completes(&mut bench, &outboard, &bytes, &[]);
    }
}

#[test]
fn an_opening_without_room_does_not_spoil_what_is_there() {
    let (mut bench, bytes, outboard) = begun();
    bench.store_all(&outboard, &bytes, 0..2);
    let mut bench = bench.restarted();
    // A sparse copy, as a backup makes it: it has its length and its time, and holes.
    let part = bench.working(&outboard).part;
    let time = fs::metadata(&part).unwrap().modified().unwrap();
    let stored = fs::read(&part).unwrap();
    fs::remove_file(&part).unwrap();
    let copy = fs::File::create(&part).unwrap();
    copy.set_len(stored.len() as u64).unwrap();
    copy.write_all_at(&stored[..2 * PIECE], 0).unwrap();
    copy.set_modified(time).unwrap();
    drop(copy);
    bench.disk.settings.calls.plan(&[(Call::Allocate, Fails(libc::ENOSPC))]);
    assert!(matches!(bench.open(&outboard).err().unwrap().kind, DiskErrorKind::Full { .. }));
    let again = HashedAgain { bytes: 2 * PIECE as u64, why: RecheckReason::Changed };
    assert_eq!(bench.resumed(&outboard), (vec![0..2], Some(again)), "another file with the same pieces");
    completes(&mut bench, &outboard, &bytes, &[0..2]);
}

#[test]
fn a_part_file_that_is_removed_or_replaced_meanwhile_is_noticed() {
    type Tampering = fn(&Path);
    let ways: [Tampering; 3] = [
        |part| fs::remove_file(part).unwrap(),
        |part| {
            fs::write(part.with_extension("other"), "other").unwrap();
            fs::rename(part.with_extension("other"), part).unwrap();
        },
        |part| fs::OpenOptions::new().write(true).open(part).unwrap().set_len(9).unwrap(),
    ];
    for (way, meddle) in ways.into_iter().enumerate() {
        for stored in [2, PIECES] {
            let (mut bench, bytes, outboard) = begun();
            bench.store_all(&outboard, &bytes, 0..stored);
            let part = bench.working(&outboard).part;
            meddle(&part);
            if stored < PIECES {
                let error = bench.store(&outboard, 3, piece(&bytes, 3)).unwrap_err();
                assert!(error.to_string().contains("riffle-part: was "), "{error}");
            }
            let Err(error) = bench.finish() else { panic!("{way}: finished") };
            assert_eq!(error.path, part);
            assert!(!bench.path("f").exists(), "{way}");
            let bench = bench.abandon();
            assert_eq!(part.exists(), way > 0, "what others put there stays");
            let mut bench = bench;
            let have = bench.have(&outboard);
            assert_eq!(have, [], "{way}");
            completes(&mut bench, &outboard, &bytes, &have);
        }
    }
}

#[test]
fn bytes_that_others_wrote_do_not_get_the_name() {
    // After the last of our writes, and before it.
    for stored in [4, 3] {
        let (mut bench, bytes, outboard) = begun();
        bench.store_all(&outboard, &bytes, 0..stored);
        let part = bench.working(&outboard).part;
        let file = fs::OpenOptions::new().write(true).open(&part).unwrap();
        let time = file.metadata().unwrap().modified().unwrap();
        file.write_all_at(b"mine", 2 * PIECE as u64).unwrap();
        file.set_modified(time + Duration::from_millis(1)).unwrap();
        bench.store_all(&outboard, &bytes, stored..PIECES);
        let Err(error) = bench.finish() else { panic!("finished") };
        assert!(error.to_string().contains("does not have the bytes"), "{error}");
        assert_eq!(bench.names(), ["journal", "part"]);
        let mut bench = bench.restarted();
        let have = bench.have(&outboard);
        assert_eq!(have, [0..2, 3..4]);
        completes(&mut bench, &outboard, &bytes, &have);
    }
}

#[test]
fn a_folder_that_vanishes_is_an_error_and_no_more() {
    let (mut bench, bytes, outboard) = begun();
    bench.store_all(&outboard, &bytes, 0..1);
    fs::remove_dir_all(bench.folder.path()).unwrap();
    assert!(matches!(kind(bench.store(&outboard, 1, piece(&bytes, 1))), DiskErrorKind::Other(_)));
    assert!(bench.finish().is_err());
    let error = bench.open(&outboard).err().unwrap();
    assert_eq!(error.kind, DiskErrorKind::NoFolder);
}

#[test]
fn a_worker_that_panics_answers_all_the_same_and_what_is_there_stays_right() {
    let mut bench = Bench::new();
    let bytes = test_bytes(PIECES as usize * PIECE);
    let outboard = described(&bytes);
    bench.disk.settings.calls.plan(&[(Call::Allocate, Panics), (Call::Create, Panics)]);
    for _ in 0..2 {
        assert_eq!(bench.open(&outboard).err().unwrap().kind, DiskErrorKind::Internal);
    }
    bench.open(&outboard).unwrap();
    bench.store_all(&outboard, &bytes, 0..1);
    bench.disk.settings.calls.plan(&[(Call::Write, Panics), (Call::Append, Panics), (Call::SyncAll, Panics)]);
    for _ in 0..2 {
        assert_eq!(kind(bench.store(&outboard, 1, piece(&bytes, 1))), DiskErrorKind::Internal);
    }
    bench.store_all(&outboard, &bytes, 1..4);
    let Err(error) = bench.finish_again() else { panic!("finished") };
    assert_eq!(error.kind, DiskErrorKind::Internal);
    assert!(bench.disk.settings.calls.is_over());
    bench.finish().unwrap();
    assert!(fs::read(bench.path("f")).unwrap() == bytes);
}

/// Root may write anywhere: the folder is what is read-only then, by a mount.
#[test]
fn a_small_disk_says_what_it_needs_and_a_read_only_one_what_it_is() {
    const INSIDE: &str = "RIFFLE_TEST_SMALL_DISK";
    if let Some(folder) = std::env::var_os(INSIDE) {
        return on_a_small_disk(Path::new(&folder));
    }
    let here = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=3m,mode=755 riffle \"$1\" && mkdir \"$1/full\" \"$1/read-only\" && \
        mount -t tmpfs -o ro riffle \"$1/read-only\" && exec \"$2\" --exact --nocapture \"$3\"";
    let me = std::env::current_exe().unwrap();
    let name = std::thread::current().name().unwrap().to_owned();
    let arguments = ["--mount", "sh", "-c", script, "sh"];
    let mut command = std::process::Command::new("unshare");
    command.args(arguments).arg(here.path()).arg(me).arg(name).env(INSIDE, here.path());
    let ran = command.stdin(std::process::Stdio::null()).output();
    let said = ran.as_ref().map_or_else(ToString::to_string, |ran| {
        String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr)
    });
    if !said.contains("running 1 test") {
        eprintln!("skipped: no disks can be mounted here (root and `unshare` are needed): {said}");
        return;
    }
    assert!(ran.unwrap().status.success() && said.contains("1 passed"), "{said}");
}

fn on_a_small_disk(folder: &Path) {
    let in_full = tempfile::tempdir_in(folder.join("full")).unwrap();
    let free = || {
        let room = rustix::fs::statvfs(folder).unwrap();
        room.f_bavail * room.f_frsize
    };
    let mut bench = Bench::in_folder(in_full);
    let bytes = test_bytes(8 * PIECE);
    let outboard = described(&bytes);
    // Three quarters are taken by somebody else.
    fs::write(folder.join("other"), vec![1; 9 * PIECE]).unwrap();
    let before = free();
    let DiskErrorKind::Full { needed } = bench.open(&outboard).err().unwrap().kind else { panic!("room") };
    let missing = 8 * PIECE as u64 - before;
    assert!((missing..missing + 4096).contains(&needed), "{needed} of {missing}");
    assert_eq!((free(), bench.names()), (before, vec![]), "no room is held by what failed");

    // The disk fills up under a sparse file.
    fs::remove_file(folder.join("other")).unwrap();
    bench.disk.settings.calls.plan(&[(Call::Allocate, Fails(libc::EOPNOTSUPP))]);
    bench.open(&outboard).unwrap();
    bench.store_all(&outboard, &bytes, 0..2);
    fs::write(folder.join("other"), vec![1; 9 * PIECE]).unwrap();
    let mut stored = 2;
    let needed = loop {
        match bench.store(&outboard, stored, &bytes[stored as usize * PIECE..][..PIECE]) {
            Ok(()) => stored += 1,
            Err(StoreError::Disk(DiskError { kind: DiskErrorKind::Full { needed }, .. })) => break needed,
            Err(other) => panic!("{other}"),
        }
    };
    let still = u64::from(8 - stored) * PIECE as u64;
    assert_eq!(needed, still - free(), "{stored} stored");
    assert!(bench.store(&outboard, stored, &bytes[stored as usize * PIECE..][..PIECE]).is_err());
    fs::remove_file(folder.join("other")).unwrap();
    bench.store_all(&outboard, &bytes, stored..8);
    bench.finish().unwrap();
    assert!(fs::read(bench.path("f")).unwrap() == bytes);

    let target = folder.join("read-only/f");
    let content = outboard.content();
    let existing = Existing::Keep;
    bench.ask(DiskRequest::Open {
        save: riffle_core::SaveOptions::default(),
        download: DOWNLOAD,
        share: SHARE,
        target,
        existing,
        select: Vec::new(),
        content,
        outboard,
    });
    let Completion::ForCore(DiskResult::Opened { result: Err(error), .. }) = bench.done() else {
        panic!("opened")
    };
    assert_eq!((error.path, error.kind), (folder.join("read-only"), DiskErrorKind::ReadOnly));
}
