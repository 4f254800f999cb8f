//! How the type of a setting is read from a TOML value and written as one.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

use crate::period::Period;

/// A type that a setting can have.
pub(crate) trait Setting: Sized {
    /// Reads a value; the error says what is wrong with the value, and not where it stands.
    fn from_value(value: Spanned<DeValue<'_>>) -> Result<Self, String>;

    /// The value as TOML; `None` when it is not set.
    fn to_toml(&self) -> Option<String>;
}

/// Reads a value by its `Deserialize`.
pub(crate) fn deserialize<'v, T: Deserialize<'v>>(value: Spanned<DeValue<'v>>) -> Result<T, String> {
    T::deserialize(ValueDeserializer::from(value)).map_err(|error| error.message().to_owned())
}

/// A TOML string, quoted and escaped.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Visits a string, or a plain number, for a type that is read from text.
pub(crate) struct Written<T> {
    wanted: &'static str,
    kind: PhantomData<T>,
}

impl<T> Written<T> {
    /// `wanted` is the noun phrase that a person reads after "expected".
    pub(crate) fn new(wanted: &'static str) -> Written<T> {
        Written { wanted, kind: PhantomData }
    }
}

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

/// A whole number that fits its type, as `WANTED` says in words.
struct Whole<T>(T);

macro_rules! whole_number {
    ($kind:ty, $wanted:literal) => {
        impl<'de> Deserialize<'de> for Whole<$kind> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Digits;
                impl Visitor<'_> for Digits {
                    type Value = Whole<$kind>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($wanted)
                    }

                    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                        let refuse = |_| E::custom(format_args!("must be {}, not {number}", $wanted));
                        <$kind>::try_from(number).map(Whole).map_err(refuse)
                    }
                }
                deserializer.deserialize_i64(Digits)
            }
        }

        impl Setting for $kind {
            fn from_value(value: Spanned<DeValue<'_>>) -> Result<$kind, String> {
                deserialize(value).map(|Whole(number)| number)
            }

            fn to_toml(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    };
}
whole_number!(u8, "a whole number from 0 to 255");
whole_number!(u16, "a whole number from 0 to 65535");
whole_number!(u32, "a whole number from 0 to 4294967295");

impl Setting for bool {
    fn from_value(value: Spanned<DeValue<'_>>) -> Result<bool, String> {
        deserialize(value)
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for Duration {
    fn from_value(value: Spanned<DeValue<'_>>) -> Result<Duration, String> {
        deserialize(value).map(|Period(duration)| duration)
    }

    fn to_toml(&self) -> Option<String> {
        Period(*self).to_toml()
    }
}

/// A list of waits, none of which may be zero.
impl Setting for Vec<Duration> {
    fn from_value(value: Spanned<DeValue<'_>>) -> Result<Vec<Duration>, String> {
        let periods: Vec<Period> = deserialize(value)?;
        if periods.contains(&Period(Duration::ZERO)) {
            return Err("must not contain a duration of 0".to_owned());
        }
        Ok(periods.into_iter().map(Duration::from).collect())
    }

    fn to_toml(&self) -> Option<String> {
        let periods: Vec<String> = self.iter().filter_map(Duration::to_toml).collect();
        Some(format!("[{}]", periods.join(", ")))
    }
}

impl Setting for String {
    fn from_value(value: Spanned<DeValue<'_>>) -> Result<String, String> {
        let text: String = deserialize(value)?;
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text) }
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Setting for PathBuf {
    fn from_value(value: Spanned<DeValue<'_>>) -> Result<PathBuf, String> {
        String::from_value(value).map(PathBuf::from)
    }

    /// A path as text. Defaults come from text, so every one of them can be written.
    fn to_toml(&self) -> Option<String> {
        self.to_str().map(quoted)
    }
}

impl<T: Setting> Setting for Option<T> {
    fn from_value(value: Spanned<DeValue<'_>>) -> Result<Option<T>, String> {
        T::from_value(value).map(Some)
    }

    fn to_toml(&self) -> Option<String> {
        self.as_ref().and_then(T::to_toml)
    }
}
