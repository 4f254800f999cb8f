//! A script: bytes that a property test or a fuzzer made, read as choices. When the bytes run out every choice is the first
//! one. So both drive the same play.
#![allow(dead_code, reason = "each play makes its own kinds of choices")]

use std::net::SocketAddr;

/// What is left of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// The script that `bytes` are.
    pub(crate) fn new(bytes: &'a [u8]) -> Script<'a> {
        Script(bytes)
    }

    /// Whether there are no more choices.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// A number of one byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number of two bytes.
    pub(crate) fn half(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A number of four bytes.
    pub(crate) fn word(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// A number of eight bytes.
    pub(crate) fn long(&mut self) -> u64 {
        u64::from(self.word()) | u64::from(self.word()) << 32
    }

    /// Yes or no.
    pub(crate) fn coin(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below `count`, which is not zero.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let choice = if count <= 256 { usize::from(self.byte()) } else { usize::from(self.half()) };
        choice % count
    }

    /// One of `items`, if there are any.
    pub(crate) fn pick<'i, T>(&mut self, items: &'i [T]) -> Option<&'i T> {
        if items.is_empty() { None } else { items.get(self.below(items.len())) }
    }

    /// At most 255 of the next bytes, as they are.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// `datagram` as it may arrive: whole, cut, longer, or with wrong bytes.
    pub(crate) fn damage(&mut self, datagram: &[u8]) -> Vec<u8> {
        let mut damaged = datagram.to_vec();
        match self.below(4) {
            1 => damaged.truncate(self.below(datagram.len().max(1))),
            2 => damaged.extend_from_slice(self.bytes()),
            3 => {
                for _ in 0..=self.below(4) {
                    let (at, byte) = (self.below(damaged.len().max(1)), self.byte());
                    if let Some(spot) = damaged.get_mut(at) {
                        *spot = byte;
                    }
                }
            }
            _ => {}
        }
        damaged
    }

    /// One of `addresses`: mostly one of the first `frequent`, so that a few send more than the others.
    pub(crate) fn address(&mut self, addresses: &[SocketAddr], frequent: usize) -> SocketAddr {
        let count = if self.below(4) == 0 { addresses.len() } else { frequent };
        addresses[self.below(count)]
    }

    /// One datagram of `history` as it may arrive again: from its sender or another, whole or damaged.
    pub(crate) fn replay(
        &mut self,
        history: &[(SocketAddr, Vec<u8>)],
        addresses: &[SocketAddr],
        frequent: usize,
    ) -> Option<(SocketAddr, Vec<u8>)> {
        let (from, datagram) = self.pick(history)?;
        let from = if self.coin() { self.address(addresses, frequent) } else { *from };
        Some((from, self.damage(datagram)))
    }
}

/// Adds `item` to the `max` latest ones.
pub(crate) fn remember<T>(list: &mut Vec<T>, max: usize, item: T) {
    if list.len() == max {
        list.remove(0);
    }
    list.push(item);
}
