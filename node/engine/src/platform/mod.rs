//! What differs between operating systems: one function for each need of the engine, which means the same on all of
//! them.
//!
//! Linux is the fast path and has everything. Where a system lacks a thing, the function says in its comment what takes
//! its place; a caller never asks which system it runs on. Names outside of this folder that are Linux's own:
//! `driver/net/scatter.rs`, which sends from mapped memory, and whose place `driver/net/portable.rs` takes elsewhere.
//!
//! | what | Linux | macOS | Windows |
//! |---|---|---|---|
//! | sending from a mapping | `sendmsg` with UDP_SEGMENT | read and copied | read and copied |
//! | space for a download | `fallocate` | the length alone | the length alone; a full disk shows when it is written |
//! | rename without replacing | `renameat2` | `renamex_np` | a second name, then the first is removed |
//! | file without a name | `O_TMPFILE` | a working name | a working name |
//! | boot id | from `/proc` | none: written pieces are hashed again | none: the same |
//! | who can have written to a file | owner and mode | owner and mode | nobody knows: working files are hashed again |
//! | a folder held open | a descriptor | a descriptor | its path |
//! | making a whole folder last | `syncfs` | each file and folder | each file |
//! | number of a file | device and inode | device and inode | volume and file index |

pub(crate) mod aligned_bytes;
pub(crate) mod allocation;
pub(crate) mod boot;
pub(crate) mod error_kind;
pub(crate) mod file_id;
pub(crate) mod file_io;
pub(crate) mod folder;
pub(crate) mod lock;
pub(crate) mod mapping;
pub(crate) mod open;
pub(crate) mod path_bytes;
pub(crate) mod permissions;
pub(crate) mod process_limits;
pub(crate) mod rename;
pub(crate) mod socket;
pub(crate) mod unnamed_file;
