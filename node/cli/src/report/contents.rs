//! The contents that the tracker knows: tables of them, and how one of several is chosen.

use std::fmt::Write as _;
use std::time::Duration;

use messages::limits::MIN_DIGITS;
use messages::tracker_to_node::Listed;
use messages::{ContentId, Digits};

use crate::shell_words;
use crate::units::{duration, size};

/// At most this many other contents of a name are named in the line about the one that is taken.
const MAX_OTHERS_NAMED: usize = 3;

/// The lines of a failure: the contents that `label` may mean, and how to choose one.
pub(super) fn ambiguous(label: &str, contents: &[Listed], more: bool, command: &str) -> Vec<String> {
    let mut lines =
        ambiguity(label, contents, more, |choice| format!("{command} {}", shell_words::quote(choice)));
    let is_called_so = contents.iter().any(|listed| listed.name.as_str() == label);
    if Digits::new(label).is_ok() {
        lines.extend(is_called_so.then(|| format!("or take what is called so: {command} {label}@")));
    } else if is_called_so {
        let label = shell_words::quote(label);
        lines.push(format!(
            "or the one that was called so last, which anybody can be: {command} --newest {label}"
        ));
    }
    lines
}

/// The contents that `label` may mean. Each has the line to type that means it alone, which `line` makes, with how many
/// hosts call it so and since when.
pub(crate) fn ambiguity(
    label: &str,
    contents: &[Listed],
    more: bool,
    line: impl Fn(&str) -> String,
) -> Vec<String> {
    // The contents of a name are ranked by their hosts; those of the beginning of an id are in the order of their ids.
    let is_ranked =
        Digits::new(label).is_err() && contents.iter().any(|listed| listed.name.as_str() == label);
    let first = match is_ranked {
        false => format!("{label}: several contents fit that; choose one:"),
        true => format!(
            "{label}: several contents have that name, and no one of them has clearly more hosts behind it; choose one:"
        ),
    };
    let digits = digits_to_tell(label, contents);
    let mut lines = vec![first];
    lines.extend(contents.iter().map(|listed| {
        let (line, length) = (line(&choice(label, listed, digits)), size(listed.length));
        format!("  {line}  {length:>9}  {}, {}", voices(listed), known_for(listed))
    }));
    if more {
        let others =
            if is_ranked { "which fewer hosts call so, or later" } else { "which more digits tell apart" };
        lines.push(format!("  and others, {others}"));
    }
    lines
}

/// One line that says which content is taken for `label`, and which others have that name.
pub(crate) fn prefers(
    label: &str,
    (taken, others): (&Listed, &[Listed]),
    more: bool,
    command: &str,
) -> String {
    let all: Vec<Listed> = [taken].into_iter().chain(others).cloned().collect();
    let digits = digits_to_tell(label, &all);
    let favoured = riffle::favourite(&all.iter().collect::<Vec<_>>());
    let why = if favoured == Some(0) { "what most hosts call so" } else { "the newest" };
    let told = |(index, listed): (usize, &Listed)| {
        let clearly = if index > 0 && favoured == Some(index) { ", and clearly most" } else { "" };
        let id = beginning(listed.content, digits);
        format!("{id} ({}{clearly}, {})", hosts(listed.hosts), known_for(listed))
    };
    let mut called_so: Vec<String> =
        all.iter().enumerate().skip(1).take(MAX_OTHERS_NAMED).map(told).collect();
    if more || others.len() > MAX_OTHERS_NAMED {
        called_so.push("others".to_owned());
    }
    let mut line = format!("{label}: taking {why}, {}", told((0, taken)));
    // The line to type fetches the content that a person is most likely to want instead.
    if let Some(other) = others.iter().max_by_key(|other| (other.hosts, other.age_s)) {
        let choice = choice(label, other, digits);
        let _ = write!(line, "; not {}: {command} {}", called_so.join(", "), shell_words::quote(&choice));
    }
    line
}

/// How many digits of their ids tell apart `contents`, all of which fit `label`.
fn digits_to_tell(label: &str, contents: &[Listed]) -> usize {
    // Digits that are also the name of a content mean an id only when there are more of them.
    let more_than = Digits::new(label).map_or(0, |digits| digits.as_str().len());
    telling_apart(contents).max(more_than + 1)
}

/// What a person types to choose this one of the contents that fit `label`.
fn choice(label: &str, listed: &Listed, digits: usize) -> String {
    let id = beginning(listed.content, digits);
    // A name that hides something cannot be typed as it is shown.
    let is_by_id = Digits::new(label).is_ok() || logs::one_line(label) != label;
    if is_by_id { id } else { format!("{}@{id}", listed.name) }
}

fn known_for(listed: &Listed) -> String {
    format!("known for {}", duration(Duration::from_secs(listed.age_s.max(1).into())))
}

/// How many hosts call the content so, and how many nodes have all of it or are fetching it.
fn voices(listed: &Listed) -> String {
    format!("{}: {}", hosts(listed.hosts), holders(listed.complete.into(), listed.partial.into()))
}

fn hosts(hosts: u32) -> String {
    if hosts == 1 { "1 host".to_owned() } else { format!("{hosts} hosts") }
}

/// The first `digits` hexadecimal digits of `content`.
pub(super) fn beginning(content: ContentId, digits: usize) -> String {
    content.to_string().chars().take(digits).collect()
}

/// How many digits tell the ids of `contents` apart, at least [`MIN_DIGITS`].
fn telling_apart(contents: &[Listed]) -> usize {
    let mut ids: Vec<String> = contents.iter().map(|listed| listed.content.to_string()).collect();
    ids.sort();
    ids.dedup();
    let alike =
        |(one, other): (&String, &String)| one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let longest = ids.iter().zip(ids.iter().skip(1)).map(alike).max();
    longest.map_or(MIN_DIGITS, |alike| (alike + 1).max(MIN_DIGITS))
}

/// How many nodes have all of a content, and how many are fetching it.
pub(crate) fn holders(complete: u64, partial: u64) -> String {
    match partial {
        0 => format!("{complete} complete"),
        _ => format!("{complete} complete, {partial} on the way"),
    }
}

/// A table of contents: the beginning of the id, the size, how many have it, the name.
pub(crate) fn listing(contents: &[Listed]) -> Vec<String> {
    rows(contents, MIN_DIGITS).iter().map(|row| format!("  {row}")).collect()
}

/// The lines of a table of contents, with `digits` digits of the ids. Of several contents of one name the one that
/// `download` takes is marked.
pub(crate) fn rows(contents: &[Listed], digits: usize) -> Vec<String> {
    let groups = contents.chunk_by(|one, other| one.name == other.name);
    let of_group = |group: &[Listed]| -> Vec<String> {
        let favourite = riffle::favourite(&group.iter().collect::<Vec<_>>()).filter(|_| group.len() > 1);
        let row = |(index, listed): (usize, &Listed)| {
            row(listed, digits, if favourite == Some(index) { " (most)" } else { "" })
        };
        group.iter().enumerate().map(row).collect()
    };
    groups.flat_map(of_group).collect()
}

/// A line of a table of contents, with `mark` behind the number of hosts.
fn row(listed: &Listed, digits: usize, mark: &str) -> String {
    let (id, length) = (beginning(listed.content, digits), size(listed.length));
    let holders = holders(listed.complete.into(), listed.partial.into());
    let voices = format!("{}{mark}: {holders}", hosts(listed.hosts));
    format!("{id}  {length:>9}  {voices:<32}  {}", listed.name)
}

/// Says that a list is empty. `may_still_come`: how long a tracker that has just started may take to know everybody.
pub(crate) fn nothing_listed(may_still_come: Duration) -> String {
    let mut line = "nobody shares anything like that".to_owned();
    if !may_still_come.is_zero() {
        let seconds = Duration::from_secs(may_still_come.as_millis().div_ceil(1000) as u64);
        let _ = write!(line, "; the tracker has just started, and knows everybody in {}", duration(seconds));
    }
    line
}
