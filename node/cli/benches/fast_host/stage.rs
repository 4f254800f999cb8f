//! Where everything happens: a temporary folder in memory, the files to move, and whether somebody asked to leave.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rustix::fs::{FallocateFlags, fallocate};
use tokio::signal::unix::{SignalKind, signal};

use crate::figures::MIB;

/// What is read and written at once.
const BLOCK: usize = 1 << 20;
/// Magic number of tmpfs, from statfs(2).
const TMPFS: u64 = 0x0102_1994;
/// A page of each of these runs stays in use: see [`Stage::keep_memory`].
const RUN: u64 = 64 << 10;
const PAGE: u64 = 4 << 10;

/// The folder of one measurement, removed at the end.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    leave: Arc<AtomicBool>,
    /// Has no name; its memory is free again when this is dropped.
    ballast: Option<File>,
}

impl Stage {
    /// Makes a temporary folder in `parent`.
    pub(crate) fn open(parent: &Path) -> Result<Stage> {
        let folder = tempfile::Builder::new()
            .prefix("riffle-bench-")
            .tempdir_in(parent)
            .with_context(|| format!("no temporary folder in {}", parent.display()))?;
        Ok(Stage { folder, leave: leave_asked()?, ballast: None })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder `name`, made if it is not there.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.path().join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// An error once somebody asked to leave.
    pub(crate) fn check(&self) -> Result<()> {
        if self.leave.load(Ordering::Relaxed) {
            bail!("asked to leave");
        }
        Ok(())
    }

    /// A file of `length` random bytes that is called after its size, made if it is not there yet.
    pub(crate) fn source(&self, length: u64) -> Result<PathBuf> {
        let path = self.folder("sources")?.join(format!("{}-MiB.bin", length / MIB));
        if !path.exists() {
            self.room_for(length)?;
            random_file(&path, length)?;
        }
        Ok(path)
    }

    /// Whether `bytes` more fit here; in memory they must fit that, too.
    pub(crate) fn room_for(&self, bytes: u64) -> Result<()> {
        let here = rustix::fs::statvfs(self.path())?;
        let free = here.f_bavail * here.f_frsize;
        let free = if in_memory(self.path()) { free.min(available_memory()) } else { free };
        // What is left is for the programs.
        if free < bytes + 256 * MIB {
            bail!("{} MiB do not fit {}: {} are free", bytes / MIB, self.path().display(), free / MIB);
        }
        Ok(())
    }

    /// Keeps `bytes` of free memory from being given back to the host. A virtual machine reports what is free and not
    /// used for a while in runs of 2 MiB, and what was reported costs up to 2 s a GiB to touch again. So a file is
    /// written and all of it freed but one page in each 64 KiB: the free runs between are too short to be reported, and
    /// the kernel hands the shortest out first. Six `cp` of 1 GiB with pauses of 3 s took 619-1009 ms beside such a file,
    /// 590-2183 ms without.
    pub(crate) fn keep_memory(&mut self, bytes: u64) -> Result<()> {
        if !in_memory(self.path()) {
            return Ok(());
        }
        self.room_for(2 * bytes)?;
        let path = self.path().join("ballast");
        write_ones(&path, bytes)?;
        let file = File::options().write(true).open(&path)?;
        fs::remove_file(&path)?;
        let free = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        for start in (0..bytes).step_by(RUN as usize) {
            fallocate(&file, free, start + PAGE, RUN - PAGE)?;
        }
        self.ballast = Some(file);
        Ok(())
    }

    /// Takes back from the host what was given to it all the same: reads `sources`, then writes `written` bytes and frees
    /// them.
    pub(crate) fn warm(&self, sources: &[PathBuf], written: u64) -> Result<()> {
        let mut block = vec![0; BLOCK];
        for source in sources {
            let mut file = File::open(source)?;
            while file.read(&mut block)? > 0 {}
        }
        let path = self.path().join("warm");
        write_ones(&path, written)?;
        fs::remove_file(&path)?;
        self.check()
    }
}

fn write_ones(path: &Path, length: u64) -> Result<()> {
    let block = vec![1; BLOCK];
    let mut file = File::create(path)?;
    let mut left = length;
    while left > 0 {
        let now = left.min(BLOCK as u64);
        file.write_all(&block[..now as usize])?;
        left -= now;
    }
    Ok(())
}

/// Writes `length` random bytes, always the same.
fn random_file(path: &Path, length: u64) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(length);
    let mut file = File::create(path)?;
    let mut block = vec![0; BLOCK];
    let mut left = length;
    while left > 0 {
        let now = left.min(BLOCK as u64) as usize;
        rng.fill_bytes(&mut block[..now]);
        file.write_all(&block[..now])?;
        left -= now as u64;
    }
    Ok(())
}

/// An error when the files differ.
pub(crate) fn compare(one: &Path, other: &Path) -> Result<()> {
    let (mut a, mut b) = (vec![0; BLOCK], vec![0; BLOCK]);
    let (mut first, mut second) = (File::open(one)?, File::open(other)?);
    if first.metadata()?.len() != second.metadata()?.len() {
        bail!("{} has another length than {}", other.display(), one.display());
    }
    loop {
        let read = first.read(&mut a)?;
        if read == 0 {
            return Ok(());
        }
        second.read_exact(&mut b[..read])?;
        if a[..read] != b[..read] {
            bail!("{} differs from {}", other.display(), one.display());
        }
    }
}

/// Whether the file system keeps its files in memory.
pub(crate) fn in_memory(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|system| system.f_type as u64 == TMPFS)
}

/// What the system could give to programs and files in memory.
pub(crate) fn available_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0) << 10
}

/// Set by Ctrl-C and SIGTERM; the processes are in groups of their own and do not hear of it.
fn leave_asked() -> Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    let set = asked.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        let signalled = async {
            let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            set.store(true, Ordering::Relaxed);
        };
        runtime.block_on(signalled);
    });
    Ok(asked)
}
