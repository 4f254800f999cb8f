//! The folder of log files when no folder is given.

use std::path::{Path, PathBuf};

/// The log folder: the one of the environment (`RIFFLE_LOG_DIR`) unless that is empty, else `riffle/logs` in the state
/// folder of the user (`~/.local/state`, or the one that XDG names). Nothing is read or created.
pub fn default_folder(env_dir: Option<&Path>, state_home: &Path) -> PathBuf {
    match env_dir {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => state_home.join("riffle").join("logs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_goes_before_the_state_folder() {
        let state = Path::new("/home/me/.local/state");
        assert_eq!(default_folder(Some(Path::new("logs")), state), Path::new("logs"));
        assert_eq!(default_folder(Some(Path::new("")), state), state.join("riffle/logs"));
        assert_eq!(default_folder(None, state), state.join("riffle/logs"));
    }
}
