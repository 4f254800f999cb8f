//! Faults of real processes, disks and strangers: nothing is lost, nothing hangs, junk changes nothing.
//!
//! The moment of a fault is sure, because the rate is held by a limit and a download's journal says how far it is.
#![cfg(target_os = "linux")]

mod programs;
#[path = "faults/scene.rs"]
mod scene;

#[path = "faults/changed.rs"]
mod changed;
#[path = "faults/full.rs"]
mod full;
#[path = "faults/junk.rs"]
mod junk;
#[path = "faults/killed.rs"]
mod killed;
#[path = "faults/relay.rs"]
mod relay;
#[path = "faults/stopped.rs"]
mod stopped;
