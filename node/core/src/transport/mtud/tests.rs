//! The search over a network that carries some sizes and not others.

use rand::SeedableRng as _;

use super::*;

const TIMEOUT: Duration = Duration::from_millis(100);
const ANY: u16 = MAX_DATAGRAM as u16;

fn peer() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 4000))
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos((1_000_000 + millis) * 1_000_000)
}

/// The paths, their clock, and the probes so far.
struct Scene {
    paths: PathMtus,
    rng: StdRng,
    now: Timestamp,
    probes: usize,
    asked_bytes: u64,
}

impl Scene {
    fn new(longest: u16) -> Scene {
        let rng = StdRng::seed_from_u64(1);
        Scene { paths: PathMtus::new(longest), rng, now: at(0), probes: 0, asked_bytes: 0 }
    }

    /// Does everything that is due until `until`, over a path that carries packets of `mtu` bytes.
    fn run(&mut self, until: Timestamp, mtu: u16) {
        loop {
            self.now = self.now.max(self.paths.next_at(peer()));
            if self.now > until {
                self.now = until;
                return;
            }
            let Some(probe) = self.paths.poll(peer(), ANY, TIMEOUT, &mut self.rng, self.now) else {
                continue;
            };
            self.probes += 1;
            for size in probe.sizes.iter().map(|size| size.bytes()) {
                self.asked_bytes += u64::from(size);
                if size <= mtu - 28 {
                    self.paths.on_probed(peer(), probe.id, size);
                }
            }
        }
    }

    fn datagram(&mut self) -> u16 {
        self.paths.use_path(peer(), self.now)
    }
}

#[test]
fn the_longest_that_arrives_is_found_and_looked_for_again_after_ten_minutes() {
    for (mtu, found) in [
        (1228, 1200),
        (1280, 1252),
        (1420, 1392),
        (1491, 1452),
        (1492, 1464),
        (1500, 1472),
        (8999, 1472),
        (9000, 8972),
        (16_440, 16_356),
        (40_000, 32_740),
        (65_535, 65_507),
    ] {
        let mut scene = Scene::new(ANY);
        scene.run(at(10_000), mtu);
        assert_eq!(scene.datagram(), found, "an MTU of {mtu}");
        // There are three tries in each tier.
        assert!(scene.probes <= 6, "{} probes", scene.probes);
        let probes = scene.probes;
        scene.run(at(500_000), 65_535);
        assert_eq!((scene.datagram(), scene.probes), (found, probes), "it rests");
        scene.run(at(610_000), 65_535);
        assert_eq!(scene.datagram(), 65_507);
    }
}

#[test]
fn without_a_setting_no_more_is_asked_for_than_what_is_worth_it() {
    for mtu in [16_500, 65_535] {
        let mut scene = Scene::new(0);
        scene.run(at(10_000), mtu);
        assert_eq!(scene.datagram(), DEFAULT_MAX_DATAGRAM, "an MTU of {mtu}");
    }
}

#[test]
fn a_setting_bounds_what_is_asked_for_and_1200_asks_for_nothing() {
    for (longest, found) in [(1200, 1200), (1300, 1300), (1472, 1472), (5000, 5000), (40_000, 40_000)] {
        let mut scene = Scene::new(longest);
        scene.run(at(10_000), 65_535);
        assert_eq!(scene.datagram(), found);
        assert_eq!(scene.probes > 0, longest > 1200);
    }
}

#[test]
fn a_path_that_is_used_keeps_what_was_found_and_one_that_is_not_is_a_new_one() {
    let mut scene = Scene::new(0);
    scene.run(at(1000), 9000);
    for second in 2..700 {
        scene.run(at(second * 1000), 9000);
        assert_eq!(scene.datagram(), 8972, "second {second}");
    }
    scene.now = at(1_301_000);
    assert_eq!(scene.datagram(), 1200);
    scene.run(at(1_302_000), 1500);
    assert_eq!(scene.datagram(), 1472, "it is searched at once");
}

#[test]
fn who_never_answers_is_asked_three_times_in_ten_minutes() {
    let mut scene = Scene::new(0);
    scene.run(at(590_000), 1000);
    assert_eq!((scene.datagram(), scene.probes), (1200, 3));
    assert!(scene.asked_bytes < 60_000, "{}", scene.asked_bytes);
}

#[test]
fn what_vanishes_is_looked_for_again_from_the_base_size_and_found_where_it_is_still_carried() {
    let mut scene = Scene::new(0);
    scene.run(at(1000), 9000);
    assert_eq!(scene.datagram(), 8972);
    assert!(scene.paths.on_vanished(peer(), at(900), at(1000)));
    assert_eq!(scene.datagram(), 1200, "at once");
    assert!(!scene.paths.on_vanished(peer(), at(900), at(1001)), "another session tells the same");
    scene.run(at(5000), 1500);
    assert_eq!(scene.datagram(), 1472);
    // A minute later the long sizes are tried again.
    scene.run(at(70_000), 9000);
    assert_eq!(scene.datagram(), 8972);
}

#[test]
fn probes_that_arrive_where_nothing_else_does_are_believed_once_a_minute() {
    let mut scene = Scene::new(0);
    scene.run(at(1000), 9000);
    let mut doubts = 0;
    for second in 1..120 {
        let now = at(1000 * second);
        scene.run(now, 9000);
        doubts += u32::from(scene.paths.on_vanished(peer(), now, now));
    }
    assert!((2..=4).contains(&doubts), "{doubts}");
}

#[test]
fn an_owner_that_is_away_for_a_while_is_asked_again_soon() {
    let mut scene = Scene::new(0);
    scene.run(at(1000), 9000);
    scene.paths.on_vanished(peer(), at(1000), at(1000));
    scene.run(at(4000), 28);
    assert_eq!(scene.datagram(), 1200);
    scene.run(at(6000), 9000);
    assert_eq!(scene.datagram(), 8972, "nothing at all had arrived: it was no matter of sizes");
}

#[test]
fn an_answer_to_another_question_or_beyond_the_setting_is_none() {
    let mut paths = PathMtus::new(9000);
    let probe = paths.poll(peer(), ANY, TIMEOUT, &mut StdRng::seed_from_u64(2), at(0)).expect("due");
    assert!(!paths.on_probed(peer(), probe.id.wrapping_add(1), 1472));
    assert!(!paths.on_probed(peer(), probe.id, 9001));
    assert!(!paths.on_probed(SocketAddr::from(([10, 0, 0, 2], 4000)), probe.id, 1472));
    assert_eq!(paths.use_path(peer(), at(0)), 1200);
    assert!(paths.on_probed(peer(), probe.id, 1472));
    assert!(!paths.on_probed(peer(), probe.id, 1252), "a shorter one says nothing new");
}

#[test]
fn no_more_paths_are_kept_than_there_is_room_for() {
    let (mut paths, mut rng) = (PathMtus::new(0), StdRng::seed_from_u64(3));
    for port in 1..3000 {
        let peer = SocketAddr::from(([10, 0, 0, 1], port));
        assert!(paths.poll(peer, ANY, TIMEOUT, &mut rng, at(0)).is_some());
        assert!(paths.by_peer.len() <= PathMtus::MAX);
    }
}
