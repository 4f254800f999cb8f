//! Reads single settings as a person types them at the command line or the prompt, with the ranges of the settings
//! file.

use config::{ConfigError, Limit, NodeSettings, Period, UploadSettings};

/// Reads how many downloaders of a content are served at once.
///
/// # Errors
/// What is wrong, for the person.
pub(crate) fn upload_slots(text: &str) -> Result<u8, String> {
    let count: i64 = text.trim().parse().map_err(|_| format!("`{text}` is not a whole number"))?;
    upload("slots", &count.to_string()).map(|upload| upload.slots)
}

/// Reads how often the choice of who is served is made anew.
///
/// # Errors
/// What is wrong, for the person.
pub(crate) fn upload_period(text: &str) -> Result<Period, String> {
    let period: Period = text.parse().map_err(|error: config::ValueError| error.to_string())?;
    upload("period", &format!("\"{period}\"")).map(|upload| Period(upload.period))
}

/// Reads one value as a settings file that contains nothing else. So ranges are defined in one place, and a refusal has
/// the same words everywhere.
fn upload(key: &str, value: &str) -> Result<UploadSettings, String> {
    let settings = NodeSettings::from_toml(&format!("[upload]\n{key} = {value}\n"));
    settings.map(|settings| settings.upload).map_err(|error| match error {
        // The line and the key of the error are left out: the person wrote no file.
        ConfigError::Value { message, .. } => message,
        other => other.to_string(),
    })
}

/// Reads a limit, in bytes a second; `None`: no limit.
///
/// # Errors
/// What is wrong, for the person.
pub(crate) fn parse_rate(text: &str) -> Result<Option<u64>, String> {
    text.parse().map(bytes_per_second).map_err(|error: config::ValueError| error.to_string())
}

/// A limit as the library takes it; `None`: no limit.
pub(crate) fn bytes_per_second(limit: Limit) -> Option<u64> {
    limit.rate().map(std::num::NonZeroU64::get)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flag_has_the_range_of_the_file_and_says_so_in_its_words() {
        assert_eq!((upload_slots("2"), upload_slots(" 64 ")), (Ok(2), Ok(64)));
        for (text, message) in [
            ("1", "must be from 2 to 64, not 1"),
            ("65", "must be from 2 to 64, not 65"),
            ("256", "must be a whole number from 0 to 255, not 256"),
            ("-1", "must be a whole number from 0 to 255, not -1"),
            ("many", "`many` is not a whole number"),
            ("2\nlimit = 0", "`2\nlimit = 0` is not a whole number"),
        ] {
            assert_eq!(upload_slots(text), Err(message.to_owned()));
        }
        assert_eq!(upload_period("100ms"), Ok(Period(Duration::from_millis(100))));
        assert_eq!(upload_period("3650d"), Ok(Period(config::MAX_PERIOD)));
        for (text, message) in [
            ("99ms", "must be from \"100ms\" to \"3650d\", not \"99ms\""),
            ("3651d", "`3651d` is too large"),
            ("30", "the duration `30` needs a unit: write ms, s, m, h or d, such as 30s"),
        ] {
            assert_eq!(upload_period(text), Err(message.to_owned()));
        }
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!(parse_rate("10MiB"), Ok(Some(10 << 20)));
        assert_eq!(parse_rate("none"), Ok(None));
        assert!(parse_rate("fast").expect_err("no rate").contains("fast"));
    }
}
