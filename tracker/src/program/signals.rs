//! What this process does with signals that the system sends it by itself.

#![expect(
    unsafe_code,
    reason = "what is done with a signal is not told or changed by any safe interface; see the blocks"
)]

use std::io;
use std::mem;
use std::ptr;

/// From here on a file that becomes larger than the process may write (`ulimit -f`) is an error like others, `EFBIG`,
/// instead of the process's end.
pub fn survive_file_size_limit() {
    // SAFETY: no handler runs, and no other thread's code depends on what is done with this signal.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Whether a terminal that is gone is to end this process. Who is started by `nohup` is to go on.
///
/// # Errors
/// The system's.
pub fn is_ended_by_hangup() -> io::Result<bool> {
    // SAFETY: all fields of the structure are integers or an optional function pointer, for which zeros are values.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: nothing is changed, and the answer goes into a structure of the right type that outlives the call.
    match unsafe { libc::sigaction(libc::SIGHUP, ptr::null(), &mut action) } {
        0 => Ok(action.sa_sigaction != libc::SIG_IGN),
        _ => Err(io::Error::last_os_error()),
    }
}
