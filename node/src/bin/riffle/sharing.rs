//! The files that a person shares from here, from the path that was typed to the line for the other side.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use messages::{ContentId, Name, NameError};
use node::{Command, DiskError, DiskErrorKind, Event, ShareId};

use crate::driver::NodeHandle;

/// How far one file is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Hashing,
    Hashed { content: ContentId, name: Name, length: u64 },
    Announced,
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
    /// It is not shared, or no longer.
    Failed(DiskError),
    /// It was taken back, as a person asked.
    Unshared,
}

/// The files that are shared, or are about to be.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    files: BTreeMap<ShareId, Stage>,
}

impl Sharing {
    /// Shares the file at `path`.
    ///
    /// # Errors
    /// When it is missing, no regular file, not readable, or its name cannot be shared.
    pub(crate) fn begin(&mut self, path: &Path, handle: &NodeHandle) -> Result<(), DiskError> {
        let name = name_of(path)?;
        let share = handle.new_share();
        self.files.insert(share, Stage::Hashing);
        handle.command(Command::Share { share, path: path.to_owned(), name });
        Ok(())
    }

    /// Takes in what happened.
    pub(crate) fn on_event(&mut self, event: &Event) -> Option<News> {
        match event {
            Event::Shared { share, content, name, length } => {
                let stage = self.files.get_mut(share)?;
                *stage = Stage::Hashed { content: *content, name: name.clone(), length: *length };
                None
            }
            Event::Announced { share, .. } => {
                let stage = self.files.get_mut(share)?;
                match std::mem::replace(stage, Stage::Announced) {
                    Stage::Hashed { content, name, length } => {
                        Some(News::Announced { name, length, content })
                    }
                    // A tracker that came back was told again; the person was told once.
                    Stage::Hashing | Stage::Announced => None,
                }
            }
            Event::ShareFailed { share, error } => {
                self.files.remove(share).map(|_| News::Failed(error.clone()))
            }
            Event::Unshared { share, .. } => self.files.remove(share).map(|_| News::Unshared),
            _ => None,
        }
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
        self.files.values().any(|stage| *stage != Stage::Announced)
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
    File::open(path).map_err(|error| failed(kind_of(&error)))?;
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or(NameError::Forbidden).and_then(Name::new);
    name.map_err(|error| failed(DiskErrorKind::Name(error)))
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

    #[test]
    fn a_share_is_told_once_when_the_tracker_knows_it() {
        let share = ShareId(1);
        let mut sharing = Sharing { files: BTreeMap::from([(share, Stage::Hashing)]) };
        assert!(sharing.is_hashing());
        assert_eq!(sharing.on_event(&shared(share)), None);
        assert!(!sharing.is_hashing() && sharing.is_unannounced());
        let announced = Event::Announced { share, content: content() };
        assert!(matches!(sharing.on_event(&announced), Some(News::Announced { length: 3, .. })));
        assert_eq!(sharing.on_event(&announced), None);
        assert!(!sharing.is_unannounced() && !sharing.is_empty());
    }

    #[test]
    fn shares_that_are_downloads_are_not_told_here() {
        let mut sharing = Sharing::default();
        assert_eq!(sharing.on_event(&shared(ShareId(9))), None);
        assert_eq!(sharing.on_event(&Event::Announced { share: ShareId(9), content: content() }), None);
        assert!(sharing.is_empty());
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
