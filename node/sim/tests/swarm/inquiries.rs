//! Inquiries, which ask a tracker without joining it: against real tables, on a path that loses every third answer.

use std::net::SocketAddr;
use std::time::Duration;

use config::TrackerSettings;
use messages::node_to_tracker::{Asker, Own, OwnDigest, OwnEntry, Permille, Register};
use messages::tracker_to_node::Listed;
use messages::{
    BootEpoch, ContentId, Conversation, Cookie, Datagram, Digits, List, Name, NodeId, NodeToTracker, Prefix,
    Timestamp, TrackerToNode,
};
use riffle_core::{Inquiry, InquiryEnd, InquiryStep, Question, Wanted};
use tracker::{Output, Tracker};

const TIMEOUT: Duration = Duration::from_secs(5);

fn start() -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(100)
}

fn all(prefix: &str) -> Question {
    Question::All(Prefix::new(prefix).expect("short"))
}

fn content(number: u16) -> ContentId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    ContentId::from_bytes(bytes)
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// A tracker, and one node that owns the given contents.
struct Scene {
    tracker: Tracker,
    now: Timestamp,
}

impl Scene {
    fn with(entries: &[(u16, &str, u32)]) -> Scene {
        let tracker = Tracker::new(TrackerSettings::default(), [1; 32], 1, start()).without_past();
        let mut scene = Scene { tracker, now: start() };
        let address = SocketAddr::from(([10, 0, 0, 1], 7000));
        let mut asker = Asker { node: NodeId::from_bytes([1; 16]), cookie: Cookie::NONE };
        let register = |asker| Register { asker, epoch: BootEpoch(1), contents: 0, digest: OwnDigest(0) };
        if let TrackerToNode::Refused(refused) = scene.exchange(address, register(asker).into()) {
            asker.cookie = refused.cookie;
        }
        scene.exchange(address, register(asker).into());
        for batch in entries.chunks(10) {
            let entry = |&(number, text, have): &(u16, &str, u32)| OwnEntry {
                content: content(number),
                length: 1,
                permille: Permille::of(have, 1000),
                withdrawn: false,
                name: name(text),
            };
            let own = Own { asker, entries: List::first_of(batch.iter().map(entry)) };
            scene.exchange(address, own.into());
        }
        scene
    }

    fn exchange(&mut self, from: SocketAddr, message: NodeToTracker) -> TrackerToNode {
        let mut datagram = Vec::new();
        message.encode(Conversation(1), &mut datagram);
        match Datagram::decode(&self.carry(from, &datagram)) {
            Ok(Datagram::FromTracker(_, answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn carry(&mut self, from: SocketAddr, datagram: &[u8]) -> Vec<u8> {
        let mut out = Output::default();
        self.tracker.handle_datagram(from, None, datagram, self.now);
        self.tracker.poll(self.now, &mut out);
        let answers: Vec<Vec<u8>> = out.datagrams().map(|(_, bytes)| bytes.to_vec()).collect();
        answers.into_iter().next().expect("an answer")
    }

    /// Everything that `question` finds when every third answer is lost, and how the inquiry ends.
    fn ask(&mut self, question: Question) -> (Vec<Listed>, InquiryEnd) {
        let mut inquiry = Inquiry::new(question, NodeId::from_bytes([0xee; 16]), 70, TIMEOUT, self.now);
        let from = SocketAddr::from(([10, 0, 0, 9], 9000));
        let (mut found, mut sent) = (Vec::new(), 0);
        loop {
            let mut datagram = Vec::new();
            match inquiry.poll(self.now, &mut datagram) {
                InquiryStep::Send => {
                    sent += 1;
                    let answer = self.carry(from, &datagram);
                    if sent % 3 != 0 {
                        inquiry.handle_datagram(&answer, self.now);
                    }
                }
                InquiryStep::Wait(until) => self.now = until,
                InquiryStep::Found(more) => found.extend(more),
                InquiryStep::Over(end) => return (found, end),
            }
        }
    }
}

const ALL_OF_IT: InquiryEnd = InquiryEnd::Answered { may_still_come: Duration::ZERO };

#[test]
fn all_pages_are_asked_for_and_nobody_joins() {
    let names: Vec<String> = (0..100).map(|number| format!("file-{number:03}")).collect();
    let entries: Vec<(u16, &str, u32)> =
        (0..).zip(&names).map(|(number, name)| (number, name.as_str(), 1000)).collect();
    let mut scene = Scene::with(&entries);
    let (found, end) = scene.ask(all("file-0"));
    assert_eq!(end, ALL_OF_IT);
    assert_eq!(found.iter().map(|listed| listed.name.as_str()).collect::<Vec<_>>(), names);
    assert_eq!(scene.ask(all("g")), (Vec::new(), ALL_OF_IT));
    assert_eq!(scene.tracker.nodes(), 1, "asking is not joining");
}

#[test]
fn what_is_meant_is_found_by_id_by_its_beginning_and_by_name() {
    let mut scene = Scene::with(&[(0x0102, "lab.img", 1000), (0x0304, "lab.img", 10), (5, "a", 1000)]);
    let mut ids = |wanted: Wanted| -> Vec<ContentId> {
        let (found, end) = scene.ask(Question::Meant(wanted));
        assert_eq!(end, ALL_OF_IT);
        found.iter().map(|listed| listed.content).collect()
    };
    let both = [content(0x0102), content(0x0304)];
    assert_eq!(ids(Wanted::Name(name("lab.img"), String::new())), both);
    assert_eq!(ids(Wanted::Name(name("lab.img"), "0304".to_owned())), both[1..]);
    assert_eq!(ids(Wanted::Name(name("lab.img"), "0506".to_owned())), []);
    assert_eq!(ids(Wanted::Newest(name("lab.img"))), [both[1], both[0]], "the newest first");
    assert_eq!(ids(Wanted::Content(content(5))), [content(5)]);
    assert_eq!(ids(Wanted::Content(content(6))), []);
    assert_eq!(ids(Wanted::Digits(Digits::new("01020000").expect("digits"))), both[..1]);
}
