//! What a node keeps of itself from one life to the next: who it is, its port, its key, what it has hashed.

pub mod checked_file;
pub mod files;
mod folder;
mod lock;

pub use folder::{StateError, StateFolder, random_node};
