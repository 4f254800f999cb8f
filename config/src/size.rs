//! Numbers of bytes.

use std::fmt;
use std::str::FromStr;

use crate::decimal::{Decimal, DecimalError};
use crate::error::ValueError;
use crate::text_setting::written_as_text;

/// A number of bytes: `64MiB`, `10 MB`, `1.5GiB`, `512`. Units ignore case; a fraction is rounded down to whole bytes.
///
/// `KiB` counts in 1024 and `kB` in 1000 (IEC 80000-13). A letter alone counts in 1024, as `curl --limit-rate` and
/// `rsync --bwlimit` read it (curl(1), rsync(1)): `10M` is `10MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(u64);

/// The units, in the order in which one of equally short ones is preferred for display.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Units of one letter, which are read and never written.
const LETTERS: [(&str, u64); 4] = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];

impl ByteSize {
    /// The largest size.
    pub const MAX: ByteSize = ByteSize(u64::MAX);

    /// This many bytes.
    pub const fn bytes(bytes: u64) -> ByteSize {
        ByteSize(bytes)
    }

    /// This many times 1024 bytes.
    pub const fn kib(kib: u32) -> ByteSize {
        ByteSize((kib as u64) << 10)
    }

    /// This many times 1024² bytes.
    pub const fn mib(mib: u32) -> ByteSize {
        ByteSize((mib as u64) << 20)
    }

    /// This many times 1024³ bytes.
    pub const fn gib(gib: u32) -> ByteSize {
        ByteSize((gib as u64) << 30)
    }

    /// The number of bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory, or the most that this machine can address.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// The size in this unit with at most three decimals, if that is exact.
    fn counted_in(self, (name, unit): (&str, u64)) -> Option<String> {
        let thousandths = u128::from(self.0) * 1000;
        if self.0 < unit || thousandths % u128::from(unit) != 0 {
            return None;
        }
        let thousandths = thousandths / u128::from(unit);
        let number = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        let number = number.trim_end_matches('0').trim_end_matches('.');
        Some(if unit == 1 { number.to_owned() } else { format!("{number}{name}") })
    }
}

impl FromStr for ByteSize {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<ByteSize, ValueError> {
        let refuse = |error| match error {
            DecimalError::Missing => ValueError::NotASize(text.to_owned()),
            DecimalError::TooLarge => ValueError::TooLarge(text.to_owned()),
        };
        let (number, unit) = Decimal::split(text.trim()).map_err(refuse)?;
        let unit = match unit.trim_start() {
            "" => "B",
            unit => unit,
        };
        let known = UNITS.iter().chain(&LETTERS).find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let (_, factor) = known.ok_or_else(|| ValueError::NotASize(text.to_owned()))?;
        number.times(*factor).map(ByteSize).map_err(refuse)
    }
}

/// The shortest exact form, which reads back as the same size.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shortest = UNITS.iter().filter_map(|unit| self.counted_in(*unit)).min_by_key(String::len);
        f.pad(shortest.as_deref().unwrap_or("0"))
    }
}

written_as_text!(ByteSize, "a size such as \"64MiB\"");
