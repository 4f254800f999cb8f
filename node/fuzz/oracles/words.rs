//! Any text as a line of the prompt.

use super::{quote, split};

/// An open quote, or words that, quoted again, are the same words.
pub(crate) fn hold(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else { return };
    let Ok(words) = split(line) else { return };
    // No word of a line is longer than the line, and NUL alone cannot be quoted.
    assert!(words.iter().map(String::len).sum::<usize>() <= line.len());
    if line.contains('\0') {
        return;
    }
    let quoted: Vec<_> = words.iter().map(|word| quote(word)).collect();
    assert_eq!(split(&quoted.join(" ")).as_ref(), Ok(&words), "{quoted:?}");
}
