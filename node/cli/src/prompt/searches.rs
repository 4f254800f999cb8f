//! Questions about what the tracker knows: `list`, page by page, and the Tab key.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::Sender;

use messages::tracker_to_node::Listed;
use messages::{Cursor, Prefix};
use riffle::{Command, Event, SearchId};

use crate::report;
use crate::screen::Screen;
use riffle::NodeHandle;

/// The questions that wait for an answer.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    waiting: BTreeMap<SearchId, Search>,
    /// The questions for the pages behind those that were said.
    next_pages: VecDeque<Command>,
}

/// One question.
#[derive(Debug)]
struct Search {
    prefix: Prefix,
    listed: usize,
    asker: Asker,
}

/// Who wants to know.
#[derive(Clone, Debug)]
enum Asker {
    List,
    TabKey(Sender<Vec<String>>),
}

/// The tracker does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unanswered;

impl Searches {
    /// The command that begins a `list`.
    pub(crate) fn list(&mut self, prefix: Prefix, handle: &NodeHandle) -> Command {
        self.ask(Search { prefix, listed: 0, asker: Asker::List }, None, handle.new_search())
    }

    /// The command that asks what the Tab key wants to know; the names go to `reply`.
    pub(crate) fn complete(
        &mut self,
        prefix: Prefix,
        reply: Sender<Vec<String>>,
        handle: &NodeHandle,
    ) -> Command {
        self.ask(Search { prefix, listed: 0, asker: Asker::TabKey(reply) }, None, handle.new_search())
    }

    /// Takes in an answer.
    ///
    /// # Errors
    /// [`Unanswered`] when a `list` ends without an answer: the person has been told.
    pub(crate) fn on_event(
        &mut self,
        event: &Event,
        screen: &Screen,
        handle: &NodeHandle,
    ) -> Result<(), Unanswered> {
        match event {
            Event::Found { search, contents, next } => {
                if let Some(search) = self.waiting.remove(search) {
                    let after = next.as_ref();
                    let next = self.on_found(search, contents, after, screen, || handle.new_search());
                    self.next_pages.extend(next);
                }
                Ok(())
            }
            Event::SearchFailed { search } => match self.waiting.remove(search).map(|search| search.asker) {
                Some(Asker::List) => {
                    screen.error("the tracker does not answer");
                    Err(Unanswered)
                }
                Some(Asker::TabKey(_)) | None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The command that asks for the next page of a `list`: when what was said before is read.
    pub(crate) fn take_next_page(&mut self) -> Option<Command> {
        self.next_pages.pop_front()
    }

    /// Whether a `list` waits for an answer.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.values().any(|search| matches!(search.asker, Asker::List))
    }

    fn on_found(
        &mut self,
        mut search: Search,
        contents: &[Listed],
        after: Option<&Cursor>,
        screen: &Screen,
        next: impl FnOnce() -> SearchId,
    ) -> Option<Command> {
        if let Asker::TabKey(reply) = &search.asker {
            let mut names: Vec<String> = contents.iter().map(|listed| listed.name.to_string()).collect();
            names.dedup();
            let _ = reply.send(names);
            return None;
        }
        search.listed += contents.len();
        screen.results(&report::listing(contents));
        match after {
            Some(after) => return Some(self.ask(search, Some(after.clone()), next())),
            None if search.listed == 0 => screen.note("nobody shares anything like that"),
            None => {}
        }
        None
    }

    fn ask(&mut self, search: Search, after: Option<Cursor>, number: SearchId) -> Command {
        let prefix = search.prefix.clone();
        self.waiting.insert(number, search);
        Command::Search { search: number, prefix, after }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use messages::{ContentId, Name};

    use super::*;

    fn listed(name: &str) -> Listed {
        let name = Name::new(name).expect("a name");
        let (complete, partial, hosts, age_s) = (1, 0, 1, 0);
        Listed { content: ContentId::from_bytes([1; 32]), length: 5, complete, partial, hosts, age_s, name }
    }

    #[test]
    fn a_long_list_is_asked_for_page_by_page() {
        let mut searches = Searches::default();
        let first = Search { prefix: Prefix::new("a").expect("short"), listed: 0, asker: Asker::List };
        let end = Cursor { tier: 7, name: Name::new("a2").expect("a name"), hosts: 1, number: 9 };
        let page = [listed("a1"), listed("a2")];
        let next = searches.on_found(first, &page, Some(&end), &Screen::Nowhere, || SearchId(2));
        let Some(Command::Search { search: SearchId(2), prefix, after: Some(after) }) = next else {
            panic!("no next page");
        };
        assert_eq!((prefix.as_str(), after), ("a", end));
        assert!(searches.is_waiting());
    }

    #[test]
    fn the_tab_key_gets_each_name_once() {
        let (reply, names) = mpsc::channel();
        let mut searches = Searches::default();
        let search = Search { prefix: Prefix::default(), listed: 0, asker: Asker::TabKey(reply) };
        let contents = [listed("a"), listed("a"), listed("b")];
        assert_eq!(searches.on_found(search, &contents, None, &Screen::Nowhere, || SearchId(2)), None);
        assert_eq!(names.recv(), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert!(!searches.is_waiting());
    }
}
