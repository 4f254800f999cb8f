//! Leases in order, counts per host, and the table against a naive list.

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

fn registration(host: u8, port: u16) -> Registration {
    let address = SocketAddr::from(([10, 0, 0, host], port));
    Registration { address, reached_at: None, conversation: Conversation(1), epoch: BootEpoch(1) }
}

#[test]
fn leases_end_each_at_its_own_time() {
    let mut table = NodeTable::new(10, 10);
    for (number, ends) in [(1, 30), (2, 10), (3, 20)] {
        table.insert(id(number), Node::new(registration(number, 1), at(0)), at(ends));
    }
    assert_eq!(table.next_lease_end(), Some(at(10)));
    table.renew(id(2), registration(2, 1), at(40));
    assert_eq!(table.expired(at(19)), None);
    assert_eq!(table.expired(at(20)), Some(id(3)));
    table.remove(id(3));
    assert_eq!(table.expired(at(35)), Some(id(1)));
}

#[test]
fn a_host_has_only_so_many_nodes_and_loopback_as_many_as_it_leaves_free() {
    let mut table = NodeTable::new(8, 2);
    let host = registration(1, 1).address.ip();
    for number in 1..=2 {
        assert!(table.has_capacity(id(number), host));
        table.insert(id(number), Node::new(registration(1, u16::from(number)), at(0)), at(60));
    }
    assert!(!table.has_capacity(id(3), host));
    assert!(table.has_capacity(id(1), host), "who is there stays there");
    let loopback = SocketAddr::from(([127, 0, 0, 1], 9)).ip();
    for number in 3..=5 {
        assert!(table.has_capacity(id(number), loopback));
        let address = SocketAddr::new(loopback, 9);
        table.insert(id(number), Node::new(Registration { address, ..registration(1, 1) }, at(0)), at(60));
    }
    assert!(!table.has_capacity(id(6), loopback), "three are left for others");
    assert!(table.has_capacity(id(3), loopback), "who is there stays there");
    for number in 6..=8 {
        assert!(table.has_capacity(id(number), registration(number, 1).address.ip()));
        table.insert(id(number), Node::new(registration(number, 1), at(0)), at(60));
    }
    assert!(!table.has_capacity(id(9), registration(9, 1).address.ip()), "the whole table is full");
    table.remove(id(1));
    assert!(table.has_capacity(id(9), host));
}

/// A node of the naive table: where it is, until when, and whether somebody claims its id.
#[derive(Clone, Copy)]
struct Naive {
    registration: Registration,
    lease_ends: Timestamp,
    claim: IdClaim,
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
            let (id, until) = (id(number), at(second));
            let registration = registration(host_number, u16::from(number));
            let ip = registration.address.ip();
            let known = naive.get(&id).map(|node| node.registration.address.ip());
            let at_host = naive.values().filter(|node| node.registration.address.ip() == ip).count();
            let fits = (known.is_some() || naive.len() < 4) && (known == Some(ip) || at_host < 2);
            prop_assert_eq!(table.has_capacity(id, ip), fits);
            match step {
                0 if fits => {
                    table.insert(id, Node::new(registration, at(0)), until);
                    naive.insert(id, Naive { registration, lease_ends: until, claim: IdClaim::Free });
                }
                1 if fits && known.is_some() => {
                    table.renew(id, registration, until);
                    if let Some(node) = naive.get_mut(&id) {
                        (node.registration, node.lease_ends) = (registration, until);
                    }
                }
                2 => {
                    let nonce = u64::from(number) << 32 | second;
                    let make = |claim: &mut IdClaim| claim.claim(registration.address, nonce, until, SECOND, SECOND);
                    let expected = naive.get_mut(&id).map(|node| make(&mut node.claim));
                    prop_assert_eq!(table.change_claim(id, make), expected);
                }
                3 => {
                    let hold = |claim: &mut IdClaim| claim.hold(until);
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
                prop_assert_eq!(table.node(id).map(|node| *node.registration()), Some(node.registration));
                let elsewhere = SocketAddr::from(([10, 9, 9, 9], 9));
                if let Some(nonce) = node.claim.nonce() {
                    prop_assert_eq!(table.asked_with(node.registration.address, nonce), Some(id));
                    prop_assert_eq!(table.asked_with(elsewhere, nonce), None);
                    prop_assert_eq!(table.asked_with(node.registration.address, !nonce), None);
                }
            }
            prop_assert_eq!(table.asked.len(), naive.values().filter(|node| node.claim.nonce().is_some()).count());
            prop_assert_eq!(table.leases.len(), naive.len());
            prop_assert_eq!(table.at_host.values().sum::<u32>() as usize, naive.len());
        }
    }
}
