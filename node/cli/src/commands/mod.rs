//! One file for each verb of the command line.

pub(crate) mod demo;
pub(crate) mod download;
pub(crate) mod hash;
pub(crate) mod id;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod look;
pub(crate) mod secret;
pub(crate) mod send;
pub(crate) mod tracker;
pub(crate) mod verify;

use std::future::Future;

use anyhow::{Context as _, Result};

/// Runs a command to its end on this thread. The nodes have threads of their own.
pub(crate) fn block_on<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the system gives no reactor")?;
    let result = runtime.block_on(command);
    // A plain drop would wait for the thread that waits for a line from stdin.
    runtime.shutdown_background();
    result
}
