//! Ctrl-C, SIGTERM and SIGHUP, of a terminal that is gone: the first asks the program to leave, the second (but for
//! SIGHUP) ends it.
//!
//! A thread of its own listens, so that the second is heard whatever the rest of the program is waiting for.

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

/// The signals of this process, once somebody listens.
#[derive(Debug)]
pub(crate) struct Signals {
    asked: mpsc::UnboundedReceiver<()>,
    leaving: Leaving,
    /// Where the last words go.
    screen: Arc<Mutex<Screen>>,
}

/// Whether the program is leaving: then the next signal ends it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaving(Arc<AtomicBool>);

impl Leaving {
    /// The program leaves by itself from here on.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Signals {
    /// Listens from now on. When the program is to end at once, `last` is called before it does, with 130.
    ///
    /// # Errors
    /// When the system gives no thread or no signals.
    pub(crate) fn listen(screen: Screen, last: impl FnOnce() + Send + 'static) -> Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.context("the system gives no reactor for signals")?;
        let mut all = {
            let _reactor = runtime.enter();
            All::listen().context("cannot listen for signals")?
        };
        let (ask, asked) = mpsc::unbounded_channel();
        let leaving = Leaving::default();
        let known = leaving.clone();
        let screen = Arc::new(Mutex::new(screen));
        let last_screen = screen.clone();
        let listen = move || {
            runtime.block_on(async {
                loop {
                    let heard = all.next().await;
                    let was_leaving = known.0.swap(true, Ordering::Relaxed);
                    match heard {
                        Heard::Asked if was_leaving => break,
                        // The shell passes on what the system has sent already: nobody is in a hurry.
                        Heard::HungUp if was_leaving => continue,
                        Heard::Asked | Heard::HungUp => {}
                    }
                    // Who listened may be leaving by itself: the next signal finds that out.
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

    /// The last words go to `screen` from now on.
    pub(crate) fn show_on(&self, screen: Screen) {
        *self.screen.lock().unwrap_or_else(PoisonError::into_inner) = screen;
    }

    /// Returns when a person or the system asks the program to leave. From then on the next signal ends the process.
    pub(crate) async fn asked(&mut self) {
        if self.asked.recv().await.is_none() {
            // The thread ends with the process only.
            std::future::pending::<()>().await;
        }
    }

    /// To say that the program leaves by itself.
    pub(crate) fn leaving(&self) -> Leaving {
        self.leaving.clone()
    }
}

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Somebody asks the program to leave.
    Asked,
    /// The terminal is gone. Who loses one is told more than once.
    HungUp,
}

/// Listened to from the start, so that none is lost in between.
struct All {
    interrupt: Signal,
    terminate: Signal,
    /// Not for who is told to go on without a terminal, as by `nohup`.
    hangup: Option<Signal>,
}

impl All {
    fn listen() -> io::Result<All> {
        let hangup = if is_ended_by_hangup()? { Some(signal(SignalKind::hangup())?) } else { None };
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(All { interrupt, terminate, hangup })
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
