//! Who and what: nodes, contents, addresses, cookies.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text that is not an identity: it is not hexadecimal, or not of the right length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is {digits} hexadecimal digits")]
pub struct ParseIdError {
    digits: usize,
}

/// An identity: bytes on the wire, hexadecimal digits in formats for people such as JSON.
macro_rules! identity {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// The identity with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $length]) -> $name {
                $name(bytes)
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// The first eight hexadecimal digits, for people.
            #[must_use]
            pub fn short(&self) -> String {
                self.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<$name, ParseIdError> {
                let wrong = ParseIdError { digits: 2 * $length };
                if text.len() != 2 * $length || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(wrong);
                }
                let mut bytes = [0; $length];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    let digits = text.get(2 * i..2 * i + 2).ok_or(wrong)?;
                    *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong)?;
                }
                Ok($name(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; $length]>::deserialize(deserializer).map($name)
                }
            }
        }
    };
}

identity! {
    /// A node: 128 random bits, kept in its state folder.
    NodeId, 16
}
identity! {
    /// One exact sequence of bytes: the BLAKE3 of exactly these bytes, as `b3sum` prints it.
    ContentId, 32
}
identity! {
    /// One run of one receiver with a code: 128 random bits.
    ExchangeId, 16
}

/// One life of a node: a later life has a larger epoch (milliseconds of the wall clock when it started).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BootEpoch(pub u64);

/// Where a node can be reached. Travels as 16 bytes of IPv6 address (IPv4 mapped, RFC 4291 §2.5.5.2) and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(SocketAddr);

impl Endpoint {
    /// The endpoint of a socket address; mapped IPv4 becomes IPv4, flow and scope are forgotten.
    #[must_use]
    pub fn new(address: SocketAddr) -> Endpoint {
        Endpoint(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// The socket address: IPv4 is never in its mapped form.
    #[must_use]
    pub const fn address(self) -> SocketAddr {
        self.0
    }

    /// Whether a datagram can be sent there at all: a port, and an address of one host.
    #[must_use]
    pub fn is_reachable(self) -> bool {
        let ip = self.0.ip();
        let is_everybody = matches!(ip, IpAddr::V4(Ipv4Addr::BROADCAST));
        self.0.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_everybody
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Endpoint {
        Endpoint::new(address)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ip = match self.0.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        (ip.octets(), self.0.port()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Endpoint, D::Error> {
        let (octets, port) = <([u8; 16], u16)>::deserialize(deserializer)?;
        Ok(Endpoint::new(SocketAddr::new(Ipv6Addr::from(octets).into(), port)))
    }
}
