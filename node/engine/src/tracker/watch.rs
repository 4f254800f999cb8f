//! Looks after a node's tracker: goes where its name leads, tells when it is absent, and takes the place of a default
//! one that is gone.
//!
//! One thread for each node whose tracker can change. What it finds is in a watch channel: the latest, never a queue.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use channel::{PublicKey, SwarmSecrets};
use messages::Endpoint;
use riffle_core::Event;
use tokio::sync::watch;

use super::link::{TrackerForOthers, TrackerLink, TrackerStatus, for_others, taken};
use super::probe::Prober;

/// How often a name is looked after.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);
/// A tracker that has not answered for this long after the start is looked for.
const FIRST_ANSWER: Duration = Duration::from_secs(2);
/// How often it is looked whether the tracker at the default address is there, so that its place can be taken.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a core event says of the tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Answers,
    Silent,
    /// The node ends: so does the thread.
    End,
}

/// What the node's events say of its tracker, on the way to the thread that looks after it.
#[derive(Clone, Debug)]
pub(crate) struct TrackerSigns {
    sender: Sender<Sign>,
    /// Where the tracker was when it last opened a channel, and the key that it has proven to have.
    proven: Arc<Mutex<Option<(SocketAddr, PublicKey)>>>,
}

/// The other end of [`TrackerSigns`].
pub(crate) struct HeardSigns(Receiver<Sign>);

impl TrackerSigns {
    /// Both ends.
    pub(crate) fn channel() -> (TrackerSigns, HeardSigns) {
        let (signs, heard) = channel();
        (TrackerSigns { sender: signs, proven: Arc::default() }, HeardSigns(heard))
    }

    /// Takes in what happened to the node.
    pub(crate) fn on_event(&self, event: &Event) {
        let sign = match *event {
            Event::ChannelOpened { peer, key, is_tracker: true, .. } => {
                return self.set_proven(Some((peer, key)));
            }
            Event::InTheClear { is_tracker: true, .. } => return self.set_proven(None),
            Event::TrackerReached { .. } | Event::TrackerRestored { .. } => Sign::Answers,
            Event::TrackerSilent { .. } => Sign::Silent,
            _ => return,
        };
        // A thread that has ended looks after nothing any more.
        let _ = self.sender.send(sign);
    }

    fn set_proven(&self, proven: Option<(SocketAddr, PublicKey)>) {
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = proven;
    }

    /// The key that the tracker at `address` has proven to have.
    fn proven_at(&self, address: SocketAddr) -> Option<PublicKey> {
        let proven = *self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, key) = proven?;
        // The core has addresses without scope.
        (at == Endpoint::new(address).address()).then_some(key)
    }
}

/// What is known of the tracker's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    /// None yet, since the start.
    Starting { since: Instant },
    /// The tracker answers.
    Answering,
    /// The tracker did answer, and was not there at the last look.
    Missing,
    /// The tracker does not answer.
    Silent,
}

/// What a look at the tracker's address asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Nothing.
    Settled,
    /// To look again: one look may fall between two lives of the tracker.
    Again,
    /// To tell the tracker everything at once: it is another life of it, or another node that took its place.
    Rejoin,
    /// To take its place.
    TakeOver,
}

/// What to do when the default tracker is there, or is not.
fn look(contact: Contact, is_there: bool) -> Look {
    match (contact, is_there) {
        (Contact::Starting { .. }, _) | (Contact::Answering, true) => Look::Settled,
        (Contact::Answering, false) => Look::Again,
        (Contact::Missing | Contact::Silent, true) => Look::Rejoin,
        (Contact::Missing | Contact::Silent, false) => Look::TakeOver,
    }
}

/// The thread that looks after a tracker, and what it has found. The thread, and an embedded tracker with it, ends when
/// this is dropped.
#[derive(Debug)]
pub(crate) struct TrackerWatch {
    status: watch::Receiver<TrackerStatus>,
    listen: IpAddr,
    prober: Prober,
    signs: TrackerSigns,
    thread: Option<JoinHandle<()>>,
}

impl TrackerWatch {
    /// Looks after the tracker of `link` for a node that listens at `listen`, asking with `prober`; `moved` is told where the tracker is when that changes,
    /// or that it has to be told everything anew.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        (link, prober): (TrackerLink, Prober),
        listen: IpAddr,
        (signs, heard): (TrackerSigns, HeardSigns),
        moved: impl Fn(SocketAddr, Option<PublicKey>) + Send + 'static,
        log: tracing::Dispatch,
    ) -> io::Result<TrackerWatch> {
        let (sender, status) = watch::channel(link.status().clone());
        let now = Instant::now();
        let contact = match link.status().address {
            Some(_) => Contact::Starting { since: now },
            None => Contact::Silent,
        };
        let look_due = now + LOOK_EVERY;
        let moved = Box::new(moved);
        let mut keeper = Keeper { link, prober: prober.clone(), contact, look_due, status: sender, moved };
        let run = move || tracing::dispatcher::with_default(&log, || keeper.run(&heard.0));
        let thread = std::thread::Builder::new().name("riffle-tracker".to_owned()).spawn(run)?;
        Ok(TrackerWatch { status, listen, prober, signs, thread: Some(thread) })
    }

    /// What is known of the tracker, now and from now on.
    pub(crate) fn status(&self) -> watch::Receiver<TrackerStatus> {
        self.status.clone()
    }

    /// The tracker's static public key, which somebody has said or which the channel with it proves.
    pub(crate) fn key(&self) -> Option<PublicKey> {
        let status = self.status.borrow();
        status.key.or_else(|| self.signs.proven_at(status.address?))
    }

    /// The secrets of the node's swarm as they are now.
    pub(crate) fn secrets(&self) -> SwarmSecrets {
        self.prober.secrets()
    }

    /// How other hosts reach the tracker. Takes as long as a probe when it is another process of this host.
    pub(crate) fn for_others(&self) -> TrackerForOthers {
        let status = self.status.borrow().clone();
        for_others(&status, self.listen, &self.prober)
    }
}

impl Drop for TrackerWatch {
    fn drop(&mut self) {
        let _ = self.signs.sender.send(Sign::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Keeper {
    link: TrackerLink,
    prober: Prober,
    contact: Contact,
    look_due: Instant,
    status: watch::Sender<TrackerStatus>,
    moved: Box<dyn Fn(SocketAddr, Option<PublicKey>) + Send>,
}

impl Keeper {
    fn run(&mut self, signs: &Receiver<Sign>) {
        loop {
            let sign = match self.link.changes() {
                true => signs.recv_timeout(FOLLOW_EVERY),
                // Nothing can change any more: only the end is waited for.
                false => signs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let now = Instant::now();
            match sign {
                Ok(Sign::Answers) => {
                    self.link.on_answer(now);
                    self.contact = Contact::Answering;
                }
                Ok(Sign::Silent) => {
                    self.link.on_silence(now);
                    self.contact = Contact::Silent;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Sign::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
            if matches!(self.contact, Contact::Starting { since } if now >= since + FIRST_ANSWER) {
                self.contact = Contact::Silent;
            }
            let has_moved = self.link.follow_name(now);
            self.show();
            if has_moved && let Some(address) = self.link.status().address {
                tracing::info!(tracker = %self.link.status(), "tracker found by its name");
                (self.moved)(address, self.link.status().key);
            }
            if self.link.is_replaceable() && now >= self.look_due {
                self.look_due = now + LOOK_EVERY;
                self.look_for_tracker();
            }
        }
    }

    /// The heartbeat would notice too, after a while in which nobody finds anything.
    fn look_for_tracker(&mut self) {
        let Some(address) = self.link.status().address else { return };
        match look(self.contact, self.prober.finds(address)) {
            Look::Settled => {}
            Look::Again => self.contact = Contact::Missing,
            Look::Rejoin => (self.moved)(address, self.link.status().key),
            Look::TakeOver => match self.link.embed() {
                Ok(true) => {
                    self.show();
                    let status = self.link.status();
                    (self.moved)(status.address.unwrap_or(address), status.key);
                }
                // Another node was faster, and the next look finds it; or somebody else has the port.
                Ok(false) if self.prober.finds(address) || !cfg!(feature = "embedded-tracker") => {}
                Ok(false) => {
                    let trouble = Some(taken(self.prober.is_closed()));
                    self.status.send_if_modified(|status| {
                        let is_news = status.trouble != trouble;
                        status.trouble = trouble;
                        is_news
                    });
                }
                Err(error) => self.status.send_modify(|status| status.trouble = Some(error.to_string())),
            },
        }
    }

    /// Shows what is known now to whoever looks.
    fn show(&mut self) {
        let status = self.link.status();
        self.status.send_if_modified(|shown| {
            let is_news = shown.address != status.address
                || shown.is_embedded != status.is_embedded
                || shown.key != status.key
                || (status.address.is_none() && shown.trouble != status.trouble);
            if is_news {
                shown.clone_from(status);
            }
            is_news
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_a_channel_proves_is_of_the_tracker_at_that_address_while_it_is_not_in_the_clear() {
        let (signs, _heard) = TrackerSigns::channel();
        let at = |host: u8| SocketAddr::from(([10, 0, 0, host], 12345));
        let (key, suite) = (PublicKey::from_bytes([7; 32]), channel::Suite::Aes128Gcm);
        let opened = |is_tracker| Event::ChannelOpened { peer: at(1), key, suite, is_tracker };
        signs.on_event(&opened(false));
        assert_eq!(signs.proven_at(at(1)), None, "a node's");
        signs.on_event(&opened(true));
        assert_eq!((signs.proven_at(at(1)), signs.proven_at(at(2))), (Some(key), None));
        signs.on_event(&Event::InTheClear { peer: at(3), is_tracker: false });
        assert_eq!(signs.proven_at(at(1)), Some(key));
        signs.on_event(&Event::InTheClear { peer: at(1), is_tracker: true });
        assert_eq!(signs.proven_at(at(1)), None);
    }

    #[test]
    fn one_look_in_vain_is_followed_by_another_before_the_place_is_taken() {
        let starting = Contact::Starting { since: Instant::now() };
        assert_eq!(look(starting, false), Look::Settled, "the core is still asking");
        assert_eq!(look(Contact::Answering, true), Look::Settled);
        assert_eq!(look(Contact::Answering, false), Look::Again);
        assert_eq!(look(Contact::Missing, false), Look::TakeOver);
        assert_eq!(look(Contact::Missing, true), Look::Rejoin);
        assert_eq!(look(Contact::Silent, true), Look::Rejoin);
    }
}
