//! Where the bytes of each file of the new version come from.

use std::collections::HashMap;

use messages::collection::{Collection, EntryKind};

use super::super::unpack::tree::nodes;
use super::local::{Local, LocalFile};
use crate::platform::folder::Standing;

/// Where the bytes of a file of the new version come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// They stand at its path already.
    Kept(LocalFile),
    /// They stand at another path, or in a file that has another name too and is to be changed.
    Copied {
        /// That path.
        from: String,
        /// What the file at the own path lets others do, if one stands there.
        mode: Option<u32>,
    },
    /// They are fetched, at least some of them.
    Fetched {
        /// The older version that stands at its path.
        older: Option<LocalFile>,
    },
}

/// The source of each file, by the number of its entry.
pub(super) fn sources(collection: &Collection, local: &Local) -> Vec<Option<Source>> {
    let mut by_hash: HashMap<[u8; 32], &str> = HashMap::new();
    for (path, file) in &local.files {
        if let Some(hash) = file.hash {
            by_hash.entry(hash).or_insert(path);
        }
    }
    let source = |entry: &messages::collection::Entry| {
        let EntryKind::File(file) = &entry.kind else { return None };
        let path = entry.path.as_str();
        let here = local.files.get(path).copied();
        let mode = here.and_then(|here| here.mode);
        Some(match here.filter(|here| here.has_bytes_of(file)) {
            // Its other name may stand anywhere: nothing is changed there.
            Some(here) if here.has_other_names && here.differs_in_metadata(file) => {
                Source::Copied { from: path.to_owned(), mode }
            }
            Some(here) => Source::Kept(here),
            None => match by_hash.get(&file.hash) {
                Some(from) => Source::Copied { from: (*from).to_owned(), mode },
                None => Source::Fetched { older: here },
            },
        })
    };
    collection.entries().iter().map(source).collect()
}

/// What is to be gone from the folder.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// What stands where the new version has something of another kind, with a description of it.
    pub(super) in_the_way: Vec<(String, &'static str)>,
    /// The other paths that the new version lacks, what is in a folder behind the folder.
    pub(super) lacking: Vec<String>,
}

/// What stands in the folder and cannot stay beside the new version, and what that lacks.
pub(super) fn removals(collection: &Collection, local: &Local) -> Removals {
    let mut removals = Removals::default();
    let mut paths = HashMap::new();
    for node in nodes(collection) {
        let why = match (local.standing.get(node.path), node.is_folder()) {
            (None | Some(Standing::Folder), true)
            | (None | Some(Standing::File(_) | Standing::Link), false) => None,
            (Some(Standing::Folder), false) => Some("a folder, where a file or a link is to be"),
            (Some(_), true) => Some("no folder, where one is to be"),
            (Some(Standing::Other), false) => Some("neither a file, a folder nor a link"),
        };
        if let Some(why) = why {
            removals.in_the_way.push((node.path.to_owned(), why));
        }
        paths.insert(node.path, why.is_some());
    }
    let is_below_removed = |path: &str| {
        path.match_indices('/').any(|(end, _)| paths.get(&path[..end]).is_some_and(|is_removed| *is_removed))
    };
    let lacking = local.standing.keys().filter(|path| !paths.contains_key(path.as_str()));
    removals.lacking = lacking.filter(|path| !is_below_removed(path)).cloned().collect();
    removals
}
