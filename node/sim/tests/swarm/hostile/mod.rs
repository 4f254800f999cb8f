//! Nodes that mean harm: what they try against others, and how little of it succeeds.

mod amplification;
mod bogus;
mod downloaders;
mod dripping;
mod flooding;
mod games;
mod merit;
mod names;
mod outboards;
mod stale;
