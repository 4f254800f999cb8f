//! Reading a content from its beginning while it arrives.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use messages::collection::{INDEX_HEADER, index_length_of};
use riffle_core::Failure;
use tokio::sync::watch;

use crate::download::Download;
use crate::download_state::DownloadState;
use crate::driver::Part;
use crate::platform::file_io::read_exact_at;

/// At most so many bytes are read at once.
const MAX_READ: u64 = 1 << 20;

/// Reads what a download has fetched and verified, from the beginning on and in order, while the rest still arrives: see
/// [`Download::reader`].
#[derive(Debug)]
pub struct DownloadReader {
    download: Download,
    state: watch::Receiver<DownloadState>,
    source: Option<Source>,
    at: u64,
}

/// Where the bytes are read.
#[derive(Clone)]
enum Source {
    /// The part file, which may have got its name by now.
    Part(Arc<Part>),
    /// The finished file.
    File(Arc<File>),
}

impl Source {
    /// The next bytes that can be read, of a content of `length` bytes of which those before `at` have been.
    fn next(&self, at: u64, length: u64) -> Option<Range<u64>> {
        let end = length.min(at + MAX_READ);
        let end = match self {
            Source::Part(part) => part.stored_from(at, end),
            Source::File(_) => end,
        };
        (at < end).then_some(at..end)
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Source::Part(_) => "Part",
            Source::File(_) => "File",
        })
    }
}

/// Why a content cannot be read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The download has failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The content is a folder, whose bytes are of no use by themselves.
    #[error("it is a folder")]
    Folder,
    /// The disk does not give back what it has stored.
    #[error(transparent)]
    Read(#[from] io::Error),
}

impl DownloadReader {
    pub(crate) fn new(download: Download, state: watch::Receiver<DownloadState>) -> DownloadReader {
        DownloadReader { download, state, source: None, at: 0 }
    }

    /// Waits for the next bytes. None are left once the download is complete; before, at least one is given. A future
    /// that is dropped has read nothing.
    ///
    /// # Errors
    /// When the download fails, the content is a folder, or the disk cannot be read.
    pub async fn read(&mut self) -> Result<Vec<u8>, ReadError> {
        loop {
            let (length, end) = {
                let state = self.state.borrow_and_update();
                (state.progress.length, state.end.clone())
            };
            if self.source.is_none() {
                self.source = self.find_source(end.as_ref().and_then(|end| end.as_ref().ok())).await?;
            }
            if let (Some(source), Some(length)) = (&self.source, length)
                && let Some(next) = source.next(self.at, length)
            {
                let bytes = read(source.clone(), next).await?;
                if self.at == 0 && index_length_of(&bytes[..bytes.len().min(INDEX_HEADER)], length).is_some()
                {
                    return Err(ReadError::Folder);
                }
                self.at += bytes.len() as u64;
                return Ok(bytes);
            }
            match end {
                Some(Ok(_)) => return Ok(Vec::new()),
                Some(Err(why)) => return Err(why.into()),
                None if self.state.changed().await.is_err() => return Err(Failure::Cancelled.into()),
                None => {}
            }
        }
    }

    /// Where the bytes are, as soon as they are anywhere.
    async fn find_source(
        &self,
        finished: Option<&crate::download_state::Finished>,
    ) -> Result<Option<Source>, ReadError> {
        if let Some(part) = self.download.part().await {
            return Ok(Some(Source::Part(part)));
        }
        let Some(finished) = finished else { return Ok(None) };
        if finished.path.is_dir() {
            return Err(ReadError::Folder);
        }
        Ok(Some(Source::File(Arc::new(File::open(&finished.path)?))))
    }
}

async fn read(source: Source, range: Range<u64>) -> io::Result<Vec<u8>> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        match source {
            Source::Part(part) => part.read_stored(&mut bytes, range.start)?,
            Source::File(file) => read_exact_at(&file, &mut bytes, range.start)?,
        }
        Ok(bytes)
    });
    reading.await.map_err(io::Error::other)?
}
