//! What each address sent and was sent: an address that proved nothing gets no more bytes than it sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What one address sent and was sent.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    is_proven: bool,
    received: usize,
    sent: usize,
}

/// The accounts of all addresses.
#[derive(Debug, Default)]
pub(crate) struct Accounts(BTreeMap<SocketAddr, Account>);

impl Accounts {
    /// Counts a datagram of this length from an address, which proves that address if `proves`.
    pub(crate) fn receive(&mut self, from: SocketAddr, bytes: usize, proves: bool) {
        let account = self.0.entry(from).or_default();
        account.received += bytes;
        account.is_proven |= proves;
    }

    /// Whether the address has proved itself.
    #[allow(dead_code, reason = "not every play asks")]
    pub(crate) fn is_proven(&self, address: SocketAddr) -> bool {
        self.0.get(&address).is_some_and(|account| account.is_proven)
    }

    /// Counts a datagram of this length to an address, and checks that it may be sent: the address can be answered, and it
    /// is proven, `may_be_greeted` first, or has sent as many bytes.
    pub(crate) fn send(&mut self, to: SocketAddr, bytes: usize, may_be_greeted: bool) {
        assert!(to.port() != 0 && !to.ip().is_multicast() && !to.ip().is_unspecified(), "sent to {to}");
        let account = self.0.entry(to).or_default();
        account.sent += bytes;
        let Account { is_proven, received, sent } = *account;
        assert!(
            is_proven || may_be_greeted || sent <= received,
            "{sent} bytes to {to}, which sent {received} and proved nothing"
        );
    }
}
