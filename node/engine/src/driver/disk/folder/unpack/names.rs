//! Which names of a folder the file system of its target cannot hold: found before anything is written, and all of them.
//!
//! What a file system takes for the same name is tried, in the staging folder itself: no table of ours knows it.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::io;
use std::path::Path;

use messages::collection::Collection;
use unicode_normalization::UnicodeNormalization as _;

use super::renames::Names;
use super::tree::{Node, nodes};
use crate::platform::folder::{Folder, MAX_PATH, forbidden};

/// So many names are told; of more, their number.
const MAX_TOLD: usize = 20;
/// The characters that some file systems do not have in names.
const SOMETIMES_REFUSED: [char; 8] = ['<', '>', ':', '"', '|', '?', '*', '\\'];

/// Names that the file system cannot hold.
#[derive(Debug, Default)]
struct Problems {
    told: Vec<String>,
    count: usize,
}

impl Problems {
    fn add(&mut self, problem: impl FnOnce() -> String) {
        self.count += 1;
        if self.told.len() < MAX_TOLD {
            self.told.push(problem());
        }
    }
}

/// What is to be said of the names that cannot stand below `target`, which `staging`, an empty folder, is to become;
/// `None` when all can.
///
/// # Errors
/// The system's.
pub(crate) fn problems(
    collection: &Collection,
    staging: &Folder,
    target: &Path,
) -> io::Result<Option<String>> {
    let mut problems = Problems::default();
    let max_name = staging.max_name()?;
    let max_path = MAX_PATH.saturating_sub(target.as_os_str().len() + 1);
    let mut refused = Refused::default();
    for node in nodes(collection) {
        let name = node.split().1;
        if name.len() as u64 > max_name {
            problems.add(|| format!("{}: a name has at most {max_name} bytes here", node.path));
        } else if node.path.len() > max_path {
            problems.add(|| format!("{}: a path has at most {MAX_PATH} bytes here", node.path));
        } else if let Some(why) = forbidden(name) {
            problems.add(|| format!("{}: {why}", node.path));
        } else if let Some(character) = refused.in_name(name, staging)? {
            problems.add(|| format!("{}: no name has a {character} here", node.path));
        }
    }
    let is_one_name = |one: &str, other: &str| is_one_name(one, other, staging);
    clashes(collection, is_one_name, &mut problems)?;
    let more = problems.count - problems.told.len();
    Ok((problems.count > 0).then(|| {
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        format!("names that cannot be had there: {}{more}", problems.told.join("; "))
    }))
}

/// The characters that the file system was found to refuse, or not to.
#[derive(Default)]
struct Refused(Vec<(char, bool)>);

impl Refused {
    fn in_name(&mut self, name: &str, staging: &Folder) -> io::Result<Option<char>> {
        for character in name.chars().filter(|character| SOMETIMES_REFUSED.contains(character)) {
            if self.is_refused(character, staging)? {
                return Ok(Some(character));
            }
        }
        Ok(None)
    }

    fn is_refused(&mut self, character: char, staging: &Folder) -> io::Result<bool> {
        if let Some((_, is_refused)) = self.0.iter().find(|(known, _)| *known == character) {
            return Ok(*is_refused);
        }
        let name = format!("a{character}b");
        let is_refused = match staging.make_file(&name, false) {
            Ok(_) => {
                staging.remove_file(&name)?;
                false
            }
            Err(cause) => is_about_name(&cause),
        };
        self.0.push((character, is_refused));
        Ok(is_refused)
    }
}

/// The names of the file system of a folder, tried in it.
pub(super) struct TriedNames<'a> {
    staging: &'a Folder,
    max_name: usize,
    max_path: usize,
    refused: Refused,
}

impl TriedNames<'_> {
    /// The names that can stand below `target`, which `staging`, an empty folder, is to become.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn of<'a>(staging: &'a Folder, target: &Path) -> io::Result<TriedNames<'a>> {
        let max_name = usize::try_from(staging.max_name()?).unwrap_or(usize::MAX);
        let max_path = MAX_PATH.saturating_sub(target.as_os_str().len() + 1);
        Ok(TriedNames { staging, max_name, max_path, refused: Refused::default() })
    }
}

impl Names for TriedNames<'_> {
    fn max_name(&self) -> usize {
        self.max_name
    }

    fn max_path(&self) -> usize {
        self.max_path
    }

    fn is_refused(&mut self, character: char) -> io::Result<bool> {
        let may_be = SOMETIMES_REFUSED.contains(&character);
        Ok(may_be
            && (forbidden(&format!("a{character}b")).is_some()
                || self.refused.is_refused(character, self.staging)?))
    }

    fn is_forbidden(&self, name: &str) -> bool {
        forbidden(name).is_some()
    }

    fn is_one_name(&mut self, one: &str, other: &str) -> io::Result<bool> {
        is_one_name(one, other, self.staging)
    }
}

fn is_about_name(cause: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotFound};
    matches!(cause.kind(), InvalidFilename | InvalidInput | NotFound)
}

/// Finds names of one folder that are one name on this file system, as `is_one_name` says. Only those are tried that
/// are alike when case and the composition of characters are left out.
fn clashes(
    collection: &Collection,
    mut is_one_name: impl FnMut(&str, &str) -> io::Result<bool>,
    problems: &mut Problems,
) -> io::Result<()> {
    let mut seen: HashMap<(&str, String), Node<'_>> = HashMap::new();
    for node in nodes(collection) {
        let (parent, name) = node.split();
        match seen.entry((parent, alike(name))) {
            Slot::Vacant(slot) => {
                slot.insert(node);
            }
            Slot::Occupied(other) => {
                let other = other.get();
                if is_one_name(other.split().1, name)? {
                    problems.add(|| format!("{} and {}: one name here", other.path, node.path));
                }
            }
        }
    }
    Ok(())
}

/// What `name` has in common with all names that some file system takes for the same.
pub(crate) fn alike(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let folded = name.nfd().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    folded.collect::<String>().nfd().collect()
}

fn is_one_name(one: &str, other: &str, staging: &Folder) -> io::Result<bool> {
    match staging.make_file(one, false) {
        Ok(_) => {}
        // That has been told already.
        Err(cause) if is_about_name(&cause) => return Ok(false),
        Err(cause) => return Err(cause),
    }
    let stands = staging.standing(other)?.is_some();
    staging.remove_file(one)?;
    Ok(stands)
}

#[cfg(test)]
mod tests {
    use messages::collection::{Entry, EntryKind, EntryPath};

    use super::*;

    #[test]
    fn names_that_are_one_on_a_file_system_are_told_once_where_they_stand() {
        let paths = ["A/x", "a/x", "a/X", "a/y", "b/A", "c/\u{e9}", "c/e\u{301}", "c/E"];
        let entry = |path: &str| Entry { path: EntryPath::new(path).unwrap(), kind: EntryKind::EmptyFolder };
        let collection = Collection::new(paths.map(entry).to_vec()).unwrap();
        let told = |is_one_name: fn(&str, &str) -> bool| {
            let mut problems = Problems::default();
            clashes(&collection, |one, other| Ok(is_one_name(one, other)), &mut problems).unwrap();
            problems.told
        };
        let case = ["A and a: one name here", "a/X and a/x: one name here"];
        assert_eq!(told(|one, other| one.to_lowercase() == other.to_lowercase()), case);
        assert_eq!(told(|one, other| one.nfc().eq(other.nfc())), ["c/e\u{301} and c/\u{e9}: one name here"]);
        assert!(told(|_, _| false).is_empty());
    }

    #[test]
    fn names_are_alike_whatever_their_case_and_composition() {
        for (one, other) in [
            ("README", "readme"),
            ("\u{e9}t\u{e9}", "e\u{301}te\u{301}"),
            ("\u{c9}", "e\u{301}"),
            ("Stra\u{df}e", "STRASSE"),
            ("\u{3c3}", "\u{3c2}"),
            ("\u{212a}", "k"),
        ] {
            assert_eq!(alike(one), alike(other), "{one} {other}");
        }
        assert_ne!(alike("a"), alike("\u{e4}"));
    }
}
