//! The prompt: reads commands, carries them out on one node, and says what happens to the node.

mod awaited;
mod completion;
mod editor;
mod input;
mod inquiries;
mod limits;
mod outcome;
mod progress_lines;
mod searches;
mod shares;
mod verb;
mod verbs;

use std::time::{Duration, Instant};

use anyhow::Result;
use config::NodeSettings;
use riffle::{DownloadTimeouts, Event};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use self::awaited::{ANNOUNCE_TIME, Awaited, AwaitedAnswer, Standing};
use self::editor::TerminalMode;
use self::input::Typed;
use self::inquiries::{Answer, Inquiries, Occasion};
use self::limits::Limits;
use self::outcome::ScriptOutcome;
use self::progress_lines::ProgressLines;
use self::searches::{Searches, Unanswered};
use self::shares::Shares;
use self::verb::Verb;
use crate::arguments::OnMistake;
use crate::commands::send::{take_back, tell};
use crate::deliveries::Deliveries;
use crate::descriptions::Descriptions;
use crate::exit::ExitCode;
use crate::fetching::Fetching;
use crate::folders::{Keeping, enter_folder};
use crate::report::{self, Place};
use crate::running::{Embedding, Running};
use crate::screen::{self, Screen};
use crate::settings::Settings;
use crate::sharing::{News, Sharing};
use crate::signals::Signals;
use crate::swarms;

/// The prompt saves its list, says how far things are, and looks at its tracker this often.
const TICK: Duration = Duration::from_millis(500);

/// The prompt and its node.
struct Prompt {
    running: Running,
    screen: Screen,
    sharing: Sharing,
    /// The files that are shared again at the next start.
    shares: Shares,
    fetching: Fetching,
    descriptions: Descriptions,
    searches: Searches,
    inquiries: Inquiries,
    limits: Limits,
    timeouts: DownloadTimeouts,
    input: Input,
    /// The answer that the next line of a pipe waits for.
    awaited: AwaitedAnswer,
    outcome: ScriptOutcome,
    progress: ProgressLines,
    deliveries: Deliveries,
}

/// Where the lines come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// Lines come from a person at a terminal; `interrupted`: the last thing typed was Ctrl-C.
    Editor { interrupted: bool },
    /// Lines come from a pipe.
    Pipe,
    /// The pipe has ended, and the prompt finishes what runs.
    Ended { since: Instant },
}

/// Whether the prompt goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    Leave,
}

/// Runs the prompt until it is left.
///
/// # Errors
/// When the node cannot be started, with the exit code.
pub(crate) async fn run(mut settings: Settings, on_mistake: OnMistake) -> Result<ExitCode> {
    enter_folder(&mut settings)?;
    swarms::require_one(&settings, "a prompt is")?;
    // The mode is restored when this function returns, after everything has been said.
    let mode = TerminalMode::remember();
    let (typed_sender, typed) = mpsc::unbounded_channel();
    // Signals are heard before other nodes know of this one: from then on they are told when it leaves.
    let mut signals = Signals::listen(Screen::of_lines(settings.quiet), mode.restorer())?;
    let mut prompt = Prompt::open(&settings, typed_sender, on_mistake)?;
    signals.show_on(prompt.screen.clone());
    let asked = prompt.converse(typed, &mut signals).await?;
    // Whoever reads the last lines may be in a hurry from then on.
    signals.leaving().begin();
    let code = match prompt.input {
        // A person who leaves knows what is unfinished. A script, and whoever sent a signal, learns it from the code.
        Input::Editor { .. } if !asked => ExitCode::Done,
        Input::Pipe | Input::Ended { .. } if prompt.outcome.code() != ExitCode::Done => prompt.outcome.code(),
        _ if !prompt.fetching.is_over() => ExitCode::Interrupted,
        Input::Editor { .. } | Input::Pipe | Input::Ended { .. } => ExitCode::Done,
    };
    let unfinished: Vec<&str> = prompt.fetching.labels().collect();
    if !unfinished.is_empty() {
        let names = unfinished.join(", ");
        let next_time = match prompt.fetching.has_some() {
            true => "the same download goes on with it next time",
            false => "nothing has arrived",
        };
        prompt.screen.error(&format!("{names}: unfinished; {next_time}"));
    }
    prompt.save();
    prompt.running.leave(&signals.leaving(), |_| {}).await;
    Ok(code)
}

/// How long things may take. A person sees what a download waits for and can cancel it; a script would wait for ever. A
/// name that nobody shares is waited for only with `--wait`.
fn timeouts(input: Input, settings: &NodeSettings) -> DownloadTimeouts {
    let unknown = Some(Duration::ZERO);
    match input {
        Input::Editor { .. } => DownloadTimeouts { nobody_shares: unknown, ..DownloadTimeouts::NONE },
        Input::Pipe | Input::Ended { .. } => {
            let stall = Some(settings.download.stall_timeout);
            DownloadTimeouts { tracker: stall, nobody_shares: unknown, no_progress: stall, disk_full: stall }
        }
    }
}

impl Prompt {
    fn open(settings: &Settings, typed: UnboundedSender<Typed>, on_mistake: OnMistake) -> Result<Prompt> {
        let running = Running::start(
            settings,
            (Embedding::Allowed, Keeping::Required),
            &Screen::of_lines(settings.quiet),
        )?;
        let (screen, input) = if screen::can_edit() {
            (editor::start(running.state()?.history(), typed)?, Input::Editor { interrupted: false })
        } else {
            input::read_pipe(typed)?;
            (Screen::of_lines(settings.quiet), Input::Pipe)
        };
        if matches!(input, Input::Editor { .. }) {
            let label = running.state()?.label();
            screen.note(&format!("node {label}, tracker {}; help shows the commands", running.tracker()));
        }
        let secrets = settings.secrets()?;
        let (mut shares, damage) = Shares::open(shares::file_of(running.state()?, &secrets));
        let mut sharing = Sharing::default();
        let again = shares.restore(&mut sharing, &running.node);
        for line in damage.into_iter().chain(again) {
            screen.note(&line);
        }
        let fetching = Fetching::new(Place::Prompt);
        Ok(Prompt {
            running,
            screen,
            sharing,
            shares,
            fetching,
            descriptions: Descriptions::default(),
            searches: Searches::default(),
            inquiries: Inquiries::default(),
            limits: Limits::of(settings),
            timeouts: timeouts(input, settings),
            input,
            awaited: AwaitedAnswer::default(),
            outcome: ScriptOutcome::new(on_mistake),
            progress: ProgressLines::new(settings.progress_period.period(), Instant::now()),
            deliveries: Deliveries::default(),
        })
    }

    /// Carries out what is typed until the prompt is left. Returns whether a signal asked for that.
    async fn converse(&mut self, mut typed: UnboundedReceiver<Typed>, signals: &mut Signals) -> Result<bool> {
        let mut tick = tokio::time::interval(TICK);
        loop {
            let next = tokio::select! {
                event = self.running.next_event() => self.on_event(&event?),
                Some(answer) = self.inquiries.next() => self.on_answer(&answer).await,
                Some(typed) = typed.recv(), if !self.awaited.is_waiting() => self.on_typed(typed).await,
                _ = tick.tick() => self.on_tick(Instant::now()).await,
                () = signals.asked() => return Ok(true),
            };
            if next == Next::GoOn {
                self.continue_waits(Instant::now()).await;
            }
            let is_script = !matches!(self.input, Input::Editor { .. });
            if next == Next::Leave || (is_script && self.outcome.is_stopped()) {
                return Ok(false);
            }
        }
    }

    /// Asks for the next page of a list if the last one is read, and ends the wait for an answer if that is there.
    async fn continue_waits(&mut self, now: Instant) {
        if self.screen.has_room() {
            self.searches.ask_next_page(&self.running.node);
        }
        let standing = self.standing();
        match self.awaited.take_if_over(standing, now) {
            Some(Awaited::FirstWord(verb)) => self.carry_out(verb).await,
            Some(Awaited::Announced { .. }) if standing.is_unannounced => {
                let why = "the tracker has not heard of what was sent; it is told as soon as it answers";
                self.refuse(ExitCode::TrackerUnreachable, why);
            }
            _ => {}
        }
    }

    fn standing(&self) -> Standing {
        Standing {
            is_starting: self.running.is_starting(),
            is_listing: self.searches.is_waiting() || self.inquiries.is_waiting(),
            is_hashing: self.sharing.is_hashing(),
            is_unannounced: self.sharing.is_unannounced(),
        }
    }

    /// Waits for the answer to a command before the next line of a pipe. A person at a terminal sees that the answer is
    /// missing.
    fn wait_for(&mut self, awaited: Awaited) {
        if !matches!(self.input, Input::Editor { .. }) {
            self.awaited.begin(awaited);
        }
    }

    /// Says why what was typed cannot be done, and fails with `code`.
    fn refuse(&mut self, code: ExitCode, why: &str) {
        self.screen.error(why);
        self.outcome.fail(code);
    }

    fn on_event(&mut self, event: &Event) -> Next {
        self.running.on_event(event, &self.screen);
        self.awaited.on_event(event);
        self.progress.plain.on_event(event);
        self.deliveries.on_event(event);
        self.fetching.on_event(event, self.running.tracker(), &self.screen);
        self.outcome.fail(self.fetching.code());
        self.descriptions.on_event(event, &self.screen);
        if self.descriptions.is_contradicted() {
            self.outcome.fail(ExitCode::Integrity);
        }
        match self.searches.on_event(event, &self.screen) {
            Err(Unanswered) => self.outcome.fail(ExitCode::TrackerUnreachable),
            Ok(None) => {}
            Ok(Some(only)) => {
                let (content, label) = (only.content, only.name.to_string());
                let occasion = Occasion::Listed(Box::new(only));
                self.inquiries.ask(content.into(), label, occasion, &self.running.node);
            }
        }
        for news in self.sharing.on_event(event) {
            // Whoever reads that a file is shared may end this program at once, so the list is saved first. A script
            // that shares thousands of files saves with the next tick.
            if matches!(news, News::Announced { .. }) && !self.shares.were_saved_within(TICK) {
                self.save();
            }
            tell(&news, &self.running, None, &self.screen);
            match &news {
                News::Failed(error) => self.outcome.fail(ExitCode::of_disk(error)),
                News::Replaced { shares, .. } => {
                    take_back(shares, &mut self.sharing, &self.running.node);
                    shares.iter().for_each(|share| self.shares.on_replaced(*share));
                }
                // A share that ends later is no mistake of the script.
                News::Announced { .. } | News::Skipped(_) | News::FilesWithdrawn { .. } | News::Ended(_) => {}
            }
        }
        self.shares.on_event(event, &mut self.sharing);
        self.leave_when_finished(Instant::now())
    }

    /// Shows what is in a content, or why that is not known.
    async fn on_answer(&mut self, answer: &Answer) -> Next {
        if let Some(prefix) = answer.prefix_of_names() {
            self.searches.list(prefix.clone(), &self.running.node);
            return Next::GoOn;
        }
        let code = answer.show(self.running.tracker(), &self.screen).await;
        self.outcome.fail(code);
        self.leave_when_finished(Instant::now())
    }

    async fn on_typed(&mut self, typed: Typed) -> Next {
        match typed {
            Typed::Complete { prefix, reply } => {
                self.searches.complete(prefix, reply, &self.running.node);
                return Next::GoOn;
            }
            Typed::Interrupt => {
                if self.input == (Input::Editor { interrupted: true }) {
                    return Next::Leave;
                }
                self.input = Input::Editor { interrupted: true };
                self.screen.note("Ctrl-C again, or exit, leaves");
            }
            Typed::End => {
                if matches!(self.input, Input::Editor { .. }) {
                    return Next::Leave;
                }
                self.input = Input::Ended { since: Instant::now() };
                return self.leave_when_finished(Instant::now());
            }
            Typed::NotText => self.refuse(ExitCode::Usage, "a line that is not UTF-8 text is no command"),
            Typed::Line(line) => {
                if let Input::Editor { interrupted } = &mut self.input {
                    *interrupted = false;
                }
                match verb::parse(&line) {
                    Ok(Verb::Exit) => return Next::Leave,
                    // The tracker may still answer its first request: until then `status` would call it unheard.
                    Ok(verb @ (Verb::Status | Verb::Peers)) if self.has_to_wait() => {
                        self.wait_for(Awaited::FirstWord(verb));
                    }
                    Ok(verb) => self.carry_out(verb).await,
                    Err(mistake) => self.refuse(ExitCode::Usage, &mistake.to_string()),
                }
            }
        }
        // A script may have thousands of lines, so its list is saved with the next tick.
        if matches!(self.input, Input::Editor { .. }) {
            self.save();
        }
        editor::release(&self.screen);
        Next::GoOn
    }

    fn has_to_wait(&self) -> bool {
        self.running.is_starting() && !matches!(self.input, Input::Editor { .. })
    }

    /// Saves the list if it has changed.
    fn save(&mut self) {
        if let Some(trouble) = self.shares.save() {
            self.screen.error(&trouble);
        }
    }

    async fn on_tick(&mut self, now: Instant) -> Next {
        self.running.on_tick(now, &self.screen);
        self.save();
        self.screen.notes(&self.deliveries.take_lines());
        self.tell_progress(now).await;
        self.leave_when_finished(now)
    }

    /// Says how far hashing and downloads are: to a person every few seconds, to a pipe as often as the settings say.
    async fn tell_progress(&mut self, now: Instant) {
        let is_edited = matches!(self.input, Input::Editor { .. });
        if !is_edited {
            self.screen.notes(&self.progress.plain.on_hashing(now));
        }
        if self.fetching.is_over() || (is_edited && !self.progress.is_person_due(now)) {
            return;
        }
        self.progress.begin_person_period(now);
        let Ok(status) = self.running.node.status().await else { return };
        let lines = match is_edited {
            true => status.downloads.iter().map(report::progress).collect(),
            false => self.progress.plain.on_downloads(&status.downloads, now),
        };
        self.screen.notes(&lines);
    }

    /// Leaves once the pipe has ended and everything that it began is finished.
    fn leave_when_finished(&self, now: Instant) -> Next {
        let Input::Ended { since } = self.input else { return Next::GoOn };
        let announcing = self.sharing.is_unannounced() && now < since + ANNOUNCE_TIME;
        let listing = self.searches.is_waiting() || self.inquiries.is_waiting();
        let busy = !self.fetching.is_over() || self.sharing.is_hashing() || announcing || listing;
        if busy { Next::GoOn } else { Next::Leave }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_never_waits_for_ever() {
        let settings = NodeSettings::default();
        let script = timeouts(Input::Pipe, &settings);
        assert!(script.tracker.is_some() && script.nobody_shares.is_some() && script.no_progress.is_some());
        let person = timeouts(Input::Editor { interrupted: false }, &settings);
        assert_eq!(
            person,
            DownloadTimeouts { nobody_shares: Some(Duration::ZERO), ..DownloadTimeouts::NONE }
        );
    }
}
