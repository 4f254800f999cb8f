//! A script: bytes that somebody else thought of, read as choices. When they run out every choice is the first one.
//! So a property test and a fuzzer drive the same play.
#![allow(dead_code, reason = "each play makes its own kinds of choices")]

/// What is left of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// The script that `bytes` are.
    pub(crate) fn new(bytes: &'a [u8]) -> Script<'a> {
        Script(bytes)
    }

    /// Whether it has no more choices.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// A byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Two bytes.
    pub(crate) fn half(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// Four bytes.
    pub(crate) fn word(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// Eight bytes.
    pub(crate) fn long(&mut self) -> u64 {
        u64::from(self.word()) | u64::from(self.word()) << 32
    }

    /// Whether.
    pub(crate) fn coin(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Less than `count`, which is not zero.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let choice = if count <= 256 { usize::from(self.byte()) } else { usize::from(self.half()) };
        choice % count
    }

    /// One of `items`, if there are any.
    pub(crate) fn pick<'i, T>(&mut self, items: &'i [T]) -> Option<&'i T> {
        if items.is_empty() { None } else { items.get(self.below(items.len())) }
    }

    /// The next at most 255 bytes, as they are.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// `datagram` as it may arrive: whole, or cut, or longer, or with wrong bytes.
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
}
