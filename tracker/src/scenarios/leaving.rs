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

#[test]
fn who_is_let_go_leaves_the_tables_at_once_with_all_that_it_has() {
    let mut scene = Scene::new();
    let (mut gone, mut stays) = (scene.joined(1), scene.joined(2));
    let entries: Vec<OwnEntry> = (0..8).map(|number| entry(number, "film.mkv", 1000)).collect();
    for _ in 0..40 {
        scene.own(&mut gone, &entries);
    }
    scene.own(&mut stays, &entries[..1]);
    let denying: Members = format!("deny {}", gone.id).parse().unwrap();
    scene.events.clear();
    scene.tracker.change_members(&denying);
    // Before anything else happens nobody is sent to it.
    for number in 0..8 {
        let owners = scene.owners_of(content(number));
        assert_eq!(owners, if number == 0 { vec![stays.id] } else { Vec::new() }, "{number}");
    }
    settle(&mut scene);
    assert_eq!((scene.tracker.nodes(), scene.tracker.contents()), (1, 1));
    assert_eq!(scene.events[0], Event::NodeLetGo { node: gone.id, address: gone.address });
    // A list of those who alone are members lets all others go, too.
    let allowing: Members = format!("allow {}", gone.id).parse().unwrap();
    scene.tracker.change_members(&allowing);
    settle(&mut scene);
    assert_eq!((scene.tracker.nodes(), scene.tracker.contents()), (0, 0));
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

/// What the tables must say: the contents that each registered node owns.
type Model = BTreeMap<u16, BTreeSet<u16>>;

/// A tracker that takes departed nodes out of its tables in small batches, beside a model that does so at once.
struct Compared {
    scene: Scene,
    clients: Vec<Client>,
    model: Model,
}

impl Compared {
    fn new(batch: usize) -> Compared {
        let mut scene = Scene::new();
        scene.tracker.departed = Departed::new(batch);
        Compared { scene, clients: (0..4).map(client).collect(), model: Model::new() }
    }

    /// One step of the client `who`, in the tracker and in the model. `numbers` are the contents that it is about.
    fn step(&mut self, what: u8, who: u8, numbers: std::ops::Range<u16>) {
        let is_here = self.model.contains_key(&who.into());
        match what {
            0 | 1 if is_here => self.announce(who, what == 1, numbers),
            2 if is_here => {
                let client = &self.clients[usize::from(who)];
                self.scene.ask(client.address, &client.exit());
                self.model.remove(&who.into());
            }
            3 => self.join_again(who),
            4 => {
                self.scene.pass(Duration::ZERO);
            }
            5 if is_here => self.outlast_the_others(who),
            _ => {}
        }
    }

    fn announce(&mut self, who: u8, withdrawn: bool, numbers: std::ops::Range<u16>) {
        let client = &mut self.clients[usize::from(who)];
        let entries: Vec<OwnEntry> =
            numbers.clone().map(|number| OwnEntry { withdrawn, ..entry(number, "f", 1000) }).collect();
        self.scene.ask(client.address, &client.own(&entries));
        let owned = self.model.get_mut(&who.into()).unwrap();
        for number in numbers {
            let changes = if withdrawn { owned.remove(&number) } else { owned.insert(number) };
            if changes {
                client.digest.toggle(&entry(number, "f", 1000));
                client.count = owned.len() as u32;
            }
        }
    }

    /// Registers the client `who` under a new epoch, if the tracker can take one more departed life.
    fn join_again(&mut self, who: u8) {
        let client = &mut self.clients[usize::from(who)];
        if self.scene.tracker.departed.has_capacity(client.id) {
            client.epoch = BootEpoch(client.epoch.0 + 1);
            (client.count, client.digest) = (0, OwnDigest(0));
            self.scene.join(client);
            self.model.insert(who.into(), BTreeSet::new());
        }
    }

    /// Lets the lease of every client but `who` end.
    fn outlast_the_others(&mut self, who: u8) {
        for _ in 0..2 {
            self.scene.pass(Duration::from_secs(45));
            assert!(!self.scene.register(&mut self.clients[usize::from(who)]).resync);
        }
        self.model.retain(|&node, _| node == u16::from(who));
    }

    fn owners(&self, number: u16) -> Vec<NodeId> {
        self.model.iter().filter(|(_, owned)| owned.contains(&number)).map(|(&node, _)| id(node)).collect()
    }

    /// Compares the tables with the model, and the answer about the content `asked` too.
    fn check(&mut self, asked: u16) {
        for number in 0..36 {
            assert_eq!(self.scene.owners_of(content(number)), self.owners(number));
        }
        let mut asker = client(99);
        self.scene.prove(&mut asker);
        let mut answered: Vec<NodeId> = match self.scene.need(&asker, Query::Content(content(asked))) {
            Owners::Content(found) => found.owners.iter().map(|owner| owner.node).collect(),
            _ => Vec::new(),
        };
        answered.sort_unstable();
        assert_eq!(answered, self.owners(asked));
        assert_eq!(self.scene.tracker.nodes(), self.model.len());
    }

    /// Compares the sizes of the tables with the model when every departed node is out of them.
    fn check_settled(&mut self) {
        settle(&mut self.scene);
        let contents: BTreeSet<u16> = self.model.values().flatten().copied().collect();
        assert_eq!(self.scene.tracker.contents(), contents.len());
        let announced: usize = self.model.values().map(BTreeSet::len).sum();
        let most = TrackerSettings::default().limits.max_announcements as usize;
        assert_eq!(most - self.scene.tracker.contents.free_announcements(), announced);
    }
}

proptest! {
    /// However slowly the tracker takes departed nodes out of its tables, its answers are those of a tracker that takes
    /// them out at once.
    #[test]
    fn removal_in_batches_changes_no_answer(
        batch in 1..3_usize,
        steps in prop::collection::vec((0..6_u8, 1..4_u8, 0..24_u16, 1..12_u16), 1..60),
    ) {
        let mut compared = Compared::new(batch);
        for (what, who, first, count) in steps {
            compared.step(what, who, first..first + count);
            compared.check(first);
        }
        compared.check_settled();
    }
}
