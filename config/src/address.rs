//! Addresses as a person writes them. Nothing is looked up here: a host name stays a name.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::error::ValueError;
use crate::text_setting::written_as_text;

/// Where a node looks for a tracker when none is given.
pub const DEFAULT_TRACKER: &str = "127.0.0.1:12345";

/// The port of a tracker when none is given.
pub const DEFAULT_TRACKER_PORT: u16 = 12345;

/// An address to bind: `0.0.0.0:12345`, `[::]:12345`, or a port alone (`12345`, `:12345`), which is all
/// interfaces of both families. Port 0 lets the system choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenAddr(pub SocketAddr);

impl ListenAddr {
    /// All interfaces of both families, at this port.
    pub const fn any(port: u16) -> ListenAddr {
        ListenAddr(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port))
    }
}

impl From<ListenAddr> for SocketAddr {
    fn from(listen: ListenAddr) -> SocketAddr {
        listen.0
    }
}

impl FromStr for ListenAddr {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<ListenAddr, ValueError> {
        let trimmed = text.trim();
        let port = trimmed.strip_prefix(':').unwrap_or(trimmed);
        match (parse_port(port), trimmed.parse()) {
            (Some(port), _) => Ok(ListenAddr::any(port)),
            (None, Ok(address)) => Ok(ListenAddr(address)),
            (None, Err(_)) => Err(ValueError::NotAListenAddress(text.to_owned())),
        }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

written_as_text!(ListenAddr, "an address such as \"[::]:12345\" or a port");

/// Where a tracker is: `tracker.example:12345`, `10.0.0.1:12345`, `[fd00::1]:12345`; without a port, the default one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackerAddress {
    host: String,
    port: u16,
}

impl TrackerAddress {
    /// A name to look up, or an IP address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The UDP port; never 0.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// [`DEFAULT_TRACKER`].
impl Default for TrackerAddress {
    fn default() -> TrackerAddress {
        TrackerAddress { host: "127.0.0.1".to_owned(), port: DEFAULT_TRACKER_PORT }
    }
}

impl From<SocketAddr> for TrackerAddress {
    fn from(address: SocketAddr) -> TrackerAddress {
        TrackerAddress { host: address.ip().to_string(), port: address.port() }
    }
}

impl FromStr for TrackerAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<TrackerAddress, ValueError> {
        let trimmed = text.trim();
        let (host, port) =
            split_port(trimmed).ok_or_else(|| ValueError::NotATrackerAddress(text.to_owned()))?;
        Ok(TrackerAddress { host: host.to_owned(), port })
    }
}

/// `HOST:PORT`, with brackets where the host is an IPv6 address.
impl fmt::Display for TrackerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

written_as_text!(TrackerAddress, "an address such as \"10.0.0.1:12345\"");

/// A host without brackets and its port.
fn split_port(text: &str) -> Option<(&str, u16)> {
    let (host, colon_port, is_host) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']')?;
            (host, after, is_ipv6(host))
        }
        None if is_ipv6(text) => (text, "", true),
        None => {
            let (host, after) = text.split_at(text.find(':').unwrap_or(text.len()));
            (host, after, is_name(host))
        }
    };
    let port = match colon_port.strip_prefix(':') {
        Some(port) => parse_port(port)?,
        None if colon_port.is_empty() => DEFAULT_TRACKER_PORT,
        None => return None,
    };
    (is_host && port != 0).then_some((host, port))
}

/// An IPv6 address, with the zone of a link-local one if need be.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    address.parse::<Ipv6Addr>().is_ok()
        && !zone.is_empty()
        && zone.bytes().all(|c| c.is_ascii_graphic() && c != b']')
}

/// An IPv4 address or a host name. All digits would be a port whose host was forgotten.
fn is_name(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
    text.bytes().all(allowed) && text.bytes().any(|c| !c.is_ascii_digit())
}

/// A port in digits alone; `u16::from_str` would take a `+` too.
fn parse_port(text: &str) -> Option<u16> {
    if !text.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
