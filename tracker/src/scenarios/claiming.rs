//! One id, two addresses: who may have it, and how the other is asked.

use super::*;

fn pings(scene: &mut Scene, holder: &Client) -> Vec<u64> {
    let sent = std::mem::take(&mut scene.elsewhere);
    sent.into_iter()
        .map(|(to, message)| match message {
            TrackerToNode::TrackerPing(ping) if to == holder.address => ping.nonce,
            other => panic!("{other:?} to {to}"),
        })
        .collect()
}

/// Claims an id at another port of its host while the old one is silent; how long that takes.
fn comes_back_in(scene: &mut Scene, client: &mut Client) -> (Registered, Duration) {
    let start = scene.now;
    scene.prove(client);
    loop {
        match scene.ask(client.address, &client.register()) {
            Some(TrackerToNode::Registered(registered)) => return (registered, scene.now.since(start)),
            Some(TrackerToNode::Refused(refused)) => {
                assert_eq!(refused.code, RefusalCode::IdInUse);
                scene.pass(Duration::from_millis(refused.retry_after_ms.into()));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A NAT has given a node another port: nothing comes through the old one.
#[test]
fn the_same_life_moves_to_another_port_of_its_host_after_a_second() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    let mut two = scene.joined(2);
    scene.own(&mut two, &[entry(1, "a", 1000)]);
    scene.ask(two.address, &two.update(1, 1, &[(one.id, 1 << 20)]));
    let rate = scene.tracker.upload_rate(one.id, scene.now);
    for port in [7001, 7002] {
        let mut moved = Client { address: SocketAddr::new(one.address.ip(), port), ..one.clone() };
        let (registered, after) = comes_back_in(&mut scene, &mut moved);
        assert!(!registered.resync, "the same life keeps its contents");
        assert_eq!(after, SECOND, "and is not held up by the time before");
        assert_eq!(scene.tracker.address_of(one.id), Some(moved.address));
        assert_eq!(scene.refusal(one.address, &one.own(&[])).code, RefusalCode::NotRegistered);
    }
    assert!(scene.tracker.upload_rate(one.id, scene.now) > rate / 2, "and its merit");
    let moves = scene.events.iter().filter(|event| matches!(event, Event::NodeMoved { .. })).count();
    assert_eq!(moves, 2);
}

/// A node that was killed is started again, at the same port or at another one.
#[test]
fn a_restarted_node_is_back_at_once_at_its_port_and_after_a_second_at_another() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    for (port, epoch, expected) in [(7000, 2, Duration::ZERO), (7001, 3, SECOND), (7001, 4, Duration::ZERO)] {
        scene.own(&mut one, &[entry(1, "a", 1000)]);
        let address = SocketAddr::new(one.address.ip(), port);
        one = Client { address, epoch: BootEpoch(epoch), ..client_at(1, address) };
        let (registered, after) = comes_back_in(&mut scene, &mut one);
        assert_eq!((registered.resync, after), (false, expected), "{port}");
        one.cookie = registered.cookie;
        assert_eq!(scene.tracker.address_of(one.id), Some(address));
        assert_eq!(scene.tracker.contents(), 0, "the new life has said nothing yet");
    }
    assert!(!scene.events.iter().any(|event| matches!(event, Event::NodeTakenOver { .. })));
    let older = Client { epoch: BootEpoch(3), ..one.clone() };
    assert_eq!(scene.refusal(one.address, &older.register()).code, RefusalCode::IdInUse, "an older life");
}

/// Nobody plants a life that no other can follow: what no clock can say is earlier than all else.
#[test]
fn an_epoch_far_ahead_of_the_clock_is_the_earliest_of_all() {
    const TODAY: u64 = 1_800_000_000_000;
    const DAY: u64 = 24 * 3600 * 1000;
    let mut scene = Scene::new();
    scene.tracker = Tracker::new(TrackerSettings::default(), [3; 32], 42, scene.now).with_wall_clock(TODAY);
    let mut planted = Client { epoch: BootEpoch(u64::MAX), ..client(1) };
    scene.join(&mut planted);
    // At the very address: a clock that is right begins a new life, and then one that is a day ahead.
    let mut one = planted.clone();
    for epoch in [TODAY, TODAY + DAY] {
        one.epoch = BootEpoch(epoch);
        scene.register(&mut one);
    }
    for epoch in [u64::MAX, TODAY + 2 * DAY] {
        let late = Client { epoch: BootEpoch(epoch), ..one.clone() };
        assert_eq!(scene.refusal(one.address, &late.register()).code, RefusalCode::IdInUse);
        assert!(matches!(scene.ask(one.address, &late.exit()), Some(TrackerToNode::Goodbye(_))));
        assert_eq!(scene.tracker.nodes(), 1, "nor does it end what it is earlier than");
    }
    assert!(!scene.register(&mut one).resync);
}

#[test]
fn a_holder_that_answers_its_ping_keeps_the_id() {
    let mut scene = Scene::new();
    let one = scene.joined(1);
    let mut claimant = Client { epoch: BootEpoch(9), ..client_at(1, client(2).address) };
    scene.prove(&mut claimant);
    let refused = scene.refusal(claimant.address, &claimant.register());
    assert_eq!((refused.code, refused.retry_after_ms), (RefusalCode::IdInUse, 1000));
    let nonces = pings(&mut scene, &one);
    assert_eq!(nonces.len(), 1);
    // Somebody who does not receive at the holder's address cannot answer for it.
    let forged = TrackerPong { nonce: nonces[0] }.into();
    assert_eq!(scene.ask(claimant.address, &forged), None);
    assert_eq!(scene.ask(one.address, &TrackerPong { nonce: nonces[0] ^ 1 }.into()), None);
    assert_eq!(scene.counters().stray_pongs, 2);
    assert_eq!(scene.ask(one.address, &forged), None);
    scene.pass(Duration::from_secs(2));
    assert_eq!(pings(&mut scene, &one), [], "it has answered");
    let refused = scene.refusal(claimant.address, &claimant.register());
    assert_eq!((refused.code, refused.retry_after_ms), (RefusalCode::IdInUse, 18_000));
    assert_eq!(scene.tracker.address_of(one.id), Some(one.address));
}

#[test]
fn a_heartbeat_is_an_answer_too() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    let mut claimant = client_at(1, client(2).address);
    scene.prove(&mut claimant);
    scene.refusal(claimant.address, &claimant.register());
    scene.register(&mut one);
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.refusal(claimant.address, &claimant.register()).code, RefusalCode::IdInUse);
}

#[test]
fn a_silent_holder_loses_the_id_after_a_second_and_three_pings() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    let mut claimant = Client { epoch: BootEpoch(2), ..client_at(1, client(2).address) };
    scene.prove(&mut claimant);
    scene.refusal(claimant.address, &claimant.register());
    let mut woken = 0;
    loop {
        let wait = scene.pass(Duration::ZERO);
        if wait.reason != WaitReason::PingAgain {
            break;
        }
        scene.now = wait.until;
        woken += 1;
        scene.poll(None);
    }
    assert_eq!(woken, 2);
    let nonces = pings(&mut scene, &one);
    assert_eq!(nonces.len(), 3);
    assert!(nonces.iter().all(|&nonce| nonce == nonces[0]));
    scene.pass(Duration::from_millis(100));
    let early = scene.refusal(claimant.address, &claimant.register());
    assert!(early.retry_after_ms > 0 && early.retry_after_ms < 300, "{early:?}");
    scene.pass(Duration::from_millis(u64::from(early.retry_after_ms)));
    scene.register(&mut claimant);
    assert_eq!(scene.tracker.address_of(one.id), Some(claimant.address));
    assert!(scene.events.iter().any(|event| matches!(event, Event::NodeTakenOver { .. })));
    assert_eq!(scene.tracker.contents(), 0, "the new life has said nothing yet");
    assert_eq!(scene.tracker.nodes(), 1);
}

#[test]
fn the_end_of_the_lease_frees_the_id_too() {
    let mut scene = Scene::with(|settings| settings.takeover_ping = Duration::from_secs(60));
    let one = scene.joined(1);
    scene.pass(Duration::from_secs(50));
    let mut claimant = client_at(1, client(2).address);
    scene.prove(&mut claimant);
    let refused = scene.refusal(claimant.address, &claimant.register());
    assert_eq!(refused.retry_after_ms, 10_000, "the lease ends before the patience does");
    scene.pass(Duration::from_secs(10));
    scene.register(&mut claimant);
    assert_eq!(scene.tracker.address_of(one.id), Some(claimant.address));
}

/// Whoever shares an address with a node, as a second user of its host or behind the same NAT, can call its life older
/// than his; he takes nothing from one that is there.
#[test]
fn a_later_life_at_another_port_takes_nothing_from_a_holder_that_answers() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    let thief_at = SocketAddr::new(one.address.ip(), 7001);
    let mut taken = 0;
    for epoch in [u64::MAX, 2, 1, 0] {
        let mut thief = Client { epoch: BootEpoch(epoch), ..client_at(1, thief_at) };
        scene.prove(&mut thief);
        for _ in 0..15 {
            taken += usize::from(matches!(
                scene.ask(thief.address, &thief.register()),
                Some(TrackerToNode::Registered(_))
            ));
            for nonce in pings(&mut scene, &one) {
                assert_eq!(scene.ask(one.address, &TrackerPong { nonce }.into()), None);
            }
            let announced = scene.ask(thief.address, &thief.own(&[entry(2, "b", 1000)]));
            assert!(matches!(announced, Some(TrackerToNode::Refused(_))), "{announced:?}");
            scene.pass(Duration::from_secs(1));
        }
        scene.register(&mut one);
    }
    assert_eq!((taken, scene.tracker.address_of(one.id)), (0, Some(one.address)));
    assert_eq!(scene.owners_of(content(1)), [one.id]);
}
