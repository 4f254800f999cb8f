//! Carries out the commands of the prompt.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use riffle::{DownloadTimeouts, ShareStatus, Ticket, Wanted};

use super::Prompt;
use super::awaited::Awaited;
use super::inquiries::Occasion;
use super::verb::{DownloadCommand, LimitChange, ListFiles, Selector, TOPICS, Topic, Verb};
use crate::commands::send::take_back;
use crate::exit::Stop;
use crate::exit::{self, ExitCode};
use crate::folders::download_folder;
use crate::sharing::SendAs;
use crate::source::Source;
use crate::{fetching, peers, report, target, tickets};

impl Prompt {
    pub(super) async fn carry_out(&mut self, verb: Verb) {
        match verb {
            Verb::Nothing | Verb::Exit => {}
            Verb::Send(files, send_as) => self.send(&files, &send_as),
            Verb::Download(fetch) => self.download(fetch),
            Verb::List(prefix) => {
                self.searches.list(prefix, &self.running.node);
                self.wait_for(Awaited::List);
            }
            Verb::ListFiles(ListFiles { wanted, label, prefix, select }) => {
                let occasion = prefix.map_or(Occasion::Asked(select), Occasion::MayBeId);
                self.inquiries.ask(wanted, label, occasion, &self.running.node);
                self.wait_for(Awaited::List);
            }
            Verb::Help(topic) => self.screen.results(&help(topic)),
            Verb::Limit(change) => self.limit(change),
            Verb::Status | Verb::Peers | Verb::Cancel(_) | Verb::Unshare(_) => self.with_status(verb).await,
        }
    }

    fn send(&mut self, files: &[PathBuf], send_as: &SendAs) {
        for together in send_as.together(files) {
            match self.sharing.begin(together, send_as, &self.running.node) {
                Ok((share, name)) => {
                    if !self.shares.add(together, name, send_as, share) {
                        self.screen.note("so many files are remembered that this one is not");
                    }
                }
                Err(error) => self.refuse(ExitCode::of_disk(&error), &error.to_string()),
            }
        }
        self.wait_for(Awaited::Announced { hashed_at: None });
    }

    fn download(
        &mut self,
        DownloadCommand {
            wanted,
            described,
            tickets,
            ticket_file,
            output,
            force,
            update,
            delete,
            select,
            without_metadata,
            rename_invalid,
            wait,
        }: DownloadCommand,
    ) {
        let wanted = match with_sources(wanted, &described, tickets, ticket_file.as_deref()) {
            Ok(wanted) => wanted,
            Err(error) => return self.refuse(exit::code_of(&error), &format!("{error:#}")),
        };
        let folder = match download_folder() {
            Ok(folder) => folder,
            Err(error) => return self.refuse(exit::code_of(&error), &format!("{error:#}")),
        };
        if let Some(objection) = fetching::objection(output.as_deref(), &folder, wanted.len()) {
            return self.refuse(ExitCode::Usage, objection);
        }
        self.say_whom_it_asks(wanted.iter().filter_map(|(_, source)| source.as_ref()));
        let timeouts = if wait { DownloadTimeouts::NONE } else { self.timeouts };
        let mut begun = BTreeSet::new();
        for (wanted, source) in wanted {
            let destination = fetching::destination(output.as_deref(), &folder);
            let destination = match &source {
                Some(source) => source.destination(destination),
                None => destination,
            };
            let request = self.running.node.download(wanted.clone()).to(destination);
            let request = if without_metadata { request.without_metadata() } else { request };
            let request = if rename_invalid { request.rename_invalid() } else { request };
            let request = fetching::over_what_exists(request, force, (update, delete));
            let request = request.select(select.clone()).timeouts(timeouts);
            let download = self.fetching.begin(&wanted, request);
            if let Some(Source::Description(description)) = source {
                self.descriptions.insert(download, description);
            }
            begun.insert(download);
        }
        self.wait_for(Awaited::Identified { downloads: begun, with_wait: wait });
        self.progress.begin_person_period(Instant::now());
    }

    /// Says that a ticket's tracker is not asked: a prompt has one tracker for all that it does.
    fn say_whom_it_asks<'a>(&self, sources: impl Iterator<Item = &'a Source>) {
        let tracker = self.running.tracker();
        for source in sources {
            if let Source::Ticket(ticket) = source
                && !tickets::names(ticket, tracker)
                && let [first, ..] = ticket.trackers()
            {
                let what =
                    format!("asking this prompt's tracker {tracker}, and not the ticket's tracker {first}");
                self.screen.note(&what);
            }
        }
    }

    fn limit(&mut self, change: Option<LimitChange>) {
        if let Some(change) = change {
            self.limits.change(change);
            self.running.node.set_limits(self.limits.upload, self.limits.download);
        }
        self.screen.result(&self.limits.line());
    }

    /// Carries out the commands that need the status of the node.
    async fn with_status(&mut self, verb: Verb) {
        let Ok(status) = self.running.node.status().await else { return };
        match verb {
            Verb::Status => {
                let tracker = self.running.tracker().to_string();
                let lines = report::status_of(self.running.node.id(), &status, &tracker);
                self.screen.results(&[self.running.swarm(), lines].concat());
            }
            Verb::Peers => self.screen.results(&[self.running.swarm(), peers::peers(&status)].concat()),
            Verb::Cancel(selector) => {
                let all = status.downloads.iter();
                let chosen =
                    choose(&selector, all.map(|one| (one.download, one.download.0, one.name.as_str())));
                match chosen {
                    Ok(download) => self.running.node.cancel(download),
                    Err(why) => {
                        let what = format!("no download {why}; status shows the downloads");
                        self.refuse(ExitCode::NotFound, &what);
                    }
                }
            }
            Verb::Unshare(choice) => self.unshare(&status.shares, &choice),
            _ => {}
        }
    }

    fn unshare(&mut self, all: &[ShareStatus], choice: &str) {
        let (name, shares) = match chosen_share(all, choice) {
            Some(chosen) => (chosen.name.as_str(), self.shares.forget(chosen.share)),
            // A file that was missing at the start, or was changed since, is not shared now and is on the list all the
            // same.
            None => match self.shares.forget_named(choice) {
                Some(shares) => (choice, shares),
                None => {
                    let what = format!("no share \"{choice}\"; status shows the shares");
                    return self.refuse(ExitCode::NotFound, &what);
                }
            },
        };
        take_back(&shares, &mut self.sharing, &self.running.node);
        self.screen.note(&format!("{name} is no longer shared"));
    }
}

/// What to fetch: `wanted`, what the descriptions at the paths `described` say (where there is no such file, the content
/// of that name), and what the tickets say.
///
/// # Errors
/// When a description or a ticket is none, or no content can have that name.
fn with_sources(
    wanted: Vec<Wanted>,
    described: &[String],
    tickets: Vec<Ticket>,
    ticket_file: Option<&Path>,
) -> Result<Vec<(Wanted, Option<Source>)>> {
    let mut all: Vec<_> = wanted.into_iter().map(|wanted| (wanted, None)).collect();
    for text in described {
        all.push(Source::read(text)?);
    }
    let more = ticket_file.map_or_else(|| Ok(Vec::new()), tickets::read_file)?;
    more.iter().try_for_each(tickets::refuse_open).map_err(Stop::usage)?;
    all.extend(tickets.into_iter().chain(more).map(|ticket| Source::Ticket(ticket).with_wanted()));
    Ok(all)
}

/// The chosen one of `all`, each of which comes with its number and its name.
///
/// # Errors
/// What was looked for in vain.
fn choose<'a, T: Copy>(
    selector: &Selector,
    all: impl Iterator<Item = (T, u32, &'a str)>,
) -> Result<T, String> {
    let mut all = all;
    let found = match selector {
        Selector::Number(wanted) => {
            all.find(|(_, number, name)| number == wanted || *name == wanted.to_string())
        }
        Selector::Name(wanted) => all.find(|(_, _, name)| name == wanted),
    };
    let looked_for = || match selector {
        Selector::Number(number) => format!("#{number}"),
        Selector::Name(name) => format!("\"{name}\""),
    };
    found.map(|(chosen, ..)| chosen).ok_or_else(looked_for)
}

/// The share with the name `typed`, else the first whose id begins with it.
fn chosen_share<'a>(shares: &'a [ShareStatus], typed: &str) -> Option<&'a ShareStatus> {
    let typed_id = typed.to_ascii_lowercase();
    let has_id = |share: &&ShareStatus| {
        typed.len() >= target::MIN_PREFIX
            && share.content.is_some_and(|content| content.to_string().starts_with(&typed_id))
    };
    let named = shares.iter().find(|share| share.name.as_str() == typed);
    named.or_else(|| shares.iter().find(has_id))
}

fn help(topic: Option<&'static Topic>) -> Vec<String> {
    let line = |topic: &Topic| format!("  {:<42}{}", topic.usage, topic.summary);
    let topics = topic.map_or(TOPICS, std::slice::from_ref);
    let mut lines: Vec<String> = topics.iter().map(line).collect();
    if topic.is_none() {
        lines.push("names with spaces go in quotes; Tab completes; Ctrl-D leaves".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use riffle::ShareId;

    use super::*;

    #[test]
    fn a_thing_is_chosen_by_number_or_name() {
        let all = || [('a', 1, "x"), ('b', 2, "7")].into_iter();
        assert_eq!(choose(&Selector::Number(1), all()), Ok('a'));
        assert_eq!(choose(&Selector::Number(7), all()), Ok('b'));
        assert_eq!(choose(&Selector::Name("x".to_owned()), all()), Ok('a'));
        assert_eq!(choose(&Selector::Name("y".to_owned()), all()), Err("\"y\"".to_owned()));
    }

    #[test]
    fn a_share_is_chosen_by_its_name_before_its_id() {
        let share =
            |number, name, byte| ShareStatus { share: ShareId(number), ..crate::fixtures::share(name, byte) };
        let shares = [share(1, "x", 0xab), share(2, "abab", 0xcd)];
        let number = |typed| chosen_share(&shares, typed).map(|share| share.share.0);
        assert_eq!(number("x"), Some(1));
        assert_eq!(number("abab"), Some(2));
        assert_eq!(number("ABABAB"), Some(1));
        assert_eq!((number("cd"), number("zz")), (None, None));
    }

    #[test]
    fn help_shows_every_command() {
        let lines = help(None);
        assert!(TOPICS.iter().all(|topic| lines.iter().any(|line| line.contains(topic.usage))));
        assert_eq!(help(Some(&TOPICS[0])).len(), 1);
    }
}
