//! Sending: control datagrams and bursts leave in order, and wait together while the socket takes no more.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use channel::Channels;
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use riffle_core::{Burst, DiskError, Outgoing, ShareId};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::debug;

use super::sealed::SealedSender;
use super::socket::Family;
use crate::driver::serve::{Bytes, FileCache};
use crate::platform::error_kind::is_bad_address;

/// The most datagrams and bursts that wait for the socket. The rest is dropped, as a full queue on the path would
/// drop it.
const MAX_BLOCKED: usize = 4096;

/// Datagrams that leave together are together at most so long: the longest that UDP over IPv4 carries, rounded down.
const MAX_TOGETHER: usize = 65_000;

/// The counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TransmitCounters {
    /// Datagrams and bursts that waited for the socket.
    pub(crate) blocked: u64,
    /// Datagrams and bursts that were dropped because too many were waiting.
    pub(crate) dropped: u64,
    /// Datagrams and bursts that the system refused: unreachable, too long, forbidden.
    pub(crate) refused: u64,
}

/// Sends datagrams and bursts, and keeps what cannot be sent yet.
pub(crate) struct Transmitter {
    state: UdpSocketState,
    family: Family,
    burst_sender: BurstSender,
    sealed_sender: SealedSender,
    blocked: VecDeque<Blocked>,
    counters: TransmitCounters,
}

#[cfg(target_os = "linux")]
type BurstSender = super::scatter::Scatter;
#[cfg(not(target_os = "linux"))]
type BurstSender = super::portable::Portable;

enum Blocked {
    Datagrams { to: SocketAddr, bytes: Box<[u8]>, length: usize },
    Burst { burst: Burst, next: usize },
}

/// The outcome of sending a datagram or a burst.
#[derive(Debug)]
enum Sent {
    /// Sent, or refused for good.
    Done,
    /// The socket takes no more for now.
    Blocked,
    /// The file of the burst no longer has its bytes.
    Faulted(Option<(ShareId, DiskError)>),
}

impl Transmitter {
    /// A transmitter for a socket of that family.
    pub(crate) fn new(state: UdpSocketState, family: Family) -> Transmitter {
        #[cfg(target_os = "linux")]
        let burst_sender = BurstSender::new(state.max_gso_segments() > 1);
        #[cfg(not(target_os = "linux"))]
        let burst_sender = BurstSender::default();
        let (blocked, counters) = (VecDeque::new(), TransmitCounters::default());
        let sealed_sender = SealedSender::default();
        Transmitter { state, family, burst_sender, sealed_sender, blocked, counters }
    }

    /// What the system offers for this socket, which receiving needs too.
    pub(crate) fn state(&self) -> &UdpSocketState {
        &self.state
    }

    /// Whether something waits for the socket.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// The counts since the start.
    pub(crate) fn counters(&self) -> TransmitCounters {
        self.counters
    }

    /// How many of the first control datagrams may leave together, see [`Transmitter::datagrams`]: at least one, if there
    /// is one.
    pub(crate) fn together(&self, datagrams: &[Outgoing]) -> usize {
        together(datagrams, self.state.max_gso_segments())
    }

    /// Sends control datagrams, now or in their turn: `bytes`, cut into datagrams of `length` bytes of which the last may
    /// be shorter.
    pub(crate) fn datagrams(&mut self, socket: &UdpSocket, to: SocketAddr, bytes: &[u8], length: usize) {
        if !self.is_blocked() && !matches!(self.try_datagrams(socket, to, bytes, length), Sent::Blocked) {
            return;
        }
        self.keep(Blocked::Datagrams { to, bytes: bytes.into(), length });
    }

    /// Sends a long datagram, now or never: that the interface or the socket does not take it is an answer.
    pub(crate) fn probe(&mut self, socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) {
        let length = bytes.len();
        let blocked =
            self.is_blocked() || matches!(self.try_datagrams(socket, to, bytes, length), Sent::Blocked);
        self.counters.dropped += u64::from(blocked);
    }

    /// Sends a burst, now or in its turn. A share whose file has changed is given back once.
    pub(crate) fn burst(
        &mut self,
        socket: &UdpSocket,
        file_cache: &mut FileCache,
        channels: Option<&mut Channels>,
        burst: Burst,
    ) -> Option<(ShareId, DiskError)> {
        let mut next = 0;
        if !self.is_blocked() {
            match self.try_burst(socket, file_cache, channels, &burst, &mut next) {
                Sent::Done => return None,
                Sent::Faulted(fault) => return fault,
                Sent::Blocked => {}
            }
        }
        self.keep(Blocked::Burst { burst, next });
        None
    }

    fn keep(&mut self, blocked: Blocked) {
        if self.blocked.len() < MAX_BLOCKED {
            self.counters.blocked += 1;
            self.blocked.push_back(blocked);
        } else {
            self.counters.dropped += 1;
        }
    }

    /// Sends what waits until the socket takes no more. Ends early with a share whose file has changed.
    pub(crate) fn flush(
        &mut self,
        socket: &UdpSocket,
        file_cache: &mut FileCache,
        mut channels: Option<&mut Channels>,
    ) -> Option<(ShareId, DiskError)> {
        while let Some(mut first) = self.blocked.pop_front() {
            let sent = match &mut first {
                Blocked::Datagrams { to, bytes, length } => self.try_datagrams(socket, *to, bytes, *length),
                Blocked::Burst { burst, next } => {
                    self.try_burst(socket, file_cache, channels.as_deref_mut(), burst, next)
                }
            };
            match sent {
                Sent::Done | Sent::Faulted(None) => {}
                Sent::Faulted(fault) => return fault,
                Sent::Blocked => {
                    self.blocked.push_front(first);
                    return None;
                }
            }
        }
        None
    }

    fn try_datagrams(&mut self, socket: &UdpSocket, to: SocketAddr, bytes: &[u8], length: usize) -> Sent {
        let transmit = Transmit {
            destination: self.family.outward(to),
            ecn: None,
            contents: bytes,
            segment_size: (length < bytes.len()).then_some(length),
            src_ip: None,
        };
        let result =
            socket.try_io(Interest::WRITABLE, || self.state.try_send(UdpSockRef::from(socket), &transmit));
        self.judge(to, result)
    }

    fn try_burst(
        &mut self,
        socket: &UdpSocket,
        file_cache: &mut FileCache,
        channels: Option<&mut Channels>,
        burst: &Burst,
        next: &mut usize,
    ) -> Sent {
        let Some(bytes) = file_cache.bytes(burst) else { return Sent::Done };
        let sealer = match channels.filter(|channels| channels.is_sealed(burst.to)) {
            Some(channels) => match channels.sealer(burst.to, burst.first.conversation) {
                Some(sealer) => Some(sealer),
                // The channel is gone, and its session will be.
                None => return Sent::Done,
            },
            None => None,
        };
        let to = self.family.outward(burst.to);
        let started = Instant::now();
        let result = socket.try_io(Interest::WRITABLE, || match sealer {
            Some(sealer) => self.sealed_sender.send((&self.state, socket), to, burst, bytes, sealer, next),
            None => self.send_burst(socket, to, burst, bytes, next),
        });
        file_cache.on_sent(burst, started.elapsed());
        match result {
            Err(cause) if is_fault(&cause) => Sent::Faulted(file_cache.on_fault(burst)),
            result => self.judge(burst.to, result),
        }
    }

    fn send_burst(
        &mut self,
        socket: &UdpSocket,
        to: SocketAddr,
        burst: &Burst,
        bytes: Bytes<'_>,
        next: &mut usize,
    ) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use crate::platform::mapping::Run;
            let run = match bytes {
                Bytes::Memory(bytes) => Some(Run::of(bytes)),
                Bytes::Served(served) => {
                    let range = burst.start..burst.start + u64::from(burst.length);
                    served.map.as_deref().and_then(|map| map.run(range))
                }
            };
            let run = run.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.burst_sender.send(socket, &to.into(), burst, run, next)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let try_send = |transmit: &Transmit<'_>| self.state.try_send(UdpSockRef::from(socket), transmit);
            self.burst_sender.send(try_send, to, burst, bytes, next)
        }
    }

    /// UDP promises nothing, so a refusal is a loss: the protocol asks again, or finds another way.
    fn judge(&mut self, to: SocketAddr, result: io::Result<()>) -> Sent {
        match result {
            Ok(()) => Sent::Done,
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => Sent::Blocked,
            Err(cause) => {
                self.counters.refused += 1;
                debug!(%to, %cause, "the system refuses a datagram");
                Sent::Done
            }
        }
    }
}

/// How many of the first of `datagrams` the system cuts out of one block (generic segmentation offload, at most
/// `max_segments`): all of one length but the last, which may be shorter, and to one address.
///
/// Only within this host: elsewhere a network card may cut them, and one that does it wrong would keep the node from its
/// tracker and from all owners.
fn together(datagrams: &[Outgoing], max_segments: usize) -> usize {
    let Some((first, others)) = datagrams.split_first() else { return 0 };
    if !first.to.ip().to_canonical().is_loopback() || first.is_probe {
        return 1;
    }
    let (mut count, length, mut end) = (1, first.range.len(), first.range.end);
    for other in others.iter().take(max_segments.saturating_sub(1)) {
        let fits = other.range.end - first.range.start <= MAX_TOGETHER && other.range.len() <= length;
        if other.to != first.to || other.is_probe || other.range.start != end || !fits {
            break;
        }
        (count, end) = (count + 1, other.range.end);
        if other.range.len() < length {
            break;
        }
    }
    count
}

fn is_fault(cause: &io::Error) -> bool {
    is_bad_address(cause) || cause.kind() == io::ErrorKind::UnexpectedEof
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Datagrams of these lengths, one after the other, to these ports of this host.
    fn outgoing(datagrams: &[(u16, usize)]) -> Vec<Outgoing> {
        let mut at = 0;
        let one = |&(port, length): &(u16, usize)| {
            at += length;
            let to = SocketAddr::from(([127, 0, 0, 1], port));
            Outgoing { to, range: at - length..at, zeros: 0, is_probe: false }
        };
        datagrams.iter().map(one).collect()
    }

    #[test]
    fn datagrams_of_one_length_to_one_address_leave_together_and_a_shorter_one_is_the_last() {
        assert_eq!(together(&[], 64), 0);
        assert_eq!(together(&outgoing(&[(1, 40)]), 64), 1);
        assert_eq!(together(&outgoing(&[(1, 40), (1, 40), (1, 12), (1, 40)]), 64), 3);
        assert_eq!(together(&outgoing(&[(1, 40), (1, 52)]), 64), 1);
        assert_eq!(together(&outgoing(&[(1, 40), (1, 40), (2, 40)]), 64), 2);
        assert_eq!(together(&outgoing(&[(1, 40); 9]), 4), 4);
        assert_eq!(together(&outgoing(&[(1, 40); 9]), 1), 1, "the system cuts nothing");
        assert_eq!(together(&outgoing(&[(1, 1200); 60]), 64), 54);
    }

    #[test]
    fn a_probe_and_what_leaves_this_host_goes_alone() {
        let mut probe = outgoing(&[(1, 40), (1, 40)]);
        probe[1].is_probe = true;
        assert_eq!(together(&probe, 64), 1);
        let mut far = outgoing(&[(1, 40), (1, 40)]);
        far.iter_mut().for_each(|outgoing| outgoing.to = SocketAddr::from(([192, 0, 2, 1], 1)));
        assert_eq!(together(&far, 64), 1);
    }
}
