//! What a path that a person gave says: what its file is called for others, and whether a download goes into it or to
//! it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf, is_separator};

use messages::Name;
use messages::collection::EntryPath;
use riffle_core::{Destination, DiskError, DiskErrorKind};

/// What the file or the folder at `path` is called for others: the last part of the path.
///
/// # Errors
/// When there is none, or it cannot be shared.
pub fn name_of_path(path: &Path) -> Result<Name, DiskError> {
    let failed = |kind| DiskError { path: path.to_owned(), kind };
    let own = last_part(path).ok_or_else(|| failed(DiskErrorKind::NameNotText))?;
    Name::new(&own).map_err(|error| failed(DiskErrorKind::Name(error)))
}

/// What each of several files and folders is called in the collection that they make together: the last part of its
/// path.
///
/// # Errors
/// When a path has none that a collection can hold, or two have the same.
pub fn members_of_paths<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
) -> Result<BTreeMap<String, PathBuf>, DiskError> {
    let mut members = BTreeMap::new();
    for path in paths {
        let failed = |why: String| DiskError { path: path.to_owned(), kind: DiskErrorKind::Other(why) };
        let name = last_part(path).ok_or_else(|| failed("its name is not UTF-8".to_owned()))?;
        EntryPath::new(name.clone()).map_err(|why| failed(why.to_string()))?;
        match members.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(path.to_owned());
            }
            Entry::Occupied(other) => {
                let (name, other) = (other.key(), other.get().display());
                let what = "what is shared as one needs names that differ";
                return Err(failed(format!("{other} is called {name} too; {what}")));
            }
        }
    }
    Ok(members)
}

/// The last part of `path`, when it is text.
fn last_part(path: &Path) -> Option<String> {
    // A path without a last part, such as `.` or `..`, is a folder with a name of its own.
    let whole = if path.file_name().is_none() { path.canonicalize().ok() } else { None };
    whole.as_deref().unwrap_or(path).file_name().unwrap_or_default().to_str().map(str::to_owned)
}

/// Where a download is saved that a person sends to `path`: in the folder of that name, if there is one or the path
/// ends with a separator, else at that very path.
#[must_use]
pub fn destination_of_path(path: PathBuf) -> Destination {
    let is_written_as_folder = path.as_os_str().to_string_lossy().ends_with(is_separator);
    if is_written_as_folder || path.is_dir() { Destination::Folder(path) } else { Destination::File(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_folder_when_it_is_one_or_is_written_like_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (here, missing) = (folder.path().to_owned(), folder.path().join("new"));
        assert_eq!(destination_of_path(here.clone()), Destination::Folder(here));
        assert_eq!(destination_of_path(missing.clone()), Destination::File(missing.clone()));
        let written_as_folder = missing.join("");
        assert_eq!(destination_of_path(written_as_folder.clone()), Destination::Folder(written_as_folder));
    }

    #[test]
    fn what_is_shared_as_one_has_names_that_differ() {
        let members = |paths: &[&str]| members_of_paths(paths.iter().map(Path::new));
        let two = members(&["a/notes", "b/film/"]).expect("they differ");
        let expected = [("film", "b/film/"), ("notes", "a/notes")];
        assert!(two.into_iter().eq(expected.map(|(name, path)| (name.to_owned(), path.into()))));
        let error = members(&["a/notes", "c", "b/notes"]).expect_err("two are called notes");
        assert_eq!(error.path, Path::new("b/notes"));
        assert!(error.to_string().contains("a/notes is called notes too"), "{error}");
        assert!(members(&["a\nb"]).is_err());
    }
}
