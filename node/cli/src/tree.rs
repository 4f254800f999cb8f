//! What is in a folder, as people and programs are shown it: a tree with sizes, lines for a pipe, or its top alone.

use std::collections::BTreeMap;

use riffle::{Collection, Entry, EntryKind};

use crate::units::{counted, size};

/// The top of a folder is shown with so many entries.
const MAX_TOP: usize = 20;

/// The bytes of an entry: links and folders have none of their own.
fn bytes_of(entry: &Entry) -> u64 {
    match &entry.kind {
        EntryKind::File(file) => file.length,
        EntryKind::EmptyFolder | EntryKind::Link(_) => 0,
    }
}

/// The folders in which the entry at `path` stands, the outermost first.
fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// How many entries of each kind there are, and how many bytes they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    files: usize,
    links: usize,
    empty_folders: usize,
    bytes: u64,
}

impl Totals {
    /// Those of all entries of `folder`.
    pub(crate) fn of(folder: &Collection) -> Totals {
        let mut totals = Totals::default();
        for entry in folder.entries() {
            totals.bytes += bytes_of(entry);
            match entry.kind {
                EntryKind::File(_) => totals.files += 1,
                EntryKind::EmptyFolder => totals.empty_folders += 1,
                EntryKind::Link(_) => totals.links += 1,
            }
        }
        totals
    }

    /// The totals in one line: `3 files, 1 link, 12.0 KiB (12288 bytes)`.
    pub(crate) fn line(&self) -> String {
        let mut parts = vec![counted(self.files, "file")];
        parts.extend((self.links > 0).then(|| counted(self.links, "link")));
        parts.extend((self.empty_folders > 0).then(|| counted(self.empty_folders, "empty folder")));
        let exact = if self.bytes < 1024 { String::new() } else { format!(" ({} bytes)", self.bytes) };
        format!("{}, {}{exact}", parts.join(", "), size(self.bytes))
    }

    /// The totals in one line, which are a part of those of `all`: `3 files, 12.0 KiB of 20 files, 1.00 MiB`.
    pub(crate) fn line_of(&self, all: &Totals) -> String {
        let short = |totals: &Totals| format!("{}, {}", counted(totals.files, "file"), size(totals.bytes));
        format!("{} of {}", short(self), short(all))
    }
}

/// The folder as a tree, a line for each of its entries and for each folder on the way, with the size of all that is in
/// it. The first line is the folder itself, which is called `name`.
pub(crate) fn tree<'a>(name: &'a str, folder: &'a Collection) -> impl Iterator<Item = String> + 'a {
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in folder.entries() {
        for above in folders_of(entry.path.as_str()) {
            *sizes.entry(above).or_default() += bytes_of(entry);
        }
    }
    let top = tree_line(&size(Totals::of(folder).bytes), 0, &format!("{name}/"));
    let mut before = "";
    let entries = folder.entries().iter().flat_map(move |entry| {
        let path = entry.path.as_str();
        // What is in a folder stands together.
        let is_shown = |above: &str| before.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
        let mut lines: Vec<String> = folders_of(path)
            .enumerate()
            .filter(|(_, above)| !is_shown(above))
            .map(|(depth, above)| {
                let name = above.rsplit('/').next().unwrap_or(above);
                tree_line(&size(sizes[above]), depth + 1, &format!("{name}/"))
            })
            .collect();
        before = path;
        let (depth, name) = (entry.path.components().count(), entry.path.file_name());
        lines.push(match &entry.kind {
            EntryKind::File(file) => tree_line(&size(file.length), depth, name),
            EntryKind::EmptyFolder => tree_line("empty", depth, &format!("{name}/")),
            EntryKind::Link(target) => tree_line("link", depth, &format!("{name} -> {target}")),
        });
        lines
    });
    std::iter::once(top).chain(entries)
}

fn tree_line(size: &str, depth: usize, name: &str) -> String {
    format!("{size:>9}  {:indent$}{name}", "", indent = 2 * depth)
}

/// A line for each entry, for other programs: its bytes, a tab, and its path, which ends with `/` when it is an empty
/// folder. A link has its target behind another tab. No path has a tab.
pub(crate) fn rows(folder: &Collection) -> impl Iterator<Item = String> {
    folder.entries().iter().map(|entry| match &entry.kind {
        EntryKind::File(file) => format!("{}\t{}", file.length, entry.path),
        EntryKind::EmptyFolder => format!("0\t{}/", entry.path),
        EntryKind::Link(target) => format!("0\t{}\t{target}", entry.path),
    })
}

/// What stands in the folder itself: files with their sizes, folders with the sizes of all that is in them. Of many the
/// first ones.
pub(crate) fn top<'a>(files: impl Iterator<Item = (&'a str, u64)>) -> Vec<String> {
    let mut all: Vec<(&str, Option<usize>, u64)> = Vec::new();
    for (path, bytes) in files {
        let (first, is_folder) = path.split_once('/').map_or((path, false), |(first, _)| (first, true));
        match all.last_mut() {
            Some((name, Some(count), sum)) if is_folder && *name == first => {
                (*count, *sum) = (*count + 1, *sum + bytes);
            }
            _ => all.push((first, is_folder.then_some(1), bytes)),
        }
    }
    let line = |&(name, inside, bytes): &(&str, Option<usize>, u64)| {
        let name =
            inside.map_or_else(|| name.to_owned(), |count| format!("{name}/ ({})", counted(count, "file")));
        tree_line(&size(bytes), 0, &name)
    };
    let mut lines: Vec<String> = all.iter().take(MAX_TOP).map(line).collect();
    if all.len() > MAX_TOP {
        lines.push(format!("           ... and {} more", all.len() - MAX_TOP));
    }
    lines
}

#[cfg(test)]
mod tests {
    use riffle::{EntryPath, FileEntry};

    use super::*;

    fn folder(entries: &[(&str, EntryKind)]) -> Collection {
        let entry = |(path, kind): &(&str, EntryKind)| Entry {
            path: EntryPath::new(*path).expect("a path"),
            kind: kind.clone(),
        };
        Collection::new(entries.iter().map(entry).collect()).expect("a folder")
    }

    fn file(length: u64) -> EntryKind {
        EntryKind::File(FileEntry { length, hash: [0; 32], is_executable: false, modified: None })
    }

    fn album() -> Collection {
        folder(&[
            ("a/b/one", file(10)),
            ("a/b/two", file(2000)),
            ("a/c", file(0)),
            ("a.txt", file(5)),
            ("b/link", EntryKind::Link("../a.txt".to_owned())),
            ("b/nothing", EntryKind::EmptyFolder),
        ])
    }

    #[test]
    fn a_tree_has_a_line_for_each_entry_and_each_folder_on_the_way() {
        let lines: Vec<String> = tree("album", &album()).collect();
        let expected = [
            " 1.97 KiB  album/",
            " 1.96 KiB    a/",
            " 1.96 KiB      b/",
            "     10 B        one",
            " 1.95 KiB        two",
            "      0 B      c",
            "      5 B    a.txt",
            "      0 B    b/",
            "     link      link -> ../a.txt",
            "    empty      nothing/",
        ];
        assert_eq!(lines, expected);
        assert_eq!(Totals::of(&album()).line(), "4 files, 1 link, 1 empty folder, 1.97 KiB (2015 bytes)");
        assert_eq!(Totals::of(&folder(&[("f", file(1))])).line(), "1 file, 1 B");
        assert_eq!(tree("none", &folder(&[])).collect::<Vec<_>>(), ["      0 B  none/"]);
    }

    #[test]
    fn other_programs_get_a_line_an_entry() {
        let lines: Vec<String> = rows(&album()).collect();
        let expected =
            ["10\ta/b/one", "2000\ta/b/two", "0\ta/c", "5\ta.txt", "0\tb/link\t../a.txt", "0\tb/nothing/"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_top_of_a_folder_is_short() {
        let paths: Vec<String> = (0..30).map(|number| format!("f{number:02}")).collect();
        let files = [("a/b", 1), ("a/c/d", 2)].into_iter().chain(paths.iter().map(|path| (path.as_str(), 7)));
        let lines = top(files);
        assert_eq!(lines[..2], ["      3 B  a/ (2 files)", "      7 B  f00"]);
        assert_eq!((lines.len(), lines[20].as_str()), (21, "           ... and 11 more"));
    }
}
