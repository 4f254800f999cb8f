//! What is in a folder that is to be shared.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use ignore::overrides::{Override, OverrideBuilder};
use messages::collection::{EntryPath, LinkError, PathError, check_link};
use riffle_core::{DiskError, DiskErrorKind, SkippedEntry};

use crate::driver::disk::errors::error;
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

/// Finds all that is in the folder `root`, hidden files included, but for what an ignore file or one of the patterns
/// `exclude` names. Links are not followed.
///
/// # Errors
/// When a folder cannot be read, or a pattern is none.
pub(super) fn walk(root: &Path, exclude: &[String]) -> Result<Found, DiskError> {
    let mut found = Found::default();
    let mut folders = BTreeSet::new();
    let mut walk = WalkBuilder::new(root);
    walk.standard_filters(false).follow_links(false).add_custom_ignore_filename(IGNORE_FILE);
    // What downloads leave while they are incomplete is nobody's file, nor what is in such a folder.
    walk.filter_entry(|entry| entry.depth() == 0 || !is_working_file(entry.file_name()));
    walk.overrides(excluded(root, exclude).map_err(|cause| unreadable(root, &cause))?);
    for entry in walk.build() {
        let entry = entry.map_err(|cause| unreadable(root, &cause))?;
        if entry.depth() == 0 {
            continue;
        }
        let Some(kind) = entry.file_type() else { continue };
        let path = match relative(root, entry.path()) {
            Ok(path) => path,
            Err(why) => {
                found.skip(entry.path(), why);
                continue;
            }
        };
        if let Some(parent) = path.parent() {
            folders.remove(parent);
        }
        if kind.is_dir() {
            folders.insert(path.as_str().to_owned());
        } else if kind.is_file() {
            found.files.push(path);
        } else if kind.is_symlink() {
            match target_of(entry.path(), &path) {
                Ok(target) => found.links.push((path, target)),
                Err(why) => found.skip(entry.path(), why),
            }
        } else {
            found.skip(entry.path(), "neither a file, a folder nor a link".to_owned());
        }
    }
    let path = |text| EntryPath::new(text).expect("it was a path when it was found");
    found.empty_folders = folders.into_iter().map(path).collect();
    Ok(found)
}

/// The patterns of what is left out, as the walk takes them.
fn excluded(root: &Path, exclude: &[String]) -> Result<Override, ignore::Error> {
    let mut overrides = OverrideBuilder::new(root);
    for pattern in exclude {
        // In an override `!` is what an ignore file says without it.
        let inverted = pattern.strip_prefix('!').map_or_else(|| format!("!{pattern}"), str::to_owned);
        overrides.add(&inverted)?;
    }
    overrides.build()
}

impl Found {
    fn skip(&mut self, path: &Path, why: String) {
        self.skipped.push(SkippedEntry { path: path.to_owned(), why });
    }
}

/// The path of an entry of the folder `root`, or why it has none.
fn relative(root: &Path, path: &Path) -> Result<EntryPath, String> {
    let below = path.strip_prefix(root).expect("a walk stays below where it begins");
    let components: Option<Vec<&str>> = below.components().map(|part| part.as_os_str().to_str()).collect();
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
