//! What a session assumes about its path before anything was measured, and the flow that follows from it.

use std::time::Duration;

use messages::CHUNK_HEADER;
use messages::limits::{BASE_DATAGRAM, MAX_BURST, MAX_BURST_SEGMENTS, MAX_DATAGRAM};
use messages::node_to_node::Welcome;

use crate::context::{Context, MAX_LOCAL_RTT};
use crate::transport::{Flow, FlowSettings, LONG_RTT};

/// The first window on a local path, in bytes. It need not be small, because nothing but the receive buffer can
/// overflow.
const LOCAL_WINDOW: u32 = 256 << 10;
/// The smallest window on a local path, in bytes. So an owner with an upload limit always has requests of every
/// downloader to choose from, and is fair.
const MIN_LOCAL_WINDOW: u32 = 64 << 10;

/// The first window of a long path has at most this many times the bytes of `network.first_window`.
const MAX_FIRST_WINDOWS: u128 = 8;

/// At most this many bursts are outstanding. Where segments are lost, most of these are the single segments that are
/// asked for again. Owners queue far fewer requests (`network.requests_per_session`), but a request whose answer is on
/// its way is in no queue. (1 Gbit/s, 1 s, 5 % loss each way: with 1200 bursts 0.13 of the link in file bytes, with 8192
/// as little as 0.2 at times, with 16,384 0.90.)
const MAX_BURSTS: u32 = 16_384;
/// At most this many bursts are outstanding over a local path. Nothing is on its way there: all outstanding requests
/// wait at the owner, which queues 64 by default and answers BUSY beyond that. (With 1200, 1 GiB over loopback took 2
/// to 4 s, in pauses of 20 ms, instead of 0.8 s.)
const LOCAL_BURSTS: u32 = 60;

/// Whether the path of a flow is so short that everything that is asked for may arrive at once.
pub(crate) fn is_local(flow: &Flow) -> bool {
    flow.min_rtt().is_none_or(|rtt| rtt < MAX_LOCAL_RTT)
}

/// The number of payload bytes in each CHUNK, and in one burst of CHUNKs, with datagrams of `datagram` bytes. A burst
/// is one send call, and has at most the segments and the bytes that one call takes.
pub(crate) fn burst_of(datagram: u16) -> (u16, u32) {
    let datagram = usize::from(datagram).clamp(BASE_DATAGRAM, MAX_DATAGRAM);
    let segment = datagram - CHUNK_HEADER;
    let segments = (MAX_DATAGRAM / datagram).min(MAX_BURST_SEGMENTS).min(MAX_BURST as usize / segment).max(1);
    (segment as u16, (segments * segment) as u32)
}

/// The settings with which a flow begins after WELCOME. They depend on what the owner allows, on the node's settings,
/// and on whether the path is local.
pub(crate) fn flow_settings(welcome: &Welcome, rtt: Duration, cx: &Context<'_>) -> FlowSettings {
    let network = &cx.settings.network;
    let (segment_size, max_burst) = burst_of(BASE_DATAGRAM as u16);
    let (initial_window, min_window, max_bursts) = if rtt < MAX_LOCAL_RTT {
        (LOCAL_WINDOW, MIN_LOCAL_WINDOW, LOCAL_BURSTS)
    } else {
        let times = (rtt.as_millis() / LONG_RTT.as_millis()).clamp(1, MAX_FIRST_WINDOWS) as u64;
        let window = (network.first_window.as_u64() * times).min(network.session_window.as_u64());
        (u32::try_from(window).unwrap_or(u32::MAX), 0, MAX_BURSTS)
    };
    let most = u32::try_from(network.session_window.as_u64()).unwrap_or(u32::MAX);
    FlowSettings {
        segment_size,
        initial_window,
        min_window,
        max_outstanding: most.min(welcome.max_outstanding).max(2 * u32::from(segment_size)),
        max_burst,
        max_bursts,
    }
}
