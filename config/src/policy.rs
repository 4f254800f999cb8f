//! Whom a node serves when there are more downloaders than upload slots.

use std::fmt;
use std::str::FromStr;

use crate::error::ValueError;
use crate::text_setting::written_as_text;

/// How the upload slots of a content are given to downloaders that wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UploadPolicy {
    /// Downloaders that gave most are served, and one by lot (the choking of BEP 3).
    #[default]
    TitForTat,
    /// Each downloader is served in turn.
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
