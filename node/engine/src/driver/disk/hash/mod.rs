//! Hashing: files for sharing, pieces on their arrival, and what is remembered of both.

pub(crate) mod hash_cache;
pub(crate) mod hash_queue;
pub(crate) mod piece_hasher;
pub(crate) mod scan;
pub(crate) mod sha1_lanes;
pub(crate) mod share;
