//! Searches in what the tracker knows: for `list`, page by page, and for the Tab key.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::Sender;

use messages::tracker_to_node::Listed;
use messages::{Cursor, Prefix};
use riffle::{Event, Node, SearchId};

use crate::report;
use crate::screen::Screen;

/// The searches that wait for an answer, or for the reader of their last page.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    waiting: BTreeMap<SearchId, Search>,
    /// The searches for the pages behind those that were said.
    next_pages: VecDeque<(Search, Cursor)>,
}

/// One search.
#[derive(Debug)]
struct Search {
    prefix: Prefix,
    listed: usize,
    asker: Asker,
}

impl Search {
    /// The content that was found, if that is the only one of a `list` and has the very name.
    fn only<'a>(&self, found: &'a [Listed], next: Option<&Cursor>) -> Option<&'a Listed> {
        match found {
            [only]
                if next.is_none()
                    && self.listed == 0
                    && matches!(self.asker, Asker::List)
                    && only.name.as_str() == self.prefix.as_str() =>
            {
                Some(only)
            }
            _ => None,
        }
    }
}

/// What a search is for.
#[derive(Clone, Debug)]
enum Asker {
    List,
    TabKey(Sender<Vec<String>>),
}

/// The tracker does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unanswered;

impl Searches {
    /// Begins a `list`.
    pub(crate) fn list(&mut self, prefix: Prefix, node: &Node) {
        self.ask(Search { prefix, listed: 0, asker: Asker::List }, None, node);
    }

    /// Asks for names for the Tab key, which go to `reply`.
    pub(crate) fn complete(&mut self, prefix: Prefix, reply: Sender<Vec<String>>, node: &Node) {
        self.ask(Search { prefix, listed: 0, asker: Asker::TabKey(reply) }, None, node);
    }

    /// Takes in an answer. Returns the one content of a `list` whose whole name was typed, of which nothing was said.
    ///
    /// # Errors
    /// [`Unanswered`] when a `list` ends without an answer, which was said.
    pub(crate) fn on_event(&mut self, event: &Event, screen: &Screen) -> Result<Option<Listed>, Unanswered> {
        match event {
            Event::Found { search, contents, next } => {
                let Some(search) = self.waiting.remove(search) else { return Ok(None) };
                if let Some(only) = search.only(contents, next.as_ref()) {
                    return Ok(Some(only.clone()));
                }
                let next = on_found(search, contents, next.as_ref(), screen);
                self.next_pages.extend(next);
                Ok(None)
            }
            Event::SearchFailed { search } => match self.waiting.remove(search).map(|search| search.asker) {
                Some(Asker::List) => {
                    screen.error("the tracker does not answer");
                    Err(Unanswered)
                }
                Some(Asker::TabKey(_)) | None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// Asks for the next page of a `list`. To be called when the last page is read.
    pub(crate) fn ask_next_page(&mut self, node: &Node) {
        if let Some((search, after)) = self.next_pages.pop_front() {
            self.ask(search, Some(after), node);
        }
    }

    /// Whether a `list` waits for an answer or has a further page.
    pub(crate) fn is_waiting(&self) -> bool {
        let next = self.next_pages.iter().map(|(search, _)| search);
        self.waiting.values().chain(next).any(|search| matches!(search.asker, Asker::List))
    }

    fn ask(&mut self, search: Search, after: Option<Cursor>, node: &Node) {
        let asked = node.search(search.prefix.clone(), after);
        self.waiting.insert(asked, search);
    }
}

/// Says one page. Returns the search for the next page, if there is one.
fn on_found(
    mut search: Search,
    contents: &[Listed],
    after: Option<&Cursor>,
    screen: &Screen,
) -> Option<(Search, Cursor)> {
    if let Asker::TabKey(reply) = &search.asker {
        let mut names: Vec<String> = contents.iter().map(|listed| listed.name.to_string()).collect();
        names.dedup();
        let _ = reply.send(names);
        return None;
    }
    search.listed += contents.len();
    screen.results(&report::listing(contents));
    if after.is_none() && search.listed == 0 {
        screen.note("nobody shares anything like that");
    }
    after.map(|after| (search, after.clone()))
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
        let first = Search { prefix: Prefix::new("a").expect("short"), listed: 0, asker: Asker::List };
        let end = Cursor { tier: 7, name: Name::new("a2").expect("a name"), hosts: 1, number: 9 };
        let page = [listed("a1"), listed("a2")];
        let (search, after) = on_found(first, &page, Some(&end), &Screen::Nowhere).expect("a next page");
        assert_eq!((search.prefix.as_str(), search.listed, after), ("a", 2, end.clone()));
        let searches = Searches { next_pages: [(search, end)].into(), ..Searches::default() };
        assert!(searches.is_waiting());
    }

    #[test]
    fn the_one_content_of_a_whole_name_is_looked_into() {
        let list =
            |prefix| Search { prefix: Prefix::new(prefix).expect("short"), listed: 0, asker: Asker::List };
        let (one, two) = ([listed("a1")], [listed("a1"), listed("a1")]);
        assert_eq!(list("a1").only(&one, None), Some(&one[0]));
        assert_eq!((list("a").only(&one, None), list("a1").only(&two, None)), (None, None));
        assert_eq!(Search { listed: 1, ..list("a1") }.only(&one, None), None);
    }

    #[test]
    fn the_tab_key_gets_each_name_once() {
        let (reply, names) = mpsc::channel();
        let search = Search { prefix: Prefix::default(), listed: 0, asker: Asker::TabKey(reply) };
        let contents = [listed("a"), listed("a"), listed("b")];
        assert!(on_found(search, &contents, None, &Screen::Nowhere).is_none());
        assert_eq!(names.recv(), Ok(vec!["a".to_owned(), "b".to_owned()]));
    }
}
