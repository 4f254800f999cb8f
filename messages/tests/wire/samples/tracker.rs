//! Samples of what nodes and trackers say to each other.

use std::net::{Ipv4Addr, Ipv6Addr};

use messages::node_to_tracker::{
    Credit, Exit, Need, Own, OwnDigest, OwnEntry, Permille, Query, Register, TrackerPong, Update,
};
use messages::tracker_to_node::{
    ContentOwners, Goodbye, Listed, Listing, Owned, Owner, Owners, RefusalCode, Refused, Registered,
    TrackerPing, Updated,
};
use messages::{
    BootEpoch, Cursor, Digits, Endpoint, Kind, List, Name, NodeId, NodeToTracker, PageEnd, Prefix,
    TrackerToNode,
};

use super::{Sample, asker, content, cookie};

/// What nodes say to trackers.
pub(super) fn to_tracker() -> Vec<Sample> {
    let sample = |title, kind, message: NodeToTracker, body: Vec<(&'static str, Vec<u8>)>| {
        Sample::new(title, kind, message, asker_bytes().into_iter().chain(body))
    };
    let need = |title, query, body| sample(title, Kind::Need, Need { asker: asker(), query }.into(), body);
    let register = Register { asker: asker(), epoch: BootEpoch(0x51), contents: 3, digest: OwnDigest(0x52) };
    let own = Own { asker: asker(), entries: List::first_of([own_entry()]) };
    let credits = List::first_of([Credit { owner: NodeId::from_bytes([0x33; 16]), bytes: 1 << 40 }]);
    let update = Update { asker: asker(), sequence: 7, content: content(), credits };
    vec![
        sample(
            "REGISTER",
            Kind::Register,
            register.into(),
            vec![
                ("epoch", vec![0x51, 0, 0, 0, 0, 0, 0, 0]),
                ("contents", vec![3, 0, 0, 0]),
                ("digest", vec![0x52, 0, 0, 0, 0, 0, 0, 0]),
            ],
        ),
        sample(
            "OWN",
            Kind::Own,
            own.into(),
            vec![
                ("count", vec![1, 0]),
                ("entries[0].content", vec![0xcc; 32]),
                ("entries[0].length", vec![0, 0, 0, 0, 1, 0, 0, 0]),
                ("entries[0].permille", vec![0xf4, 0x01]),
                ("entries[0].withdrawn", vec![1]),
                ("entries[0].name", name_bytes()),
            ],
        ),
        need(
            "NEED: Content",
            Query::Content(content()),
            vec![("query", vec![0, 0, 0, 0]), ("content", vec![0xcc; 32])],
        ),
        need("NEED: Name", Query::Name(name()), vec![("query", vec![1, 0, 0, 0]), ("name", name_bytes())]),
        need(
            "NEED: Search",
            Query::Search { prefix: prefix(), after: Some(cursor()) },
            vec![
                ("query", vec![2, 0, 0, 0]),
                ("prefix", vec![2, b'a', b' ']),
                ("after", vec![1]),
                ("after.tier", vec![6]),
                ("after.name", name_bytes()),
                ("after.hosts", vec![5, 0, 0, 0]),
                ("after.number", vec![0x5a, 0, 0, 0, 0, 0, 0, 0]),
            ],
        ),
        need(
            "NEED: Search from the start",
            Query::Search { prefix: Prefix::default(), after: None },
            vec![("query", vec![2, 0, 0, 0]), ("prefix", vec![0]), ("after", vec![0])],
        ),
        need(
            "NEED: Digits",
            Query::Digits(digits()),
            vec![("query", vec![3, 0, 0, 0]), ("digits", digits_bytes())],
        ),
        need(
            "NEED: Newest",
            Query::Newest(name()),
            vec![("query", vec![4, 0, 0, 0]), ("name", name_bytes())],
        ),
        need(
            "NEED: NameFrom",
            Query::NameFrom { name: name(), from: content() },
            vec![("query", vec![5, 0, 0, 0]), ("name", name_bytes()), ("from", vec![0xcc; 32])],
        ),
        sample(
            "UPDATE",
            Kind::Update,
            update.into(),
            vec![
                ("sequence", vec![7, 0, 0, 0]),
                ("content", vec![0xcc; 32]),
                ("count", vec![1, 0]),
                ("credits[0].owner", vec![0x33; 16]),
                ("credits[0].bytes", vec![0, 0, 0, 0, 0, 1, 0, 0]),
            ],
        ),
        sample(
            "EXIT",
            Kind::Exit,
            Exit { asker: asker(), epoch: BootEpoch(0x51) }.into(),
            vec![("epoch", vec![0x51, 0, 0, 0, 0, 0, 0, 0])],
        ),
        Sample::new(
            "PONG to a tracker",
            Kind::TrackerPong,
            NodeToTracker::from(TrackerPong { nonce: 0x53 }),
            [("nonce", vec![0x53, 0, 0, 0, 0, 0, 0, 0])],
        ),
    ]
}

/// What trackers say.
pub(super) fn from_tracker() -> Vec<Sample> {
    let sample = |title, kind, message: TrackerToNode, body: Vec<(&'static str, Vec<u8>)>| {
        Sample::new(title, kind, message, body)
    };
    let observed = Endpoint::new((Ipv4Addr::new(192, 0, 2, 1), 0x3039).into());
    let registered =
        Registered { cookie: cookie(), tracker_epoch: 0x54, interval_ms: 20_000, resync: true, observed };
    let refused = Refused { code: RefusalCode::TooFast, retry_after_ms: 250, cookie: cookie() };
    let endpoint = Endpoint::new((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 0x3039).into());
    let owner = Owner { node: NodeId::from_bytes([0x33; 16]), endpoint, permille: Permille::COMPLETE };
    let owners = ContentOwners { content: listed(), owners: List::first_of([owner]) };
    let listing =
        Listing { contents: List::first_of([listed()]), more: Some(PageEnd { tier: 6, number: 0x5a }) };
    vec![
        sample(
            "REGISTERED",
            Kind::Registered,
            registered.into(),
            vec![
                ("cookie", vec![0x22; 16]),
                ("tracker_epoch", vec![0x54, 0, 0, 0, 0, 0, 0, 0]),
                ("interval_ms", vec![0x20, 0x4e, 0, 0]),
                ("resync", vec![1]),
                ("observed.ip", vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]),
                ("observed.port", vec![0x39, 0x30]),
            ],
        ),
        sample("OWNED", Kind::Owned, Owned { accepted: 1 }.into(), vec![("accepted", vec![1, 0])]),
        sample(
            "OWNERS: Unknown",
            Kind::Owners,
            Owners::Unknown { whole_in_ms: 25_000 }.into(),
            vec![("answer", vec![0, 0, 0, 0]), ("whole_in_ms", 25_000_u32.to_le_bytes().to_vec())],
        ),
        sample(
            "OWNERS: Content",
            Kind::Owners,
            Owners::Content(owners).into(),
            vec![
                ("answer", vec![1, 0, 0, 0]),
                ("content", vec![0xcc; 32]),
                ("length", vec![0, 0, 0, 0, 1, 0, 0, 0]),
                ("complete", vec![9, 0, 0, 0]),
                ("partial", vec![4, 0, 0, 0]),
                ("hosts", vec![5, 0, 0, 0]),
                ("age_s", vec![60, 0, 0, 0]),
                ("name", name_bytes()),
                ("count", vec![1, 0]),
                ("chosen[0].node", vec![0x33; 16]),
                ("chosen[0].ip", vec![0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
                ("chosen[0].port", vec![0x39, 0x30]),
                ("chosen[0].permille", vec![0xe8, 0x03]),
            ],
        ),
        sample(
            "OWNERS: Contents",
            Kind::Owners,
            Owners::Contents(listing).into(),
            vec![
                ("answer", vec![2, 0, 0, 0]),
                ("count", vec![1, 0]),
                ("contents[0].content", vec![0xcc; 32]),
                ("contents[0].length", vec![0, 0, 0, 0, 1, 0, 0, 0]),
                ("contents[0].complete", vec![9, 0, 0, 0]),
                ("contents[0].partial", vec![4, 0, 0, 0]),
                ("contents[0].hosts", vec![5, 0, 0, 0]),
                ("contents[0].age_s", vec![60, 0, 0, 0]),
                ("contents[0].name", name_bytes()),
                ("more", vec![1]),
                ("more.tier", vec![6]),
                ("more.number", vec![0x5a, 0, 0, 0, 0, 0, 0, 0]),
            ],
        ),
        sample(
            "UPDATED",
            Kind::Updated,
            Updated { sequence: 7 }.into(),
            vec![("sequence", vec![7, 0, 0, 0])],
        ),
        sample("GOODBYE", Kind::Goodbye, Goodbye.into(), vec![]),
        sample(
            "REFUSED",
            Kind::Refused,
            refused.into(),
            vec![
                ("code", vec![3, 0, 0, 0]),
                ("retry_after_ms", vec![250, 0, 0, 0]),
                ("cookie", vec![0x22; 16]),
            ],
        ),
        sample(
            "PING of a tracker",
            Kind::TrackerPing,
            TrackerPing { nonce: 0x53 }.into(),
            vec![("nonce", vec![0x53, 0, 0, 0, 0, 0, 0, 0])],
        ),
    ]
}

fn asker_bytes() -> Vec<(&'static str, Vec<u8>)> {
    vec![("node", vec![0x11; 16]), ("cookie", vec![0x22; 16])]
}

fn name() -> Name {
    Name::new("a ü.txt").expect("a name")
}

fn name_bytes() -> Vec<u8> {
    vec![8, b'a', b' ', 0xc3, 0xbc, b'.', b't', b'x', b't']
}

fn digits() -> Digits {
    Digits::new("00c0FFee9").expect("digits")
}

fn digits_bytes() -> Vec<u8> {
    [&[9], "00c0FFee9".as_bytes()].concat()
}

fn prefix() -> Prefix {
    Prefix::new("a ").expect("a prefix")
}

fn own_entry() -> OwnEntry {
    OwnEntry {
        content: content(),
        length: 1 << 32,
        permille: Permille::of(1, 2),
        withdrawn: true,
        name: name(),
    }
}

fn cursor() -> Cursor {
    Cursor { tier: 6, name: name(), hosts: 5, number: 0x5a }
}

fn listed() -> Listed {
    Listed { content: content(), length: 1 << 32, complete: 9, partial: 4, hosts: 5, age_s: 60, name: name() }
}
