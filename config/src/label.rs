//! The label of a node on this host.

use std::fmt;
use std::str::FromStr;

use crate::error::ValueError;
use crate::text_setting::written_as_text;

/// The most characters that a label may have.
pub const MAX_LABEL: usize = 32;

/// The label of a node in file names, logs and on screens: 1 to 32 of `A-Z a-z 0-9 - _`, so that it is one path
/// component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeLabel(String);

impl NodeLabel {
    /// The text of the label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeLabel {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<NodeLabel, ValueError> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        if text.is_empty() || text.len() > MAX_LABEL || !text.bytes().all(allowed) {
            return Err(ValueError::NotALabel(text.to_owned()));
        }
        Ok(NodeLabel(text.to_owned()))
    }
}

/// Nodes without a label take the first free number.
impl From<u32> for NodeLabel {
    fn from(number: u32) -> NodeLabel {
        NodeLabel(number.to_string())
    }
}

impl fmt::Display for NodeLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for NodeLabel {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

written_as_text!(NodeLabel, "a label such as \"3\" or \"kitchen\"");
