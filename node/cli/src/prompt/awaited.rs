//! The answer that a piped prompt waits for before it reads its next line. So answers come in the order of the lines,
//! and each command finds what the commands before it have done.
//!
//! A download is answered when its content is known, or why it does not go on. It then runs beside the next commands,
//! as several downloads of one command do.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use riffle::{DownloadId, Event, Waiting};

use super::verb::Verb;
use crate::report;

/// The tracker is waited for this long to hear of what is hashed.
pub(super) const ANNOUNCE_TIME: Duration = Duration::from_secs(5);

/// An answer that is waited for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The first answer of the tracker, or that it is silent: then this command is carried out.
    FirstWord(Verb),
    /// The last page of a list.
    List,
    /// That the tracker knows what was sent. The wait is given up [`ANNOUNCE_TIME`] after the last file was hashed.
    Announced { hashed_at: Option<Instant> },
    /// What these downloads fetch. With `--wait`, that they wait is an answer too.
    Identified { downloads: BTreeSet<DownloadId>, with_wait: bool },
}

/// The state of the node, as far as answers depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Whether the tracker has not answered yet and is not late.
    pub(super) is_starting: bool,
    /// Whether a list has further pages.
    pub(super) is_listing: bool,
    /// Whether a file is being hashed.
    pub(super) is_hashing: bool,
    /// Whether there is a file that the tracker does not know yet.
    pub(super) is_unannounced: bool,
}

/// The answer that the next line waits for, if it waits for one.
#[derive(Debug, Default)]
pub(super) struct AwaitedAnswer {
    awaited: Option<Awaited>,
    /// Whether the tracker was waited for in vain to hear of what was sent, and has heard of nothing since.
    is_unheard: bool,
}

impl AwaitedAnswer {
    /// Begins to wait for `awaited`.
    pub(super) fn begin(&mut self, awaited: Awaited) {
        self.awaited = Some(awaited);
    }

    /// Whether the next line has to wait.
    pub(super) fn is_waiting(&self) -> bool {
        self.awaited.is_some()
    }

    /// Takes in an event.
    pub(super) fn on_event(&mut self, event: &Event) {
        self.is_unheard &= !matches!(event, Event::Announced { .. });
        if let Some(awaited) = &mut self.awaited {
            awaited.on_event(event);
        }
    }

    /// Ends the wait if the answer is there, or has been waited for long enough. Returns what was waited for.
    pub(super) fn take_if_over(&mut self, standing: Standing, now: Instant) -> Option<Awaited> {
        let is_unheard = self.is_unheard;
        let over = self.awaited.take_if(|awaited| awaited.poll_over(standing, is_unheard, now))?;
        self.is_unheard |= matches!(over, Awaited::Announced { .. }) && standing.is_unannounced;
        Some(over)
    }
}

impl Awaited {
    /// Takes in an event.
    fn on_event(&mut self, event: &Event) {
        let Awaited::Identified { downloads, with_wait } = self else { return };
        let known = match event {
            Event::DownloadIdentified { download, .. }
            | Event::DownloadDone { download, .. }
            | Event::DownloadFailed { download, .. } => Some(download),
            // The tracker may still answer, which then tells what is fetched.
            Event::DownloadWaits { download, why } => {
                let tells = *with_wait || (*why != Waiting::Tracker && report::is_news(why));
                Some(download).filter(|_| tells)
            }
            _ => None,
        };
        if let Some(download) = known {
            downloads.remove(download);
        }
    }

    /// Looks whether the answer is there, or has been waited for long enough, and notes when the last file was hashed.
    /// `is_unheard`: the tracker was waited for in vain before.
    fn poll_over(&mut self, standing: Standing, is_unheard: bool, now: Instant) -> bool {
        match self {
            Awaited::FirstWord(_) => !standing.is_starting,
            Awaited::List => !standing.is_listing,
            Awaited::Announced { hashed_at } => {
                if standing.is_hashing {
                    *hashed_at = None;
                    return false;
                }
                let since = *hashed_at.get_or_insert(now);
                !standing.is_unannounced || is_unheard || now >= since + ANNOUNCE_TIME
            }
            Awaited::Identified { downloads, .. } => downloads.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use riffle::Failure;

    use super::*;

    const IDLE: Standing =
        Standing { is_starting: false, is_listing: false, is_hashing: false, is_unannounced: false };

    fn identified<const COUNT: usize>(downloads: [u32; COUNT], with_wait: bool) -> Awaited {
        Awaited::Identified { downloads: downloads.map(DownloadId).into(), with_wait }
    }

    #[test]
    fn hashing_takes_as_long_as_it_takes_and_the_tracker_has_its_time_from_then_on() {
        let mut awaited = AwaitedAnswer::default();
        awaited.begin(Awaited::Announced { hashed_at: None });
        let (start, hour) = (Instant::now(), Duration::from_secs(3600));
        let hashing = Standing { is_hashing: true, is_unannounced: true, ..IDLE };
        assert_eq!(awaited.take_if_over(hashing, start), None);
        assert_eq!(awaited.take_if_over(hashing, start + hour), None);
        let untold = Standing { is_unannounced: true, ..IDLE };
        assert_eq!(awaited.take_if_over(untold, start + hour), None);
        assert_eq!(awaited.take_if_over(untold, start + hour + ANNOUNCE_TIME / 2), None);
        let over = Some(Awaited::Announced { hashed_at: Some(start + hour) });
        assert_eq!(awaited.take_if_over(untold, start + hour + ANNOUNCE_TIME), over, "no answer");
        let wait_again = |awaited: &mut AwaitedAnswer| {
            awaited.begin(Awaited::Announced { hashed_at: None });
            awaited.take_if_over(untold, start).is_some()
        };
        assert!(wait_again(&mut awaited), "it did not answer before");
        let announced =
            Event::Announced { share: riffle::ShareId(1), content: riffle::ContentId::from_bytes([1; 32]) };
        awaited.on_event(&announced);
        assert!(!wait_again(&mut awaited), "it answers again");
        assert!(awaited.take_if_over(IDLE, start).is_some() && !awaited.is_waiting());
    }

    #[test]
    fn downloads_are_awaited_until_it_is_known_what_becomes_of_each() {
        let mut awaited = identified([1, 2, 3, 4], false);
        let waits = |why| Event::DownloadWaits { download: DownloadId(2), why };
        let failed = Event::DownloadFailed { download: DownloadId(1), why: Failure::NotFound };
        for event in [failed, waits(Waiting::Outboard), waits(Waiting::Tracker)] {
            awaited.on_event(&event);
        }
        assert_eq!(awaited, identified([2, 3, 4], false));
        awaited.on_event(&waits(Waiting::Owners));
        assert!(!awaited.poll_over(IDLE, false, Instant::now()));
        for download in [3, 4].map(DownloadId) {
            awaited.on_event(&Event::DownloadFailed { download, why: Failure::Cancelled });
        }
        assert!(awaited.poll_over(IDLE, false, Instant::now()));
    }

    #[test]
    fn a_download_that_waits_as_long_as_it_takes_holds_no_other_command_up() {
        let mut awaited = identified([1], true);
        awaited.on_event(&Event::DownloadWaits { download: DownloadId(1), why: Waiting::Tracker });
        assert!(awaited.poll_over(IDLE, false, Instant::now()));
    }

    #[test]
    fn a_list_and_a_first_word_are_awaited_as_long_as_they_may_come() {
        let now = Instant::now();
        assert!(!Awaited::List.poll_over(Standing { is_listing: true, ..IDLE }, false, now));
        assert!(Awaited::List.poll_over(IDLE, false, now));
        assert!(!Awaited::FirstWord(Verb::Status).poll_over(
            Standing { is_starting: true, ..IDLE },
            false,
            now
        ));
        assert!(Awaited::FirstWord(Verb::Status).poll_over(IDLE, false, now));
    }
}
