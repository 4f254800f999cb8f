//! EXIT, and leases that end each at its own deadline.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::departed::Departed;

#[test]
fn an_exit_forgets_at_once_and_may_be_said_again() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    for _ in 0..2 {
        assert!(matches!(scene.ask(one.address, &one.exit()), Some(TrackerToNode::Goodbye(_))));
        assert_eq!((scene.tracker.nodes(), scene.tracker.contents()), (0, 0));
    }
    let left = scene.events.iter().filter(|event| matches!(event, Event::NodeLeft { .. })).count();
    assert_eq!(left, 1);
    assert_eq!(scene.pass(SECOND), Wait { until: Timestamp::NEVER, reason: WaitReason::Nothing });
}

#[test]
fn a_late_exit_of_an_older_life_ends_nothing() {
    let mut scene = Scene::new();
    let one = scene.joined(1);
    let mut newer = Client { epoch: BootEpoch(2), ..one.clone() };
    scene.register(&mut newer);
    assert!(matches!(scene.ask(one.address, &one.exit()), Some(TrackerToNode::Goodbye(_))));
    assert_eq!(scene.tracker.nodes(), 1);
}

#[test]
fn each_lease_ends_at_its_own_deadline() {
    let mut scene = Scene::new();
    let start = scene.now;
    let mut first = scene.joined(1);
    scene.own(&mut first, &[entry(1, "a", 1000)]);
    scene.pass(Duration::from_secs(7));
    let (second, third) = (scene.joined(2), scene.joined(3));
    let wait = scene.pass(Duration::from_secs(13));
    assert_eq!(wait, Wait { until: start + Duration::from_secs(60), reason: WaitReason::LeaseEnds });
    let mut fourth = scene.joined(4);
    scene.pass(Duration::from_secs(39));
    assert_eq!(scene.tracker.nodes(), 4, "59 s");
    scene.now = wait.until;
    scene.poll(None);
    assert_eq!(scene.tracker.address_of(first.id), None, "60 s");
    assert_eq!((scene.tracker.nodes(), scene.tracker.contents()), (3, 0));
    scene.register(&mut fourth);
    let wait = scene.pass(Duration::from_secs(6));
    assert_eq!(scene.tracker.nodes(), 3, "66 s");
    assert_eq!(wait.until, start + Duration::from_secs(67));
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.tracker.nodes(), 1, "the two that joined together go together");
    assert_eq!(scene.tracker.address_of(second.id).or(scene.tracker.address_of(third.id)), None);
    scene.pass(Duration::from_secs(52));
    assert_eq!(scene.tracker.nodes(), 1, "119 s: it registered again at 60 s");
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.tracker.nodes(), 0);
    assert_eq!(scene.counters().expired, 4);
}

#[test]
fn only_a_register_renews_the_lease() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.pass(Duration::from_secs(40));
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    scene.pass(Duration::from_secs(20));
    assert_eq!(scene.tracker.nodes(), 0);
    assert_eq!(scene.refusal(one.address, &one.own(&[])).code, RefusalCode::NotRegistered);
}

/// Lets the tracker do what it has to do at once, step by step; how many steps that took.
fn settle(scene: &mut Scene) -> usize {
    let mut steps = 0;
    while scene.pass(Duration::ZERO).reason == WaitReason::Removing {
        steps += 1;
    }
    steps
}

fn announce_many(scene: &mut Scene, client: &mut Client, contents: std::ops::Range<u16>) {
    let numbers: Vec<u16> = contents.collect();
    for batch in numbers.chunks(16) {
        let entries: Vec<OwnEntry> =
            batch.iter().map(|&number| entry(number, &format!("f{number}"), 1000)).collect();
        assert_eq!(usize::from(scene.own(client, &entries)), batch.len());
    }
}

fn withdrawn(scene: &mut Scene) -> usize {
    let events = std::mem::take(&mut scene.events);
    events.iter().filter(|event| matches!(event, Event::ContentWithdrawn { .. })).count()
}

/// However much a node had, no step takes long; and nobody hears of it any more from the first step on.
#[test]
fn a_node_with_thousands_of_contents_leaves_in_many_small_steps() {
    const CONTENTS: u16 = 3000;
    for how in ["exit", "lease", "life", "taken"] {
        let mut scene = Scene::with(|settings| settings.limits.request_burst = 100_000);
        let mut one = scene.joined(1);
        announce_many(&mut scene, &mut one, 0..CONTENTS);
        let mut other = scene.joined(2);
        scene.own(&mut other, &[entry(7, "f7", 1000)]);
        scene.events.clear();
        match how {
            "exit" => {
                assert!(matches!(scene.ask(one.address, &one.exit()), Some(TrackerToNode::Goodbye(_))));
            }
            "lease" => {
                scene.pass(Duration::from_secs(40));
                scene.register(&mut other);
                scene.events.clear();
                scene.pass(Duration::from_secs(20));
            }
            "life" => {
                one = Client { epoch: BootEpoch(2), count: 0, digest: OwnDigest(0), ..one };
                scene.register(&mut one);
            }
            _ => {
                let mut claimant = Client { epoch: BootEpoch(3), ..client_at(1, client(3).address) };
                scene.prove(&mut claimant);
                scene.refusal(claimant.address, &claimant.register());
                scene.pass(SECOND);
                scene.elsewhere.clear();
                scene.register(&mut claimant);
            }
        }
        assert!(withdrawn(&mut scene) <= 256, "{how}: a step");
        // It is gone at once for whoever asks, and of what it alone had there is nobody to ask.
        assert_eq!(scene.owners_of(content(7)), [other.id], "{how}");
        assert_eq!(scene.owners_of(content(CONTENTS - 1)), [], "{how}");
        let asker = scene.joined(4);
        assert_eq!(scene.owners(&asker, 7).owners.len(), 1, "{how}");
        assert_eq!(scene.owners(&asker, CONTENTS - 1).owners.len(), 0, "{how}");
        scene.events.clear();
        let mut steps = 0;
        while scene.pass(Duration::ZERO).reason == WaitReason::Removing {
            steps += 1;
            assert!(withdrawn(&mut scene) <= 256, "{how}: a step");
        }
        assert!(steps >= 10, "{how}: {steps} steps");
        assert_eq!(scene.tracker.contents(), 1, "{how}");
        assert!(scene.search(&asker, "f", None).contents.len() == 1, "{how}");
    }
}

/// What a node did not say again, though it was asked to, goes as slowly.
#[test]
fn what_is_outdated_goes_in_small_steps_too() {
    let mut scene = Scene::with(|settings| settings.limits.request_burst = 100_000);
    let mut one = scene.joined(1);
    announce_many(&mut scene, &mut one, 0..2000);
    (one.count, one.digest) = (0, OwnDigest(0));
    for _ in 0..6 {
        scene.events.clear();
        scene.register(&mut one);
        assert!(withdrawn(&mut scene) <= 256, "a step");
        // What it says again meanwhile stays.
        if scene.pass(Duration::ZERO).reason == WaitReason::Removing {
            assert_eq!(withdrawn(&mut scene), 128);
            scene.own(&mut one, &[entry(0, "f0", 1000)]);
        }
        settle(&mut scene);
        scene.pass(Duration::from_secs(15));
    }
    assert_eq!(scene.tracker.contents(), 1);
    assert_eq!(scene.owners_of(content(0)), [one.id]);
    assert!(!scene.register(&mut one).resync, "both tables agree");
}

/// The same node is back before its old life is out of the tables: it has what it says, and nothing else.
#[test]
fn a_node_that_comes_back_meanwhile_begins_with_nothing() {
    let mut scene = Scene::with(|settings| settings.limits.request_burst = 100_000);
    let mut one = scene.joined(1);
    announce_many(&mut scene, &mut one, 0..4000);
    scene.ask(one.address, &one.exit());
    let mut again = Client { count: 0, digest: OwnDigest(0), ..one };
    scene.register(&mut again);
    scene.own(&mut again, &[entry(3999, "f3999", 500), entry(5000, "new", 1000)]);
    // A withdrawal of what only the old life had changes nothing of the new one.
    scene.ask(again.address, &again.own(&[OwnEntry { withdrawn: true, ..entry(3998, "f3998", 1000) }]));
    assert!(!scene.register(&mut again).resync);
    let asker = scene.joined(2);
    let owners_of = |scene: &mut Scene| -> Vec<usize> {
        [3999, 5000, 3997].map(|number| scene.owners(&asker, number).owners.len()).into()
    };
    assert_eq!(owners_of(&mut scene), [1, 1, 0]);
    settle(&mut scene);
    assert!(!scene.register(&mut again).resync);
    assert_eq!(scene.tracker.contents(), 2);
    assert_eq!(scene.owners(&asker, 3999).content.partial, 1);
}

/// Each announcement looks into every life of its node that is not out of the tables yet.
#[test]
fn a_node_that_begins_one_life_after_the_other_waits_until_some_are_out_of_the_tables() {
    let mut scene = Scene::with(|settings| settings.limits.request_burst = 100_000);
    scene.tracker.departed = Departed::new(4);
    // Much is to be taken out before.
    let mut rich = scene.joined(10);
    announce_many(&mut scene, &mut rich, 0..2000);
    scene.ask(rich.address, &rich.exit());
    let mut one = scene.joined(1);
    let mut lives = 0;
    let refused = loop {
        // None of what a life before had: that would go at once.
        announce_many(&mut scene, &mut one, 5000 + 32 * lives..5032 + 32 * lives);
        one = Client { epoch: BootEpoch(one.epoch.0 + 1), count: 0, digest: OwnDigest(0), ..one };
        match scene.ask(one.address, &one.register()) {
            Some(TrackerToNode::Registered(_)) => lives += 1,
            Some(TrackerToNode::Refused(refused)) => break refused,
            other => panic!("{other:?}"),
        }
        assert!(lives <= 8, "an announcement costs more and more");
    };
    assert_eq!((lives, refused.code), (8, RefusalCode::TooFast));
    settle(&mut scene);
    scene.pass(Duration::from_millis(refused.retry_after_ms.into()));
    scene.register(&mut one);
    settle(&mut scene);
    assert_eq!(scene.tracker.contents(), 0);
}

/// Leases may end all at once: no step takes long, and all are gone.
#[test]
fn many_leases_that_end_at_once_end_in_small_steps() {
    let mut scene = Scene::new();
    for number in 0..1000 {
        scene.joined(number);
    }
    scene.events.clear();
    scene.now += Duration::from_secs(60);
    let mut steps = 0;
    while scene.tracker.nodes() > 0 {
        scene.pass(Duration::ZERO);
        let ended = std::mem::take(&mut scene.events);
        let ended = ended.iter().filter(|event| matches!(event, Event::NodeExpired { .. })).count();
        assert!((1..=128).contains(&ended), "{ended} in a step");
        steps += 1;
    }
    assert_eq!((steps, scene.counters().expired), (8, 1000));
}

/// What the tables must say: who has what, by the lives that are not over.
type Model = BTreeMap<u16, BTreeSet<u16>>;

proptest! {
    /// However slowly old lives go, what is said of new ones is what a tracker says that takes all out at once.
    #[test]
    fn slow_steps_are_seen_by_nobody(
        batch in 1..3_usize,
        steps in prop::collection::vec((0..6_u8, 1..4_u16, 0..24_u16, 1..12_u16), 1..60),
    ) {
        let mut scene = Scene::new();
        scene.tracker.departed = Departed::new(batch);
        let mut clients: Vec<Client> = (0..4).map(client).collect();
        let mut model = Model::new();
        for (what, who, first, count) in steps {
            let one = &mut clients[usize::from(who)];
            let is_here = model.contains_key(&who);
            match what {
                0 | 1 if is_here => {
                    let numbers: Vec<u16> = (first..first + count).collect();
                    let entries: Vec<OwnEntry> = numbers
                        .iter()
                        .map(|&number| OwnEntry { withdrawn: what == 1, ..entry(number, "f", 1000) })
                        .collect();
                    scene.ask(one.address, &one.own(&entries));
                    let owned = model.get_mut(&who).unwrap();
                    for number in numbers {
                        let changes = if what == 0 { owned.insert(number) } else { owned.remove(&number) };
                        if changes {
                            one.digest.toggle(&entry(number, "f", 1000));
                            one.count = owned.len() as u32;
                        }
                    }
                }
                2 if is_here => {
                    scene.ask(one.address, &one.exit());
                    model.remove(&who);
                }
                3 if scene.tracker.departed.has_capacity(one.id) => {
                    one.epoch = BootEpoch(one.epoch.0 + 1);
                    (one.count, one.digest) = (0, OwnDigest(0));
                    scene.join(one);
                    model.insert(who, BTreeSet::new());
                }
                4 => {
                    scene.pass(Duration::ZERO);
                }
                // Everybody has been silent for too long, but for one.
                5 if is_here => {
                    scene.pass(Duration::from_secs(45));
                    prop_assert!(!scene.register(one).resync);
                    scene.pass(Duration::from_secs(45));
                    prop_assert!(!scene.register(one).resync);
                    model.retain(|&node, _| node == who);
                }
                _ => {}
            }
            let owners = |number: u16| -> Vec<NodeId> {
                model.iter().filter(|(_, owned)| owned.contains(&number)).map(|(&node, _)| id(node)).collect()
            };
            for number in 0..36 {
                prop_assert_eq!(scene.owners_of(content(number)), owners(number));
            }
            let mut asker = client(99);
            scene.prove(&mut asker);
            let mut told: Vec<NodeId> = match scene.need(&asker, Query::Content(content(first))) {
                Owners::Content(found) => found.owners.iter().map(|owner| owner.node).collect(),
                _ => Vec::new(),
            };
            told.sort_unstable();
            prop_assert_eq!(told, owners(first));
            prop_assert_eq!(scene.tracker.nodes(), model.len());
        }
        settle(&mut scene);
        let there: BTreeSet<u16> = model.values().flatten().copied().collect();
        prop_assert_eq!(scene.tracker.contents(), there.len());
        let announced: usize = model.values().map(BTreeSet::len).sum();
        let most = TrackerSettings::default().limits.max_announcements as usize;
        prop_assert_eq!(most - scene.tracker.contents.free_announcements(), announced);
    }
}
