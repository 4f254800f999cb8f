//! What a session asks and tells of its path: PROBE, PROBED, and segments that fit.

use messages::node_to_node::Probed;

use super::{Session, SessionState};
use crate::context::Context;
use crate::download::initial_path::burst_of;
use crate::event::Event;
use crate::output::{Reason, Wait};
use crate::transport::mtud::BASE;

/// A path is probed once so much has come over it: no first byte is delayed, and what the probes of an Ethernet cost (9 KB
/// that arrive) comes back by shorter headers.
const WORTH_PROBING: u64 = 256 << 10;

impl Session {
    /// What is due about the path: PROBE, or that bursts are sent apart.
    pub(crate) fn poll_path(&mut self, cx: &mut Context<'_>) {
        self.notice_black_hole(cx);
        self.request_no_gso(cx);
        if cx.now < self.probe_at(cx).until {
            return;
        }
        let timeout = self.flow.as_ref().map_or_else(Default::default, |flow| flow.unbacked_timeout());
        if let Some(probe) = cx.paths.poll(self.peer, self.max_datagram, timeout, cx.rng, cx.now) {
            cx.send(self.peer, self.theirs, &probe);
        }
    }

    /// When [`Session::poll_path`] has something to do.
    pub(crate) fn path_timer(&self, cx: &Context<'_>) -> Wait {
        let again = Wait { until: self.no_gso.next_at(), reason: Reason::Probe };
        self.probe_at(cx).earlier(again)
    }

    fn probe_at(&self, cx: &Context<'_>) -> Wait {
        let worth = matches!(self.state, SessionState::Willing) && self.meter.total() >= WORTH_PROBING;
        if !worth || self.max_datagram <= BASE {
            return Wait::IDLE;
        }
        Wait { until: cx.paths.next_at(self.peer), reason: Reason::Probe }
    }

    /// PROBED: its size came over the path. Whether it was asked for.
    pub(crate) fn handle_probed(&mut self, probed: Probed, cx: &mut Context<'_>) {
        if cx.paths.on_probed(self.peer, probed.id, probed.size.bytes()) {
            self.report_path_mtu(cx);
        }
    }

    /// Long datagrams of the flow have vanished, all of them.
    fn notice_black_hole(&mut self, cx: &mut Context<'_>) {
        let vanished = self.flow.as_mut().and_then(|flow| flow.take_vanished());
        if let Some(asked_at) = vanished
            && cx.paths.on_vanished(self.peer, asked_at, cx.now)
        {
            self.report_path_mtu(cx);
        }
    }

    /// From now on segments are asked for that the path carries. What a limit earns in a moment is enough for one.
    pub(crate) fn apply_path_mtu(&mut self, cx: &mut Context<'_>) {
        let limit = u16::try_from(cx.download_limit.burst()).unwrap_or(u16::MAX);
        let datagram = cx.paths.datagram(self.peer, cx.now).min(self.max_datagram).min(limit).max(BASE);
        let (segment, longest_burst) = burst_of(datagram);
        let longest_burst = if self.wants_singles(cx) { segment.into() } else { longest_burst };
        if let Some(flow) = &mut self.flow {
            flow.use_segments(segment, longest_burst);
        }
    }

    fn report_path_mtu(&self, cx: &mut Context<'_>) {
        let datagram = cx.paths.datagram(self.peer, cx.now);
        cx.out.events.push(Event::PathCarries { download: self.download, peer: self.peer, datagram });
    }
}
