//! Where the entries of a collection are on the disk: below one folder, or each member of it at a path of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use messages::collection::EntryPath;
use riffle_core::DiskError;

use crate::driver::disk::errors::disk_error;
use crate::names::members_of_paths;

/// Where the entries of a collection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Everything is below this folder.
    Folder(PathBuf),
    /// Several files and folders, each by the first component that its entries have.
    Members(BTreeMap<String, PathBuf>),
}

impl Roots {
    /// What a person wants to share as one: the folder at `path`, or what is at `path` and at the paths `also`.
    ///
    /// # Errors
    /// When one of them is not there, or two have one name.
    pub(super) fn of(path: &Path, also: &[PathBuf]) -> Result<Roots, DiskError> {
        // Everything below is named from here, wherever a link on the way may lead later.
        let real = |path: &Path| std::fs::canonicalize(path).map_err(|cause| disk_error(path, &cause));
        if also.is_empty() {
            return Ok(Roots::Folder(real(path)?));
        }
        let members = members_of_paths(std::iter::once(path).chain(also.iter().map(PathBuf::as_path)))?;
        let members = members.into_iter().map(|(name, path)| Ok((name, real(&path)?)));
        Ok(Roots::Members(members.collect::<Result<_, DiskError>>()?))
    }

    /// What names all of it where something is wrong with no file in particular.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Roots::Folder(root) => root,
            Roots::Members(members) => members.values().next().expect("a collection has members"),
        }
    }

    /// The whole path of an entry.
    pub(super) fn path_of(&self, entry: &EntryPath) -> PathBuf {
        match self {
            Roots::Folder(root) => root.join(entry.as_str()),
            Roots::Members(members) => match entry.as_str().split_once('/') {
                Some((name, below)) => members[name].join(below),
                None => members[entry.as_str()].clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use riffle_core::DiskErrorKind;

    use super::*;

    #[test]
    fn each_member_of_a_collection_is_at_a_path_of_its_own() {
        let here = tempfile::tempdir().expect("a folder");
        let root = here.path().canonicalize().expect("there");
        fs::create_dir_all(root.join("x/album")).expect("made");
        fs::write(root.join("notes"), "n").expect("written");
        let roots = Roots::of(&root.join("x/album"), &[root.join("notes")]).expect("both are there");
        let path_of = |entry| roots.path_of(&EntryPath::new(entry).expect("a path"));
        assert_eq!(path_of("album/a/b"), root.join("x/album/a/b"));
        assert_eq!(path_of("notes"), root.join("notes"));
        let missing = Roots::of(&root.join("x/album"), &[root.join("gone")]).expect_err("nothing is there");
        assert_eq!((missing.path, missing.kind), (root.join("gone"), DiskErrorKind::NotFound));
    }
}
