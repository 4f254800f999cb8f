//! How much of one path each flow of this node may use, so that none of them keeps more than its share, and none gets
//! less.
//!
//! Flows to the same owner meet the same bottleneck. A flow that began alone has measured the rate of the whole path,
//! and the flows that begin later need seconds of probing to push it down to its share. The node knows all of these
//! flows and need not wait for that (RFC 3124 goes further: it has one congestion control for all flows of one path).
//!
//! Flows over local paths meet the same bottleneck as well, which is this host. There the flow that measured the highest
//! rate in the first milliseconds would keep the largest window: of three equal owners on three hosts, one gave more than
//! half of 96 MiB in every second download, and with a fair window in one of twenty.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use messages::Timestamp;

/// The window of a flow is at most this many hundredths of the mean window of the flows over its path. (24 downloads of
/// 4 MiB at once over 100 Mbit/s, means of 24 worlds: without a share the first is complete after 0.43 of the time of
/// the last, and the last after 9.09 s; with 200 after 0.58 and 8.93 s, with 150 after 0.69 and 8.77 s, with 125 after
/// 0.79 and 8.79 s.)
const MAX_OF_MEAN: u64 = 150;
/// The flows are counted once in this time, because counting looks at every session.
const PERIOD: Duration = Duration::from_millis(10);

/// The flows over one path.
#[derive(Clone, Copy, Debug, Default)]
struct Path {
    flows: u32,
    /// The sum of the windows, in bytes.
    windows: u64,
}

/// The flows over all local paths.
#[derive(Clone, Copy, Debug, Default)]
struct LocalFlows {
    count: u32,
    /// The largest of their windows, in bytes.
    largest_window: u32,
}

/// The paths over which flows of this node ask for as much as they may.
#[derive(Debug, Default)]
pub(crate) struct PathShares {
    by_owner: BTreeMap<SocketAddr, Path>,
    local: LocalFlows,
    counted_at: Option<Timestamp>,
}

impl PathShares {
    /// Forgets all flows, if they are to be counted anew. Returns whether they are.
    pub(crate) fn begin_count(&mut self, now: Timestamp) -> bool {
        if self.counted_at.is_some_and(|counted_at| now < counted_at + PERIOD) {
            return false;
        }
        self.counted_at = Some(now);
        self.by_owner.clear();
        self.local = LocalFlows::default();
        true
    }

    /// Counts a flow to `owner` whose window has `window` bytes.
    pub(crate) fn count(&mut self, owner: SocketAddr, window: u32) {
        let path = self.by_owner.entry(owner).or_default();
        path.flows += 1;
        path.windows += u64::from(window);
    }

    /// Counts a flow over a local path whose window has `window` bytes.
    pub(crate) fn count_local(&mut self, window: u32) {
        self.local.count += 1;
        self.local.largest_window = self.local.largest_window.max(window);
    }

    /// The largest window of one flow to `owner`, in bytes; `None` while at most one flow was counted.
    pub(crate) fn max_window(&self, owner: SocketAddr) -> Option<u32> {
        let path = self.by_owner.get(&owner).filter(|path| path.flows > 1)?;
        let most = path.windows * MAX_OF_MEAN / 100 / u64::from(path.flows);
        Some(u32::try_from(most).unwrap_or(u32::MAX))
    }

    /// The window that each flow over a local path may have, in bytes: the largest of those counted. `None` while at most
    /// one flow was counted.
    pub(crate) fn fair_local_window(&self) -> Option<u32> {
        (self.local.count > 1).then_some(self.local.largest_window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_follows_from_the_mean_of_the_flows_to_the_same_owner() {
        let (owner, other) = (SocketAddr::from(([10, 0, 0, 1], 7)), SocketAddr::from(([10, 0, 0, 2], 7)));
        let mut shares = PathShares::default();
        assert!(shares.begin_count(Timestamp::ZERO));
        shares.count(owner, 300_000);
        shares.count(other, 1_000_000);
        assert_eq!(shares.max_window(owner), None, "it is alone on its path");
        shares.count(owner, 100_000);
        assert_eq!((shares.max_window(owner), shares.max_window(other)), (Some(300_000), None));
        shares.count(owner, 20_000);
        assert_eq!(shares.max_window(owner), Some(210_000));
        assert!(!shares.begin_count(Timestamp::ZERO + PERIOD / 2), "counted a moment ago");
        assert!(shares.begin_count(Timestamp::ZERO + PERIOD));
        assert_eq!(shares.max_window(owner), None);
    }

    #[test]
    fn each_flow_over_a_local_path_may_have_the_largest_window_of_them() {
        let mut shares = PathShares::default();
        shares.count_local(100_000);
        assert_eq!(shares.fair_local_window(), None, "it is alone");
        shares.count_local(400_000);
        shares.count_local(200_000);
        assert_eq!(shares.fair_local_window(), Some(400_000));
        assert!(shares.begin_count(Timestamp::ZERO));
        assert_eq!(shares.fair_local_window(), None);
    }
}
