//! The searches of a person, until they are answered or given up.

use std::collections::BTreeMap;
use std::time::Duration;

use messages::Timestamp;

use crate::ids::SearchId;

/// A search is given up after this long.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The unanswered searches, with the time at which each is given up.
#[derive(Debug, Default)]
pub(super) struct Searches(BTreeMap<SearchId, Timestamp>);

impl Searches {
    /// Records that `search` is asked now.
    pub(super) fn begin(&mut self, search: SearchId, now: Timestamp) {
        self.0.insert(search, now + SEARCH_TIMEOUT);
    }

    /// Records that `search` was answered.
    pub(super) fn end(&mut self, search: SearchId) {
        self.0.remove(&search);
    }

    /// Gives up the searches whose time is over, and returns them.
    pub(super) fn give_up(&mut self, now: Timestamp) -> Vec<SearchId> {
        let due = self.0.extract_if(.., |_, at| *at <= now);
        due.map(|(search, _)| search).collect()
    }

    /// When the next search is given up.
    pub(super) fn next_timeout(&self) -> Timestamp {
        self.0.values().min().copied().unwrap_or(Timestamp::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_without_an_answer_is_given_up_once() {
        let at = |seconds| Timestamp::ZERO + Duration::from_secs(seconds);
        let mut searches = Searches::default();
        searches.begin(SearchId(1), at(0));
        searches.begin(SearchId(2), at(1));
        searches.begin(SearchId(3), at(1));
        searches.end(SearchId(3));
        assert_eq!((searches.next_timeout(), searches.give_up(at(4))), (at(5), vec![]));
        assert_eq!(searches.give_up(at(5)), [SearchId(1)]);
        assert_eq!(searches.give_up(at(10)), [SearchId(2)]);
        assert_eq!((searches.next_timeout(), searches.give_up(at(10))), (Timestamp::NEVER, vec![]));
    }
}
