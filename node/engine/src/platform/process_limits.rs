//! The limits on the files and the mappings that this process may have open.

/// The number of files that this process may have open. Windows sets no limit that a process meets; so many are plenty.
pub(crate) fn max_open_files() -> u64 {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    }
    #[cfg(not(unix))]
    {
        const PLENTY: u64 = 65_536;
        PLENTY
    }
}

/// Lets this process open as many files as it may have at all. Where that is refused, there is less to share among the
/// files.
pub fn raise_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current != maximum {
            let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        }
    }
}

/// The number of mappings that this process may have. Only Linux has a limit of its own.
pub(crate) fn max_mappings() -> u64 {
    #[cfg(target_os = "linux")]
    {
        /// The limit that Linux sets by default.
        const DEFAULT: u64 = 65_530;
        let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
        text.trim().parse().unwrap_or(DEFAULT)
    }
    #[cfg(not(target_os = "linux"))]
    u64::MAX
}
