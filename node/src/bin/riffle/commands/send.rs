//! `riffle send FILE...`: shares files until somebody ends it, and prints the line that fetches each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use config::NodeSettings;
use node::DiskError;

use crate::exit::{ExitCode, Stop};
use crate::progress::Progress;
use crate::report;
use crate::running::{Running, enter_folder};
use crate::screen::Screen;
use crate::sharing::{self, News, Sharing};
use crate::signals;
use crate::tracker_link::Embedding;

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
    let screen = Screen::of_one_shot();
    let mut running = Running::start(&settings, Embedding::Allowed, &screen)?;
    let mut sharing = Sharing::default();
    for file in &files {
        sharing.begin(file, &running.handle).map_err(refused)?;
    }
    let mut progress = Progress::new(screen.clone(), BTreeMap::new());
    let leave = signals::leave_asked(screen.clone());
    tokio::pin!(leave);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut code = ExitCode::Done;
    loop {
        tokio::select! {
            event = running.next_event() => {
                let event = event?;
                running.on_event(&event, &screen);
                progress.on_event(&event);
                match sharing.on_event(&event) {
                    Some(News::Announced { name, length, content }) => {
                        screen.note(&report::announced(&name, length));
                        let tracker = running.tracker.address_for_others();
                        screen.result(&report::download_line(&tracker.to_string(), content));
                        warn_of_loopback(tracker, &screen);
                    }
                    Some(News::Failed(error)) => {
                        screen.note(&format!("riffle: {error}"));
                        code = ExitCode::of_disk(&error);
                    }
                    Some(News::Unshared) | None => {}
                }
                if sharing.is_empty() {
                    break;
                }
            }
            _ = tick.tick() => running.on_tick(Instant::now(), &screen),
            () = &mut leave => {
                screen.note("leaving; Ctrl-C again ends at once");
                code = ExitCode::Done;
                break;
            }
        }
    }
    running.leave(|_| {}).await;
    Ok(code)
}

/// Says so when the line that was printed is of use on this host only.
pub(crate) fn warn_of_loopback(tracker: std::net::SocketAddr, screen: &Screen) {
    if tracker.ip().is_loopback() {
        screen.note("(on this host only: its tracker has no address that other hosts reach)");
    }
}

fn refused(error: DiskError) -> Stop {
    Stop::new(ExitCode::of_disk(&error), error.to_string())
}
