//! Joining with a cookie, announcing, withdrawing, limits, and two tables that come to agree.

use super::*;

#[test]
fn nobody_joins_without_proof_of_address() {
    let mut scene = Scene::new();
    let mut one = client(1);
    scene.prove(&mut one);
    assert_eq!(scene.tracker.nodes(), 0);
    let elsewhere = client(2).address;
    assert_eq!(
        scene.refusal(elsewhere, &one.register()).code,
        RefusalCode::Cookie,
        "a cookie is for one address"
    );
    let registered = scene.register(&mut one);
    assert_eq!(registered.interval_ms, 20_000);
    assert_eq!(registered.observed.address(), one.address);
    assert!(!registered.resync);
    assert_eq!(scene.tracker.address_of(one.id), Some(one.address));
    assert!(matches!(scene.events.last(), Some(Event::NodeJoined { .. })));
    scene.pass(Duration::from_secs(300));
    assert_eq!(
        scene.refusal(one.address, &one.register()).code,
        RefusalCode::Cookie,
        "an old cookie is none"
    );
}

#[test]
fn mapped_addresses_are_the_ipv4_addresses_that_they_are() {
    let mut scene = Scene::new();
    let mut one = client(1);
    scene.join(&mut one);
    let IpAddr::V4(ip) = one.address.ip() else { panic!("IPv4") };
    let mapped = SocketAddr::new(ip.to_ipv6_mapped().into(), one.address.port());
    let mut request = Vec::new();
    one.register().encode(Conversation(77), &mut request);
    scene.tracker.handle_datagram(mapped, Some(TRACKER_IP.parse().unwrap()), &request, scene.now);
    let answer = scene.poll(Some(one.address)).0;
    assert!(matches!(answer, Some((_, TrackerToNode::Registered(_)))), "{answer:?}");
}

#[test]
fn an_announcement_said_again_changes_nothing_and_parts_grow() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    assert_eq!(scene.own(&mut one, &[entry(1, "a", 0)]), 1);
    assert_eq!(scene.ask(one.address, &one.own(&[entry(1, "a", 0)])).map(|_| ()), Some(()));
    assert!(!scene.register(&mut one).resync, "the tables agree");
    assert_eq!(scene.owners_of(content(1)), [one.id]);
    let two = scene.joined(2);
    assert_eq!(scene.owners(&two, 1).owners[0].permille.value(), 0);
    one.digest.toggle(&entry(1, "a", 0));
    one.count = 0;
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    assert_eq!(scene.owners(&two, 1).owners[0].permille.value(), 1000);
    assert!(!scene.register(&mut one).resync);
    let announced =
        scene.events.iter().filter(|event| matches!(event, Event::ContentAnnounced { .. })).count();
    let completed =
        scene.events.iter().filter(|event| matches!(event, Event::ContentCompleted { .. })).count();
    assert_eq!((announced, completed), (1, 1));
}

#[test]
fn a_withdrawn_content_is_gone_and_may_be_withdrawn_again() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.own(&mut one, &[entry(1, "a", 1000), entry(2, "b", 1000)]);
    let withdrawal = OwnEntry { withdrawn: true, ..entry(1, "a", 1000) };
    for _ in 0..2 {
        let Some(TrackerToNode::Owned(owned)) =
            scene.ask(one.address, &one.own(std::slice::from_ref(&withdrawal)))
        else {
            panic!("not owned")
        };
        assert_eq!(owned.accepted, 1);
    }
    one.digest.toggle(&entry(1, "a", 1000));
    one.count -= 1;
    assert!(!scene.register(&mut one).resync);
    assert_eq!(scene.tracker.contents(), 1);
    assert_eq!(scene.need(&one, Query::Content(content(1))), UNKNOWN);
}

#[test]
fn what_is_over_the_limit_of_a_node_is_not_taken() {
    let mut scene = Scene::with(|settings| settings.limits.max_contents_per_node = 2);
    let mut one = scene.joined(1);
    assert_eq!(scene.own(&mut one, &[entry(1, "a", 0), entry(2, "b", 0), entry(3, "c", 0)]), 2);
    assert!(!scene.register(&mut one).resync, "a node that counts what was accepted is in step");
    assert_eq!(scene.tracker.contents(), 2);
}

#[test]
fn full_tables_refuse_and_say_when_to_come_again() {
    let mut scene = Scene::with(|settings| {
        settings.limits.max_contents = 1;
        settings.limits.max_nodes = 2;
    });
    let mut one = scene.joined(1);
    assert_eq!(scene.own(&mut one, &[entry(1, "a", 0), entry(2, "b", 0)]), 1);
    let refused = scene.refusal(one.address, &one.own(&[entry(2, "b", 0)]));
    assert_eq!((refused.code, refused.retry_after_ms), (RefusalCode::Full, 20_000));
    scene.joined(2);
    let mut three = client(3);
    scene.prove(&mut three);
    assert_eq!(scene.refusal(three.address, &three.register()).code, RefusalCode::Full);
    assert_eq!(scene.tracker.nodes(), 2);
    assert_eq!(scene.counters().refused.full, 2);
}

#[test]
fn one_address_has_only_so_many_nodes_and_loopback_any() {
    let mut scene = Scene::with(|settings| settings.limits.max_nodes_per_address = 3);
    for number in 0..3 {
        scene.join(&mut client_at(number, SocketAddr::from(([10, 0, 0, 1], 7000 + number))));
    }
    let mut fourth = client_at(3, SocketAddr::from(([10, 0, 0, 1], 7003)));
    scene.prove(&mut fourth);
    assert_eq!(scene.refusal(fourth.address, &fourth.register()).code, RefusalCode::Full);
    for number in 10..20 {
        scene.join(&mut client_at(number, SocketAddr::from(([127, 0, 0, 1], 7000 + number))));
    }
    assert_eq!(scene.tracker.nodes(), 13);
}

#[test]
fn a_stranger_cannot_speak_for_a_node() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    let mut stranger = client_at(1, client(2).address);
    scene.prove(&mut stranger);
    let withdrawal = OwnEntry { withdrawn: true, ..entry(1, "a", 1000) };
    for request in [
        stranger.own(&[withdrawal]),
        stranger.own(&[entry(2, "b", 0)]),
        stranger.exit(),
        stranger.update(1, 1, &[]),
    ] {
        assert_eq!(scene.refusal(stranger.address, &request).code, RefusalCode::NotRegistered);
    }
    let unknown = Client { id: id(9), ..stranger };
    assert_eq!(
        scene.refusal(unknown.address, &unknown.own(&[entry(2, "b", 0)])).code,
        RefusalCode::NotRegistered
    );
    assert_eq!(scene.owners_of(content(1)), [one.id]);
    assert_eq!((scene.tracker.nodes(), scene.tracker.contents()), (1, 1));
}

#[test]
fn a_restarted_tracker_is_rebuilt_by_its_nodes() {
    let mut scene = Scene::new();
    let entries = [entry(1, "a", 1000), entry(2, "b", 300)];
    let mut one = scene.joined(1);
    let before = scene.register(&mut one).tracker_epoch;
    scene.own(&mut one, &entries);
    scene.restart();
    assert_eq!(scene.refusal(one.address, &one.own(&entries)).code, RefusalCode::Cookie);
    let registered = scene.join(&mut one);
    assert!(registered.resync);
    assert_ne!(registered.tracker_epoch, before);
    assert!(scene.register(&mut one).resync, "until it has said them");
    one.count = 0;
    one.digest = OwnDigest(0);
    scene.own(&mut one, &entries);
    assert!(!scene.register(&mut one).resync);
    assert_eq!(scene.tracker.contents(), 2);
}

#[test]
fn what_a_node_does_not_say_again_is_forgotten_at_a_later_heartbeat() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.own(&mut one, &[entry(1, "a", 1000), entry(2, "b", 1000)]);
    // The node withdrew the second; the tracker never heard of it.
    one.digest.toggle(&entry(2, "b", 1000));
    one.count = 1;
    assert!(scene.register(&mut one).resync);
    scene.ask(one.address, &one.own(&[entry(1, "a", 1000)]));
    scene.pass(SECOND);
    assert!(scene.register(&mut one).resync, "a repeated REGISTER ends no round");
    assert_eq!(scene.tracker.contents(), 2);
    scene.pass(Duration::from_secs(20));
    assert!(!scene.register(&mut one).resync);
    assert_eq!(scene.tracker.contents(), 1);
}

#[test]
fn a_node_that_is_still_saying_its_contents_loses_none_of_them() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    let entries = [entry(1, "a", 1000), entry(2, "b", 1000), entry(3, "c", 1000)];
    scene.own(&mut one, &entries);
    let told = one.digest;
    // It begins anew, and has much to say.
    (one.count, one.digest) = (1, OwnDigest(7));
    assert!(scene.register(&mut one).resync);
    for (number, entry) in entries.iter().enumerate() {
        scene.pass(Duration::from_secs(15));
        scene.ask(one.address, &one.own(std::slice::from_ref(entry)));
        scene.pass(Duration::from_secs(5));
        (one.count, one.digest) = (number as u32 + 1, OwnDigest(7 * number as u64));
        if number == 2 {
            one.digest = told;
        }
        assert_eq!(scene.register(&mut one).resync, number < 2);
        assert_eq!(scene.tracker.contents(), 3, "none is taken for outdated");
    }
}

#[test]
fn a_new_life_at_the_same_address_owns_what_it_says() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    let mut same = Client { epoch: BootEpoch(2), ..one.clone() };
    assert!(!scene.register(&mut same).resync, "it names the same contents");
    assert_eq!(scene.tracker.contents(), 1);
    let mut empty = Client { epoch: BootEpoch(3), count: 0, digest: OwnDigest(0), ..one.clone() };
    assert!(!scene.register(&mut empty).resync);
    assert_eq!(scene.tracker.contents(), 0);
    assert!(matches!(scene.events.last(), Some(Event::ContentWithdrawn { .. } | Event::NodeReturned { .. })));
    assert_eq!(
        scene.refusal(one.address, &one.register()).code,
        RefusalCode::IdInUse,
        "the old life is over"
    );
}
