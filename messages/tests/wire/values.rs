//! Cookies, instants, identities, digests, shares, lists.

use std::time::Duration;

use messages::node_to_tracker::{OwnDigest, OwnEntry, Permille};
use messages::{COOKIE_EPOCH, ContentId, Cookie, CookieJar, Endpoint, List, Name, NodeId, Timestamp};
use proptest::prelude::*;

use crate::strategies::{address, content, own_entry};

/// An instant with room for some epochs behind it.
fn instant() -> impl Strategy<Value = Timestamp> {
    (0..u64::MAX / 2).prop_map(Timestamp::from_nanos)
}

/// The start of the epoch that `at` is in.
fn epoch_of(at: Timestamp) -> Timestamp {
    let epoch = COOKIE_EPOCH.as_nanos() as u64;
    Timestamp::from_nanos(at.as_nanos() / epoch * epoch)
}

proptest! {
    #![proptest_config(crate::tries(256))]

    #[test]
    fn a_cookie_is_good_at_its_address_for_its_epoch_and_the_next(key: [u8; 32], at in address(), now in instant()) {
        let jar = CookieJar::new(key);
        let cookie = jar.bake(at, now);
        let start = epoch_of(now);
        let nanosecond = Duration::from_nanos(1);
        prop_assert!(jar.accepts(cookie, at, start));
        prop_assert!(jar.accepts(cookie, at, now));
        prop_assert!(jar.accepts(cookie, at, start + 2 * COOKIE_EPOCH - nanosecond));
        prop_assert!(!jar.accepts(cookie, at, start + 2 * COOKIE_EPOCH));
        prop_assert!(!jar.accepts(cookie, at, start + 256 * COOKIE_EPOCH), "its byte of epoch comes again");
        prop_assert!(start == Timestamp::ZERO || !jar.accepts(cookie, at, start - nanosecond));
    }

    #[test]
    fn a_cookie_is_good_nowhere_else(key: [u8; 32], at in address(), other in address(), now in instant()) {
        let jar = CookieJar::new(key);
        let cookie = jar.bake(at, now);
        let same = Endpoint::new(at) == Endpoint::new(other);
        prop_assert_eq!(jar.accepts(cookie, other, now), same);
        let next_port = std::net::SocketAddr::new(at.ip(), at.port().wrapping_add(1));
        prop_assert!(!jar.accepts(cookie, next_port, now));
        prop_assert!(jar.accepts(cookie, Endpoint::new(at).address(), now), "mapped IPv4 is IPv4");
        prop_assert!(!jar.accepts(Cookie::NONE, at, now));
        let mut other_key = key;
        other_key[0] ^= 1;
        prop_assert!(!CookieJar::new(other_key).accepts(cookie, at, now));
    }

    #[test]
    fn any_bytes_are_no_cookie(key: [u8; 32], at in address(), now in instant(), bytes: [u8; 16]) {
        prop_assert!(!CookieJar::new(key).accepts(Cookie::from_bytes(bytes), at, now));
    }

    #[test]
    fn wrapped_microseconds_measure_up_to_seventy_minutes(then in instant(), later in 0..u64::from(u32::MAX)) {
        let now = then + Duration::from_micros(later);
        prop_assert_eq!(now.since_wire_micros(then.wire_micros()), Duration::from_micros(later));
    }

    #[test]
    fn instants_add_up(at in instant(), nanos in 0..1u64 << 60) {
        let duration = Duration::from_nanos(nanos);
        prop_assert_eq!((at + duration).since(at), duration);
        prop_assert_eq!(at + duration - duration, at);
        prop_assert_eq!(at.since(at + duration), Duration::ZERO);
        prop_assert!(at + duration <= Timestamp::NEVER);
    }

    #[test]
    fn a_digest_forgets_order_and_takes_out_what_was_put_in(
        entries in proptest::collection::vec(own_entry(), 0..8).prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        one in own_entry(),
    ) {
        let (entries, shuffled) = entries;
        let digest = |entries: &[OwnEntry]| {
            let mut digest = OwnDigest::default();
            entries.iter().for_each(|entry| digest.toggle(entry));
            digest
        };
        prop_assert_eq!(digest(&entries), digest(&shuffled));
        let mut with_one = digest(&entries);
        with_one.toggle(&one);
        prop_assert_ne!(with_one, digest(&entries));
        with_one.toggle(&one);
        prop_assert_eq!(with_one, digest(&entries));
    }

    #[test]
    fn identities_are_read_as_they_are_printed(content in content(), node: [u8; 16], junk in "\\PC{0,70}") {
        let node = NodeId::from_bytes(node);
        prop_assert_eq!(content.to_string().parse(), Ok(content));
        prop_assert_eq!(content.to_string().to_uppercase().parse(), Ok(content));
        prop_assert_eq!(node.to_string().parse(), Ok(node));
        prop_assert!(content.to_string().starts_with(&content.short()));
        prop_assert!(content.to_string()[1..].parse::<ContentId>().is_err());
        prop_assert!(content.to_string().parse::<NodeId>().is_err());
        if let Ok(content) = junk.parse::<ContentId>() {
            prop_assert_eq!(content.to_string(), junk.to_lowercase());
        }
    }

    #[test]
    fn a_share_is_complete_only_when_it_is(have in 0..2_000_000u32, all in 0..1_048_576u32) {
        let share = Permille::of(have, all);
        prop_assert_eq!(share.is_complete(), have >= all);
        let rounded = (u64::from(have.min(all)) * 1000).checked_div(all.into()).unwrap_or(1000);
        prop_assert_eq!(u64::from(share.value()), rounded);
    }
}

#[test]
fn a_digest_is_over_id_share_and_name() {
    let entry = OwnEntry {
        content: ContentId::from_bytes([0xcc; 32]),
        length: 1,
        permille: Permille::of(1, 2),
        withdrawn: false,
        name: Name::new("a").expect("a name"),
    };
    let digest = |entry: &OwnEntry| {
        let mut digest = OwnDigest::default();
        digest.toggle(entry);
        digest
    };
    let preimage = [&[0xcc; 32][..], &[0xf4, 0x01], b"a"].concat();
    let hash = *blake3::hash(&preimage).as_bytes();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    assert_eq!(digest(&entry), OwnDigest(u64::from_le_bytes([a, b, c, d, e, f, g, h])));
    let name = Name::new("b").expect("a name");
    assert_ne!(digest(&entry), digest(&OwnEntry { name, ..entry.clone() }));
    assert_ne!(digest(&entry), digest(&OwnEntry { permille: Permille::COMPLETE, ..entry.clone() }));
}

#[test]
fn wire_micros_wrap() {
    let wrap_at = Timestamp::from_nanos((1 << 32) * 1000);
    assert_eq!((wrap_at.wire_micros(), (wrap_at - Duration::from_nanos(1)).wire_micros()), (0, u32::MAX));
    let before = wrap_at - Duration::from_micros(3);
    assert_eq!(
        (wrap_at + Duration::from_micros(4)).since_wire_micros(before.wire_micros()),
        Duration::from_micros(7)
    );
    assert_eq!(Timestamp::from_nanos(1999).wire_micros(), 1);
}

#[test]
fn instants_stop_at_their_ends() {
    assert_eq!(Timestamp::NEVER + Duration::from_nanos(1), Timestamp::NEVER);
    assert_eq!(Timestamp::ZERO + Duration::MAX, Timestamp::NEVER);
    assert_eq!(Timestamp::ZERO - Duration::from_nanos(1), Timestamp::ZERO);
    assert_eq!(Timestamp::NEVER - Duration::MAX, Timestamp::ZERO);
}

#[test]
fn identities_say_what_they_want() {
    let wrong = ["", "xyz", "é", &"g".repeat(64), &"+1".repeat(32), &"é".repeat(32)];
    for text in wrong {
        let error = text.parse::<ContentId>().expect_err("not an id");
        assert_eq!(error.to_string(), "an id is 64 hexadecimal digits");
    }
}

#[test]
fn cookies_and_jars_do_not_show_themselves() {
    let jar = CookieJar::new([7; 32]);
    let cookie = jar.bake(([192, 0, 2, 1], 1).into(), Timestamp::ZERO);
    assert_eq!(format!("{jar:?} {cookie:?} {:?}", Cookie::NONE), "CookieJar(..) Cookie(..) Cookie(none)");
}

#[test]
fn only_hosts_can_be_reached() {
    let reachable = |text: &str| Endpoint::new(text.parse().expect("an address")).is_reachable();
    for yes in ["192.0.2.1:1", "127.0.0.1:65535", "[::1]:1", "[2001:db8::1]:80", "[::ffff:192.0.2.1]:9"] {
        assert!(reachable(yes), "{yes}");
    }
    for no in ["192.0.2.1:0", "0.0.0.0:1", "[::]:1", "224.0.0.1:1", "[ff02::1]:1", "[::ffff:0.0.0.0]:1"] {
        assert!(!reachable(no), "{no}");
    }
}

#[test]
fn a_list_ends_at_its_limit() {
    let mut list = List::<u8, 2>::new();
    assert_eq!((list.push(1), list.push(2), list.push(3)), (Ok(()), Ok(()), Err(3)));
    assert!(list.is_full());
    assert_eq!(list.into_vec(), [1, 2]);
    assert_eq!(&*List::<u8, 2>::first_of(5..), [5, 6]);
}
