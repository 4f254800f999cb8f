//! Other names for what a file system cannot hold.
//!
//! A name that can be held stays, and of several that are one name there the first one does. The others are changed by
//! this rule: a character that no name has there becomes `_`; a name that is too long is cut in front of its extension;
//! in a path that is too long each name is cut to [`CUT_NAME`] bytes; what is one name with another of its folder gets
//! `~1`, `~2` and so on in front of its extension.

use std::collections::{HashMap, HashSet};
use std::io;

use messages::collection::{Collection, EntryPath};
use riffle_core::RenamedEntry;

use super::names::alike;
use super::tree::{Node, nodes};

/// In a path that is too long, a name has at most so many bytes.
const CUT_NAME: usize = 24;
/// What is behind the last dot of a name is its extension, unless it is longer.
const MAX_EXTENSION: usize = 16;

/// What a file system says of names.
pub(super) trait Names {
    /// The most bytes of a name.
    fn max_name(&self) -> usize;
    /// The most bytes of a path below the folder.
    fn max_path(&self) -> usize;
    /// Whether no name has this character.
    fn is_refused(&mut self, character: char) -> io::Result<bool>;
    /// Whether the name cannot be had for another reason.
    fn is_forbidden(&self, name: &str) -> bool;
    /// Whether both are one name.
    fn is_one_name(&mut self, one: &str, other: &str) -> io::Result<bool>;
}

/// The names that are taken in one folder, by what they have in common with others.
type Taken = HashMap<String, Vec<String>>;

/// The folder with such names as can be had, and which of them are others.
///
/// # Errors
/// The system's.
pub(super) fn renamed(
    collection: &Collection,
    names: &mut impl Names,
) -> io::Result<(Collection, Vec<RenamedEntry>)> {
    let too_long = in_long_paths(collection, names.max_path());
    let mut children: HashMap<&str, Vec<Node<'_>>> = HashMap::new();
    let mut parents = vec![""];
    for node in nodes(collection) {
        children.entry(node.split().0).or_default().push(node);
        if node.is_folder() {
            parents.push(node.path);
        }
    }
    let (mut new_paths, mut renamed) = (HashMap::from([("", String::new())]), Vec::new());
    for parent in parents {
        let Some(children) = children.get(parent) else { continue };
        let above = new_paths[parent].clone();
        let mut taken = Taken::new();
        let mut fitting = Vec::with_capacity(children.len());
        for node in children {
            let max = if too_long.contains(node.path) { CUT_NAME } else { names.max_name() };
            let name = node.split().1;
            fitting.push((*node, fitted(name, max, names)?, max));
        }
        // What keeps its name comes first.
        fitting.sort_by_key(|(node, fitted, _)| node.split().1 != *fitted);
        for (node, fitted, max) in fitting {
            let name = free(&fitted, max, &mut taken, names)?;
            let path = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
            if name != node.split().1 {
                renamed.push(RenamedEntry { path: node.path.to_owned(), saved_as: path.clone() });
            }
            new_paths.insert(node.path, path);
        }
    }
    let mut paths = Vec::with_capacity(collection.entries().len());
    for entry in collection.entries() {
        paths.push(EntryPath::new(&*new_paths[entry.path.as_str()]).map_err(io::Error::other)?);
    }
    Ok((collection.renamed(|number, _| paths[number].clone()), renamed))
}

/// All paths of more than `max_path` bytes, and the folders in which they are.
fn in_long_paths(collection: &Collection, max_path: usize) -> HashSet<&str> {
    let mut found = HashSet::new();
    for entry in collection.entries().iter().filter(|entry| entry.path.as_str().len() > max_path) {
        let path = entry.path.as_str();
        found.insert(path);
        found.extend(path.match_indices('/').map(|(end, _)| &path[..end]));
    }
    found
}

/// `name` without what cannot be had, in at most `max` bytes.
fn fitted(name: &str, max: usize, names: &mut impl Names) -> io::Result<String> {
    let mut fitted = String::with_capacity(name.len());
    for character in name.chars() {
        fitted.push(if names.is_refused(character)? { '_' } else { character });
    }
    let mut fitted = with_suffix(&fitted, "", max);
    if names.is_forbidden(&fitted) && fitted.ends_with(['.', ' ']) {
        fitted.pop();
        fitted.push('_');
    }
    if names.is_forbidden(&fitted) {
        let stem = fitted.find('.').unwrap_or(fitted.len());
        fitted.insert(stem, '_');
    }
    Ok(fitted)
}

/// The first of `name`, `name~1`, `name~2` and so on that is no other name of the folder.
fn free(name: &str, max: usize, taken: &mut Taken, names: &mut impl Names) -> io::Result<String> {
    let mut number = 0;
    loop {
        let suffix = if number == 0 { String::new() } else { format!("~{number}") };
        let name = with_suffix(name, &suffix, max);
        let others = taken.entry(alike(&name)).or_default();
        let mut is_free = true;
        for other in &*others {
            if *other == name || names.is_one_name(other, &name)? {
                is_free = false;
                break;
            }
        }
        if is_free {
            others.push(name.clone());
            return Ok(name);
        }
        number += 1;
    }
}

/// `name` with `suffix` in front of its extension, in at most `max` bytes: what is in front of the suffix is cut.
fn with_suffix(name: &str, suffix: &str, max: usize) -> String {
    let dot = name.rfind('.').filter(|dot| *dot > 0 && name.len() - dot <= MAX_EXTENSION);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let most = max.saturating_sub(suffix.len() + extension.len());
    let end = (0..=stem.len().min(most)).rev().find(|end| stem.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{suffix}{extension}", &stem[..end])
}

#[cfg(test)]
mod tests {
    use messages::collection::{Entry, EntryKind};

    use super::*;

    /// Names as Windows has them, in short.
    struct Windows {
        max_path: usize,
    }

    impl Names for Windows {
        fn max_name(&self) -> usize {
            12
        }

        fn max_path(&self) -> usize {
            self.max_path
        }

        fn is_refused(&mut self, character: char) -> io::Result<bool> {
            Ok(":?".contains(character))
        }

        fn is_forbidden(&self, name: &str) -> bool {
            name.ends_with('.') || name.split('.').next() == Some("con")
        }

        fn is_one_name(&mut self, one: &str, other: &str) -> io::Result<bool> {
            Ok(one.to_lowercase() == other.to_lowercase())
        }
    }

    fn renamed_paths(paths: &[&str], max_path: usize) -> (Vec<String>, Vec<(String, String)>) {
        let entry =
            |path: &&str| Entry { path: EntryPath::new(*path).unwrap(), kind: EntryKind::EmptyFolder };
        let collection = Collection::new(paths.iter().map(entry).collect()).unwrap();
        let (collection, renamed) = renamed(&collection, &mut Windows { max_path }).unwrap();
        let paths = collection.entries().iter().map(|entry| entry.path.to_string()).collect();
        (paths, renamed.into_iter().map(|one| (one.path, one.saved_as)).collect())
    }

    #[test]
    fn names_that_cannot_be_had_are_changed_by_one_rule() {
        let typed = ["A", "a", "a:b", "a_b", "con.txt", "end.", "much too long.txt", "x?/y", "x?/Y", "x_/y"];
        let (paths, renamed) = renamed_paths(&typed, 4000);
        let expected =
            ["A", "a~1", "a_b~1", "a_b", "con_.txt", "end_", "much too.txt", "x_~1/Y", "x_~1/y~1", "x_/y"];
        assert_eq!(paths, expected);
        assert_eq!(renamed.len(), 7, "{renamed:?}");
        assert!(renamed.contains(&("x?".to_owned(), "x_~1".to_owned())));
        assert!(renamed.contains(&("x?/y".to_owned(), "x_~1/y~1".to_owned())));
    }

    #[test]
    fn what_is_cut_keeps_its_extension_and_whole_characters() {
        assert_eq!(with_suffix("photograph.jpeg", "", 12), "photogr.jpeg");
        assert_eq!(with_suffix("photograph.jpeg", "~12", 12), "phot~12.jpeg");
        assert_eq!(with_suffix("\u{e9}\u{e9}\u{e9}", "", 5), "\u{e9}\u{e9}");
        assert_eq!(with_suffix(".hidden-and-long", "", 8), ".hidden-");
        assert_eq!(with_suffix("a.not really an extension", "", 6), "a.not ");
    }

    #[test]
    fn the_names_of_a_path_that_is_too_long_are_cut() {
        let long = ["n".repeat(40), "m".repeat(40)].join("/");
        let (paths, renamed) = renamed_paths(&[&long, "fine"], 60);
        assert_eq!(paths, ["fine".to_owned(), format!("{}/{}", "n".repeat(24), "m".repeat(24))]);
        assert_eq!(renamed.len(), 2);
    }
}
