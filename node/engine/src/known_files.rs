//! What the nodes of this host remember of the files that they have shared or fetched, for those who are no node.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use messages::{ContentId, Digits, Outboard};

use crate::driver::{HashCache, KnownFolder};

/// What the nodes below one state root remember of the files that they have shared or fetched, as it is on the disk: a
/// node that runs writes it once a second. Nothing is changed, and what is damaged is not known.
#[derive(Debug)]
pub struct KnownFiles(Vec<HashCache>);

impl KnownFiles {
    /// What the nodes below `root`, a folder for [`Builder::state_dir`](crate::Builder::state_dir), remember.
    #[must_use]
    pub fn read(root: &Path) -> KnownFiles {
        let folders = fs::read_dir(root).into_iter().flatten().flatten();
        let nodes = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with("node-"));
        KnownFiles(nodes.map(|node| HashCache::read(&node.path())).collect())
    }

    /// What the file at `path` was when it was last shared or fetched.
    #[must_use]
    pub fn of_path(&self, path: &Path) -> Option<Arc<Outboard>> {
        let known = self.0.iter().filter_map(|cache| cache.last_known(path));
        known.max_by_key(|(last_used, _)| *last_used).map(|(_, outboard)| outboard)
    }

    /// What was in the folder at `path` when it was last shared or fetched.
    #[must_use]
    pub fn folder_of_path(&self, path: &Path) -> Option<KnownFolder> {
        let known = self.0.iter().filter_map(|cache| cache.folders().of_path(path));
        known.max_by_key(|(last, _)| *last).map(|(_, known)| known)
    }

    /// What is in the folder that is `content`.
    #[must_use]
    pub fn folder_of_content(&self, content: ContentId) -> Option<KnownFolder> {
        self.folder_among(&(content..=content))
    }

    /// What is in the folder whose id begins with `digits`. `None`: it is not remembered, or there are several.
    #[must_use]
    pub fn folder_of_digits(&self, digits: &Digits) -> Option<KnownFolder> {
        let (first, last) = digits.span();
        self.folder_among(&(first..=last))
    }

    fn folder_among(&self, ids: &RangeInclusive<ContentId>) -> Option<KnownFolder> {
        let mut all = self.0.iter().flat_map(|cache| cache.folders().of_contents(ids));
        let first = all.next()?;
        all.all(|other| other.content == first.content).then_some(first)
    }

    /// What describes `content`.
    #[must_use]
    pub fn of_content(&self, content: ContentId) -> Option<Arc<Outboard>> {
        self.among(content..=content)
    }

    /// What describes the content whose id begins with `digits`. `None`: it is not remembered, or there are several.
    #[must_use]
    pub fn of_digits(&self, digits: &Digits) -> Option<Arc<Outboard>> {
        let (first, last) = digits.span();
        self.among(first..=last)
    }

    /// What describes the one content whose id is among `ids`.
    fn among(&self, ids: RangeInclusive<ContentId>) -> Option<Arc<Outboard>> {
        let mut all = self.0.iter().flat_map(|cache| cache.known_contents(&ids));
        let first = all.next()?;
        all.all(|other| other.content() == first.content()).then_some(first)
    }
}
