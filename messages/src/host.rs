//! Which host an address belongs to. Addresses that one machine or one household can have at will count once.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// `address` with IPv4 never in its mapped form. The scope of a link-local IPv6 address stays, since answers need it.
#[must_use]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

/// The machine or household behind an address, as far as the address tells. What is shared out fairly is shared out
/// among hosts.
///
/// One IPv4 address is a host, and so is one IPv6 /64, of which a machine can choose addresses at will. At loopback all
/// programs belong to one person, and each port is a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    ip: IpAddr,
    /// 0 but at loopback.
    port: u16,
}

impl Host {
    /// The host behind `address`.
    #[must_use]
    pub fn of(address: SocketAddr) -> Host {
        let ip = Host::ip(address.ip());
        let port = if address.ip().to_canonical().is_loopback() { address.port() } else { 0 };
        Host { ip, port }
    }

    /// Whether the host is a program of this machine.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        self.ip.is_loopback()
    }

    /// The address that stands for all of the host of `ip`.
    #[must_use]
    pub fn ip(ip: IpAddr) -> IpAddr {
        match ip.to_canonical() {
            IpAddr::V6(ip) if !ip.is_loopback() => {
                let [a, b, c, d, ..] = ip.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            ip => ip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(address: &str) -> Host {
        Host::of(address.parse().expect("an address"))
    }

    #[test]
    fn an_address_or_a_prefix_is_a_host_and_at_loopback_a_port() {
        for (one, other) in [
            ("192.0.2.1:1", "192.0.2.1:2"),
            ("192.0.2.1:1", "[::ffff:192.0.2.1]:2"),
            ("[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::9]:2"),
            ("127.0.0.1:1", "[::ffff:127.0.0.1]:1"),
        ] {
            assert_eq!(host(one), host(other));
        }
        for (one, other) in [
            ("192.0.2.1:1", "192.0.2.2:1"),
            ("[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1"),
            ("127.0.0.1:1", "127.0.0.1:2"),
            ("[::1]:1", "[::1]:2"),
            ("[::1]:1", "[::2]:1"),
        ] {
            assert_ne!(host(one), host(other));
        }
    }
}
