//! How much of what happens is logged line by line: the first few events of each kind in a minute, and the rest in one
//! line.
//!
//! One address may ask thousands of things a second. This file is pure, over instants and the names of kinds.

use std::collections::BTreeMap;
use std::time::Duration;

use messages::Timestamp;

/// The time over which events are summed up.
const LENGTH: Duration = Duration::from_secs(60);
/// How many of the summed-up events are named.
const MAX_EXAMPLES: usize = 3;
/// Among how many of the summed-up events different examples are looked for.
const MAX_EXAMINED: u64 = 100;

/// What happened in the current minute.
#[derive(Debug, Default)]
pub(super) struct Minute {
    /// `None` while nothing has happened yet.
    ends: Option<Timestamp>,
    kinds: BTreeMap<&'static str, Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    written: u32,
    summed: u64,
    examples: Vec<String>,
}

/// Events that were not logged line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summed {
    /// What events of this kind are called.
    pub(super) what: &'static str,
    /// How many there were, besides those that were logged.
    pub(super) times: u64,
    /// The first few of those events.
    pub(super) examples: String,
}

impl Minute {
    /// Counts an event of the kind `what`. Returns whether it is among the `first` of this minute, which are logged; of
    /// the others some `example`s are kept. The caller has taken what was summed up before.
    pub(super) fn note(
        &mut self,
        what: &'static str,
        first: u32,
        example: impl FnOnce() -> String,
        now: Timestamp,
    ) -> bool {
        self.ends.get_or_insert(now + LENGTH);
        let kind = self.kinds.entry(what).or_default();
        if kind.written < first {
            kind.written += 1;
            return true;
        }
        kind.summed += 1;
        if kind.examples.len() < MAX_EXAMPLES && kind.summed <= MAX_EXAMINED {
            let example = example();
            if !kind.examples.contains(&example) {
                kind.examples.push(example);
            }
        }
        false
    }

    /// When there is something to be taken.
    pub(super) fn ends(&self) -> Timestamp {
        let sums = self.kinds.values().any(|kind| kind.summed > 0);
        self.ends.filter(|_| sums).unwrap_or(Timestamp::NEVER)
    }

    /// Takes what was summed up, when the minute is over; then another one begins with the next event.
    pub(super) fn take_when_over(&mut self, now: Timestamp) -> Vec<Summed> {
        if self.ends.is_some_and(|ends| ends <= now) { self.take() } else { Vec::new() }
    }

    /// Takes what was summed up so far.
    pub(super) fn take(&mut self) -> Vec<Summed> {
        self.ends = None;
        let kinds = std::mem::take(&mut self.kinds).into_iter().filter(|(_, kind)| kind.summed > 0);
        kinds
            .map(|(what, kind)| Summed { what, times: kind.summed, examples: kind.examples.join(", ") })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_few_are_written_and_the_rest_is_summed_up_when_the_minute_is_over() {
        let mut minute = Minute::default();
        assert_eq!(minute.ends(), Timestamp::NEVER);
        let written =
            (0..7_u64).filter(|&one| minute.note("births", 2, || format!("n{one}"), at(5 + one))).count();
        assert_eq!(written, 2);
        assert!(minute.note("deaths", 2, String::new, at(20)));
        assert_eq!(minute.ends(), at(65));
        assert_eq!(minute.take_when_over(at(64)), []);
        let births = Summed { what: "births", times: 5, examples: "n2, n3, n4".to_owned() };
        assert_eq!(minute.take_when_over(at(65)), [births]);
        // The next minute begins with the next event, so that a wake-up at its end always has something to sum up.
        assert!(minute.note("births", 2, String::new, at(1000)));
        assert_eq!(minute.ends(), Timestamp::NEVER);
        assert_eq!(minute.take_when_over(at(1060)), []);
        assert!(
            minute.note("births", 2, String::new, at(1061))
                && minute.note("births", 2, String::new, at(1061))
        );
        assert!(!minute.note("births", 2, String::new, at(1062)));
        assert_eq!(minute.take().len(), 1);
    }
}
