//! `riffle send FILE...`: shares files until somebody ends it, and prints the line that fetches each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use config::NodeSettings;
use node::{DiskError, DiskErrorKind};

use crate::exit::{ExitCode, Stop};
use crate::progress::Progress;
use crate::report;
use crate::running::{Keeping, Running, enter_folder};
use crate::screen::Screen;
use crate::sharing::{self, News, Sharing};
use crate::signals::Signals;
use crate::tracker_link::{Embedding, TrackerLink};

/// Runs the command.
///
/// # Errors
/// A file that cannot be shared, or a node that cannot be started, with its exit code.
pub(crate) async fn run(mut settings: NodeSettings, files: Vec<PathBuf>) -> Result<ExitCode> {
    enter_folder(&mut settings)?;
    // Before anything is started: a mistyped path is answered at once.
    for file in &files {
        sharing::name_of(file).map_err(refused)?;
    }
    let screen = Screen::of_one_shot(settings.quiet);
    // Before others know of the node: from then on they are told when it leaves.
    let mut signals = Signals::listen(screen.clone(), || {})?;
    let mut running = Running::start(&settings, (Embedding::Allowed, Keeping::IfPossible), &screen)?;
    let mut sharing = Sharing::default();
    for file in &files {
        sharing.begin(file, &running.handle).map_err(refused)?;
    }
    let mut progress = Progress::new(screen.clone(), BTreeMap::new(), settings.progress_period);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut code = ExitCode::Done;
    loop {
        tokio::select! {
            event = running.next_event() => {
                let event = event?;
                running.on_event(&event, &screen);
                progress.on_event(&event);
                for news in sharing.on_event(&event) {
                    tell(&news, &running.tracker, &screen);
                    if let News::Failed(error) | News::Ended(error) = news {
                        code = ExitCode::of_disk(&error);
                    }
                }
                if sharing.is_empty() {
                    break;
                }
            }
            _ = tick.tick() => {
                let now = Instant::now();
                running.on_tick(now, &screen);
                progress.show_hashing(now);
            }
            () = signals.asked() => {
                screen.note("leaving; Ctrl-C again ends at once");
                code = ExitCode::Done;
                break;
            }
        }
    }
    running.leave(&signals.leaving(), |_| {}).await;
    Ok(code)
}

/// Says what happened to a share; when others can fetch it, with the line to type there.
pub(crate) fn tell(news: &News, tracker: &TrackerLink, screen: &Screen) {
    match news {
        News::Announced { name, length, content } => {
            screen.note(&report::announced(name, *length, *content));
            let tracker = tracker.for_others();
            screen.result(&report::download_line(&tracker.text, *content));
            if tracker.is_only_here {
                screen.note("(on this host only: its tracker has no address that other hosts reach)");
            }
        }
        News::Failed(DiskError { path, kind: DiskErrorKind::Changed }) => {
            let path = path.display();
            screen.error(&format!(
                "not shared: {path}: it changed while it was read; send it again when it stays as it is"
            ));
        }
        News::Failed(error) => screen.error(&format!("not shared: {error}")),
        News::Ended(error) if error.kind == DiskErrorKind::Changed => {
            screen.error(&format!("no longer shared: {error}; send it again to share it as it is now"));
        }
        News::Ended(error) => screen.error(&format!("no longer shared: {error}")),
    }
}

fn refused(error: DiskError) -> Stop {
    Stop::new(ExitCode::of_disk(&error), error.to_string())
}
