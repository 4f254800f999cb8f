//! How often something is said.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::ValueError;
use crate::period::Period;
use crate::setting::written_as_text;

/// What is said more often than this is read by nobody.
const MIN: Duration = Duration::from_millis(100);

/// A length of time after which something is said again, at least 100 ms, or `none`: it is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Interval(Option<Duration>);

impl Interval {
    /// Never.
    pub const NONE: Interval = Interval(None);

    /// Every so many seconds.
    ///
    /// # Panics
    /// When that is 0.
    pub const fn seconds(seconds: u64) -> Interval {
        assert!(seconds > 0, "never is Interval::NONE");
        Interval(Some(Duration::from_secs(seconds)))
    }

    /// The time from one to the next; `None` is never.
    pub const fn period(self) -> Option<Duration> {
        self.0
    }
}

impl FromStr for Interval {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Interval, ValueError> {
        if text.trim().eq_ignore_ascii_case("none") {
            return Ok(Interval::NONE);
        }
        let Period(period) = text.parse().map_err(|error| match error {
            ValueError::NotADuration(text) => ValueError::NotAnInterval(text),
            other => other,
        })?;
        if period < MIN {
            Err(ValueError::ShortInterval(text.to_owned()))
        } else {
            Ok(Interval(Some(period)))
        }
    }
}

/// `none`, or as `10s`, which reads back as the same interval.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.pad("none"),
            Some(period) => Period(period).fmt(f),
        }
    }
}

written_as_text!(Interval, "a duration such as \"10s\", or \"none\"");
