//! Writes a description.

use std::fmt::Display;

use messages::collection::Modified;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::{FileDescription, MAX_METAINFO, Metainfo, MetainfoError, Pieces, SCHEMA};

/// Writes what it holds as JSON.
struct Written<T>(T);

/// Bytes in hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A list of what is written as text.
struct Texts<I>(I);

impl<I: Iterator<Item: Display> + Clone> Serialize for Texts<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Text<T>(T);
        impl<T: Display> Serialize for Text<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }
        serializer.collect_seq(self.0.clone().map(Text))
    }
}

impl Serialize for Written<&Pieces> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(values) = &self.0.blake3 {
            map.serialize_entry("blake3", &Texts(values.iter().map(|value| Hex(value))))?;
        }
        if let Some(values) = &self.0.sha1 {
            map.serialize_entry("sha1", &Texts(values.iter().map(|value| Hex(value))))?;
        }
        self.0.unknown.write(&mut map)?;
        map.end()
    }
}

impl Serialize for Written<Modified> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("seconds", &self.0.seconds)?;
        map.serialize_entry("nanos", &self.0.nanos)?;
        map.end()
    }
}

impl Serialize for Written<&FileDescription> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (file, entry) = (self.0, self.0.entry());
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("path", file.path().as_str())?;
        map.serialize_entry("length", &entry.length)?;
        map.serialize_entry("blake3", &Hex(&entry.hash).to_string())?;
        map.serialize_entry("executable", &entry.is_executable)?;
        if let Some(modified) = file.modified() {
            map.serialize_entry("modified", &Written(modified))?;
        }
        file.unknown.write(&mut map)?;
        map.end()
    }
}

impl Serialize for Written<&Metainfo> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let metainfo = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("riffle", &SCHEMA)?;
        if let Some(name) = &metainfo.name {
            map.serialize_entry("name", name.as_str())?;
        }
        map.serialize_entry("length", &metainfo.length())?;
        map.serialize_entry("id", &metainfo.id)?;
        map.serialize_entry("piece_length", &metainfo.layout.piece_size())?;
        if metainfo.pieces != Pieces::default() {
            map.serialize_entry("pieces", &Written(&metainfo.pieces))?;
        }
        if let Some(files) = &metainfo.files {
            map.serialize_entry("files", &files.iter().map(Written).collect::<Vec<_>>())?;
        }
        if !metainfo.trackers.is_empty() {
            map.serialize_entry("trackers", &Texts(metainfo.trackers.iter()))?;
        }
        metainfo.unknown.write(&mut map)?;
        map.end()
    }
}

pub(super) fn to_json(metainfo: &Metainfo) -> Result<String, MetainfoError> {
    let text = serde_json::to_string_pretty(&Written(metainfo));
    let mut text = text.expect("every key is a text, and nothing in memory fails to be read");
    text.push('\n');
    if text.len() > MAX_METAINFO {
        return Err(MetainfoError::TooLong);
    }
    Ok(text)
}
