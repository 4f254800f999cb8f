//! Text from elsewhere on a screen or in a log: one line, and nothing in it but what is seen.

use std::borrow::Cow;
use std::fmt;

/// `text` as one line in which everything can be seen: what would break the line, steer the terminal, turn the direction
/// of writing or not show at all is written as its number, `\u{202e}`.
///
/// Names, paths, what other hosts say and what a person typed are shown so, wherever they are shown; a line without any
/// such character is as it was. The joiners of emoji and of some scripts are among them: two names that look alike are
/// two names.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    // A string takes everything.
    let _ = write_as_one_line(&mut line, text);
    Cow::Owned(line)
}

/// [`one_line`] into `out`.
pub(crate) fn write_as_one_line(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
        out.write_str(&rest[..at])?;
        write!(out, "{}", c.escape_default())?;
        rest = &rest[at + c.len_utf8()..];
    }
    out.write_str(rest)
}

/// Whether `c` does something to the text around it, or nothing that can be seen: Unicode's control characters, line and
/// paragraph separators, its format characters that have no picture, and the letters without one. Variation selectors,
/// which only choose between pictures, and marks that are drawn stay.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}'                        // soft hyphen
            | '\u{34f}'                     // combining grapheme joiner
            | '\u{61c}'                     // Arabic letter mark
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers
            | '\u{17b4}' | '\u{17b5}'       // Khmer inherent vowels
            | '\u{180e}'                    // Mongolian vowel separator
            | '\u{200b}'..='\u{200f}'       // zero-width space and joiners, direction marks
            | '\u{2028}'..='\u{202e}'       // line and paragraph separators, embeddings and overrides
            | '\u{2060}'..='\u{206f}'       // word joiner, invisible operators, isolates
            | '\u{feff}'                    // byte order mark
            | '\u{fff0}'..='\u{fffb}'       // unassigned but ignorable, interlinear annotations
            | '\u{13430}'..='\u{1343f}'     // hieroglyph joiners
            | '\u{1bca0}'..='\u{1bca3}'     // shorthand controls
            | '\u{1d173}'..='\u{1d17a}'     // musical beams and slurs
            | '\u{e0000}'..='\u{e00ff}'     // tags: a text that nobody sees
            | '\u{e01f0}'..='\u{e0fff}'
        )
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
        assert!(!line.contains(is_hidden));
        assert!(matches!(one_line(&line), Cow::Borrowed(_)));
    }
}
