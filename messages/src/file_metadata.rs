//! What an owner says of a file beside its bytes.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::collection::Modified;

/// The flag that says that a time is told.
const HAS_TIME: u8 = 1;
/// The flag of a file that may be executed.
const IS_EXECUTABLE: u8 = 2;

/// When a file was last modified, and whether its owner may execute it, as an owner says: nothing proves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileMetadata {
    /// When the file was last modified, unless that is not told.
    pub modified: Option<Modified>,
    /// Whether it may be executed, as far as that is told.
    pub is_executable: bool,
}

impl FileMetadata {
    /// Whether it says anything.
    #[must_use]
    pub fn is_told(&self) -> bool {
        *self != FileMetadata::default()
    }
}

/// The fields as they travel.
#[derive(Serialize, Deserialize)]
struct Fields {
    flags: u8,
    seconds: i64,
    nanos: u32,
}

impl Serialize for FileMetadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Modified { seconds, nanos } = self.modified.unwrap_or(Modified { seconds: 0, nanos: 0 });
        let time = if self.modified.is_some() { HAS_TIME } else { 0 };
        let flags = time | if self.is_executable { IS_EXECUTABLE } else { 0 };
        Fields { flags, seconds, nanos }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FileMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FileMetadata, D::Error> {
        let Fields { flags, seconds, nanos } = Fields::deserialize(deserializer)?;
        let has_time = flags & HAS_TIME != 0;
        if flags & !(HAS_TIME | IS_EXECUTABLE) != 0 {
            return Err(D::Error::custom("no such flags of a file"));
        }
        if nanos >= 1_000_000_000 || (!has_time && (seconds, nanos) != (0, 0)) {
            return Err(D::Error::custom("no such time"));
        }
        let modified = has_time.then_some(Modified { seconds, nanos });
        Ok(FileMetadata { modified, is_executable: flags & IS_EXECUTABLE != 0 })
    }
}
