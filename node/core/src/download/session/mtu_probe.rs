//! What a session finds out and tells about its path: PROBE, PROBED, and segments that fit.

use messages::Timestamp;
use messages::node_to_node::Probed;

use super::{Session, SessionState};
use crate::context::Context;
use crate::download::initial_path::burst_of;
use crate::event::Event;
use crate::output::{Reason, Wait};
use crate::transport::mtud::BASE;

/// A path is probed once this many bytes have come over it: no first byte is delayed, and shorter headers make up for
/// the cost of the probes of an Ethernet (9 KB that arrive).
const WORTH_PROBING: u64 = 256 << 10;

impl Session {
    /// Sends what is due about the path: a PROBE, or a HELLO that asks for segments without GSO.
    pub(crate) fn poll_path(&mut self, cx: &mut Context<'_>) {
        self.notice_black_hole(cx);
        let contact = self.contact;
        if let SessionState::Established(established) = &mut self.state {
            established.request_no_gso(&contact, cx);
        }
        if let Some(established) = self.established()
            && cx.now >= self.probe_at(cx).until
        {
            let (timeout, peer) = (established.flow.unbacked_timeout(), contact.peer);
            if let Some(probe) = cx.path_mtus.poll(peer, established.max_datagram, timeout, cx.rng, cx.now) {
                cx.send(peer, established.remote, &probe);
            }
        }
    }

    /// When [`Session::poll_path`] has something to do.
    pub(crate) fn path_timer(&self, cx: &Context<'_>) -> Wait {
        let no_gso_at = self.established().map_or(Timestamp::NEVER, |open| open.no_gso.next_at());
        self.probe_at(cx).earlier(Wait { until: no_gso_at, reason: Reason::MtuProbe })
    }

    fn probe_at(&self, cx: &Context<'_>) -> Wait {
        let is_worth = self.meter.total() >= WORTH_PROBING;
        let may_probe = self.established().is_some_and(|open| open.is_unchoked() && open.max_datagram > BASE);
        if !is_worth || !may_probe {
            return Wait::IDLE;
        }
        Wait { until: cx.path_mtus.next_at(self.contact.peer), reason: Reason::MtuProbe }
    }

    /// Handles PROBED: a datagram of its size has come over the path.
    pub(crate) fn handle_probed(&mut self, probed: Probed, cx: &mut Context<'_>) {
        if cx.path_mtus.on_probed(self.contact.peer, probed.id, probed.size.bytes()) {
            self.report_path_mtu(cx);
        }
    }

    /// Notices when all long datagrams of the flow have vanished. Shorter ones are asked for from then on.
    fn notice_black_hole(&mut self, cx: &mut Context<'_>) {
        let vanished = self.flow_mut().and_then(|flow| flow.take_black_hole());
        if let Some(asked_at) = vanished
            && cx.path_mtus.on_vanished(self.contact.peer, asked_at, cx.now)
        {
            self.report_path_mtu(cx);
        }
    }

    /// Has segments asked for that the path carries. A segment is no longer than what the download limit allows at
    /// once.
    pub(crate) fn apply_path_mtu(&mut self, cx: &mut Context<'_>) {
        let peer = self.contact.peer;
        let limit = u16::try_from(cx.download_limit.burst()).unwrap_or(u16::MAX);
        let path_mtu = cx.path_mtus.use_path(peer, cx.now);
        if let SessionState::Established(established) = &mut self.state {
            let datagram = path_mtu.min(established.max_datagram).min(limit).max(BASE);
            let (segment, max_burst) = burst_of(datagram);
            let max_burst = if established.wants_singles(peer, cx) { segment.into() } else { max_burst };
            established.flow.set_segment_size(segment, max_burst);
        }
    }

    fn report_path_mtu(&self, cx: &mut Context<'_>) {
        let (download, peer) = (self.contact.download, self.contact.peer);
        let datagram = cx.path_mtus.use_path(peer, cx.now);
        cx.out.events.push(Event::PathCarries { download, peer, datagram });
    }
}
