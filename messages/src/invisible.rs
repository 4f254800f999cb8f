//! The characters that nobody sees, or that change how others are shown.
//!
//! A name must not have them, and a screen or a log shows them as their numbers. `messages` and `logs` never know each
//! other, and yet they must agree about this list: so `logs` compiles this file too. It uses nothing but the standard
//! library.

/// Whether `c` changes how the text around it is shown, or has no glyph at all: control characters, Unicode's format
/// characters without a glyph, separators of lines and paragraphs, and the letters that are blank. Variation selectors,
/// which only choose between glyphs, and marks that are drawn are not among them.
pub(crate) fn is_invisible(c: char) -> bool {
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
