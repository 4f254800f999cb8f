//! Any text as a file of settings.

use config::{NodeSettings, TrackerSettings};

/// Settings within their ranges, or a refusal that is one line and cannot steer a terminal.
pub(crate) fn hold(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match NodeSettings::from_toml(text) {
        Ok(settings) => {
            assert!((1..=64).contains(&settings.download.owners));
            assert!(settings.retry_first <= settings.retry_most && !settings.retry_first.is_zero());
            assert!(settings.network.first_window <= settings.network.session_window);
            assert!(settings.network.max_sessions > 0 && settings.network.requests_per_session > 0);
        }
        Err(error) => is_one_line(&error.to_string()),
    }
    match TrackerSettings::from_toml(text) {
        Ok(settings) => {
            assert!(!settings.heartbeat.is_zero() && settings.missed_heartbeats > 0);
            assert!(settings.limits.max_nodes > 0 && settings.limits.tracked_addresses > 0);
        }
        Err(error) => is_one_line(&error.to_string()),
    }
}

fn is_one_line(message: &str) {
    assert!(!message.is_empty() && !message.chars().any(char::is_control), "{message:?}");
}
