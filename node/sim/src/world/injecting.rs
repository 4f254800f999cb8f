//! Somebody on the path who sees what passes to a host and can send, but neither stop nor change anything: forged CHUNKs overtake the true ones.

use std::net::SocketAddr;

use messages::Timestamp;

use super::network::Payload;
use super::{Happening, HostId, World};
use crate::disk::Provenance;

/// Who is lied to, and how much.
#[derive(Clone, Debug)]
pub struct Injecting {
    pub victim: HostId,
    /// One CHUNK in so many is forged.
    pub one_in: u32,
    pub until: Timestamp,
    passed: u32,
}

impl Injecting {
    pub fn new(victim: HostId, one_in: u32, until: Timestamp) -> Injecting {
        Injecting { victim, one_in, until, passed: 0 }
    }
}

impl World {
    /// `payload` passes: a copy with other bytes is there before it.
    pub(super) fn inject(&mut self, from: SocketAddr, to: HostId, payload: &Payload) {
        let now = self.now;
        let Some(injecting) = self.injecting.as_mut().filter(|by| by.victim == to && now < by.until) else {
            return;
        };
        let Payload::Chunk { header, length, .. } = payload else {
            return;
        };
        injecting.passed += 1;
        if injecting.passed % injecting.one_in == 0 {
            let payload = Payload::Chunk { header: *header, length: *length, source: Provenance::WRONG };
            self.schedule(now, Happening::Delivered { to, from, payload });
        }
    }
}
