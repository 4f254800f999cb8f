//! What each line of the tracker's tables costs at most, and what strangers cost: nothing.

#[path = "../../messages/tests/support/heap.rs"]
mod heap;

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use config::TrackerSettings;
use messages::node_to_tracker::{
    Asker, Exit, Need, Own, OwnDigest, OwnEntry, Permille, Query, Register, TrackerPong,
};
use messages::tracker_to_node::{Owners, RefusalCode};
use messages::{
    BootEpoch, ContentId, Conversation, Cookie, Datagram, List, Name, NodeId, NodeToTracker, Timestamp,
    TrackerToNode,
};
use tracker::{Output, Tracker, WaitReason};

/// Heap bytes of one announcement, at most: of a content of its own or of a common one, with the longest name of its
/// own.
const ANNOUNCEMENT: isize = 1024;
/// Of one registered node, somebody else claiming its id.
const NODE: isize = 768;
/// Of one address whose requests are counted.
const ADDRESS: isize = 160;

/// A tracker and somebody who asks it.
struct Scene {
    tracker: Tracker,
    now: Timestamp,
    out: Output,
    bytes: Vec<u8>,
}

fn node(number: u32) -> NodeId {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn content(number: u32) -> ContentId {
    let mut bytes = [9; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    ContentId::from_bytes(bytes)
}

fn address(number: u32) -> SocketAddr {
    let [_, a, b, c] = number.to_be_bytes();
    SocketAddr::from(([10, a, b, c], 7000))
}

fn register(number: u32, cookie: Cookie) -> NodeToTracker {
    let asker = Asker { node: node(number), cookie };
    Register { asker, epoch: BootEpoch(1), contents: 0, digest: OwnDigest(0) }.into()
}

fn entry(number: u32, name: &str) -> OwnEntry {
    let (permille, withdrawn) = (Permille::COMPLETE, false);
    let name = Name::new(name).expect("a name");
    OwnEntry { content: content(number), length: u64::from(number), permille, withdrawn, name }
}

impl Scene {
    fn new(change: impl FnOnce(&mut TrackerSettings)) -> Scene {
        let mut settings = TrackerSettings::default();
        change(&mut settings);
        let now = Timestamp::ZERO + Duration::from_secs(1000);
        let tracker = Tracker::new(settings, [3; 32], 1, now);
        Scene { tracker, now, out: Output::default(), bytes: Vec::new() }
    }

    fn say(&mut self, from: SocketAddr, message: &NodeToTracker) {
        self.bytes.clear();
        message.encode(Conversation(1), &mut self.bytes);
        self.tracker.handle_datagram(from, None, &self.bytes, self.now);
        self.out.clear();
        self.tracker.poll(self.now, &mut self.out);
    }

    /// The answer that went to `from`.
    fn ask(&mut self, from: SocketAddr, message: &NodeToTracker) -> TrackerToNode {
        self.say(from, message);
        let answer = self.out.datagrams().find(|(outgoing, _)| outgoing.to == from);
        match answer.map(|(_, bytes)| Datagram::decode(bytes)) {
            Some(Ok(Datagram::FromTracker(_, message))) => message,
            other => panic!("{other:?}"),
        }
    }

    fn cookie(&mut self, from: SocketAddr) -> Cookie {
        match self.ask(from, &register(0, Cookie::NONE)) {
            TrackerToNode::Refused(refused) if refused.code == RefusalCode::Cookie => refused.cookie,
            other => panic!("{other:?}"),
        }
    }

    /// A node that has joined, and its cookie.
    fn join(&mut self, number: u32) -> Cookie {
        let cookie = self.cookie(address(number));
        let answer = self.ask(address(number), &register(number, cookie));
        assert!(matches!(answer, TrackerToNode::Registered(_)), "{answer:?}");
        cookie
    }

    /// How many of `entries` were taken, three at a time.
    fn own(&mut self, number: u32, cookie: Cookie, entries: &[OwnEntry]) -> usize {
        let asker = Asker { node: node(number), cookie };
        let batches = entries.chunks(3).map(|batch| {
            let own = Own { asker, entries: List::first_of(batch.iter().cloned()) };
            match self.ask(address(number), &own.into()) {
                TrackerToNode::Owned(owned) => usize::from(owned.accepted),
                TrackerToNode::Refused(refused) if refused.code == RefusalCode::Full => 0,
                other => panic!("{other:?}"),
            }
        });
        batches.sum()
    }
}

fn long_name(number: u32) -> String {
    format!("{number:0>255}")
}

#[test]
fn an_announcement_costs_no_more_than_is_said() {
    const EACH: u32 = 5000;
    let mut scene = Scene::new(|settings| settings.limits.request_burst = 1_000_000);
    let cookie = scene.join(1);
    // Contents of their own with names of their own, in rising order: trees are fullest when it is random.
    let before = heap::held();
    for first in (0..EACH).step_by(50) {
        let entries: Vec<OwnEntry> =
            (first..first + 50).map(|number| entry(number, &long_name(number))).collect();
        assert_eq!(scene.own(1, cookie, &entries), 50);
    }
    let alone = (heap::held() - before) / EACH as isize;

    // One content with many owners, each with a name and a length of its own.
    let nodes: Vec<(u32, Cookie)> = (2..2 + EACH).map(|number| (number, scene.join(number))).collect();
    let before = heap::held();
    for &(number, cookie) in &nodes {
        let entry = OwnEntry { content: content(u32::MAX), ..entry(number, &long_name(number)) };
        assert_eq!(scene.own(number, cookie, &[entry]), 1);
    }
    let shared = (heap::held() - before) / EACH as isize;
    assert!(alone.max(shared) <= ANNOUNCEMENT, "{alone} and {shared} bytes an announcement");
    assert!(alone.max(shared) > ANNOUNCEMENT / 2, "said too much: {alone} and {shared}");
}

#[test]
fn with_the_defaults_all_tables_together_stay_below_three_gigabytes() {
    let limits = TrackerSettings::default().limits;
    let most = isize::try_from(limits.max_announcements).expect("fits") * ANNOUNCEMENT
        + isize::try_from(limits.max_nodes).expect("fits") * NODE
        + isize::try_from(limits.tracked_addresses).expect("fits") * ADDRESS;
    assert!(most < 2_900_000_000, "{most} bytes");
    assert!(limits.max_contents <= limits.max_announcements, "a content has an owner");
}

#[test]
fn a_node_and_an_address_cost_no_more_than_is_said() {
    const NODES: u32 = 5000;
    let mut scene = Scene::new(|settings| settings.limits.tracked_addresses = 1);
    let before = heap::held();
    let cookies: Vec<Cookie> = (1..=NODES).map(|number| scene.join(number)).collect();
    // Somebody else claims every one of them.
    let claimant = address(NODES + 1);
    let cookie = scene.cookie(claimant);
    for number in 1..=NODES {
        scene.say(claimant, &register(number, cookie));
    }
    drop(cookies);
    let each = (heap::held() - before) / NODES as isize;
    assert!(each <= NODE && each > NODE / 4, "{each} bytes a node");

    let mut scene = Scene::new(|settings| settings.limits.max_nodes = 1);
    let before = heap::held();
    for number in 1..=NODES {
        let cookie = scene.cookie(address(number));
        scene.say(address(number), &register(number, cookie));
    }
    let each = (heap::held() - before) / NODES as isize;
    assert!(each <= ADDRESS && each > ADDRESS / 4, "{each} bytes an address");
}

#[test]
fn a_full_table_is_shared_alike_and_keeps_a_place_for_the_late() {
    let mut scene = Scene::new(|settings| {
        settings.limits.max_announcements = 1000;
        settings.limits.request_burst = 1_000_000;
    });
    let cookies: Vec<Cookie> = (1..=4).map(|number| scene.join(number)).collect();
    let mut taken = [0; 4];
    for round in 0..400 {
        for number in 0..4 {
            let name = long_name(round);
            taken[number as usize] +=
                scene.own(number + 1, cookies[number as usize], &[entry(number * 1000 + round, &name)]);
        }
    }
    assert!(taken.iter().all(|&each| (200..=201).contains(&each)), "{taken:?}");
    // One that comes late finds as much room as any of them takes.
    let late = scene.join(5);
    let entries: Vec<OwnEntry> = (9000..9090).map(|number| entry(number, "late")).collect();
    assert_eq!(scene.own(5, late, &entries), 90);
    // What is known may still change and go.
    let gone = OwnEntry { withdrawn: true, ..entry(0, "x") };
    assert_eq!(scene.own(1, cookies[0], &[entry(1, "renamed"), gone]), 2);
}

/// The datagrams of strangers, from addresses that they do not have.
fn spoofed(turn: u32) -> Vec<u8> {
    let mut wrong = [0; 16];
    wrong[..4].copy_from_slice(&turn.to_be_bytes());
    let asker = Asker { node: node(turn % 64), cookie: Cookie::from_bytes(wrong) };
    let message: NodeToTracker = match turn % 7 {
        0 => register(turn, Cookie::NONE),
        1 => register(1, asker.cookie),
        2 => Need { asker, query: Query::Content(content(1)) }.into(),
        3 => Need { asker, query: Query::Name(Name::new("film").expect("a name")) }.into(),
        4 => Own { asker, entries: List::first_of([entry(turn, "junk")]) }.into(),
        5 => TrackerPong { nonce: turn.into() }.into(),
        _ => return turn.to_le_bytes().repeat(1 + turn as usize % 200),
    };
    let mut bytes = Vec::new();
    message.encode(Conversation(turn), &mut bytes);
    bytes
}

#[test]
fn a_hundred_thousand_spoofed_datagrams_get_no_more_than_they_are_and_leave_nothing() {
    let mut scene = Scene::new(|_| {});
    let owner = scene.join(1);
    assert_eq!(scene.own(1, owner, &[entry(1, "film")]), 1);
    let asker = scene.join(2);
    // Somebody is about to take over an id whose holder is gone.
    scene.join(3);
    let claimant = address(4);
    let claim = scene.cookie(claimant);
    let refused = scene.ask(claimant, &register(3, claim));
    assert!(matches!(refused, TrackerToNode::Refused(refused) if refused.code == RefusalCode::IdInUse));

    let mut out = Output { bytes: Vec::with_capacity(1 << 16), ..Output::default() };
    let need: NodeToTracker =
        Need { asker: Asker { node: node(2), cookie: asker }, query: Query::Content(content(1)) }.into();
    let before = heap::held();
    for turn in 0..100_000_u32 {
        scene.now += Duration::from_micros(9);
        // Of strangers, and of those who are known: their addresses are no secret.
        let from = if turn % 5 == 0 { address(1 + turn / 5 % 4) } else { address(100 + turn % 30_000) };
        let datagram = spoofed(turn);
        scene.tracker.handle_datagram(from, None, &datagram, scene.now);
        out.clear();
        scene.tracker.poll(scene.now, &mut out);
        let answers: usize =
            out.datagrams().filter(|(to, _)| to.to == from).map(|(_, bytes)| bytes.len()).sum();
        let mut others = out.datagrams().filter(|(to, _)| to.to != from);
        assert!(answers <= datagram.len(), "{answers} bytes for {}", datagram.len());
        assert!(others.all(|(to, _)| to.to == address(3)), "only the holder is asked");
        if turn % 1000 == 0 {
            let answer = scene.ask(address(2), &need);
            let TrackerToNode::Owners(Owners::Content(found)) = answer else { panic!("{answer:?}") };
            assert_eq!(found.owners.len(), 1);
        }
    }
    drop(out);
    let held = heap::held() - before;
    assert!(held < 64 << 10, "{held} bytes more than before");
    assert_eq!((scene.tracker.nodes(), scene.tracker.contents()), (3, 1));
    let counters = scene.tracker.counters();
    assert!(counters.refused.cookie > 60_000 && counters.stray_pongs > 10_000, "{counters:?}");
    assert!(counters.undecodable > 10_000, "{counters:?}");
    // Nor was the takeover held up: the holder's second is over.
    scene.now += Duration::from_secs(1);
    let claim = scene.cookie(claimant);
    let granted = scene.ask(claimant, &register(3, claim));
    assert!(matches!(granted, TrackerToNode::Registered(_)), "{granted:?}");
    assert_eq!(scene.tracker.address_of(node(3)), Some(claimant));
}

/// A call to the tracker asks for memory, or gives some back, so often at most, and holds so many bytes of it at once.
/// Taking out one content with its name does so about three times.
const CALLS_A_STEP: usize = 1000;
const HELD_A_STEP: isize = 16 << 10;

/// The most calls of the allocator in one call to the tracker, and the most bytes.
#[derive(Default)]
struct Steps {
    calls: usize,
    held: isize,
}

impl Steps {
    fn count(&mut self, act: impl FnOnce()) {
        let before = heap::calls();
        let held = heap::peak_of(act).1;
        self.calls = self.calls.max(heap::calls() - before);
        self.held = self.held.max(held);
    }
}

impl Scene {
    /// Sends `message`, if there is one, and lets the tracker do all that it then has to do at once.
    fn count(&mut self, said: Option<(SocketAddr, NodeToTracker)>) -> Steps {
        let mut steps = Steps::default();
        // What the answer and the events of a step need is there already.
        self.out.bytes.reserve(1 << 12);
        self.out.events.reserve(1 << 10);
        if let Some((from, message)) = said {
            self.bytes.clear();
            message.encode(Conversation(1), &mut self.bytes);
            steps.count(|| self.tracker.handle_datagram(from, None, &self.bytes, self.now));
        }
        for _ in 0..10_000 {
            self.out.clear();
            let mut reason = WaitReason::Nothing;
            steps.count(|| reason = self.tracker.poll(self.now, &mut self.out).reason);
            if reason != WaitReason::Removing {
                return steps;
            }
        }
        panic!("it is never done");
    }
}

/// Whatever becomes of a node that has a hundred thousand contents, no datagram and no wake-up walks over them: counted
/// are calls of the allocator, for what is freed one by one, and bytes, for lists of them.
#[test]
fn no_single_step_goes_through_all_that_a_node_has() {
    const CONTENTS: u32 = 99_000;
    let v6 = |last, port| SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last), port));
    let (home, next_door, far) = (v6(1, 7000), v6(2, 7001), address(9));
    let cases =
        ["leaves", "is silent", "begins anew", "said nothing again", "moves in its network", "moves far"];
    for case in cases {
        let mut scene = Scene::new(|settings| settings.limits.request_burst = 1_000_000);
        let asker = |cookie| Asker { node: node(1), cookie };
        let register = |cookie, epoch, contents, digest| -> NodeToTracker {
            Register { asker: asker(cookie), epoch: BootEpoch(epoch), contents, digest }.into()
        };
        let cookie = scene.cookie(home);
        scene.ask(home, &register(cookie, 1, 0, OwnDigest(0)));
        let (mut digest, numbers) = (OwnDigest(0), (0..CONTENTS).collect::<Vec<u32>>());
        for batch in numbers.chunks(12) {
            let entries: Vec<OwnEntry> =
                batch.iter().map(|&number| entry(number, &format!("file {number}"))).collect();
            entries.iter().for_each(|entry| digest.toggle(entry));
            scene.say(home, &Own { asker: asker(cookie), entries: List::first_of(entries) }.into());
        }
        assert_eq!(scene.tracker.contents(), CONTENTS as usize);
        let said = match case {
            "leaves" => Some((home, Exit { asker: asker(cookie), epoch: BootEpoch(1) }.into())),
            "is silent" => {
                scene.now += Duration::from_secs(100);
                None
            }
            "begins anew" => Some((home, register(cookie, 2, 0, OwnDigest(0)))),
            "said nothing again" => {
                scene.ask(home, &register(cookie, 1, 0, OwnDigest(0)));
                scene.now += Duration::from_secs(30);
                Some((home, register(cookie, 1, 0, OwnDigest(0))))
            }
            _ => {
                let to = if case == "moves far" { far } else { next_door };
                let again = register(scene.cookie(to), 2, CONTENTS, digest);
                scene.say(to, &again);
                scene.now += Duration::from_secs(1);
                Some((to, again))
            }
        };
        let Steps { calls, held } = scene.count(said);
        assert!(calls <= CALLS_A_STEP && held <= HELD_A_STEP, "{case}: {calls} calls, {held} bytes");
        let stays = if case == "moves in its network" { CONTENTS } else { 0 };
        assert_eq!(scene.tracker.contents(), stays as usize, "{case}");
    }
}
