//! What is in a folder, as people are shown it.

use crate::units::{counted, size};

/// The top of a folder is shown with so many entries.
const MAX_TOP: usize = 20;

fn tree_line(size: &str, depth: usize, name: &str) -> String {
    format!("{size:>9}  {:indent$}{name}", "", indent = 2 * depth)
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
    use super::*;

    #[test]
    fn the_top_of_a_folder_is_short() {
        let paths: Vec<String> = (0..30).map(|number| format!("f{number:02}")).collect();
        let files = [("a/b", 1), ("a/c/d", 2)].into_iter().chain(paths.iter().map(|path| (path.as_str(), 7)));
        let lines = top(files);
        assert_eq!(lines[..2], ["      3 B  a/ (2 files)", "      7 B  f00"]);
        assert_eq!((lines.len(), lines[20].as_str()), (21, "           ... and 11 more"));
    }
}
