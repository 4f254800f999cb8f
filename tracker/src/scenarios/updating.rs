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
    let update = three.update(1, 1, &[(one.id, 40 * MIB)]);
    for _ in 0..3 {
        match scene.ask(three.address, &update) {
            Some(TrackerToNode::Updated(updated)) => assert_eq!(updated.sequence, 1),
            other => panic!("{other:?}"),
        }
    }
    let once = rate(&scene, &one);
    assert!(once > MIB * 2 / 5, "{once}");
    assert_eq!((scene.counters().updates, scene.counters().repeated_updates), (3, 2));
    scene.ask(three.address, &three.update(2, 1, &[(one.id, 40 * MIB)]));
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
    scene.ask(three.address, &three.update(5, 1, &[(one.id, 40 * MIB)]));
    let once = rate(&scene, &one);
    let mut newer = Client { epoch: BootEpoch(2), ..three };
    scene.register(&mut newer);
    scene.ask(newer.address, &newer.update(1, 1, &[(one.id, 40 * MIB)]));
    assert!(rate(&scene, &one) > once);
}

/// A hundred honest owners, each of which another host has praised so much, or nobody.
fn honest_owners(scene: &mut Scene, credit: u64) {
    for number in 0..100 {
        let mut one = scene.joined(number);
        scene.own(&mut one, &[entry(1, "a", 1000)]);
        let praiser = scene.joined(200 + number);
        scene.ask(praiser.address, &praiser.update(1, 1, &[(one.id, credit)]));
    }
}

/// The `praisers` say 300 times in half a minute as loudly as they can that they have it all from the `liars`: how many
/// in a hundred first places are the liars' then.
fn first_places_after(scene: &mut Scene, praisers: &[Client], liars: &[NodeId]) -> usize {
    let lies: Vec<(NodeId, u64)> = liars.iter().map(|&liar| (liar, (1 << 30) / liars.len() as u64)).collect();
    for (round, one) in (0..300).zip(praisers.iter().cycle()) {
        scene.ask(one.address, &one.update(1 + round, 1, &lies));
        scene.pass(Duration::from_millis(100));
    }
    let asker = scene.joined(999);
    let firsts: Vec<NodeId> = (0..1000).map(|_| scene.owners(&asker, 1).owners[0].node).collect();
    firsts.iter().filter(|first| liars.contains(first)).count() / 10
}

/// Nodes of `hosts` hosts, as many on each.
fn nodes_at(scene: &mut Scene, hosts: u16, nodes: u16) -> Vec<Client> {
    (0..nodes)
        .map(|number| {
            let address = SocketAddr::from(([10, 9, 9, (number % hosts) as u8], 7000 + number));
            let mut one = client_at(1000 + number, address);
            scene.join(&mut one);
            one
        })
        .collect()
}

#[test]
fn one_host_that_praises_liars_gives_them_at_most_a_quarter_of_the_first_places() {
    for (liars, reporters) in [(1, 1), (2, 1), (3, 1), (20, 1), (20, 100)] {
        for honest_credit in [0, 100 * MIB] {
            let mut scene = Scene::new();
            honest_owners(&mut scene, honest_credit);
            let liars: Vec<NodeId> = (100..100 + liars)
                .map(|number| {
                    let mut one = scene.joined(number);
                    scene.own(&mut one, &[entry(1, "a", 1000)]);
                    one.id
                })
                .collect();
            let praisers = nodes_at(&mut scene, 1, reporters);
            let share = first_places_after(&mut scene, &praisers, &liars);
            let who = (liars.len(), reporters, honest_credit);
            assert!(share <= 25, "{share} in a hundred: {who:?}");
        }
    }
}

/// Hosts that praise each other's nodes are not told from such as serve each other, and each counts: among a hundred
/// honest owners of whom nobody has said anything yet three hosts have a third of the first places and ten have two
/// fifths, however many nodes they run; among such as others have praised an eighth.
#[test]
fn a_ring_of_hosts_that_praise_each_other_does_not_take_all_first_places() {
    for (hosts, nodes) in [(3, 3), (3, 20), (10, 10), (10, 20)] {
        for honest_credit in [0, 100 * MIB] {
            let mut scene = Scene::new();
            honest_owners(&mut scene, honest_credit);
            let mut ring = nodes_at(&mut scene, hosts, nodes);
            for one in &mut ring {
                scene.own(one, &[entry(1, "a", 1000)]);
            }
            let liars: Vec<NodeId> = ring.iter().map(|one| one.id).collect();
            let share = first_places_after(&mut scene, &ring, &liars);
            let most = match (honest_credit, hosts) {
                (0, 3) => 38,
                (0, _) => 47,
                _ => 20,
            };
            assert!(share <= most, "{share} in a hundred: {hosts} hosts, {nodes} nodes, {honest_credit}");
        }
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
