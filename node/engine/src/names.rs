//! What a file is called for others.

use std::path::Path;

use messages::Name;
use riffle_core::{DiskError, DiskErrorKind};

/// What the file at `path` is called for others: the last part of the path.
///
/// # Errors
/// When there is none, or it cannot be shared.
pub fn name_of_path(path: &Path) -> Result<Name, DiskError> {
    let failed = |kind| DiskError { path: path.to_owned(), kind };
    // A path without a last part, such as `..`, is no file.
    let own = path.file_name().unwrap_or_default().to_str();
    let own = own.ok_or_else(|| failed(DiskErrorKind::NameNotText))?;
    Name::new(own).map_err(|error| failed(DiskErrorKind::Name(error)))
}
