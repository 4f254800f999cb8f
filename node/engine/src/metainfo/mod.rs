//! The description of a content that anybody can read: a JSON file whose name ends with [`SUFFIX`]. What its fields
//! mean stands in `messages/README.md`, "Metainfo".
//!
//! A value of [`Metainfo`] does not contradict itself: its pieces are as many as its length says, and their values
//! merge to its id. Nothing here touches a file or a network.
//!
//! ```
//! use riffle::metainfo::Metainfo;
//!
//! let text = r#"{
//!     "riffle": 1, "name": "hello.txt", "length": 5, "piece_length": 262144,
//!     "id": "ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f",
//!     "trackers": ["tracker.example:12345"],
//!     "my own note": "fields that are not known are kept"
//! }"#;
//! let metainfo = Metainfo::parse(text.as_bytes())?;
//! assert_eq!(metainfo.length(), 5);
//! assert!(metainfo.to_json()?.contains("my own note"));
//!
//! let wrong = text.replace("262144", "1024");
//! let refusal = Metainfo::parse(wrong.as_bytes()).unwrap_err();
//! assert_eq!(refusal.to_string(), "piece_length: it is 262144 for this length, not 1024");
//! # Ok::<(), riffle::metainfo::MetainfoError>(())
//! ```

mod object;
mod read;
mod write;

use config::TrackerAddress;
use messages::collection::{EntryPath, FileEntry, Modified};
use messages::limits::{MAX_CONTENT, MAX_ENTRIES};
use messages::{ChainingValue, ContentId, Layout, Name, root};

use self::object::Unknown;

/// How the name of a file ends that holds a description.
pub const SUFFIX: &str = ".riffle.json";
/// The version of the schema that is read and written here.
pub const SCHEMA: u64 = 1;
/// The longest description, in bytes.
pub const MAX_METAINFO: usize = 64 << 20;
/// The most trackers that a description names.
pub const MAX_TRACKERS: usize = 64;

/// What a piece hashes to with SHA-1.
pub type Sha1 = [u8; 20];

/// Why some text is no description of a content, or a description cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetainfoError {
    /// The text is longer than [`MAX_METAINFO`].
    #[error("a description has at most {MAX_METAINFO} bytes")]
    TooLong,
    /// The text is no JSON, or a field has a value that it cannot have.
    #[error("{0}")]
    Json(String),
    /// A field that must be there is not.
    #[error("{0}: this field is missing")]
    Missing(&'static str),
    /// The description is of another version of the schema.
    #[error("riffle: the description has version {0}, and only version {SCHEMA} is known here")]
    Version(u64),
    /// No content is so long.
    #[error("length: a content has at most {MAX_CONTENT} bytes, not {0}")]
    Length(u64),
    /// A content of this length is cut otherwise.
    #[error("piece_length: it is {expected} for this length, not {found}")]
    PieceLength {
        /// What the length says.
        expected: u32,
        /// What the description says.
        found: u64,
    },
    /// There are not as many values as pieces.
    #[error("{field}: there are {found} values for {expected} pieces")]
    Count {
        /// Which values.
        field: &'static str,
        /// How many pieces the content has.
        expected: usize,
        /// How many values there are.
        found: usize,
    },
    /// The values of the pieces merge to another id.
    #[error("id: the values of the pieces say that the id is {0}")]
    OtherContent(ContentId),
    /// There are more files than a folder can have, or one path twice, or one out of order.
    #[error("files: {0}: the files are in the order of their paths, each once, {MAX_ENTRIES} at most")]
    Order(String),
    /// The files have more bytes than the content.
    #[error("files: together they are longer than the content")]
    FilesTooLong,
}

/// One file of a folder, as a description names it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileDescription {
    path: EntryPath,
    entry: FileEntry,
    unknown: Unknown,
}

impl FileDescription {
    /// The file `entry` at `path`.
    #[must_use]
    pub fn new(path: EntryPath, entry: FileEntry) -> FileDescription {
        FileDescription { path, entry, unknown: Unknown::default() }
    }

    /// Where the file stands in its folder.
    #[must_use]
    pub fn path(&self) -> &EntryPath {
        &self.path
    }

    /// What the file is.
    #[must_use]
    pub fn entry(&self) -> &FileEntry {
        &self.entry
    }

    fn modified(&self) -> Option<Modified> {
        self.entry.modified
    }
}

/// What is said of the pieces.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pieces {
    blake3: Option<Vec<ChainingValue>>,
    sha1: Option<Vec<Sha1>>,
    unknown: Unknown,
}

/// The description of a content.
#[derive(Clone, Debug, PartialEq)]
pub struct Metainfo {
    name: Option<Name>,
    layout: Layout,
    id: ContentId,
    pieces: Pieces,
    /// `None`: the content is a single file.
    files: Option<Vec<FileDescription>>,
    trackers: Vec<TrackerAddress>,
    unknown: Unknown,
}

impl Metainfo {
    /// The description of the content `id`, which has `length` bytes, without anything else.
    ///
    /// # Errors
    /// When no content is so long, or none without bytes has that id.
    pub fn new(id: ContentId, length: u64) -> Result<Metainfo, MetainfoError> {
        let layout = Layout::of(length).ok_or(MetainfoError::Length(length))?;
        if layout.pieces() == 0 {
            check_id(id, root(layout, &[]))?;
        }
        Ok(Metainfo {
            name: None,
            layout,
            id,
            pieces: Pieces::default(),
            files: None,
            trackers: Vec::new(),
            unknown: Unknown::default(),
        })
    }

    /// Says what the content is called.
    #[must_use]
    pub fn with_name(self, name: Name) -> Metainfo {
        Metainfo { name: Some(name), ..self }
    }

    /// Says the chaining value of each piece.
    ///
    /// # Errors
    /// When there are not so many pieces, or the values merge to another id.
    pub fn with_pieces(mut self, values: Vec<ChainingValue>) -> Result<Metainfo, MetainfoError> {
        self.check_count("pieces.blake3", values.len())?;
        check_id(self.id, root(self.layout, &values))?;
        self.pieces.blake3 = Some(values);
        Ok(self)
    }

    /// Says the SHA-1 of each piece, for other programs: nothing proves these values but the content itself.
    ///
    /// # Errors
    /// When there are not so many pieces.
    pub fn with_sha1(mut self, values: Vec<Sha1>) -> Result<Metainfo, MetainfoError> {
        self.check_count("pieces.sha1", values.len())?;
        self.pieces.sha1 = Some(values);
        Ok(self)
    }

    /// Leaves the values of the pieces out. The id says the same, in fewer bytes.
    #[must_use]
    pub fn without_pieces(mut self) -> Metainfo {
        (self.pieces.blake3, self.pieces.sha1) = (None, None);
        self
    }

    /// Says that the content is a folder with these files.
    ///
    /// # Errors
    /// When the files are not in the order of their paths, too many, or longer than the content.
    pub fn with_files(mut self, files: Vec<FileDescription>) -> Result<Metainfo, MetainfoError> {
        if let Some(beyond) = files.get(MAX_ENTRIES) {
            return Err(MetainfoError::Order(beyond.path.to_string()));
        }
        let is_wrong = |pair: &&[FileDescription]| matches!(pair, [one, next] if one.path >= next.path);
        if let Some([_, wrong]) = files.windows(2).find(is_wrong) {
            return Err(MetainfoError::Order(wrong.path.to_string()));
        }
        let bytes = files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.entry.length));
        if bytes.is_none_or(|bytes| bytes > self.length()) {
            return Err(MetainfoError::FilesTooLong);
        }
        self.files = Some(files);
        Ok(self)
    }

    /// Says which trackers know the content: the first [`MAX_TRACKERS`] of these.
    #[must_use]
    pub fn with_trackers(self, mut trackers: Vec<TrackerAddress>) -> Metainfo {
        trackers.truncate(MAX_TRACKERS);
        Metainfo { trackers, ..self }
    }

    /// Reads a description.
    ///
    /// # Errors
    /// When `text` is no description, or contradicts itself. The message names the field.
    pub fn parse(text: &[u8]) -> Result<Metainfo, MetainfoError> {
        read::parse(text)
    }

    /// Writes the description as JSON, one value of a piece on a line.
    ///
    /// # Errors
    /// When the text would be longer than [`MAX_METAINFO`], which [`Metainfo::without_pieces`] mends.
    pub fn to_json(&self) -> Result<String, MetainfoError> {
        write::to_json(self)
    }

    /// What the content is called, if that is said.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// The id of the content.
    #[must_use]
    pub fn id(&self) -> ContentId {
        self.id
    }

    /// The length of the content, in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.layout.length()
    }

    /// How the content is cut.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The chaining value of each piece, if they are said.
    #[must_use]
    pub fn pieces(&self) -> Option<&[ChainingValue]> {
        self.pieces.blake3.as_deref()
    }

    /// The SHA-1 of each piece, if they are said.
    #[must_use]
    pub fn sha1(&self) -> Option<&[Sha1]> {
        self.pieces.sha1.as_deref()
    }

    /// The files of a folder; `None`: the content is a single file.
    #[must_use]
    pub fn files(&self) -> Option<&[FileDescription]> {
        self.files.as_deref()
    }

    /// The trackers that know the content.
    #[must_use]
    pub fn trackers(&self) -> &[TrackerAddress] {
        &self.trackers
    }

    fn check_count(&self, field: &'static str, found: usize) -> Result<(), MetainfoError> {
        let expected = self.layout.pieces() as usize;
        if found == expected { Ok(()) } else { Err(MetainfoError::Count { field, expected, found }) }
    }
}

fn check_id(said: ContentId, is: ContentId) -> Result<(), MetainfoError> {
    if said == is { Ok(()) } else { Err(MetainfoError::OtherContent(is)) }
}

#[cfg(test)]
mod tests;
