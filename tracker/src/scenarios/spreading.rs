//! A swarm that gathers: newcomers are spread over its owners, find each other, and are never left with only the empty.

use std::collections::BTreeSet;

use super::*;

/// Joins, asks, and owns nothing yet of the content, as a download does; whom it was told of.
fn arrive(scene: &mut Scene, number: u16) -> (Client, Vec<u16>) {
    let mut newcomer = scene.joined(number);
    let told = ask_again(scene, &newcomer);
    scene.own(&mut newcomer, &[entry(1, "a", 0)]);
    (newcomer, told)
}

/// Whom a node is told of; never of itself.
fn ask_again(scene: &mut Scene, client: &Client) -> Vec<u16> {
    let found = scene.owners(client, 1);
    assert!(found.owners.iter().all(|owner| owner.node != client.id), "told of itself");
    let number = |id: NodeId| u16::from_be_bytes([id.as_bytes()[0], id.as_bytes()[1]]);
    found.owners.iter().map(|owner| number(owner.node)).collect()
}

/// Nodes that own all of the content, with the numbers from 0 on.
fn complete(scene: &mut Scene, count: u16) -> Vec<Client> {
    let one = |number| {
        let mut one = scene.joined(number);
        scene.own(&mut one, &[entry(1, "a", 1000)]);
        one
    };
    (0..count).map(one).collect()
}

/// How often each of `numbers` is told in `answers`.
fn times(answers: &[Vec<u16>], numbers: std::ops::Range<u16>) -> Vec<usize> {
    numbers.map(|number| answers.iter().filter(|told| told.contains(&number)).count()).collect()
}

#[test]
fn a_thousand_newcomers_are_spread_over_a_hundred_owners_alike() {
    for pause_ms in [0, 5, 50] {
        let mut scene = Scene::new();
        let owners = complete(&mut scene, 100);
        let mut answers = Vec::new();
        for number in 0..1000 {
            let (newcomer, told) = arrive(&mut scene, 1000 + number);
            answers.push(told);
            if number % 10 == 0 {
                ask_again(&mut scene, &newcomer);
            }
            if number % 100 == 0 {
                owners.iter().for_each(|owner| assert!(!scene.register(&mut owner.clone()).resync));
            }
            scene.pass(Duration::from_millis(pause_ms));
        }
        let named = times(&answers, 0..100);
        let all: usize = named.iter().sum();
        // Within a fifth of the mean, which is a hundredth of all.
        assert!(
            named.iter().all(|&times| (times * 100).abs_diff(all) * 5 <= all),
            "{pause_ms} ms: {named:?}"
        );
        // Among those that a download asks at once, most have something to give, though most owners have nothing.
        let asked = answers.iter().flat_map(|told| &told[..8]).filter(|&&number| number < 100).count();
        assert!(asked > 4 * 1000, "{pause_ms} ms: {asked}");
    }
}

#[test]
fn in_a_swarm_that_grows_from_one_every_newcomer_is_soon_known_to_others() {
    for (pause_ms, least) in [(0, 10), (10, 10), (100, 7), (1000, 3)] {
        let mut scene = Scene::with(|settings| settings.missed_heartbeats = 100);
        complete(&mut scene, 1);
        let mut answers = vec![Vec::new()];
        for number in 1..=400 {
            answers.push(arrive(&mut scene, number).1);
            scene.pass(Duration::from_millis(pause_ms));
        }
        let placed = |told: &Vec<u16>| told.iter().position(|&number| number == 0);
        assert!(
            answers[1..].iter().all(|told| placed(told).is_some_and(|place| place <= 2)),
            "{pause_ms} ms"
        );
        // In the hundred answers after it came, each is named often enough, and within half and twice as often
        // as those that came about when it did.
        let named: Vec<usize> = (50..300)
            .map(|number| times(&answers[usize::from(number) + 1..][..100], number..number + 1)[0])
            .collect();
        for (number, near) in named.windows(21).enumerate() {
            let (times, sum) = (near[10], near.iter().sum::<usize>());
            let alike = times * 21 * 2 >= sum && times * 21 <= sum * 2;
            assert!(times >= least && alike, "{pause_ms} ms, number {}: {near:?}", number + 60);
        }
        // And they hang together without the one that has it all.
        assert_eq!(reached_from(1, &answers).len(), 400, "{pause_ms} ms");
    }
}

/// Who can be reached over who was told of whom, without number 0.
fn reached_from(first: u16, answers: &[Vec<u16>]) -> BTreeSet<u16> {
    let (mut reached, mut next) = (BTreeSet::from([first]), vec![first]);
    while let Some(number) = next.pop() {
        let told = answers[usize::from(number)].iter().copied();
        let told_of_it = (0..answers.len()).filter(|&other| answers[other].contains(&number));
        for other in told.chain(told_of_it.map(|other| other as u16)) {
            if other != 0 && reached.insert(other) {
                next.push(other);
            }
        }
    }
    reached
}

#[test]
fn with_more_owners_than_one_question_looks_at_all_have_their_turn_and_the_complete_are_told() {
    let mut scene = Scene::new();
    complete(&mut scene, 2);
    for number in 2..1300 {
        let mut one = scene.joined(number);
        scene.own(&mut one, &[entry(1, "a", 0)]);
    }
    let asker = scene.joined(2000);
    let answers: Vec<Vec<u16>> = (0..600).map(|_| ask_again(&mut scene, &asker)).collect();
    for told in &answers {
        let at: Vec<usize> = (0..20).filter(|&place| told[place] < 2).collect();
        assert!(at.len() == 2 && at[0] <= 2 && at[1] <= 6, "{told:?}");
    }
    let named = times(&answers, 2..1300);
    // Eight or nine times on average.
    assert!(named.iter().all(|times| (3..=20).contains(times)), "{named:?}");
}

#[test]
fn the_highest_rate_comes_first_and_is_not_swamped() {
    let mut scene = Scene::new();
    complete(&mut scene, 30);
    // Confirmed by many hosts: each as many MiB as its number says, or as much of that as counts of one host.
    let credits: Vec<(NodeId, u64)> = (0..30).map(|number| (id(number), u64::from(number) << 20)).collect();
    for number in 100..132 {
        let (downloader, _) = arrive(&mut scene, number);
        scene.ask(downloader.address, &downloader.update(1, 1, &credits));
        scene.ask(downloader.address, &downloader.exit());
    }
    scene.pass(Duration::from_secs(50));
    let mut renewed: Vec<Client> = (0..30).map(client).collect();
    for one in &mut renewed {
        scene.prove(one);
        (one.count, one.digest) = (1, OwnDigest(0));
        one.digest.toggle(&entry(1, "a", 1000));
        assert!(!scene.register(one).resync);
    }
    let mut asker = client(98);
    scene.prove(&mut asker);
    let told = ask_again(&mut scene, &asker);
    let by_rate: Vec<u16> = (0..20).filter(|place| place % 4 != 3).map(|place| told[place]).collect();
    assert!(
        by_rate.is_sorted_by(|faster, slower| faster > slower),
        "one in four by lot, else by rate: {told:?}"
    );
    // Asked again and again, the faster is still named more often and sooner, and yet nobody is left out.
    let answers: Vec<Vec<u16>> = (0..600).map(|_| ask_again(&mut scene, &asker)).collect();
    let named = times(&answers, 0..30);
    let thirds: Vec<usize> = named.chunks(10).map(|third| third.iter().sum()).collect();
    assert!(thirds.is_sorted_by(|slower, faster| slower * 11 < faster * 10), "{thirds:?}");
    assert!(named.iter().all(|&times| times > 100), "{named:?}");
    let first: Vec<Vec<u16>> = answers.iter().map(|told| told[..1].to_vec()).collect();
    assert!(times(&first, 0..30).iter().all(|&times| times < 120), "{:?}", times(&first, 0..30));
}

#[test]
fn who_has_nothing_yet_is_told_to_others_that_have_nothing() {
    let mut scene = Scene::new();
    let (one, told) = {
        let mut one = scene.joined(1);
        scene.own(&mut one, &[entry(1, "a", 0)]);
        let told = ask_again(&mut scene, &one);
        (one, told)
    };
    assert_eq!(told, [0; 0], "only itself is there");
    let (two, told) = arrive(&mut scene, 2);
    assert_eq!(told, [1]);
    assert_eq!((ask_again(&mut scene, &one), ask_again(&mut scene, &two)), (vec![2], vec![1]));
}

#[test]
fn an_owner_whose_lease_has_ended_is_not_told() {
    let mut scene = Scene::new();
    complete(&mut scene, 2);
    arrive(&mut scene, 2);
    scene.pass(Duration::from_secs(59));
    let asker = scene.joined(9);
    assert_eq!(ask_again(&mut scene, &asker).len(), 3);
    let mut stays = client(1);
    scene.prove(&mut stays);
    scene.register(&mut stays);
    // Nothing wakes the tracker in between: the question itself comes first.
    scene.now += SECOND;
    assert_eq!(ask_again(&mut scene, &asker), [1]);
}

#[test]
fn a_part_that_grows_is_one_announcement_and_keeps_the_tables_in_step() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.own(&mut one, &[entry(1, "a", 0)]);
    let other = scene.joined(2);
    for permille in 1..=1000 {
        one.digest.toggle(&entry(1, "a", permille - 1));
        one.count -= 1;
        scene.own(&mut one, &[entry(1, "a", permille)]);
        assert!(!scene.register(&mut one).resync, "{permille}");
        let found = scene.owners(&other, 1);
        assert_eq!(
            (found.owners[0].permille.value(), found.content.complete + found.content.partial),
            (permille as u16, 1)
        );
    }
    let said =
        |event: &&Event| matches!(event, Event::ContentAnnounced { .. } | Event::ContentCompleted { .. });
    assert_eq!(scene.events.iter().filter(said).count(), 2, "its beginning and its end are told");
    assert_eq!((scene.tracker.contents(), scene.counters().owned), (1, 1001));
}
