//! Text from elsewhere on a screen or in a log: one line in which every character is visible.

// The list stands once, beside the rules of names; rooms at the bottom never know each other.
#[path = "../../messages/src/invisible.rs"]
mod invisible;

use std::borrow::Cow;
use std::fmt;

use invisible::is_invisible;

/// `text` as one line in which every character is visible: a character that would break the line, steer the terminal,
/// turn the direction of writing or not show at all is written as its number, `\u{202e}`.
///
/// Names, paths, texts of other hosts and what a person typed are shown so, wherever they are shown; a line without any
/// such character stays as it is. The joiners of emoji and of some scripts are among these characters, so that two
/// names that look alike are seen to be two names.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    // Writing to a string cannot fail.
    let _ = write_as_one_line(&mut line, text);
    Cow::Owned(line)
}

/// Writes `text` to `out` as [`one_line`] shows it.
pub(crate) fn write_as_one_line(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_invisible(*c)) {
        out.write_str(&rest[..at])?;
        write!(out, "{}", c.escape_default())?;
        rest = &rest[at + c.len_utf8()..];
    }
    out.write_str(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_or_hides_is_written_as_its_number() {
        for (text, line) in [
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{7f}\u{9b}31m\u{0}", "\\u{7f}\\u{9b}31m\\u{0}"),
            ("photo\u{202e}gpj.exe", "photo\\u{202e}gpj.exe"),
            ("\u{2066}a\u{2069}\u{200e}\u{200f}\u{61c}", "\\u{2066}a\\u{2069}\\u{200e}\\u{200f}\\u{61c}"),
            ("f\u{200b}i\u{200d}l\u{2060}m\u{feff}", "f\\u{200b}i\\u{200d}l\\u{2060}m\\u{feff}"),
            ("a\u{2028}b\u{2029}\u{85}", "a\\u{2028}b\\u{2029}\\u{85}"),
            ("a\u{e0041}\u{ad}\u{3164}", "a\\u{e0041}\\u{ad}\\u{3164}"),
        ] {
            assert_eq!(one_line(text), line);
        }
    }

    #[test]
    fn what_is_seen_is_left_as_it_is() {
        for text in
            ["", "film.mkv", "größte Datei (1).txt", "فيلم.mkv", "影片", "❤\u{fe0f} \\n \u{a0}", "🎬.mkv"]
        {
            assert!(matches!(one_line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn nothing_hidden_is_left_of_any_character_and_a_line_is_a_line_already() {
        let all: String = (char::MIN..=char::MAX).collect();
        let line = one_line(&all);
        assert!(!line.contains(is_invisible));
        assert!(matches!(one_line(&line), Cow::Borrowed(_)));
    }
}
