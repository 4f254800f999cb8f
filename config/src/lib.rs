#![doc = include_str!("../README.md")]

mod address;
mod codes;
mod decimal;
mod document;
mod encryption;
mod error;
mod interval;
mod label;
mod limit;
mod period;
mod policy;
mod secret_files;
mod setting;
#[macro_use]
mod settings;
mod size;
mod text_setting;

mod node;
mod tracker;

pub use address::{DEFAULT_TRACKER, DEFAULT_TRACKER_PORT, ListenAddr, TrackerAddress};
pub use codes::ServeCodes;
pub use encryption::Encryption;
pub use error::{ConfigError, ValueError};
pub use interval::Interval;
pub use label::{MAX_LABEL, NodeLabel};
pub use limit::Limit;
pub use node::{DiskSettings, DownloadSettings, NetworkSettings, NodeSettings, UploadSettings};
pub use period::{MAX_PERIOD, Period};
pub use policy::UploadPolicy;
pub use secret_files::{MAX_SECRET_FILES, SecretFiles, SeveralSwarms};
pub use size::ByteSize;
pub use tracker::{LimitSettings, MAX_OWNERS_PER_ANSWER, RankingSettings, TrackerSettings};
