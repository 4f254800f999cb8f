//! Whether datagrams are sealed.

use std::fmt;
use std::str::FromStr;

use crate::error::ValueError;
use crate::text_setting::written_as_text;

/// Whether datagrams are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encryption {
    /// Nothing is said or heard in the clear.
    #[default]
    Always,
    /// Sealed with whoever can; who does not answer a handshake is spoken to in the clear, and that is shown.
    Prefer,
    /// Everything is in the clear.
    Never,
}

impl Encryption {
    /// Why this cannot be said together with a closed swarm's secret; `None`: it can.
    #[must_use]
    pub fn contradicts_secret(self) -> Option<String> {
        (self != Encryption::Always).then(|| {
            format!("\"{self}\" contradicts a secret or a list of members: in a closed swarm everything is sealed; leave out one of the two")
        })
    }
}

impl FromStr for Encryption {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Encryption, ValueError> {
        match text.trim() {
            "always" => Ok(Encryption::Always),
            "prefer" => Ok(Encryption::Prefer),
            "never" => Ok(Encryption::Never),
            _ => Err(ValueError::NotAnEncryption(text.to_owned())),
        }
    }
}

/// `always`, `prefer` or `never`.
impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Encryption::Always => "always",
            Encryption::Prefer => "prefer",
            Encryption::Never => "never",
        })
    }
}

written_as_text!(Encryption, "\"always\", \"prefer\" or \"never\"");
