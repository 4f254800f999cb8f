//! What differs between operating systems, in functions that mean the same on all of them.

pub(crate) mod mapping;
