#![doc = include_str!("../README.md")]

mod clock;
mod error;
mod folder;
mod guard;
mod level;
mod line;
mod start;

pub use error::LogError;
pub use folder::default_folder;
pub use guard::LogGuard;
pub use start::{LogSettings, scoped, start};
