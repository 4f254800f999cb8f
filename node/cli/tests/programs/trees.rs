//! What stands in a folder, so that two of them can be compared.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What stands at each path below a folder: a file's bytes, mode and time, a link's target, or nothing for a folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    File { bytes: Vec<u8>, is_executable: bool, modified: (i64, i64) },
    Link(PathBuf),
    Folder,
}

/// What stands below the folder `root`.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, Found> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let metadata = fs::symlink_metadata(&path).expect("there");
            let what = if metadata.is_symlink() {
                Found::Link(fs::read_link(&path).expect("a link"))
            } else if metadata.is_dir() {
                folders.push(path.clone());
                Found::Folder
            } else {
                let bytes = fs::read(&path).expect("a file");
                let is_executable = metadata.mode() & 0o100 != 0;
                Found::File { bytes, is_executable, modified: (metadata.mtime(), metadata.mtime_nsec()) }
            };
            found.insert(path.strip_prefix(root).expect("below it").to_owned(), what);
        }
    }
    found
}

/// Writes the file `name` below `folder`, in folders that are made when they are not there.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("it has one")).expect("folders");
    fs::write(path, bytes).expect("written");
}
