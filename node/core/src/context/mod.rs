//! The state that the parts of one node share. The node lends it to a part for one call, and the parts share nothing
//! else.

mod cookies;
mod path_shares;
mod receive_budget;
mod routes;

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use channel::{ChannelNews, Channels, Encryption, PeerChannel, SEALED_OVERHEAD};
use config::NodeSettings;
use messages::limits::MAX_DATAGRAM;
use messages::{Body, Conversation, NodeId, Timestamp};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::buffers::Buffers;
use crate::event::Event;
use crate::limiter::Limiter;
use crate::output::{Outgoing, Output};
use crate::status::{ChannelStatus, Counters};
use crate::transport::mtud::PathMtus;

pub(crate) use cookies::Cookies;
pub(crate) use path_shares::PathShares;
pub(crate) use receive_budget::{MAX_LOCAL_RTT, ReceiveBufferBudget};
pub(crate) use routes::{Route, Routes};

/// The shared state of one node.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: NodeSettings,
    pub(crate) node: NodeId,
    rng: StdRng,
    pub(crate) routes: Routes,
    pub(crate) buffers: Buffers,
    cookies: Cookies,
    path_mtus: PathMtus,
    pub(crate) path_shares: PathShares,
    pub(crate) receive_budget: ReceiveBufferBudget,
    pub(crate) download_limit: Limiter,
    pub(crate) upload_limit: Limiter,
    /// Whether the limits have changed since the last turns of the downloads.
    has_new_limits: bool,
    pub(crate) counters: Counters,
    /// The sealed channels with other nodes and the tracker. `None`: everything is in the clear.
    pub(crate) channels: Option<Box<Channels>>,
    /// Who has said what is being handled, as a channel proves. `None`: it came in the clear.
    pub(crate) sender: Option<NodeId>,
    /// The output since the last poll.
    pub(crate) out: Output,
    /// What of the output is not sealed yet.
    plain: Vec<u8>,
}

impl Shared {
    /// The shared state of `node` with these `settings`, with randomness from `seed` and a receive buffer of
    /// `receive_buffer` bytes.
    pub(crate) fn new(
        settings: NodeSettings,
        node: NodeId,
        seed: u64,
        receive_buffer: u32,
        now: Timestamp,
    ) -> Shared {
        Shared {
            node,
            rng: StdRng::seed_from_u64(seed),
            routes: Routes::default(),
            buffers: Buffers::new(settings.download.memory.as_u64()),
            cookies: Cookies::default(),
            path_mtus: PathMtus::new(settings.network.segment_size),
            path_shares: PathShares::default(),
            receive_budget: ReceiveBufferBudget::new(receive_buffer),
            download_limit: Limiter::new(settings.download.limit.rate().map(NonZeroU64::get), now),
            upload_limit: Limiter::new(settings.upload.limit.rate().map(NonZeroU64::get), now),
            has_new_limits: false,
            counters: Counters::default(),
            channels: None,
            sender: None,
            out: Output::default(),
            plain: Vec::new(),
            settings,
        }
    }

    /// The shared state of a node with the default settings, for the tests of one part.
    #[cfg(test)]
    pub(crate) fn of_test(node: NodeId, seed: u64, now: Timestamp) -> Shared {
        Shared::new(NodeSettings::default(), node, seed, 0, now)
    }

    /// Limits uploads and downloads to these rates, in bytes a second, from now on. `None` means no limit.
    pub(crate) fn set_limits(&mut self, upload: Option<u64>, download: Option<u64>, now: Timestamp) {
        self.upload_limit.change(upload, now);
        self.download_limit.change(download, now);
        self.has_new_limits = true;
    }

    /// Prepares the turns of the downloads, with `outstanding` bytes on local paths. Returns whether something for
    /// which a download may wait has changed since their last turns: a buffer came free, the receive buffer has space,
    /// or the limits have changed.
    pub(crate) fn begin_turn(&mut self, outstanding: u32) -> bool {
        self.receive_budget.set_used(outstanding);
        // A download that has buffers which are wanted by now learns that in its turn.
        self.buffers.take_newly_wanted();
        let has_new_limits = std::mem::take(&mut self.has_new_limits);
        self.buffers.take_freed() | self.receive_budget.end_shortage() | has_new_limits
    }

    /// Ends the turns of the downloads. Returns whether one of them needs another turn: a buffer came free after the
    /// download wanted one, or buffers that it holds are wanted now.
    pub(crate) fn end_turn(&mut self) -> bool {
        self.buffers.take_newly_wanted() | self.buffers.take_freed()
    }

    /// Lends the shared state to a part for one call at `now`.
    pub(crate) fn context(&mut self, now: Timestamp) -> Context<'_> {
        Context {
            now,
            settings: &self.settings,
            node: self.node,
            rng: &mut self.rng,
            routes: &mut self.routes,
            buffers: &mut self.buffers,
            cookies: &mut self.cookies,
            path_mtus: &mut self.path_mtus,
            path_shares: &mut self.path_shares,
            receive_budget: &mut self.receive_budget,
            download_limit: &mut self.download_limit,
            upload_limit: &mut self.upload_limit,
            counters: &mut self.counters,
            channels: &mut self.channels,
            sender: self.sender,
            out: &mut self.out,
        }
    }

    /// How what is said to `peer` travels.
    pub(crate) fn channel_with(&self, peer: SocketAddr) -> ChannelStatus {
        match &self.channels {
            Some(channels) if channels.is_sealed(peer) => {
                let open = channels.with(peer);
                open.map_or(ChannelStatus::Opening, |open| ChannelStatus::Sealed(open.suite))
            }
            _ => ChannelStatus::InTheClear,
        }
    }

    /// Reports what has happened to channels since the last time. `tracker` is who is told apart.
    pub(crate) fn report_channels(&mut self, tracker: Option<SocketAddr>, out: &mut Output) {
        let Some(channels) = &mut self.channels else { return };
        let event = |news| match news {
            ChannelNews::Opened(PeerChannel { address: peer, key, suite, .. }) => {
                Event::ChannelOpened { peer, key, suite, is_tracker: tracker == Some(peer) }
            }
            ChannelNews::InTheClear(peer) => Event::InTheClear { peer, is_tracker: tracker == Some(peer) },
        };
        // What was said over a channel has happened after it was opened.
        out.events.splice(..0, channels.take_news().into_iter().map(event));
    }

    /// From now on what is said is sealed, as far as the policy of `channels` asks for it.
    pub(crate) fn seal_with(&mut self, channels: Channels) {
        let policy = channels.policy();
        self.path_mtus.shorten(move |peer| match policy.with(peer) {
            Encryption::Never => 0,
            Encryption::Always | Encryption::Prefer => SEALED_OVERHEAD as u16,
        });
        self.channels = Some(Box::new(channels));
    }

    /// Seals the control datagrams in `out`, keeps those whose channel is not open yet, and adds what the handshakes
    /// have to say.
    pub(crate) fn seal(&mut self, out: &mut Output, now: Timestamp) {
        let Some(channels) = &mut self.channels else { return };
        if out.datagrams.is_empty() && !channels.has_outbox() {
            return;
        }
        std::mem::swap(&mut out.bytes, &mut self.plain);
        out.bytes.clear();
        let datagrams = std::mem::take(&mut out.datagrams);
        // An ACCEPT goes before what is said over its channel.
        for (to, bytes) in channels.take_outbox() {
            out.send(to, |out| out.extend_from_slice(&bytes));
        }
        for mut outgoing in datagrams {
            let start = out.bytes.len();
            let plain = &self.plain[outgoing.range.clone()];
            let leaves = if outgoing.zeros > 0 && channels.is_sealed(outgoing.to) {
                let mut whole = plain.to_vec();
                whole.resize(plain.len() + std::mem::take(&mut outgoing.zeros), 0);
                channels.seal(outgoing.to, &whole, now, &mut out.bytes)
            } else {
                channels.seal(outgoing.to, plain, now, &mut out.bytes)
            };
            if leaves {
                out.datagrams.push(Outgoing { range: start..out.bytes.len(), ..outgoing });
            }
        }
        for (to, bytes) in channels.take_outbox() {
            out.send(to, |out| out.extend_from_slice(&bytes));
        }
    }
}

/// The shared state, lent to a part for one call.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a NodeSettings,
    pub(crate) node: NodeId,
    pub(crate) rng: &'a mut StdRng,
    pub(crate) routes: &'a mut Routes,
    pub(crate) buffers: &'a mut Buffers,
    pub(crate) cookies: &'a mut Cookies,
    pub(crate) path_mtus: &'a mut PathMtus,
    pub(crate) path_shares: &'a mut PathShares,
    pub(crate) receive_budget: &'a mut ReceiveBufferBudget,
    pub(crate) download_limit: &'a mut Limiter,
    pub(crate) upload_limit: &'a mut Limiter,
    pub(crate) counters: &'a mut Counters,
    channels: &'a mut Option<Box<Channels>>,
    /// Who has said what is being handled, as a channel proves. `None`: it came in the clear.
    pub(crate) sender: Option<NodeId>,
    pub(crate) out: &'a mut Output,
}

impl Context<'_> {
    /// Sends one control message.
    pub(crate) fn send<B: Body>(&mut self, to: SocketAddr, conversation: Conversation, body: &B) {
        self.out.send(to, |bytes| messages::encode(conversation, body, bytes));
    }

    /// Draws a number for `route`, a conversation with `peer`.
    pub(crate) fn open_route(&mut self, peer: SocketAddr, route: Route) -> Conversation {
        match self.channels {
            Some(channels) => {
                let is_free = |conversation| self.routes.find(conversation).is_none();
                let conversation = channels.draw_conversation(peer, is_free, self.rng, self.now);
                self.routes.open_as(conversation, route);
                conversation
            }
            None => self.routes.open(route, self.rng),
        }
    }

    /// From now on nobody but `node` is spoken to at `peer`, where that is sealed.
    pub(crate) fn expect(&mut self, peer: SocketAddr, node: NodeId) {
        if let Some(channels) = self.channels {
            channels.expect(peer, node);
        }
    }

    /// Who is at `peer`, as a channel proves, which proves the address as well. `None`: nothing is proven.
    pub(crate) fn proven(&self, peer: SocketAddr) -> Option<NodeId> {
        self.channels.as_ref().and_then(|channels| channels.peer(peer))
    }

    /// Whether what is being handled may have been said by `node`: a channel proves it, or nothing proves anything.
    pub(crate) fn may_be_from(&self, node: NodeId) -> bool {
        self.sender.is_none_or(|sender| sender == node)
    }

    /// Whether what is said to `peer` is sealed.
    pub(crate) fn is_sealed(&self, peer: SocketAddr) -> bool {
        self.channels.as_ref().is_some_and(|channels| channels.is_sealed(peer))
    }

    /// An exchange with `peer` begins: that it is in the clear is told, if sealing is preferred.
    pub(crate) fn tell_of_the_clear(&mut self, peer: SocketAddr) {
        if let Some(channels) = self.channels {
            channels.tell_of_the_clear(peer);
        }
    }

    /// How long the handshake with `peer` took, if it was short enough to tell the path's round trip.
    pub(crate) fn handshake_rtt(&self, peer: SocketAddr) -> Option<Duration> {
        self.channels.as_ref().and_then(|channels| channels.handshake_rtt(peer))
    }

    /// The longest datagram that can be sent to `peer`, before it is sealed.
    pub(crate) fn max_datagram(&self, peer: SocketAddr) -> u16 {
        let overhead = if self.is_sealed(peer) { SEALED_OVERHEAD } else { 0 };
        (MAX_DATAGRAM - overhead) as u16
    }
}

/// What another node sends to this one of a content that it also fetches from this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reciprocation {
    /// The recent rate in bytes a second.
    pub(crate) rate: u64,
    /// Whether the node was asked for something and does not send it.
    pub(crate) is_snubbed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::ZERO;

    fn shared() -> Shared {
        let mut shared = Shared::of_test(NodeId::from_bytes([1; 16]), 1, NOW);
        shared.buffers = Buffers::new(100);
        shared
    }

    #[test]
    fn new_limits_are_a_change_once() {
        let mut shared = shared();
        assert!(!shared.begin_turn(0), "nothing has changed yet");
        shared.set_limits(None, Some(1000), NOW);
        assert!(shared.begin_turn(0) && !shared.begin_turn(0));
    }

    #[test]
    fn a_buffer_that_comes_free_is_a_change_where_one_was_refused() {
        let mut shared = shared();
        let cx = shared.context(NOW);
        let buffer = cx.buffers.lend(100, cx.out).expect("within the budget");
        cx.buffers.give_back(buffer, cx.out);
        assert!(!shared.begin_turn(0), "nobody wanted it");
        let cx = shared.context(NOW);
        let buffer = cx.buffers.lend(100, cx.out).expect("within the budget");
        assert_eq!(cx.buffers.lend(100, cx.out), None);
        assert!(shared.end_turn() && !shared.end_turn(), "who has buffers looks again");
        let cx = shared.context(NOW);
        cx.buffers.give_back(buffer, cx.out);
        assert!(shared.begin_turn(0) && !shared.begin_turn(0), "who wants one looks again");
    }

    #[test]
    fn buffers_that_were_wanted_before_the_turn_are_no_change_in_it() {
        let mut shared = shared();
        let cx = shared.context(NOW);
        cx.buffers.lend(100, cx.out).expect("within the budget");
        assert_eq!(cx.buffers.lend(100, cx.out), None);
        assert!(!shared.begin_turn(0) && !shared.end_turn());
    }
}
