//! What differs between operating systems: one function for each need of the engine, which means the same on all of them.
//!
//! Linux is the fast path and has everything. Where a system lacks a thing, the function says in its comment what takes its place;
//! a caller never asks which system it runs on. Names outside of this folder that are Linux's own: `driver/net/scatter.rs`, which
//! sends from mapped memory, and whose place `driver/net/portable.rs` takes elsewhere.

pub(crate) mod allocation;
pub(crate) mod boot;
pub(crate) mod error_kind;
pub(crate) mod file_id;
pub(crate) mod file_io;
pub(crate) mod lock;
pub(crate) mod mapping;
pub(crate) mod open;
pub(crate) mod path_bytes;
pub(crate) mod permissions;
pub(crate) mod process_limits;
pub(crate) mod rename;
pub(crate) mod socket;
pub(crate) mod unnamed_file;
