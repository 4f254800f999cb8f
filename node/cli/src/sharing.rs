//! The files that a person shares from here, from the path that was typed to the line for the other side.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use messages::{ContentId, Name};
use riffle::{DiskError, DiskErrorKind, DownloadId, Event, Node, Share, ShareId, ShareRequest, SkippedEntry};

/// How far one file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Hashing,
    /// The file is hashed, and the tracker does not know it yet.
    Hashed {
        length: u64,
        content: ContentId,
    },
    Announced,
    /// A file that is shared again, or that a download brought: a person is told of its end alone.
    Quiet,
}

/// One file that is shared, or is about to be.
#[derive(Clone, Debug)]
struct SharedFile {
    /// The library's handle, which lets a program that missed events catch up; `None`: a download, or a test.
    share: Option<Share>,
    name: Name,
    /// Whether the earlier contents of the file's name are withdrawn when the file is announced.
    replaces: bool,
    stage: Stage,
}

/// Something about a share that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The tracker knows the file: others can fetch it.
    Announced {
        /// What the file is called.
        name: Name,
        /// The file's length, in bytes.
        length: u64,
        /// What the file is.
        content: ContentId,
    },
    /// The file of this name that was just announced replaces these shares, which are to be withdrawn.
    Replaced {
        /// What the file is called.
        name: Name,
        /// The shares that are replaced.
        shares: Vec<ShareId>,
    },
    /// Some of what is in a folder is not shared.
    Skipped(Vec<SkippedEntry>),
    /// Files of a shared folder have changed: what has their bytes is no longer shared.
    FilesWithdrawn {
        /// What the folder is called.
        name: Name,
        /// What was found, of each file.
        files: Vec<DiskError>,
        /// How much of the folder is still shared, in thousandths.
        permille: u16,
    },
    /// The file cannot be shared.
    Failed(DiskError),
    /// The file is no longer shared.
    Ended(DiskError),
}

/// How a person wants files to be shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SendAs {
    /// What the file is called, or the collection that several make; `None`: each by the last part of its path.
    pub(crate) name: Option<Name>,
    /// Whether the file replaces this node's other contents of its name.
    pub(crate) replace: bool,
    /// The patterns of what is left out of a folder.
    pub(crate) exclude: Vec<String>,
    /// Whether times and permissions of the files of a folder stay untold.
    pub(crate) without_metadata: bool,
}

impl SendAs {
    /// Those of `files` that are shared as one.
    pub(crate) fn together<'a>(&self, files: &'a [PathBuf]) -> Vec<&'a [PathBuf]> {
        if self.name.is_some() { vec![files] } else { files.chunks(1).collect() }
    }
}

/// The files that are shared, or are about to be. An event about one file costs the same however many files there are.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    files: BTreeMap<ShareId, SharedFile>,
    /// How many files are being hashed.
    hashing: usize,
    /// How many files are hashed and wait for the tracker.
    unannounced: usize,
    /// The names of the downloads that are not over.
    downloads: BTreeMap<DownloadId, Name>,
}

impl Sharing {
    /// Shares what is at `paths`, as one. Returns the share's number and name.
    ///
    /// # Errors
    /// When something is missing, is neither a regular file nor a folder, is not readable, or has a name that cannot be
    /// shared.
    pub(crate) fn begin(
        &mut self,
        paths: &[PathBuf],
        send_as: &SendAs,
        node: &Node,
    ) -> Result<(ShareId, Name), DiskError> {
        let names = paths.iter().map(|path| check(path, send_as.name.as_ref()));
        let names: Vec<Name> = names.collect::<Result<_, _>>()?;
        let name = names.into_iter().next().expect("something is to be shared");
        let share = request(paths, name.clone(), send_as, node).begin()?;
        let id = share.id();
        self.insert(id, Some(share), name.clone(), send_as.replace, Stage::Hashing);
        Ok((id, name))
    }

    /// Shares what is at `paths` again, as in the last life of this node: a person is told only if that fails. Returns
    /// the share's number.
    ///
    /// # Errors
    /// When two of the paths have come to have one name.
    pub(crate) fn restore(
        &mut self,
        paths: &[PathBuf],
        (name, send_as): (Name, &SendAs),
        node: &Node,
    ) -> Result<ShareId, DiskError> {
        let share = request(paths, name.clone(), send_as, node).begin()?;
        let id = share.id();
        self.insert(id, Some(share), name, false, Stage::Quiet);
        Ok(id)
    }

    /// Adds what a download brought, which the node shares from now on: a person is told when that ends.
    pub(crate) fn adopt(&mut self, share: ShareId, name: Name) {
        if !self.files.contains_key(&share) {
            self.insert(share, None, name, false, Stage::Quiet);
        }
    }

    /// Takes out the name of a download that is over.
    pub(crate) fn take_name_of_download(&mut self, download: DownloadId) -> Option<Name> {
        self.downloads.remove(&download)
    }

    /// Forgets a file that a person withdrew: nothing is said about it any more.
    pub(crate) fn withdraw(&mut self, share: ShareId) {
        self.remove(share);
    }

    fn insert(&mut self, id: ShareId, share: Option<Share>, name: Name, replaces: bool, stage: Stage) {
        self.hashing += usize::from(stage == Stage::Hashing);
        self.files.insert(id, SharedFile { share, name, replaces, stage });
    }

    fn remove(&mut self, share: ShareId) -> Option<SharedFile> {
        let file = self.files.remove(&share)?;
        self.hashing -= usize::from(file.stage == Stage::Hashing);
        self.unannounced -= usize::from(matches!(file.stage, Stage::Hashed { .. }));
        Some(file)
    }

    /// Takes in an event. Returns what a person should know of it.
    pub(crate) fn on_event(&mut self, event: &Event) -> Vec<News> {
        match event {
            Event::Shared { share, content, length, .. } => self.on_shared(*share, *content, *length),
            Event::Announced { share, .. } => return self.on_announced(*share),
            Event::Skipped { share, skipped }
                if self.files.get(share).is_some_and(|file| file.stage == Stage::Hashing) =>
            {
                return vec![News::Skipped(skipped.clone())];
            }
            Event::FilesWithdrawn { share, name, files, have, pieces } if self.files.contains_key(share) => {
                let permille = (u64::from(*have) * 1000 / u64::from(*pieces).max(1)) as u16;
                return vec![News::FilesWithdrawn { name: name.clone(), files: files.clone(), permille }];
            }
            Event::DownloadIdentified { download, name, .. } => {
                self.downloads.insert(*download, name.clone());
            }
            Event::DownloadFailed { download, .. } => {
                self.downloads.remove(download);
            }
            Event::ShareFailed { share, error } => match self.remove(*share).map(|file| file.stage) {
                Some(Stage::Hashing) => return vec![News::Failed(error.clone())],
                Some(_) => return vec![News::Ended(error.clone())],
                None => {}
            },
            _ => {}
        }
        Vec::new()
    }

    fn on_shared(&mut self, share: ShareId, content: ContentId, length: u64) {
        let Some(file) = self.files.get_mut(&share).filter(|file| file.stage == Stage::Hashing) else {
            return;
        };
        file.stage = Stage::Hashed { length, content };
        self.hashing -= 1;
        self.unannounced += 1;
    }

    /// The tracker knows `share`. A tracker that was gone is told again, and a person is not.
    fn on_announced(&mut self, share: ShareId) -> Vec<News> {
        let Some(file) = self.files.get_mut(&share) else { return Vec::new() };
        let Stage::Hashed { length, content } = file.stage else { return Vec::new() };
        file.stage = Stage::Announced;
        self.unannounced -= 1;
        let name = file.name.clone();
        let newest = file.share.clone().filter(|_| file.replaces);
        let mut shares = newest.map_or_else(Vec::new, |share| share.earlier_versions());
        // What a person withdrew a moment ago is not withdrawn twice.
        shares.retain(|share| self.files.contains_key(share));
        let mut news = vec![News::Announced { name: name.clone(), length, content }];
        if !shares.is_empty() {
            news.push(News::Replaced { name, shares });
        }
        news
    }

    /// Whether no file is shared or about to be.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether a file is being hashed.
    pub(crate) fn is_hashing(&self) -> bool {
        self.hashing > 0
    }

    /// Whether there is a file that the tracker does not know yet.
    pub(crate) fn is_unannounced(&self) -> bool {
        self.hashing > 0 || self.unannounced > 0
    }
}

/// What is to be shared as one, of which there is something.
fn request(paths: &[PathBuf], name: Name, send_as: &SendAs, node: &Node) -> ShareRequest {
    let (first, also) = paths.split_first().expect("something is to be shared");
    let share = node.share(first).name(name).exclude(send_as.exclude.iter().cloned());
    let share = also.iter().fold(share, ShareRequest::also);
    if send_as.without_metadata { share.without_metadata() } else { share }
}

/// Checks that the file or the folder at `path` can be shared. Returns the name that it is shared under: `name`, or the
/// last part of `path`.
///
/// # Errors
/// When the file is missing, is no regular file, is not readable, or has a name that cannot be shared.
pub(crate) fn check(path: &Path, name: Option<&Name>) -> Result<Name, DiskError> {
    let failed = |kind| DiskError { path: path.to_owned(), kind };
    let metadata = fs::metadata(path).map_err(|error| failed(kind_of(&error)))?;
    // This is asked before the file is opened: opening a named pipe would wait for its writer.
    let opened = if metadata.is_dir() {
        fs::read_dir(path).map(|_| ())
    } else if metadata.is_file() {
        File::open(path).map(|_| ())
    } else {
        return Err(failed(DiskErrorKind::NotAFile));
    };
    if let Err(error) = opened
        && !is_too_many_open(&error)
    {
        return Err(failed(kind_of(&error)));
    }
    if let Some(name) = name {
        return Ok(name.clone());
    }
    riffle::name_of_path(path)
}

/// Whether this process or the system has too many files open. The node opens the file when it has a descriptor to
/// spare.
fn is_too_many_open(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// What a system error about a file means.
pub(crate) fn kind_of(error: &io::Error) -> DiskErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => DiskErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => DiskErrorKind::Permission,
        _ => DiskErrorKind::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use messages::NameError;

    use super::*;
    use crate::fixtures::{content, name};

    fn shared(share: u32, byte: u8) -> Event {
        Event::Shared { share: ShareId(share), content: content(byte), name: name("f"), length: 3 }
    }

    fn hashing(shares: &[u32]) -> Sharing {
        let mut sharing = Sharing::default();
        for &share in shares {
            sharing.insert(ShareId(share), None, name("f"), false, Stage::Hashing);
        }
        sharing
    }

    fn announced(share: u32, byte: u8) -> Event {
        Event::Announced { share: ShareId(share), content: content(byte) }
    }

    fn changed() -> DiskError {
        DiskError { path: "f".into(), kind: DiskErrorKind::Changed }
    }

    #[test]
    fn a_share_is_told_once_when_the_tracker_knows_it() {
        let mut sharing = hashing(&[1]);
        assert!(sharing.is_hashing());
        assert_eq!(sharing.on_event(&shared(1, 7)), []);
        assert!(!sharing.is_hashing() && sharing.is_unannounced());
        assert!(matches!(sharing.on_event(&announced(1, 7))[..], [News::Announced { length: 3, .. }]));
        assert_eq!(sharing.on_event(&announced(1, 7)), []);
        assert!(!sharing.is_unannounced() && !sharing.is_empty());
    }

    #[test]
    fn a_file_that_changed_is_told_and_one_that_was_taken_back_is_not() {
        let failed = Event::ShareFailed { share: ShareId(1), error: changed() };
        let mut sharing = hashing(&[1]);
        sharing.on_event(&Event::Unshared { share: ShareId(1), content: content(7) });
        assert_eq!(sharing.on_event(&failed), [News::Failed(changed())]);
        assert!(sharing.is_empty() && !sharing.is_hashing());
        let mut sharing = hashing(&[1]);
        sharing.on_event(&shared(1, 7));
        assert_eq!(sharing.on_event(&failed), [News::Ended(changed())]);
        assert!(!sharing.is_unannounced());
        let mut sharing = hashing(&[1]);
        sharing.withdraw(ShareId(1));
        assert_eq!(sharing.on_event(&failed), []);
    }

    #[test]
    fn what_is_shared_again_is_told_only_when_it_fails() {
        let mut sharing = Sharing::default();
        sharing.insert(ShareId(1), None, name("f"), false, Stage::Quiet);
        sharing.adopt(ShareId(2), name("g"));
        assert!(!sharing.is_hashing() && !sharing.is_unannounced());
        for event in [shared(1, 7), announced(1, 7)] {
            assert_eq!(sharing.on_event(&event), []);
        }
        for share in [1, 2] {
            let failed = Event::ShareFailed { share: ShareId(share), error: changed() };
            assert_eq!(sharing.on_event(&failed), [News::Ended(changed())]);
        }
    }

    #[test]
    fn files_that_are_hashed_and_files_that_wait_for_the_tracker_are_counted() {
        let mut sharing = hashing(&(0..1000).collect::<Vec<_>>());
        for share in 0..1000 {
            sharing.on_event(&shared(share, 7));
        }
        assert_eq!((sharing.hashing, sharing.unannounced), (0, 1000));
        for share in 0..999 {
            assert_eq!(sharing.on_event(&announced(share, 7)).len(), 1);
        }
        assert!(sharing.is_unannounced());
        (0..1000).for_each(|share| sharing.withdraw(ShareId(share)));
        assert!(sharing.is_empty() && !sharing.is_unannounced());
    }

    #[test]
    fn a_path_that_cannot_be_shared_says_why_and_another_name_helps() {
        let folder = tempfile::tempdir().expect("a folder");
        let kind = |path: &Path| check(path, None).map_err(|error| error.kind);
        assert!(kind(folder.path()).is_ok(), "a folder is shared as a whole");
        assert_eq!(kind(Path::new("/dev/null")), Err(DiskErrorKind::NotAFile));
        assert_eq!(kind(&folder.path().join("missing")), Err(DiskErrorKind::NotFound));
        let fine = folder.path().join("naïve name.txt");
        fs::write(&fine, "x").expect("written");
        assert_eq!(kind(&fine).map(|name| name.to_string()), Ok("naïve name.txt".to_owned()));
        let bad = folder.path().join("ends with a dot.");
        fs::write(&bad, "x").expect("written");
        assert_eq!(kind(&bad), Err(DiskErrorKind::Name(NameError::Trailing)));
        let latin = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
        fs::write(&latin, "x").expect("written");
        assert_eq!(kind(&latin), Err(DiskErrorKind::NameNotText));
        for path in [bad, latin] {
            assert_eq!(check(&path, Some(&name("café"))), Ok(name("café")));
        }
    }
}
