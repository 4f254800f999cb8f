//! Sizes, rates, times, counts and percentages as people read them, with three digits and a unit; and long texts,
//! shortened.

use std::time::Duration;

const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/// Writes a size: `512 B`, `1.50 KiB`, `64.0 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        // A value that would be rounded to 1024 is shown as 1 of the next unit.
        if value < 1023.5 && unit != "B" {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {unit}")
}

/// Writes how many there are of what is called `what` when it is one: `1 file`, `2 files`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Writes a rate: `12.0 MiB/s`.
pub(crate) fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", size(bytes_per_second))
}

/// Bytes a second, for `bytes` in a time that may be zero.
pub(crate) fn per_second(bytes: u64, took: Duration) -> u64 {
    let nanos = took.as_nanos().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

/// Writes a time: `850 ms`, `1.2 s`, `2 min 5 s`, `3 h 4 min`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time.subsec_micros() < 1000 && !time.is_zero() => format!("{} µs", time.subsec_micros()),
        0 => format!("{} ms", time.subsec_millis()),
        1..60 => {
            let tenths = time.as_millis() / 100;
            if tenths.is_multiple_of(10) {
                format!("{seconds} s")
            } else {
                format!("{}.{} s", tenths / 10, tenths % 10)
            }
        }
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Writes `part` as a percentage of `whole`, rounded down: `33.4 %`. Nothing of nothing is 100 %.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let tenths = if whole == 0 { 1000 } else { u128::from(part) * 1000 / u128::from(whole) };
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Writes `part` as a whole percentage of `whole`, rounded down and at most 100 %: `33 %`.
pub(crate) fn whole_percent(part: u64, whole: u64) -> String {
    let hundredths = if whole == 0 { 100 } else { u128::from(part.min(whole)) * 100 / u128::from(whole) };
    format!("{hundredths} %")
}

/// Writes `text` as people are shown it, in at most `width` letters: of a longer text its beginning and its end.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    let text = logs::one_line(text);
    let letters = text.chars().count();
    if letters <= width {
        return text.into_owned();
    }
    let Some(kept) = width.checked_sub(1) else { return String::new() };
    let begin = text.chars().take(kept / 2);
    let end = text.chars().skip(letters - (kept - kept / 2));
    begin.chain(['…']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (64 << 20, "64.0 MiB"),
            (256 << 20, "256 MiB"),
            ((1 << 30) - 1, "1.00 GiB"),
            (5 << 40, "5.00 TiB"),
            (u64::MAX, "16384 PiB"),
        ];
        for (bytes, text) in table {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn times_are_short() {
        let table = [
            (Duration::ZERO, "0 ms"),
            (Duration::from_micros(340), "340 µs"),
            (Duration::from_millis(850), "850 ms"),
            (Duration::from_millis(1249), "1.2 s"),
            (Duration::from_secs(2), "2 s"),
            (Duration::from_secs(125), "2 min 5 s"),
            (Duration::from_secs(11_070), "3 h 4 min"),
        ];
        for (time, text) in table {
            assert_eq!(duration(time), text);
        }
    }

    #[test]
    fn a_share_is_never_rounded_up_to_all() {
        assert_eq!(percent(999_999, 1_000_000), "99.9 %");
        assert_eq!(percent(0, 0), "100.0 %");
        assert_eq!(percent(1, 3), "33.3 %");
    }

    #[test]
    fn a_short_share_is_at_most_all() {
        assert_eq!(whole_percent(999, 1000), "99 %");
        assert_eq!((whole_percent(3, 2), whole_percent(0, 0)), ("100 %".to_owned(), "100 %".to_owned()));
        assert_eq!(whole_percent(u64::MAX, u64::MAX), "100 %");
    }

    #[test]
    fn a_long_text_keeps_both_ends() {
        assert_eq!(shortened("10.0.0.2:4000", 13), "10.0.0.2:4000");
        assert_eq!(shortened("10.0.0.2:4000", 12), "10.0.…2:4000");
        assert_eq!(shortened("größte", 4), "g…te");
        assert_eq!(shortened("a\u{202e}b", 8), "a\\u…2e}b", "as wide as it is shown");
        assert_eq!((shortened("abc", 1), shortened("abc", 0)), ("…".to_owned(), String::new()));
    }
}
