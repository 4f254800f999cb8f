//! What the sessions of a scripted downloader send.

use std::time::Duration;

use messages::limits::{MAX_HAVE_RUNS, MAX_RANGES};
use messages::node_to_node::{ByteRange, Control, Have, Operation, Ping, Request};
use messages::{List, PieceIndex, PieceRun};

use super::{Behaviour, RANGE, RETRY_AFTER, SEGMENT, ScriptedDownloader};
use crate::world::{HostId, World};

/// How often a session that praises its friends acts.
const PRAISE_PERIOD: Duration = Duration::from_millis(500);
/// How many pieces are praised: those that were begun last.
const MAX_PRAISED: usize = MAX_HAVE_RUNS;

impl World {
    /// Does what the script says, in an open session.
    pub(super) fn act(&mut self, host: HostId, downloader: &mut ScriptedDownloader, number: u32) {
        let after = match downloader.script.behaviour {
            Behaviour::OneByte(every) => {
                self.ask(host, downloader, number, 1, 1);
                every
            }
            Behaviour::Everything | Behaviour::Outboard => {
                if downloader.sessions[number as usize].received_at + RETRY_AFTER <= self.now {
                    self.ask(host, downloader, number, MAX_RANGES, RANGE);
                }
                RETRY_AFTER
            }
            Behaviour::Steadily(rate) => {
                // Ten times a second, or as often as there are REQUESTs to say.
                let ranges = (rate / 10 / u64::from(RANGE)).clamp(1, MAX_RANGES as u64);
                self.ask(host, downloader, number, ranges as usize, RANGE);
                Duration::from_nanos(ranges * u64::from(RANGE) * 1_000_000_000 / rate.max(1))
            }
            Behaviour::Cancels(every) => {
                let first = downloader.sessions[number as usize].next_request;
                self.ask(host, downloader, number, MAX_RANGES, RANGE);
                for request in (0..MAX_RANGES as u32).map(|range| first.wrapping_add(range)) {
                    let cancel = Control { operation: Operation::Cancel, retry_after_ms: 0, request };
                    self.send_in_session(host, downloader, number, &cancel);
                }
                every
            }
            Behaviour::Nothing => {
                self.send_in_session(host, downloader, number, &Ping::new(1));
                Duration::from_secs(10)
            }
            Behaviour::Boasts(every) => {
                let pieces = self.layout_of(downloader.script.content).pieces();
                let all = PieceRun::new(PieceIndex(0), pieces).expect("a run");
                let runs = List::first_of([all; MAX_HAVE_RUNS]);
                self.send_in_session(host, downloader, number, &Have { runs });
                every
            }
            Behaviour::Pings(every) => {
                self.send_in_session(host, downloader, number, &Ping::new(1));
                every
            }
            Behaviour::Greets(every) => {
                self.send_hello(host, downloader, number);
                every
            }
            Behaviour::Stales { every, .. } => {
                self.send_hello(host, downloader, number);
                every
            }
            Behaviour::Praises { rate, hops } => {
                self.praise(host, downloader, number, rate, hops);
                PRAISE_PERIOD
            }
        };
        self.set_timer(host, downloader, number, after);
    }

    /// Behaviour a little, and says that it has what its friends took.
    fn praise(
        &mut self,
        host: HostId,
        downloader: &mut ScriptedDownloader,
        number: u32,
        rate: u64,
        hops: bool,
    ) {
        let address = downloader.script.address(number).ip();
        let (piece, _) = downloader.sessions[number as usize].next;
        if downloader.begun.back() != Some(&(address, piece)) {
            downloader.begun.push_back((address, piece));
        }
        let bytes = rate * PRAISE_PERIOD.as_millis() as u64 / 1000;
        let count = (bytes / u64::from(RANGE) + 1).min(MAX_RANGES as u64);
        self.ask(host, downloader, number, count as usize, (bytes / count) as u32);
        if hops {
            let pieces = self.layout_of(downloader.script.content).pieces();
            downloader.sessions[number as usize].next = ((piece + 1) % pieces, 0);
        }
        while downloader.begun.len() > MAX_PRAISED {
            downloader.begun.pop_front();
        }
        let of_friends = downloader.begun.iter().filter(|(of, _)| *of != address);
        let runs = List::first_of(of_friends.filter_map(|(_, piece)| PieceRun::new(PieceIndex(*piece), 1)));
        self.send_in_session(host, downloader, number, &Have { runs });
    }

    /// Sends a REQUEST of the next ranges of the content, or of its outboard, of `length` bytes at most, and around.
    pub(super) fn ask(
        &mut self,
        host: HostId,
        downloader: &mut ScriptedDownloader,
        number: u32,
        count: usize,
        length: u32,
    ) {
        let layout = self.layout_of(downloader.script.content);
        let session = &mut downloader.sessions[number as usize];
        let mut ranges = Vec::new();
        for _ in 0..count {
            let (piece, offset) = session.next;
            let (of, end) = match downloader.script.behaviour {
                // A content of one piece has no outboard: then it is asked for one all the same.
                Behaviour::Outboard => (PieceIndex::OUTBOARD, layout.outboard_length().max(1)),
                _ => (PieceIndex(piece), layout.piece_length(PieceIndex(piece))),
            };
            let length = length.min(end - offset);
            ranges.push(ByteRange::new(of, offset, length).expect("a range"));
            session.next = match offset + length {
                next if next < end => (piece, next),
                _ => ((piece + 1) % layout.pieces(), 0),
            };
        }
        let request = Request {
            first_request: session.next_request,
            highest_sequence: session.highest_sequence,
            ping_echo: if downloader.script.answers_pings { session.ping_echo } else { 0 },
            segment_size: SEGMENT,
            ranges: List::first_of(ranges),
        };
        session.next_request = session.next_request.wrapping_add(count as u32);
        self.send_in_session(host, downloader, number, &request);
    }
}
