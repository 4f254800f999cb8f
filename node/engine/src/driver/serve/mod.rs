//! Files that are served: which of them are open, which of their blocks are in memory, which bursts wait for the disk.

mod cached_file;
mod file_cache;
mod folder_cache;
mod open_files;

pub(crate) use self::file_cache::{Bytes, FileCache, FileCacheCounters};
pub(crate) use self::folder_cache::FolderLoss;
