//! Reads which content a person means.

use messages::limits::MAX_NAME;
use messages::{ContentId, Digits, Name, NameError};
use riffle::Wanted;

/// A content id has this many digits.
const ID_DIGITS: usize = 64;
/// An id prefix has at least this many digits: `a@b` is a name.
pub(crate) const MIN_PREFIX: usize = 4;

const _: () = assert!(MAX_NAME > ID_DIGITS, "a full id is a possible name too, and is taken for the id");

/// Reads an id of 64 hexadecimal digits, the beginning of an id, `NAME` or `NAME@PREFIX`, where PREFIX begins an id. A
/// name that looks like the beginning of an id, or that ends like the last form, is typed with an empty prefix:
/// `NAME@`.
///
/// # Errors
/// When `text` is no id and no name that a file can have.
pub(crate) fn parse(text: &str) -> Result<Wanted, NameError> {
    if let Ok(content) = text.parse::<ContentId>() {
        return Ok(Wanted::Content(content));
    }
    if let Some((name, prefix)) = text.rsplit_once('@') {
        let is_prefix = prefix.is_empty()
            || (MIN_PREFIX..=ID_DIGITS).contains(&prefix.len())
                && prefix.bytes().all(|digit| digit.is_ascii_hexdigit());
        if is_prefix && !name.is_empty() {
            return Ok(Wanted::Name(Name::new(name)?, prefix.to_ascii_lowercase()));
        }
    }
    if let Ok(digits) = Digits::new(text) {
        return Ok(Wanted::Digits(digits));
    }
    Ok(Wanted::Name(Name::new(text)?, String::new()))
}

/// The newest of the contents of a name; `wanted` itself where more than a name was typed.
pub(crate) fn newest(wanted: Wanted) -> Wanted {
    match wanted {
        Wanted::Name(name, prefix) if prefix.is_empty() => Wanted::Newest(name),
        other => other,
    }
}

/// What a download is called on screens until its name is known.
pub(crate) fn label(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Content(content) => content.short(),
        Wanted::Name(name, prefix) if prefix.is_empty() => name.to_string(),
        Wanted::Newest(name) => name.to_string(),
        Wanted::Digits(digits) => digits.to_string(),
        Wanted::Name(name, prefix) => format!("{name}@{prefix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str, prefix: &str) -> Wanted {
        Wanted::Name(Name::new(text).expect("a name"), prefix.to_owned())
    }

    #[test]
    fn what_was_typed_is_called_as_it_was_typed() {
        let said = |text| label(&parse(text).expect("a name"));
        assert_eq!((said("film.mkv"), said("film.mkv@1A2b")), ("film.mkv".into(), "film.mkv@1a2b".into()));
    }

    #[test]
    fn sixty_four_digits_are_an_id() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(parse(&id), Ok(Wanted::Content(id.parse().expect("an id"))));
    }

    #[test]
    fn eight_digits_and_more_begin_an_id_or_are_a_name() {
        let id = "0123456789abcdeF".repeat(4);
        for length in 8..64 {
            let digits = Digits::new(&id[..length]).expect("digits");
            assert_eq!(parse(&id[..length]), Ok(Wanted::Digits(digits)));
        }
        assert_eq!(parse(&id[..7]), Ok(name(&id[..7], "")));
        assert_eq!(parse("0123456789abcdeg"), Ok(name("0123456789abcdeg", "")));
        assert_eq!(parse("01234567@"), Ok(name("01234567", "")), "a name, whatever it looks like");
        assert_eq!(parse(&format!("{id}0")), Ok(name(&format!("{id}0"), "")));
    }

    #[test]
    fn the_newest_is_looked_for_by_name_alone() {
        let film = Name::new("film.mkv").expect("a name");
        assert_eq!(newest(name("film.mkv", "")), Wanted::Newest(film));
        for text in ["film.mkv@1a2b", "0123456789", &"ab".repeat(32)] {
            assert_eq!(parse(text).map(newest), parse(text), "{text} says which");
        }
    }

    #[test]
    fn a_prefix_chooses_among_contents_of_one_name() {
        assert_eq!(parse("film.mkv@1A2b3c4d"), Ok(name("film.mkv", "1a2b3c4d")));
        assert_eq!(parse("logo@2x.png"), Ok(name("logo@2x.png", "")));
        assert_eq!(parse("me@abc"), Ok(name("me@abc", "")));
        assert_eq!(parse("me@cafe@"), Ok(name("me@cafe", "")));
        assert_eq!(parse("@cafe"), Ok(name("@cafe", "")));
    }

    #[test]
    fn what_no_file_can_be_called_is_refused() {
        for text in ["", "..", "a/b", "../x@cafe", "nul"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
