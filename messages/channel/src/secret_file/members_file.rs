//! Files that say which nodes are members of a swarm ([`Members`]). They hold no secret, but who can change one decides
//! who is let in.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::Members;
use crate::members::ParseMembersError;

/// No list of members is longer, in bytes: more than 20,000 lines.
const MAX_FILE: u64 = 1 << 20;

/// Why there is no list of members from a file.
#[derive(Debug, thiserror::Error)]
#[error("the members file {}: {trouble}", path.display())]
pub struct MembersFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub trouble: MembersFileTrouble,
}

/// What is wrong with a file of members.
#[derive(Debug, thiserror::Error)]
pub enum MembersFileTrouble {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no regular file of text, or longer than a list may be.
    #[error("it is not a list of members, or longer than {MAX_FILE} bytes")]
    NotAFile,
    /// Somebody else decides what is in it.
    #[error("others may change it: it must belong to this user or to root, and nobody else may write it")]
    NotOurs,
    /// A line has a mistake.
    #[error(transparent)]
    Text(#[from] ParseMembersError),
}

impl Members {
    /// The list in the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, others may change it, or a line has a mistake.
    pub fn of_file(path: &Path) -> Result<Members, MembersFileError> {
        read(path).map_err(|trouble| MembersFileError { path: path.to_owned(), trouble })
    }
}

/// A file of members that a program looks at again and again, since it changes.
#[derive(Debug)]
pub struct MembersFile {
    path: PathBuf,
    /// What was in it when it could be read last.
    read: Members,
    /// What was wrong with it at the last look.
    trouble: Option<String>,
}

impl MembersFile {
    /// Reads the file at `path` for the first time.
    ///
    /// # Errors
    /// As [`Members::of_file`].
    pub fn open(path: &Path) -> Result<MembersFile, MembersFileError> {
        Ok(MembersFile { path: path.to_owned(), read: Members::of_file(path)?, trouble: None })
    }

    /// The list that was read last.
    #[must_use]
    pub fn members(&self) -> &Members {
        &self.read
    }

    /// Reads the file again. Returns the list if it has changed; and what is wrong with the file, once. What was in it
    /// before is good until that is mended.
    pub fn look(&mut self) -> (Option<Members>, Option<MembersFileError>) {
        let (news, trouble) = match Members::of_file(&self.path) {
            Ok(read) => ((read != self.read).then_some(read), None),
            Err(trouble) => (None, Some(trouble)),
        };
        if let Some(news) = &news {
            self.read = news.clone();
        }
        let words = trouble.as_ref().map(ToString::to_string);
        let trouble = trouble.filter(|_| words != self.trouble);
        self.trouble = words;
        (news, trouble)
    }
}

fn read(path: &Path) -> Result<Members, MembersFileTrouble> {
    let mut options = OpenOptions::new();
    // Whoever holds the other end of a pipe is not waited for.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits() as i32);
    let file = options.read(true).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > MAX_FILE {
        return Err(MembersFileTrouble::NotAFile);
    }
    if !is_changed_by_owner_alone(&found) {
        return Err(MembersFileTrouble::NotOurs);
    }
    let mut bytes = Vec::new();
    // A list that grows meanwhile is not cut short: half of a list would let others in.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(MembersFileTrouble::NotAFile);
    }
    let text = str::from_utf8(&bytes).map_err(|_| MembersFileTrouble::NotAFile)?;
    Ok(text.parse()?)
}

/// Whether nobody but this user and root can change the file. Windows: its folder's access list says who may.
fn is_changed_by_owner_alone(found: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let is_ours = [0, rustix::process::geteuid().as_raw()].contains(&found.uid());
        is_ours && found.mode() & 0o022 == 0
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        true
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use messages::NodeId;

    use super::*;

    fn line(verb: &str, number: u8) -> String {
        format!("{verb} {}\n", NodeId::from_bytes([number; 16]))
    }

    #[test]
    fn a_list_that_is_damaged_later_stays_what_it_was_and_that_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members");
        fs::write(&path, line("allow", 1)).unwrap();
        let mut file = MembersFile::open(&path).unwrap();
        let first = file.members().clone();
        let said = |(news, trouble): (Option<Members>, Option<MembersFileError>)| {
            (news, trouble.map(|trouble| trouble.to_string()))
        };
        assert_eq!(said(file.look()), (None, None));
        fs::write(&path, format!("{}allow 7\n", line("allow", 1))).unwrap();
        let (news, trouble) = said(file.look());
        assert!(news.is_none() && trouble.is_some_and(|trouble| trouble.contains("members: line 2: the id")));
        assert_eq!(said(file.look()), (None, None), "said already");
        assert_eq!(file.members(), &first);
        fs::write(&path, line("deny", 1)).unwrap();
        let (news, trouble) = said(file.look());
        assert!(trouble.is_none() && news.is_some_and(|news| news.denied() == 1));
        fs::remove_file(&path).unwrap();
        assert!(matches!(said(file.look()), (None, Some(_))), "a list that is gone lets nobody in");
        assert_eq!(file.members().denied(), 1);
    }

    #[test]
    fn a_list_that_others_may_change_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members");
        fs::write(&path, line("deny", 1)).unwrap();
        let refused = |said: &str| {
            let error = Members::of_file(&path).unwrap_err().to_string();
            assert!(error.starts_with("the members file ") && error.contains(said), "{error}");
        };
        for mode in [0o664, 0o646, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            refused("others may change it");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Members::of_file(&path).is_ok(), "it is no secret");
        fs::write(&path, [0xff; 10]).unwrap();
        refused("not a list of members");
        fs::write(&path, vec![b' '; MAX_FILE as usize + 1]).unwrap();
        refused("not a list of members");
        fs::write(&path, "admit 1").unwrap();
        refused("line 1: a line is `allow NODE-ID`");
        fs::remove_file(&path).unwrap();
        refused("No such file");
    }
}
