//! Which tracker a node talks to, where that is, and the tracker that a node runs itself.

#[cfg(feature = "embedded-tracker")]
mod embedded;
mod interfaces;
mod link;
mod name;
mod probe;
mod query;
mod watch;

#[cfg(feature = "embedded-tracker")]
pub use embedded::{EmbedError, EmbeddedTracker, TrackerLog, TrackerLogFactory};
#[cfg(feature = "embedded-tracker")]
pub(crate) use link::Embedding;
pub(crate) use link::TrackerLink;
pub use link::{TrackerChoice, TrackerError, TrackerForOthers, TrackerStatus};
pub(crate) use name::System;
pub use name::{NamedTracker, NamedTrackerError};
pub(crate) use probe::Prober;
pub use query::{QueryError, TrackerQuery};
pub(crate) use watch::{TrackerSigns, TrackerWatch};
