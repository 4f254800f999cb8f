//! Whether a folder that is there is what was to be made.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use blake3::Hasher;
use messages::collection::{Collection, EntryKind, FileEntry};

use super::super::parallel;
use super::tree::{Way, nodes, split};
use crate::platform::file_io::read_at;
use crate::platform::folder::{Folder, Standing};

/// At most so many bytes are read at once.
const MAX_RUN: usize = 1 << 20;

/// Whether the folder at `target` has the entries of `collection`, with their bytes, and nothing else. What is no folder
/// is not the same. When its files were modified, and whether they may be executed, is not compared.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn is_same(target: &Path, collection: &Collection) -> io::Result<bool> {
    match std::fs::symlink_metadata(target) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Ok(false),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(cause),
    }
    let folder = Folder::open(target)?;
    if !has_same_names(&folder, collection)? || !has_same_kinds(&folder, collection)? {
        return Ok(false);
    }
    let files: Vec<(&str, &FileEntry)> =
        collection.files().map(|(_, path, file)| (path.as_str(), file)).collect();
    let begin = || (Way::from(&folder), Vec::new());
    let compared = parallel::each(&files, begin, |(way, buffer), (path, file)| {
        let (parent, name) = split(path);
        let is_same = way.enter(parent).and_then(|parent| has_bytes(parent, name, file, buffer));
        if is_same.map_err(Some)? { Ok(()) } else { Err(None) }
    });
    match compared {
        Ok(()) => Ok(true),
        Err(None) => Ok(false),
        Err(Some(cause)) => Err(cause),
    }
}

/// Whether every folder has the names that it is to have. When one is missing, nothing is opened below it.
fn has_same_names(top: &Folder, collection: &Collection) -> io::Result<bool> {
    let mut expected: BTreeMap<&str, BTreeSet<&OsStr>> = BTreeMap::from([("", BTreeSet::new())]);
    for node in nodes(collection) {
        let (parent, name) = node.split();
        expected.entry(parent).or_default().insert(OsStr::new(name));
        if node.is_folder() {
            expected.entry(node.path).or_default();
        }
    }
    let mut way = Way::from(top);
    for (path, expected) in expected {
        let Some(folder) = if_there(way.enter(path))? else { return Ok(false) };
        let names = folder.names()?;
        if names.len() != expected.len()
            || !names.iter().map(OsString::as_os_str).all(|name| expected.contains(name))
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `None` when what was to be a folder is none, or is not there.
fn if_there(entered: io::Result<&Folder>) -> io::Result<Option<&Folder>> {
    match entered {
        Ok(folder) => Ok(Some(folder)),
        Err(cause)
            if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
                || crate::platform::error_kind::is_no_regular_file(&cause) =>
        {
            Ok(None)
        }
        Err(cause) => Err(cause),
    }
}

/// Whether everything is what it is to be: files by their lengths, links by their targets.
fn has_same_kinds(top: &Folder, collection: &Collection) -> io::Result<bool> {
    let mut way = Way::from(top);
    for node in nodes(collection) {
        let (parent, name) = node.split();
        let Some(parent) = if_there(way.enter(parent))? else { return Ok(false) };
        let standing = parent.standing(name)?;
        let is_same = match node.kind {
            None | Some(EntryKind::EmptyFolder) => standing == Some(Standing::Folder),
            Some(EntryKind::File(file)) => standing == Some(Standing::File(file.length)),
            Some(EntryKind::Link(target)) => {
                standing == Some(Standing::Link) && parent.has_link(name, target)
            }
        };
        if !is_same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_bytes(parent: &Folder, name: &str, expected: &FileEntry, buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.resize(MAX_RUN, 0);
    let file = parent.open_file(name)?;
    let (mut hasher, mut at) = (Hasher::new(), 0);
    while at <= expected.length {
        match read_at(&file, buffer, at) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&buffer[..read]);
                at += read as u64;
            }
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(at == expected.length && *hasher.finalize().as_bytes() == expected.hash)
}
