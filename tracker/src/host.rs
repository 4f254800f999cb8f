//! Hosts: what counts as one voice, however many nodes run there.

use std::net::IpAddr;

use crate::rate_limit::host;

/// One IPv4 address, or one IPv6 /64, in eight bytes: there is one with each announcement.
///
/// IPv4 addresses lie where no IPv6 network is (`::/32`). Both loopbacks are one host, as they are one person's, and so are all their ports:
/// those are apart only where places are shared out ([`messages::Host`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Host(u64);

impl Host {
    /// The host at `ip`.
    pub(crate) fn at(ip: IpAddr) -> Host {
        match host(ip) {
            IpAddr::V4(ip) => Host(u32::from(ip).into()),
            IpAddr::V6(_) if ip.is_loopback() => Host::at(IpAddr::from([127, 0, 0, 1])),
            IpAddr::V6(ip) => Host((u128::from(ip) >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_one_address_or_one_network() {
        let at = |text: &str| Host::at(text.parse().unwrap());
        assert_eq!(at("10.0.0.1"), at("::ffff:10.0.0.1"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_eq!(at("::1"), at("127.0.0.1"));
        let others = ["127.0.0.1", "127.0.0.2", "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8:0:1::1"];
        let mut hosts: Vec<Host> = others.iter().map(|text| at(text)).collect();
        hosts.sort_unstable();
        hosts.dedup();
        assert_eq!(hosts.len(), others.len());
    }
}
