//! Why a download does not go on.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use messages::limits::CONTROL_DATAGRAM;
use riffle::Waiting;

use crate::units::{duration, size};

/// The headers of IPv4 and UDP together have this many bytes.
const IPV4_HEADERS: usize = 28;
/// The headers of IPv6 and UDP together have this many bytes.
const IPV6_HEADERS: usize = 48;

/// Why a download does not go on, as the end of a sentence; `None`: it goes on.
pub(crate) fn waiting(why: &Waiting) -> Option<Cow<'static, str>> {
    let words = match why {
        Waiting::DiskFull { needed } => {
            return Some(
                format!("disk full: {} more needed; it goes on when there is room", size(*needed)).into(),
            );
        }
        Waiting::Tracker => "waiting for the tracker to answer",
        Waiting::Unknown => "nobody shares it yet; asking again",
        Waiting::TrackerIsYoung { whole_in } => {
            // The time is rounded up, so that the wait is over by then.
            let seconds = Duration::from_secs(whole_in.as_millis().div_ceil(1000) as u64);
            return Some(
                format!(
                    "the tracker has just started and does not know everybody yet; asking again, for {} at most",
                    duration(seconds)
                )
                .into(),
            );
        }
        Waiting::NoSignOfLife { peers, others } => return Some(no_sign_of_life(peers, *others).into()),
        Waiting::ShortPath { peers, others } => return Some(short_path(peers, *others).into()),
        Waiting::Owners => "no owner answers; asking again",
        Waiting::Liars => {
            "no owner answers but who sent bytes that do not verify; asking again, and for others"
        }
        Waiting::OwnersBusy => "the owners serve others for now",
        Waiting::MissingPieces => "no owner at hand has what is missing; asking for others",
        Waiting::Outboard => "fetching its description",
        Waiting::Disk => "making room on the disk",
        Waiting::DiskBehind => "the disk is slower than the network",
        Waiting::Limit => "held by the download limit",
        Waiting::Nothing => return None,
        Waiting::Finishing => "checking the whole",
    };
    Some(words.into())
}

/// Whether a reason has a line of its own when it begins. The others last for moments in every download.
pub(crate) fn is_news(why: &Waiting) -> bool {
    matches!(
        why,
        Waiting::Tracker
            | Waiting::Unknown
            | Waiting::TrackerIsYoung { .. }
            | Waiting::Owners
            | Waiting::NoSignOfLife { .. }
            | Waiting::ShortPath { .. }
            | Waiting::Liars
            | Waiting::MissingPieces
            | Waiting::DiskFull { .. }
    )
}

/// The line about a reason, with what a person can do about it.
pub(crate) fn news(why: &Waiting) -> Option<String> {
    let mut words = waiting(why)?.into_owned();
    if matches!(why, Waiting::NoSignOfLife { .. }) {
        words.push_str("; --listen :PORT there gives the node a fixed port, to be opened");
    }
    Some(words)
}

/// Says that `peers`, and as many `others`, do not answer at all.
pub(super) fn no_sign_of_life(peers: &[SocketAddr], others: usize) -> String {
    format!("no sign of life from {}; a firewall on the way is likely", ports(peers, others))
}

/// Says that `peers`, and as many `others`, answer, and that the path to them loses longer packets.
pub(super) fn short_path(peers: &[SocketAddr], others: usize) -> String {
    let answer = if peers.len() + others == 1 { "answers" } else { "answer" };
    let headers = if peers.iter().all(SocketAddr::is_ipv4) { IPV4_HEADERS } else { IPV6_HEADERS };
    let least = CONTROL_DATAGRAM + headers;
    format!(
        "{} {answer} short packets, but the path carries no IP packets of {least} bytes: look for an MTU below that on the way",
        ports(peers, others)
    )
}

/// Names the ports of `peers`: `UDP port 41012 of 10.0.0.2, UDP port 41013 of 10.0.0.3 and 4 more`.
fn ports(peers: &[SocketAddr], others: usize) -> String {
    let port = |peer: &SocketAddr| format!("UDP port {} of {}", peer.port(), peer.ip());
    let mut ports = peers.iter().map(port).collect::<Vec<_>>().join(", ");
    if others > 0 {
        let _ = write!(ports, " and {others} more");
    }
    ports
}
