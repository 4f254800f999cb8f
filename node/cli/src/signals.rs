//! Ctrl-C, SIGTERM, and the SIGHUP of a terminal that is gone. The first signal asks the program to leave. The second
//! one, unless it is a SIGHUP, ends the program.
//!
//! A thread of its own listens, so that the second signal is heard whatever the rest of the program waits for.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracker::program::signals::is_ended_by_hangup;

use crate::exit::ExitCode;
use crate::output_writer;
use crate::screen::Screen;

/// The signals that this process listens for.
#[derive(Debug)]
pub(crate) struct Signals {
    asked: mpsc::UnboundedReceiver<()>,
    leaving: Leaving,
    /// Shows the last words.
    screen: Arc<Mutex<Screen>>,
}

/// Whether the program is leaving, so that the next signal ends it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaving(Arc<AtomicBool>);

impl Leaving {
    /// Notes that the program leaves by itself from now on.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Signals {
    /// Listens from now on. A signal that ends the program at once calls `last` first; the exit code is then 130.
    ///
    /// # Errors
    /// When the system gives no thread, no reactor or no signals.
    pub(crate) fn listen(screen: Screen, last: impl FnOnce() + Send + 'static) -> Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.context("the system gives no reactor for signals")?;
        let mut signals = {
            let _reactor = runtime.enter();
            SignalSet::listen().context("cannot listen for signals")?
        };
        let (ask, asked) = mpsc::unbounded_channel();
        let leaving = Leaving::default();
        let known = leaving.clone();
        let screen = Arc::new(Mutex::new(screen));
        let last_screen = screen.clone();
        let listen = move || {
            runtime.block_on(async {
                loop {
                    let heard = signals.next().await;
                    let was_leaving = known.0.swap(true, Ordering::Relaxed);
                    match heard {
                        Heard::Asked if was_leaving => break,
                        // When a terminal goes, the system and the shell both send SIGHUP: the second is no hurry.
                        Heard::HungUp if was_leaving => continue,
                        Heard::Asked | Heard::HungUp => {}
                    }
                    // The receiver may be gone because the program leaves by itself.
                    let _ = ask.send(());
                }
            });
            last_screen.lock().unwrap_or_else(PoisonError::into_inner).last_note("leaving at once");
            last();
            output_writer::flush(output_writer::AT_ONCE);
            std::process::exit(ExitCode::Killed as i32);
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(listen)
            .context("the system gives no thread")?;
        Ok(Signals { asked, leaving, screen })
    }

    /// Shows the last words on `screen` from now on.
    pub(crate) fn show_on(&self, screen: Screen) {
        *self.screen.lock().unwrap_or_else(PoisonError::into_inner) = screen;
    }

    /// Returns when a person or the system asks the program to leave. From then on the next signal ends the process.
    pub(crate) async fn asked(&mut self) {
        if self.asked.recv().await.is_none() {
            // The thread runs until the process ends.
            std::future::pending::<()>().await;
        }
    }

    /// The handle to note that the program leaves by itself.
    pub(crate) fn leaving(&self) -> Leaving {
        self.leaving.clone()
    }
}

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Somebody asks the program to leave.
    Asked,
    /// The terminal is gone. This signal comes more than once.
    HungUp,
}

/// The signals that are listened for. Each is registered once and kept, so that none is lost between two waits.
struct SignalSet {
    interrupt: Signal,
    terminate: Signal,
    /// SIGHUP; `None`: the process was started so that it ignores it, as by `nohup`.
    hangup: Option<Signal>,
}

impl SignalSet {
    fn listen() -> io::Result<SignalSet> {
        let hangup = if is_ended_by_hangup()? { Some(signal(SignalKind::hangup())?) } else { None };
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(SignalSet { interrupt, terminate, hangup })
    }

    async fn next(&mut self) -> Heard {
        let hung_up = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Heard::Asked,
            _ = self.terminate.recv() => Heard::Asked,
            _ = hung_up => Heard::HungUp,
        }
    }
}
