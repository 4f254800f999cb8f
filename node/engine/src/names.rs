//! What a path that a person gave says: what its file is called for others, and whether a download goes into it or to
//! it.

use std::path::{Path, PathBuf, is_separator};

use messages::Name;
use riffle_core::{Destination, DiskError, DiskErrorKind};

/// What the file or the folder at `path` is called for others: the last part of the path.
///
/// # Errors
/// When there is none, or it cannot be shared.
pub fn name_of_path(path: &Path) -> Result<Name, DiskError> {
    let failed = |kind| DiskError { path: path.to_owned(), kind };
    // A path without a last part, such as `.` or `..`, is a folder with a name of its own.
    let whole = if path.file_name().is_none() { path.canonicalize().ok() } else { None };
    let own = whole.as_deref().unwrap_or(path).file_name().unwrap_or_default().to_str();
    let own = own.ok_or_else(|| failed(DiskErrorKind::NameNotText))?;
    Name::new(own).map_err(|error| failed(DiskErrorKind::Name(error)))
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
}
