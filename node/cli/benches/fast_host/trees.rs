//! Folders with many files: made, measured and compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use crate::process::call;
use crate::stage::{Stage, compare};

/// What a folder has in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// How many files.
    pub(crate) files: u64,
    /// How many of them stand in one folder.
    pub(crate) in_one: u64,
    /// The mean of their lengths.
    pub(crate) mean: u64,
    /// Whether their lengths are drawn, most of them short and few long, as those of a source tree; else all are the mean.
    pub(crate) is_drawn: bool,
}

/// A folder called `name` of random files, always the same.
pub(crate) fn make(stage: &Stage, name: &str, shape: Shape) -> Result<PathBuf> {
    stage.room_for(shape.files * (shape.mean + 4096))?;
    let top = stage.folder("sources")?.join(name);
    let mut rng = StdRng::seed_from_u64(shape.files);
    let mut bytes = Vec::new();
    for index in 0..shape.files {
        let (outer, inner) = (index / shape.in_one / 16, index / shape.in_one % 16);
        let folder = top.join(format!("part-{outer:03}/{inner:02}"));
        if index % shape.in_one == 0 {
            fs::create_dir_all(&folder)?;
        }
        let length = if shape.is_drawn {
            // Exponential: the inverse of its distribution, of a uniform draw.
            let draw: f64 = rng.random_range(1e-9..1.0);
            (-draw.ln() * shape.mean as f64) as usize
        } else {
            shape.mean as usize
        };
        bytes.resize(length, 0);
        rng.fill_bytes(&mut bytes);
        fs::write(folder.join(format!("file-{index:06}.c")), &bytes)?;
    }
    Ok(top)
}

/// Copies the folder `from` to `to`, which is not there.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    call(Command::new("cp").arg("-a").arg(from).arg(to)).map(drop)
}

/// Writes other bytes into one in `every` of the files below `top`. Returns how many bytes these have.
pub(crate) fn change(top: &Path, every: usize) -> Result<u64> {
    let mut changed = 0;
    for (index, file) in files_of(top)?.iter().enumerate().filter(|(index, _)| index % every == every / 2) {
        let path = top.join(file);
        let mut bytes = vec![0; length_of(&path) as usize];
        StdRng::seed_from_u64(u64::MAX - index as u64).fill_bytes(&mut bytes);
        fs::write(&path, &bytes)?;
        changed += bytes.len() as u64;
    }
    Ok(changed)
}

/// The files below `top`, relative to it, in order.
pub(crate) fn files_of(top: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![top.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(top)?.to_owned());
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The bytes of a file, or of all files of a folder.
pub(crate) fn length_of(path: &Path) -> u64 {
    if !path.is_dir() {
        return fs::metadata(path).map_or(0, |file| file.len());
    }
    let files = files_of(path).unwrap_or_default();
    files.iter().map(|file| fs::metadata(path.join(file)).map_or(0, |file| file.len())).sum()
}

/// An error when the files, or the folders, differ.
pub(crate) fn compare_all(one: &Path, other: &Path) -> Result<()> {
    if !one.is_dir() {
        return compare(one, other);
    }
    let files = files_of(one)?;
    ensure!(files == files_of(other)?, "{} has other files than {}", other.display(), one.display());
    files.iter().try_for_each(|file| compare(&one.join(file), &other.join(file)))
}

/// Removes a file or a folder.
pub(crate) fn remove(path: &Path) -> Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)?
    } else {
        fs::remove_file(path)?
    }
    Ok(())
}
