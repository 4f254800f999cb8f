//! Which address of this host other hosts can reach.

use std::net::IpAddr;

/// What is known of this host's interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interfaces {
    /// The interfaces' names and addresses, in the system's order.
    addresses: Vec<(String, IpAddr)>,
    /// Names of the interfaces that have a default route, the best route first.
    default_routes: Vec<String>,
}

impl Interfaces {
    /// Asks the system. What it does not tell is left out.
    pub(crate) fn of_this_host() -> Interfaces {
        let addresses = if_addrs::get_if_addrs()
            .unwrap_or_default()
            .into_iter()
            .map(|interface| (interface.name.clone(), interface.ip()))
            .collect();
        // Elsewhere than on Linux there are no such files, and the first address is taken.
        let mut default_routes =
            default_routes_v4(&std::fs::read_to_string("/proc/net/route").unwrap_or_default());
        default_routes
            .extend(default_routes_v6(&std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default()));
        Interfaces { addresses, default_routes }
    }

    /// The address under which others reach what listens on `listen`: that one when it is one host's, else the default
    /// route's interface's, else the first that is neither loopback nor link-local. `None`: there is none.
    pub(crate) fn reachable(&self, listen: IpAddr) -> Option<IpAddr> {
        if !listen.is_unspecified() {
            return (!listen.is_loopback()).then_some(listen);
        }
        let usable = |ip: &IpAddr| reaches_far(*ip) && (ip.is_ipv4() || listen.is_ipv6());
        let on =
            |name: &str| self.addresses.iter().find(|(its, ip)| its == name && usable(ip)).map(|&(_, ip)| ip);
        self.default_routes
            .iter()
            .find_map(|name| on(name))
            .or_else(|| self.addresses.iter().map(|&(_, ip)| ip).find(usable))
    }
}

fn reaches_far(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !ip.is_loopback() && !ip.is_unspecified() && !link_local
}

/// Route flags of Linux: the route is up; the route refuses.
const RTF_UP: u32 = 0x1;
const RTF_REJECT: u32 = 0x200;

/// Interfaces of the default routes in the text of `/proc/net/route`, the lowest metric first. Its columns: interface,
/// destination, gateway, flags, references, use, metric, mask; a line of headings first.
fn default_routes_v4(table: &str) -> Vec<String> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let &[interface, "00000000", _, flags, _, _, metric, "00000000", ..] = columns.as_slice() else {
            return None;
        };
        let up = u32::from_str_radix(flags, 16).ok()? & (RTF_UP | RTF_REJECT) == RTF_UP;
        up.then_some((metric.parse().ok()?, interface))
    });
    by_metric(routes)
}

/// Interfaces of the default routes in the text of `/proc/net/ipv6_route`, the lowest metric first. Its columns, in
/// hexadecimal: destination, its prefix length, source, its prefix length, next hop, metric, references, use, flags;
/// then the interface.
fn default_routes_v6(table: &str) -> Vec<String> {
    let routes = table.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let &[destination, "00", _, _, _, metric, _, _, flags, interface] = columns.as_slice() else {
            return None;
        };
        let up = u32::from_str_radix(flags, 16).ok()? & (RTF_UP | RTF_REJECT) == RTF_UP;
        let default = destination.bytes().all(|digit| digit == b'0') && interface != "lo";
        (up && default).then_some((u32::from_str_radix(metric, 16).ok()?, interface))
    });
    by_metric(routes)
}

fn by_metric<'a>(routes: impl Iterator<Item = (u32, &'a str)>) -> Vec<String> {
    let mut routes: Vec<_> = routes.collect();
    routes.sort_by_key(|&(metric, _)| metric);
    routes.into_iter().map(|(_, interface)| interface.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: IpAddr = IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn host(addresses: &[(&str, &str)], default_routes: &[&str]) -> Interfaces {
        Interfaces {
            addresses: addresses.iter().map(|&(name, address)| (name.to_owned(), ip(address))).collect(),
            default_routes: default_routes.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    const LAPTOP: &[(&str, &str)] = &[
        ("lo", "127.0.0.1"),
        ("docker0", "172.17.0.1"),
        ("wlan0", "192.168.1.7"),
        ("wlan0", "fe80::1"),
        ("wlan0", "2001:db8::7"),
    ];

    #[test]
    fn the_default_routes_interface_comes_first() {
        assert_eq!(host(LAPTOP, &["wlan0"]).reachable(ANY), Some(ip("192.168.1.7")));
    }

    #[test]
    fn a_host_without_a_default_route_has_an_address_too() {
        assert_eq!(host(LAPTOP, &[]).reachable(ANY), Some(ip("172.17.0.1")));
        let islands =
            host(&[("lo", "::1"), ("e0", "169.254.3.4"), ("e0", "fe80::2"), ("e1", "10.9.8.7")], &["e0"]);
        assert_eq!(islands.reachable(ANY), Some(ip("10.9.8.7")));
    }

    #[test]
    fn a_host_of_loopback_alone_has_none() {
        assert_eq!(host(&[("lo", "127.0.0.1"), ("e0", "fe80::2")], &[]).reachable(ANY), None);
    }

    #[test]
    fn what_listens_on_one_address_is_reached_there() {
        assert_eq!(host(LAPTOP, &["wlan0"]).reachable(ip("10.0.0.3")), Some(ip("10.0.0.3")));
        assert_eq!(host(LAPTOP, &["wlan0"]).reachable(ip("127.0.0.1")), None);
    }

    #[test]
    fn what_listens_on_ipv4_only_is_not_reached_by_ipv6() {
        let six = host(&[("e0", "2001:db8::7"), ("e1", "10.0.0.1")], &["e0"]);
        assert_eq!(six.reachable(ip("0.0.0.0")), Some(ip("10.0.0.1")));
        assert_eq!(six.reachable(ANY), Some(ip("2001:db8::7")));
    }

    #[test]
    fn default_routes_are_read_from_the_kernels_tables() {
        let four = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(default_routes_v4(four), ["eth0", "wlan0"]);
        let zeros = "00000000000000000000000000000000";
        let six = format!(
            "{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth1\n\
             {zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200 lo\n"
        );
        assert_eq!(default_routes_v6(&six), ["eth1"]);
        assert_eq!(default_routes_v6("nonsense\n"), Vec::<String>::new());
    }
}
