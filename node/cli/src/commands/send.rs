//! `riffle send FILE...`: shares files until it is ended, and prints the line that fetches each.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::Result;
use riffle::{DiskError, DiskErrorKind, Event, Node, ShareId, SwarmSecret};

use crate::arguments::Send;
use crate::codes::{self, CodeOnOffer};
use crate::deliveries::Deliveries;
use crate::exit::{ExitCode, Stop};
use crate::folders::{Keeping, enter_folder};
use crate::progress::Progress;
use crate::report;
use crate::running::{Embedding, Running};
use crate::screen::Screen;
use crate::settings::Settings;
use crate::sharing::{self, News, SendAs, Sharing};
use crate::signals::Signals;
use crate::spool::{self, Spool};
use crate::swarms::{self, Swarm};
use crate::tickets;

/// What stands for the standard input.
const STDIN: &str = "-";

/// Runs the command.
///
/// # Errors
/// When a file cannot be shared or the node cannot be started; each with its exit code.
pub(crate) async fn run(mut settings: Settings, arguments: Send) -> Result<ExitCode> {
    enter_folder(&mut settings)?;
    if !arguments.all_swarms {
        swarms::require_one(&settings, "a file is shared, without --all-swarms,")?;
    }
    if arguments.all_swarms && arguments.code {
        return Err(
            Stop::usage("--code lets people into one swarm: --secret-file FILE names it alone").into()
        );
    }
    let swarms = swarms::of_nodes(&settings)?;
    if arguments.open_ticket && settings.secret_file.is_empty() {
        let what = "--open-ticket puts a swarm's secret into the ticket, and none was named: --secret-file FILE names it";
        return Err(Stop::usage(what).into());
    }
    let send_as = send_as(&arguments);
    let screen = Screen::of_one_shot(settings.quiet);
    // Files are checked before anything is started, so that a mistyped path is answered at once.
    let is_stdin = reads_stdin(&arguments)?;
    if arguments.code && arguments.files.len() > 1 && arguments.name.is_none() {
        let what = "--code is for one file or folder: --name NAME makes one folder of several";
        return Err(Stop::usage(what).into());
    }
    let (mut files, mut code) = sort_out(&arguments, &send_as, &screen)?;
    if files.is_empty() && !is_stdin {
        return Ok(code);
    }
    // Signals are heard before other nodes know of this one: from then on they are told when it leaves.
    let spool = Spool::default();
    let mut signals = Signals::listen(screen.clone(), spool.remover())?;
    let embedding = if arguments.code { Embedding::WithCodes } else { Embedding::Allowed };
    let running = Running::start_in_each(&swarms, (embedding, Keeping::IfPossible), &screen)?;
    let sender = |(running, swarm): (Running, Swarm)| {
        let open_with = arguments.open_ticket.then(|| swarm.settings.secrets()).transpose()?;
        Ok(Sender::new(running, swarm, open_with.map(|secrets| secrets.first().clone()), &screen))
    };
    let senders: Result<Vec<Sender>> = running.into_iter().zip(swarms).map(sender).collect();
    let mut senders = senders?;
    let mut offer = arguments.code.then(|| CodeOnOffer::new(&settings));
    if is_stdin {
        let path = spool.make(senders[0].running.state()?)?.join("stdin");
        if spool_stdin(path.clone(), &mut senders, &mut signals).await? == Spooled::Interrupted {
            leave(senders, &signals).await;
            return Ok(ExitCode::Interrupted);
        }
        files.push(path);
    }
    for sender in &mut senders {
        let Sender { sharing, running, .. } = sender;
        code = begin(&files, &send_as, sharing, &running.node, &screen).unwrap_or(code);
    }
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    while !senders.iter().all(|sender| sender.sharing.is_empty()) {
        tokio::select! {
            (which, event) = next_event(&mut senders) => {
                let sender = &mut senders[which];
                let (found, is_refused) = sender.on_event(&event?, arguments.strict, &mut offer)?;
                code = found.unwrap_or(code);
                if is_refused {
                    code = ExitCode::Io;
                    break;
                }
                let is_delivered = |copies| senders.iter().all(|sender| sender.is_delivered(copies));
                if arguments.copies_wanted().is_some_and(is_delivered) {
                    break;
                }
            }
            news = CodeOnOffer::next(&mut offer) => codes::tell(&news, &senders[0].running, &settings, &screen),
            _ = tick.tick() => {
                let now = Instant::now();
                for sender in &mut senders {
                    sender.on_tick(now).await;
                }
            }
            () = signals.asked() => {
                screen.note("leaving; Ctrl-C again ends at once");
                break;
            }
        }
    }
    if let Some(offer) = offer {
        offer.withdraw().await;
    }
    for sender in &mut senders {
        sender.progress.end_uploads();
        let lines = [sender.deliveries.take_lines(), sender.deliveries.closing()].concat();
        sender.say(&lines);
    }
    leave(senders, &signals).await;
    Ok(code)
}

/// What is shared in one swarm, by a node of its own.
struct Sender {
    running: Running,
    sharing: Sharing,
    deliveries: Deliveries,
    progress: Progress,
    screen: Screen,
    /// Which of several swarms it is.
    swarm: Option<String>,
    /// The secret that tickets have in them.
    open_with: Option<SwarmSecret>,
}

impl Sender {
    fn new(running: Running, swarm: Swarm, open_with: Option<SwarmSecret>, screen: &Screen) -> Sender {
        let period = swarm.settings.progress_period;
        Sender {
            running,
            sharing: Sharing::default(),
            deliveries: Deliveries::default(),
            progress: Progress::new(screen.clone(), BTreeMap::new(), period),
            screen: screen.clone(),
            swarm: swarm.called,
            open_with,
        }
    }

    /// Takes in an event. Returns the exit code that follows, if one does, and whether all that was asked for is refused
    /// because some of it is. `strict`: it is all or nothing. What is announced is what a code on `offer` is for.
    ///
    /// # Errors
    /// As [`CodeOnOffer::begin`].
    fn on_event(
        &mut self,
        event: &Event,
        strict: bool,
        offer: &mut Option<CodeOnOffer>,
    ) -> Result<(Option<ExitCode>, bool)> {
        self.running.on_event(event, &self.screen);
        self.progress.on_event(event);
        self.deliveries.on_event(event);
        let (mut code, mut is_refused) = (None, false);
        for news in self.sharing.on_event(event) {
            if let Some(swarm) = &self.swarm {
                self.screen.note(&format!("in the swarm {swarm}:"));
            }
            tell(&news, &self.running, self.open_with.as_ref(), &self.screen);
            if let (Some(offer), News::Announced { name, content, .. }) = (&mut *offer, &news) {
                offer.begin(*content, name, &self.running)?;
            }
            is_refused |= strict && matches!(news, News::Skipped(_));
            code = on_news(news, &mut self.sharing, &self.running.node).or(code);
        }
        Ok((code, is_refused))
    }

    async fn on_tick(&mut self, now: Instant) {
        self.running.on_tick(now, &self.screen);
        self.progress.show_hashing(now);
        let lines = self.deliveries.take_lines();
        self.say(&lines);
        show_deliveries(&mut self.deliveries, &mut self.progress, &self.running.node, &self.screen).await;
    }

    /// Says each line, and of several swarms which one it is about.
    fn say(&self, lines: &[String]) {
        match &self.swarm {
            Some(swarm) => {
                lines.iter().for_each(|line| self.screen.note(&format!("the swarm {swarm}: {line}")))
            }
            None => self.screen.notes(lines),
        }
    }

    fn is_delivered(&self, copies: usize) -> bool {
        !self.sharing.is_hashing() && self.deliveries.are_delivered(copies)
    }
}

/// Waits for the next event of one of them. Returns which one's it is.
async fn next_event(senders: &mut [Sender]) -> (usize, Result<Event>) {
    let mut all: Vec<_> = senders.iter_mut().map(|sender| Box::pin(sender.running.next_event())).collect();
    std::future::poll_fn(move |context| {
        let ready = all.iter_mut().enumerate().find_map(|(which, next)| match next.as_mut().poll(context) {
            Poll::Ready(event) => Some((which, event)),
            Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Takes leave in each swarm. The first node goes last, since the others may use the tracker that it runs.
async fn leave(senders: Vec<Sender>, signals: &Signals) {
    for sender in senders.into_iter().rev() {
        sender.running.leave(&signals.leaving(), |_| {}).await;
    }
}

/// Begins to share the files. Says why one cannot be, and returns the exit code of the last of those.
fn begin(
    files: &[PathBuf],
    send_as: &SendAs,
    sharing: &mut Sharing,
    node: &Node,
    screen: &Screen,
) -> Option<ExitCode> {
    let mut code = None;
    let all = send_as.together(files).into_iter();
    for error in all.filter_map(|files| sharing.begin(files, send_as, node).err()) {
        code = Some(ExitCode::of_disk(&error));
        tell_failure(&error, screen);
    }
    code
}

/// Does what follows from news of a share. Returns the exit code that follows, if one does.
fn on_news(news: News, sharing: &mut Sharing, node: &Node) -> Option<ExitCode> {
    match news {
        News::Failed(error) | News::Ended(error) => return Some(ExitCode::of_disk(&error)),
        News::Replaced { shares, .. } => take_back(&shares, sharing, node),
        News::FilesWithdrawn { files, .. } => return files.first().map(ExitCode::of_disk),
        News::Announced { .. } | News::Skipped(_) => {}
    }
    None
}

/// Says who has begun to fetch and who has everything by now, and draws how many fetch where there are bars. To be
/// called about every second.
pub(crate) async fn show_deliveries(
    deliveries: &mut Deliveries,
    progress: &mut Progress,
    node: &Node,
    screen: &Screen,
) {
    screen.notes(&deliveries.take_lines());
    if !deliveries.is_empty()
        && progress.draws()
        && let Ok(status) = node.status().await
    {
        progress.show_uploads(&deliveries.standing(&status.uploads));
    }
}

/// Says what happened to a share. Once others can fetch it, the line to type there is printed; its ticket has the secret
/// `open_with` in it, if that is given.
pub(crate) fn tell(news: &News, running: &Running, open_with: Option<&SwarmSecret>, screen: &Screen) {
    match news {
        News::Announced { name, length, content } => {
            screen.note(&report::announced(name, *length, *content));
            let tracker = running.tracker_for_others();
            let ticket = tickets::of_share(*content, name, (&tracker.text, running.node.tracker_key()));
            let is_open = ticket.is_some() && open_with.is_some();
            screen.result(&match (ticket, open_with) {
                (Some(ticket), Some(secret)) => report::ticket_line(&ticket.with_secret(secret)),
                (Some(ticket), None) => report::ticket_line(&ticket),
                (None, _) => report::download_line(&tracker.text, *content),
            });
            if is_open {
                screen.note(
                    "(the ticket has the swarm's secret: whoever sees it is a member, so pass it on as you would the secret)",
                );
            } else if running.is_in_closed_swarm() {
                screen.note(
                    "(the swarm is closed: the other side needs the secret too, with --secret-file FILE)",
                );
            }
            if tracker.is_only_here {
                screen.note("(on this host only: its tracker has no address that other hosts reach)");
            }
        }
        News::Skipped(skipped) => screen.notes(&report::skipped(skipped)),
        News::Replaced { name, .. } => {
            screen.note(&format!("{name}: what had this name before is no longer shared"));
        }
        News::FilesWithdrawn { name, files, permille } => {
            let lines = report::files_withdrawn(name, files, *permille);
            lines.iter().for_each(|line| screen.error(line));
        }
        News::Failed(error) => tell_failure(error, screen),
        News::Ended(error) if error.kind == DiskErrorKind::Changed => {
            screen.error(&format!("no longer shared: {error}; send it again to share it as it is now"));
        }
        News::Ended(error) => screen.error(&format!("no longer shared: {error}")),
    }
}

/// How the person wants the files to be shared.
fn send_as(arguments: &Send) -> SendAs {
    SendAs {
        name: arguments.name.clone(),
        replace: arguments.replace,
        exclude: arguments.exclude.clone(),
        without_metadata: arguments.no_metadata,
    }
}

/// Whether the standard input is to be shared.
///
/// # Errors
/// When it is not alone, or has no name.
fn reads_stdin(arguments: &Send) -> Result<bool> {
    if !arguments.files.iter().any(|file| file == Path::new(STDIN)) {
        return Ok(false);
    }
    if arguments.files.len() > 1 || arguments.name.is_none() {
        let what = "- is the standard input, which is shared alone and by a name: riffle send - --name NAME; \
                    a file of that name is ./-";
        return Err(Stop::usage(what).into());
    }
    Ok(true)
}

/// How the reading of the standard input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spooled {
    /// All of it is in the file.
    Whole,
    /// The program was asked to leave.
    Interrupted,
}

/// Reads the standard input to its end into the file at `path`.
///
/// # Errors
/// When the disk is full, or the input cannot be read; each with its exit code.
async fn spool_stdin(path: PathBuf, senders: &mut [Sender], signals: &mut Signals) -> Result<Spooled> {
    let mut filling = tokio::task::spawn_blocking(move || spool::fill(&path, &mut io::stdin().lock()));
    loop {
        tokio::select! {
            filled = &mut filling => {
                filled.expect("filling does not panic")?;
                return Ok(Spooled::Whole);
            }
            (which, event) = next_event(senders) => {
                let Sender { running, screen, .. } = &mut senders[which];
                running.on_event(&event?, screen);
            }
            () = signals.asked() => {
                senders[0].screen.note("leaving; nothing is shared, because the standard input did not end");
                return Ok(Spooled::Interrupted);
            }
        }
    }
}

/// The files that can be shared, without the standard input. Says why the others cannot; the exit code is theirs.
///
/// # Errors
/// Why a file cannot be shared, when it is the only one, all are shared as one, or `--strict` was typed.
fn sort_out(arguments: &Send, send_as: &SendAs, screen: &Screen) -> Result<(Vec<PathBuf>, ExitCode)> {
    let (mut fine, mut code) = (Vec::new(), ExitCode::Done);
    let all_or_none = arguments.strict || arguments.files.len() == 1 || send_as.name.is_some();
    for together in send_as.together(&arguments.files).into_iter().filter(|files| files.len() > 1) {
        let members = riffle::members_of_paths(together.iter().map(PathBuf::as_path));
        members.map_err(|error| Stop::usage(error.to_string()))?;
    }
    for file in arguments.files.iter().filter(|file| *file != Path::new(STDIN)) {
        match sharing::check(file, send_as.name.as_ref()) {
            Ok(_) => fine.push(file.clone()),
            Err(error) if all_or_none => return Err(refused(error).into()),
            Err(error) => {
                code = ExitCode::of_disk(&error);
                tell_failure(&error, screen);
            }
        }
    }
    Ok((fine, code))
}

/// Stops sharing `shares`.
pub(crate) fn take_back(shares: &[ShareId], sharing: &mut Sharing, node: &Node) {
    for &share in shares {
        sharing.withdraw(share);
        node.unshare(share);
    }
}

/// Says why a file is not shared.
fn tell_failure(error: &DiskError, screen: &Screen) {
    let DiskError { path, kind } = error;
    screen.error(&match kind {
        DiskErrorKind::Changed => {
            let path = path.display();
            format!("not shared: {path}: it changed while it was read; send it again when it stays as it is")
        }
        _ => format!("not shared: {error}"),
    });
}

fn refused(error: DiskError) -> Stop {
    Stop::new(ExitCode::of_disk(&error), error.to_string())
}
