//! Any bytes as a manifest.

use messages::limits::{MAX_CONTENT, MAX_PIECES};
use messages::{ContentId, Manifest, ManifestError, PieceIndex};

use crate::heap;

/// A refusal, or a manifest whose only bytes these are; believed for the one content whose id they hash to.
pub(crate) fn hold(bytes: &[u8]) {
    let before = heap::asked_for();
    let decoded = Manifest::decode(bytes);
    let asked = heap::asked_for() - before;
    assert!(asked <= bytes.len(), "{asked} bytes of heap for a manifest of {}", bytes.len());
    let id = ContentId::from_bytes(*blake3::hash(bytes).as_bytes());
    let Ok(manifest) = decoded else {
        assert!(Manifest::decode_of(id, bytes).is_err());
        return;
    };
    assert_eq!(manifest.encode(), bytes, "a manifest is said in two ways");
    assert_eq!(manifest.content_id(), id);
    assert_eq!(Manifest::decode_of(id, bytes).as_ref(), Ok(&manifest));
    let mut other = *id.as_bytes();
    other[0] ^= 1;
    let other = ContentId::from_bytes(other);
    assert_eq!(Manifest::decode_of(other, bytes), Err(ManifestError::Identity));
    let layout = manifest.layout();
    assert!(layout.length() <= MAX_CONTENT && layout.pieces() <= MAX_PIECES);
    assert_eq!(layout.manifest_length() as usize, bytes.len());
    let mut end = 0;
    for piece in 0..layout.pieces() {
        let span = layout.span(PieceIndex(piece)).expect("a piece of the content");
        assert_eq!(span.start, end, "pieces leave a gap or overlap");
        assert!(manifest.piece_hash(PieceIndex(piece)).is_some());
        end = span.end;
    }
    assert_eq!(end, layout.length(), "the pieces are not the whole");
    assert_eq!(manifest.piece_hash(PieceIndex(layout.pieces())), None);
}
