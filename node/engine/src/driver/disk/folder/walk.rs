//! What is in a folder, or in several files and folders, that are to be shared as one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::WalkBuilder;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use messages::collection::{EntryPath, LinkError, PathError, check_link};
use riffle_core::{DiskError, DiskErrorKind, SkippedEntry};

use super::roots::Roots;
use crate::driver::disk::errors::{disk_error, error};
use crate::driver::disk::part::download_paths::is_working_file;

/// The file whose lines say what of its folder is not shared, in the way of `.gitignore`.
const IGNORE_FILE: &str = ".riffleignore";

/// What was found in a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The files, in no order.
    pub(super) files: Vec<EntryPath>,
    /// The folders in which nothing was found.
    pub(super) empty_folders: Vec<EntryPath>,
    /// The symbolic links, with their targets.
    pub(super) links: Vec<(EntryPath, String)>,
    /// What is not shared, and why.
    pub(super) skipped: Vec<SkippedEntry>,
}

/// Finds all that is at `roots`, hidden files included, but for what an ignore file or one of the patterns `exclude`
/// names. Links are not followed.
///
/// # Errors
/// When a folder cannot be read, a member is neither a file nor a folder, or a pattern is none.
pub(super) fn walk(roots: &Roots, exclude: &[String]) -> Result<Found, DiskError> {
    let excluded = excluded(exclude).map_err(|why| error(roots.path(), DiskErrorKind::Other(why)))?;
    let mut found = Found::default();
    match roots {
        Roots::Folder(root) => found.walk_folder(root, None, &excluded)?,
        Roots::Members(members) => {
            for (name, path) in members {
                found.add_member(name, path, &excluded)?;
            }
        }
    }
    Ok(found)
}

/// The patterns of what is left out, which are about the paths of entries.
fn excluded(patterns: &[String]) -> Result<Arc<Gitignore>, String> {
    let mut builder = GitignoreBuilder::new("");
    builder.allow_unclosed_class(false);
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(|why| format!("\"{pattern}\" is no pattern: {why}"))?;
    }
    builder.build().map(Arc::new).map_err(|why| why.to_string())
}

impl Found {
    fn add_member(&mut self, name: &str, path: &Path, excluded: &Arc<Gitignore>) -> Result<(), DiskError> {
        let metadata = std::fs::metadata(path).map_err(|cause| disk_error(path, &cause))?;
        if excluded.matched(name, metadata.is_dir()).is_ignore() {
            return Ok(());
        }
        if metadata.is_dir() {
            return self.walk_folder(path, Some(name), excluded);
        }
        if !metadata.is_file() {
            return Err(error(path, DiskErrorKind::NotAFile));
        }
        self.files.push(EntryPath::new(name).expect("the names of members are paths"));
        Ok(())
    }

    /// Finds what is in the folder `root`, which is the member `name` of a collection or all of it.
    fn walk_folder(
        &mut self,
        root: &Path,
        name: Option<&str>,
        excluded: &Arc<Gitignore>,
    ) -> Result<(), DiskError> {
        let mut folders = BTreeSet::new();
        folders.extend(name.map(str::to_owned));
        let mut walk = WalkBuilder::new(root);
        walk.standard_filters(false).follow_links(false).add_custom_ignore_filename(IGNORE_FILE);
        let (above, excluded) = (PathBuf::from(name.unwrap_or_default()), excluded.clone());
        let below = root.to_owned();
        walk.filter_entry(move |entry| {
            let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            let path = above.join(entry.path().strip_prefix(&below).unwrap_or(entry.path()));
            // What downloads leave while they are incomplete is nobody's file, nor what is in such a folder.
            entry.depth() == 0
                || !is_working_file(entry.file_name()) && !excluded.matched(path, is_folder).is_ignore()
        });
        for entry in walk.build() {
            let entry = entry.map_err(|cause| unreadable(root, &cause))?;
            let Some(kind) = entry.file_type().filter(|_| entry.depth() > 0) else { continue };
            let path = match relative(root, name, entry.path()) {
                Ok(path) => path,
                Err(why) => {
                    self.skip(entry.path(), why);
                    continue;
                }
            };
            if let Some(parent) = path.parent() {
                folders.remove(parent);
            }
            if kind.is_dir() {
                folders.insert(path.as_str().to_owned());
            } else if kind.is_file() {
                self.files.push(path);
            } else if kind.is_symlink() {
                match target_of(entry.path(), &path) {
                    Ok(target) => self.links.push((path, target)),
                    Err(why) => self.skip(entry.path(), why),
                }
            } else {
                self.skip(entry.path(), "neither a file, a folder nor a link".to_owned());
            }
        }
        let path = |text| EntryPath::new(text).expect("it was a path when it was found");
        self.empty_folders.extend(folders.into_iter().map(path));
        Ok(())
    }

    fn skip(&mut self, path: &Path, why: String) {
        self.skipped.push(SkippedEntry { path: path.to_owned(), why });
    }
}

/// The path of an entry of the folder `root`, which is the member `name` of a collection or all of it, or why it has
/// none.
fn relative(root: &Path, name: Option<&str>, path: &Path) -> Result<EntryPath, String> {
    let below = path.strip_prefix(root).expect("a walk stays below where it begins");
    let below = below.components().map(|part| part.as_os_str().to_str());
    let components: Option<Vec<&str>> = name.map(Some).into_iter().chain(below).collect();
    let text = components.ok_or_else(|| "its name is not UTF-8".to_owned())?.join("/");
    EntryPath::new(text).map_err(|why: PathError| why.to_string())
}

fn target_of(link: &Path, path: &EntryPath) -> Result<String, String> {
    let target: PathBuf = std::fs::read_link(link).map_err(|cause| cause.to_string())?;
    let target = target.into_os_string().into_string().map_err(|_| "its target is not UTF-8".to_owned())?;
    check_link(path, &target).map_err(|why: LinkError| why.to_string())?;
    Ok(target)
}

fn unreadable(root: &Path, cause: &ignore::Error) -> DiskError {
    error(root, DiskErrorKind::Other(cause.to_string()))
}
