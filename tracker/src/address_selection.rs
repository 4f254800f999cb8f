//! The choice of the address at which an asker can reach an owner: pure policy over addresses.

use std::net::{IpAddr, SocketAddr};

use messages::Endpoint;

/// The address of a node that asks, and the tracker's address that the node asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReachableFrom {
    /// The asker's address.
    pub(crate) asker: IpAddr,
    /// The tracker's address that the asker reached, where it is known.
    pub(crate) reached_at: Option<IpAddr>,
}

/// The address at which the asker can reach an owner that the tracker sees at `owner`.
///
/// An owner at loopback shares the tracker's host, so another host reaches it where it reached the tracker. Nobody
/// outside can reach a loopback address, so without that knowledge the owner is of no use to a remote asker.
pub(crate) fn endpoint_for(from: ReachableFrom, owner: SocketAddr) -> Option<Endpoint> {
    if from.asker.is_loopback() || !owner.ip().is_loopback() {
        return Some(Endpoint::new(owner));
    }
    let host = from.reached_at.filter(|ip| !ip.is_loopback() && !ip.is_unspecified())?;
    Some(Endpoint::new(SocketAddr::new(host, owner.port())))
}

/// Whether an owner's endpoint is of the asker's own address family, so that a path between them is likely.
pub(crate) fn same_family(from: ReachableFrom, endpoint: Endpoint) -> bool {
    from.asker.is_ipv4() == endpoint.address().is_ipv4()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_whom_where() {
        let rows: &[(&str, Option<&str>, &str, Option<&str>)] = &[
            // asker, reached the tracker at, owner as seen, what the asker is told
            ("127.0.0.1", Some("127.0.0.1"), "127.0.0.1:7000", Some("127.0.0.1:7000")),
            ("127.0.0.1", Some("127.0.0.1"), "10.0.0.3:7000", Some("10.0.0.3:7000")),
            ("::1", Some("::1"), "127.0.0.1:7000", Some("127.0.0.1:7000")),
            ("10.0.0.9", Some("10.0.0.1"), "127.0.0.1:7000", Some("10.0.0.1:7000")),
            ("10.0.0.9", Some("10.0.0.1"), "[::1]:7000", Some("10.0.0.1:7000")),
            ("2001:db8::9", Some("2001:db8::1"), "127.0.0.1:7000", Some("[2001:db8::1]:7000")),
            ("10.0.0.9", Some("10.0.0.1"), "10.0.0.3:7000", Some("10.0.0.3:7000")),
            ("10.0.0.9", None, "10.0.0.3:7000", Some("10.0.0.3:7000")),
            ("10.0.0.9", None, "127.0.0.1:7000", None),
            ("10.0.0.9", Some("127.0.0.1"), "127.0.0.1:7000", None),
            ("10.0.0.9", Some("0.0.0.0"), "127.0.0.1:7000", None),
        ];
        for &(asker, reached_at, owner, told) in rows {
            let from = ReachableFrom {
                asker: asker.parse().unwrap(),
                reached_at: reached_at.map(|text| text.parse().unwrap()),
            };
            let found = endpoint_for(from, owner.parse().unwrap()).map(|endpoint| endpoint.to_string());
            assert_eq!(found.as_deref(), told, "{asker} at {reached_at:?} asks for {owner}");
        }
    }
}
