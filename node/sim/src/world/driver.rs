//! The driver of a simulated host: packets, polls, disk requests, bursts and events of its core.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use channel::{SEALED_CHUNK_PREFIX, TAG_LENGTH};
use messages::{CHUNK_HEADER, ChunkHeader, Kind, Name, PieceIndex, Timestamp};
use rand::RngExt as _;
use riffle_core::{Burst, BurstPart, Event, Failure, Output, Placement, Source};

use super::fault::Fault;
use super::host::{Manners, WishState};
use super::payload::Payload;
use super::record::Milestone;
use super::scripted_owners::OwnerScript;
use super::sim_event::SimEvent;
use super::{HostId, World};
use crate::disk::{Around, Provenance};
use crate::link::IP_HEADERS;

/// How often a core may ask to be polled without time passing before it counts as going round in circles.
const MAX_POLLS: u32 = 100_000;
/// How long after its failure a download that the disk failed is ordered again.
const REORDER_AFTER: Duration = Duration::from_secs(5);
/// The payload of a CHUNK of the base size, in bytes.
const BASE_SEGMENT: u32 = 1168;
/// Once in so many polls a host's sessions are counted.
const STATUS_PERIOD: u64 = 1024;

impl World {
    /// Hands a packet to what runs at the host: a script, or the node.
    pub(super) fn deliver(&mut self, to: HostId, from: SocketAddr, payload: Payload) {
        self.count_from_stranger(to, from, payload.bytes());
        if self.deliver_to_scripted_downloader(to, &payload) {
            return;
        }
        if let Manners::Scripted(script) = self.hosts[to.0].manners
            && self.deliver_to_scripted_owner(to, from, &payload, script)
        {
            return;
        }
        let host = &mut self.hosts[to.0];
        match payload {
            Payload::Control(mut bytes) if Kind::is_channel(&bytes) => {
                let chunk = host.node.open(from, &mut bytes, self.now);
                assert_eq!(chunk, None, "CHUNKs are not sealed as control datagrams");
            }
            Payload::Control(bytes) => host.node.handle_datagram(from, &bytes, self.now),
            Payload::Chunk { header, length, source } => {
                let place = host.node.handle_chunk(from, &header, length as usize, self.now);
                self.place(to, &header, place, (length, source));
            }
            Payload::Sealed { mut frame, length, source } => {
                let Some((header, _)) = host.node.open(from, &mut frame, self.now) else { return };
                let place = host.node.handle_opened_chunk(from, &header, length as usize, self.now);
                self.place(to, &header, place, (length, source));
            }
        }
    }

    /// Puts the bytes of a CHUNK where the core wants them, if it does.
    fn place(
        &mut self,
        to: HostId,
        header: &ChunkHeader,
        place: Option<Placement>,
        (length, source): (u32, Provenance),
    ) {
        let Some(place) = place else { return };
        let host = &mut self.hosts[to.0];
        let again =
            header.piece != PieceIndex::OUTBOARD && host.disk.has_stored(source.content, header.piece);
        assert!(!again, "{to:?} fetches {}, which it has", header.piece);
        host.disk.pool.place(place.buffer, place.offset, length, source);
        if header.piece != PieceIndex::OUTBOARD {
            self.on_arrived(to, u64::from(length) + CHUNK_HEADER as u64 + IP_HEADERS);
        }
    }

    /// Polls the node of host `id` until it waits, and carries out what it gives.
    pub(super) fn poll(&mut self, id: HostId) {
        let mut out = std::mem::take(&mut self.scratch);
        let wait = loop {
            let now = self.now;
            let host = &mut self.hosts[id.0];
            host.polling.polls = if host.polling.polled_at == now { host.polling.polls + 1 } else { 0 };
            host.polling.polled_at = now;
            let wait = host.node.poll(now, &mut out);
            assert!(
                host.polling.polls < MAX_POLLS,
                "the core of {id:?} goes round in circles at {now:?}: {wait:?}"
            );
            self.carry_out(id, &mut out);
            if wait.until > now {
                break wait;
            }
        };
        self.scratch = out;
        let host = &mut self.hosts[id.0];
        host.polling.round += 1;
        let round = host.polling.round;
        if wait.until < Timestamp::NEVER {
            self.schedule(wait.until, SimEvent::Wake { host: id, round });
        }
    }

    /// Carries out what the core gave: changes of the pool, disk requests, datagrams, bursts and events.
    fn carry_out(&mut self, id: HostId, out: &mut Output) {
        let (now, address) = (self.now, self.hosts[id.0].address);
        let life = self.hosts[id.0].process.life;
        self.hosts[id.0].disk.pool.change(&out.buffers);
        self.check_bounds(id);
        for request in out.disk.drain(..) {
            let around = &mut Around { library: &self.library, now, rng: &mut self.rng };
            let (takes, results) = self.hosts[id.0].disk.carry_out(request, around);
            for result in results {
                self.schedule(now + takes, SimEvent::Disk { host: id, life, result: Box::new(result) });
            }
        }
        for datagram in &out.datagrams {
            let bytes = out.whole(datagram);
            self.send(id, address, datagram.to, Payload::Control(bytes));
        }
        if self.hosts[id.0].manners != Manners::Mute {
            out.bursts.iter().for_each(|burst| self.send_burst(id, burst));
        }
        for event in out.events.drain(..) {
            self.on_event(id, event);
        }
    }

    /// Sends the datagrams of a burst, as the system does with one call.
    fn send_burst(&mut self, id: HostId, burst: &Burst) {
        let (now, address, manners) = (self.now, self.hosts[id.0].address, self.hosts[id.0].manners);
        let (content, outboard) = match &burst.source {
            Source::Share(share) => (self.hosts[id.0].disk.source(*share), false),
            Source::Outboard(bytes) => (self.library.of_outboard(bytes), true),
        };
        let content = content.expect("a burst from a file that is not open");
        self.record.bursts_no_gso += u64::from(burst.no_gso);
        let link = self.hosts[id.0].link.spec;
        let is_gso = burst.segments() > 1 && (link.limits_no_gso || !burst.no_gso);
        let arriving = link.gso_limit.filter(|_| is_gso).unwrap_or(usize::MAX);
        let bytes = burst.wire_length() as u64 + burst.datagrams() as u64 * IP_HEADERS;
        if link.is_before_gso && is_gso && !self.hosts[id.0].link.up.fits(link.up, link.queue, bytes, now) {
            self.hosts[id.0].link.up.dropped += 1;
            return;
        }
        for index in 0..burst.datagrams().min(arriving) {
            let index = match burst.part(index) {
                BurstPart::Segment(index) => index,
                BurstPart::Ping(ping) => {
                    let (mut bytes, mut sealed) = (Vec::new(), Vec::new());
                    messages::encode(burst.first.conversation, &ping, &mut bytes);
                    if let Some(channels) = self.hosts[id.0].node.channels() {
                        channels.seal(burst.to, &bytes, now, &mut sealed);
                        bytes = sealed;
                    }
                    self.send(id, address, burst.to, Payload::Control(bytes));
                    continue;
                }
            };
            let payload = burst.payload(index);
            let is_lie = match manners {
                Manners::Liar(millionths) => self.rng.random_range(0..1_000_000) < millionths,
                _ => false,
            };
            let right = Provenance { content, outboard, from: payload.start };
            let source = if is_lie { Provenance::WRONG } else { right };
            let (header, length) = (burst.header(index), (payload.end - payload.start) as u32);
            if manners == Manners::Scripted(OwnerScript::DropsLongChunks) && length > BASE_SEGMENT {
                continue;
            }
            let payload = match self.hosts[id.0].node.channels() {
                Some(channels) if channels.is_sealed(burst.to) => {
                    // A channel that is gone carries nothing any more.
                    let Some(sealer) = channels.sealer(burst.to, header.conversation) else { return };
                    let mut frame = vec![0; SEALED_CHUNK_PREFIX + 1 + TAG_LENGTH];
                    sealer.seal_chunk(&header, &mut frame);
                    Payload::Sealed { frame, length, source }
                }
                _ => Payload::Chunk { header, length, source },
            };
            self.send(id, address, burst.to, payload);
        }
    }

    /// Takes in one event of the core, and what the person does about it.
    fn on_event(&mut self, id: HostId, event: Event) {
        let now = self.now;
        let end = match &event {
            Event::DownloadDone { download, path, .. } => Some((*download, Ok(path.clone()))),
            Event::DownloadFailed { download, why } => Some((*download, Err(why.clone()))),
            Event::IndexRead { download, .. } => Some((*download, Ok(PathBuf::new()))),
            _ => None,
        };
        match &event {
            Event::PieceVerified { piece, .. } => self.record.milestones.push(Milestone::Stored(id, *piece)),
            Event::PieceRejected { owners, .. } => {
                self.record.milestones.push(Milestone::Rejected(id, owners.clone()));
            }
            _ => {}
        }
        if event == Event::Left {
            // The program ends when the core has sent its last datagrams.
            self.schedule(now, SimEvent::Fault(Box::new(Fault::Kill(id))));
        }
        let host = &mut self.hosts[id.0];
        host.events.push((now, event));
        if host.events.len() > self.record.max_events.saturating_mul(2) {
            host.events.drain(..self.record.max_events);
        }
        let Some((download, end)) = end else {
            return;
        };
        host.ended += 1;
        self.record.milestones.push(Milestone::Ended(id));
        let Some(wish) =
            host.person.wishes.iter().position(|wish| wish.state == WishState::Ordered(download))
        else {
            return;
        };
        host.person.wishes[wish].state = match end {
            Ok(path) => {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                host.person.shares.push((path.clone(), Name::new(name).expect("the name of a file")));
                WishState::Done(now)
            }
            Err(Failure::Disk(_)) => WishState::Again,
            // The person who left wants it again when the host starts again.
            Err(Failure::Cancelled) => WishState::NotOrdered,
            Err(why) => WishState::Failed(why),
        };
        if host.person.wishes[wish].state == WishState::Again {
            self.schedule(now + REORDER_AFTER, SimEvent::Order { host: id, wish });
        }
    }

    /// Checks that buffers stay within the setting, except a single larger buffer, and now and then that sessions stay
    /// within theirs.
    fn check_bounds(&mut self, id: HostId) {
        let now = self.now;
        let host = &mut self.hosts[id.0];
        let budget = host.settings.download.memory.as_u64().max(u64::from(messages::limits::MAX_PIECE_SIZE));
        assert!(host.disk.pool.bytes <= budget, "{id:?} buffers {} of {budget} bytes", host.disk.pool.bytes);
        if host.polling.round.is_multiple_of(STATUS_PERIOD) {
            let status = host.node.status(now);
            let sessions = status.uploads.len();
            assert!(sessions <= host.settings.network.max_sessions as usize, "{id:?} serves {sessions}");
            // Owners that give nothing do not count, up to a bound.
            let owners = 4 * usize::from(host.settings.download.owners);
            let most = status.downloads.iter().map(|download| download.owners.len()).max().unwrap_or(0);
            assert!(most <= owners, "{id:?} talks to {most} owners of {owners}");
        }
    }
}
