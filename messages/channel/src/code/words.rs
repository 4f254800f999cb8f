//! The words of codes: 256 of them, so that each is one byte.
//!
//! They are easily told apart, read out or typed: no two begin with the same three letters, and one mistyped letter never
//! makes another one. The order never changes, since a word's number is its place.

/// The words, in the order of the alphabet.
pub(super) const WORDS: [&str; 256] = [
    "acorn", "adobe", "alarm", "album", "anchor", "apple", "arrow", "aspen", "atlas", "autumn", "bagel",
    "bamboo", "banjo", "barrel", "basket", "beacon", "bench", "berry", "bicycle", "bishop", "blanket",
    "bottle", "bread", "bronze", "bucket", "buffalo", "button", "cabin", "cactus", "camel", "candle",
    "captain", "castle", "cedar", "cellar", "cherry", "chimney", "cinema", "circus", "clover", "cobalt",
    "coffee", "comet", "copper", "cotton", "cowboy", "crayon", "cricket", "crystal", "cupboard", "curtain",
    "dagger", "daisy", "dance", "denim", "desert", "diamond", "dinner", "doctor", "dolphin", "dragon",
    "dream", "drum", "duck", "dune", "eagle", "echo", "eclipse", "elbow", "elephant", "ember", "emerald",
    "engine", "falcon", "feather", "fern", "fiddle", "finger", "flamingo", "flute", "forest", "fossil",
    "fountain", "fridge", "frog", "funnel", "galaxy", "garden", "gazelle", "gecko", "giraffe", "glacier",
    "goblet", "gondola", "guitar", "hammer", "harbor", "hazel", "helmet", "hermit", "hotel", "hunter",
    "husky", "iceberg", "igloo", "indigo", "insect", "island", "ivory", "jacket", "jaguar", "jelly", "jewel",
    "jigsaw", "jungle", "kayak", "kettle", "kitchen", "kiwi", "koala", "ladder", "lantern", "lava", "lemon",
    "lettuce", "lighter", "lily", "lion", "lobster", "locket", "lumber", "lunch", "magnet", "mango", "maple",
    "marble", "meadow", "melon", "mermaid", "mirror", "mitten", "monkey", "mosaic", "muffin", "museum",
    "napkin", "needle", "nickel", "noodle", "north", "novel", "nutmeg", "oasis", "object", "ocean",
    "octopus", "olive", "onion", "opera", "orange", "orchid", "otter", "oven", "owl", "oyster", "paddle",
    "palace", "panda", "parrot", "pebble", "pencil", "pepper", "piano", "pigeon", "pilot", "pirate",
    "planet", "poem", "pony", "poster", "potato", "prairie", "pretzel", "pumpkin", "puzzle", "quarter",
    "queen", "rabbit", "raccoon", "radar", "raven", "ribbon", "river", "robot", "ruby", "saffron", "salt",
    "sandal", "satin", "scarf", "seagull", "shadow", "silver", "skate", "slipper", "snow", "soccer",
    "spider", "squirrel", "stone", "summer", "swan", "sword", "table", "talent", "target", "teacup",
    "temple", "thunder", "ticket", "tiger", "timber", "toast", "tomato", "topaz", "torch", "travel",
    "trumpet", "tulip", "turtle", "umbrella", "uncle", "urban", "vacuum", "valley", "vampire", "velvet",
    "violin", "volcano", "waffle", "wagon", "walnut", "water", "weasel", "whale", "wicker", "window",
    "wizard", "wolf", "wonder", "yacht", "yellow", "yogurt", "zebra", "zigzag", "zoo",
];

/// The number of a word, in whatever case.
pub(super) fn number_of(word: &str) -> Option<u8> {
    let word = word.to_ascii_lowercase();
    WORDS.binary_search(&word.as_str()).ok().map(|at| at as u8)
}

/// The words that begin with `prefix`.
pub(super) fn beginning_with(prefix: &str) -> impl Iterator<Item = &'static str> + use<> {
    let prefix = prefix.to_ascii_lowercase();
    let first = WORDS.partition_point(|word| *word < prefix.as_str());
    WORDS.iter().skip(first).take_while(move |word| word.starts_with(&prefix)).copied()
}

/// The word that was meant by a mistyped one, if that can be told: the only one that differs in one letter, which may be
/// missing or one too many, or the one with the same first three letters.
pub(super) fn meant_by(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let mut near = WORDS.iter().filter(|known| is_near(known.as_bytes(), word.as_bytes()));
    match (near.next(), near.next()) {
        (Some(only), None) => Some(only),
        _ => {
            let beginning = word.get(..3)?;
            WORDS.iter().find(|known| known.starts_with(beginning)).copied()
        }
    }
}

/// Whether one becomes the other by at most one letter that is changed, left out or put in.
fn is_near(one: &[u8], other: &[u8]) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    match long.len() - short.len() {
        0 => short.get(same + 1..).is_none_or(|rest| rest == &long[same + 1..]),
        1 => short[same..] == long[same + 1..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_easily_told_apart() {
        assert!(WORDS.is_sorted());
        for (at, word) in WORDS.iter().enumerate() {
            assert!((3..=8).contains(&word.len()) && word.bytes().all(|c| c.is_ascii_lowercase()), "{word}");
            for other in &WORDS[..at] {
                assert_ne!(word[..3], other[..3], "{word} {other}");
                assert!(!is_near(word.as_bytes(), other.as_bytes()), "{word} {other}");
            }
        }
    }

    #[test]
    fn a_word_s_number_never_changes() {
        let all = WORDS.join(" ");
        let hash = blake3::hash(all.as_bytes()).to_hex();
        assert_eq!(&hash[..16], "805d4740a1698ad2");
        for (number, word) in WORDS.iter().enumerate() {
            assert_eq!(number_of(&word.to_uppercase()).map(usize::from), Some(number));
        }
    }

    #[test]
    fn a_word_is_found_by_its_beginning_and_a_mistyped_one_by_its_likeness() {
        assert_eq!(beginning_with("ot").collect::<Vec<_>>(), ["otter"]);
        assert_eq!(beginning_with("VIO").collect::<Vec<_>>(), ["violin"]);
        assert_eq!(beginning_with("").count(), 256);
        assert_eq!(beginning_with("zzz").count(), 0);
        for (typed, meant) in [("oter", "otter"), ("Ottr", "otter"), ("ottter", "otter"), ("salz", "salt")] {
            assert_eq!(meant_by(typed), Some(meant), "{typed}");
        }
        assert_eq!(meant_by("violet"), Some("violin"));
        for nothing in ["", "x", "q\u{fc}\u{fc}", "\u{fc}\u{fc}\u{fc}"] {
            assert_eq!(meant_by(nothing), None, "{nothing}");
        }
    }
}
