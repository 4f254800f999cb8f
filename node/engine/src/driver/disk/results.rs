//! The results of the workers for the network thread. No request stays without an answer, whatever becomes of its
//! worker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use messages::{FileMetadata, Outboard, OutboardError, PieceIndex};
use riffle_core::{BufferId, DiskError, DiskResult, DownloadId, FetchPlan, Opened, ShareId, StoreError};
use tokio::sync::mpsc;

use super::ServedFile;
use super::folder::source::{FolderFault, FolderSource};
use super::part::Part;
use super::part::finishing::Finished;
use crate::platform::aligned_bytes::AlignedBytes;

/// What a worker has done.
pub(crate) enum Completion {
    /// A result that only the core needs.
    ForCore(DiskResult),
    /// A file or folder is hashed and open.
    Shared { share: ShareId, outboard: Arc<Outboard>, served: Served, file: FileMetadata },
    /// An outboard was checked.
    OutboardChecked { download: DownloadId, lent: LentBuffer, result: Result<Arc<Outboard>, OutboardError> },
    /// A download's files are open; `part` is `None` when the target was there already.
    Opened {
        download: DownloadId,
        share: ShareId,
        opened: Opened,
        served: ServedFile,
        part: Option<Arc<Part>>,
    },
    /// The first bytes of a piece were read.
    Previewed { download: DownloadId, lent: LentBuffer, plan: Option<FetchPlan> },
    /// A piece was stored, or not.
    Stored { download: DownloadId, piece: PieceIndex, lent: LentBuffer, result: Result<(), StoreError> },
    /// A download has its name, or not.
    Finished { download: DownloadId, share: ShareId, path: PathBuf, result: Result<Finished, DiskError> },
    /// A block of a served file was read into memory.
    Populated { share: ShareId, block: usize, result: Result<(), DiskError> },
    /// A block of a served folder was read, and some bytes behind it.
    FolderRead { share: ShareId, block: usize, result: Result<AlignedBytes, FolderFault> },
    /// A served file that had been closed is open again, or cannot be.
    Reopened { share: ShareId, result: Result<ServedFile, DiskError> },
    /// A served file was compared with what was announced.
    Checked { share: ShareId, result: Result<(), DiskError> },
}

/// What bursts are taken from.
pub(crate) enum Served {
    /// One file.
    File(ServedFile),
    /// The files of a folder.
    Folder(Arc<FolderSource>),
}

/// A pool buffer on its way through a worker.
pub(crate) struct LentBuffer {
    /// The number of the buffer.
    pub(crate) buffer: BufferId,
    /// The memory of the buffer.
    pub(crate) bytes: AlignedBytes,
}

/// Where workers send their results.
#[derive(Clone)]
pub(crate) struct Results {
    sender: mpsc::UnboundedSender<Completion>,
    /// The answer that is sent when the last clone is dropped and no other answer was sent.
    fallback: Option<Arc<FallbackAnswer>>,
}

struct FallbackAnswer {
    sender: mpsc::UnboundedSender<Completion>,
    answer: Mutex<Option<Completion>>,
}

impl Drop for FallbackAnswer {
    fn drop(&mut self) {
        let answer = self.answer.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = answer.take() {
            let _ = self.sender.send(done);
        }
    }
}

impl Results {
    /// Results, and where they arrive. There is at most one for each request that the core has not yet heard of, and
    /// a few for each file of the file cache.
    pub(crate) fn channel() -> (Results, mpsc::UnboundedReceiver<Completion>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Results { sender, fallback: None }, receiver)
    }

    /// Results for one request. `answer` is sent when the work for the request ends without an answer, by a panic or
    /// because it was dropped.
    pub(crate) fn with_fallback(&self, answer: Completion) -> Results {
        let (sender, answer) = (self.sender.clone(), Mutex::new(Some(answer)));
        let fallback = FallbackAnswer { sender: sender.clone(), answer };
        Results { sender, fallback: Some(Arc::new(fallback)) }
    }

    /// Sends a result. Nobody receives it when the node has ended.
    pub(crate) fn send(&self, done: Completion) {
        if let Some(fallback) = &self.fallback
            && !matches!(
                done,
                Completion::ForCore(DiskResult::Hashing { .. } | DiskResult::WithoutLocks { .. })
            )
        {
            *fallback.answer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        let _ = self.sender.send(done);
    }

    pub(super) fn send_result(&self, result: DiskResult) {
        self.send(Completion::ForCore(result));
    }
}

/// The result of `work`; `None`, and a line in the log, when `work` panics.
pub(crate) fn unless_it_panics<T>(work: impl FnOnce() -> T) -> Option<T> {
    let caught = catch_unwind(AssertUnwindSafe(work));
    caught
        .inspect_err(|panic| tracing::error!(why = panic_message(&**panic), "a disk worker's task panicked"))
        .ok()
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(share: u32, good: bool) -> Completion {
        let error = DiskError { path: "f".into(), kind: riffle_core::DiskErrorKind::Internal };
        Completion::Checked { share: ShareId(share), result: if good { Ok(()) } else { Err(error) } }
    }

    fn heard(receiver: &mut mpsc::UnboundedReceiver<Completion>) -> Option<(u32, bool)> {
        match receiver.try_recv() {
            Ok(Completion::Checked { share, result }) => Some((share.0, result.is_ok())),
            Ok(_) => panic!("another result"),
            Err(_) => None,
        }
    }

    #[test]
    fn a_request_is_answered_once_however_its_work_ends() {
        let (results, mut receiver) = Results::channel();
        let owing = results.with_fallback(checked(1, false));
        let elsewhere = owing.clone();
        elsewhere.send(checked(1, true));
        drop((owing, elsewhere));
        assert_eq!(heard(&mut receiver), Some((1, true)));
        assert_eq!(heard(&mut receiver), None);

        let owing = results.with_fallback(checked(2, false));
        let elsewhere = owing.clone();
        assert!(
            unless_it_panics(move || -> () { std::panic::panic_any(owing.fallback.is_some()) }).is_none()
        );
        assert_eq!(heard(&mut receiver), None, "somebody else may still answer");
        drop(elsewhere);
        assert_eq!(heard(&mut receiver), Some((2, false)));

        let owing = results.with_fallback(checked(3, false));
        owing.send_result(DiskResult::Hashing { share: ShareId(3), done: 1, total: 2 });
        assert!(matches!(receiver.try_recv(), Ok(Completion::ForCore(DiskResult::Hashing { .. }))));
        drop(owing);
        assert_eq!(heard(&mut receiver), Some((3, false)), "progress is no answer");
    }
}
