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

#[test]
fn another_port_of_the_same_host_takes_over_at_once() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    let moved_to = SocketAddr::new(one.address.ip(), 7001);
    let mut moved = Client { address: moved_to, ..one.clone() };
    scene.prove(&mut moved);
    assert!(!scene.register(&mut moved).resync, "the same life keeps its contents");
    assert_eq!(scene.tracker.address_of(one.id), Some(moved_to));
    assert_eq!(scene.refusal(one.address, &one.own(&[])).code, RefusalCode::NotRegistered);
    let mut newer = Client { epoch: BootEpoch(2), count: 0, digest: OwnDigest(0), ..one };
    scene.register(&mut newer);
    assert_eq!(scene.tracker.address_of(newer.id), Some(newer.address));
    assert_eq!(scene.tracker.contents(), 0);
    assert_eq!(scene.refusal(moved.address, &moved.register()).code, RefusalCode::IdInUse, "an older life");
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
