//! What may travel in the clear.

use std::net::SocketAddr;

/// Whether datagrams are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// Nothing is said or heard in the clear.
    #[default]
    Always,
    /// Sealed with whoever can; who does not answer a handshake is spoken to in the clear.
    Prefer,
    /// Everything is in the clear.
    Never,
}

/// What may travel in the clear, by the address of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// With other hosts.
    pub elsewhere: Encryption,
    /// Within this host, by a loopback address.
    pub loopback: Encryption,
}

impl Policy {
    /// Everything is in the clear.
    pub const OPEN: Policy = Policy { elsewhere: Encryption::Never, loopback: Encryption::Never };
    /// Nothing is in the clear.
    pub const SEALED: Policy = Policy { elsewhere: Encryption::Always, loopback: Encryption::Always };

    /// What holds for `address`.
    #[must_use]
    pub fn with(&self, address: SocketAddr) -> Encryption {
        if address.ip().to_canonical().is_loopback() { self.loopback } else { self.elsewhere }
    }
}
