//! What an error of the system means, where [`io::ErrorKind`] does not say it.

use std::io;

/// Numbers of Windows (winerror.h and winsock2.h).
#[cfg(windows)]
mod win {
    pub(super) const TOO_MANY_OPEN_FILES: i32 = 4;
    pub(super) const NOT_ENOUGH_MEMORY: i32 = 8;
    pub(super) const SHARING_VIOLATION: i32 = 32;
    pub(super) const LOCK_VIOLATION: i32 = 33;
    pub(super) const IO_DEVICE: i32 = 1117;
    pub(super) const NO_SYSTEM_RESOURCES: i32 = 1450;
    pub(super) const WSAEPROTONOSUPPORT: i32 = 10043;
    pub(super) const WSAEAFNOSUPPORT: i32 = 10047;
    pub(super) const WSAEADDRNOTAVAIL: i32 = 10049;
}

fn is_one_of(cause: &io::Error, numbers: &[i32]) -> bool {
    cause.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

/// Whether this process, or the system, has as many files open as it may have.
pub(crate) fn is_too_many_open(cause: &io::Error) -> bool {
    #[cfg(unix)]
    let numbers = [libc::EMFILE, libc::ENFILE];
    #[cfg(windows)]
    let numbers = [win::TOO_MANY_OPEN_FILES, win::NO_SYSTEM_RESOURCES];
    is_one_of(cause, &numbers)
}

/// Whether a file could not be mapped because there are as many mappings as there may be.
pub(crate) fn is_out_of_mappings(cause: &io::Error) -> bool {
    #[cfg(unix)]
    let numbers = [libc::ENOMEM];
    #[cfg(windows)]
    let numbers = [win::NOT_ENOUGH_MEMORY, win::NO_SYSTEM_RESOURCES];
    is_one_of(cause, &numbers)
}

/// Whether `cause` says something about this moment, and nothing about what stands at the path.
pub(crate) fn is_passing(cause: &io::Error) -> bool {
    #[cfg(unix)]
    let numbers = [libc::ENOMEM, libc::EIO, libc::ESTALE];
    #[cfg(windows)]
    let numbers = [win::NOT_ENOUGH_MEMORY, win::IO_DEVICE, win::SHARING_VIOLATION, win::LOCK_VIOLATION];
    is_too_many_open(cause) || is_one_of(cause, &numbers)
}

/// The error for what is no regular file where one is needed.
pub(crate) fn no_regular_file() -> io::Error {
    #[cfg(unix)]
    return io::Error::from_raw_os_error(libc::ELOOP);
    #[cfg(not(unix))]
    io::ErrorKind::IsADirectory.into()
}

/// Whether a link stands where none is followed, or something else that is no regular file.
pub(crate) fn is_no_regular_file(cause: &io::Error) -> bool {
    #[cfg(unix)]
    let is_link = cause.raw_os_error() == Some(libc::ELOOP);
    #[cfg(not(unix))]
    let is_link = false;
    is_link || cause.kind() == io::ErrorKind::IsADirectory
}

/// Whether the system or the file system does not have such a call.
pub(crate) fn is_unsupported(cause: &io::Error) -> bool {
    #[cfg(unix)]
    let numbers = [libc::EINVAL, libc::ENOSYS, libc::ENOTSUP, libc::EOPNOTSUPP];
    #[cfg(not(unix))]
    let numbers = [];
    is_one_of(cause, &numbers) || cause.kind() == io::ErrorKind::Unsupported
}

/// Whether a file system without locks says so.
pub(crate) fn has_no_locks(cause: &io::Error) -> bool {
    #[cfg(unix)]
    let numbers = [libc::ENOLCK];
    #[cfg(not(unix))]
    let numbers = [];
    is_one_of(cause, &numbers) || is_unsupported(cause)
}

/// Whether a system call was given memory that has no bytes, as a mapping has none behind the end of a file that was
/// shortened.
///
/// Windows: never, because nothing is sent from mapped memory there.
pub(crate) fn is_bad_address(cause: &io::Error) -> bool {
    #[cfg(unix)]
    return cause.raw_os_error() == Some(libc::EFAULT);
    #[cfg(not(unix))]
    {
        let _ = cause;
        false
    }
}

/// Whether the host has no addresses of the family that a socket was made or bound for.
pub(crate) fn is_without_family(cause: &io::Error) -> bool {
    #[cfg(unix)]
    let numbers = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL, libc::EPROTONOSUPPORT];
    #[cfg(windows)]
    let numbers = [win::WSAEAFNOSUPPORT, win::WSAEADDRNOTAVAIL, win::WSAEPROTONOSUPPORT];
    is_one_of(cause, &numbers)
}
