//! What a scripted downloader does, as a value.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use messages::{ContentId, Timestamp};

use super::FIRST_PORT;
use crate::world::HostId;

/// What a scripted downloader does, with whom, and from which addresses.
#[derive(Clone, Debug)]
pub struct DownloaderScript {
    /// What each session does once it is open.
    pub behaviour: Behaviour,
    /// The content that it asks for.
    pub content: ContentId,
    /// The owners: session `i` is with owner `i`, and so on around.
    pub owners: Vec<HostId>,
    /// The addresses: session `i` is at address `i`, and so on around.
    pub addresses: Vec<IpAddr>,
    /// How many ports are used at each address.
    pub ports: u16,
    /// How many sessions there are.
    pub sessions: u32,
    /// When the first HELLO is sent.
    pub from: Timestamp,
    /// When the script ends.
    pub until: Timestamp,
    /// Whether it answers PINGs.
    pub answers_pings: bool,
    /// Whether it sends BYE at the end.
    pub says_bye: bool,
}

impl DownloaderScript {
    /// A script of `sessions` with `owner`, each at a port of its own of one IPv4 address, for an hour.
    pub fn new(behaviour: Behaviour, content: ContentId, owner: HostId, sessions: u32) -> DownloaderScript {
        DownloaderScript {
            behaviour,
            content,
            owners: vec![owner],
            addresses: addresses(1),
            ports: u16::try_from(sessions).unwrap_or(u16::MAX),
            sessions,
            from: Timestamp::ZERO,
            until: Timestamp::ZERO + Duration::from_secs(3600),
            answers_pings: true,
            says_bye: false,
        }
    }

    /// The address and port of a session.
    pub(super) fn address(&self, session: u32) -> SocketAddr {
        let count = self.addresses.len() as u32;
        let port = FIRST_PORT + ((session / count) % u32::from(self.ports.max(1))) as u16;
        SocketAddr::new(self.addresses[(session % count) as usize], port)
    }

    /// Where the first range of a session begins, as piece and offset: friends that praise each other begin at
    /// different pieces.
    pub(super) fn begins_at(&self, session: u32, pieces: u32) -> (u32, u32) {
        match self.behaviour {
            Behaviour::Praises { .. } => (session * (pieces / self.sessions.max(1)).max(1) % pieces, 0),
            _ => (0, 0),
        }
    }

    /// The owner of a session.
    pub(super) fn owner(&self, session: u32) -> HostId {
        self.owners[session as usize % self.owners.len()]
    }
}

/// `count` IPv4 addresses, each of which is another host.
pub fn addresses(count: u8) -> Vec<IpAddr> {
    (1..=count).map(|number| Ipv4Addr::new(198, 51, 100, number).into()).collect()
}

/// `count` addresses of one IPv6 /64, which is one host.
pub fn addresses_of_one_prefix(count: u16) -> Vec<IpAddr> {
    (1..=count).map(|number| Ipv6Addr::new(0x2001, 0xdb8, 1, 1, 0, 0, 0, number).into()).collect()
}

/// What each session of a scripted downloader does once it is open. A `Duration` says how often, a rate is in bytes a
/// second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// It asks for one byte.
    OneByte(Duration),
    /// It always asks for as much as a REQUEST can name.
    Everything,
    /// It asks for bytes at this rate, whatever is lost and whatever the owner answers.
    Steadily(u64),
    /// It asks for as much as a REQUEST can name, and cancels all of it at once.
    Cancels(Duration),
    /// It asks for nothing, and sends PING every 10 s.
    Nothing,
    /// It sends HAVE with as many runs as fit, each over the whole content.
    Boasts(Duration),
    /// It sends PING.
    Pings(Duration),
    /// It sends HELLO again.
    Greets(Duration),
    /// It sends HELLO again with the first cookie that it got, whatever the answer is.
    Stales {
        /// How often.
        every: Duration,
        /// Whether the cookie is the one that its neighbour got.
        of_neighbour: bool,
    },
    /// It asks for the outboard again and again, as fast as it comes.
    Outboard,
    /// It asks for a little, and says HAVE of the pieces that its friends at other addresses began.
    Praises {
        /// Bytes a second.
        rate: u64,
        /// Whether it asks for another piece each time.
        hops: bool,
    },
}

impl Behaviour {
    /// Whether the first cookie is used for ever.
    pub(super) fn is_stale(self) -> bool {
        matches!(self, Behaviour::Stales { .. })
    }
}
