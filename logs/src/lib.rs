#![doc = include_str!("../README.md")]

mod clock;
mod error;
mod folder;
mod guard;
mod level;
mod line;
mod owner;
mod rotating;
mod shown;
mod start;

pub use error::LogError;
pub use folder::default_folder;
pub use guard::LogGuard;
pub use owner::{Owner, keep_owner};
pub use rotating::Rotation;
pub use shown::one_line;
pub use start::{LogSettings, scoped, start};
