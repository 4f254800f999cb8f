//! The prompt's list: the files that it shares again at the next start.
//!
//! What was sent as one is one file here, whose paths are several. A file is on the list from `send`, or the end of its download, until `unshare`. A file that is changed or gone stays
//! on it: what a person shares is the path, and the disk may only be unplugged. A file that was gone at every start for
//! [`GONE_FOR`] is forgotten.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use messages::{ContentId, Name};
use riffle::{DiskError, DiskErrorKind, Event, Node, ShareId, SwarmSecret, SwarmSecrets};

use crate::sharing::{SendAs, Sharing};
use riffle::state::StateFolder;
use riffle::state::checked_file::{self, Damage, GONE_FOR};

/// At most this many files are on the list; files beyond them are shared until the prompt is left.
const MAX_SHARES: usize = 16_384;
const TITLE: &str = "riffle shares 1";
/// At most this many missing files are named; of further ones their number is said.
const MAX_NAMES_SAID: usize = 3;

/// Where a file of the list is, or all that is shared as one.
type Paths = Vec<PathBuf>;

/// What a line of the list has before each of its further paths, and before each pattern of what is left out.
const ALSO: &str = "also=";
const EXCLUDE: &str = "exclude=";
/// What a line has when times and permissions are not told.
const NO_METADATA: &str = "no-metadata";

/// One file on the list, which has its files by their paths.
#[derive(Debug, PartialEq, Eq)]
struct ListedFile {
    name: Name,
    /// How it is shared; without a name.
    send_as: SendAs,
    /// When the file was first missing at a start, in seconds since the epoch; `None`: the file was there.
    gone_since: Option<u64>,
    /// The shares that the file has in this life of the node.
    shares: Vec<ShareId>,
}

/// The list and the file that it is kept in.
#[derive(Debug)]
pub(super) struct Shares {
    file: PathBuf,
    listed: BTreeMap<Paths, ListedFile>,
    /// The file of each share.
    by_share: BTreeMap<ShareId, Paths>,
    /// The files of finished downloads whose share is not known yet, by their content.
    awaited: BTreeMap<ContentId, Paths>,
    unsaved: bool,
    saved_at: Option<Instant>,
    /// Whether a person was told that the list cannot be saved.
    trouble_told: bool,
}

/// The file of the list of the swarm that `secrets` open. In the state folder of a node each swarm has a list of its
/// own: what was shared in one is never shared in another at the next start. A list that was made under an older secret
/// of the swarm goes on under the first one.
pub(super) fn file_of(state: &StateFolder, secrets: &SwarmSecrets) -> PathBuf {
    let open = state.shares();
    if !secrets.is_closed() {
        return open;
    }
    let of = |secret: &SwarmSecret| {
        let mut file = open.clone().into_os_string();
        file.push(format!("-{}", secret.fingerprint()));
        PathBuf::from(file)
    };
    let own = of(secrets.first());
    let mut older = secrets.iter().skip(1).map(of);
    if !own.exists()
        && let Some(before) = older.find(|before| before.exists())
        && let Err(error) = fs::rename(&before, &own)
    {
        tracing::warn!(%error, from = %before.display(), "the list of what is shared keeps its older name");
        return before;
    }
    own
}

impl Shares {
    /// Reads the list from `file`. The second value is what to tell the person when the file is damaged.
    pub(super) fn open(file: PathBuf) -> (Shares, Option<String>) {
        let read = checked_file::read(&file, TITLE).and_then(|lines| {
            let listed: Option<BTreeMap<_, _>> = lines.iter().map(|line| read_line(line)).collect();
            listed.ok_or(Damage::Damaged)
        });
        let (listed, note) = match read {
            Ok(listed) => (listed, None),
            Err(damage) => {
                let lost = "what was shared before is not known any more: send it again";
                (BTreeMap::new(), Some(checked_file::set_aside(&file, &damage, lost)))
            }
        };
        let (by_share, awaited) = (BTreeMap::new(), BTreeMap::new());
        (
            Shares { file, listed, by_share, awaited, unsaved: false, saved_at: None, trouble_told: false },
            note,
        )
    }

    /// Shares all files of the list again. Returns what to tell the person, if anything.
    pub(super) fn restore(&mut self, sharing: &mut Sharing, node: &Node) -> Option<String> {
        let mut missing = self.update_missing(checked_file::now_seconds());
        let mut again = 0;
        for (paths, listed) in self.listed.iter_mut().filter(|(_, listed)| listed.gone_since.is_none()) {
            match sharing.restore(paths, (listed.name.clone(), &listed.send_as), node) {
                Ok(share) => {
                    listed.shares.push(share);
                    self.by_share.insert(share, paths.clone());
                    again += 1;
                }
                Err(error) => missing.push(error.to_string()),
            }
        }
        restored(again, &missing)
    }

    /// Notes which files are missing, and forgets those that are missing for too long. Returns the paths of the missing
    /// ones.
    fn update_missing(&mut self, now: u64) -> Vec<String> {
        let mut missing = Vec::new();
        let before = self.listed.len();
        let is_gone =
            |path: &&PathBuf| fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        self.listed.retain(|paths, listed| {
            let gone = paths.iter().find(is_gone);
            let since = gone.map(|_| listed.gone_since.unwrap_or(now));
            self.unsaved |= listed.gone_since != since;
            listed.gone_since = since;
            let forgotten = since.is_some_and(|since| now.saturating_sub(since) > GONE_FOR.as_secs());
            if let Some(path) = gone.filter(|_| !forgotten) {
                missing.push(path.display().to_string());
            }
            !forgotten
        });
        self.unsaved |= self.listed.len() < before;
        missing
    }

    /// Adds what is at `paths`, which a person shares as `share`. Returns whether the list had room for it.
    pub(super) fn add(&mut self, paths: &[PathBuf], name: Name, send_as: &SendAs, share: ShareId) -> bool {
        let send_as = SendAs { name: None, replace: false, ..send_as.clone() };
        let Some(paths) = self.enter(paths, name, send_as) else { return false };
        self.add_share(paths, share);
        true
    }

    /// Puts what is at `paths` on the list, or renews its entry. Returns the absolute paths, if the list has room.
    fn enter(&mut self, paths: &[PathBuf], name: Name, send_as: SendAs) -> Option<Paths> {
        let paths: Paths = paths.iter().map(std::path::absolute).collect::<Result<_, _>>().ok()?;
        let is_new = !self.listed.contains_key(&paths);
        if is_new && self.listed.len() >= MAX_SHARES {
            return None;
        }
        let new = ListedFile { name, send_as, gone_since: None, shares: Vec::new() };
        match self.listed.entry(paths.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(new);
                self.unsaved = true;
            }
            Entry::Occupied(mut occupied) => {
                let listed = occupied.get_mut();
                let shares = std::mem::take(&mut listed.shares);
                self.unsaved |= *listed != new;
                *listed = ListedFile { shares, ..new };
            }
        }
        Some(paths)
    }

    /// Notes that what is at `paths`, which is on the list, is shared as `share`.
    fn add_share(&mut self, paths: Paths, share: ShareId) {
        let listed = self.listed.get_mut(&paths).expect("a file that leaves the list is awaited no longer");
        listed.shares.push(share);
        self.by_share.insert(share, paths);
    }

    /// Takes in an event. The file of a finished download is put on the list.
    pub(super) fn on_event(&mut self, event: &Event, sharing: &mut Sharing) {
        match event {
            Event::DownloadDone { download, path, summary } => {
                if let Some(name) = sharing.take_name_of_download(*download)
                    && let Some(paths) = self.enter(std::slice::from_ref(path), name, SendAs::default())
                {
                    self.awaited.insert(summary.content, paths);
                }
            }
            Event::Shared { share, content, name, .. } => {
                if let Some(path) = self.awaited.remove(content) {
                    self.add_share(path, *share);
                    sharing.adopt(*share, name.clone());
                }
            }
            Event::ShareFailed { share, error } => self.on_failure(*share, error),
            _ => {}
        }
    }

    fn on_failure(&mut self, share: ShareId, error: &DiskError) {
        let Some(path) = self.by_share.remove(&share) else { return };
        if may_come_back(&error.kind) {
            self.file_of_share(&path).shares.retain(|&other| other != share);
        } else {
            self.remove(&path);
        }
    }

    /// Takes the file of `share` off the list. Returns all shares of the file, the last one first.
    pub(super) fn forget(&mut self, share: ShareId) -> Vec<ShareId> {
        let path = self.by_share.get(&share).cloned();
        path.map_or_else(|| vec![share], |path| self.remove(&path))
    }

    /// Takes in that `share` was replaced. Its file stays on the list only if it has another share.
    pub(super) fn on_replaced(&mut self, share: ShareId) {
        let Some(path) = self.by_share.remove(&share) else { return };
        let listed = self.file_of_share(&path);
        listed.shares.retain(|&other| other != share);
        if listed.shares.is_empty() {
            self.remove(&path);
        }
    }

    /// The file at `path`, which `by_share` had.
    fn file_of_share(&mut self, path: &[PathBuf]) -> &mut ListedFile {
        self.listed.get_mut(path).expect("a file that leaves the list takes its shares out of `by_share`")
    }

    /// Takes the first file of that name off the list, if there is one. Returns its shares, of which there may be none.
    pub(super) fn forget_named(&mut self, name: &str) -> Option<Vec<ShareId>> {
        let path = self.listed.iter().find(|(_, listed)| listed.name.as_str() == name)?.0.clone();
        Some(self.remove(&path))
    }

    fn remove(&mut self, paths: &[PathBuf]) -> Vec<ShareId> {
        let Some(listed) = self.listed.remove(paths) else { return Vec::new() };
        self.unsaved = true;
        let mut shares = listed.shares;
        for share in &shares {
            self.by_share.remove(share);
        }
        self.awaited.retain(|_, awaited| awaited != paths);
        // The node serves the first share of a content. The others end before it, so that none of them is served in its
        // place.
        shares.reverse();
        shares
    }

    /// Whether the list was saved less than `time` ago.
    pub(super) fn were_saved_within(&self, time: Duration) -> bool {
        self.saved_at.is_some_and(|at| at.elapsed() < time)
    }

    /// Saves the list if it has changed. Returns what to tell the person when it cannot be saved.
    pub(super) fn save(&mut self) -> Option<String> {
        if !std::mem::take(&mut self.unsaved) {
            return None;
        }
        match checked_file::write(&self.file, TITLE, self.listed.iter().map(line_of)) {
            Ok(()) => {
                (self.trouble_told, self.saved_at) = (false, Some(Instant::now()));
                None
            }
            Err(error) => {
                self.unsaved = true;
                let told = std::mem::replace(&mut self.trouble_told, true);
                (!told)
                    .then(|| format!("what is shared cannot be remembered: {}: {error}", self.file.display()))
            }
        }
    }
}

/// Whether a file that failed for this reason may be shared at the next start.
fn may_come_back(kind: &DiskErrorKind) -> bool {
    !matches!(
        kind,
        DiskErrorKind::NotAFile | DiskErrorKind::TooLong | DiskErrorKind::Name(_) | DiskErrorKind::Cancelled
    )
}

fn restored(again: usize, missing: &[String]) -> Option<String> {
    let files = |count: usize| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    let mut line = match again {
        0 if missing.is_empty() => return None,
        0 => String::new(),
        again => format!("sharing {} again", files(again)),
    };
    if !missing.is_empty() {
        let said = missing.iter().take(MAX_NAMES_SAID).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = missing.len().saturating_sub(MAX_NAMES_SAID);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let gap = if line.is_empty() { "" } else { "; " };
        line.push_str(&format!("{gap}not there now: {said}{more}"));
    }
    Some(line + " (unshare NAME forgets one)")
}

fn line_of((paths, listed): (&Paths, &ListedFile)) -> String {
    let ListedFile { name, send_as, gone_since, .. } = listed;
    let (first, also) = paths.split_first().expect("what is shared has a path");
    let mut line = format!("{}\t{name}\t{}", gone_since.unwrap_or(0), checked_file::escaped(first));
    let also = also.iter().map(|path| (ALSO, path.as_path()));
    let exclude = send_as.exclude.iter().map(|pattern| (EXCLUDE, Path::new(pattern)));
    for (what, text) in also.chain(exclude) {
        line.push_str(&format!("\t{what}{}", checked_file::escaped(text)));
    }
    if send_as.without_metadata {
        line.push_str(&format!("\t{NO_METADATA}"));
    }
    line
}

fn read_line(line: &str) -> Option<(Paths, ListedFile)> {
    let mut fields = line.split('\t');
    let since: u64 = fields.next()?.parse().ok()?;
    let name = Name::new(fields.next()?).ok()?;
    let mut paths = vec![checked_file::unescaped(fields.next()?)?];
    let mut send_as = SendAs::default();
    for field in fields {
        if let Some(also) = field.strip_prefix(ALSO) {
            paths.push(checked_file::unescaped(also)?);
        } else if let Some(pattern) = field.strip_prefix(EXCLUDE) {
            send_as.exclude.push(checked_file::unescaped(pattern)?.into_os_string().into_string().ok()?);
        } else if field == NO_METADATA {
            send_as.without_metadata = true;
        } else {
            return None;
        }
    }
    let gone_since = (since > 0).then_some(since);
    Some((paths, ListedFile { name, send_as, gone_since, shares: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::name;

    fn list(folder: &Path) -> Shares {
        let (shares, note) = Shares::open(folder.join("shares"));
        assert_eq!(note, None);
        shares
    }

    fn add(shares: &mut Shares, path: &Path, name: Name, share: ShareId) -> bool {
        shares.add(&[path.to_owned()], name, &SendAs::default(), share)
    }

    fn names(shares: &Shares) -> Vec<&str> {
        shares.listed.values().map(|listed| listed.name.as_str()).collect()
    }

    fn failed(share: u32, kind: DiskErrorKind) -> Event {
        Event::ShareFailed { share: ShareId(share), error: DiskError { path: "f".into(), kind } }
    }

    #[test]
    fn what_is_sent_is_on_the_list_until_it_is_unshared() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut shares = list(folder.path());
        assert!(add(&mut shares, Path::new("/a/x y"), name("x y"), ShareId(1)));
        assert!(add(&mut shares, Path::new("/a/z"), name("z"), ShareId(2)));
        assert!(add(&mut shares, Path::new("/a/z"), name("z"), ShareId(3)));
        assert_eq!(shares.save(), None);
        assert_eq!(names(&list(folder.path())), ["x y", "z"]);
        assert_eq!(shares.forget(ShareId(2)), [ShareId(3), ShareId(2)]);
        assert_eq!(shares.forget(ShareId(9)), [ShareId(9)], "not on the list, and to be ended all the same");
        assert_eq!(shares.save(), None);
        assert_eq!(names(&list(folder.path())), ["x y"]);
        assert_eq!(list(folder.path()).forget_named("x y"), Some(Vec::new()));
        assert_eq!(shares.forget_named("y"), None);
    }

    #[test]
    fn what_is_shared_as_one_is_remembered_with_all_its_paths_and_how_it_is_shared() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut shares = list(folder.path());
        let paths = ["/a/x", "/b/tab\tand %"].map(PathBuf::from);
        let exclude = ["*.log", "a\tb"].map(str::to_owned).to_vec();
        let send_as = SendAs { exclude, without_metadata: true, ..SendAs::default() };
        let typed = SendAs { name: Some(name("both")), replace: true, ..send_as.clone() };
        assert!(shares.add(&paths, name("both"), &typed, ShareId(1)));
        assert!(add(&mut shares, Path::new("/a/x"), name("x"), ShareId(2)));
        assert_eq!(shares.save(), None);
        let again = list(folder.path());
        assert_eq!(names(&again), ["x", "both"]);
        assert_eq!(again.listed[&paths[..]].send_as, send_as);
        assert!(shares.add(&paths, name("both"), &SendAs::default(), ShareId(3)), "sent again, otherwise");
        assert_eq!(shares.save(), None);
        assert_eq!(list(folder.path()).listed[&paths[..]].send_as, SendAs::default());
        assert_eq!(shares.forget(ShareId(1)), [ShareId(3), ShareId(1)]);
        assert_eq!(names(&shares), ["x"]);
    }

    #[test]
    fn what_changed_or_is_gone_stays_on_the_list_and_what_can_never_be_shared_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut shares = list(folder.path());
        let mut sharing = Sharing::default();
        for (share, kind) in
            [(1, DiskErrorKind::Changed), (2, DiskErrorKind::NotFound), (3, DiskErrorKind::NotAFile)]
        {
            assert!(add(
                &mut shares,
                Path::new(&format!("/{share}")),
                name(&share.to_string()),
                ShareId(share)
            ));
            shares.on_event(&failed(share, kind), &mut sharing);
        }
        assert_eq!(names(&shares), ["1", "2"]);
    }

    #[test]
    fn a_file_that_is_gone_is_kept_for_a_month() {
        let folder = tempfile::tempdir().expect("a folder");
        let there = folder.path().join("there");
        fs::write(&there, "x").expect("written");
        let mut shares = list(folder.path());
        assert!(add(&mut shares, &there, name("there"), ShareId(1)));
        assert!(add(&mut shares, &folder.path().join("gone"), name("gone"), ShareId(2)));
        let first = 1_000_000;
        let gone = folder.path().join("gone").display().to_string();
        assert_eq!(shares.update_missing(first), std::slice::from_ref(&gone));
        assert_eq!(shares.save(), None);
        let mut later = list(folder.path());
        assert_eq!(later.update_missing(first + GONE_FOR.as_secs()), [gone]);
        assert_eq!(later.update_missing(first + GONE_FOR.as_secs() + 1), [""; 0]);
        assert_eq!(names(&later), ["there"]);
        fs::write(folder.path().join("gone"), "back").expect("written");
        let mut shares = list(folder.path());
        assert_eq!(shares.update_missing(first + GONE_FOR.as_secs() + 1), [""; 0], "it is there again");
        assert_eq!(names(&shares), ["gone", "there"]);
    }

    #[test]
    fn each_swarm_has_a_list_of_its_own_which_stays_when_the_secret_is_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateFolder::take(folder.path(), None, &folder.path().join("host")).expect("free");
        let secrets = |byte| SwarmSecrets::from(SwarmSecret::from_bytes([byte; 32]));
        let open = file_of(&state, &SwarmSecrets::open());
        let [first, second] = [1, 2].map(|byte| file_of(&state, &secrets(byte)));
        assert!(open == state.shares() && open != first && open != second && first != second);
        fs::write(&first, "listed").expect("written");
        let rotated = secrets(1).rotated(SwarmSecret::from_bytes([3; 32]), 5);
        let renamed = file_of(&state, &rotated);
        assert_eq!(fs::read_to_string(&renamed).expect("there"), "listed");
        assert!(!first.exists() && renamed != first);
        assert_eq!(file_of(&state, &rotated), renamed);
    }

    #[test]
    fn the_list_is_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut shares = list(folder.path());
        let share = |number: usize| ShareId(number as u32);
        for number in 1..=MAX_SHARES {
            assert!(add(&mut shares, Path::new(&format!("/{number}")), name("f"), share(number)));
        }
        assert!(!add(&mut shares, Path::new("/more"), name("f"), share(0)));
        assert!(add(&mut shares, Path::new("/7"), name("f"), share(0)), "one that is on it");
        shares.forget(share(1));
        assert!(add(&mut shares, Path::new("/more"), name("f"), share(0)));
    }

    #[test]
    fn a_damaged_list_is_said_and_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("shares"), "riffle shares 1\n").expect("written");
        let (shares, note) = Shares::open(folder.path().join("shares"));
        assert!(shares.listed.is_empty() && note.is_some_and(|note| note.contains("send it again")));
        assert!(folder.path().join("shares.damaged").exists());
    }

    #[test]
    fn a_list_that_cannot_be_kept_is_said_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut shares = list(&folder.path().join("nowhere"));
        assert!(add(&mut shares, Path::new("/a"), name("a"), ShareId(1)));
        assert!(shares.save().is_some_and(|said| said.contains("cannot be remembered")));
        assert_eq!(shares.save(), None);
        fs::create_dir(folder.path().join("nowhere")).expect("made");
        assert_eq!(shares.save(), None);
        assert_eq!(names(&list(&folder.path().join("nowhere"))), ["a"], "kept as soon as it can be");
    }

    #[test]
    fn one_line_tells_what_is_shared_again_and_what_is_not_there() {
        assert_eq!(restored(0, &[]), None);
        assert_eq!(restored(1, &[]).as_deref(), Some("sharing 1 file again (unshare NAME forgets one)"));
        let missing = ["a", "b", "c", "d"].map(str::to_owned);
        let line = "sharing 2 files again; not there now: a, b, c and 1 more (unshare NAME forgets one)";
        assert_eq!(restored(2, &missing).as_deref(), Some(line));
        assert!(restored(0, &missing[..1]).is_some_and(|line| line.starts_with("not there now: a (")));
    }
}
