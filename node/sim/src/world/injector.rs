//! Somebody on the path who sees what passes to a host and can send, but can neither stop nor change anything: forged
//! CHUNKs overtake the true ones.

use std::net::SocketAddr;

use messages::Timestamp;

use super::payload::Payload;
use super::sim_event::SimEvent;
use super::{HostId, World};
use crate::disk::Provenance;

/// The injector: whom it attacks, how often, and for how long.
#[derive(Clone, Debug)]
pub struct Injector {
    /// The host to which forged CHUNKs are sent.
    pub victim: HostId,
    /// One of so many CHUNKs is forged.
    pub one_in: u32,
    /// When it ends.
    pub until: Timestamp,
    passed: u32,
}

impl Injector {
    /// An injector that forges one of `one_in` CHUNKs to `victim` until this instant.
    pub fn new(victim: HostId, one_in: u32, until: Timestamp) -> Injector {
        Injector { victim, one_in, until, passed: 0 }
    }
}

impl World {
    /// Sees a packet pass, and may send a copy with other bytes that arrives before it.
    pub(super) fn inject(&mut self, from: SocketAddr, to: HostId, payload: &Payload) {
        let now = self.now;
        let Some(injector) = self.injector.as_mut().filter(|by| by.victim == to && now < by.until) else {
            return;
        };
        let Payload::Chunk { header, length, .. } = payload else {
            return;
        };
        injector.passed += 1;
        if injector.passed % injector.one_in == 0 {
            let payload = Payload::Chunk { header: *header, length: *length, source: Provenance::WRONG };
            self.schedule(now, SimEvent::Delivered { to, from, payload });
        }
    }
}
