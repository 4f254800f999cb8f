//! The host of an address, which has one vote however many nodes run there.

use std::net::IpAddr;

use messages::Host;

/// A host in eight bytes, since there is one with each announcement: one IPv4 address, or one IPv6 /64.
///
/// IPv4 addresses lie where no IPv6 network is (`::/32`). Both loopbacks are one host, since they are one person's, and
/// so are all their ports; [`messages::Host`] tells those apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostKey(u64);

impl HostKey {
    /// The host at `ip`.
    pub(crate) fn at(ip: IpAddr) -> HostKey {
        match Host::ip(ip) {
            IpAddr::V4(ip) => HostKey(u32::from(ip).into()),
            IpAddr::V6(_) if ip.is_loopback() => HostKey::at(IpAddr::from([127, 0, 0, 1])),
            IpAddr::V6(ip) => HostKey((u128::from(ip) >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_one_address_or_one_network() {
        let at = |text: &str| HostKey::at(text.parse().unwrap());
        assert_eq!(at("10.0.0.1"), at("::ffff:10.0.0.1"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_eq!(at("::1"), at("127.0.0.1"));
        let others = ["127.0.0.1", "127.0.0.2", "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8:0:1::1"];
        let mut hosts: Vec<HostKey> = others.iter().map(|text| at(text)).collect();
        hosts.sort_unstable();
        hosts.dedup();
        assert_eq!(hosts.len(), others.len());
    }
}
