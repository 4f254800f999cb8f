//! The files that a person shares from here, from the path that was typed to the line for the other side.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::Path;

use messages::{ContentId, Name, NameError};
use node::{Command, DiskError, DiskErrorKind, DownloadId, Event, ShareId};

use crate::driver::NodeHandle;

/// How far one file is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Hashing,
    Hashed {
        content: ContentId,
        name: Name,
        length: u64,
    },
    Announced,
    /// Shared again, or a download: only its end is worth telling.
    Quiet,
}

/// Something about a share that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The tracker knows it: others can fetch it.
    Announced {
        /// What it is called.
        name: Name,
        /// Its length, in bytes.
        length: u64,
        /// What it is.
        content: ContentId,
    },
    /// It cannot be shared.
    Failed(DiskError),
    /// It is shared no longer.
    Ended(DiskError),
}

/// The files that are shared, or are about to be.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    files: BTreeMap<ShareId, Stage>,
    /// What the tracker knows to be here, finished downloads included: the same content is announced once, whatever
    /// the number of files that hold it.
    announced: BTreeSet<ContentId>,
    /// What the downloads that are not over bring.
    downloads: BTreeMap<DownloadId, Name>,
}

impl Sharing {
    /// Shares the file at `path`. Its number and what it is called.
    ///
    /// # Errors
    /// When it is missing, no regular file, not readable, or its name cannot be shared.
    pub(crate) fn begin(&mut self, path: &Path, handle: &NodeHandle) -> Result<(ShareId, Name), DiskError> {
        let name = name_of(path)?;
        let share = handle.new_share();
        self.files.insert(share, Stage::Hashing);
        handle.command(Command::Share { share, path: path.to_owned(), name: name.clone() });
        Ok((share, name))
    }

    /// Shares the file at `path` again, as in the life before: nothing is told unless it fails. Its number.
    pub(crate) fn restore(&mut self, path: &Path, name: Name, handle: &NodeHandle) -> ShareId {
        let share = handle.new_share();
        self.files.insert(share, Stage::Quiet);
        handle.command(Command::Share { share, path: path.to_owned(), name });
        share
    }

    /// A download is shared from now on: it is told when that ends.
    pub(crate) fn adopt(&mut self, share: ShareId) {
        self.files.entry(share).or_insert(Stage::Quiet);
    }

    /// What a download that is over is called; once.
    pub(crate) fn name_of_download(&mut self, download: DownloadId) -> Option<Name> {
        self.downloads.remove(&download)
    }

    /// A person took a file back: nothing is to be said about it any more.
    pub(crate) fn withdraw(&mut self, share: ShareId) {
        self.files.remove(&share);
    }

    /// Takes in what happened.
    pub(crate) fn on_event(&mut self, event: &Event) -> Vec<News> {
        match event {
            Event::Shared { share, content, name, length } => {
                if let Some(stage @ Stage::Hashing) = self.files.get_mut(share) {
                    *stage = Stage::Hashed { content: *content, name: name.clone(), length: *length };
                }
                self.newly_announced()
            }
            // A tracker that came back is told again; the person is told once.
            Event::Announced { content, .. } => {
                self.announced.insert(*content);
                self.newly_announced()
            }
            Event::DownloadIdentified { download, name, .. } => {
                self.downloads.insert(*download, name.clone());
                Vec::new()
            }
            Event::DownloadFailed { download, .. } => {
                self.downloads.remove(download);
                Vec::new()
            }
            Event::Unshared { content, .. } => {
                self.announced.remove(content);
                Vec::new()
            }
            Event::ShareFailed { share, error } => match self.files.remove(share) {
                Some(Stage::Hashing) => vec![News::Failed(error.clone())],
                Some(_) => vec![News::Ended(error.clone())],
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn newly_announced(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        for stage in self.files.values_mut() {
            match stage {
                Stage::Hashed { content, name, length } if self.announced.contains(content) => {
                    news.push(News::Announced { name: name.clone(), length: *length, content: *content });
                    *stage = Stage::Announced;
                }
                _ => {}
            }
        }
        news
    }

    /// Whether no file is shared or about to be.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether a file is still being hashed.
    pub(crate) fn is_hashing(&self) -> bool {
        self.files.values().any(|stage| *stage == Stage::Hashing)
    }

    /// Whether the tracker has yet to hear of a file.
    pub(crate) fn is_unannounced(&self) -> bool {
        self.files.values().any(|stage| matches!(stage, Stage::Hashing | Stage::Hashed { .. }))
    }
}

/// What the file at `path` is shared as, when it can be.
pub(crate) fn name_of(path: &Path) -> Result<Name, DiskError> {
    let failed = |kind| DiskError { path: path.to_owned(), kind };
    let metadata = fs::metadata(path).map_err(|error| failed(kind_of(&error)))?;
    // Asked first: to open a named pipe would wait for its writer.
    if !metadata.is_file() {
        return Err(failed(DiskErrorKind::NotAFile));
    }
    if let Err(error) = File::open(path)
        && !is_for_want_of_descriptors(&error)
    {
        return Err(failed(kind_of(&error)));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or(NameError::Forbidden).and_then(Name::new);
    name.map_err(|error| failed(DiskErrorKind::Name(error)))
}

/// Whether it could not be tried just now. The node opens the file when it has one to spare.
fn is_for_want_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

fn kind_of(error: &io::Error) -> DiskErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => DiskErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => DiskErrorKind::Permission,
        _ => DiskErrorKind::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> ContentId {
        ContentId::from_bytes([7; 32])
    }

    fn shared(share: ShareId) -> Event {
        Event::Shared { share, content: content(), name: Name::new("f").expect("a name"), length: 3 }
    }

    fn hashing(shares: &[u32]) -> Sharing {
        let files = shares.iter().map(|&share| (ShareId(share), Stage::Hashing)).collect();
        Sharing { files, ..Sharing::default() }
    }

    fn announced(share: u32) -> Event {
        Event::Announced { share: ShareId(share), content: content() }
    }

    #[test]
    fn a_share_is_told_once_when_the_tracker_knows_it() {
        let mut sharing = hashing(&[1]);
        assert!(sharing.is_hashing());
        assert_eq!(sharing.on_event(&shared(ShareId(1))), []);
        assert!(!sharing.is_hashing() && sharing.is_unannounced());
        assert!(matches!(sharing.on_event(&announced(1))[..], [News::Announced { length: 3, .. }]));
        assert_eq!(sharing.on_event(&announced(1)), []);
        assert!(!sharing.is_unannounced() && !sharing.is_empty());
    }

    #[test]
    fn two_files_with_one_content_are_both_told() {
        let mut sharing = hashing(&[1, 2]);
        sharing.on_event(&shared(ShareId(1)));
        assert_eq!(sharing.on_event(&announced(1)).len(), 1);
        assert_eq!(sharing.on_event(&shared(ShareId(2))).len(), 1);
        assert!(!sharing.is_unannounced());
    }

    #[test]
    fn a_file_that_was_downloaded_before_is_told_at_once() {
        let mut sharing = hashing(&[1]);
        assert_eq!(sharing.on_event(&announced(9)), []);
        assert_eq!(sharing.on_event(&shared(ShareId(1))).len(), 1);
    }

    #[test]
    fn a_file_that_changed_is_told_and_one_that_was_taken_back_is_not() {
        let error = DiskError { path: "f".into(), kind: DiskErrorKind::Changed };
        let failed = Event::ShareFailed { share: ShareId(1), error: error.clone() };
        let mut sharing = hashing(&[1]);
        sharing.on_event(&Event::Unshared { share: ShareId(1), content: content() });
        assert_eq!(sharing.on_event(&failed), [News::Failed(error.clone())]);
        assert!(sharing.is_empty());
        let mut sharing = hashing(&[1]);
        sharing.on_event(&shared(ShareId(1)));
        assert_eq!(sharing.on_event(&failed), [News::Ended(error)]);
        let mut sharing = hashing(&[1]);
        sharing.withdraw(ShareId(1));
        assert_eq!(sharing.on_event(&failed), []);
    }

    #[test]
    fn what_is_shared_again_is_told_only_when_it_fails() {
        let mut sharing = Sharing::default();
        sharing.files.insert(ShareId(1), Stage::Quiet);
        sharing.adopt(ShareId(2));
        assert!(!sharing.is_hashing() && !sharing.is_unannounced());
        for event in [shared(ShareId(1)), announced(1)] {
            assert_eq!(sharing.on_event(&event), []);
        }
        for share in [1, 2] {
            let error = DiskError { path: "f".into(), kind: DiskErrorKind::Changed };
            let failed = Event::ShareFailed { share: ShareId(share), error: error.clone() };
            assert_eq!(sharing.on_event(&failed), [News::Ended(error)]);
        }
    }

    #[test]
    fn a_path_that_cannot_be_shared_says_why() {
        let folder = tempfile::tempdir().expect("a folder");
        let kind = |path: &Path| name_of(path).map_err(|error| error.kind);
        assert_eq!(kind(folder.path()), Err(DiskErrorKind::NotAFile));
        assert_eq!(kind(&folder.path().join("missing")), Err(DiskErrorKind::NotFound));
        let fine = folder.path().join("naïve name.txt");
        fs::write(&fine, "x").expect("written");
        assert_eq!(kind(&fine).map(|name| name.to_string()), Ok("naïve name.txt".to_owned()));
        let bad = folder.path().join("ends with a dot.");
        fs::write(&bad, "x").expect("written");
        assert_eq!(kind(&bad), Err(DiskErrorKind::Name(NameError::Trailing)));
    }
}
