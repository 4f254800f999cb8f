//! Splits a line into words and quotes words, as a shell does: quotes and backslashes hold a word together.

use std::borrow::Cow;

/// A line whose quotes do not close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a quote is not closed")]
pub(crate) struct OpenQuote;

/// Splits `line` into its words.
///
/// # Errors
/// When a quote is not closed.
pub(crate) fn split(line: &str) -> Result<Vec<String>, OpenQuote> {
    shlex::split(&uncommented(line)).ok_or(OpenQuote)
}

/// Writes `word` so that a shell reads it back as one word; quoted only where that is needed.
pub(crate) fn quote(word: &str) -> Cow<'_, str> {
    // Only NUL cannot be quoted, and neither names nor addresses contain it.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

/// Escapes each `#` that would begin a comment in a shell: here it may begin the name of a file.
fn uncommented(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    let mut quote = None;
    let mut previous = ' ';
    for letter in line.chars() {
        match quote {
            None if letter == '#' && previous.is_whitespace() => escaped.push('\\'),
            None if matches!(letter, '"' | '\'') && previous != '\\' => quote = Some(letter),
            Some(open) if letter == open && !(open == '"' && previous == '\\') => quote = None,
            _ => {}
        }
        escaped.push(letter);
        // A backslash that is itself escaped escapes nothing.
        previous = if previous == '\\' && letter == '\\' { ' ' } else { letter };
    }
    escaped
}

#[cfg(test)]
#[path = "../../fuzz/oracles/words.rs"]
mod oracle;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_seed_of_the_fuzz_targets_holds() {
        crate::seeds::all().iter().for_each(|(_, bytes)| oracle::hold(bytes));
    }

    #[test]
    fn quotes_hold_words_together() {
        let words = split(r#"send "a b.txt" 'c "d"' e\ f  #1.bin"#).expect("closed");
        assert_eq!(words, ["send", "a b.txt", "c \"d\"", "e f", "#1.bin"]);
        assert_eq!(split("send '# a' \"#b\"").expect("closed"), ["send", "# a", "#b"]);
    }

    #[test]
    fn an_open_quote_is_said() {
        assert_eq!(split("send \"a b"), Err(OpenQuote));
        assert_eq!(split("").expect("closed"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(word in "[^\0]{1,20}") {
            let words = split(&format!("download {}", quote(&word))).expect("closed");
            prop_assert_eq!(words, vec!["download".to_owned(), word]);
        }

        #[test]
        fn any_line_is_refused_or_read_back(line in "[ -~\\\\'\"#é\t\n]{0,60}") {
            oracle::hold(line.as_bytes());
        }
    }
}
