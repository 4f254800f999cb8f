//! The calls by which downloads write, and which can fail in the middle. They stand in one file, so that tests can make
//! them fail.

use std::fs::File;
use std::io;

use crate::platform::file_io::write_at;

/// A call of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// Locking the part file.
    Lock,
    /// Allocating space for the whole file.
    Allocate,
    /// Writing bytes of a piece.
    Write,
    /// Appending a record to the journal.
    Append,
    /// Creating a journal.
    Create,
    /// Syncing the bytes of the part file.
    Sync,
    /// Syncing the finished file.
    SyncAll,
    /// Asking who owns a file.
    Owner,
    /// A step by which a folder is brought up to date: one name is made, replaced or removed, or one file's mode and
    /// time are set.
    Apply,
}

/// Makes the calls. Outside of tests each is the system's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct DiskCalls {
    #[cfg(test)]
    faults: std::sync::Arc<std::sync::Mutex<Vec<(Call, Fault)>>>,
}

/// What a test makes of a call.
#[cfg(test)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the tests that use it need Linux"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call fails with this error number.
    Fails(i32),
    /// The call takes so many bytes and no more.
    Takes(usize),
    /// The call panics, as a defect of this program would.
    Panics,
}

impl DiskCalls {
    /// Writes all of `bytes` at `at`, in as many turns as the system wants.
    ///
    /// # Errors
    /// The system's; then any part of the bytes may have been written.
    pub(crate) fn write_all_at(&self, file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let admitted =
                self.admitted(Call::Write, bytes.len()).and_then(|max| write_at(file, &bytes[..max], at));
            match admitted {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    at += written as u64;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes` at the end of `file`, which was opened for appending.
    ///
    /// # Errors
    /// The system's; then any part of the bytes may have been written.
    pub(crate) fn append(&self, mut file: &File, mut bytes: &[u8]) -> io::Result<()> {
        use io::Write as _;
        while !bytes.is_empty() {
            match self.admitted(Call::Append, bytes.len()).and_then(|max| file.write(&bytes[..max])) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(())
    }

    /// Whether a call that has no bytes may go on.
    ///
    /// # Errors
    /// When a test wants it to fail.
    pub(crate) fn allow(&self, call: Call) -> io::Result<()> {
        self.admitted(call, 0).map(|_| ())
    }

    /// Brings the bytes of `file` to the disk.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn sync_data(&self, file: &File) -> io::Result<()> {
        self.allow(Call::Sync).and_then(|()| file.sync_data())
    }

    /// Brings all of `file` to the disk.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn sync_all(&self, file: &File) -> io::Result<()> {
        self.allow(Call::SyncAll).and_then(|()| file.sync_all())
    }

    /// How many of `length` bytes the next `call` is given.
    #[cfg(not(test))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "tests make it fail")]
    fn admitted(&self, _call: Call, length: usize) -> io::Result<usize> {
        Ok(length)
    }

    #[cfg(test)]
    fn admitted(&self, call: Call, length: usize) -> io::Result<usize> {
        let next = {
            let mut faults = self.faults.lock().unwrap();
            let Some(at) = faults.iter().position(|(of, _)| *of == call) else { return Ok(length) };
            faults.remove(at).1
        };
        match next {
            Fault::Panics => panic!("meant to happen"),
            Fault::Fails(number) => Err(io::Error::from_raw_os_error(number)),
            Fault::Takes(max) => Ok(length.min(max)),
        }
    }

    /// The next calls of each kind end like this, in this order.
    #[cfg(test)]
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the tests that use it need Linux"))]
    pub(crate) fn plan(&self, calls: &[(Call, Fault)]) {
        self.faults.lock().unwrap().extend_from_slice(calls);
    }

    /// Whether everything that was planned has happened.
    #[cfg(test)]
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the tests that use it need Linux"))]
    pub(crate) fn is_over(&self) -> bool {
        self.faults.lock().unwrap().is_empty()
    }
}
