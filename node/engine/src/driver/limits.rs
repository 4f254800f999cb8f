//! What the system lets this process have open, and what of it each use gets.

pub use crate::platform::process_limits::raise_open_files;
use crate::platform::process_limits::{max_mappings, max_open_files};

/// So many files are kept for the standard streams, the socket, the reactor, the log, the state folder and an embedded
/// tracker.
const RESERVED: u64 = 24;
/// At most so many files are hashed at the same time, however many may be open.
const MAX_HASHING: u64 = 64;

/// How many files may be open for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileLimits {
    /// Shared files, to be served from.
    pub(crate) shared: usize,
    /// Files that are being hashed for sharing.
    pub(crate) hashed: usize,
    /// Downloads that are under way, each with a part file and a journal.
    pub(crate) parts: usize,
}

impl FileLimits {
    /// Those of this process; `asked` is the setting, 0 for none.
    pub(crate) fn of_process(asked: u32) -> FileLimits {
        FileLimits::derived(max_open_files(), max_mappings(), asked)
    }

    /// Of `files` that may be open and `mappings` that there may be: half for shared files, each of which takes one of
    /// both, a quarter for downloads, each of which takes two of one and one of the other, and an eighth for hashing.
    fn derived(files: u64, mappings: u64, asked: u32) -> FileLimits {
        let room = files.saturating_sub(RESERVED);
        let mut shared = (room / 2).min(mappings / 2).max(1);
        if asked > 0 {
            shared = shared.min(asked.into());
        }
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let parts = (room / 8).min(mappings / 4).max(1);
        FileLimits {
            shared: count(shared),
            hashed: count((room / 8).clamp(1, MAX_HASHING)),
            parts: count(parts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_files_leave_room_for_everything_else() {
        let of = FileLimits::derived;
        assert_eq!(of(64, 65_530, 0), FileLimits { shared: 20, hashed: 5, parts: 5 });
        assert_eq!(of(1024, 65_530, 0), FileLimits { shared: 500, hashed: 64, parts: 125 });
        assert_eq!(of(1024, 65_530, 7), FileLimits { shared: 7, hashed: 64, parts: 125 });
        assert_eq!(
            (of(u64::MAX, 65_530, 0).shared, of(u64::MAX, 65_530, 0).parts),
            (32_765, 16_382),
            "mapped"
        );
        assert_eq!(of(3, 1, 0), FileLimits { shared: 1, hashed: 1, parts: 1 });
        for files in RESERVED + 8..2000 {
            let limits = of(files, 65_530, 0);
            let taken = (limits.shared + limits.hashed + 2 * limits.parts) as u64;
            assert!(taken + RESERVED <= files, "{files}");
        }
    }
}
