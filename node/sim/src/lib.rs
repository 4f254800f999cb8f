//! Whole swarms in simulated time: nodes, tracker, links and disks on one heap of events, from one seed, without a byte of file.

#![allow(missing_docs, reason = "to be documented")]

pub mod content;
pub mod disk;
pub mod link;
pub mod link_trial;
pub mod scenario;
pub mod swarm_rows;
pub mod swarm_trial;
pub mod vopr;
pub mod world;
