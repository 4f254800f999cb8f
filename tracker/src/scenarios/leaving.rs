//! EXIT, and leases that end each at its own deadline.

use super::*;

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
