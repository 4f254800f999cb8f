//! Which files of a folder are wanted.

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use messages::collection::{Entry, EntryKind};

/// A choice of the files of a folder by patterns.
#[derive(Debug)]
pub(crate) struct Selection(Gitignore);

impl Selection {
    /// The choice that these lines of a `.gitignore` file name; `None` when there are none: everything is wanted.
    ///
    /// # Errors
    /// The pattern that is none, and why.
    pub(crate) fn new(patterns: &[String]) -> Result<Option<Selection>, String> {
        if patterns.is_empty() {
            return Ok(None);
        }
        let mut builder = GitignoreBuilder::new("");
        builder.allow_unclosed_class(false);
        for pattern in patterns {
            builder.add_line(None, pattern).map_err(|why| format!("\"{pattern}\" is no pattern: {why}"))?;
        }
        builder.build().map(|patterns| Some(Selection(patterns))).map_err(|why| why.to_string())
    }

    /// Whether the entry is wanted: a pattern names it, or a folder in which it stands.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        let is_folder = entry.kind == EntryKind::EmptyFolder;
        self.0.matched_path_or_any_parents(entry.path.as_str(), is_folder).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use messages::collection::{EntryPath, FileEntry};

    use super::*;

    #[test]
    fn patterns_name_files_and_folders_and_take_out_again() {
        let chosen = |patterns: &[&str]| -> Vec<&str> {
            let patterns: Vec<_> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            let selection = Selection::new(&patterns).expect("patterns").expect("some");
            let file = FileEntry { length: 1, hash: [0; 32], is_executable: false, modified: None };
            let entry = |path| Entry {
                path: EntryPath::new(path).expect("a path"),
                kind: EntryKind::File(file.clone()),
            };
            let paths = ["a.rs", "src/b.rs", "src/c.txt", "src/deep/d.rs"];
            paths.into_iter().filter(|path| selection.has(&entry(*path))).collect()
        };
        assert_eq!(chosen(&["src"]), ["src/b.rs", "src/c.txt", "src/deep/d.rs"]);
        assert_eq!(chosen(&["*.rs"]), ["a.rs", "src/b.rs", "src/deep/d.rs"]);
        assert_eq!(chosen(&["/*.rs"]), ["a.rs"]);
        assert_eq!(chosen(&["*.rs", "!b.rs"]), ["a.rs", "src/deep/d.rs"]);
    }

    #[test]
    fn what_is_no_pattern_is_told_and_no_patterns_choose_everything() {
        assert!(Selection::new(&["a[".to_owned()]).is_err());
        assert!(Selection::new(&[]).is_ok_and(|all| all.is_none()));
    }
}
