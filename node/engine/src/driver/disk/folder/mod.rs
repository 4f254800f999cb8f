//! Folders, each of which is one content: found, hashed and read on the sharer's side.

pub(crate) mod describe;
mod files;
pub(crate) mod index_fetch;
pub(crate) mod order;
mod parallel;
pub(crate) mod roots;
pub(crate) mod selection;
pub(crate) mod share;
pub(crate) mod source;
pub(crate) mod unpack;
pub(crate) mod update;
mod walk;

#[cfg(test)]
#[cfg(unix)]
mod tests;
