//! Names that move, that appear late, and resolvers that hang. No test asks a real resolver.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;

/// What a test says of names and trackers, and changes.
#[derive(Default)]
struct Told {
    /// Where any name leads; `None`: it cannot be resolved.
    leads: Mutex<Option<Vec<SocketAddr>>>,
    answering: Mutex<Vec<SocketAddr>>,
}

impl Told {
    fn leads(&self, addresses: &[SocketAddr]) {
        *self.leads.lock().expect("not poisoned") = Some(addresses.to_vec());
    }

    fn answering(&self, addresses: &[SocketAddr]) {
        *self.answering.lock().expect("not poisoned") = addresses.to_vec();
    }
}

impl Directory for Told {
    fn resolve(&self, _: &TrackerAddress) -> io::Result<Vec<SocketAddr>> {
        let known = self.leads.lock().expect("not poisoned").clone();
        known.ok_or_else(|| io::Error::other("no such host"))
    }

    fn answers(&self, address: SocketAddr) -> bool {
        self.answering.lock().expect("not poisoned").contains(&address)
    }
}

fn at(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 12345))
}

/// A name whose first look has come to its end.
fn look_up(told: &Arc<Told>, listen: IpAddr) -> TrackerName {
    let mut name = TrackerName::look_up("tk:12345".parse().expect("a name"), listen, told.clone());
    settle(&mut name, Instant::now());
    name
}

fn any() -> IpAddr {
    Ipv6Addr::UNSPECIFIED.into()
}

fn settle(name: &mut TrackerName, now: Instant) -> bool {
    let mut moved = false;
    while name.look.is_some() {
        moved |= name.follow(now);
        thread::yield_now();
    }
    moved
}

/// Lets the look that is due by `now` come to its end; whether the tracker is elsewhere after it.
fn follow(name: &mut TrackerName, now: Instant) -> bool {
    name.follow(now) | settle(name, now)
}

#[test]
fn a_tracker_that_moves_is_followed_when_it_falls_silent() {
    let told = Arc::new(Told::default());
    told.leads(&[at(1)]);
    let mut name = look_up(&told, any());
    assert_eq!(name.address(), Some(at(1)));
    let now = Instant::now();
    name.on_answer(now);
    told.leads(&[at(2)]);
    told.answering(&[at(2)]);
    assert!(!follow(&mut name, now + Duration::from_secs(1)), "nothing is due while it answers");
    name.on_silence(now);
    assert!(follow(&mut name, now));
    assert_eq!(name.address(), Some(at(2)));
}

#[test]
fn a_name_that_leads_elsewhere_is_noticed_although_the_old_tracker_still_answers() {
    let told = Arc::new(Told::default());
    told.leads(&[at(1)]);
    told.answering(&[at(1), at(2)]);
    let mut name = look_up(&told, any());
    let now = Instant::now();
    name.on_answer(now);
    told.leads(&[at(2)]);
    assert!(!follow(&mut name, now + LOOK_AGAIN / 2));
    assert!(follow(&mut name, now + LOOK_AGAIN));
    assert_eq!(name.address(), Some(at(2)));
}

#[test]
fn a_name_that_appears_late_is_found_when_it_does_and_until_then_the_reason_is_known() {
    let told = Arc::new(Told::default());
    let mut name = look_up(&told, any());
    assert_eq!((name.address(), name.trouble()), (None, Some("its name cannot be resolved (no such host)")));
    let mut rests = Vec::new();
    for _ in 0..8 {
        let now = name.due;
        assert!(!follow(&mut name, now));
        rests.push(name.due.saturating_duration_since(now));
    }
    assert!(rests.iter().all(|rest| *rest <= MAX_REST) && rests[7] > rests[0], "{rests:?}");
    told.leads(&[at(1)]);
    let now = name.due;
    assert!(follow(&mut name, now));
    assert_eq!((name.address(), name.trouble()), (Some(at(1)), None));
    assert_eq!(name.due, now + LOOK_AGAIN, "it is known where it is");
}

#[test]
fn a_resolver_that_hangs_holds_up_nothing_and_its_late_answer_counts() {
    struct Hangs(Mutex<Receiver<()>>);
    impl Directory for Hangs {
        fn resolve(&self, _: &TrackerAddress) -> io::Result<Vec<SocketAddr>> {
            // Ends when the test lets go of the other end.
            let _ = self.0.lock().expect("not poisoned").recv();
            Ok(vec![at(1)])
        }

        fn answers(&self, _: SocketAddr) -> bool {
            false
        }
    }
    let (let_go, held) = channel();
    let hangs = Arc::new(Hangs(Mutex::new(held)));
    let mut name = TrackerName::look_up("tk".parse().expect("a name"), any(), hangs);
    assert_eq!((name.address(), name.trouble()), (None, None), "the node starts without");
    let now = Instant::now() + LOOK_AGAIN * 2;
    assert!(!name.follow(now) && !name.follow(now));
    drop(let_go);
    assert!(follow(&mut name, now));
    assert_eq!(name.address(), Some(at(1)));
}

#[test]
fn of_several_addresses_and_families_the_one_that_answers_is_taken() {
    let six = SocketAddr::from((Ipv6Addr::LOCALHOST, 12345));
    let told = Arc::new(Told::default());
    told.leads(&[six, at(1), at(2)]);
    told.answering(&[at(2)]);
    assert_eq!(look_up(&told, any()).address(), Some(at(2)));
    told.answering(&[six, at(2)]);
    assert_eq!(look_up(&told, any()).address(), Some(six));
    let four = Ipv4Addr::LOCALHOST.into();
    assert_eq!(look_up(&told, four).address(), Some(at(2)));
    told.leads(&[six]);
    let name = look_up(&told, four);
    assert_eq!(name.address(), None);
    assert_eq!(
        name.trouble(),
        Some("it has no address that can be reached from the listening address 127.0.0.1")
    );
}

#[test]
fn a_resolver_that_fails_for_a_while_takes_nothing_away() {
    let told = Arc::new(Told::default());
    told.leads(&[at(1)]);
    let mut name = look_up(&told, any());
    *told.leads.lock().expect("not poisoned") = None;
    name.on_silence(Instant::now());
    assert!(!follow(&mut name, Instant::now()));
    assert_eq!(name.address(), Some(at(1)));
}

#[test]
fn a_key_may_stand_before_the_name_and_nothing_else_may() {
    let key = PublicKey::from_bytes([7; 32]);
    let named = |text: &str| text.parse::<NamedTracker>();
    let address: TrackerAddress = "tk:1".parse().expect("a name");
    assert_eq!(named("tk:1"), Ok(address.clone().into()));
    let with_key = NamedTracker { address, key: Some(key) };
    assert_eq!(named(&format!("{key}@tk:1")), Ok(with_key.clone()));
    assert_eq!(with_key.to_string(), format!("{key}@tk:1"), "as it is typed");
    assert_eq!(named(&format!("{key}@tk")).map(|named| named.address.port()), Ok(12345));
    for wrong in ["@tk:1", "me@tk:1", &format!("{}@tk:1", &key.to_string()[1..]), &format!("{key}@@tk:1")] {
        assert!(named(wrong).is_err(), "{wrong}");
    }
    assert!(matches!(named(&format!("{key}@")), Err(NamedTrackerError::Address(_))));
    let said = named("me@tk:1").expect_err("no key").to_string();
    assert_eq!(said, "what stands before the @ is no key: a public key is 52 characters: a to z and 2 to 7");
}

proptest! {
    /// Nobody who answers where the name leads: the tracker stays where it was if the name still leads there. One who
    /// does is always taken, and a tracker that answers where the name leads is never left.
    #[test]
    fn the_tracker_is_where_the_name_leads_and_one_answers(
        present in prop::option::of(0u8..5),
        addresses in prop::collection::vec(0u8..5, 1..5),
        answering in prop::collection::vec(0u8..5, 0..5),
    ) {
        let found = Found {
            addresses: addresses.iter().copied().map(at).collect(),
            answering: answering.iter().copied().map(at).collect(),
        };
        let present = present.map(at);
        let chosen = choose(present, &found).expect("there is an address");
        let listed_and_answering: Vec<SocketAddr> =
            found.addresses.iter().copied().filter(|address| found.answering.contains(address)).collect();
        match present {
            Some(present) if listed_and_answering.contains(&present) => prop_assert_eq!(chosen, present),
            _ if !listed_and_answering.is_empty() => prop_assert_eq!(chosen, listed_and_answering[0]),
            Some(present) if found.answering.contains(&present) || found.addresses.contains(&present) => {
                prop_assert_eq!(chosen, present);
            }
            _ => prop_assert_eq!(chosen, found.addresses[0]),
        }
    }
}
