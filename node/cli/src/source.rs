//! What says more of a wanted content than its name or id: a description or a ticket, which also name trackers.

use anyhow::Result;
use config::NodeSettings;
use riffle::{Destination, InquiryEnd, NamedTracker, Question, Ticket, TrackerChoice, TrackerQuery, Wanted};

use crate::descriptions::Description;
use crate::exit::Stop;
use crate::settings::Settings;
use crate::{settings, target, tickets};

/// A description or a ticket.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A file that describes the content.
    Description(Description),
    /// A line that somebody has passed on.
    Ticket(Ticket),
}

impl Source {
    /// Reads what was typed: a ticket, the path of a description, or what the tracker is asked for.
    ///
    /// # Errors
    /// When it is a damaged ticket, no description, or no name that a content can have; each with its exit code.
    pub(crate) fn read(text: &str) -> Result<(Wanted, Option<Source>)> {
        if let Some(ticket) = tickets::read(text).map_err(Stop::usage)? {
            return Ok(Source::Ticket(ticket).with_wanted());
        }
        if let Some(description) = Description::read(text)? {
            return Ok(Source::Description(description).with_wanted());
        }
        let wanted = target::parse(text).map_err(|error| Stop::usage(format!("\"{text}\": {error}")))?;
        Ok((wanted, None))
    }

    /// What to fetch, beside the source.
    pub(crate) fn with_wanted(self) -> (Wanted, Option<Source>) {
        (self.wanted(), Some(self))
    }

    fn wanted(&self) -> Wanted {
        match self {
            Source::Description(description) => description.wanted(),
            Source::Ticket(ticket) => Wanted::Content(ticket.content()),
        }
    }

    /// The trackers that know the content.
    fn trackers(&self) -> Vec<NamedTracker> {
        match self {
            Source::Description(description) => {
                description.metainfo.trackers().iter().cloned().map(NamedTracker::from).collect()
            }
            Source::Ticket(ticket) => tickets::trackers(ticket),
        }
    }

    /// Where the content is saved that a person sends to `destination`: in a folder under the source's name for it.
    pub(crate) fn destination(&self, destination: Destination) -> Destination {
        let name = match self {
            Source::Description(description) => description.metainfo.name(),
            Source::Ticket(ticket) => ticket.name(),
        };
        match (destination, name) {
            (Destination::Folder(folder), Some(name)) => Destination::File(folder.join(name.as_str())),
            (destination, _) => destination,
        }
    }
}

/// Lets `settings` name the tracker of `sources`, unless a person named one. With tickets among them, returns a line that
/// says which tracker is asked.
pub(crate) async fn take_tracker(settings: &mut Settings, sources: &[&Source]) -> Option<String> {
    let of_tickets = || {
        sources.iter().filter_map(|source| match source {
            Source::Ticket(ticket) => Some(ticket),
            Source::Description(_) => None,
        })
    };
    let offered: Vec<NamedTracker> = of_tickets().flat_map(tickets::trackers).collect();
    let Some(named) = &mut settings.tracker else {
        settings.tracker = tracker_of(sources, &settings.clone()).await;
        let asked = settings.tracker.as_ref()?;
        return offered.contains(asked).then(|| format!("asking the ticket's tracker {}", asked.address));
    };
    Some(keep_named(named, offered.first()?, &offered))
}

/// Keeps the tracker that a person named. Its key may be in a ticket.
fn keep_named(named: &mut NamedTracker, first: &NamedTracker, offered: &[NamedTracker]) -> String {
    let same = offered.iter().find(|offered| offered.address == named.address);
    match same {
        Some(same) => {
            named.key = named.key.or(same.key);
            format!("asking the tracker {}, which the ticket names too", named.address)
        }
        None => {
            format!(
                "asking the tracker {}, which was named, and not the ticket's tracker {}",
                named.address, first.address
            )
        }
    }
}

/// Which tracker to ask for what these sources say: the first that knows one of the contents; if none does, the first
/// that answers; if none answers, the first. `None`: they name none.
async fn tracker_of(sources: &[&Source], settings: &NodeSettings) -> Option<NamedTracker> {
    let all = sources
        .iter()
        .flat_map(|source| source.trackers().into_iter().map(|tracker| (tracker, source.wanted())));
    let all: Vec<_> = all.collect();
    let mut answering = None;
    if all.iter().any(|(tracker, _)| *tracker != all[0].0) {
        for (tracker, wanted) in &all {
            let choice = TrackerChoice::Named(tracker.clone());
            let Ok(mut query) = TrackerQuery::new(&choice, settings, settings::asker(settings)) else {
                continue;
            };
            let Ok((found, end)) = query.ask_once(Question::Meant(wanted.clone())).await else { continue };
            if !found.is_empty() {
                return Some(tracker.clone());
            }
            if matches!(end, InquiryEnd::Answered { .. }) {
                answering = answering.or(Some(tracker));
            }
        }
    }
    answering.or(all.first().map(|(tracker, _)| tracker)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{content, name};

    fn ticket() -> Ticket {
        let key = riffle::PublicKey::from_bytes([7; 32]);
        tickets::of_share(content(5), &name("film.mkv"), ("10.0.0.7:1", Some(key))).expect("it fits")
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(future)
    }

    #[test]
    fn a_ticket_says_what_is_fetched_and_what_it_is_called() {
        let (wanted, source) = Source::read(&ticket().text()).expect("a ticket");
        assert_eq!(wanted, Wanted::Content(content(5)));
        let saved = source.expect("a ticket").destination(Destination::Folder("/d".into()));
        assert_eq!(saved, Destination::File("/d/film.mkv".into()));
        let (wanted, source) = Source::read("riffle1release@").expect("a name");
        assert_eq!(wanted, Wanted::Name(name("riffle1release"), String::new()));
        assert!(source.is_none());
    }

    #[test]
    fn the_tracker_that_a_person_named_goes_before_that_of_the_ticket_and_which_is_asked_is_said() {
        let source = Source::Ticket(ticket());
        let take = |named: Option<&str>| {
            let tracker = named.map(|named| named.parse().expect("a name"));
            let mut settings = Settings { tracker, ..Settings::default() };
            let said = block_on(take_tracker(&mut settings, &[&source])).expect("a line");
            (settings.tracker.expect("one"), said)
        };
        let of_ticket = tickets::trackers(&ticket()).remove(0);
        assert_eq!(take(None), (of_ticket.clone(), "asking the ticket's tracker 10.0.0.7:1".to_owned()));
        let (asked, said) = take(Some("tk:2"));
        assert_eq!((asked.to_string().as_str(), asked.key), ("tk:2", None));
        assert_eq!(said, "asking the tracker tk:2, which was named, and not the ticket's tracker 10.0.0.7:1");
        let (asked, said) = take(Some("10.0.0.7:1"));
        assert_eq!(asked, of_ticket, "with the key that the ticket has");
        assert!(said.contains("names too"), "{said}");
        let other = format!("{}@10.0.0.7:1", riffle::PublicKey::from_bytes([9; 32]));
        assert_eq!(take(Some(&other)).0.to_string(), other, "the person's word counts");
        let mut settings = Settings::default();
        assert_eq!(block_on(take_tracker(&mut settings, &[])), None);
        assert_eq!(settings.tracker, None);
    }
}
