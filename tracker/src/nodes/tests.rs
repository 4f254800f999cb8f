//! Leases in order, counts per host, and how two tables come to agree.

use proptest::prelude::*;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

fn content(number: u8) -> ContentId {
    ContentId::from_bytes([number; 32])
}

fn seat(host: u8, port: u16) -> Seat {
    let address = SocketAddr::from(([10, 0, 0, host], port));
    Seat { address, reached_at: None, conversation: Conversation(1), epoch: BootEpoch(1) }
}

#[test]
fn leases_end_each_at_its_own_time() {
    let mut table = NodeTable::new(10, 10);
    for (number, ends) in [(1, 30), (2, 10), (3, 20)] {
        table.insert(id(number), Node::new(seat(number, 1), at(0)), at(ends));
    }
    assert_eq!(table.next_lease_end(), Some(at(10)));
    table.renew(id(2), seat(2, 1), at(40));
    assert_eq!(table.expired(at(19)), None);
    assert_eq!(table.expired(at(20)), Some(id(3)));
    table.remove(id(3));
    assert_eq!(table.expired(at(35)), Some(id(1)));
}

#[test]
fn a_host_has_only_so_many_nodes_and_loopback_as_many_as_it_leaves_free() {
    let mut table = NodeTable::new(8, 2);
    let host = seat(1, 1).address.ip();
    for number in 1..=2 {
        assert!(table.has_room(id(number), host));
        table.insert(id(number), Node::new(seat(1, u16::from(number)), at(0)), at(60));
    }
    assert!(!table.has_room(id(3), host));
    assert!(table.has_room(id(1), host), "who is there stays there");
    let loopback = SocketAddr::from(([127, 0, 0, 1], 9)).ip();
    for number in 3..=5 {
        assert!(table.has_room(id(number), loopback));
        let address = SocketAddr::new(loopback, 9);
        table.insert(id(number), Node::new(Seat { address, ..seat(1, 1) }, at(0)), at(60));
    }
    assert!(!table.has_room(id(6), loopback), "three are left for others");
    assert!(table.has_room(id(3), loopback), "who is there stays there");
    for number in 6..=8 {
        assert!(table.has_room(id(number), seat(number, 1).address.ip()));
        table.insert(id(number), Node::new(seat(number, 1), at(0)), at(60));
    }
    assert!(!table.has_room(id(9), seat(9, 1).address.ip()), "the whole table is full");
    table.remove(id(1));
    assert!(table.has_room(id(9), host));
}

#[test]
fn what_is_not_said_again_is_outdated_at_a_later_heartbeat() {
    let mut owned = Owned::default();
    let theirs = OwnDigest(0b01);
    owned.say(content(1), OwnDigest(0b01), at(0));
    owned.say(content(2), OwnDigest(0b10), at(0));
    assert_eq!(owned.compare(1, theirs, at(0), PATIENCE), Comparison::Differs);
    owned.say(content(1), OwnDigest(0), at(0));
    assert_eq!(owned.compare(1, theirs, at(1), PATIENCE), Comparison::Differs, "it may still be saying them");
    assert_eq!(owned.compare(1, theirs, at(20), PATIENCE), Comparison::Outdated);
    assert_eq!(owned.take_outdated(), Some(content(2)));
    assert_eq!(owned.take_outdated(), None);
    owned.unsay(content(2), OwnDigest(0b10));
    assert_eq!(owned.compare(1, theirs, at(20), PATIENCE), Comparison::InStep);
}

#[test]
fn a_node_that_never_heard_of_the_round_loses_nothing() {
    let mut owned = Owned::default();
    owned.say(content(1), OwnDigest(0b01), at(0));
    assert_eq!(owned.compare(2, OwnDigest(0b11), at(0), PATIENCE), Comparison::Differs);
    assert_eq!(owned.compare(2, OwnDigest(0b11), at(20), PATIENCE), Comparison::Differs);
    assert!(owned.contains(content(1)));
}

#[test]
fn a_node_that_has_nothing_says_so_at_two_heartbeats() {
    let mut owned = Owned::default();
    owned.say(content(1), OwnDigest(0b01), at(0));
    assert_eq!(owned.compare(0, OwnDigest(0), at(0), PATIENCE), Comparison::Differs);
    let compared = owned.compare(0, OwnDigest(0), at(0) + PATIENCE * 2, PATIENCE);
    assert_eq!((compared, owned.take_outdated()), (Comparison::Outdated, Some(content(1))));
}

#[test]
fn a_register_from_before_the_first_own_takes_nothing_away_however_often_it_is_replayed() {
    let mut owned = Owned::default();
    owned.say(content(1), OwnDigest(0b01), at(0));
    for second in 0..200 {
        if second % (2 * PATIENCE.as_secs()) == 0 {
            assert_eq!(owned.compare(1, OwnDigest(0b01), at(second), PATIENCE), Comparison::InStep);
        }
        assert_eq!(owned.compare(0, OwnDigest(0), at(second), PATIENCE), Comparison::Differs);
    }
}

/// A node of the naive table: where it is, until when, and whether somebody claims its id.
#[derive(Clone, Copy)]
struct Naive {
    seat: Seat,
    lease_ends: Timestamp,
    claim: Claim,
}

proptest! {
    #[test]
    fn it_says_what_a_naive_list_says(
        steps in prop::collection::vec((0..5_u8, 0..6_u8, 1..4_u8, 0..100_u64), 0..200),
    ) {
        const SECOND: Duration = Duration::from_secs(1);
        let mut table = NodeTable::new(4, 2);
        let mut naive: BTreeMap<NodeId, Naive> = BTreeMap::new();
        for (step, number, host_number, second) in steps {
            let (id, seat, until) = (id(number), seat(host_number, u16::from(number)), at(second));
            let known = naive.get(&id).map(|node| node.seat.address.ip());
            let there = naive.values().filter(|node| node.seat.address.ip() == seat.address.ip()).count();
            let room = (known.is_some() || naive.len() < 4) && (known == Some(seat.address.ip()) || there < 2);
            prop_assert_eq!(table.has_room(id, seat.address.ip()), room);
            match step {
                0 if room => {
                    table.insert(id, Node::new(seat, at(0)), until);
                    naive.insert(id, Naive { seat, lease_ends: until, claim: Claim::Free });
                }
                1 if room => {
                    table.renew(id, seat, until);
                    if let Some(node) = naive.get_mut(&id) {
                        (node.seat, node.lease_ends) = (seat, until);
                    }
                }
                2 => {
                    let nonce = u64::from(number) << 32 | second;
                    let press = |claim: &mut Claim| claim.press(seat.address, nonce, until, SECOND, SECOND);
                    let expected = naive.get_mut(&id).map(|node| press(&mut node.claim));
                    prop_assert_eq!(table.change_claim(id, press), expected);
                }
                3 => {
                    let hold = |claim: &mut Claim| claim.hold(until);
                    if let Some(node) = naive.get_mut(&id) {
                        hold(&mut node.claim);
                    }
                    table.change_claim(id, hold);
                }
                4 => prop_assert_eq!(table.remove(id).is_some(), naive.remove(&id).is_some()),
                _ => {}
            }
            prop_assert_eq!(table.len(), naive.len());
            prop_assert_eq!(table.next_lease_end(), naive.values().map(|node| node.lease_ends).min());
            prop_assert_eq!(table.next_ping(), naive.values().filter_map(|node| node.claim.next_ping()).min());
            let expired = table.expired(until).and_then(|id| naive.get(&id));
            let ends = naive.values().map(|node| node.lease_ends).filter(|&ends| ends <= until).min();
            prop_assert_eq!(expired.map(|node| node.lease_ends), ends);
            for (&id, node) in &naive {
                prop_assert_eq!(table.node(id).map(|node| *node.seat()), Some(node.seat));
                let elsewhere = SocketAddr::from(([10, 9, 9, 9], 9));
                if let Some(nonce) = node.claim.nonce() {
                    prop_assert_eq!(table.asked_with(node.seat.address, nonce), Some(id));
                    prop_assert_eq!(table.asked_with(elsewhere, nonce), None);
                    prop_assert_eq!(table.asked_with(node.seat.address, !nonce), None);
                }
            }
            prop_assert_eq!(table.asked.len(), naive.values().filter(|node| node.claim.nonce().is_some()).count());
            prop_assert_eq!(table.leases.len(), naive.len());
            prop_assert_eq!(table.at_host.values().sum::<u32>() as usize, naive.len());
        }
    }
}
