//! Hashing: files for sharing, pieces on their arrival, and what is remembered of both.

pub(crate) mod folder_memory;
pub(crate) mod hash_cache;
pub(crate) mod hash_queue;
pub(crate) mod scan;
pub(crate) mod share;
