//! Whether a tracker is there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use channel::{Knock, SwarmFileError, SwarmSecrets};
use messages::node_to_tracker::{Asker, Need, Query};
use messages::{Conversation, Cookie, Datagram, NodeId, Prefix, encode};
use rand::TryRng as _;
use rand::rngs::SysRng;

/// How long a tracker may take to answer before a node at the default address counts it as absent.
const PROBE_TIME: Duration = Duration::from_millis(300);
/// How often a tracker is asked in that time.
const PROBES: u32 = 3;

/// Whether a socket bound to `listen` can send to `ip` at all.
pub(crate) fn can_reach(listen: IpAddr, ip: IpAddr) -> bool {
    listen.is_ipv4() == ip.is_ipv4() || (listen.is_unspecified() && listen.is_ipv6())
}

/// Finds out whether trackers of one swarm are there.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    secret_file: Option<PathBuf>,
    /// What was in the file at the start.
    secrets: SwarmSecrets,
}

impl Prober {
    /// Looks for trackers of the closed swarm whose secret is in `secret_file`; without one, of the open swarm.
    ///
    /// # Errors
    /// When the secret cannot be had.
    pub(crate) fn new(secret_file: Option<&Path>) -> Result<Prober, SwarmFileError> {
        let secrets = SwarmSecrets::of_file_or_open(secret_file)?;
        Ok(Prober { secret_file: secret_file.map(Path::to_owned), secrets })
    }

    /// Looks for trackers of the swarm with these secrets, which are in no file.
    pub(crate) fn with_secrets(secrets: SwarmSecrets) -> Prober {
        Prober { secret_file: None, secrets }
    }

    /// Whether the swarm is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.secrets.is_closed()
    }

    /// The swarm's secrets as they are now: the file changes with a rotation.
    pub(crate) fn secrets(&self) -> SwarmSecrets {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let read = self.secret_file.as_deref().and_then(|path| SwarmSecrets::of_file(path).ok());
        read.unwrap_or_else(|| self.secrets.clone()).at(now)
    }

    /// Whether a tracker of the swarm answers there within [`PROBE_TIME`].
    pub(crate) fn finds(&self, tracker: SocketAddr) -> bool {
        // A closed port of this host says so at once, as an error of the connected socket.
        let questions = Questions::new(&self.secrets());
        questions.and_then(|questions| probe(tracker, &questions)).unwrap_or(false)
    }
}

/// What is asked. A tracker answers one of them, keeps nothing, and knows nobody the wiser.
struct Questions {
    knocks: Vec<Knock>,
    /// A request in the clear; none where everything is sealed.
    in_the_clear: Option<Vec<u8>>,
}

impl Questions {
    fn new(secrets: &SwarmSecrets) -> io::Result<Questions> {
        let mut knocks = Vec::new();
        for secret in secrets.iter() {
            knocks.push(Knock::new(secret, SysRng.try_next_u64().map_err(io::Error::other)?));
        }
        Ok(Questions { knocks, in_the_clear: (!secrets.is_closed()).then(question) })
    }

    fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.in_the_clear.iter().map(Vec::as_slice).chain(self.knocks.iter().map(Knock::bytes))
    }

    fn are_answered_by(&self, answer: &[u8]) -> bool {
        let is_clear = || self.in_the_clear.is_some() && is_tracker(answer);
        self.knocks.iter().any(|knock| knock.is_answered_by(answer)) || is_clear()
    }
}

fn probe(tracker: SocketAddr, questions: &Questions) -> io::Result<bool> {
    let any: IpAddr =
        if tracker.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(tracker)?;
    let deadline = Instant::now() + PROBE_TIME;
    let mut answer = [0; 2048];
    for round in 1..=PROBES {
        for question in questions.datagrams() {
            socket.send(question)?;
        }
        let round_ends = deadline - PROBE_TIME / PROBES * (PROBES - round);
        loop {
            let left = round_ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            match socket.recv(&mut answer) {
                Ok(length) if questions.are_answered_by(answer.get(..length).unwrap_or_default()) => {
                    return Ok(true);
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(false)
}

/// A request without a cookie: a tracker answers it with one.
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

    use channel::SwarmSecret;
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

    fn prober(secret: Option<u8>) -> Prober {
        let secret = secret.map_or_else(SwarmSecret::open, |byte| SwarmSecret::from_bytes([byte; 32]));
        Prober { secret_file: None, secrets: secret.into() }
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
            assert_eq!(prober(None).finds(address), expected);
            drop(server.join().expect("no panic"));
            assert!(!prober(None).finds(address), "nobody is there any more");
        }
    }

    #[test]
    fn a_probe_of_a_closed_swarm_asks_nothing_in_the_clear_and_believes_no_answer_in_the_clear() {
        let clear = |secret| Questions::new(&prober(secret).secrets).expect("random").in_the_clear.is_some();
        assert!(clear(None) && !clear(Some(1)));
        let refused = Refused { code: RefusalCode::Cookie, retry_after_ms: 0, cookie: Cookie::NONE };
        let mut answer = Vec::new();
        encode(Conversation(0), &refused, &mut answer);
        let believes =
            |secret| Questions::new(&prober(secret).secrets).expect("random").are_answered_by(&answer);
        assert!(believes(None) && !believes(Some(1)));
    }

    #[test]
    fn a_question_is_a_datagram_that_trackers_understand() {
        assert!(matches!(Datagram::decode(&question()), Ok(Datagram::ToTracker(..))));
    }
}
