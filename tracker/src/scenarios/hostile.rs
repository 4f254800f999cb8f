//! Strangers: reflection, floods, random bytes, and what they leave behind, which is nothing.

use proptest::prelude::*;

use super::*;

fn bytes_of(message: &NodeToTracker) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(Conversation(1), &mut bytes);
    bytes
}

fn every_request(client: &Client) -> Vec<NodeToTracker> {
    vec![
        client.register(),
        client.own(&[]),
        client.own(&[entry(1, "a", 0)]),
        client.need(Query::Content(content(1))),
        client.need(Query::Name(Name::new("a").unwrap())),
        client.need(Query::Search { prefix: Prefix::default(), after: None }),
        client.update(1, 1, &[]),
        client.exit(),
        TrackerPong { nonce: 1 }.into(),
    ]
}

/// A tracker with something to tell.
fn rich() -> Scene {
    let mut scene = Scene::new();
    for number in 0..25 {
        let mut one = scene.joined(number);
        scene.own(&mut one, &[entry(1, "a", 1000), entry(2 + number, "a", 1000)]);
    }
    scene
}

#[test]
fn an_unproven_address_gets_no_more_bytes_than_it_sent_for_any_request() {
    let mut scene = rich();
    let victim = client(999);
    let wrong = Cookie::from_bytes([5; 16]);
    for victim in [victim.clone(), Client { cookie: wrong, ..victim }] {
        for request in every_request(&victim) {
            let request = bytes_of(&request);
            scene.tracker.handle_datagram(
                victim.address,
                Some(TRACKER_IP.parse().unwrap()),
                &request,
                scene.now,
            );
            scene.out.clear();
            scene.tracker.poll(scene.now, &mut scene.out);
            assert!(
                scene.out.bytes.len() <= request.len(),
                "{} for {}",
                scene.out.bytes.len(),
                request.len()
            );
            assert!(scene.out.datagrams.iter().all(|outgoing| outgoing.to == victim.address));
        }
    }
    assert_eq!(scene.tracker.nodes(), 25);
    assert_eq!(scene.tracker.contents(), 26);
}

#[test]
fn cookies_of_another_life_or_of_others_are_worth_nothing_and_cost_one_more_round_trip() {
    let mut scene = Scene::new();
    let mut all: Vec<Client> = (0..1000).map(|number| scene.joined(number)).collect();
    let one = entry(1, "a", 1000);
    scene.own(&mut all[0], std::slice::from_ref(&one));
    scene.restart();
    let cookies: Vec<Cookie> = all.iter().map(|client| client.cookie).collect();
    for shift in [0, 1] {
        for (number, client) in all.iter().enumerate() {
            let cookie = cookies[(number + shift) % cookies.len()];
            let client = Client { cookie, ..client.clone() };
            for request in every_request(&client) {
                let came = bytes_of(&request).len();
                let answer = scene.ask(client.address, &request);
                let mut went = Vec::new();
                answer.iter().for_each(|answer| answer.encode(Conversation(77), &mut went));
                assert!(went.len() <= came, "{answer:?} for {request:?}");
            }
        }
    }
    assert!(scene.elsewhere.is_empty(), "nobody else is told");
    assert_eq!((scene.tracker.nodes(), scene.tracker.contents()), (0, 0), "nothing is kept");
    // Who means it takes the new cookie from the refusal, and is back with what it has.
    let refused = scene.refusal(all[0].address, &all[0].register());
    assert_eq!(refused.code, RefusalCode::Cookie);
    all[0].cookie = refused.cookie;
    let mut back = all[0].clone();
    scene.register(&mut back);
    (back.digest, back.count) = (OwnDigest(0), 0);
    assert_eq!(scene.own(&mut back, &[one]), 1);
    assert_eq!(scene.tracker.nodes(), 1);
}

#[test]
fn too_many_requests_are_refused_until_the_time_that_is_told() {
    let mut scene = Scene::with(|settings| {
        settings.limits.requests_per_second = 10;
        settings.limits.request_burst = 5;
    });
    let mut one = client(1);
    scene.prove(&mut one);
    let need = one.need(Query::Content(content(1)));
    for _ in 0..5 {
        assert_eq!(scene.need(&one, Query::Content(content(1))), UNKNOWN);
    }
    let refused = scene.refusal(one.address, &need);
    assert_eq!((refused.code, refused.retry_after_ms), (RefusalCode::TooFast, 100));
    assert_eq!(refused.cookie, Cookie::NONE);
    scene.pass(Duration::from_millis(100));
    assert_eq!(scene.need(&one, Query::Content(content(1))), UNKNOWN);
    assert_eq!(scene.counters().refused.too_fast, 1);
    let mut local = client_at(2, "127.0.0.1:9".parse().unwrap());
    scene.prove(&mut local);
    for _ in 0..50 {
        assert_eq!(scene.need(&local, Query::Content(content(1))), UNKNOWN, "loopback is exempt");
    }
}

#[test]
fn the_defaults_let_one_address_ask_for_a_thousand_small_files_at_three_hundred_a_second() {
    let mut scene = Scene::new();
    let mut one = client(1);
    scene.prove(&mut one);
    for number in 0..1000 {
        // NEED, OWN, UPDATE and OWN again for each.
        for _ in 0..4 {
            assert_eq!(scene.need(&one, Query::Content(content(number))), UNKNOWN);
        }
        scene.now += Duration::from_micros(3333);
    }
    assert_eq!(scene.counters().refused.too_fast, 0);
}

#[test]
fn what_is_not_for_a_tracker_is_counted_and_not_answered() {
    let mut scene = Scene::new();
    let from = client(1).address;
    let mut answer = Vec::new();
    TrackerToNode::from(messages::tracker_to_node::Goodbye).encode(Conversation(1), &mut answer);
    scene.tracker.handle_datagram(from, None, &answer, scene.now);
    scene.tracker.handle_datagram(from, None, b"GET / HTTP/1.0", scene.now);
    let nowhere = SocketAddr::new(from.ip(), 0);
    scene.tracker.handle_datagram(nowhere, None, &bytes_of(&client(1).register()), scene.now);
    scene.poll(None);
    assert!(scene.elsewhere.is_empty());
    let Counters { datagrams, undecodable, misdirected, unanswerable, .. } = scene.counters();
    assert_eq!((datagrams, undecodable, misdirected, unanswerable), (3, 1, 1, 1));
    assert_eq!(scene.events.len(), 2);
}

/// Every request that a node said, captured on its way, and what the tables say of it.
#[test]
fn captured_requests_said_again_change_nothing() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    let first = one.register();
    let mut two = scene.joined(2);
    scene.own(&mut two, &[entry(1, "a", 1000), entry(2, "b", 1000)]);
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    let captured = [
        first,
        one.register(),
        one.own(&[entry(1, "a", 1000)]),
        one.update(1, 1, &[(two.id, 1 << 20)]),
        one.exit(),
    ];
    scene.ask(one.address, &captured[3]);
    let rate = scene.tracker.upload_rate(two.id, scene.now);

    // From another address the cookie is worth nothing.
    let thief = client(66).address;
    for request in &captured {
        assert_eq!(scene.refusal(thief, request).code, RefusalCode::Cookie);
    }
    assert_eq!(scene.counters().refused.cookie, 2 + 5);

    // From the same address in the same life: nothing that is not so already.
    for request in &captured[..4] {
        scene.ask(one.address, request);
        assert_eq!(scene.owners_of(content(1)), [one.id, two.id], "{request:?}");
    }
    assert_eq!(scene.counters().repeated_updates, 1);
    assert_eq!(scene.tracker.upload_rate(two.id, scene.now), rate);
    assert!(!scene.register(&mut one).resync, "nor has it to say anything again");

    // After a new life began: the old one registers no more and ends nothing.
    let mut newer = Client { epoch: BootEpoch(2), ..one.clone() };
    scene.register(&mut newer);
    assert_eq!(scene.refusal(one.address, &captured[0]).code, RefusalCode::IdInUse);
    assert_eq!(scene.refusal(one.address, &captured[1]).code, RefusalCode::IdInUse);
    scene.ask(one.address, &captured[2]);
    scene.ask(one.address, &captured[4]);
    assert_eq!(scene.owners_of(content(1)), [one.id, two.id]);
    assert!(!scene.register(&mut newer).resync);

    // And when cookies have expired, nothing at all.
    scene.pass(Duration::from_secs(50));
    for _ in 0..5 {
        scene.pass(Duration::from_secs(50));
        scene.register(&mut newer);
    }
    for request in &captured {
        assert_eq!(scene.refusal(one.address, request).code, RefusalCode::Cookie);
    }
}

/// A withdrawal or an announcement that comes late is found out by the next heartbeats, and undone.
#[test]
fn what_a_late_own_did_is_undone_by_the_next_heartbeats() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    let late = one.own(&[entry(2, "b", 1000)]);
    let gone = one.own(&[OwnEntry { withdrawn: true, ..entry(1, "a", 1000) }]);
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    for request in [late, gone] {
        scene.ask(one.address, &request);
    }
    assert_eq!(scene.owners_of(content(2)), [one.id]);
    for heartbeat in 0..2 {
        scene.pass(Duration::from_secs(20));
        let resync = scene.register(&mut one).resync;
        assert_eq!(resync, heartbeat == 0);
        if resync {
            scene.ask(one.address, &one.own(&[entry(1, "a", 1000)]));
        }
    }
    assert_eq!(scene.owners_of(content(1)), [one.id]);
    assert_eq!(scene.tracker.contents(), 1);
}

#[test]
fn time_that_runs_backwards_does_no_harm() {
    let mut scene = Scene::new();
    let one = scene.joined(1);
    let earlier = Timestamp::ZERO;
    let request = bytes_of(&one.register());
    scene.tracker.handle_datagram(one.address, Some(TRACKER_IP.parse().unwrap()), &request, earlier);
    scene.pass(Duration::from_secs(59));
    assert_eq!(scene.tracker.nodes(), 1);
}

proptest! {
    #[test]
    fn random_bytes_never_panic_and_make_no_state(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..20),
    ) {
        let mut scene = Scene::new();
        let from = client(1).address;
        for datagram in &datagrams {
            scene.tracker.handle_datagram(from, None, datagram, scene.now);
        }
        scene.poll(Some(from));
        prop_assert_eq!((scene.tracker.nodes(), scene.tracker.contents()), (0, 0));
        prop_assert_eq!(scene.counters().datagrams, datagrams.len() as u64);
    }

    #[test]
    fn spoiled_requests_never_panic_nor_get_more_than_they_sent_without_a_cookie(
        which in 0..9_usize, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut scene = rich();
        let stranger = client(999);
        let mut request = bytes_of(&every_request(&stranger)[which]);
        for (at, byte) in flips {
            let at = at.index(request.len());
            request[at] = byte;
        }
        if let Some(cut) = cut {
            request.truncate(cut.index(request.len()));
        }
        scene.tracker.handle_datagram(stranger.address, None, &request, scene.now);
        scene.out.clear();
        scene.tracker.poll(scene.now, &mut scene.out);
        prop_assert!(scene.out.bytes.len() <= request.len());
        prop_assert_eq!((scene.tracker.nodes(), scene.tracker.contents()), (25, 26));
    }

    #[test]
    fn proven_strangers_with_any_requests_keep_the_tables_bounded(
        steps in prop::collection::vec((0..4_u16, 0..9_usize, 0..5_u16, 0..30_000_u64), 1..80),
    ) {
        let mut scene = Scene::with(|settings| {
            settings.limits.max_nodes = 3;
            settings.limits.max_contents = 4;
            settings.limits.max_contents_per_node = 2;
        });
        let mut clients: Vec<Client> = (0..4).map(client).collect();
        for (who, what, number, millis) in steps {
            scene.now += Duration::from_millis(millis);
            let client = &mut clients[usize::from(who)];
            scene.prove(client);
            let request = match what {
                0..4 => client.own(&[entry(number, "x", 10), entry(number + 1, "y", 1000)]),
                other => every_request(client).swap_remove(other),
            };
            scene.ask(client.address, &request);
            if what == 5 {
                scene.ask(client.address, &client.register());
            }
            prop_assert!(scene.tracker.nodes() <= 3);
            prop_assert!(scene.tracker.contents() <= 4);
        }
        scene.pass(Duration::from_secs(61));
        prop_assert_eq!((scene.tracker.nodes(), scene.tracker.contents()), (0, 0), "all is forgotten with its node");
    }
}

#[test]
fn those_at_loopback_fill_half_of_the_table_and_others_still_join() {
    let mut scene = Scene::with(|settings| settings.limits.max_nodes = 100);
    let mut joined = 0;
    for number in 0..200 {
        let mut one = client_at(number, SocketAddr::from(([127, 0, 0, 1], 7000 + number)));
        scene.prove(&mut one);
        match scene.ask(one.address, &one.register()) {
            Some(TrackerToNode::Registered(_)) => joined += 1,
            Some(TrackerToNode::Refused(refused)) => assert_eq!(refused.code, RefusalCode::Full),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(joined, 50);
    for number in 1000..1050 {
        scene.joined(number);
    }
    assert_eq!(scene.tracker.nodes(), 100);
}
