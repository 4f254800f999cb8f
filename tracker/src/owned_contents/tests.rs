//! How the tables of a node and of the tracker come to agree.

use super::*;

const RESYNC_TIMEOUT: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn content(number: u8) -> ContentId {
    ContentId::from_bytes([number; 32])
}

#[test]
fn what_is_not_announced_again_is_outdated_at_a_later_heartbeat() {
    let mut owned = OwnedContents::default();
    let theirs = OwnDigest(0b01);
    owned.announce(content(1), OwnDigest(0b01), at(0));
    owned.announce(content(2), OwnDigest(0b10), at(0));
    assert_eq!(owned.compare(1, theirs, at(0), RESYNC_TIMEOUT), Comparison::Differs);
    owned.announce(content(1), OwnDigest(0), at(0));
    assert_eq!(
        owned.compare(1, theirs, at(1), RESYNC_TIMEOUT),
        Comparison::Differs,
        "it may still be announcing them"
    );
    assert_eq!(owned.compare(1, theirs, at(20), RESYNC_TIMEOUT), Comparison::Outdated);
    assert_eq!(owned.take_outdated(), Some(content(2)));
    assert_eq!(owned.take_outdated(), None);
    owned.withdraw(content(2), OwnDigest(0b10));
    assert_eq!(owned.compare(1, theirs, at(20), RESYNC_TIMEOUT), Comparison::InSync);
}

#[test]
fn a_node_that_never_heard_of_the_round_loses_nothing() {
    let mut owned = OwnedContents::default();
    owned.announce(content(1), OwnDigest(0b01), at(0));
    assert_eq!(owned.compare(2, OwnDigest(0b11), at(0), RESYNC_TIMEOUT), Comparison::Differs);
    assert_eq!(owned.compare(2, OwnDigest(0b11), at(20), RESYNC_TIMEOUT), Comparison::Differs);
    assert!(owned.contains(content(1)));
}

#[test]
fn a_node_that_has_nothing_reports_so_at_two_heartbeats() {
    let mut owned = OwnedContents::default();
    owned.announce(content(1), OwnDigest(0b01), at(0));
    assert_eq!(owned.compare(0, OwnDigest(0), at(0), RESYNC_TIMEOUT), Comparison::Differs);
    let compared = owned.compare(0, OwnDigest(0), at(0) + RESYNC_TIMEOUT * 2, RESYNC_TIMEOUT);
    assert_eq!((compared, owned.take_outdated()), (Comparison::Outdated, Some(content(1))));
}

#[test]
fn a_register_from_before_the_first_own_takes_nothing_away_however_often_it_is_replayed() {
    let mut owned = OwnedContents::default();
    owned.announce(content(1), OwnDigest(0b01), at(0));
    for second in 0..200 {
        if second % (2 * RESYNC_TIMEOUT.as_secs()) == 0 {
            assert_eq!(owned.compare(1, OwnDigest(0b01), at(second), RESYNC_TIMEOUT), Comparison::InSync);
        }
        assert_eq!(owned.compare(0, OwnDigest(0), at(second), RESYNC_TIMEOUT), Comparison::Differs);
    }
}
