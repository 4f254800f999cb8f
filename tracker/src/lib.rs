#![doc = include_str!("../README.md")]

mod address_selection;
mod calendar;
mod catalogue;
mod contents;
mod counters;
mod credit;
mod decay;
mod departed;
#[cfg(feature = "driver")]
pub mod driver;
mod event;
mod host;
mod id_takeover;
mod membership;
mod names;
mod need;
mod nodes;
mod output;
#[cfg(feature = "bin")]
pub mod program;
mod ranking;
mod rate_limit;
mod rotation;
mod rounds;
mod said;
mod small_map;
mod tracker;
mod voices;
mod votes;

#[cfg(test)]
mod scenarios;

pub use counters::{Counters, Refusals};
pub use event::{Event, Found};
pub use output::{Outgoing, Output, Wait, WaitReason};
pub use tracker::Tracker;
