//! Which events are logged.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::error::LogError;

/// Reads a level: `info`, or by part `info,node=debug`.
///
/// `EnvFilter` takes a word that is no level as the name of a part, so that `inof` would silence everything. Here a
/// part is always written with its level.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let refuse = |cause: String| LogError::Level { level: level.to_owned(), cause };
    let words: Vec<&str> = level.split(',').map(str::trim).collect();
    let bare = words.iter().filter(|word| !word.contains(['=', '[']));
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    if let Some(word) = bare.into_iter().find(|word| !is_level(word)) {
        return Err(refuse(format!("`{word}` is none")));
    }
    EnvFilter::builder().parse(words.join(",")).map_err(|error| refuse(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_taken_alone_and_by_part() {
        for level in
            ["info", "OFF", "warn, node=debug", "info,node::flow=trace", "info,node[session{id=1}]=debug"]
        {
            assert!(filter(level).is_ok(), "{level}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_refused_and_named() {
        for (level, word) in [("inof", "`inof` is none"), ("info,node", "`node` is none"), ("", "`` is none")]
        {
            assert!(filter(level).unwrap_err().to_string().contains(word), "{level}");
        }
        assert!(matches!(filter("info,node=loud"), Err(LogError::Level { .. })));
    }
}
