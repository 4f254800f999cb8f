#![doc = include_str!("../README.md")]

mod address_selection;
mod calendar;
mod catalogue;
mod codes;
mod content_votes;
mod contents;
mod counters;
mod credit;
mod decay;
mod departed;
#[cfg(feature = "driver")]
pub mod driver;
mod event;
mod expiring_map;
mod host_counts;
mod host_key;
mod id_takeover;
mod membership;
mod names;
mod need;
mod nodes;
mod output;
mod owned_contents;
#[cfg(feature = "bin")]
pub mod program;
mod ranking;
mod rate_limit;
mod request;
mod rotation;
mod rounds;
mod small_map;
mod swarms;
mod tally;
mod tracker;

#[cfg(test)]
mod scenarios;

pub use codes::{CodeDesk, DeskCounters};
pub use counters::{Counters, Refusals};
pub use event::{Event, Found};
pub use output::{Outgoing, Output, Wait, WaitReason};
pub use swarms::Swarms;
pub use tracker::Tracker;
