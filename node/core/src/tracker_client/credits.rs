//! Bytes that this node has received and verified, by owner, until UPDATE reports them to the tracker.

use std::collections::BTreeMap;
use std::time::Duration;

use messages::limits::MAX_CREDITS;
use messages::node_to_tracker::Credit;
use messages::{ContentId, NodeId, Timestamp};

use super::exchange::TrackerRequest;

/// Received bytes are gathered for this long before they are reported.
const REPORT_PERIOD: Duration = Duration::from_secs(1);

/// The credits that are to be reported.
#[derive(Debug)]
pub(super) struct Credits {
    by_content: BTreeMap<ContentId, BTreeMap<NodeId, u64>>,
    report_at: Timestamp,
    /// The number of UPDATEs so far.
    sequence: u32,
}

impl Credits {
    pub(super) fn new() -> Credits {
        Credits { by_content: BTreeMap::new(), report_at: Timestamp::NEVER, sequence: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_content.is_empty()
    }

    /// When the next UPDATE is due.
    pub(super) fn report_at(&self) -> Timestamp {
        self.report_at
    }

    /// Records that `bytes` of `content` came from `owner`.
    pub(super) fn add(&mut self, content: ContentId, owner: NodeId, bytes: u64, now: Timestamp) {
        *self.by_content.entry(content).or_default().entry(owner).or_default() += bytes;
        self.report_at = self.report_at.min(now + REPORT_PERIOD);
    }

    /// Makes the gathered credits due now.
    pub(super) fn flush(&mut self, now: Timestamp) {
        if !self.is_empty() {
            self.report_at = now;
        }
    }

    /// Takes the next UPDATE, if there is anything to report: as many credits of one content as fit.
    pub(super) fn next_report(&mut self, now: Timestamp) -> Option<TrackerRequest> {
        let Some((content, mut owners)) = self.by_content.pop_first() else {
            self.report_at = Timestamp::NEVER;
            return None;
        };
        let mut credits = Vec::new();
        while credits.len() < MAX_CREDITS
            && let Some((owner, bytes)) = owners.pop_first()
        {
            credits.push(Credit { owner, bytes });
        }
        if !owners.is_empty() {
            self.by_content.insert(content, owners);
        }
        self.report_at = if self.is_empty() { Timestamp::NEVER } else { now };
        self.sequence += 1;
        Some(TrackerRequest::Update { sequence: self.sequence, content, credits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn credits_are_gathered_for_a_second_and_reported_content_by_content() {
        let (first, second) = (ContentId::from_bytes([1; 32]), ContentId::from_bytes([2; 32]));
        let owner = NodeId::from_bytes([9; 16]);
        let mut credits = Credits::new();
        assert_eq!(credits.report_at(), Timestamp::NEVER);
        credits.add(second, owner, 5, at(0));
        credits.add(first, owner, 7, at(900));
        credits.add(first, owner, 1, at(900));
        assert_eq!(credits.report_at(), at(1000));
        for (number, content, bytes) in [(1, first, 8), (2, second, 5)] {
            let update = credits.next_report(at(1000));
            let Some(TrackerRequest::Update { sequence, content: of, credits: reported }) = update else {
                panic!("{update:?}");
            };
            assert_eq!((sequence, of, reported), (number, content, vec![Credit { owner, bytes }]));
        }
        assert!(credits.is_empty() && credits.next_report(at(1000)).is_none());
        assert_eq!(credits.report_at(), Timestamp::NEVER);
    }

    #[test]
    fn no_update_carries_more_credits_than_fit() {
        let mut credits = Credits::new();
        let content = ContentId::from_bytes([1; 32]);
        for owner in 0..=u8::try_from(MAX_CREDITS).expect("they fit one datagram") {
            credits.add(content, NodeId::from_bytes([owner; 16]), 1, at(0));
        }
        let mut sizes = Vec::new();
        while let Some(TrackerRequest::Update { credits, .. }) = credits.next_report(at(1000)) {
            sizes.push(credits.len());
        }
        assert_eq!(sizes, [MAX_CREDITS, 1]);
    }
}
