//! Several swarms behind one socket: what is said in one is not known in another.

use channel::{
    ChannelSettings, Channels, Encryption, Policy, Received, Role, StaticKey, Suite, SwarmSecret,
    SwarmSecrets,
};
use config::LimitSettings;
use messages::Kind;

use super::*;
use crate::Swarms;

/// The number of a closed swarm; `None`: the open one.
type SwarmNumber = Option<u8>;

const OPEN: SwarmNumber = None;
const A: SwarmNumber = Some(1);
const B: SwarmNumber = Some(2);

fn secret(swarm: SwarmNumber) -> SwarmSecret {
    swarm.map_or_else(SwarmSecret::open, |number| SwarmSecret::from_bytes([number; 32]))
}

/// Nothing of a closed swarm is in the clear, and of the open one only what this host says.
fn policy(swarm: SwarmNumber) -> Policy {
    let open = Policy { elsewhere: Encryption::Always, loopback: Encryption::Prefer };
    if swarm.is_some() { Policy::SEALED } else { open }
}

fn channels(key: u8, role: Role, swarm: SwarmNumber) -> Channels {
    Channels::new(ChannelSettings {
        key: StaticKey::from_secret([key; 32]),
        swarm: secret(swarm),
        policy: policy(swarm),
        role,
        max_channels: 64,
        max_channels_per_host: 8,
        epoch: BootEpoch(1),
        secret: [key ^ swarm.unwrap_or(0x80); 32],
        suite: Suite::Aes128Gcm,
    })
}

/// A process that serves several swarms, and its time.
struct Process {
    swarms: Swarms,
    now: Timestamp,
    outs: Vec<Output>,
}

impl Process {
    fn of(served: &[SwarmNumber]) -> Process {
        Process::with_limits(served, LimitSettings::default())
    }

    fn with_limits(served: &[SwarmNumber], limits: LimitSettings) -> Process {
        let settings = TrackerSettings { limits, ..TrackerSettings::default() };
        let mut trackers = served.iter().zip(1..).map(|(&swarm, number)| {
            let mut tracker = Tracker::new(settings.clone(), [number; 32], number.into(), Timestamp::ZERO);
            // One process has one key.
            tracker.seal_with(channels(200, Role::Tracker, swarm));
            tracker
        });
        let mut swarms = Swarms::of(trackers.next().expect("one is served"));
        trackers.for_each(|tracker| swarms.add(tracker));
        Process { swarms, now: Timestamp::ZERO + Duration::from_secs(1000), outs: Vec::new() }
    }

    /// Takes a datagram. Returns what is answered, and to whom.
    fn take(&mut self, from: SocketAddr, datagram: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        self.swarms.handle(from, None, &mut datagram.to_vec(), self.now);
        self.outs.iter_mut().for_each(Output::clear);
        self.swarms.poll(self.now, &mut self.outs);
        let sent = self.outs.iter().flat_map(Output::datagrams);
        sent.map(|(outgoing, bytes)| (outgoing.to, bytes.to_vec())).collect()
    }

    /// How many nodes and contents each swarm has.
    fn sizes(&self) -> Vec<(usize, usize)> {
        self.swarms.trackers().iter().map(|tracker| (tracker.nodes(), tracker.contents())).collect()
    }
}

/// A node of one swarm, as the tests drive it.
struct Member {
    channels: Channels,
    client: Client,
    /// The bytes of all that it was sent.
    heard: Vec<Vec<u8>>,
}

impl Member {
    fn of(swarm: SwarmNumber, number: u8) -> Member {
        let channels = channels(number, Role::Node, swarm);
        let client = Client { id: channels.node_id(), ..client(number.into()) };
        Member { channels, client, heard: Vec::new() }
    }

    fn tracker() -> SocketAddr {
        SocketAddr::new(TRACKER_IP.parse().unwrap(), 12345)
    }

    /// Says something over its channel with the tracker, which it opens if it has none. Returns the answer.
    fn ask(&mut self, process: &mut Process, message: &NodeToTracker) -> Option<TrackerToNode> {
        let (mut plain, mut sealed) = (Vec::new(), Vec::new());
        message.encode(Conversation(77), &mut plain);
        let mut leaving: Vec<Vec<u8>> = Vec::new();
        if self.channels.seal(Member::tracker(), &plain, process.now, &mut sealed) {
            leaving.push(sealed);
        }
        let mut answer = None;
        for _ in 0..4 {
            leaving.extend(self.channels.take_outbox().into_iter().map(|(_, bytes)| bytes));
            for bytes in std::mem::take(&mut leaving) {
                for (to, mut bytes) in process.take(self.client.address, &bytes) {
                    assert_eq!(to, self.client.address, "nobody else is told anything");
                    self.heard.push(bytes.clone());
                    let opened = match self.channels.handle(Member::tracker(), &mut bytes, process.now) {
                        Received::Opened { range, .. } => bytes[range].to_vec(),
                        _ => continue,
                    };
                    let Ok(Datagram::FromTracker(Conversation(77), message)) = Datagram::decode(&opened)
                    else {
                        panic!("not an answer: {opened:?}")
                    };
                    assert!(answer.replace(message).is_none(), "two answers");
                }
            }
        }
        answer
    }

    fn joined(process: &mut Process, swarm: SwarmNumber, number: u8) -> Member {
        let mut member = Member::of(swarm, number);
        let register = member.client.register();
        let answer = member.ask(process, &register);
        assert!(matches!(answer, Some(TrackerToNode::Registered(_))), "{answer:?}");
        member
    }

    fn own(&mut self, process: &mut Process, entries: &[OwnEntry]) -> u16 {
        let own = self.client.own(entries);
        match self.ask(process, &own) {
            Some(TrackerToNode::Owned(owned)) => owned.accepted,
            other => panic!("{other:?}"),
        }
    }

    fn need(&mut self, process: &mut Process, query: Query) -> Owners {
        let need = self.client.need(query);
        match self.ask(process, &need) {
            Some(TrackerToNode::Owners(owners)) => owners,
            other => panic!("{other:?}"),
        }
    }

    /// The names that it is told of, and the owners of content 1.
    fn view(&mut self, process: &mut Process) -> (Vec<String>, Vec<NodeId>) {
        let all = self.need(process, Query::Search { prefix: Prefix::new("").unwrap(), after: None });
        let names = match all {
            Owners::Contents(listing) => {
                listing.contents.iter().map(|listed| listed.name.as_str().to_owned()).collect()
            }
            Owners::Unknown { .. } => Vec::new(),
            other => panic!("{other:?}"),
        };
        let owners = match self.need(process, Query::Content(content(1))) {
            Owners::Content(found) => found.owners.iter().map(|owner| owner.node).collect(),
            Owners::Unknown { .. } => Vec::new(),
            other => panic!("{other:?}"),
        };
        (names, owners)
    }
}

#[test]
fn two_swarms_with_the_same_contents_and_names_are_told_nothing_of_each_other() {
    let mut process = Process::of(&[OPEN, A, B]);
    let mut members: Vec<Member> =
        [OPEN, A, B].into_iter().zip(10..).map(|(swarm, n)| Member::joined(&mut process, swarm, n)).collect();
    let mut askers: Vec<Member> =
        [OPEN, A, B].into_iter().zip(20..).map(|(swarm, n)| Member::joined(&mut process, swarm, n)).collect();
    for (member, own) in members.iter_mut().zip(["open", "first", "second"]) {
        let entries = [entry(1, "the same", 1000), entry(2, own, 1000)];
        assert_eq!(member.own(&mut process, &entries), 2);
    }
    assert_eq!(process.sizes(), [(2, 2); 3]);
    for ((asker, member), own) in askers.iter_mut().zip(&members).zip(["open", "first", "second"]) {
        let (mut names, owners) = asker.view(&mut process);
        names.sort();
        let mut expected = ["the same".to_owned(), own.to_owned()];
        expected.sort();
        assert_eq!((names, owners), (expected.to_vec(), vec![member.client.id]));
    }
    // Who leaves one swarm leaves no other.
    let exit = members[1].client.exit();
    assert!(matches!(members[1].ask(&mut process, &exit), Some(TrackerToNode::Goodbye(_))));
    process.swarms.poll(process.now, &mut process.outs);
    assert_eq!(process.sizes(), [(2, 2), (1, 0), (2, 2)]);
}

#[test]
fn a_node_may_have_the_same_key_and_address_in_two_swarms() {
    let mut process = Process::of(&[A, B]);
    let mut both = [A, B].map(|swarm| Member::joined(&mut process, swarm, 30));
    assert_eq!(both[0].client.id, both[1].client.id);
    assert_eq!(both[1].own(&mut process, &[entry(1, "second", 1000)]), 1);
    assert_eq!(both[0].view(&mut process), (vec![], vec![]));
    assert_eq!(both[1].view(&mut process).0, ["second"]);
    assert_eq!(process.sizes(), [(1, 0), (1, 1)]);
}

#[test]
fn a_stranger_gets_no_answer_whatever_is_said_and_however() {
    let mut process = Process::of(&[A, B]);
    let mut member = Member::joined(&mut process, A, 10);
    assert_eq!(member.own(&mut process, &[entry(1, "film", 1000)]), 1);
    let mut stranger = Member::of(Some(9), 11);
    let register = stranger.client.register();
    assert_eq!(stranger.ask(&mut process, &register), None);
    let mut open = Member::of(OPEN, 12);
    assert_eq!(open.ask(&mut process, &register), None);
    assert!(stranger.heard.is_empty() && open.heard.is_empty());
    // In the clear, from this host too, and what looks sealed, from where a member is.
    let mut plain = Vec::new();
    register.encode(Conversation(1), &mut plain);
    let mut sealed = plain.clone();
    sealed[3] = Kind::Sealed as u8;
    sealed.resize(200, 7);
    let here = SocketAddr::from(([127, 0, 0, 1], 9));
    for from in [here, stranger.client.address, member.client.address] {
        for bytes in [&plain, &sealed, &member.heard[0]] {
            assert_eq!(process.take(from, bytes), [], "{from}");
        }
    }
    assert_eq!(process.sizes(), [(1, 1), (0, 0)]);
    assert!(!process.swarms.is_open());
}

#[test]
fn beside_the_open_swarm_a_closed_one_stays_silent_to_strangers() {
    let mut process = Process::of(&[OPEN, A]);
    assert!(process.swarms.is_open());
    let mut member = Member::joined(&mut process, A, 10);
    assert_eq!(member.own(&mut process, &[entry(1, "film", 1000)]), 1);
    // In the clear within this host: it is the open swarm that answers.
    let mut near = client_at(12, SocketAddr::from(([127, 0, 0, 1], 9)));
    let ask = |process: &mut Process, client: &Client, message: &NodeToTracker| {
        let mut plain = Vec::new();
        message.encode(Conversation(1), &mut plain);
        let answers = process.take(client.address, &plain);
        answers.iter().find_map(|(_, bytes)| match Datagram::decode(bytes) {
            Ok(Datagram::FromTracker(_, message)) => Some(message),
            _ => None,
        })
    };
    let register = near.register();
    let Some(TrackerToNode::Refused(refused)) = ask(&mut process, &near, &register) else {
        panic!("no cookie yet")
    };
    near.cookie = refused.cookie;
    let need = near.need(Query::Name(Name::new("film").unwrap()));
    let answer = ask(&mut process, &near, &need);
    assert!(matches!(answer, Some(TrackerToNode::Owners(Owners::Unknown { .. }))), "{answer:?}");
    let mut open = Member::joined(&mut process, OPEN, 11);
    assert_eq!(open.view(&mut process), (vec![], vec![]));
    // Whom it has forgotten is told so in the open swarm alone, and a member of the closed one believes none of it.
    let mut junk = member.heard.last().expect("sealed").clone();
    junk[4..8].copy_from_slice(&[1, 2, 3, 4]);
    junk[3] = Kind::Sealed as u8;
    let told = process.take(member.client.address, &junk);
    assert_eq!(told.len(), 1, "the open swarm answers what looks sealed");
    let (_, mut unknown) = told[0].clone();
    assert_eq!(member.channels.handle(Member::tracker(), &mut unknown, process.now), Received::Nothing);
    assert_eq!(member.channels.len(), 1);
}

#[test]
fn each_swarm_has_the_limits_for_itself() {
    let limits = LimitSettings { max_nodes: 2, max_contents: 2, ..LimitSettings::default() };
    let mut process = Process::with_limits(&[A, B], limits);
    let mut first: Vec<Member> = (10..12).map(|n| Member::joined(&mut process, A, n)).collect();
    let mut late = Member::of(A, 12);
    let register = late.client.register();
    let refused = late.ask(&mut process, &register);
    assert!(matches!(refused, Some(TrackerToNode::Refused(Refused { code: RefusalCode::Full, .. }))));
    let entries = [entry(1, "one", 1000), entry(2, "two", 1000), entry(3, "three", 1000)];
    assert_eq!(first[0].own(&mut process, &entries), 2);
    let mut second = Member::joined(&mut process, B, 20);
    assert_eq!(second.own(&mut process, &entries), 2);
    assert_eq!(process.sizes(), [(2, 2), (1, 2)]);
}

#[test]
fn a_secret_that_is_changed_is_changed_in_its_own_swarm() {
    let mut process = Process::of(&[A, B]);
    let mut first = Member::joined(&mut process, A, 10);
    let mut second = Member::joined(&mut process, B, 20);
    process.swarms.change_secrets(0, &SwarmSecrets::from(secret(Some(7))));
    let register = first.client.register();
    assert_eq!(first.ask(&mut process, &register), None);
    let mut renewed = Member::of(Some(7), 11);
    let register = renewed.client.register();
    assert!(renewed.ask(&mut process, &register).is_some());
    let register = second.client.register();
    assert!(second.ask(&mut process, &register).is_some());
}

#[test]
fn the_earliest_wake_up_of_all_is_the_next_one() {
    let mut process = Process::of(&[A, B]);
    Member::joined(&mut process, B, 20);
    process.now += SECOND;
    Member::joined(&mut process, A, 10);
    let ends = |process: &mut Process| {
        let wait = process.swarms.poll(process.now, &mut process.outs);
        assert_eq!(wait.reason, WaitReason::LeaseEnds);
        wait.until
    };
    let first = ends(&mut process);
    process.now = first;
    process.swarms.poll(process.now, &mut process.outs);
    assert_eq!(ends(&mut process), first + SECOND);
    assert_eq!(process.sizes(), [(1, 0), (0, 0)]);
}
