//! The identity of the machine's current boot.

use std::sync::LazyLock;

/// A number of the present boot, the same for all processes until the machine starts again; `None` where the system has
/// none.
///
/// Only Linux has one. Elsewhere nobody can tell whether what was written and not synced outlived the system that had
/// it.
pub(crate) fn boot_id() -> Option<[u8; 16]> {
    static BOOT_ID: LazyLock<Option<[u8; 16]>> = LazyLock::new(read_boot_id);
    *BOOT_ID
}

fn read_boot_id() -> Option<[u8; 16]> {
    let text = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digest = blake3::hash(text.trim_ascii());
    let id = *digest.as_bytes().first_chunk().expect("a BLAKE3 value has 32 bytes");
    (!text.is_empty()).then_some(id)
}
