//! Any bytes as an outboard.

use messages::limits::{MAX_CONTENT, MAX_PIECES};
use messages::{ContentId, Outboard, OutboardError, PieceIndex};

use crate::heap;

/// A refusal, or an outboard whose only bytes these are; believed for one content alone.
pub(crate) fn hold(bytes: &[u8]) {
    let before = heap::asked_for();
    let decoded = Outboard::decode(bytes);
    let asked = heap::asked_for() - before;
    assert!(asked <= bytes.len(), "{asked} bytes of heap for an outboard of {}", bytes.len());
    let Ok(outboard) = decoded else {
        assert!(Outboard::decode_of(ContentId::from_bytes([0; 32]), bytes).is_err());
        return;
    };
    assert_eq!(outboard.encode(), bytes, "an outboard is said in two ways");
    let content = outboard.content();
    assert_eq!(Outboard::decode_of(content, bytes).as_ref(), Ok(&outboard));
    let mut other = *content.as_bytes();
    other[0] ^= 1;
    let other = ContentId::from_bytes(other);
    assert_eq!(Outboard::decode_of(other, bytes), Err(OutboardError::OtherContent));
    let layout = outboard.layout();
    assert!(layout.length() <= MAX_CONTENT && (2..=MAX_PIECES).contains(&layout.pieces()));
    assert_eq!(layout.outboard_length() as usize, bytes.len());
    let mut end = 0;
    for piece in 0..layout.pieces() {
        let span = layout.span(PieceIndex(piece)).expect("a piece of the content");
        assert_eq!(span.start, end, "pieces leave a gap or overlap");
        assert!(outboard.value(PieceIndex(piece)).is_some());
        end = span.end;
    }
    assert_eq!(end, layout.length(), "the pieces are not the whole");
    assert_eq!(outboard.value(PieceIndex(layout.pieces())), None);
}
