//! What describes a content: its length, the SHA-1 of each piece and the BLAKE3 of the whole.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::id::ContentId;
use crate::limits::{
    COMFORTABLE_PIECES, MANIFEST_FIXED, MAX_CONTENT, MAX_PIECE_SIZE, MIN_PIECE_SIZE, PIECE_HASH,
};

/// The version byte of a manifest's canonical bytes.
pub const MANIFEST_VERSION: u8 = 1;

/// Which piece of a content, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PieceIndex(pub u32);

impl PieceIndex {
    /// The reserved number under which a manifest's own bytes are asked for.
    pub const MANIFEST: PieceIndex = PieceIndex(u32::MAX);
}

impl fmt::Display for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a content of a given length is cut into pieces. A pure function of the length, fixed for wire version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    length: u64,
    piece_size: u32,
}

impl Layout {
    /// The layout of a content of `length` bytes; `None` above [`MAX_CONTENT`].
    #[must_use]
    pub const fn of(length: u64) -> Option<Layout> {
        if length > MAX_CONTENT {
            return None;
        }
        let mut piece_size = MIN_PIECE_SIZE;
        while piece_size < MAX_PIECE_SIZE && length > piece_size as u64 * COMFORTABLE_PIECES as u64 {
            piece_size *= 2;
        }
        Some(Layout { length, piece_size })
    }

    /// Bytes of the content.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.length
    }

    /// Bytes of every piece but the last.
    #[must_use]
    pub const fn piece_size(self) -> u32 {
        self.piece_size
    }

    /// How many pieces there are; none for an empty content.
    #[must_use]
    pub const fn pieces(self) -> u32 {
        self.length.div_ceil(self.piece_size as u64) as u32
    }

    /// Where piece `index` lies in the content, in bytes; `None` when there is no such piece.
    #[must_use]
    pub fn span(self, index: PieceIndex) -> Option<Range<u64>> {
        let start = u64::from(index.0) * u64::from(self.piece_size);
        (start < self.length).then(|| start..self.length.min(start + u64::from(self.piece_size)))
    }

    /// Bytes of piece `index`: zero when there is no such piece.
    #[must_use]
    pub fn piece_length(self, index: PieceIndex) -> u32 {
        self.span(index).map_or(0, |span| (span.end - span.start) as u32)
    }

    /// Bytes of the manifest of such a content.
    #[must_use]
    pub const fn manifest_length(self) -> u32 {
        (MANIFEST_FIXED + PIECE_HASH * self.pieces() as usize) as u32
    }
}

/// The SHA-1 of one piece. It tells a bad piece and its sender; what the content *is*, BLAKE3 says.
pub type PieceHash = [u8; PIECE_HASH];

/// Why some bytes are not a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// They do not hash to the content id.
    #[error("the manifest does not match the content id")]
    Identity,
    /// A version that this program does not know.
    #[error("manifest version {found} is not known here")]
    Version {
        /// The version that the bytes name.
        found: u8,
    },
    /// The list of piece hashes does not fit the length, or the length is beyond [`MAX_CONTENT`].
    #[error("the manifest's length does not fit its pieces")]
    Length,
}

/// What describes one content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    layout: Layout,
    root: [u8; 32],
    pieces: Vec<PieceHash>,
}

impl Manifest {
    /// The manifest of a content of `length` bytes whose BLAKE3 is `root` and whose pieces hash to `pieces`.
    ///
    /// # Errors
    /// [`ManifestError::Length`] when that many pieces do not belong to that length.
    pub fn new(length: u64, root: [u8; 32], pieces: Vec<PieceHash>) -> Result<Manifest, ManifestError> {
        let layout = Layout::of(length).ok_or(ManifestError::Length)?;
        if layout.pieces() as usize != pieces.len() {
            return Err(ManifestError::Length);
        }
        Ok(Manifest { layout, root, pieces })
    }

    /// Reads canonical bytes, without asking whose they are.
    ///
    /// # Errors
    /// When they are not the canonical bytes of any manifest.
    pub fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let (&[version, ref length @ ..], rest) =
            bytes.split_first_chunk::<9>().ok_or(ManifestError::Length)?;
        if version != MANIFEST_VERSION {
            return Err(ManifestError::Version { found: version });
        }
        let (root, hashes) = rest.split_first_chunk::<32>().ok_or(ManifestError::Length)?;
        let (pieces, tail) = hashes.as_chunks::<PIECE_HASH>();
        if !tail.is_empty() {
            return Err(ManifestError::Length);
        }
        Manifest::new(u64::from_le_bytes(*length), *root, pieces.to_vec())
    }

    /// Reads canonical bytes that must be the manifest of `content`.
    ///
    /// # Errors
    /// When they are not.
    pub fn decode_of(content: ContentId, bytes: &[u8]) -> Result<Manifest, ManifestError> {
        if identity_of(bytes) != content {
            return Err(ManifestError::Identity);
        }
        Manifest::decode(bytes)
    }

    /// The canonical bytes: version, length, BLAKE3 of the whole, then the SHA-1 of each piece.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.layout.manifest_length() as usize);
        bytes.push(MANIFEST_VERSION);
        bytes.extend_from_slice(&self.layout.length.to_le_bytes());
        bytes.extend_from_slice(&self.root);
        bytes.extend_from_slice(self.pieces.as_flattened());
        bytes
    }

    /// What the content is called by the protocol.
    #[must_use]
    pub fn content_id(&self) -> ContentId {
        identity_of(&self.encode())
    }

    /// How the content is cut.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The BLAKE3 of the whole content.
    #[must_use]
    pub const fn root(&self) -> &[u8; 32] {
        &self.root
    }

    /// The SHA-1 of piece `index`.
    #[must_use]
    pub fn piece_hash(&self, index: PieceIndex) -> Option<&PieceHash> {
        self.pieces.get(index.0 as usize)
    }
}

fn identity_of(canonical: &[u8]) -> ContentId {
    ContentId::from_bytes(*blake3::hash(canonical).as_bytes())
}
