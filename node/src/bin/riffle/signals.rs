//! Ctrl-C and SIGTERM: the first asks the program to leave, the second ends it.

use crate::exit::ExitCode;
use crate::screen::Screen;

/// Returns when a person or the system asks the program to leave. From then on the next signal ends the process at
/// once, with 130. To be polled to its end once.
pub(crate) async fn leave_asked(screen: Screen) {
    asked_once().await;
    tokio::spawn(async move {
        asked_once().await;
        screen.note("leaving at once");
        std::process::exit(ExitCode::Killed as i32);
    });
}

#[cfg(unix)]
async fn asked_once() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return interrupted().await;
    };
    tokio::select! {
        () = interrupted() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn asked_once() {
    interrupted().await;
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without the signal there is only the system's own way of ending a process.
        std::future::pending::<()>().await;
    }
}
