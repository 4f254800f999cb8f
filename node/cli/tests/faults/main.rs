//! Faults of real processes, disks and strangers: nothing is lost, nothing hangs, junk changes nothing.
//!
//! The moment of a fault is sure, because the rate is held by a limit and a download's journal says how far it is.
#![cfg(target_os = "linux")]

#[path = "../programs/mod.rs"]
mod programs;
mod scene;

mod changed;
mod full;
mod junk;
mod killed;
mod relay;
mod stopped;
