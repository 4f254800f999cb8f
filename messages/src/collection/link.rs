//! Which symbolic links a folder may have: those that stay inside, whatever other links they lead through.
//!
//! `..` is allowed at the beginning of a target only. There it is taken from the folder in which the link really stands,
//! so that it can be counted; behind a name, which may be a link itself, it could not.

use super::path::{EntryPath, check_component};
use crate::limits::MAX_PATH;

/// Why a target is not that of a link which stays inside its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It is empty, absolute, or has more than [`MAX_PATH`] bytes.
    #[error("a link's target is relative, and has 1 to {MAX_PATH} bytes")]
    Target,
    /// It leads out of the folder, or has `..` behind a name.
    #[error("the link leads out of the folder, or may do so")]
    Outside,
    /// A component is none.
    #[error("the link's target has a component that no path has")]
    Component,
}

/// Holds when the link at `path` stays inside the folder.
///
/// # Errors
/// When its target leads out of the folder, or may do so.
pub fn check_link(path: &EntryPath, target: &str) -> Result<(), LinkError> {
    if target.is_empty() || target.len() > MAX_PATH || target.starts_with('/') {
        return Err(LinkError::Target);
    }
    let mut depth = path.components().count() - 1;
    let mut has_name = false;
    // One separator at the end says that the target is a folder.
    for component in target.strip_suffix('/').unwrap_or(target).split('/') {
        match component {
            "." => {}
            ".." if has_name => return Err(LinkError::Outside),
            ".." => depth = depth.checked_sub(1).ok_or(LinkError::Outside)?,
            name => {
                check_component(name).map_err(|_| LinkError::Component)?;
                has_name = true;
            }
        }
    }
    Ok(())
}
