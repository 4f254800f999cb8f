//! Many shared files of which few are open at a time.

use std::fs::File;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::tests::burst;
use super::*;
use crate::driver::disk::{Completion, Disk};
use crate::platform::mapping::MappedFile;

/// A folder of small shared files, all in one file cache that holds few of them open.
struct Many {
    file_cache: FileCache,
    /// Keeps the workers alive.
    _disk: Disk,
    results: mpsc::UnboundedReceiver<Completion>,
    folder: tempfile::TempDir,
}

const LENGTH: usize = 10_000;

impl Many {
    fn new(files: u32, most_open: usize) -> Many {
        let (results, heard) = Results::channel();
        let settings = config::NodeSettings::default().disk;
        let disk = Disk::start(&settings, results.clone(), &tracing::Dispatch::none()).unwrap();
        let file_cache = FileCache::new(disk.queue().clone(), results, most_open);
        let folder = tempfile::tempdir().unwrap();
        let mut many = Many { file_cache, _disk: disk, results: heard, folder };
        for number in 0..files {
            let path = many.path(number);
            std::fs::write(&path, bytes_of(number)).unwrap();
            let file = Arc::new(File::open(&path).unwrap());
            let map = MappedFile::of(&file, LENGTH as u64).unwrap().map(Arc::new);
            let identity = Some(FileIdentity::of_file(&file).unwrap());
            assert!(
                many.file_cache.insert(ShareId(number), ServedFile { path, file, map, identity }).is_none()
            );
            assert!(many.open() <= most_open);
        }
        many
    }

    fn path(&self, number: u32) -> PathBuf {
        self.folder.path().join(number.to_string())
    }

    fn open(&self) -> usize {
        self.file_cache.files.values().filter(|file| file.served.is_some()).count()
    }

    fn burst(number: u32) -> Burst {
        Burst { source: Source::Share(ShareId(number)), ..burst(1000 + number as u16, 0) }
    }

    /// What a worker has said, told to the file cache: the share whose file is spoiled by that.
    fn hear(&mut self) -> Option<(ShareId, DiskErrorKind)> {
        let (share, changed) = match self.results.blocking_recv().expect("the workers live") {
            Completion::Populated { share, block, result } => {
                (share, self.file_cache.on_populated(share, block, result))
            }
            Completion::Reopened { share, result } => (share, self.file_cache.on_reopened(share, result)),
            Completion::Checked { share, result } => (share, self.file_cache.on_checked(share, result)),
            _ => panic!("another result"),
        };
        changed.map(|error| (share, error.kind))
    }

    /// The bytes that a burst would carry now.
    fn bytes(&self, burst: &Burst) -> Option<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let Bytes::Served(served) = self.file_cache.bytes(burst)? else { panic!("from memory") };
        assert!(served.map.as_ref().unwrap().run(0..LENGTH as u64).is_some());
        let mut bytes = vec![0; LENGTH];
        served.file.read_exact_at(&mut bytes, 0).unwrap();
        Some(bytes)
    }

    /// Whether the burst can be sent after all, or why its file cannot be served.
    fn sent(&mut self, number: u32) -> Result<Vec<u8>, DiskErrorKind> {
        let Some(burst) = self.file_cache.admit(Many::burst(number)) else {
            loop {
                if let Some((share, why)) = self.hear() {
                    assert_eq!(share, ShareId(number));
                    return Err(why);
                }
                let mut ready = Vec::new();
                self.file_cache.take_ready(&mut ready);
                let next = ready.pop();
                assert!(ready.is_empty());
                if next.is_none() {
                    self.file_cache.open_wanted();
                }
                if let Some(burst) = next {
                    return Ok(self.bytes(&burst).unwrap());
                }
            }
        };
        Ok(self.bytes(&burst).unwrap())
    }
}

fn bytes_of(number: u32) -> Vec<u8> {
    (0..LENGTH as u32).map(|at| (at * 7 + number * 13) as u8).collect()
}

#[test]
fn many_files_are_served_with_few_open() {
    for most in [1, 2, 7] {
        let mut many = Many::new(60, most);
        assert_eq!(many.open(), most);
        for number in (0..60).chain([59, 3, 3, 59, 20]) {
            assert!(many.sent(number) == Ok(bytes_of(number)), "{number}");
            assert!(many.open() <= most, "{} of {most}", many.open());
        }
        assert!(many.file_cache.counters().reopened >= 58);
        assert_eq!(many.file_cache.counters().dropped, 0);
    }
}

#[test]
fn all_at_once_are_served_with_few_open_and_in_their_turn() {
    let mut many = Many::new(40, 3);
    let mut left: BTreeSet<u32> = (0..40).collect();
    let mut ready: Vec<Burst> =
        (0..40).filter_map(|number| many.file_cache.admit(Many::burst(number))).collect();
    while !left.is_empty() {
        for burst in ready.drain(..) {
            let Source::Share(share) = burst.source else { panic!("from memory") };
            assert!(many.bytes(&burst) == Some(bytes_of(share.0)), "{share}");
            assert!(left.remove(&share.0));
        }
        many.file_cache.open_wanted();
        if !left.is_empty() {
            assert!(many.hear().is_none());
            many.file_cache.take_ready(&mut ready);
        }
        assert!(many.open() <= 3);
    }
}

#[test]
fn a_busy_file_stays_open_while_others_come_and_go() {
    let mut many = Many::new(20, 3);
    many.sent(0).unwrap();
    let before = many.file_cache.counters().reopened;
    for number in 1..20 {
        many.sent(number).unwrap();
        assert_eq!(many.sent(0), Ok(bytes_of(0)));
    }
    assert!(many.file_cache.counters().reopened <= before + 19, "0 is never opened again");
}

#[test]
fn a_closed_file_that_is_not_what_it_was_is_not_served() {
    type Tampering = fn(&PathBuf);
    let ways: [(DiskErrorKind, Tampering); 6] = [
        (DiskErrorKind::Changed, |path| {
            File::options().write(true).open(path).unwrap().set_len(5000).unwrap();
        }),
        (DiskErrorKind::Changed, |path| {
            let file = File::options().write(true).open(path).unwrap();
            let later = file.metadata().unwrap().modified().unwrap() + Duration::from_millis(1);
            file.set_modified(later).unwrap();
        }),
        (DiskErrorKind::Changed, |path| {
            let other = path.with_extension("other");
            std::fs::copy(path, &other).unwrap();
            std::fs::rename(other, path).unwrap();
        }),
        (DiskErrorKind::NotFound, |path| std::fs::remove_file(path).unwrap()),
        (DiskErrorKind::Changed, |path| {
            let other = path.with_extension("other");
            std::fs::copy(path, &other).unwrap();
            std::fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink(other, path).unwrap();
        }),
        (DiskErrorKind::NotAFile, |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        }),
    ];
    for (why, meddle) in ways {
        let mut many = Many::new(4, 2);
        assert!(many.file_cache.files[&ShareId(0)].served.is_none(), "the first was closed");
        meddle(&many.path(0));
        assert_eq!(many.sent(0), Err(why));
        assert!(many.file_cache.admit(Many::burst(0)).is_none());
        assert!(many.file_cache.bytes(&Many::burst(0)).is_none());
        assert_eq!(many.sent(1), Ok(bytes_of(1)), "the others go on");

        // The same while it is open: found at the next look, a second later at most.
        let mut many = Many::new(4, 2);
        many.sent(3).unwrap();
        meddle(&many.path(3));
        many.file_cache.tick();
        assert_eq!(many.hear().map(|(share, _)| share), Some(ShareId(3)));
        assert!(many.file_cache.bytes(&Many::burst(3)).is_none());
    }
}

#[test]
fn a_system_without_place_for_one_more_file_withdraws_none() {
    let mut many = Many::new(6, 4);
    let too_many = |many: &Many| DiskError { path: many.path(0), kind: DiskErrorKind::TooManyOpen };
    assert!(many.file_cache.admit(Many::burst(0)).is_none());
    let Some(Completion::Reopened { share: ShareId(0), result: Ok(_) }) = many.results.blocking_recv() else {
        panic!("another result")
    };
    let error = too_many(&many);
    assert_eq!(many.file_cache.on_reopened(ShareId(0), Err(error)), None);
    let mut ready = Vec::new();
    many.file_cache.take_ready(&mut ready);
    assert!(ready.is_empty());
    many.file_cache.tick();
    while ready.is_empty() {
        assert_eq!(many.hear(), None);
        many.file_cache.take_ready(&mut ready);
    }
    assert_eq!(many.bytes(&ready[0]), Some(bytes_of(0)));
    assert!(many.open() <= 3, "one less than was thought");
}
