//! A folder that is held open, and what stands in it. Names are looked up in that very folder, whatever its path leads
//! to by now; a link is never followed, and nothing is replaced.
//!
//! Windows: the folder is known by its path, and an access list keeps others out of it.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
#[cfg(not(unix))]
use std::path::PathBuf;

use super::file_id::FileNumber;

/// Whether [`Folder::sync_file_system`] makes everything last that was written, files and folders.
///
/// Elsewhere each of them is to be synced.
pub(crate) const SYNCS_AT_ONCE: bool = cfg!(target_os = "linux");

/// The longest path that the system takes, in bytes. Windows: the standard library writes longer ones in another way.
#[cfg(unix)]
pub(crate) const MAX_PATH: usize = libc::PATH_MAX as usize - 1;
#[cfg(not(unix))]
pub(crate) const MAX_PATH: usize = usize::MAX;

/// Names that no file has, on any file system, and the reason.
///
/// Windows: the names of devices, the characters of paths and patterns, and what it cuts off at the end.
#[cfg(windows)]
pub(crate) fn forbidden(name: &str) -> Option<&'static str> {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    let is_device = matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || stem.strip_prefix("COM").or(stem.strip_prefix("LPT")).is_some_and(|number| {
            matches!(number, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
        });
    match name {
        _ if is_device => Some("Windows has a device of that name"),
        _ if name.ends_with(['.', ' ']) => Some("Windows cuts off the dot or the space at its end"),
        _ if name.contains(['<', '>', ':', '"', '|', '?', '*', '\\']) => {
            Some("Windows has no names with any of < > : \" | ? * \\")
        }
        _ => None,
    }
}

/// Names that no file has, on any file system, and the reason.
#[cfg(not(windows))]
pub(crate) fn forbidden(_name: &str) -> Option<&'static str> {
    None
}

/// What stands under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A regular file of this length.
    File(u64),
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, a pipe, or the like.
    Other,
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    #[cfg(unix)]
    handle: File,
    #[cfg(not(unix))]
    path: PathBuf,
}

impl Folder {
    /// Makes a folder for this user alone, where nothing stands at `path`.
    ///
    /// # Errors
    /// `AlreadyExists`; the system's.
    pub(crate) fn make_private(path: &Path) -> io::Result<Folder> {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, super::permissions::PRIVATE_FOLDER);
        builder.recursive(false).create(path)?;
        Folder::open(path)
    }

    /// Opens the folder at `path`, which is no link to one.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn open(path: &Path) -> io::Result<Folder> {
        #[cfg(unix)]
        return unix::open_folder(rustix::fs::CWD, path).map(|handle| Folder { handle });
        #[cfg(not(unix))]
        {
            let is_folder = std::fs::symlink_metadata(path)?.is_dir();
            let path = path.to_owned();
            if is_folder { Ok(Folder { path }) } else { Err(io::ErrorKind::NotADirectory.into()) }
        }
    }

    /// Opens the folder `name`, which is no link to one.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn folder(&self, name: impl AsRef<OsStr>) -> io::Result<Folder> {
        #[cfg(unix)]
        return unix::open_folder(&self.handle, name.as_ref()).map(|handle| Folder { handle });
        #[cfg(not(unix))]
        Folder::open(&self.path.join(name.as_ref()))
    }

    /// Makes the folder `name`, as open as any new folder here.
    ///
    /// # Errors
    /// `AlreadyExists`; the system's.
    pub(crate) fn make_folder(&self, name: &str) -> io::Result<()> {
        #[cfg(unix)]
        return Ok(rustix::fs::mkdirat(&self.handle, name, 0o777.into())?);
        #[cfg(not(unix))]
        std::fs::create_dir(self.path.join(name))
    }

    /// Makes the file `name` for writing, as open as any new file here. Windows: every file may be executed.
    ///
    /// # Errors
    /// `AlreadyExists`; the system's.
    pub(crate) fn make_file(&self, name: &str, is_executable: bool) -> io::Result<File> {
        #[cfg(unix)]
        return unix::make_file(&self.handle, name, is_executable);
        #[cfg(not(unix))]
        {
            let _ = is_executable;
            File::create_new(self.path.join(name))
        }
    }

    /// Opens the regular file `name` for reading. The function follows no link and never waits.
    ///
    /// # Errors
    /// [`super::error_kind::is_no_regular_file`] when it is something else; the system's.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        #[cfg(unix)]
        return unix::open_regular_file(&self.handle, name);
        #[cfg(not(unix))]
        super::open::open_regular_file(&self.path.join(name))
    }

    /// Makes the symbolic link `name`, whose target is written with `/`.
    ///
    /// Windows: whether the target is a folder is to be said; a link is taken for one to a file when nothing is there.
    ///
    /// # Errors
    /// `AlreadyExists`; the system's.
    pub(crate) fn make_link(&self, name: &str, target: &str) -> io::Result<()> {
        #[cfg(unix)]
        return Ok(rustix::fs::symlinkat(target, &self.handle, name)?);
        #[cfg(not(unix))]
        {
            let leads_to_folder = self.path.join(target).is_dir();
            let (target, path) = (target.replace('/', "\\"), self.path.join(name));
            if leads_to_folder {
                std::os::windows::fs::symlink_dir(target, path)
            } else {
                std::os::windows::fs::symlink_file(target, path)
            }
        }
    }

    /// Whether `name` is a symbolic link with this target, which is written with `/`.
    pub(crate) fn has_link(&self, name: &str, target: &str) -> bool {
        #[cfg(unix)]
        return rustix::fs::readlinkat(&self.handle, name, Vec::new())
            .is_ok_and(|found| found.to_bytes() == target.as_bytes());
        #[cfg(not(unix))]
        std::fs::read_link(self.path.join(name))
            .is_ok_and(|found| found.to_str().is_some_and(|found| found.replace('\\', "/") == target))
    }

    /// What stands under `name`; `None` when nothing does.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn standing(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Standing>> {
        #[cfg(unix)]
        let found = unix::standing(&self.handle, name.as_ref());
        #[cfg(not(unix))]
        let found =
            std::fs::symlink_metadata(self.path.join(name.as_ref())).map(|found| match found.file_type() {
                kind if kind.is_symlink() => Standing::Link,
                kind if kind.is_file() => Standing::File(found.len()),
                kind if kind.is_dir() => Standing::Folder,
                _ => Standing::Other,
            });
        match found {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    /// All names in it, in any order.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        #[cfg(unix)]
        return unix::names(&self.handle);
        #[cfg(not(unix))]
        std::fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Removes the file `name`.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn remove_file(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        #[cfg(unix)]
        return Ok(rustix::fs::unlinkat(&self.handle, name.as_ref(), rustix::fs::AtFlags::empty())?);
        #[cfg(not(unix))]
        std::fs::remove_file(self.path.join(name.as_ref()))
    }

    /// Removes the empty folder `name`.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn remove_folder(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        #[cfg(unix)]
        return Ok(rustix::fs::unlinkat(&self.handle, name.as_ref(), rustix::fs::AtFlags::REMOVEDIR)?);
        #[cfg(not(unix))]
        std::fs::remove_dir(self.path.join(name.as_ref()))
    }

    /// Removes what stands under `name`: a folder with all that is in it. Links are removed and not followed.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn remove_all(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let name = name.as_ref();
        if self.standing(name)? != Some(Standing::Folder) {
            return self.remove_file(name);
        }
        let folder = self.folder(name)?;
        folder.names()?.into_iter().try_for_each(|name| folder.remove_all(name))?;
        drop(folder);
        self.remove_folder(name)
    }

    /// Gives what stands under `name` the name `new_name` in the folder `to`. A file or a link that has it is replaced
    /// at once, so that one or the other stands there at any moment.
    ///
    /// # Errors
    /// The system's: both folders are to be on one file system, and a folder is not replaced.
    pub(crate) fn rename(&self, name: &str, to: &Folder, new_name: &str) -> io::Result<()> {
        #[cfg(unix)]
        return Ok(rustix::fs::renameat(&self.handle, name, &to.handle, new_name)?);
        #[cfg(not(unix))]
        std::fs::rename(self.path.join(name), to.path.join(new_name))
    }

    /// The number of what stands under `name`, a link itself and not what it leads to; `None` when nothing stands there.
    pub(crate) fn number_of(&self, name: &str) -> Option<FileNumber> {
        #[cfg(unix)]
        return unix::number_of(&self.handle, name);
        #[cfg(not(unix))]
        super::file_id::number_at(&self.path.join(name))
    }

    /// Holds when names can be made and removed in it. Windows: the first one that is made will tell.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn check_writable(&self) -> io::Result<()> {
        #[cfg(unix)]
        {
            use rustix::fs::{Access, AtFlags, accessat};
            accessat(&self.handle, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?;
        }
        Ok(())
    }

    /// What the system tells of the folder itself.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        #[cfg(unix)]
        return self.handle.metadata();
        #[cfg(not(unix))]
        std::fs::symlink_metadata(&self.path)
    }

    /// Its number; `None` where the system does not tell.
    pub(crate) fn number(&self) -> Option<FileNumber> {
        #[cfg(unix)]
        return super::file_id::file_number(&self.handle);
        #[cfg(not(unix))]
        super::file_id::number_at(&self.path)
    }

    /// Its mode. Windows: there is none.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn mode(&self) -> io::Result<u32> {
        #[cfg(unix)]
        return Ok(std::os::unix::fs::MetadataExt::mode(&self.metadata()?) & 0o7777);
        #[cfg(not(unix))]
        Ok(super::permissions::PRIVATE)
    }

    /// Lets it be `mode`, as far as the file system has modes. Windows: nothing is set.
    pub(crate) fn set_mode(&self, mode: u32) {
        #[cfg(unix)]
        super::permissions::set_mode(&self.handle, mode);
        #[cfg(not(unix))]
        let _ = mode;
    }

    /// The longest name that a file can have in it, in bytes. Windows: names of [`messages::limits::MAX_NAME`] bytes fit.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn max_name(&self) -> io::Result<u64> {
        #[cfg(unix)]
        return Ok(rustix::fs::fstatvfs(&self.handle)?.f_namemax);
        #[cfg(not(unix))]
        Ok(messages::limits::MAX_NAME as u64)
    }

    /// The bytes, and the files and folders, for which the file system has room. Windows: see
    /// [`super::allocation::free_space`].
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn room(&self) -> io::Result<(u64, u64)> {
        #[cfg(unix)]
        {
            let space = rustix::fs::fstatvfs(&self.handle)?;
            // A file system that makes room for files as it needs it says that it has none.
            let files = if space.f_files == 0 { u64::MAX } else { space.f_favail };
            Ok((space.f_bavail.saturating_mul(space.f_frsize), files))
        }
        #[cfg(not(unix))]
        Ok((u64::MAX, u64::MAX))
    }

    /// Makes last which names are in it. Windows: see [`super::rename::sync_folder`].
    ///
    /// # Errors
    /// The system's; not every file system can sync a folder.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(unix)]
        return self.handle.sync_all();
        #[cfg(not(unix))]
        Ok(())
    }

    /// Makes last all that was written to its file system, where [`SYNCS_AT_ONCE`] says so.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn sync_file_system(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(&self.handle)?;
        Ok(())
    }
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsString;
    use std::fs::File;
    use std::io;
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStringExt as _;

    use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
    use rustix::path::Arg;

    use super::Standing;
    use crate::platform::error_kind::no_regular_file;
    use crate::platform::file_id::FileNumber;
    use crate::platform::permissions::ANYBODY;

    pub(super) fn open_folder(parent: impl AsFd, name: impl Arg) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(parent, name, flags, Mode::empty())?.into())
    }

    pub(super) fn make_file(parent: impl AsFd, name: &str, is_executable: bool) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if is_executable { ANYBODY | 0o111 } else { ANYBODY };
        Ok(openat(parent, name, flags, Mode::from_raw_mode(mode as rustix::fs::RawMode))?.into())
    }

    pub(super) fn open_regular_file(parent: impl AsFd, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(parent, name, flags, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(no_regular_file()) }
    }

    pub(super) fn standing(parent: impl AsFd, name: impl Arg) -> io::Result<Standing> {
        let found = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => Standing::File(found.st_size as u64),
            FileType::Directory => Standing::Folder,
            FileType::Symlink => Standing::Link,
            _ => Standing::Other,
        })
    }

    #[expect(clippy::useless_conversion, reason = "the types of both numbers differ between systems")]
    pub(super) fn number_of(parent: impl AsFd, name: &str) -> Option<FileNumber> {
        let found = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((u64::try_from(found.st_dev).ok()?, u64::try_from(found.st_ino).ok()?))
    }

    pub(super) fn names(folder: impl AsFd) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(folder)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }
}
