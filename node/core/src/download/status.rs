//! What a download shows: its status for screens, the reason why it waits, and its accounts for the log. No decision
//! depends on it.

use std::time::Duration;

use messages::Timestamp;

use super::lifecycle::{Progression, Stage};
use super::session::Session;
use super::{Download, Identified};
use crate::account::Account;
use crate::context::Context;
use crate::event::Event;
use crate::status::DownloadStatus;
use crate::waiting::Waiting;

impl Download {
    /// The status for screens. `limited` tells whether the limit for all downloads holds them up.
    pub(crate) fn status(&self, limited: bool, now: Timestamp) -> DownloadStatus {
        let stored = self.lifecycle.stored_pieces();
        let (verified, unstored) =
            stored.map_or((0, 0), |pieces| (pieces.verified_here_or_fetched(), pieces.unstored()));
        let fetched = self.lifecycle.pieces();
        let of = |session: &Session| {
            let pieces = fetched.and_then(|pieces| pieces.pieces_of(session.key()));
            session.status(pieces, now)
        };
        let identified = self.lifecycle.identified();
        DownloadStatus {
            download: self.order.download,
            name: identified.map_or_else(|| self.order.label(), |identified| identified.name.to_string()),
            content: self.content(),
            length: match stored {
                Some(pieces) if !pieces.wants_all() || pieces.known_bytes() > 0 => {
                    Some(pieces.wanted_bytes() - pieces.known_bytes())
                }
                _ => identified.map(|identified| identified.length),
            },
            verified,
            received: verified + unstored,
            rate: self.meter.rate(now),
            waiting: self.waiting(limited, now),
            holders: identified.map(|identified| identified.holders),
            owners: self.peers.sessions.iter().map(of).collect(),
        }
    }

    /// The reason why the download is not faster.
    fn waiting(&self, limited: bool, now: Timestamp) -> Waiting {
        let has_banned = || self.peers.candidates.has_banned(now);
        let stage = match self.lifecycle.state() {
            Progression::Locating { answer_counts_at: None } => return Waiting::Tracker,
            Progression::Locating { answer_counts_at: Some(at) } => {
                return match at.since(now) {
                    Duration::ZERO => Waiting::Unknown,
                    whole_in => Waiting::TrackerIsYoung { whole_in },
                };
            }
            Progression::Known { stage, .. } => stage,
            Progression::Over { .. } => return Waiting::Finishing,
        };
        match (stage, self.disk_space.needed()) {
            (Stage::FetchingOutboard(sources), _) if sources.is_empty() => {
                if has_banned() {
                    Waiting::Liars
                } else {
                    self.peers.waiting(now)
                }
            }
            (Stage::FetchingOutboard(_) | Stage::CheckingOutboard { .. }, _) => Waiting::Outboard,
            (Stage::Opening { .. } | Stage::Fetching(_), Some(needed)) => Waiting::DiskFull { needed },
            (Stage::Opening { .. }, None) => Waiting::Disk,
            (Stage::Finishing(_), _) => Waiting::Finishing,
            (Stage::Fetching(pieces), None) => {
                let sessions = || self.peers.sessions.iter();
                if !sessions().any(Session::is_unchoked) {
                    match () {
                        () if sessions().any(Session::is_choked) => Waiting::OwnersBusy,
                        () if has_banned() => Waiting::Liars,
                        () => self.peers.waiting(now),
                    }
                } else if pieces.is_starved() {
                    Waiting::DiskBehind
                } else if limited {
                    Waiting::Limit
                } else if pieces.unstored() > 0 || sessions().any(|session| session.outstanding() > 0) {
                    Waiting::Nothing
                } else {
                    Waiting::MissingPieces
                }
            }
        }
    }

    /// Reports the reason why the download waits, when that has lasted.
    pub(super) fn report_waiting(&mut self, cx: &mut Context<'_>) {
        let limited = cx.download_limit.rate().is_some() && cx.download_limit.ready_at(cx.now) > cx.now;
        let why = self.waiting(limited, cx.now);
        if let Some(why) = self.accounting.waits.report(why, cx.now) {
            cx.out.events.push(Event::DownloadWaits { download: self.order.download, why });
        }
    }

    /// Gives an account in the log, when the next one is due.
    pub(super) fn account_when_due(&mut self, cx: &mut Context<'_>) {
        if self.accounting.take_due(cx.now) {
            self.account(false, cx);
        }
    }

    /// Gives an account in the log. The last account is given while the stage and the waits are still those of the
    /// download's end.
    pub(super) fn account(&mut self, is_last: bool, cx: &mut Context<'_>) {
        let account = Account {
            length: self.lifecycle.identified().map(|&Identified { length, .. }| length),
            verified: self.lifecycle.stored_pieces().map_or(0, |pieces| pieces.verified()),
            rate: self.meter.rate(cx.now),
            took: cx.now.since(self.order.began),
            ..self.accounting.account(&self.peers.sessions, &self.contributors, cx.now)
        };
        cx.out.events.push(Event::DownloadAccount { download: self.order.download, account, is_last });
    }
}
