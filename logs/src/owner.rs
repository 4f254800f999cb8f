//! The owner of a folder. The owner is asked so that files of root do not shut out the person in whose home they would
//! be, and so that a message can name the user who shuts this process out.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// The owner of a file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user's number.
    pub uid: u32,
    /// The user's name, if it is known without asking a directory service.
    pub name: Option<String>,
}

impl Owner {
    /// The owner of what is at `path`, or of the nearest folder above it that exists and can be looked at.
    #[must_use]
    pub fn of(path: &Path) -> Option<Owner> {
        let uid = std::path::absolute(path).ok()?.ancestors().find_map(uid_of)?;
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Some(Owner { uid, name: name_of(uid, &users).map(str::to_owned) })
    }
}

/// `anna (uid 1000)`
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} (uid {})", self.uid),
            None => write!(f, "uid {}", self.uid),
        }
    }
}

/// Refuses to make anything at `path` that would shut out the owner of the folder there: as root in somebody else's
/// folder, to which `sudo` with the caller's environment leads.
///
/// # Errors
/// What is wrong and what helps, in words.
pub fn keep_owner(path: &Path) -> io::Result<()> {
    let Some(owner) = Owner::of(path).filter(|owner| shuts_out(user(), owner.uid)) else { return Ok(()) };
    let what = format!(
        "it belongs to {owner}, whom files of root would shut out: run it as that user, or with sudo -H"
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

/// Whether the owner of a folder cannot use files of `user` in it.
fn shuts_out(user: u32, owner: u32) -> bool {
    user == 0 && owner != 0
}

#[cfg(unix)]
fn uid_of(path: &Path) -> Option<u32> {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).ok()?).into()
}

#[cfg(not(unix))]
fn uid_of(_path: &Path) -> Option<u32> {
    None
}

#[cfg(unix)]
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn user() -> u32 {
    1
}

/// The name of the user `uid` by `users`, the text of `/etc/passwd`.
fn name_of(uid: u32, users: &str) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_shuts_others_out() {
        assert!(shuts_out(0, 1000));
        assert!(!shuts_out(0, 0) && !shuts_out(1000, 1000) && !shuts_out(1000, 0));
    }

    #[test]
    fn an_owner_is_called_by_name_and_number() {
        let users = "root:x:0:0:root:/root:/bin/bash\nbroken\nanna:x:1000:1000::/home/anna:/bin/sh\n";
        assert_eq!(
            (name_of(1000, users), name_of(0, users), name_of(7, users)),
            (Some("anna"), Some("root"), None)
        );
        assert_eq!(Owner { uid: 1000, name: Some("anna".to_owned()) }.to_string(), "anna (uid 1000)");
        assert_eq!(Owner { uid: 7, name: None }.to_string(), "uid 7");
    }

    #[test]
    fn what_is_not_there_yet_is_of_whom_the_nearest_folder_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("a").join("b");
        assert_eq!(Owner::of(&deep), Owner::of(folder.path()));
        assert!(keep_owner(&deep).is_ok(), "this process made it");
        // A relative path counts from the current folder.
        assert_eq!(Owner::of(Path::new("not-there/at-all")), Owner::of(Path::new(".")));
        assert!(Owner::of(Path::new("not-there/at-all")).is_some());
    }
}
