//! Where an entry of a folder stands.

use std::cmp::Ordering;
use std::fmt;

use crate::hidden::first_hidden;
use crate::limits::{MAX_NAME, MAX_PATH};

/// Why some text is not the path of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No text, an empty component, `.` or `..`.
    #[error("a path has no component that is empty, \".\" or \"..\"")]
    Component,
    /// More than [`MAX_PATH`] bytes, or more than [`MAX_NAME`] in one component.
    #[error("a path has at most {MAX_PATH} bytes, and each component at most {MAX_NAME}")]
    TooLong,
    /// A control character.
    #[error("a path has no control characters")]
    Control,
    /// A character that nobody sees, or that turns the direction of writing.
    #[error("a path has nothing in it that is not seen or turns the direction of writing, such as this one's {}", .0.escape_unicode())]
    Hidden(char),
}

/// The path of an entry, relative to its folder: components with `/` between them. Each component is harmless on a Unix
/// system; what another system cannot hold, such as `aux.c` or `a\b` on Windows, is found out there.
///
/// Paths are in the order of their components, so that what is below a path follows it at once.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntryPath(String);

impl EntryPath {
    /// The path `text`.
    ///
    /// # Errors
    /// When it could lead out of the folder, or is not what it looks like.
    pub fn new(text: impl Into<String>) -> Result<EntryPath, PathError> {
        let text = text.into();
        if text.len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        text.split('/').try_for_each(check_component)?;
        Ok(EntryPath(text))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its components, of which there is at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether it stands in the folder `other`, or in a folder of that.
    #[must_use]
    pub fn is_below(&self, other: &EntryPath) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The folder in which it stands; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// Its last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }
}

pub(super) fn check_component(component: &str) -> Result<(), PathError> {
    if matches!(component, "" | "." | "..") {
        return Err(PathError::Component);
    }
    if component.len() > MAX_NAME {
        return Err(PathError::TooLong);
    }
    if component.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    first_hidden(component).map_or(Ok(()), |hidden| Err(PathError::Hidden(hidden)))
}

impl Ord for EntryPath {
    fn cmp(&self, other: &EntryPath) -> Ordering {
        // A separator comes before every byte that a component has.
        let order = |byte: u8| if byte == b'/' { 0 } else { byte };
        self.0.bytes().map(order).cmp(other.0.bytes().map(order))
    }
}

impl PartialOrd for EntryPath {
    fn partial_cmp(&self, other: &EntryPath) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
