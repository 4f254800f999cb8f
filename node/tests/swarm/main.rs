//! Swarms in simulated time: the cores of nodes and tracker, links and disks, from one seed, without a byte of file.
#![expect(clippy::unwrap_used, reason = "tests")]

mod content;
mod disk;
mod link;
mod scenario;
mod transfers;
mod world;
