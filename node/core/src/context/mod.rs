//! What the parts of one node share: the node lends it to a part for one call, and the parts share nothing else.

mod cookies;
mod receive_budget;
mod routes;

use std::net::SocketAddr;
use std::num::NonZeroU64;

use config::NodeSettings;
use messages::{Body, Conversation, NodeId, Timestamp};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::buffers::Buffers;
use crate::limiter::Limiter;
use crate::output::Output;
use crate::status::Counters;
use crate::transport::mtud::PathMtus;

pub(crate) use cookies::Cookies;
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
    pub(crate) receive_budget: ReceiveBufferBudget,
    pub(crate) download_limit: Limiter,
    pub(crate) upload_limit: Limiter,
    pub(crate) counters: Counters,
    /// What was produced since the last poll.
    pub(crate) out: Output,
}

impl Shared {
    /// What the parts of `node` share, as `settings` say, with chance from `seed` and a receive buffer of `receive_buffer` bytes.
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
            receive_budget: ReceiveBufferBudget::new(receive_buffer),
            download_limit: Limiter::new(settings.download.limit.rate().map(NonZeroU64::get), now),
            upload_limit: Limiter::new(settings.upload.limit.rate().map(NonZeroU64::get), now),
            counters: Counters::default(),
            out: Output::default(),
            settings,
        }
    }

    /// A node with the default settings, for the tests of one part.
    #[cfg(test)]
    pub(crate) fn of_test(node: NodeId, seed: u64, now: Timestamp) -> Shared {
        Shared::new(NodeSettings::default(), node, seed, 0, now)
    }

    /// Lends it for one call at `now`.
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
            receive_budget: &mut self.receive_budget,
            download_limit: &mut self.download_limit,
            upload_limit: &mut self.upload_limit,
            counters: &mut self.counters,
            out: &mut self.out,
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
    pub(crate) receive_budget: &'a mut ReceiveBufferBudget,
    pub(crate) download_limit: &'a mut Limiter,
    pub(crate) upload_limit: &'a mut Limiter,
    pub(crate) counters: &'a mut Counters,
    pub(crate) out: &'a mut Output,
}

impl Context<'_> {
    /// Sends one control message.
    pub(crate) fn send<B: Body>(&mut self, to: SocketAddr, conversation: Conversation, body: &B) {
        self.out.send(to, |bytes| messages::encode(conversation, body, bytes));
    }
}

/// What a node gives to this one, of the content that it fetches from this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gives {
    /// Bytes a second, lately.
    pub(crate) rate: u64,
    /// It was asked for something and does not give it.
    pub(crate) is_snubbed: bool,
}
