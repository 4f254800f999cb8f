//! `riffle download TICKET|NAME|ID...`: fetches files, shows their progress, and leaves with a code that says how that went.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use config::{NodeSettings, Period};
use riffle::{Destination, DownloadRequest, DownloadTimeouts, SwarmSecret, Wanted};
use tokio::task::JoinHandle;

use crate::arguments::Download;
use crate::commands::send::show_deliveries;
use crate::deliveries::Deliveries;
use crate::descriptions::Descriptions;
use crate::exit::{ExitCode, Stop};
use crate::fetching::{self, Fetching, Output};
use crate::folders::{Keeping, download_folder, enter_folder};
use crate::progress::Progress;
use crate::report::{self, Place};
use crate::running::{Embedding, Running};
use crate::screen::Screen;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::source::{self, Source};
use crate::spool::{self, Poured, Spool};
use crate::units::duration;
use crate::{codes, swarms, target, tickets};

/// The screen is drawn this often.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// Why the program leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaveReason {
    /// All downloads are over, and so is the time of `--stay`.
    Finished,
    /// A person or the system asked the program to leave.
    Asked,
}

/// Runs the command.
///
/// # Errors
/// When what was typed makes no sense or the node cannot be started; each with its exit code.
pub(crate) async fn run(mut settings: Settings, arguments: Download) -> Result<ExitCode> {
    enter_folder(&mut settings)?;
    let mut wanted = read_wanted(&arguments)?;
    let code = arguments.code.as_ref().map(|typed| codes::read(typed.as_deref())).transpose()?;
    let folder = download_folder()?;
    let output = Output::of(arguments.output.as_deref());
    if let Some(objection) =
        objection(output, &arguments, wanted.len() + usize::from(code.is_some()), &folder)
    {
        return Err(Stop::usage(objection).into());
    }
    let screen = Screen::of_one_shot(settings.quiet);
    if let Some(code) = code {
        let gift = codes::redeem(&code, &settings, &screen).await?;
        wanted.push(Source::Ticket(gift.ticket().clone()).with_wanted());
        settings.enter(gift.secrets().cloned(), "code", &screen);
    } else if let Some(secret) = secret_of(&wanted)? {
        settings.enter(Some(secret.into()), "ticket", &screen);
    }
    let mut settings = in_one_swarm(&settings, &wanted, &arguments, &screen).await?;
    let sources: Vec<&Source> = wanted.iter().filter_map(|(_, source)| source.as_ref()).collect();
    screen.notes(&source::take_tracker(&mut settings, &sources).await.into_iter().collect::<Vec<_>>());
    // Signals are heard before other nodes know of this one: from then on they are told when it leaves.
    let spool = Spool::default();
    let mut signals = Signals::listen(screen.clone(), spool.remover())?;
    let mut running = Running::start(&settings, (Embedding::Never, Keeping::IfPossible), &screen)?;
    let spooled = if output == Output::Saved { None } else { Some(spool.make(running.state()?)?) };
    let mut fetching = Fetching::new(Place::OneShot).to(output);
    let mut pouring = None;
    let mut descriptions = Descriptions::default();
    for (number, (wanted, source)) in wanted.into_iter().enumerate() {
        let destination = match (&spooled, &source) {
            (Some(spooled), _) => Destination::File(spooled.join(number.to_string())),
            (None, source) => destination(&arguments, &folder, source.as_ref()),
        };
        let request = running.node.download(wanted.clone()).to(destination);
        let request = told(request, &arguments, output);
        let download = fetching.begin(&wanted, request.timeouts(timeouts(&arguments, &settings)));
        let reader = fetching.reader(download).filter(|_| output == Output::Stdout);
        pouring = pouring.or(reader.map(|reader| tokio::spawn(spool::pour(reader))));
        if let Some(Source::Description(description)) = source {
            descriptions.insert(download, description);
        }
    }
    let progress = Progress::new(screen.clone(), BTreeMap::new(), settings.progress_period);
    let seen = (&mut fetching, &mut descriptions);
    let mut pouring = Pouring { task: pouring, result: Ok(()) };
    let mut leaving =
        watch(&mut running, seen, &mut pouring, &arguments, &screen, &mut signals, progress).await?;
    if leaving == LeaveReason::Finished {
        leaving = pouring.finish(&mut signals).await;
    }
    if leaving == LeaveReason::Asked && pouring.task.is_some() && fetching.is_over() {
        screen.error("interrupted before all of it was written to the standard output");
    }
    let unfinished: Vec<String> = fetching.labels().map(str::to_owned).collect();
    let has_some = fetching.has_some();
    let tracker = running.tracker().clone();
    running
        .leave(&signals.leaving(), |event| {
            // Downloads that end because the program leaves are said below, with how to go on with them.
            if !matches!(event, riffle::Event::DownloadFailed { .. }) {
                fetching.on_event(event, &tracker, &screen);
            }
        })
        .await;
    if leaving == LeaveReason::Asked && !unfinished.is_empty() && !fetching.is_over() {
        let names = unfinished.join(", ");
        let is_kept = output == Output::Saved;
        let how = if is_kept { report::again(has_some) } else { "nothing of it is kept" };
        screen.error(&format!("{names}: interrupted; {how}"));
        return Ok(ExitCode::Interrupted);
    }
    pouring.result?;
    match fetching.code() {
        _ if leaving == LeaveReason::Asked && output == Output::Stdout => Ok(ExitCode::Interrupted),
        ExitCode::Done if descriptions.is_contradicted() => Ok(ExitCode::Integrity),
        code => Ok(code),
    }
}

/// The settings of a node in the one swarm that has what is wanted.
async fn in_one_swarm(
    settings: &Settings,
    wanted: &[(Wanted, Option<Source>)],
    arguments: &Download,
    screen: &Screen,
) -> Result<Settings> {
    let mut swarms = swarms::of(settings)?;
    if swarms.len() > 1 {
        let (which, notes) = swarms::locate(&swarms, wanted, arguments.wait).await?;
        screen.notes(&notes);
        swarms.swap(0, which);
    }
    Ok(swarms.swap_remove(0).settings)
}

/// The request with what a person has typed about it.
fn told(request: DownloadRequest, arguments: &Download, output: Output) -> DownloadRequest {
    let request = fetching::over_what_exists(request, arguments.force, (arguments.update, arguments.delete));
    let request = request.select(arguments.select.iter().cloned());
    let is_sequential = arguments.sequential || output == Output::Stdout;
    let request = if is_sequential { request.sequential() } else { request };
    let request = if arguments.no_metadata { request.without_metadata() } else { request };
    if arguments.rename_invalid { request.rename_invalid() } else { request }
}

/// Where a download is saved, which `source` may give its name.
fn destination(arguments: &Download, folder: &Path, source: Option<&Source>) -> Destination {
    let destination = fetching::destination(arguments.output.as_deref(), folder);
    match source {
        Some(source) => source.destination(destination),
        None => destination,
    }
}

/// What is wrong with where `count` downloads are to go; `None`: nothing.
fn objection(output: Output, arguments: &Download, count: usize, folder: &Path) -> Option<&'static str> {
    match output {
        Output::Stdout if count > 1 => {
            Some("-o - is for one file; fetch the others by commands of their own")
        }
        Output::Stdout if arguments.stay.is_some() => {
            Some("-o - keeps nothing that --stay could share; -o FILE does")
        }
        Output::Stdout | Output::Nowhere => None,
        Output::Saved => fetching::objection(arguments.output.as_deref(), folder, count),
    }
}

/// The writing of a download to the standard output.
#[derive(Debug)]
struct Pouring {
    /// What writes, until it has ended; `None` where nothing is written.
    task: Option<JoinHandle<Result<Poured, Stop>>>,
    /// What went wrong.
    result: Result<(), Stop>,
}

impl Pouring {
    /// Waits until all that has arrived is written, or will not be. Without something to write it waits for ever.
    async fn ended(&mut self) -> Poured {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        let poured = task.await.expect("pouring does not panic");
        self.task = None;
        match poured {
            Ok(poured) => poured,
            Err(stop) => {
                self.result = Err(stop);
                Poured::Unread
            }
        }
    }

    /// Waits until the rest is written, unless the program is asked to leave meanwhile.
    async fn finish(&mut self, signals: &mut Signals) -> LeaveReason {
        if self.task.is_none() {
            return LeaveReason::Finished;
        }
        tokio::select! {
            _ = self.ended() => LeaveReason::Finished,
            () = signals.asked() => LeaveReason::Asked,
        }
    }
}

/// What to fetch, with the tickets and descriptions that say so.
fn read_wanted(arguments: &Download) -> Result<Vec<(Wanted, Option<Source>)>> {
    let typed = arguments.wanted.iter().map(|text| {
        let (wanted, source) = Source::read(text)?;
        Ok((if arguments.newest { target::newest(wanted) } else { wanted }, source))
    });
    let mut all: Vec<_> = typed.collect::<Result<_>>()?;
    if let Some(file) = &arguments.ticket_file {
        all.extend(tickets::read_file(file)?.into_iter().map(|ticket| Source::Ticket(ticket).with_wanted()));
    }
    Ok(all)
}

/// The secret of the swarm that the tickets open, if they open one.
///
/// # Errors
/// [`ExitCode::Usage`] when they are of several swarms: a node is in one.
fn secret_of(wanted: &[(Wanted, Option<Source>)]) -> Result<Option<SwarmSecret>> {
    let mut secrets = wanted.iter().map(|(_, source)| match source {
        Some(Source::Ticket(ticket)) => ticket.secret(),
        Some(Source::Description(_)) | None => None,
    });
    let first = secrets.next().flatten();
    if secrets.any(|secret| secret != first) {
        let what =
            "a ticket among these opens a closed swarm, and not all are of that swarm: fetch them one by one";
        return Err(Stop::usage(what).into());
    }
    Ok(first)
}

/// How long each thing may take. With `--wait` everything may take for ever but a transfer without progress. Without it
/// a full disk ends the download at once; what has arrived stays, and the same command goes on with it.
fn timeouts(arguments: &Download, settings: &NodeSettings) -> DownloadTimeouts {
    let stall = arguments.timeout.map_or(settings.download.stall_timeout, Duration::from);
    let (tracker, unknown) = (settings.download.tracker_patience, Duration::ZERO);
    DownloadTimeouts {
        tracker: (!arguments.wait).then_some(tracker),
        nobody_shares: (!arguments.wait).then_some(unknown),
        no_progress: Some(stall),
        disk_full: (!arguments.wait).then_some(Duration::ZERO),
    }
}

/// Shows what happens until all downloads are over or the program is asked to leave.
async fn watch(
    running: &mut Running,
    (fetching, descriptions): (&mut Fetching, &mut Descriptions),
    pouring: &mut Pouring,
    arguments: &Download,
    screen: &Screen,
    signals: &mut Signals,
    mut progress: Progress,
) -> Result<LeaveReason> {
    let mut draw = tokio::time::interval(DRAW_EVERY);
    // While the downloads run this timer must not end.
    let stay_over = tokio::time::sleep(config::MAX_PERIOD);
    tokio::pin!(stay_over);
    let mut staying = false;
    let mut deliveries = Deliveries::default();
    let mut look = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            event = running.next_event() => {
                let event = event?;
                progress.on_event(&event);
                deliveries.on_event(&event);
                running.on_event(&event, screen);
                fetching.on_event(&event, running.tracker(), screen);
                descriptions.on_event(&event, screen);
                if !staying && fetching.is_over() {
                    match arguments.stay {
                        Some(time) if fetching.done() > 0 => {
                            staying = true;
                            screen.note(&staying_on(time));
                            // A node that has fetched parts so far is named when it has everything.
                            deliveries.take_lines();
                            if let Some(time) = time {
                                stay_over.as_mut().reset(tokio::time::Instant::now() + time.0);
                            }
                        }
                        _ => return Ok(LeaveReason::Finished),
                    }
                }
            }
            _ = draw.tick() => {
                if let Ok(status) = running.node.status().await {
                    progress.show(&status, Instant::now());
                }
                match staying {
                    true => running.on_tick(Instant::now(), screen),
                    false => running.follow_tracker(screen),
                }
            }
            _ = look.tick(), if staying => {
                show_deliveries(&mut deliveries, &mut progress, &running.node, screen).await;
            }
            poured = pouring.ended() => {
                if poured == Poured::Unread {
                    return Ok(LeaveReason::Finished);
                }
            }
            () = &mut stay_over => return Ok(LeaveReason::Finished),
            () = signals.asked() => {
                screen.note("leaving; Ctrl-C again ends at once");
                return Ok(LeaveReason::Asked);
            }
        }
    }
}

fn staying_on(time: Option<Period>) -> String {
    let until = time.map_or_else(|| "until Ctrl-C".to_owned(), |time| format!("for {}", duration(time.0)));
    format!("sharing on what has arrived, {until}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments() -> Download {
        let wanted = vec!["f".to_owned()];
        Download {
            wanted,
            code: None,
            ticket_file: None,
            output: None,
            force: false,
            update: false,
            delete: false,
            select: Vec::new(),
            no_metadata: false,
            rename_invalid: false,
            newest: false,
            sequential: false,
            wait: false,
            timeout: None,
            stay: None,
        }
    }

    #[test]
    fn only_wait_waits_for_ever_and_a_stall_never_does() {
        let settings = NodeSettings::default();
        let usual = timeouts(&arguments(), &settings);
        assert_eq!(usual.tracker, Some(Duration::from_secs(5)));
        assert_eq!(usual.nobody_shares, Some(Duration::ZERO));
        assert_eq!(usual.no_progress, Some(Duration::from_secs(60)));
        assert_eq!(usual.disk_full, Some(Duration::ZERO));
        let timeout = Some(config::Period(Duration::from_secs(9)));
        let waiting = timeouts(&Download { wait: true, timeout, ..arguments() }, &settings);
        let expected = DownloadTimeouts {
            tracker: None,
            nobody_shares: None,
            no_progress: Some(Duration::from_secs(9)),
            disk_full: None,
        };
        assert_eq!(waiting, expected);
    }

    #[test]
    fn who_stays_is_told_how_long() {
        assert_eq!(staying_on(None), "sharing on what has arrived, until Ctrl-C");
        let five = Some(Period(Duration::from_secs(5)));
        assert_eq!(staying_on(five), "sharing on what has arrived, for 5 s");
    }
}
