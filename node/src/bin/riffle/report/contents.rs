//! What the tracker knows: tables of contents, and how one of several is told from the others.

use std::fmt::Write as _;
use std::time::Duration;

use messages::limits::MIN_DIGITS;
use messages::tracker_to_node::Listed;
use messages::{ContentId, Digits};

use crate::units::{duration, size};
use crate::words;

/// The contents that `label` may mean, and how to say which.
pub(super) fn ambiguous(label: &str, contents: &[Listed], command: &str) -> Vec<String> {
    let (mut lines, choice) = ambiguity(label, contents);
    lines.push(format!("choose one by the beginning of its id, e.g. {command} {}", words::quote(&choice)));
    if Digits::new(label).is_err() {
        let label = words::quote(label);
        lines.push(format!("or take the one that the tracker heard of last: {command} --newest {label}"));
    } else if contents.iter().any(|listed| listed.name.as_str() == label) {
        lines.push(format!("or take what is called so: {command} {label}@"));
    }
    lines
}

/// The contents that `label` may mean, and what would mean the first of them alone.
pub(crate) fn ambiguity(label: &str, contents: &[Listed]) -> (Vec<String>, String) {
    // Of digits that are the name of something too only more of them tell an id.
    let (fit, more_than) = match Digits::new(label) {
        Ok(digits) => ("fit that", digits.as_str().len()),
        Err(_) => ("have that name", 0),
    };
    let digits = telling_apart(contents).max(more_than + 1);
    let mut lines = vec![format!("{label}: several contents {fit}:")];
    lines.extend(contents.iter().map(|listed| {
        let age = duration(Duration::from_secs(listed.age_s.max(1).into()));
        format!("  {}, known for {age}", row(listed, digits))
    }));
    let choice = contents.first().map_or_else(String::new, |first| {
        let id = beginning(first.content, digits);
        if more_than > 0 { id } else { format!("{}@{id}", first.name) }
    });
    (lines, choice)
}

/// The first `digits` hexadecimal digits of `content`.
pub(super) fn beginning(content: ContentId, digits: usize) -> String {
    content.to_string().chars().take(digits).collect()
}

/// How many digits tell the ids of `contents` apart: as many as are usual, or more.
fn telling_apart(contents: &[Listed]) -> usize {
    let mut ids: Vec<String> = contents.iter().map(|listed| listed.content.to_string()).collect();
    ids.sort();
    ids.dedup();
    let alike =
        |(one, other): (&String, &String)| one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let longest = ids.iter().zip(ids.iter().skip(1)).map(alike).max();
    longest.map_or(MIN_DIGITS, |alike| (alike + 1).max(MIN_DIGITS))
}

/// How many nodes have all of a content, and how many are on their way to it.
pub(crate) fn holders(complete: u64, partial: u64) -> String {
    match partial {
        0 => format!("{complete} complete"),
        _ => format!("{complete} complete, {partial} on the way"),
    }
}

/// A table of contents: the beginning of the id, size, who has it, name.
pub(crate) fn listing(contents: &[Listed]) -> Vec<String> {
    contents.iter().map(|listed| format!("  {}", row(listed, MIN_DIGITS))).collect()
}

/// A line of a table of contents, with so many digits of the id.
pub(crate) fn row(listed: &Listed, digits: usize) -> String {
    let (id, length) = (beginning(listed.content, digits), size(listed.length));
    let holders = holders(listed.complete.into(), listed.partial.into());
    format!("{id}  {length:>9}  {holders:<24}  {}", listed.name)
}

/// That a list has nothing in it; the tracker may know more when it has run for `may_still_come` longer.
pub(crate) fn nothing_listed(may_still_come: Duration) -> String {
    let mut line = "nobody shares anything like that".to_owned();
    if !may_still_come.is_zero() {
        let seconds = Duration::from_secs(may_still_come.as_millis().div_ceil(1000) as u64);
        let _ = write!(line, "; the tracker has just started, and knows everybody in {}", duration(seconds));
    }
    line
}
