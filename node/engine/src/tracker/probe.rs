//! Whether a tracker is there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use messages::node_to_tracker::{Asker, Need, Query};
use messages::{Conversation, Cookie, Datagram, NodeId, Prefix, encode};

/// How long a tracker may take to answer before a node at the default address counts it as absent.
const PROBE_TIME: Duration = Duration::from_millis(300);
/// How often a tracker is asked in that time.
const PROBES: u32 = 3;

/// Whether a socket bound to `listen` can send to `ip` at all.
pub(crate) fn can_reach(listen: IpAddr, ip: IpAddr) -> bool {
    listen.is_ipv4() == ip.is_ipv4() || (listen.is_unspecified() && listen.is_ipv6())
}

/// Whether a tracker answers there within [`PROBE_TIME`].
pub(crate) fn answers(tracker: SocketAddr) -> bool {
    // A closed port of this host says so at once, as an error of the connected socket.
    probe(tracker).unwrap_or(false)
}

fn probe(tracker: SocketAddr) -> io::Result<bool> {
    let any: IpAddr =
        if tracker.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(tracker)?;
    let deadline = Instant::now() + PROBE_TIME;
    let mut answer = [0; 2048];
    for round in 1..=PROBES {
        socket.send(&question())?;
        let round_ends = deadline - PROBE_TIME / PROBES * (PROBES - round);
        loop {
            let left = round_ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            match socket.recv(&mut answer) {
                Ok(length) if is_tracker(answer.get(..length).unwrap_or_default()) => return Ok(true),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(false)
}

/// A request without a cookie: a tracker answers it with one, keeps nothing, and knows nobody the wiser.
fn question() -> Vec<u8> {
    let asker = Asker { node: NodeId::from_bytes([0; 16]), cookie: Cookie::NONE };
    let need = Need { asker, query: Query::Search { prefix: Prefix::default(), after: None } };
    let mut datagram = Vec::new();
    encode(Conversation(0), &need, &mut datagram);
    datagram
}

fn is_tracker(answer: &[u8]) -> bool {
    matches!(Datagram::decode(answer), Ok(Datagram::FromTracker(..)))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use messages::tracker_to_node::{RefusalCode, Refused};

    use super::*;

    fn any() -> IpAddr {
        Ipv6Addr::UNSPECIFIED.into()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_socket_reaches_its_own_family_and_a_dual_one_both() {
        assert!(can_reach(any(), ip("10.0.0.1")) && can_reach(any(), ip("fd00::1")));
        assert!(can_reach(ip("0.0.0.0"), ip("10.0.0.1")) && !can_reach(ip("0.0.0.0"), ip("fd00::1")));
        assert!(!can_reach(ip("fd00::2"), ip("10.0.0.1")));
    }

    #[test]
    fn a_probe_knows_a_tracker_from_silence_and_from_others() {
        let refused = Refused { code: RefusalCode::Cookie, retry_after_ms: 0, cookie: Cookie::NONE };
        let mut tracker = Vec::new();
        encode(Conversation(0), &refused, &mut tracker);
        for (says, expected) in [(tracker, true), (b"HTTP/1.1 400".to_vec(), false)] {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
            let address = socket.local_addr().expect("bound");
            let server = thread::spawn(move || {
                let (_, asker) = socket.recv_from(&mut [0; 2048]).expect("asked");
                socket.send_to(&says, asker).expect("answered");
                socket
            });
            assert_eq!(answers(address), expected);
            drop(server.join().expect("no panic"));
            assert!(!answers(address), "nobody is there any more");
        }
    }

    #[test]
    fn a_question_is_a_datagram_that_trackers_understand() {
        assert!(matches!(Datagram::decode(&question()), Ok(Datagram::ToTracker(..))));
    }
}
