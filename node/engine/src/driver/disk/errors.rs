//! The system's errors in the words of the core.

use std::io;
use std::path::Path;

use riffle_core::{DiskError, DiskErrorKind};

use crate::platform::error_kind::{is_no_regular_file, is_too_many_open};

/// The error of the core for `cause`, met at `path`: the one that is in it, if it comes from reading a folder.
pub(crate) fn disk_error(path: &Path, cause: &io::Error) -> DiskError {
    if let Some(inner) = cause.get_ref().and_then(|inner| inner.downcast_ref::<DiskError>()) {
        return inner.clone();
    }
    error(path, kind_of(cause))
}

/// An error of that kind at `path`.
pub(crate) fn error(path: &Path, kind: DiskErrorKind) -> DiskError {
    DiskError { path: path.to_owned(), kind }
}

/// The error for work on `path` that ended without a result: a defect of this program.
pub(crate) fn internal(path: &Path) -> DiskError {
    error(path, DiskErrorKind::Internal)
}

fn kind_of(cause: &io::Error) -> DiskErrorKind {
    if is_too_many_open(cause) {
        return DiskErrorKind::TooManyOpen;
    }
    if is_no_regular_file(cause) {
        return DiskErrorKind::NotAFile;
    }
    match cause.kind() {
        io::ErrorKind::NotFound => DiskErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => DiskErrorKind::Permission,
        io::ErrorKind::ReadOnlyFilesystem => DiskErrorKind::ReadOnly,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskErrorKind::Full { needed: 0 },
        io::ErrorKind::FileTooLarge => DiskErrorKind::TooLarge,
        // A file that ends before its length was shortened by somebody else.
        io::ErrorKind::UnexpectedEof => DiskErrorKind::Changed,
        _ => DiskErrorKind::Other(cause.to_string()),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::platform::error_kind::is_passing;

    #[test]
    fn errors_that_have_an_exit_code_keep_their_kind() {
        let kind = |number| kind_of(&io::Error::from_raw_os_error(number));
        assert_eq!(kind(libc::ENOENT), DiskErrorKind::NotFound);
        assert_eq!(kind(libc::EACCES), DiskErrorKind::Permission);
        assert_eq!(kind(libc::EROFS), DiskErrorKind::ReadOnly);
        assert_eq!(kind(libc::ENOSPC), DiskErrorKind::Full { needed: 0 });
        assert_eq!(kind(libc::EDQUOT), DiskErrorKind::Full { needed: 0 });
        assert_eq!(kind(libc::EFBIG), DiskErrorKind::TooLarge);
        assert_eq!(kind(libc::EMFILE), DiskErrorKind::TooManyOpen);
        assert_eq!(kind(libc::ENFILE), DiskErrorKind::TooManyOpen);
        assert_eq!(kind(libc::ELOOP), DiskErrorKind::NotAFile);
        assert!(matches!(kind(libc::EIO), DiskErrorKind::Other(_)));
        let passing = |number| is_passing(&io::Error::from_raw_os_error(number));
        assert!(passing(libc::EMFILE) && passing(libc::ESTALE));
        assert!(!passing(libc::ENOENT) && !passing(libc::ELOOP) && !passing(libc::EACCES));
    }
}
