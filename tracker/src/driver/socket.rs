//! The UDP socket: both families on one port, answers from the address that was reached.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use messages::limits::MAX_DATAGRAM;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use tokio::io::Interest;

use crate::Outgoing;

/// How many receive buffers are handed to the system at once. With receive offload each can hold several datagrams.
const BUFFERS: usize = 8;
/// The length of one receive buffer in bytes: the largest datagram, or as many smaller ones as the system joins.
const BUFFER: usize = 1 << 16;
/// How many bytes the system is asked to keep while the tracker is busy; the system may grant less.
const SYSTEM_BUFFER: usize = 4 << 20;

/// How long after a failure a socket is read again.
const FAILURE_REST: Duration = Duration::from_millis(50);
/// How many failures in a row make the tracker give up its socket.
const MAX_FAILURES: u32 = 100;

const _: () = assert!(BUFFER > MAX_DATAGRAM, "every datagram fits");

/// Why there is no socket. Each message names the address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another process has the port.
    #[error("cannot listen at {address}: the port is in use")]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address is not one of this host.
    #[error("cannot listen at {address}: this host does not have that address")]
    NotHere {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen at {address}: {cause}")]
    Failed {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
}

/// A bound socket that is not served yet.
#[derive(Debug)]
pub struct Socket {
    socket: socket2::Socket,
    address: SocketAddr,
    /// The system chose the port.
    is_fresh: bool,
}

impl Socket {
    /// The address to which the socket is bound, with the port that the system chose if it had to choose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Whether nobody can know the address from before, because the system has just chosen the port.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_fresh
    }
}

/// Binds a socket at `listen`; a port that another process has is an error. `[::]` is all interfaces of both families;
/// on a host without IPv6 it is all interfaces of IPv4.
///
/// # Errors
/// The port is taken, the address is not of this host, or the system refuses.
pub fn bind(listen: SocketAddr) -> Result<Socket, BindError> {
    let refused = match bind_exactly(listen) {
        Ok(socket) => return Ok(socket),
        Err(cause) => cause,
    };
    let everywhere = listen.is_ipv6() && listen.ip().is_unspecified();
    if everywhere && refused.kind() != io::ErrorKind::AddrInUse {
        let ipv4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), listen.port());
        return bind_exactly(ipv4).map_err(|cause| bind_error(ipv4, cause));
    }
    Err(bind_error(listen, refused))
}

fn bind_error(address: SocketAddr, cause: io::Error) -> BindError {
    match cause.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address },
        io::ErrorKind::AddrNotAvailable => BindError::NotHere { address },
        _ => BindError::Failed { address, cause },
    }
}

fn bind_exactly(listen: SocketAddr) -> io::Result<Socket> {
    let socket = socket2::Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    if listen.is_ipv6() {
        socket.set_only_v6(!listen.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    // A smaller buffer only loses datagrams sooner.
    let _ = socket.set_recv_buffer_size(SYSTEM_BUFFER);
    socket.bind(&listen.into())?;
    let address = socket.local_addr()?.as_socket().unwrap_or(listen);
    Ok(Socket { socket, address, is_fresh: listen.port() == 0 })
}

/// A socket that is being served.
pub(super) struct Datagrams {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    /// The socket speaks IPv6, so IPv4 addresses are given to it in their mapped form.
    is_ipv6: bool,
    buffers: Vec<u8>,
    /// How often in a row the socket could not be read.
    failures: u32,
}

impl Datagrams {
    /// Registers the socket with the runtime.
    pub(super) fn open(socket: Socket) -> io::Result<Datagrams> {
        let io = tokio::net::UdpSocket::from_std(socket.socket.into())?;
        let state = UdpSocketState::new((&io).into())?;
        let is_ipv6 = socket.address.is_ipv6();
        Ok(Datagrams { io, state, is_ipv6, buffers: vec![0; BUFFERS * BUFFER], failures: 0 })
    }

    /// Waits for datagrams and hands on one batch of them: each with its source, the local address that it reached, and
    /// its bytes.
    pub(super) async fn receive(
        &mut self,
        mut hand_on: impl FnMut(SocketAddr, Option<IpAddr>, &mut [u8]),
    ) -> io::Result<()> {
        self.io.readable().await?;
        let mut metas = [RecvMeta::default(); BUFFERS];
        let mut chunks = self.buffers.chunks_exact_mut(BUFFER);
        let mut slices: [IoSliceMut<'_>; BUFFERS] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let received = self
            .io
            .try_io(Interest::READABLE, || self.state.recv((&self.io).into(), &mut slices, &mut metas));
        let count = match received {
            Ok(count) => count,
            Err(error) if is_passing(&error) => return Ok(()),
            Err(error) => {
                // The system may be short of memory for a moment.
                self.failures += 1;
                if self.failures >= MAX_FAILURES {
                    return Err(error);
                }
                tracing::warn!(%error, "the socket cannot be read: trying again");
                tokio::time::sleep(FAILURE_REST).await;
                return Ok(());
            }
        };
        self.failures = 0;
        for (meta, slice) in metas.iter().zip(&mut slices).take(count) {
            let from = messages::canonical(meta.addr);
            let reached_at = meta.dst_ip.map(|ip| ip.to_canonical());
            let bytes = slice.get_mut(..meta.len).unwrap_or_default();
            bytes.chunks_mut(meta.stride.max(1)).for_each(|datagram| hand_on(from, reached_at, datagram));
        }
        Ok(())
    }

    /// Sends one datagram. A datagram that cannot be sent is logged and lost, as the network may lose any.
    pub(super) async fn send(&self, outgoing: &Outgoing, bytes: &[u8]) {
        let transmit = Transmit {
            destination: self.in_family(outgoing.to),
            ecn: None,
            contents: bytes,
            segment_size: None,
            src_ip: outgoing.from,
        };
        let sent =
            self.io.async_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), &transmit)).await;
        if let Err(error) = sent {
            tracing::debug!(to = %outgoing.to, %error, "answer not sent");
        }
    }

    /// `address` as the socket's family writes it.
    fn in_family(&self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(ip) if self.is_ipv6 => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
            _ => address,
        }
    }
}

/// Errors that say something about one datagram, sent or received, and nothing about the socket.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionReset | ConnectionRefused | HostUnreachable)
}
