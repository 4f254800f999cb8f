//! What a session knows of its path before anything was measured, and the flow that follows from it.

use std::time::Duration;

use messages::CHUNK_HEADER;
use messages::limits::{BASE_DATAGRAM, MAX_BURST, MAX_BURST_SEGMENTS, MAX_DATAGRAM};
use messages::node_to_node::Welcome;

use crate::context::{Context, MAX_LOCAL_RTT};
use crate::transport::{Flow, FlowSettings};

/// On a local path the first window need not be small: nothing but the receive buffer can overflow.
const LOCAL_WINDOW: u32 = 256 << 10;
/// On a local path the window stays this large, in bytes: an owner with an upload limit always has something of
/// everybody's to choose from, and so is fair.
const MIN_LOCAL_WINDOW: u32 = 64 << 10;

/// No more bursts than this are asked of an owner at once: 64 MiB in the longest bursts of the shortest segments.
/// Owners queue far fewer (`network.requests_per_session`), but what is on its way waits in no queue of theirs.
const MAX_BURSTS: u32 = 1200;
/// No more bursts than this are asked for over a local path. Nothing is on its way there: all that is outstanding
/// waits at the owner, which takes 64 by default and answers BUSY beyond that (with 1200, 1 GiB over loopback took 2
/// to 4 s, in pauses of 20 ms, instead of 0.8).
const LOCAL_BURSTS: u32 = 60;

/// Whether a flow's path is so short that what is asked for may arrive all at once.
pub(crate) fn is_local(flow: &Flow) -> bool {
    flow.min_rtt().is_none_or(|rtt| rtt < MAX_LOCAL_RTT)
}

/// Bytes of payload in each CHUNK, and in one burst, of datagrams of `datagram` bytes. One burst is one send: no more
/// segments and no more bytes than that takes.
pub(crate) fn burst_of(datagram: u16) -> (u16, u32) {
    let datagram = usize::from(datagram).clamp(BASE_DATAGRAM, MAX_DATAGRAM);
    let segment = datagram - CHUNK_HEADER;
    let segments = (MAX_DATAGRAM / datagram).min(MAX_BURST_SEGMENTS).min(MAX_BURST as usize / segment).max(1);
    (segment as u16, (segments * segment) as u32)
}

/// How a flow over the path of an answered HELLO begins: what the owner allows, what the path is known to carry, and
/// whether the path is local.
pub(crate) fn flow_settings(welcome: &Welcome, rtt: Duration, cx: &Context<'_>) -> FlowSettings {
    let network = &cx.settings.network;
    let (segment_size, max_burst) = burst_of(BASE_DATAGRAM as u16);
    let (initial_window, min_window, max_bursts) = if rtt < MAX_LOCAL_RTT {
        (LOCAL_WINDOW, MIN_LOCAL_WINDOW, LOCAL_BURSTS)
    } else {
        (network.first_window.as_u64() as u32, 0, MAX_BURSTS)
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
