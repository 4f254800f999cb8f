//! Reads a description.

use std::str::FromStr;

use config::TrackerAddress;
use messages::collection::{EntryPath, FileEntry, Modified, PathError};
use messages::limits::{MAX_ENTRIES, MAX_PIECES};
use messages::{ContentId, Name};
use serde::de::{Error as _, MapAccess};

use super::object::{AtMost, Object, Read, Text, Unknown, put};
use super::{FileDescription, MAX_METAINFO, MAX_TRACKERS, Metainfo, MetainfoError, Pieces, SCHEMA};

/// A value of `N` bytes, written in hexadecimal digits.
struct Hex<const N: usize>([u8; N]);

impl<const N: usize> FromStr for Hex<N> {
    type Err = String;

    fn from_str(text: &str) -> Result<Hex<N>, String> {
        let wrong = || format!("{} hexadecimal digits are expected", 2 * N);
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(wrong()) };
        let mut bytes = [0; N];
        if pairs.len() != N {
            return Err(wrong());
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digit = |ascii: u8| char::from(ascii).to_digit(16).ok_or_else(wrong);
            *byte = (digit(*high)? * 16 + digit(*low)?) as u8;
        }
        Ok(Hex(bytes))
    }
}

/// A path in a folder.
struct PathText(EntryPath);

impl FromStr for PathText {
    type Err = PathError;

    fn from_str(text: &str) -> Result<PathText, PathError> {
        EntryPath::new(text).map(PathText)
    }
}

type Values<const N: usize> = AtMost<Text<Hex<N>>, { MAX_PIECES as usize }>;

fn bytes<const N: usize>(values: Values<N>) -> Vec<[u8; N]> {
    values.0.into_iter().map(|Text(Hex(bytes))| bytes).collect()
}

#[derive(Default)]
struct PiecesFields {
    blake3: Option<Values<32>>,
    sha1: Option<Values<20>>,
    unknown: Unknown,
}

impl Object for PiecesFields {
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "blake3" => put(&mut self.blake3, map),
            "sha1" => put(&mut self.sha1, map),
            _ => Ok(false),
        }
    }

    fn unknown(&mut self) -> &mut Unknown {
        &mut self.unknown
    }
}

#[derive(Default)]
struct ModifiedFields {
    seconds: Option<i64>,
    nanos: Option<u32>,
}

impl Object for ModifiedFields {
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "seconds" => put(&mut self.seconds, map),
            "nanos" => put(&mut self.nanos, map),
            _ => Err(A::Error::custom("a time has seconds and nanos, and nothing else")),
        }
    }

    fn unknown(&mut self) -> &mut Unknown {
        unreachable!("`read` refuses every field that is not known")
    }
}

impl ModifiedFields {
    fn into_modified(self) -> Result<Modified, MetainfoError> {
        let seconds = self.seconds.ok_or(MetainfoError::Missing("files: modified: seconds"))?;
        let nanos = self.nanos.unwrap_or(0);
        if nanos >= 1_000_000_000 {
            return Err(MetainfoError::Json("files: modified: nanos: fewer than a second has".to_owned()));
        }
        Ok(Modified { seconds, nanos })
    }
}

#[derive(Default)]
struct FileFields {
    path: Option<Text<PathText>>,
    length: Option<u64>,
    blake3: Option<Text<Hex<32>>>,
    executable: Option<bool>,
    modified: Option<Read<ModifiedFields>>,
    unknown: Unknown,
}

impl Object for FileFields {
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "path" => put(&mut self.path, map),
            "length" => put(&mut self.length, map),
            "blake3" => put(&mut self.blake3, map),
            "executable" => put(&mut self.executable, map),
            "modified" => put(&mut self.modified, map),
            _ => Ok(false),
        }
    }

    fn unknown(&mut self) -> &mut Unknown {
        &mut self.unknown
    }
}

impl FileFields {
    fn into_file(self) -> Result<FileDescription, MetainfoError> {
        let missing = MetainfoError::Missing;
        let entry = FileEntry {
            length: self.length.ok_or(missing("files: length"))?,
            hash: self.blake3.ok_or(missing("files: blake3"))?.0.0,
            is_executable: self.executable.unwrap_or(false),
            modified: self.modified.map(|read| read.0.into_modified()).transpose()?,
        };
        let Text(PathText(path)) = self.path.ok_or(missing("files: path"))?;
        Ok(FileDescription { path, entry, unknown: self.unknown })
    }
}

#[derive(Default)]
struct MetainfoFields {
    riffle: Option<u64>,
    name: Option<Text<Name>>,
    length: Option<u64>,
    id: Option<Text<ContentId>>,
    piece_length: Option<u64>,
    pieces: Option<Read<PiecesFields>>,
    files: Option<AtMost<Read<FileFields>, MAX_ENTRIES>>,
    trackers: Option<AtMost<Text<TrackerAddress>, MAX_TRACKERS>>,
    unknown: Unknown,
}

impl Object for MetainfoFields {
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "riffle" => put(&mut self.riffle, map),
            "name" => put(&mut self.name, map),
            "length" => put(&mut self.length, map),
            "id" => put(&mut self.id, map),
            "piece_length" => put(&mut self.piece_length, map),
            "pieces" => put(&mut self.pieces, map),
            "files" => put(&mut self.files, map),
            "trackers" => put(&mut self.trackers, map),
            _ => Ok(false),
        }
    }

    fn unknown(&mut self) -> &mut Unknown {
        &mut self.unknown
    }
}

pub(super) fn parse(text: &[u8]) -> Result<Metainfo, MetainfoError> {
    if text.len() > MAX_METAINFO {
        return Err(MetainfoError::TooLong);
    }
    let read = serde_json::from_slice::<Read<MetainfoFields>>(text);
    let Read(fields) = read.map_err(|error| MetainfoError::Json(error.to_string()))?;
    let missing = MetainfoError::Missing;
    let version = fields.riffle.ok_or(missing("riffle"))?;
    if version != SCHEMA {
        return Err(MetainfoError::Version(version));
    }
    let length = fields.length.ok_or(missing("length"))?;
    let mut metainfo = Metainfo::new(fields.id.ok_or(missing("id"))?.0, length)?;
    let (expected, found) =
        (metainfo.layout.piece_size(), fields.piece_length.ok_or(missing("piece_length"))?);
    if u64::from(expected) != found {
        return Err(MetainfoError::PieceLength { expected, found });
    }
    if let Some(Read(PiecesFields { blake3, sha1, unknown })) = fields.pieces {
        metainfo.pieces = Pieces { unknown, ..Pieces::default() };
        if let Some(values) = blake3 {
            metainfo = metainfo.with_pieces(bytes(values))?;
        }
        if let Some(values) = sha1 {
            metainfo = metainfo.with_sha1(bytes(values))?;
        }
    }
    if let Some(AtMost(files)) = fields.files {
        let files = files.into_iter().map(|Read(file)| file.into_file());
        metainfo = metainfo.with_files(files.collect::<Result<_, _>>()?)?;
    }
    let trackers = fields.trackers.map_or_else(Vec::new, |AtMost(trackers)| trackers);
    metainfo.trackers = trackers.into_iter().map(|Text(tracker)| tracker).collect();
    metainfo.name = fields.name.map(|Text(name)| name);
    metainfo.unknown = fields.unknown;
    Ok(metainfo)
}
