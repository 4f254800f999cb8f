//! How a folder differs from what it was, or should be. Files are read on all cores; links are not followed.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use messages::collection::{Collection, Entry, EntryKind, EntryPath, FileEntry};
use riffle_core::DiskError;

use crate::driver::{disk_error, files_in, open_regular};

/// How an entry of a folder is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Nothing is there.
    Missing,
    /// Something of another kind is there, or on the way to it.
    OtherKind,
    /// The file has another length.
    Length {
        /// Bytes that it has.
        found: u64,
        /// Bytes that it should have.
        expected: u64,
    },
    /// The file has other bytes.
    Bytes,
    /// The link leads there.
    Target(String),
    /// It cannot be read.
    Unreadable(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing => f.write_str("missing"),
            Difference::OtherKind => f.write_str("something else is there"),
            Difference::Length { found, expected } => {
                let how = if found > expected { "longer" } else { "shorter" };
                write!(f, "{how}: {found} bytes instead of {expected}")
            }
            Difference::Bytes => f.write_str("other bytes"),
            Difference::Target(target) => write!(f, "leads to {target}"),
            Difference::Unreadable(why) => write!(f, "cannot be read: {why}"),
        }
    }
}

/// How a folder differs from what it should be, see [`compare_folder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderComparison {
    differing: Vec<(EntryPath, Difference)>,
    extra: Vec<EntryPath>,
}

impl FolderComparison {
    /// Whether everything is there and what it should be, whatever else is there.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.differing.is_empty()
    }

    /// The entries that are not what they should be, in the order of their paths.
    #[must_use]
    pub fn differing(&self) -> &[(EntryPath, Difference)] {
        &self.differing
    }

    /// The files that are there besides, and would be shared with the folder.
    #[must_use]
    pub fn extra(&self) -> &[EntryPath] {
        &self.extra
    }
}

/// Compares what is in the folder at `path` with `expected`: files by their bytes, links by their targets. When files
/// were modified, and whether they may be executed, is not compared. All files are read that have the right length.
///
/// # Errors
/// When there is no folder, or it cannot be read.
pub fn compare_folder(path: &Path, expected: &Collection) -> Result<FolderComparison, DiskError> {
    let entries = expected.entries();
    let next = AtomicUsize::new(0);
    let compare_some = || {
        let mut differing = Vec::new();
        while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
            differing.extend(difference(path, entry).map(|why| (entry.path.clone(), why)));
        }
        differing
    };
    // A folder that cannot be read is an error of its own, and not one of each of its files.
    let mut extra = files_in(path)?;
    let count = thread::available_parallelism().map_or(1, usize::from).min(entries.len());
    let mut differing: Vec<(EntryPath, Difference)> = thread::scope(|scope| {
        // Those that the system does not give are done without.
        let start = |_| thread::Builder::new().spawn_scoped(scope, compare_some).ok();
        let others: Vec<_> = (1..count).filter_map(start).collect();
        let own = compare_some();
        let others = others.into_iter().flat_map(|other| other.join().expect("comparing does not panic"));
        own.into_iter().chain(others).collect()
    });
    differing.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let known: BTreeSet<&EntryPath> = entries.iter().map(|entry| &entry.path).collect();
    extra.retain(|file| !known.contains(file));
    extra.sort_unstable();
    Ok(FolderComparison { differing, extra })
}

/// How the entry below `root` is not what it should be; `None`: it is.
fn difference(root: &Path, entry: &Entry) -> Option<Difference> {
    let (path, folders) = (root.join(entry.path.as_str()), entry.path.components().count() - 1);
    let is_way = path.ancestors().skip(1).take(folders).all(|above| {
        // What is missing on the way is missing.
        !fs::symlink_metadata(above).is_ok_and(|found| !found.is_dir())
    });
    if !is_way {
        return Some(Difference::OtherKind);
    }
    let found = match fs::symlink_metadata(&path) {
        Ok(found) => found,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Some(Difference::Missing),
        Err(cause) => return Some(Difference::Unreadable(cause.to_string())),
    };
    match &entry.kind {
        EntryKind::EmptyFolder if found.is_dir() => None,
        EntryKind::Link(target) if found.is_symlink() => match fs::read_link(&path) {
            Ok(is) if is.to_str() == Some(target) => None,
            Ok(is) => Some(Difference::Target(is.display().to_string())),
            Err(cause) => Some(Difference::Unreadable(cause.to_string())),
        },
        EntryKind::File(file) if found.is_file() && found.len() != file.length => {
            Some(Difference::Length { found: found.len(), expected: file.length })
        }
        EntryKind::File(file) if found.is_file() => match has_bytes(&path, file) {
            Ok(true) => None,
            Ok(false) => Some(Difference::Bytes),
            Err(error) => Some(Difference::Unreadable(error.kind.to_string())),
        },
        EntryKind::EmptyFolder | EntryKind::Link(_) | EntryKind::File(_) => Some(Difference::OtherKind),
    }
}

fn has_bytes(path: &Path, expected: &FileEntry) -> Result<bool, DiskError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(open_regular(path)?).map_err(|cause| disk_error(path, &cause))?;
    Ok(*hasher.finalize().as_bytes() == expected.hash)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use riffle_core::FolderOptions;

    use super::*;

    #[test]
    fn each_difference_has_its_reason_and_what_is_there_besides_is_none() {
        let here = tempfile::tempdir().expect("a folder");
        let root = here.path().join("album");
        for folder in ["a/b", "gone", "kept", "nothing"] {
            fs::create_dir_all(root.join(folder)).expect("made");
        }
        for (name, text) in [
            ("a/b/c", "12345"),
            ("a/d", "12345"),
            ("gone/e", "1"),
            ("f", "12345"),
            ("g", ""),
            ("kept/h", "1"),
        ] {
            fs::write(root.join(name), text).expect("written");
        }
        symlink("f", root.join("link")).expect("a link");
        let described = crate::describe_folder(&root, &FolderOptions::default()).expect("described");
        let compared = || compare_folder(&root, described.collection()).expect("compared");
        assert_eq!((compared().is_same(), compared().extra().len()), (true, 0));

        fs::write(root.join("a/b/c"), "12344").expect("written");
        fs::write(root.join("a/d"), "123456").expect("written");
        fs::write(root.join("f"), "1234").expect("written");
        fs::remove_dir_all(root.join("gone")).expect("removed");
        fs::remove_file(root.join("link")).expect("removed");
        symlink("g", root.join("link")).expect("a link");
        fs::remove_dir(root.join("nothing")).expect("removed");
        fs::write(root.join("nothing"), "a file now").expect("written");
        fs::rename(root.join("kept"), root.join("moved")).expect("renamed");
        symlink("moved", root.join("kept")).expect("a link");
        fs::write(root.join("new"), "1").expect("written");
        let compared = compared();
        let said: Vec<String> =
            compared.differing().iter().map(|(path, why)| format!("{path}: {why}")).collect();
        let expected = [
            "a/b/c: other bytes",
            "a/d: longer: 6 bytes instead of 5",
            "f: shorter: 4 bytes instead of 5",
            "gone/e: missing",
            "kept/h: something else is there",
            "link: leads to g",
            "nothing: something else is there",
        ];
        assert_eq!(said, expected);
        let extra: Vec<&str> = compared.extra().iter().map(EntryPath::as_str).collect();
        assert_eq!(extra, ["moved/h", "new"]);
        assert!(compare_folder(&root.join("g"), described.collection()).is_err(), "no folder");
    }
}
