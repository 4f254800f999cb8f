//! Limits of rates.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use crate::decimal::{Decimal, DecimalError};
use crate::error::ValueError;
use crate::size::ByteSize;
use crate::text_setting::written_as_text;

/// The most bytes a second, or no limit: `none`, `10MiB`, `10M/s`, `80Mbit`. Never 0, which would stop every transfer.
///
/// Bytes are written as a [`ByteSize`], and bits as networks count them, in 1000: `Mbit` and `mbps` are 125,000 bytes a
/// second, while `MBps` with its large `B` is bytes. A small number without a unit is refused, since nobody means ten
/// bytes a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Limit(Option<NonZeroU64>);

/// The smallest number that is read without a unit: a smaller one is a slip.
const MIN_BARE: u64 = 1000;
/// The prefixes of `bit` and `bps`, and how many bits each stands for.
const BITS: [(&str, u64); 4] = [("", 1), ("k", 1_000), ("m", 1_000_000), ("g", 1_000_000_000)];

/// Units that mean bits to some people and bytes to others.
const BITS_OR_BYTES: [&str; 6] = ["kb", "Kb", "mb", "Mb", "gb", "Gb"];

impl Limit {
    /// No limit.
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
        let amount = trimmed.strip_suffix("/s").unwrap_or(trimmed).trim_end();
        if let Some(number) = BITS_OR_BYTES.iter().find_map(|unit| amount.strip_suffix(unit)) {
            let unit = amount[number.len()..].trim_end_matches('b').to_owned();
            let (text, number) = (amount.to_owned(), number.trim_end().to_owned());
            return Err(ValueError::BitsOrBytes { text, number, unit });
        }
        let refuse = |error| match error {
            ValueError::TooLarge(_) => ValueError::TooLarge(text.to_owned()),
            _ => ValueError::NotALimit(text.to_owned()),
        };
        let rate = match bits(amount) {
            Some(bits) => bits.map_err(refuse)? / 8,
            None => {
                // `MBps` is `MB/s`.
                let bytes = amount.strip_suffix("ps").filter(|amount| amount.ends_with('B'));
                bytes.unwrap_or(amount).parse::<ByteSize>().map_err(refuse)?.as_u64()
            }
        };
        let rate = NonZeroU64::new(rate).ok_or(ValueError::ZeroLimit)?;
        if rate.get() < MIN_BARE && amount.ends_with(|c: char| c.is_ascii_digit()) {
            return Err(ValueError::TinyLimit(amount.to_owned()));
        }
        Ok(Limit::bytes_per_second(rate))
    }
}

/// The bits of `amount`, if it is written in bits: `80Mbit`, `80mbps`.
fn bits(amount: &str) -> Option<Result<u64, ValueError>> {
    let too_large = || ValueError::TooLarge(amount.to_owned());
    let (number, unit) = match Decimal::split(amount) {
        Ok((number, unit)) => (number, unit.trim_start()),
        Err(DecimalError::TooLarge) => return Some(Err(too_large())),
        Err(DecimalError::Missing) => return None,
    };
    let unit = unit.strip_suffix("bits").map_or(unit, |prefix| &unit[..prefix.len() + "bit".len()]);
    let prefix = ["bit", "Bit", "bps"].iter().find_map(|bits| unit.strip_suffix(bits))?;
    let (_, factor) = BITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(prefix))?;
    Some(number.times(*factor).map_err(|_| too_large()))
}

/// `none`, or as `10MiB/s`, which reads back as the same limit.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.pad("none"),
            Some(rate) => {
                // Small numbers are read only with a unit.
                let unit = if rate.get() < MIN_BARE { "B" } else { "" };
                f.pad(&format!("{}{unit}/s", ByteSize::bytes(rate.get())))
            }
        }
    }
}

written_as_text!(Limit, "a limit such as \"10MiB\" (a second), \"80Mbit\" or \"none\"");
