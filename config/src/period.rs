//! Lengths of time. Settings hold `std::time::Duration`; a [`Period`] is the form in which a duration is written and
//! read.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::decimal::{Decimal, DecimalError};
use crate::error::ValueError;
use crate::text_setting::written_as_text;

/// A length of time as text: `20s`, `250ms`, `2m`, `1h30m`. The unit is required, except for `0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Period(pub Duration);

/// The longest duration that is read from text: ten years, so that no instant overflows to which a program adds it.
pub const MAX_PERIOD: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The units and their nanoseconds, the longest first: the order in which they are written.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl From<Period> for Duration {
    fn from(period: Period) -> Duration {
        period.0
    }
}

impl From<Duration> for Period {
    fn from(duration: Duration) -> Period {
        Period(duration)
    }
}

impl FromStr for Period {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Period, ValueError> {
        let refuse = |error| match error {
            DecimalError::Missing => ValueError::NotADuration(text.to_owned()),
            DecimalError::TooLarge => ValueError::TooLarge(text.to_owned()),
        };
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Period(Duration::ZERO));
        }
        let mut units = UNITS.iter();
        let mut total = Duration::ZERO;
        loop {
            let (number, after_number) = Decimal::split(rest).map_err(refuse)?;
            let after_number = after_number.trim_start();
            if after_number.is_empty() {
                return Err(ValueError::NoUnit(text.trim().to_owned()));
            }
            let end = after_number.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after_number.len());
            // The search goes on behind the last unit, so that `1s2s` and `30m1h` are refused, which are slips.
            let unit = units.find(|(name, _)| *name == &after_number[..end]);
            let (_, nanoseconds) = unit.ok_or_else(|| ValueError::NotADuration(text.to_owned()))?;
            let part = Duration::from_nanos(number.times(*nanoseconds).map_err(refuse)?);
            total = total.saturating_add(part);
            if total > MAX_PERIOD {
                return Err(ValueError::TooLarge(text.to_owned()));
            }
            rest = after_number[end..].trim_start();
            if rest.is_empty() {
                return Ok(Period(total));
            }
        }
    }
}

/// Exact, the largest units first: `1h30m`. It reads back as the same length of time up to [`MAX_PERIOD`].
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_nanos();
        let mut text = String::new();
        for (name, nanoseconds) in UNITS {
            let count = left / u128::from(nanoseconds);
            left %= u128::from(nanoseconds);
            if count > 0 {
                text.push_str(&format!("{count}{name}"));
            }
        }
        f.pad(if text.is_empty() { "0s" } else { &text })
    }
}

written_as_text!(Period, "a duration such as \"20s\"");
