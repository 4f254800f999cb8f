//! A settings file that is being read: where a value stands, and which error names it.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::ConfigError;
use crate::setting::Setting;

/// A struct of settings: the root of a file or one of its tables.
pub(crate) trait Table: Default {
    /// Reads what the file says over the defaults. `path` names the table (`download.`; empty for the root).
    fn read(document: &Document<'_>, path: &str, entries: DeTable<'_>) -> Result<Self, ConfigError>;

    /// Adds its keys and tables, with the names of their tables, in the order of the file.
    fn list_keys(path: &str, keys: &mut Vec<String>);

    /// Adds its annotated defaults as TOML.
    fn annotate(path: &str, toml: &mut String);
}

/// How similar a written key and a known one must be for the known one to be suggested; 1 is the same.
const MIN_SIMILARITY: f64 = 0.5;

/// The text of a file and the keys that it may have.
pub(crate) struct Document<'t> {
    text: &'t str,
    keys: Vec<String>,
}

/// Where one key of the file stands.
pub(crate) struct Place<'d> {
    document: &'d Document<'d>,
    /// The key with the names of its tables.
    key: String,
    /// Where the key's own name starts in `key`, behind the names of its tables.
    name_start: usize,
    line: usize,
}

/// Reads a whole file.
pub(crate) fn read<T: Table>(text: &str) -> Result<T, ConfigError> {
    let mut keys = Vec::new();
    T::list_keys("", &mut keys);
    let document = Document { text, keys };
    let root = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        line: document.line(error.span().map_or(text.len(), |span| span.start)),
        message: on_one_line(error.message()),
    })?;
    T::read(&document, "", root.into_inner())
}

impl Document<'_> {
    /// The entries of a table in the order of the file, so that the first mistake is the one that is reported.
    pub(crate) fn entries<'v>(
        &self,
        path: &str,
        entries: DeTable<'v>,
    ) -> Vec<(Place<'_>, Spanned<DeValue<'v>>)> {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let place = |key: &Spanned<_>| Place {
            document: self,
            key: format!("{path}{}", key.get_ref()),
            name_start: path.len(),
            line: self.line(key.span().start),
        };
        entries.into_iter().map(|(key, value)| (place(&key), value)).collect()
    }

    /// The line, counted from 1, on which this byte is.
    fn line(&self, byte: usize) -> usize {
        1 + self.text.bytes().take(byte).filter(|c| *c == b'\n').count()
    }

    /// The known key that is most similar to this one. Its own name counts more than the names of its tables.
    fn nearest(&self, unknown: &str) -> Option<&String> {
        let similarity = |known: &str| {
            let named = strsim::normalized_damerau_levenshtein(last_part(known), last_part(unknown));
            let whole = strsim::normalized_damerau_levenshtein(known, unknown);
            0.6 * named + 0.4 * whole
        };
        let scored = self
            .keys
            .iter()
            .map(|known| (similarity(known), known))
            .filter(|(score, _)| *score > MIN_SIMILARITY);
        scored.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
    }
}

impl Place<'_> {
    /// The key without its tables.
    pub(crate) fn name(&self) -> &str {
        &self.key[self.name_start..]
    }

    /// Reads the value that stands here.
    pub(crate) fn value<T: Setting>(&self, value: Spanned<DeValue<'_>>) -> Result<T, ConfigError> {
        T::from_value(value).map_err(|message| self.refuse(&message))
    }

    /// Refuses a value out of its range.
    pub(crate) fn within<T>(&self, value: &T, range: &RangeInclusive<T>) -> Result<(), ConfigError>
    where
        T: Setting + PartialOrd,
    {
        if range.contains(value) {
            return Ok(());
        }
        let text = |value: &T| value.to_toml().unwrap_or_default();
        let (from, to) = (text(range.start()), text(range.end()));
        Err(self.refuse(&format!("must be from {from} to {to}, not {}", text(value))))
    }

    /// Reads the table that stands here.
    pub(crate) fn table<T: Table>(&self, value: Spanned<DeValue<'_>>) -> Result<T, ConfigError> {
        match value.into_inner() {
            DeValue::Table(entries) => T::read(self.document, &format!("{}.", self.key), entries),
            other => {
                Err(self.refuse(&format!("is a table, [{}], and not of type {}", self.key, other.type_str())))
            }
        }
    }

    /// The error for a key that is not known.
    pub(crate) fn unknown(&self) -> ConfigError {
        let nearest = self.document.nearest(&self.key).cloned();
        ConfigError::UnknownKey { line: self.line, key: on_one_line(&self.key), nearest }
    }

    fn refuse(&self, message: &str) -> ConfigError {
        ConfigError::Value { line: self.line, key: self.key.clone(), message: on_one_line(message) }
    }
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// `text` on one line: a file may hold anything, and an error message must not steer a terminal.
fn on_one_line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
