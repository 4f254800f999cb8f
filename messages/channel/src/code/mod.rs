//! Codes: a number and three words, such as `7-otter-violin-salt`, which one person says to a room.
//!
//! By the number a tracker's desk knows the sender. The words, 24 bits, are known to the sender and to the receivers
//! alone: what they prove to each other with them is in `exchange.rs`. Nothing here counts guesses or knows a desk.

mod exchange;
mod gift;
mod words;

use std::fmt;
use std::str::FromStr;

use messages::codes::CodeNumber;
use zeroize::Zeroizing;

pub use exchange::{CodeConfirmed, CodeReceiver, CodeSender};
pub use gift::{CodeGift, GiftError};

/// Words of a code.
const WORDS: usize = 3;

/// The words of a code: what sender and receivers know, and the tracker does not.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeWords(Zeroizing<[u8; WORDS]>);

impl CodeWords {
    /// The words with these numbers, which are random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; WORDS]) -> CodeWords {
        CodeWords(Zeroizing::new(bytes))
    }

    /// The words, with a dash between them.
    fn text(&self) -> Zeroizing<String> {
        let [first, second, third] = self.0.map(|number| words::WORDS[usize::from(number)]);
        Zeroizing::new(format!("{first}-{second}-{third}"))
    }
}

/// Without the words.
impl fmt::Debug for CodeWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeWords(..)")
    }
}

/// A code: shown as `7-otter-violin-salt`, and read in any case, with spaces or other dashes between its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// By which the desk knows the sender.
    pub number: CodeNumber,
    /// What the desk does not know.
    pub words: CodeWords,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.number, *self.words.text())
    }
}

/// Why some text is no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCodeError {
    /// It is not a number and three words.
    #[error("a code is a number and three words, such as 7-otter-violin-salt")]
    NotACode,
    /// No code has that number.
    #[error("a code begins with a number from 1 to {max}", max = messages::limits::MAX_CODE_NUMBER)]
    Number,
    /// A word is none of those that codes are made of.
    #[error("no code has the word {word:?}{}", .meant.map(|meant| format!("; is it {meant}?")).unwrap_or_default())]
    Word {
        /// What was typed.
        word: String,
        /// What was probably meant.
        meant: Option<&'static str>,
    },
}

/// What may stand between the parts of a code: phones like to make other dashes of some.
fn is_between(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '_' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

impl FromStr for Code {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Code, ParseCodeError> {
        let mut parts = text.split(is_between).filter(|part| !part.is_empty());
        let five = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
        let [Some(number), Some(first), Some(second), Some(third), None] = five else {
            return Err(ParseCodeError::NotACode);
        };
        if !number.bytes().all(|c| c.is_ascii_digit()) {
            return Err(ParseCodeError::NotACode);
        }
        let number = number.parse().ok().and_then(CodeNumber::new).ok_or(ParseCodeError::Number)?;
        let mut numbers = Zeroizing::new([0; WORDS]);
        for (at, word) in numbers.iter_mut().zip([first, second, third]) {
            *at = words::number_of(word).ok_or_else(|| ParseCodeError::Word {
                word: word.to_owned(),
                meant: words::meant_by(word),
            })?;
        }
        Ok(Code { number, words: CodeWords(numbers) })
    }
}

/// What a code that begins with `typed` may go on to be, up to the end of the word that is being typed, in the order of
/// the alphabet. Nothing for what is no beginning of a code.
#[must_use]
pub fn complete_code(typed: &str) -> Vec<String> {
    let Some((before, word)) = typed.rsplit_once('-') else { return Vec::new() };
    let mut parts = before.split('-');
    let is_number = |part: &str| part.parse().ok().and_then(CodeNumber::new).is_some();
    if !parts.next().is_some_and(is_number) {
        return Vec::new();
    }
    let complete = parts.clone().count();
    if complete >= WORDS || !parts.all(|word| words::number_of(word).is_some()) {
        return Vec::new();
    }
    words::beginning_with(word).map(|word| format!("{before}-{word}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> Result<Code, ParseCodeError> {
        text.parse()
    }

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let expected = code("7-otter-violin-salt").expect("a code");
        assert_eq!(expected.number.value(), 7);
        for text in [
            "7 otter violin salt",
            "  7-Otter VIOLIN--salt \n",
            "7_otter_violin_salt",
            "07\u{2013}otter\u{2014}violin salt",
        ] {
            assert_eq!(code(text).as_ref(), Ok(&expected), "{text}");
        }
        assert_eq!(expected.to_string(), "7-otter-violin-salt");
        let first = Code { words: CodeWords::from_bytes([0, 1, 255]), ..expected };
        assert_eq!(first.to_string(), "7-acorn-adobe-zoo");
        assert!(!format!("{first:?}").contains("zoo"), "{first:?}");
    }

    #[test]
    fn what_is_no_code_says_what_is_wrong_with_it() {
        for text in ["", "7", "otter-violin-salt", "7-otter-violin", "7-otter-violin-salt-salt", "x-a-b-c"] {
            assert_eq!(code(text), Err(ParseCodeError::NotACode), "{text}");
        }
        for text in ["0-otter-violin-salt", "10000-otter-violin-salt", "99999999999-otter-violin-salt"] {
            assert_eq!(code(text), Err(ParseCodeError::Number), "{text}");
        }
        let said = |text: &str| code(text).expect_err("no code").to_string();
        assert_eq!(said("7-oter-violin-salt"), "no code has the word \"oter\"; is it otter?");
        assert_eq!(said("7-otter-xxx-salt"), "no code has the word \"xxx\"");
    }

    #[test]
    fn a_code_is_completed_word_by_word() {
        assert_eq!(complete_code("7-ot"), ["7-otter"]);
        assert_eq!(complete_code("7-otter-vio"), ["7-otter-violin"]);
        assert_eq!(complete_code("7-otter-violin-").len(), 256);
        for nothing in ["", "7", "x-ot", "0-ot", "7-xxx-ot", "7-otter-violin-salt-", "7-otter-violin-salt-a"]
        {
            assert!(complete_code(nothing).is_empty(), "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read(number in 1..=9999_u16, words: [u8; 3]) {
            let number = CodeNumber::new(number).expect("a number");
            let code = Code { number, words: CodeWords::from_bytes(words) };
            prop_assert_eq!(code.to_string().parse(), Ok(code.clone()));
            prop_assert!(complete_code(&code.to_string()).contains(&code.to_string()));
        }

        #[test]
        fn any_text_is_a_code_or_is_refused_in_one_line(text in "\\PC{0,40}") {
            match text.parse::<Code>() {
                Ok(code) => prop_assert_eq!(code.to_string().parse(), Ok(code)),
                Err(error) => prop_assert!(!error.to_string().contains('\n')),
            }
        }
    }
}
