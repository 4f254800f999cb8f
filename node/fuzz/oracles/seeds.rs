//! The committed seeds, for the tests that put each of them through every oracle.

use std::path::{Path, PathBuf};

/// Every seed of every target, with its path, in the order of the paths.
pub(crate) fn all() -> Vec<(PathBuf, Vec<u8>)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("fuzz").join("corpus");
    let entries = |folder: &Path| {
        let listed =
            std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        listed.map(|entry| entry.expect("a folder's entry").path()).collect::<Vec<PathBuf>>()
    };
    let folders = entries(&corpus).into_iter().filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| entries(&folder));
    let mut seeds: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|end| end == "seed")).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds below {}", corpus.display());
    seeds.into_iter().map(|path| std::fs::read(&path).map(|bytes| (path, bytes)).expect("a seed")).collect()
}
