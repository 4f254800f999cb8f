//! The places of a folder in their order, and going from one to the next with few folders open.

use std::io;

use messages::collection::{Collection, EntryKind};

use crate::platform::folder::Folder;

/// A path that lies deeper has the folders above it opened again, rather than so many kept open.
const MAX_OPEN: usize = 16;

/// A place of a folder: an entry, or a folder that has entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node<'a> {
    /// Its path, relative to the folder.
    pub(crate) path: &'a str,
    /// What its entry says; `None` for a folder that has entries.
    pub(crate) kind: Option<&'a EntryKind>,
}

impl<'a> Node<'a> {
    /// Whether it is a folder, with or without entries.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.kind, None | Some(EntryKind::EmptyFolder))
    }

    /// The folder that it is in, and its name there.
    pub(crate) fn split(&self) -> (&'a str, &'a str) {
        split(self.path)
    }
}

/// The folder of what stands at `path`, and its name there.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// All places below the folder itself, each folder before what is in it.
pub(crate) fn nodes(collection: &Collection) -> impl Iterator<Item = Node<'_>> {
    let mut before = "";
    collection.entries().iter().flat_map(move |entry| {
        let path = entry.path.as_str();
        let known = common(before, path);
        before = path;
        let folders = path.match_indices('/').map(|(end, _)| end).filter(move |end| *end > known);
        let folders = folders.map(move |end| Node { path: &path[..end], kind: None });
        folders.chain([Node { path, kind: Some(&entry.kind) }])
    })
}

/// How many bytes of both paths name the same folders, from the top.
fn common(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let ends_there = |path: &[u8]| path.get(same).is_none_or(|byte| *byte == b'/');
    if ends_there(one) && ends_there(other) {
        return same;
    }
    other[..same].iter().rposition(|byte| *byte == b'/').unwrap_or(0)
}

/// The folders that are open on the way from the top to the one that was asked for last.
pub(crate) struct Way<'a> {
    top: &'a Folder,
    path: String,
    /// The last of them, each with the end of its path in `path`.
    open: Vec<(usize, Folder)>,
}

impl<'a> Way<'a> {
    /// Nothing but `top` is open.
    pub(crate) fn from(top: &'a Folder) -> Way<'a> {
        Way { top, path: String::new(), open: Vec::new() }
    }

    /// The folder at `path` below the top; the top itself for no path.
    ///
    /// # Errors
    /// The system's; a link on the way is one.
    pub(crate) fn enter(&mut self, path: &str) -> io::Result<&Folder> {
        let known = common(&self.path, path);
        while self.open.last().is_some_and(|(end, _)| *end > known) {
            self.open.pop();
        }
        self.path.truncate(known);
        let mut start = self.open.last().map_or(0, |(end, _)| *end + 1);
        while start < path.len() {
            let end = path[start..].find('/').map_or(path.len(), |length| start + length);
            let folder = self.last().folder(&path[start..end])?;
            if self.open.len() == MAX_OPEN {
                self.open.remove(0);
            }
            self.open.push((end, folder));
            start = end + 1;
        }
        path.clone_into(&mut self.path);
        Ok(self.last())
    }

    fn last(&self) -> &Folder {
        self.open.last().map_or(self.top, |(_, folder)| folder)
    }
}
