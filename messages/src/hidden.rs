//! Characters that a name must not have, because nobody sees them and they do harm: they turn the direction of writing,
//! or have no glyph.
//!
//! Two names that differ in such a character alone look the same, and an end `fdp.exe` behind one is read as `exe.pdf`.
//! Letters of scripts that are written from the right turn nothing and are allowed. Two joiners and the variation
//! selectors have no glyph either, but change the glyphs of their neighbours; they are allowed where they do, and
//! nowhere else.

use crate::invisible::is_invisible;

/// The first character of `text` that a name must not have.
pub(crate) fn first_hidden(text: &str) -> Option<char> {
    let (mut before, mut base) = (None, None);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let is_seen = match c {
            ZWNJ => before.is_some_and(is_shaped) && rest.clone().next().is_some_and(is_shaped),
            ZWJ => {
                before.is_some_and(is_shaped)
                    || base.is_some_and(is_picture) && rest.clone().next().is_some_and(is_picture)
            }
            _ if is_selector(c) => before.is_some_and(has_variants),
            _ => !is_invisible(c),
        };
        if !is_seen {
            return Some(c);
        }
        // A selector or a skin colour belongs to the emoji before it.
        if !is_selector(c) && !matches!(c, '\u{1f3fb}'..='\u{1f3ff}') {
            base = Some(c);
        }
        before = Some(c);
    }
    None
}

/// Keeps two letters apart that would be joined: between Persian letters it is spelling.
const ZWNJ: char = '\u{200c}';
/// Joins what would stand apart: emoji of several people, and letters of Indic and Arabic scripts, at the end of a word
/// too.
const ZWJ: char = '\u{200d}';

/// Whether `c` belongs to a script whose letters change their shapes beside others, so that joiners are seen there.
fn is_shaped(c: char) -> bool {
    matches!(c,
        '\u{620}'..='\u{8ff}'         // Arabic, Syriac, Thaana, N'Ko, Samaritan, Mandaic
        | '\u{900}'..='\u{dff}'       // Devanagari and its sisters, to Sinhala
        | '\u{f40}'..='\u{fbc}'       // Tibetan
        | '\u{1000}'..='\u{109f}'     // Myanmar
        | '\u{1780}'..='\u{17d3}'     // Khmer
        | '\u{1820}'..='\u{18aa}'     // Mongolian
        | '\u{1900}'..='\u{1c4f}'     // Limbu to Lepcha
        | '\u{a840}'..='\u{abff}'     // Phags-pa to Meetei Mayek
        | '\u{10a00}'..='\u{10fff}'   // Kharoshthi to Sogdian
        | '\u{11000}'..='\u{11fff}'   // Brahmi and its daughters
        | '\u{1e900}'..='\u{1e95f}'   // Adlam
    ) && !is_invisible(c)
}

/// Whether `c` may be part of an emoji that is joined of several.
fn is_picture(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

/// Whether `c` chooses among the glyphs of the character before it.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether `c` has several glyphs: signs that are emoji too, digits among them, ideographs, and letters of a few
/// scripts.
fn has_variants(c: char) -> bool {
    is_picture(c)
        || matches!(c,
            '#' | '*' | '0'..='9' | '©' | '®'
            | '\u{2010}'..='\u{218f}'     // signs, arrows and letter-like symbols
            | '\u{3000}'..='\u{33ff}'     // signs and circled ideographs
            | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' // ideographs
            | '\u{ff00}'..='\u{ff60}'     // full-width signs
            | '\u{1000}'..='\u{109f}' | '\u{aa60}'..='\u{aa7f}' // Myanmar
            | '\u{1820}'..='\u{18aa}' | '\u{a840}'..='\u{a87f}' // Mongolian, Phags-pa
        ) && !is_invisible(c)
}

/// Whether `c` is blank, so that nobody sees it at the end of a name.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_is_seen() {
        for text in [
            "film.mkv",
            "größte Datei (1).txt",
            "فيلم.mkv",
            "שלום.txt",
            "影片 （1）.mkv",
            "می\u{200c}خواهم.mkv",
            "क\u{94d}\u{200d}ष.txt",
            "ക\u{d4d}\u{200d}.txt",
            "ශ\u{dca}\u{200d}ර\u{dd3}.txt",
            "👩\u{200d}👩\u{200d}👧.png",
            "👩🏽\u{200d}🚀.png",
            "❤\u{fe0f}\u{200d}🔥.png",
            "🏳\u{fe0f}\u{200d}🌈",
            "1\u{fe0f}\u{20e3}",
            "葛\u{e0100}.txt",
            "a\u{a0}b",
            "e\u{301}.txt",
        ] {
            assert_eq!(first_hidden(text), None, "{text}");
        }
    }

    #[test]
    fn what_nobody_sees_is_found() {
        for (text, hidden) in [
            ("photo\u{202e}gpj.exe", '\u{202e}'),
            ("\u{2066}a\u{2069}", '\u{2066}'),
            ("a\u{200f}b", '\u{200f}'),
            ("a\u{200b}b", '\u{200b}'),
            ("fi\u{200d}lm.mkv", '\u{200d}'),
            ("fi\u{200c}lm.mkv", '\u{200c}'),
            ("می\u{200c}", '\u{200c}'),
            ("می\u{200c}.mkv", '\u{200c}'),
            ("می\u{200c}\u{200c}خواهم", '\u{200c}'),
            ("می\u{200d}\u{200d}", '\u{200d}'),
            ("👩\u{200d}.png", '\u{200d}'),
            ("a\u{fe0f}.txt", '\u{fe0f}'),
            ("❤\u{fe0f}\u{fe0f}", '\u{fe0f}'),
            ("a\u{2028}b", '\u{2028}'),
            ("\u{feff}a", '\u{feff}'),
            ("🏴\u{e0067}\u{e007f}", '\u{e0067}'),
            ("a\u{ad}b", '\u{ad}'),
            ("a\u{3164}b", '\u{3164}'),
        ] {
            assert_eq!(first_hidden(text), Some(hidden), "{}", text.escape_unicode());
        }
    }

    proptest! {
        #[test]
        fn nothing_else_is_hidden_and_nothing_hidden_passes(text in "\\PC{0,8}", at in 0..9_usize, code in 0..0x11_0000_u32) {
            let Some(c) = char::from_u32(code) else { return Ok(()) };
            let mut letters: Vec<char> = text.chars().filter(|&c| !is_invisible(c) && !is_selector(c)).collect();
            letters.insert(at.min(letters.len()), c);
            let text: String = letters.into_iter().collect();
            let found = first_hidden(&text);
            match c {
                ZWNJ | ZWJ => {}
                _ if is_selector(c) => {}
                _ => prop_assert_eq!(found, is_invisible(c).then_some(c)),
            }
        }
    }
}
