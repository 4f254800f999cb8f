//! What a node keeps of itself from one life to the next: its key, which is who it is, its port, what it has hashed.

pub mod checked_file;
pub mod files;
mod folder;
mod lock;

pub use folder::{StateError, StateFolder};
