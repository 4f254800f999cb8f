//! Folders: one content each, whose bytes are an index and then those of its files.

#[cfg_attr(not(test), expect(dead_code, reason = "no download asks for it yet"))]
pub(crate) mod unpack;
