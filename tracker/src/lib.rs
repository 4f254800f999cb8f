#![doc = include_str!("../README.md")]

mod calendar;
mod catalogue;
mod claim;
mod contents;
mod counters;
mod credit;
mod decay;
mod departed;
#[cfg(feature = "driver")]
pub mod driver;
mod event;
mod few;
mod host;
mod membership;
mod names;
mod need;
mod nodes;
mod output;
#[cfg(feature = "bin")]
pub mod program;
mod ranking;
mod rate_limit;
mod reach;
mod rounds;
mod said;
mod tracker;
mod turns;
mod voices;
mod votes;

#[cfg(test)]
mod scenarios;

pub use counters::{Counters, Refusals};
pub use event::{Event, Found};
pub use output::{Outgoing, Output, Wait, WaitReason};
pub use tracker::Tracker;
