//! How much may be asked for at once over local paths: as much as the socket's receive buffer holds.

use std::time::Duration;

use messages::limits::MAX_BURST;

/// A path with a shorter round-trip time than this is a local one: over it a receive buffer fills before anything can
/// be done about that.
pub(crate) const MAX_LOCAL_RTT: Duration = Duration::from_millis(2);

/// The bytes that the socket's receive buffer holds, shared by all flows on local paths, over which everything that is
/// asked for may arrive at once. Within this budget a loopback or a fast local network does not drop datagrams.
#[derive(Debug)]
pub(crate) struct ReceiveBufferBudget {
    limit: u32,
    used: u32,
    /// Whether a flow has asked for less than it wanted, because the budget was spent.
    is_short: bool,
}

impl ReceiveBufferBudget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: u32) -> ReceiveBufferBudget {
        ReceiveBufferBudget { limit, used: 0, is_short: false }
    }

    /// Sets the number of bytes that are outstanding on local paths.
    pub(crate) fn set_used(&mut self, used: u32) {
        self.used = used;
    }

    /// Records that a flow would have asked for more.
    pub(crate) fn note_shortage(&mut self) {
        self.is_short = true;
    }

    /// Ends a shortage if bytes are available now. Returns whether it did.
    pub(crate) fn end_shortage(&mut self) -> bool {
        self.available() > 0 && std::mem::take(&mut self.is_short)
    }

    /// The number of bytes that may still be asked for over a local path: at least one burst while nothing is
    /// outstanding.
    pub(crate) fn available(&self) -> u32 {
        if self.used == 0 { self.limit.max(MAX_BURST) } else { self.limit.saturating_sub(self.used) }
    }

    /// Records that `bytes` were asked for over a local path.
    pub(crate) fn spend(&mut self, bytes: u32) {
        self.used = self.used.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_burst_is_available_in_any_case_and_a_shortage_ends_once_there_is_space() {
        let mut budget = ReceiveBufferBudget::new(1000);
        assert_eq!(budget.available(), MAX_BURST, "nothing is outstanding");
        budget.spend(900);
        assert_eq!(budget.available(), 100);
        budget.spend(200);
        budget.note_shortage();
        assert_eq!((budget.available(), budget.end_shortage()), (0, false));
        budget.set_used(500);
        assert_eq!((budget.available(), budget.end_shortage()), (500, true));
        assert!(!budget.end_shortage(), "it has ended");
    }
}
