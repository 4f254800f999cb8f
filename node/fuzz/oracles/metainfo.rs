//! Any bytes as a description of a content.

use riffle::metainfo::Metainfo;

/// A refusal in words, or a description that does not contradict itself and is written as it is read.
pub(crate) fn hold(bytes: &[u8]) {
    let metainfo = match Metainfo::parse(bytes) {
        Ok(metainfo) => metainfo,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let layout = metainfo.layout();
    if let Some(values) = metainfo.pieces() {
        assert_eq!(messages::root(layout, values), metainfo.id(), "other values than the id's are believed");
    }
    assert!(metainfo.sha1().is_none_or(|values| values.len() == layout.pieces() as usize));
    let files = metainfo.files().unwrap_or_default();
    assert!(files.is_sorted_by(|one, next| one.path() < next.path()), "paths out of order, or twice");
    let bytes = files.iter().map(|file| u128::from(file.entry().length)).sum::<u128>();
    assert!(bytes <= u128::from(metainfo.length()), "files that are longer than their folder");
    // What is longer when it is written than it may be when it is read is not written.
    let Ok(text) = metainfo.to_json() else { return };
    let read = Metainfo::parse(text.as_bytes()).expect("what is written is read");
    assert_eq!(read, metainfo, "something was lost");
    assert_eq!(read.to_json(), Ok(text), "one description is written in two ways");
}
