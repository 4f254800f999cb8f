//! UPDATE: what downloaders confirm counts once, for others, for a while.

use super::*;

const MIB: u64 = 1 << 20;

/// Two owners and a downloader.
fn swarm(scene: &mut Scene) -> (Client, Client, Client) {
    let (mut one, mut two, mut three) = (scene.joined(1), scene.joined(2), scene.joined(3));
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    scene.own(&mut two, &[entry(1, "a", 1000)]);
    scene.own(&mut three, &[entry(1, "a", 0)]);
    (one, two, three)
}

fn rate(scene: &Scene, client: &Client) -> u64 {
    scene.tracker.upload_rate(client.id, scene.now)
}

#[test]
fn an_update_counts_once() {
    let mut scene = Scene::new();
    let (one, _, three) = swarm(&mut scene);
    let update = three.update(1, 1, &[(one.id, 100 * MIB)]);
    for _ in 0..3 {
        match scene.ask(three.address, &update) {
            Some(TrackerToNode::Updated(updated)) => assert_eq!(updated.sequence, 1),
            other => panic!("{other:?}"),
        }
    }
    let once = rate(&scene, &one);
    assert!(once > MIB, "{once}");
    assert_eq!((scene.counters().updates, scene.counters().repeated_updates), (3, 2));
    scene.ask(three.address, &three.update(2, 1, &[(one.id, 100 * MIB)]));
    assert!(rate(&scene, &one).abs_diff(2 * once) <= 2);
}

#[test]
fn it_fades() {
    let mut scene = Scene::new();
    let (one, _, three) = swarm(&mut scene);
    scene.ask(three.address, &three.update(1, 1, &[(one.id, 100 * MIB)]));
    let at_first = rate(&scene, &one);
    let later = scene.now + Duration::from_secs(60);
    assert!(scene.tracker.upload_rate(one.id, later).abs_diff(at_first / 2) <= 2, "half a window's worth");
    let much_later = scene.now + Duration::from_secs(3600);
    assert_eq!(scene.tracker.upload_rate(one.id, much_later), 0);
}

#[test]
fn nobody_credits_itself_nor_a_node_that_has_none_of_it_nor_more_than_there_is() {
    let mut scene = Scene::new();
    let (one, two, three) = swarm(&mut scene);
    let bystander = scene.joined(4);
    let length = 1 << 30;
    let credits = [
        (three.id, length),
        (bystander.id, length),
        (id(99), length),
        (one.id, length / 2),
        (two.id, length),
    ];
    scene.ask(three.address, &three.update(1, 1, &credits));
    assert_eq!((rate(&scene, &three), rate(&scene, &bystander)), (0, 0));
    assert!(rate(&scene, &one) > 0);
    assert!(
        rate(&scene, &one).abs_diff(rate(&scene, &two)) <= 1,
        "the second half is all that was left to credit"
    );
    scene.ask(three.address, &three.update(2, 9, &[(one.id, u64::MAX)]));
    assert!(rate(&scene, &one).abs_diff(rate(&scene, &two)) <= 1, "an unknown content counts nothing");
}

#[test]
fn the_fastest_owner_is_named_first_most_often_but_not_always() {
    let mut scene = Scene::with(|settings| settings.ranking.newcomer_share_percent = 0);
    let (_, two, three) = swarm(&mut scene);
    for number in 10..20 {
        let mut more = scene.joined(number);
        scene.own(&mut more, &[entry(1, "a", 1000)]);
    }
    scene.ask(three.address, &three.update(1, 1, &[(two.id, 30 * MIB)]));
    let firsts: Vec<NodeId> = (0..100).map(|_| scene.owners(&three, 1).owners[0].node).collect();
    assert_eq!(firsts[0], two.id);
    let fastest = firsts.iter().filter(|&&node| node == two.id).count();
    // Eleven equal owners would be first nine times each.
    assert!((20..80).contains(&fastest), "{fastest}");
}

#[test]
fn a_new_life_counts_its_updates_from_one() {
    let mut scene = Scene::new();
    let (one, _, three) = swarm(&mut scene);
    scene.ask(three.address, &three.update(5, 1, &[(one.id, 100 * MIB)]));
    let once = rate(&scene, &one);
    let mut newer = Client { epoch: BootEpoch(2), ..three };
    scene.register(&mut newer);
    scene.ask(newer.address, &newer.update(1, 1, &[(one.id, 100 * MIB)]));
    assert!(rate(&scene, &one) > once);
}

/// Twenty liars that a colluder at one host praises as loudly as it can, among a hundred honest owners that as many hosts
/// have praised or nobody: how many in a hundred first places are the liars'.
fn first_places_of_liars(honest_credit: u64, reporters: u16) -> usize {
    let mut scene = Scene::new();
    let mut owner = |number| {
        let mut one = scene.joined(number);
        scene.own(&mut one, &[entry(1, "a", 1000)]);
        one.id
    };
    let honest: Vec<NodeId> = (0..100).map(&mut owner).collect();
    let liars: Vec<NodeId> = (100..120).map(&mut owner).collect();
    for (number, &owner) in (200..).zip(&honest) {
        let one = scene.joined(number);
        scene.ask(one.address, &one.update(1, 1, &[(owner, honest_credit)]));
    }
    let colluders: Vec<Client> = (0..reporters)
        .map(|port| {
            let mut one = client_at(1000 + port, SocketAddr::from(([10, 9, 9, 9], 7000 + port)));
            scene.join(&mut one);
            one
        })
        .collect();
    let lies: Vec<(NodeId, u64)> = liars.iter().map(|&liar| (liar, (1 << 30) / 20)).collect();
    for (round, one) in (0..300).zip(colluders.iter().cycle()) {
        scene.ask(one.address, &one.update(1 + round, 1, &lies));
        scene.pass(Duration::from_millis(100));
    }
    let asker = scene.joined(999);
    let firsts: Vec<NodeId> = (0..1000).map(|_| scene.owners(&asker, 1).owners[0].node).collect();
    firsts.iter().filter(|first| liars.contains(first)).count() / 10
}

#[test]
fn one_host_that_praises_liars_gives_them_at_most_a_quarter_of_the_first_places() {
    for reporters in [1, 100] {
        let among_unknown = first_places_of_liars(0, reporters);
        let among_praised = first_places_of_liars(100 * MIB, reporters);
        assert!(among_unknown <= 25, "{among_unknown} in a hundred, {reporters} reporters");
        assert!(among_praised <= 25, "{among_praised} in a hundred, {reporters} reporters");
    }
}

#[test]
fn nodes_of_one_host_do_not_credit_each_other_and_those_at_loopback_do() {
    for (ip, counts) in [([10, 9, 9, 9], false), ([127, 0, 0, 1], true)] {
        let mut scene = Scene::new();
        let (mut one, mut two) = (client_at(1, (ip, 7001).into()), client_at(2, (ip, 7002).into()));
        scene.join(&mut one);
        scene.join(&mut two);
        scene.own(&mut one, &[entry(1, "a", 1000)]);
        scene.ask(two.address, &two.update(1, 1, &[(one.id, MIB)]));
        assert_eq!(rate(&scene, &one) > 0, counts, "{ip:?}");
    }
}
