//! Whom a node gives to, when more want something than it serves at once.

use std::fmt;
use std::str::FromStr;

use crate::error::ValueError;
use crate::setting::written_as_text;

/// How the places of a content are given to those who wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UploadPolicy {
    /// To those who gave most, and one by lot (BEP 3's choking).
    #[default]
    TitForTat,
    /// To each in turn.
    Fair,
}

impl FromStr for UploadPolicy {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<UploadPolicy, ValueError> {
        match text.trim() {
            "tit-for-tat" => Ok(UploadPolicy::TitForTat),
            "fair" => Ok(UploadPolicy::Fair),
            _ => Err(ValueError::NotAPolicy(text.to_owned())),
        }
    }
}

/// `tit-for-tat` or `fair`.
impl fmt::Display for UploadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            UploadPolicy::TitForTat => "tit-for-tat",
            UploadPolicy::Fair => "fair",
        })
    }
}

written_as_text!(UploadPolicy, "\"tit-for-tat\" or \"fair\"");
