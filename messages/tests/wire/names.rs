//! Names: what may be called what, in memory and on the wire.

use messages::limits::{MAX_DIGITS, MAX_NAME, MIN_DIGITS};
use messages::{ContentId, Datagram, DecodeError, Digits, DigitsError, Kind, Name, NameError, Prefix};
use proptest::prelude::*;

use crate::samples;

#[test]
fn names_that_are_files_everywhere() {
    let longest = "x".repeat(MAX_NAME);
    for text in [
        "a",
        "file.txt",
        " leading",
        "a b",
        ".hidden",
        "..a",
        "...b",
        "a..b",
        "ü",
        "日本語.bin",
        "🂡",
        "فيلم.mkv",
        "می\u{200c}خواهم.mkv",
        "क\u{94d}\u{200d}ष.txt",
        "👩🏽\u{200d}🚀.png",
        "❤\u{fe0f}.png",
        "a\u{a0}b",
        "CONSOLE",
        "con1",
        "COM0",
        "COM10",
        "COM",
        "LPTx",
        "12:30.log",
        "a?b*c",
        "ab:c",
        "~",
        "-rf",
        "%2e%2e",
        &longest,
    ] {
        assert_eq!(Name::new(text).as_ref().map(Name::as_str), Ok(text));
    }
}

fn wrong_names() -> Vec<(String, NameError)> {
    let known = [
        ("", NameError::Empty),
        (".", NameError::Empty),
        ("..", NameError::Empty),
        ("/", NameError::Forbidden),
        ("/etc/passwd", NameError::Forbidden),
        ("a/b", NameError::Forbidden),
        ("../a", NameError::Forbidden),
        ("a\\b", NameError::Forbidden),
        ("..\\a", NameError::Forbidden),
        ("a\0b", NameError::Forbidden),
        ("\0", NameError::Forbidden),
        ("a\nb", NameError::Forbidden),
        ("\x1b[2J", NameError::Forbidden),
        ("a\x7f", NameError::Forbidden),
        ("a\u{85}b", NameError::Forbidden),
        ("C:", NameError::Forbidden),
        ("c:x", NameError::Forbidden),
        ("photo\u{202e}gpj.exe", NameError::Hidden('\u{202e}')),
        ("\u{2067}a\u{2069}b", NameError::Hidden('\u{2067}')),
        ("a\u{200b}b", NameError::Hidden('\u{200b}')),
        ("fi\u{200d}lm", NameError::Hidden('\u{200d}')),
        ("fi\u{200c}lm", NameError::Hidden('\u{200c}')),
        ("a\u{2028}b", NameError::Hidden('\u{2028}')),
        ("\u{feff}a", NameError::Hidden('\u{feff}')),
        ("a\u{e0041}", NameError::Hidden('\u{e0041}')),
        ("a\u{fe0f}b", NameError::Hidden('\u{fe0f}')),
        ("a.", NameError::Trailing),
        ("a\u{a0}", NameError::Trailing),
        ("a\u{3000}", NameError::Trailing),
        ("a\u{2800}", NameError::Trailing),
        ("...", NameError::Trailing),
        ("a ", NameError::Trailing),
        (" ", NameError::Trailing),
        ("CON", NameError::Device),
        ("con", NameError::Device),
        ("Con.txt", NameError::Device),
        ("NUL .tar.gz", NameError::Device),
        ("AUX", NameError::Device),
        ("prn.c", NameError::Device),
        ("COM1", NameError::Device),
        ("lpt9.x", NameError::Device),
        ("COM²", NameError::Device),
        ("conin$", NameError::Device),
        ("CONOUT$.txt", NameError::Device),
    ];
    let mut all: Vec<_> = known.into_iter().map(|(text, error)| (text.to_owned(), error)).collect();
    all.push(("x".repeat(MAX_NAME + 1), NameError::TooLong));
    // 256 bytes, though only 128 characters.
    all.push(("ü".repeat(128), NameError::TooLong));
    all
}

#[test]
fn names_that_could_mean_something_else() {
    for (text, error) in wrong_names() {
        assert_eq!(Name::new(&text), Err(error), "{text:?}");
        assert_eq!(text.parse::<Name>(), Err(error), "{text:?}");
    }
}

/// The sample with other bytes for its name, whose length byte says `length`.
fn with_name(title: &str, field: &str, length: u8, text: &[u8]) -> Vec<u8> {
    let mut sample = samples::titled(title);
    let (_, bytes) = sample.fields.iter_mut().find(|(name, _)| *name == field).expect("the field");
    *bytes = [&[length], text].concat();
    sample.expected()
}

const PLACES: [(&str, &str, Kind); 6] = [
    ("OWN", "entries[0].name", Kind::Own),
    ("NEED: Name", "name", Kind::Need),
    ("NEED: Search", "after.name", Kind::Need),
    ("NEED: NameFrom", "name", Kind::Need),
    ("OWNERS: Content", "name", Kind::Owners),
    ("OWNERS: Contents", "contents[0].name", Kind::Owners),
];

#[test]
fn wrong_names_do_not_come_off_the_wire() {
    for (title, field, kind) in PLACES {
        let refusal = Err(DecodeError::Body { kind });
        let decode = |text: &[u8]| {
            let length = u8::try_from(text.len()).expect("it fits one byte");
            Datagram::decode(&with_name(title, field, length, text)).map(|_| ())
        };
        assert_eq!(decode(b"fine"), Ok(()), "{title}");
        assert_eq!(decode(&[b'x'; 255]), Ok(()), "{title}");
        for (text, _) in wrong_names().iter().filter(|(text, _)| text.len() <= MAX_NAME) {
            assert_eq!(decode(text.as_bytes()), refusal, "{text:?} in {title}");
        }
        for not_text in [&b"\xff"[..], b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf"] {
            assert_eq!(decode(not_text), refusal, "{not_text:?} in {title}");
        }
        // A length that the bytes do not have.
        assert!(Datagram::decode(&with_name(title, field, 255, b"short")).is_err(), "{title}");
    }
}

#[test]
fn a_prefix_is_any_text_that_is_not_too_long() {
    for text in ["", ".", "..", "CON", "a/", " ", "a "] {
        assert_eq!(Prefix::new(text).as_ref().map(Prefix::as_str), Ok(text));
    }
    assert_eq!(Prefix::new(&"x".repeat(MAX_NAME + 1)), Err(NameError::TooLong));
    assert!(Datagram::decode(&with_name("NEED: Search", "prefix", 3, b"../")).is_ok());
    assert!(Datagram::decode(&with_name("NEED: Search", "prefix", 2, b"\xc0\xaf")).is_err());
}

proptest! {
    #![proptest_config(crate::tries(256))]

    #[test]
    fn a_name_is_one_component_of_a_path(text in "\\PC{0,20}|[./\\\\ :a-z]{0,6}") {
        if let Ok(name) = Name::new(&text) {
            let path = std::path::Path::new("dir").join(name.as_str());
            prop_assert_eq!(path.parent(), Some(std::path::Path::new("dir")));
            prop_assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(text.as_str()));
        }
    }
}

#[test]
fn the_beginning_of_an_id_is_eight_digits_or_more_and_never_all() {
    let digits = "00ffA91c".repeat(8);
    for length in MIN_DIGITS..=MAX_DIGITS {
        assert_eq!(Digits::new(&digits[..length]).as_ref().map(Digits::as_str), Ok(&digits[..length]));
    }
    for text in ["", "00ffA91", "00ffA91g", "00ff A91", "00ff\u{665}91cc", &digits] {
        assert_eq!(Digits::new(text), Err(DigitsError), "{text}");
    }
    let mut datagram = samples::titled("NEED: Digits").expected();
    assert!(Datagram::decode(&datagram).is_ok());
    *datagram.last_mut().expect("a digit") = b'g';
    assert_eq!(Datagram::decode(&datagram).map(|_| ()), Err(DecodeError::Body { kind: Kind::Need }));
}

proptest! {
    #[test]
    fn digits_span_the_ids_that_begin_so(bytes: [u8; 32], other: [u8; 32], length in MIN_DIGITS..=MAX_DIGITS) {
        let (id, other) = (ContentId::from_bytes(bytes), ContentId::from_bytes(other));
        let text = id.to_string()[..length].to_uppercase();
        let digits = Digits::new(&text).expect("digits");
        let (first, last) = digits.span();
        let beginning = text.to_lowercase();
        prop_assert_eq!(first.to_string(), format!("{beginning:0<64}"));
        prop_assert_eq!(last.to_string(), format!("{beginning:f<64}"));
        prop_assert!(digits.begin(id));
        prop_assert_eq!(digits.begin(other), other.to_string().starts_with(&beginning));
    }
}
