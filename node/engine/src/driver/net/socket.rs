//! The node's one UDP socket: bound for both families, with buffers as large as the system grants.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use config::NetworkSettings;
use socket2::{Domain, Protocol, Socket, Type};

use crate::driver::StartError;
use crate::platform::error_kind::is_without_family;
use crate::platform::socket::enlarge_buffers;

/// A receive buffer of fewer bytes than this holds a node back.
const MIN_COMFORTABLE_BUFFER: usize = 1 << 20;

/// A bound socket.
#[derive(Debug)]
pub(crate) struct BoundSocket {
    /// The socket itself.
    pub(crate) socket: Socket,
    /// The address that the socket is bound to. IPv4 is never in its mapped form.
    pub(crate) address: SocketAddr,
    /// The addresses to which the socket can send.
    pub(crate) family: Family,
    /// The size of the receive buffer, in the bytes that the system counts.
    pub(crate) receive_buffer: usize,
}

/// The addresses to which a socket can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4.
    V4,
    /// IPv6, and IPv4 in its mapped form (RFC 4291 §2.5.5.2).
    Dual,
}

impl Family {
    /// The address in the form that the socket takes.
    pub(crate) fn outward(self, address: SocketAddr) -> SocketAddr {
        match (self, address) {
            (Family::Dual, SocketAddr::V4(v4)) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            _ => address,
        }
    }

    /// The address in the form that the core knows: one form for each.
    pub(crate) fn inward(self, address: SocketAddr) -> SocketAddr {
        let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
        match address {
            // Only a link-local address means nothing without its interface.
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
                SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into()
            }
            _ => canonical,
        }
    }
}

impl BoundSocket {
    /// Binds `listen`; where it leaves the port to the system, `port` if nobody else has it.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) fn bind_preferring(
        port: Option<u16>,
        listen: SocketAddr,
        settings: &NetworkSettings,
    ) -> Result<BoundSocket, StartError> {
        let preferred = port.filter(|_| listen.port() == 0).map(|port| SocketAddr::new(listen.ip(), port));
        let bound = preferred.and_then(|preferred| BoundSocket::bind(preferred, settings).ok());
        bound.map_or_else(|| BoundSocket::bind(listen, settings), Ok)
    }

    /// Binds `listen`, for this socket alone. `[::]` takes both families, or IPv4 where there is no IPv6.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) fn bind(listen: SocketAddr, settings: &NetworkSettings) -> Result<BoundSocket, StartError> {
        let without_v6 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), listen.port());
        let bound = match open(listen) {
            Err(cause) if listen.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && is_without_family(&cause) => {
                open(without_v6)
            }
            other => other,
        };
        let failed = |cause: io::Error| match cause.kind() {
            io::ErrorKind::AddrInUse => StartError::AddressInUse(listen),
            _ => StartError::Bind { address: listen, cause },
        };
        let socket = bound.map_err(failed)?;
        let (receive, send) = (settings.receive_buffer.as_usize(), settings.send_buffer.as_usize());
        enlarge_buffers(&socket, receive, send);
        let receive_buffer = socket.recv_buffer_size().map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?.as_socket();
        let local = local.ok_or_else(|| failed(io::ErrorKind::AddrNotAvailable.into()))?;
        let family = if local.is_ipv4() { Family::V4 } else { Family::Dual };
        Ok(BoundSocket { socket, address: family.inward(local), family, receive_buffer })
    }

    /// Bytes of payload that may be on their way to this socket before its buffer could overflow: the system counts
    /// the memory that datagrams take, which is up to twice their payload.
    pub(crate) fn receive_budget(&self) -> u32 {
        u32::try_from(self.receive_buffer / 100 * 45).unwrap_or(u32::MAX)
    }
}

/// The command that enlarges the receive buffer, when `granted` is less than `asked` and so little that it holds the
/// node back.
pub(crate) fn receive_buffer_hint(granted: usize, asked: usize) -> Option<String> {
    (granted < MIN_COMFORTABLE_BUFFER && granted < asked).then(|| {
        format!(
            "the system grants a receive buffer of {} KiB only; for full speed: sudo sysctl -w net.core.rmem_max={}",
            granted >> 10,
            asked.max(MIN_COMFORTABLE_BUFFER)
        )
    })
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(listen: &str) -> Result<BoundSocket, StartError> {
        BoundSocket::bind(listen.parse().unwrap(), &config::NodeSettings::default().network)
    }

    #[test]
    fn addresses_are_mapped_for_the_socket_and_back_for_the_core() {
        let v4: SocketAddr = "10.1.2.3:45".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::1]:45".parse().unwrap();
        let mapped = Family::Dual.outward(v4);
        assert_eq!(mapped, "[::ffff:10.1.2.3]:45".parse().unwrap());
        assert_eq!(Family::Dual.inward(mapped), v4);
        assert_eq!((Family::Dual.outward(v6), Family::Dual.inward(v6)), (v6, v6));
        assert_eq!((Family::V4.outward(v4), Family::V4.inward(v4)), (v4, v4));
    }

    #[test]
    fn a_port_is_bound_once() {
        let first = bind("127.0.0.1:0").unwrap();
        assert!(first.address.port() != 0 && first.address.is_ipv4());
        let again = BoundSocket::bind(first.address, &config::NodeSettings::default().network);
        assert!(matches!(again, Err(StartError::AddressInUse(address)) if address == first.address));
        assert!(matches!(bind("192.0.2.1:0"), Err(StartError::Bind { .. })));
    }

    #[test]
    fn any_address_takes_both_families_and_the_credit_fits_the_buffer() {
        let bound = bind("[::]:0").unwrap();
        assert!(bound.address.ip().is_unspecified());
        assert!(bound.receive_buffer > 100_000);
        assert!((bound.receive_budget() as usize) < bound.receive_buffer / 2);
    }

    #[test]
    fn a_small_buffer_comes_with_the_line_that_enlarges_it() {
        let hint = receive_buffer_hint(425_984, 8 << 20).unwrap();
        assert!(hint.contains("416 KiB") && hint.ends_with("net.core.rmem_max=8388608"), "{hint}");
        assert_eq!(receive_buffer_hint(1 << 20, 8 << 20), None);
        assert_eq!(receive_buffer_hint(300_000, 200_000), None, "as asked");
    }
}
