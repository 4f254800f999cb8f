//! The files that a person shares from here, from the path that was typed to the line for the other side.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::Path;

use messages::{ContentId, Name};
use riffle::{DiskError, DiskErrorKind, DownloadId, Event, Node, Share, ShareId};

/// How far one file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Hashing,
    /// Hashed, and the tracker has not heard of it.
    Hashed {
        length: u64,
    },
    Announced,
    /// Shared again, or a download: only its end is worth telling.
    Quiet,
}

/// One file that is shared, or is about to be.
#[derive(Clone, Debug)]
struct SharedFile {
    /// Held so that what became of it can be told again to a program that missed it; `None`: a download, or a test.
    #[expect(dead_code, reason = "the library forgets a share whose handle is dropped")]
    share: Option<Share>,
    name: Name,
    /// What it is, once it is hashed.
    content: Option<ContentId>,
    /// Whether earlier contents of its name are taken back when it is announced.
    replaces: bool,
    /// How many came before it.
    order: u64,
    stage: Stage,
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
    /// These have the name of what has just been announced in their place, and are to be taken back.
    Replaced {
        /// What they are called.
        name: Name,
        /// They.
        shares: Vec<ShareId>,
    },
    /// It cannot be shared.
    Failed(DiskError),
    /// It is shared no longer.
    Ended(DiskError),
}

/// How a person wants a file to be shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SendAs {
    /// What it is called; `None`: as the last part of its path.
    pub(crate) name: Option<Name>,
    /// Whether it takes the place of this node's other contents of its name.
    pub(crate) replace: bool,
}

/// The files that are shared, or are about to be. What happens to one of them costs the same however many there are.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    files: BTreeMap<ShareId, SharedFile>,
    by_name: BTreeMap<Name, BTreeSet<ShareId>>,
    /// Those that are hashed, by what they are.
    by_content: BTreeMap<ContentId, BTreeSet<ShareId>>,
    /// How many are being hashed.
    hashing: usize,
    /// How many are hashed and wait for the tracker.
    unannounced: usize,
    next_order: u64,
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
    pub(crate) fn begin(
        &mut self,
        path: &Path,
        send_as: &SendAs,
        node: &Node,
    ) -> Result<(ShareId, Name), DiskError> {
        let name = check(path, send_as.name.as_ref())?;
        let share = node.share(path).name(name.clone()).begin()?;
        let id = share.id();
        self.insert(id, Some(share), name.clone(), send_as.replace, Stage::Hashing);
        Ok((id, name))
    }

    /// Shares the file at `path` again, as in the life before: nothing is told unless it fails. Its number.
    pub(crate) fn restore(&mut self, path: &Path, name: Name, node: &Node) -> ShareId {
        let share = node.share(path).name(name.clone()).begin().expect("only a path can give no name");
        let id = share.id();
        self.insert(id, Some(share), name, false, Stage::Quiet);
        id
    }

    /// A download is shared from now on: it is told when that ends.
    pub(crate) fn adopt(&mut self, share: ShareId, name: Name, content: ContentId) {
        if !self.files.contains_key(&share) {
            self.insert(share, None, name, false, Stage::Quiet);
        }
        self.know(share, content);
    }

    /// What a download that is over is called; once.
    pub(crate) fn name_of_download(&mut self, download: DownloadId) -> Option<Name> {
        self.downloads.remove(&download)
    }

    /// A person took a file back: nothing is to be said about it any more.
    pub(crate) fn withdraw(&mut self, share: ShareId) {
        self.remove(share);
    }

    fn insert(&mut self, id: ShareId, share: Option<Share>, name: Name, replaces: bool, stage: Stage) {
        self.by_name.entry(name.clone()).or_default().insert(id);
        self.hashing += usize::from(stage == Stage::Hashing);
        let order = self.next_order;
        self.next_order += 1;
        self.files.insert(id, SharedFile { share, name, content: None, replaces, order, stage });
    }

    /// It is known what `share` is.
    fn know(&mut self, share: ShareId, content: ContentId) -> Option<&mut SharedFile> {
        let file = self.files.get_mut(&share)?;
        file.content = Some(content);
        self.by_content.entry(content).or_default().insert(share);
        Some(file)
    }

    fn remove(&mut self, share: ShareId) -> Option<SharedFile> {
        let file = self.files.remove(&share)?;
        self.hashing -= usize::from(file.stage == Stage::Hashing);
        self.unannounced -= usize::from(matches!(file.stage, Stage::Hashed { .. }));
        take_out(&mut self.by_name, &file.name, share);
        if let Some(content) = &file.content {
            take_out(&mut self.by_content, content, share);
        }
        Some(file)
    }

    /// Takes in what happened.
    pub(crate) fn on_event(&mut self, event: &Event) -> Vec<News> {
        match event {
            Event::Shared { share, content, length, .. } => self.on_shared(*share, *content, *length),
            // A tracker that came back is told again; the person is told once.
            Event::Announced { content, .. } => {
                self.announced.insert(*content);
                let shares = self.by_content.get(content).cloned().unwrap_or_default();
                shares.into_iter().flat_map(|share| self.on_announced(share)).collect()
            }
            Event::DownloadIdentified { download, name, .. } => {
                self.downloads.insert(*download, name.clone());
                Vec::new()
            }
            Event::DownloadFailed { download, .. } => {
                self.downloads.remove(download);
                Vec::new()
            }
            Event::Unshared { share, content } => {
                // Another file with the same content takes its place at once.
                let mut here = self.by_content.get(content).into_iter().flatten();
                if here.all(|other| other == share) {
                    self.announced.remove(content);
                }
                Vec::new()
            }
            Event::ShareFailed { share, error } => match self.remove(*share).map(|file| file.stage) {
                Some(Stage::Hashing) => vec![News::Failed(error.clone())],
                Some(_) => vec![News::Ended(error.clone())],
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn on_shared(&mut self, share: ShareId, content: ContentId, length: u64) -> Vec<News> {
        let Some(file) = self.know(share, content).filter(|file| file.stage == Stage::Hashing) else {
            return Vec::new();
        };
        file.stage = Stage::Hashed { length };
        self.hashing -= 1;
        self.unannounced += 1;
        if self.announced.contains(&content) { self.on_announced(share) } else { Vec::new() }
    }

    /// The tracker knows what `share` is.
    fn on_announced(&mut self, share: ShareId) -> Vec<News> {
        let Some(file) = self.files.get_mut(&share) else { return Vec::new() };
        let (Stage::Hashed { length }, Some(content)) = (file.stage, file.content) else { return Vec::new() };
        file.stage = Stage::Announced;
        self.unannounced -= 1;
        let file = file.clone();
        let shares = if file.replaces { self.replaced_by(&file) } else { Vec::new() };
        let name = file.name;
        let mut news = vec![News::Announced { name: name.clone(), length, content }];
        if !shares.is_empty() {
            news.push(News::Replaced { name, shares });
        }
        news
    }

    /// The files of the same name that came before `file` and are not known to be the same content.
    fn replaced_by(&self, file: &SharedFile) -> Vec<ShareId> {
        let called_so = self.by_name.get(&file.name).into_iter().flatten();
        let is_earlier = |share: &&ShareId| {
            self.files
                .get(share)
                .is_some_and(|other| other.order < file.order && other.content != file.content)
        };
        called_so.filter(is_earlier).copied().collect()
    }

    /// Whether no file is shared or about to be.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether a file is still being hashed.
    pub(crate) fn is_hashing(&self) -> bool {
        self.hashing > 0
    }

    /// Whether the tracker has yet to hear of a file.
    pub(crate) fn is_unannounced(&self) -> bool {
        self.hashing > 0 || self.unannounced > 0
    }
}

fn take_out<K: Ord>(index: &mut BTreeMap<K, BTreeSet<ShareId>>, key: &K, share: ShareId) {
    if let Some(shares) = index.get_mut(key) {
        shares.remove(&share);
        if shares.is_empty() {
            index.remove(key);
        }
    }
}

/// What the file at `path` is shared as, when it can be: `name`, or as the last part of its path.
///
/// # Errors
/// When it is missing, no regular file, not readable, or its name cannot be shared.
pub(crate) fn check(path: &Path, name: Option<&Name>) -> Result<Name, DiskError> {
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
    if let Some(name) = name {
        return Ok(name.clone());
    }
    riffle::name_of_path(path)
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
    use std::os::unix::ffi::OsStrExt as _;

    use messages::NameError;

    use super::*;

    fn content(byte: u8) -> ContentId {
        ContentId::from_bytes([byte; 32])
    }

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

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
    fn two_files_with_one_content_are_both_told() {
        let mut sharing = hashing(&[1, 2]);
        sharing.on_event(&shared(1, 7));
        assert_eq!(sharing.on_event(&announced(1, 7)).len(), 1);
        assert_eq!(sharing.on_event(&shared(2, 7)).len(), 1);
        assert!(!sharing.is_unannounced());
        let mut sharing = hashing(&[1, 2]);
        sharing.on_event(&shared(1, 7));
        sharing.on_event(&shared(2, 7));
        assert_eq!(sharing.on_event(&announced(1, 7)).len(), 2);
    }

    #[test]
    fn a_file_that_was_downloaded_before_is_told_at_once() {
        let mut sharing = hashing(&[1]);
        assert_eq!(sharing.on_event(&announced(9, 7)), []);
        assert_eq!(sharing.on_event(&shared(1, 7)).len(), 1);
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
        sharing.adopt(ShareId(2), name("g"), content(7));
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
    fn the_new_content_of_a_name_takes_the_place_of_the_old_ones_when_it_is_announced() {
        let mut sharing = hashing(&[1, 2]);
        sharing.adopt(ShareId(3), name("f"), content(9));
        sharing.adopt(ShareId(4), name("other"), content(9));
        for share in [1, 2] {
            sharing.on_event(&shared(share, 7));
        }
        sharing.on_event(&announced(1, 7));
        sharing.insert(ShareId(5), None, name("f"), true, Stage::Hashing);
        sharing.on_event(&shared(5, 8));
        let news = sharing.on_event(&announced(5, 8));
        let shares = [1, 2, 3].map(ShareId).to_vec();
        assert_eq!(news[1..], [News::Replaced { name: name("f"), shares }]);
        // The same bytes under the same name are nothing else.
        let mut sharing = hashing(&[1]);
        sharing.on_event(&shared(1, 7));
        sharing.on_event(&announced(1, 7));
        sharing.insert(ShareId(2), None, name("f"), true, Stage::Hashing);
        assert_eq!(sharing.on_event(&shared(2, 7)).len(), 1);
    }

    #[test]
    fn what_waits_and_what_is_hashed_is_known_without_looking_at_all_of_it() {
        let mut sharing = hashing(&(0..1000).collect::<Vec<_>>());
        for share in 0..1000 {
            sharing.on_event(&shared(share, (share % 250) as u8));
        }
        assert_eq!((sharing.hashing, sharing.unannounced, sharing.by_content.len()), (0, 1000, 250));
        for byte in 0..250 {
            assert_eq!(
                sharing.on_event(&announced(byte, byte as u8)).len(),
                4,
                "those of that content alone"
            );
        }
        assert!(!sharing.is_unannounced());
        (0..1000).for_each(|share| sharing.withdraw(ShareId(share)));
        assert!(sharing.is_empty() && sharing.by_name.is_empty() && sharing.by_content.is_empty());
    }

    #[test]
    fn of_two_that_replace_the_later_one_stays_however_long_the_first_is_hashed() {
        let mut sharing = Sharing::default();
        // What a download has brought has a number of another kind.
        sharing.adopt(ShareId(u32::MAX), name("f"), content(9));
        for share in [1, 2] {
            sharing.insert(ShareId(share), None, name("f"), true, Stage::Hashing);
        }
        sharing.on_event(&shared(2, 8));
        let news = sharing.on_event(&announced(2, 8));
        let shares = vec![ShareId(1), ShareId(u32::MAX)];
        assert_eq!(news[1..], [News::Replaced { name: name("f"), shares }]);
        let mut sharing = Sharing::default();
        for share in [1, 2] {
            sharing.insert(ShareId(share), None, name("f"), true, Stage::Hashing);
            sharing.on_event(&shared(share, share as u8));
        }
        assert_eq!(sharing.on_event(&announced(2, 2)).len(), 2);
        assert_eq!(sharing.on_event(&announced(1, 1)).len(), 1, "it is the earlier one");
    }

    #[test]
    fn a_content_is_known_as_long_as_one_file_with_it_is_shared() {
        let mut sharing = hashing(&[1, 2, 3]);
        sharing.on_event(&shared(1, 7));
        sharing.on_event(&announced(1, 7));
        sharing.on_event(&shared(2, 7));
        sharing.withdraw(ShareId(2));
        sharing.on_event(&Event::Unshared { share: ShareId(2), content: content(7) });
        assert_eq!(sharing.on_event(&shared(3, 7)).len(), 1, "told at once");
        for share in [1, 3] {
            sharing.on_event(&Event::Unshared { share: ShareId(share), content: content(7) });
            sharing.on_event(&Event::ShareFailed { share: ShareId(share), error: changed() });
        }
        sharing.insert(ShareId(4), None, name("f"), false, Stage::Hashing);
        assert_eq!(sharing.on_event(&shared(4, 7)), []);
        assert!(sharing.is_unannounced());
    }

    #[test]
    fn a_path_that_cannot_be_shared_says_why_and_another_name_helps() {
        let folder = tempfile::tempdir().expect("a folder");
        let kind = |path: &Path| check(path, None).map_err(|error| error.kind);
        assert_eq!(kind(folder.path()), Err(DiskErrorKind::NotAFile));
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
