//! Whether a tracker serves codes.

use std::fmt;
use std::str::FromStr;

use crate::error::ValueError;
use crate::text_setting::written_as_text;

/// Whether a tracker serves codes, with which who has no secret is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ServeCodes {
    /// A tracker of the open swarm does, and one of closed swarms does not.
    #[default]
    Auto,
    /// It does.
    Always,
    /// It does not.
    Never,
}

impl ServeCodes {
    /// Whether a tracker serves them that is (not) of closed swarms.
    #[must_use]
    pub fn holds_for(self, is_closed: bool) -> bool {
        match self {
            ServeCodes::Auto => !is_closed,
            ServeCodes::Always => true,
            ServeCodes::Never => false,
        }
    }
}

impl FromStr for ServeCodes {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<ServeCodes, ValueError> {
        match text.trim() {
            "auto" => Ok(ServeCodes::Auto),
            "always" => Ok(ServeCodes::Always),
            "never" => Ok(ServeCodes::Never),
            _ => Err(ValueError::NotWhenCodes(text.to_owned())),
        }
    }
}

/// `auto`, `always` or `never`.
impl fmt::Display for ServeCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ServeCodes::Auto => "auto",
            ServeCodes::Always => "always",
            ServeCodes::Never => "never",
        })
    }
}

written_as_text!(ServeCodes, "\"auto\", \"always\" or \"never\"");
