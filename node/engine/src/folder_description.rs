//! Describing a folder without a node: the one content that it is when it is shared.

use std::path::Path;

use messages::collection::Collection;
use messages::{ContentId, Outboard};
use riffle_core::{DiskError, FolderOptions, SkippedEntry};

use crate::driver::{DescribedFolder, describe, disk_error};

/// A folder as the one content that it is when it is shared, see [`describe_folder`].
#[derive(Debug)]
pub struct FolderDescription(DescribedFolder);

/// Describes the folder at `path` as [`Node::share`](crate::Node::share) shares it with the same options: it has the same
/// id. All its files are read, on all cores. Blocks until that is done.
///
/// # Errors
/// When it is no folder, something in it cannot be read, or changes meanwhile.
///
/// ```
/// # let here = tempfile::tempdir()?;
/// # let album = here.path().join("album");
/// # std::fs::create_dir(&album)?;
/// std::fs::write(album.join("one.txt"), b"1")?;
/// let described = riffle::describe_folder(&album, &riffle::FolderOptions::default())?;
/// let paths: Vec<_> = described.collection().files().map(|(_, path, _)| path.as_str()).collect();
/// assert_eq!((paths, described.skipped()), (vec!["one.txt"], &[][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn describe_folder(path: &Path, options: &FolderOptions) -> Result<FolderDescription, DiskError> {
    describe(path, options).map(FolderDescription)
}

impl FolderDescription {
    /// The id of the content.
    #[must_use]
    pub fn content(&self) -> ContentId {
        self.0.outboard.content()
    }

    /// What proves the content.
    #[must_use]
    pub fn outboard(&self) -> &Outboard {
        &self.0.outboard
    }

    /// What is in the folder.
    #[must_use]
    pub fn collection(&self) -> &Collection {
        self.0.source.collection()
    }

    /// What is in the folder and is not shared, and why.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedEntry] {
        &self.0.skipped
    }

    /// Fills `bytes` with those of the content from `offset` on: of the index, and of the files behind it.
    ///
    /// # Errors
    /// When they are behind the end of the content, or a file cannot be read or has changed since it was described.
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), DiskError> {
        let source = &self.0.source;
        source.read_exact_at(bytes, offset).map_err(|cause| disk_error(source.root(), &cause))
    }
}
