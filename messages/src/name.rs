//! What people call a content.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hidden::{first_hidden, is_blank};
use crate::id::ContentId;
use crate::limits::{MAX_DIGITS, MAX_NAME, MIN_DIGITS};

/// Why some text cannot be the name of a file on every system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No text, `.` or `..`.
    #[error("a name cannot be empty, \".\" or \"..\"")]
    Empty,
    /// More than [`MAX_NAME`] bytes.
    #[error("a name has at most {MAX_NAME} bytes")]
    TooLong,
    /// `/`, `\`, `:` with a drive letter, NUL or another control character.
    #[error("a name has no path separators and no control characters")]
    Forbidden,
    /// A character that nobody sees, or that turns the direction of writing.
    #[error("a name has nothing in it that is not seen or turns the direction of writing, such as this one's {}", .0.escape_unicode())]
    Hidden(char),
    /// A dot or a space at the end, which Windows drops; or any other blank, which nobody sees there.
    #[error("a name does not end with a dot or a space")]
    Trailing,
    /// `CON`, `NUL`, `COM1` and the like, with any ending.
    #[error("this name is a device on Windows")]
    Device,
}

/// One path component that is harmless on every common system and looks like what it is: the label under which a
/// content is shared.
///
/// Nothing in it is invisible or turns the direction of writing; the joiners of Persian, of Indic scripts and of emoji
/// are allowed where they do their work.
///
/// Characters that Windows merely refuses in a file's name (`? * < > | "`, and `:` behind more than one letter) are
/// allowed, as they are common elsewhere: there the file cannot be created, which is an error like any other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name `text`.
    ///
    /// # Errors
    /// When it could mean anything but one file in one folder.
    pub fn new(text: &str) -> Result<Name, NameError> {
        if matches!(text, "" | "." | "..") {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        if text.chars().any(|c| c == '/' || c == '\\' || c.is_control()) || is_drive(text) {
            return Err(NameError::Forbidden);
        }
        if let Some(hidden) = first_hidden(text) {
            return Err(NameError::Hidden(hidden));
        }
        if text.ends_with('.') || text.ends_with(is_blank) {
            return Err(NameError::Trailing);
        }
        if is_windows_device(text) {
            return Err(NameError::Device);
        }
        Ok(Name(text.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `C:` and `C:rest` name a drive on Windows.
fn is_drive(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [letter, b':', ..] if letter.is_ascii_alphabetic())
}

fn is_windows_device(text: &str) -> bool {
    let stem = text.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" => true,
        _ => {
            let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
            // Windows takes the superscript digits of Latin-1 for digits here.
            numbered.is_some_and(|digit| {
                let mut digits = digit.chars();
                matches!(digits.next(), Some('1'..='9' | '¹' | '²' | '³')) && digits.next().is_none()
            })
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::new(text)
    }
}

/// What a name starts with: any text of at most [`MAX_NAME`] bytes, the empty one included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// The prefix `text`.
    ///
    /// # Errors
    /// When no name could start with it, because it is too long.
    pub fn new(text: &str) -> Result<Prefix, NameError> {
        if text.len() > MAX_NAME { Err(NameError::TooLong) } else { Ok(Prefix(text.to_owned())) }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The beginning of a [`ContentId`] as a person writes it: [`MIN_DIGITS`] to [`MAX_DIGITS`] hexadecimal digits. It may
/// be a name as well, so upper and lower case are kept; for the id they are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits(String);

/// Some text that is not the beginning of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the beginning of an id is {MIN_DIGITS} to {MAX_DIGITS} hexadecimal digits")]
pub struct DigitsError;

impl Digits {
    /// The beginning `text` of an id.
    ///
    /// # Errors
    /// When it is too short or too long, or has anything but hexadecimal digits.
    pub fn new(text: &str) -> Result<Digits, DigitsError> {
        let fits = (MIN_DIGITS..=MAX_DIGITS).contains(&text.len());
        let are_digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if fits && are_digits { Ok(Digits(text.to_owned())) } else { Err(DigitsError) }
    }

    /// Its text, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `content` begins so.
    #[must_use]
    pub fn begin(&self, content: ContentId) -> bool {
        let (first, last) = self.span();
        (first..=last).contains(&content)
    }

    /// The first and the last of the ids that begin so.
    #[must_use]
    pub fn span(&self) -> (ContentId, ContentId) {
        let (mut first, mut last) = ([0; 32], [0xff; 32]);
        for (index, digit) in self.0.chars().filter_map(|digit| digit.to_digit(16)).enumerate() {
            let (digit, is_high) = (digit as u8, index.is_multiple_of(2));
            let (shift, other) = if is_high { (4, 0x0f) } else { (0, 0xf0) };
            if let (Some(low), Some(high)) = (first.get_mut(index / 2), last.get_mut(index / 2)) {
                *low |= digit << shift;
                *high = (*high & other) | (digit << shift);
            }
        }
        (ContentId::from_bytes(first), ContentId::from_bytes(last))
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_text(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digits, D::Error> {
        Digits::new(&deserialize_text(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_text(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        Name::new(&deserialize_text(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_text(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Prefix, D::Error> {
        deserialize_text(deserializer).map(Prefix)
    }
}

const _: () = assert!(MAX_NAME <= u8::MAX as usize, "the length of a text is one byte");

fn serialize_text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(text.len() + 1)?;
    tuple.serialize_element(&(text.len() as u8))?;
    text.bytes().try_for_each(|byte| tuple.serialize_element(&byte))?;
    tuple.end()
}

fn deserialize_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Text;

    impl<'de> Visitor<'de> for Text {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a length and that many bytes of UTF-8")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<String, A::Error> {
            let length: u8 = seq.next_element()?.ok_or_else(|| A::Error::custom("no length"))?;
            let mut bytes = Vec::new();
            for _ in 0..length {
                bytes.push(seq.next_element()?.ok_or_else(|| A::Error::custom("cut short"))?);
            }
            String::from_utf8(bytes).map_err(A::Error::custom)
        }
    }

    deserializer.deserialize_tuple(MAX_NAME + 1, Text)
}
