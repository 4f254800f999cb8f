//! Names and paths as bytes.

use std::ffi::{OsStr, OsString};

/// The bytes of a name or a path. Windows: those of its text in UTF-8, or what comes next to that.
pub(crate) fn bytes_of(text: &OsStr) -> &[u8] {
    text.as_encoded_bytes()
}

/// The name or path that has these bytes. Windows: `None` when they are not UTF-8.
pub(crate) fn of_bytes(bytes: Vec<u8>) -> Option<OsString> {
    #[cfg(unix)]
    return Some(std::os::unix::ffi::OsStringExt::from_vec(bytes));
    #[cfg(not(unix))]
    String::from_utf8(bytes).ok().map(OsString::from)
}
