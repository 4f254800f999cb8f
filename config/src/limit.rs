//! Limits of how fast.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use crate::error::ValueError;
use crate::setting::written_as_text;
use crate::size::ByteSize;

/// The most bytes a second, or no limit: `none`, `10MiB`, `10MiB/s`. Never 0, which would stop every transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Limit(Option<NonZeroU64>);

impl Limit {
    /// As fast as it goes.
    pub const NONE: Limit = Limit(None);

    /// At most this many bytes a second.
    pub const fn bytes_per_second(rate: NonZeroU64) -> Limit {
        Limit(Some(rate))
    }

    /// The most bytes a second; `None` is no limit.
    pub const fn rate(self) -> Option<NonZeroU64> {
        self.0
    }
}

impl FromStr for Limit {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Limit, ValueError> {
        let trimmed = text.trim();
        if trimmed.eq_ignore_ascii_case("none") {
            return Ok(Limit::NONE);
        }
        let size = trimmed.strip_suffix("/s").unwrap_or(trimmed);
        let size: ByteSize = size.parse().map_err(|error| match error {
            ValueError::TooLarge(_) => ValueError::TooLarge(text.to_owned()),
            _ => ValueError::NotALimit(text.to_owned()),
        })?;
        NonZeroU64::new(size.as_u64()).map(Limit::bytes_per_second).ok_or(ValueError::ZeroLimit)
    }
}

/// `none`, or as `10MiB/s`, which reads back as the same limit.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.pad("none"),
            Some(rate) => f.pad(&format!("{}/s", ByteSize::bytes(rate.get()))),
        }
    }
}

written_as_text!(Limit, "a limit such as \"10MiB\" (a second) or \"none\"");
