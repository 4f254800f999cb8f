#![doc = include_str!("../README.md")]

pub mod content;
pub mod disk;
pub mod distribution;
pub mod distribution_table;
pub mod goodput;
pub mod link;
pub mod scenario;
pub mod vopr;
pub mod world;
