//! Sending: control datagrams and bursts leave in order, and wait together while the socket takes no more.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use riffle_core::{Burst, DiskError, ShareId};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::debug;

use super::socket::Family;
use crate::driver::serve::{Bytes, FileCache};
use crate::platform::error_kind::is_bad_address;

/// The most datagrams and bursts that wait for the socket. The rest is dropped, as a full queue on the path would
/// drop it.
const MAX_BLOCKED: usize = 4096;

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
    blocked: VecDeque<Blocked>,
    counters: TransmitCounters,
}

#[cfg(target_os = "linux")]
type BurstSender = super::scatter::Scatter;
#[cfg(not(target_os = "linux"))]
type BurstSender = super::portable::Portable;

enum Blocked {
    Datagram { to: SocketAddr, bytes: Box<[u8]> },
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
        Transmitter { state, family, burst_sender, blocked, counters }
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

    /// Sends a control datagram, now or in its turn.
    pub(crate) fn datagram(&mut self, socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) {
        if !self.is_blocked() && !matches!(self.try_datagram(socket, to, bytes), Sent::Blocked) {
            return;
        }
        self.keep(Blocked::Datagram { to, bytes: bytes.into() });
    }

    /// Sends a long datagram, now or never: that the interface or the socket does not take it is an answer.
    pub(crate) fn probe(&mut self, socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) {
        let blocked = self.is_blocked() || matches!(self.try_datagram(socket, to, bytes), Sent::Blocked);
        self.counters.dropped += u64::from(blocked);
    }

    /// Sends a burst, now or in its turn. A share whose file has changed is given back once.
    pub(crate) fn burst(
        &mut self,
        socket: &UdpSocket,
        file_cache: &mut FileCache,
        burst: Burst,
    ) -> Option<(ShareId, DiskError)> {
        let mut next = 0;
        if !self.is_blocked() {
            match self.try_burst(socket, file_cache, &burst, &mut next) {
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
    ) -> Option<(ShareId, DiskError)> {
        while let Some(mut first) = self.blocked.pop_front() {
            let sent = match &mut first {
                Blocked::Datagram { to, bytes } => self.try_datagram(socket, *to, bytes),
                Blocked::Burst { burst, next } => self.try_burst(socket, file_cache, burst, next),
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

    fn try_datagram(&mut self, socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) -> Sent {
        let transmit = Transmit {
            destination: self.family.outward(to),
            ecn: None,
            contents: bytes,
            segment_size: None,
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
        burst: &Burst,
        next: &mut usize,
    ) -> Sent {
        let Some(bytes) = file_cache.bytes(burst) else { return Sent::Done };
        let to = self.family.outward(burst.to);
        let started = Instant::now();
        let result = socket.try_io(Interest::WRITABLE, || self.send_burst(socket, to, burst, bytes, next));
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

fn is_fault(cause: &io::Error) -> bool {
    is_bad_address(cause) || cause.kind() == io::ErrorKind::UnexpectedEof
}
