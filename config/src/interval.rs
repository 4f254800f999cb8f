//! How often something is reported.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::ValueError;
use crate::period::Period;
use crate::text_setting::written_as_text;

/// The shortest interval: nobody reads what is reported more often.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The time after which something is reported again, at least 100 ms, or `none` when it is not reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Interval(Option<Duration>);

impl Interval {
    /// It is never reported.
    pub const NONE: Interval = Interval(None);

    /// It is reported every so many seconds.
    ///
    /// # Panics
    /// When `seconds` is 0.
    pub const fn seconds(seconds: u64) -> Interval {
        assert!(seconds > 0, "never is Interval::NONE");
        Interval(Some(Duration::from_secs(seconds)))
    }

    /// The time from one report to the next; `None` is never.
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
        if period < MIN_INTERVAL {
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
