//! Events as lines of the log. At info: which nodes come and go and what is announced, the first few events of each
//! kind in a minute line by line and the rest summed up; of refusals the sums. At debug: every event, and single
//! requests.

use channel::ChannelCounters;
use messages::Timestamp;
use messages::tracker_to_node::RefusalCode;
use tracing::{debug, info, warn};

use super::minute::{Minute, Summed};
use crate::{Counters, Event, Found, Refusals};

/// The number of events of each kind that are logged line by line in a minute: as many as a person can read.
const MAX_LINES_A_MINUTE: u32 = 10;

/// Writes events to the log.
#[derive(Debug, Default)]
pub(super) struct Record {
    minute: Minute,
}

/// Logs a line at that level, or at debug when the event is only one of many.
macro_rules! line {
    ($aloud:expr, $level:ident, $($rest:tt)+) => {
        if $aloud { $level!($($rest)+) } else { debug!($($rest)+) }
    };
}

impl Record {
    /// Writes one event, or counts it for the line that sums up.
    pub(super) fn write(&mut self, event: &Event, now: Timestamp) {
        let (what, first) = kind(event);
        let is_summed = !what.is_empty();
        let aloud = is_summed && self.minute.note(what, first, || example(event), now);
        write(event, aloud);
    }

    /// The instant at which there is something to sum up.
    pub(super) fn due(&self) -> Timestamp {
        self.minute.ends()
    }

    /// Sums up the minute that is over at `now`.
    pub(super) fn sum_up(&mut self, now: Timestamp) {
        self.minute.take_when_over(now).iter().for_each(write_sum);
    }

    /// The last lines: what was not summed up yet, and what was counted in all.
    pub(super) fn end(&mut self, counters: &Counters, channels: &ChannelCounters) {
        self.minute.take().iter().for_each(write_sum);
        record_counters(counters, channels);
    }
}

/// What events of this kind are called, and how many of them are logged in a minute; "" is not summed up.
fn kind(event: &Event) -> (&'static str, u32) {
    let what = match event {
        Event::NodeJoined { .. } => "nodes joined",
        Event::NodeReturned { .. } => "nodes returned in a new life",
        Event::NodeMoved { .. } => "nodes moved to another port",
        Event::IdClaimed { .. } => "ids claimed from elsewhere",
        Event::NodeTakenOver { .. } => "nodes taken over",
        Event::NodeLeft { .. } => "nodes left",
        Event::NodeExpired { .. } => "nodes expired",
        Event::NodeLetGo { .. } => "nodes let go",
        Event::ResyncAsked { .. } => "tables differed",
        Event::ContentAnnounced { .. } => "contents announced",
        Event::ContentCompleted { .. } => "contents complete",
        Event::ContentWithdrawn { .. } => "contents withdrawn",
        Event::CodeOffered { .. } => "codes offered",
        Event::CodeEnded { .. } => "codes ended",
        Event::ChannelOpened { .. } | Event::NeedAnswered { .. } => "",
        Event::Refused { code, .. } => return (refusals(*code), 0),
        Event::Undecodable { .. } => return ("datagrams refused", 0),
        Event::Misdirected { .. } => return ("datagrams not for a tracker", 0),
    };
    (what, MAX_LINES_A_MINUTE)
}

/// What refusals with this code are called; "" is how every conversation begins.
const fn refusals(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Cookie => "",
        RefusalCode::NotRegistered => "requests refused: not registered",
        RefusalCode::IdInUse => "requests refused: id in use",
        RefusalCode::TooFast => "requests refused: too fast",
        RefusalCode::Full => "requests refused: tables full",
    }
}

/// The example by which an event is named among many.
fn example(event: &Event) -> String {
    match event {
        Event::ContentAnnounced { name, .. } | Event::ContentCompleted { name, .. } => {
            name.as_str().to_owned()
        }
        Event::ContentWithdrawn { content, .. } => content.to_string(),
        Event::NodeJoined { node, .. }
        | Event::NodeReturned { node, .. }
        | Event::NodeMoved { node, .. }
        | Event::IdClaimed { node, .. }
        | Event::NodeTakenOver { node, .. }
        | Event::NodeLeft { node, .. }
        | Event::NodeExpired { node, .. }
        | Event::NodeLetGo { node, .. }
        | Event::ResyncAsked { node, .. }
        | Event::ChannelOpened { node, .. }
        | Event::NeedAnswered { node, .. } => node.to_string(),
        Event::CodeOffered { number, .. } | Event::CodeEnded { number } => number.to_string(),
        Event::Refused { address, .. } => address.to_string(),
        Event::Undecodable { from, .. } | Event::Misdirected { from } => from.to_string(),
    }
}

/// Logs one event: at its level when it is `aloud`, else at debug.
fn write(event: &Event, aloud: bool) {
    match event {
        Event::NodeJoined { node, address } => line!(aloud, info, %node, %address, "node joined"),
        Event::NodeReturned { node, address } => {
            line!(aloud, info, %node, %address, "node returned in a new life");
        }
        Event::NodeMoved { node, from, to } => {
            line!(aloud, info, %node, %from, %to, "node moved to another port");
        }
        // As far as anybody knows the node was restarted, or its NAT has moved it.
        Event::IdClaimed { node, registered, claimant } if registered.ip() == claimant.ip() => {
            line!(aloud, info, %node, %registered, %claimant, "another port claims a node's id: asking the node");
        }
        Event::IdClaimed { node, registered, claimant } => {
            line!(aloud, warn, %node, %registered, %claimant, "another address claims a node's id: asking the node");
        }
        Event::NodeTakenOver { node, from, to } => {
            line!(aloud, warn, %node, %from, %to, "node taken over: its old address does not answer");
        }
        Event::NodeLeft { node, address } => line!(aloud, info, %node, %address, "node left"),
        Event::NodeExpired { node, address } => {
            line!(aloud, info, %node, %address, "node expired: its lease ended");
        }
        Event::NodeLetGo { node, address } => {
            line!(aloud, info, %node, %address, "node let go: it is no member any more");
        }
        Event::ResyncAsked { node, known, reported } => {
            line!(aloud, info, %node, known, reported, "tables differ: asked the node for all its contents");
        }
        Event::ContentAnnounced { node, content, name, length, permille } => {
            line!(aloud, info, %node, %content, name = name.as_str(), length, permille, "content announced");
        }
        Event::ContentCompleted { node, content, name } => {
            line!(aloud, info, %node, %content, name = name.as_str(), "content complete");
        }
        Event::ContentWithdrawn { node, content } => {
            line!(aloud, info, %node, %content, "content withdrawn");
        }
        Event::ChannelOpened { node, address, suite } => {
            debug!(%node, %address, suite = suite.name(), "sealed channel opened");
        }
        Event::NeedAnswered { node, address, found } => match found {
            Found::Nothing => debug!(%node, %address, "need answered: unknown"),
            Found::Owners(content, owners) => {
                debug!(%node, %address, %content, owners, "need answered: owners");
            }
            Found::Contents(contents) => debug!(%node, %address, contents, "need answered: contents"),
        },
        Event::Refused { node, address, code, retry_after } => {
            let retry_after_ms = retry_after.as_millis() as u64;
            debug!(%node, %address, code = %code.word(), retry_after_ms, "request refused");
        }
        Event::CodeOffered { number, address } => line!(aloud, info, %number, %address, "code offered"),
        Event::CodeEnded { number } => line!(aloud, info, %number, "code ended"),
        Event::Undecodable { from, error } => debug!(%from, %error, "datagram refused"),
        Event::Misdirected { from } => debug!(%from, "datagram is not for a tracker"),
    }
}

fn write_sum(summed: &Summed) {
    let Summed { what, times, examples } = summed;
    info!(what, times, such_as = examples.as_str(), "in a minute, besides what is written");
}

/// Logs what was counted.
fn record_counters(counters: &Counters, channels: &ChannelCounters) {
    let Counters { datagrams, undecodable, misdirected, unanswerable, stray_pongs, expired, .. } = counters;
    info!(datagrams, undecodable, misdirected, unanswerable, stray_pongs, expired, "counted in all");
    let Counters { registered, owned, needs, updates, repeated_updates, exits, .. } = counters;
    info!(registered, owned, needs, updates, repeated_updates, exits, "counted by request");
    let Refusals { cookie, not_registered, id_in_use, too_fast, full } = counters.refused;
    info!(cookie, not_registered, id_in_use, too_fast, full, "counted by refusal");
    let ChannelCounters { opened, in_the_clear, forged, replayed, refused, over_budget } = channels;
    info!(opened, in_the_clear, forged, replayed, refused, over_budget, "counted of sealed channels");
}

#[cfg(all(test, feature = "bin"))]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use messages::{ContentId, Name, NodeId};

    use super::*;

    /// What the log says at `level` when `speak` speaks, without the times.
    fn logged(level: &str, speak: impl FnOnce()) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder, a log, a name");
        let settings = logs::LogSettings {
            folder: folder.path().to_owned(),
            file: "tracker.log".to_owned(),
            rotation: logs::Rotation { bytes: 1 << 30, files: 1 },
            level: level.to_owned(),
            also_stderr: false,
        };
        let (dispatch, guard) = logs::scoped(settings).expect("a folder, a log, a name");
        tracing::dispatcher::with_default(&dispatch, speak);
        drop(guard);
        let text =
            std::fs::read_to_string(folder.path().join("tracker.log")).expect("a folder, a log, a name");
        text.lines().filter_map(|line| line.split_once(' ')).map(|(_, line)| line.trim().to_owned()).collect()
    }

    fn address() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 7], 7000))
    }

    fn announced(number: u32) -> Event {
        let mut content = [9; 32];
        content[..4].copy_from_slice(&number.to_be_bytes());
        let (node, content) = (NodeId::from_bytes([7; 16]), ContentId::from_bytes(content));
        let name = Name::new(&format!("f{number}")).expect("a folder, a log, a name");
        Event::ContentAnnounced { node, content, name, length: 1, permille: 1000 }
    }

    /// As a driver writes them: sums first, then what happened.
    fn write_all(record: &mut Record, events: impl Iterator<Item = (Timestamp, Event)>) {
        for (now, event) in events {
            record.sum_up(now);
            record.write(&event, now);
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn forty_thousand_announcements_in_ten_seconds_are_a_dozen_lines() {
        let lines = logged("info", || {
            let mut record = Record::default();
            write_all(&mut record, (0..40_000).map(|number| (at(u64::from(number) / 4), announced(number))));
            assert_eq!(record.due(), at(60_000));
            record.sum_up(at(60_000));
        });
        assert_eq!(lines.len(), 11, "{lines:#?}");
        assert!(lines[..10].iter().all(|line| line.starts_with("INFO content announced")), "{lines:#?}");
        let sum = "what=\"contents announced\" times=39990 such_as=\"f10, f11, f12\"";
        assert!(lines[10].contains(sum), "{}", lines[10]);
    }

    #[test]
    fn every_kind_together_has_a_bound_a_minute() {
        let node = NodeId::from_bytes([7; 16]);
        let refused = |code| Event::Refused { node, address: address(), code, retry_after: Duration::ZERO };
        let flood = |number: u32| match number % 8 {
            0 => announced(number),
            1 => Event::NodeJoined { node, address: address() },
            2 => Event::NodeLeft { node, address: address() },
            3 => Event::IdClaimed { node, registered: address(), claimant: SocketAddr::from(([1; 4], 1)) },
            4 => Event::Misdirected { from: address() },
            5 => refused(RefusalCode::TooFast),
            6 => refused(RefusalCode::Cookie),
            _ => Event::NeedAnswered { node, address: address(), found: Found::Nothing },
        };
        let lines = logged("info", || {
            let mut record = Record::default();
            // Five minutes of it.
            write_all(&mut record, (0..200_000).map(|number| (at(u64::from(number) * 3 / 2), flood(number))));
            let channels = ChannelCounters { opened: 5, ..ChannelCounters::default() };
            record.end(&Counters::default(), &channels);
        });
        assert!(
            lines.iter().any(|line| line.contains("sealed channels opened=5 in_the_clear=0")),
            "{lines:#?}"
        );
        assert_eq!(lines.len(), 5 * (4 * 10 + 6) + 4, "{lines:#?}");
        let words = ["what=\"requests refused: too fast\"", "10.0.0.7:7000"];
        assert!(lines.iter().any(|line| words.iter().all(|word| line.contains(word))), "{lines:#?}");
    }

    #[test]
    fn who_wants_every_line_has_it_at_debug() {
        let lines = logged("debug", || {
            let mut record = Record::default();
            write_all(&mut record, (0..50).map(|number| (at(1), announced(number))));
        });
        let of = |level: &str| lines.iter().filter(|line| line.starts_with(level)).count();
        assert_eq!((of("INFO content announced"), of("DEBUG content announced")), (10, 40));
    }
}
