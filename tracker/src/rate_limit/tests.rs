//! Bursts, the steady rate, waiting as told, and a table that stays in its bounds.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + number).into()
}

#[test]
fn a_burst_passes_and_then_only_the_rate() {
    let mut buckets = Buckets::new(10, 5, 8);
    for _ in 0..5 {
        assert_eq!(buckets.admit(address(1), at(0)), Ok(()));
    }
    assert_eq!(buckets.admit(address(1), at(0)), Err(Duration::from_millis(100)));
    assert_eq!(buckets.admit(address(2), at(0)), Ok(()), "each address has its own");
    assert_eq!(buckets.admit(address(1), at(100)), Ok(()), "waiting as told is enough");
    assert!(buckets.admit(address(1), at(100)).is_err());
}

#[test]
fn loopback_is_exempt_and_leaves_nothing() {
    let mut buckets = Buckets::new(1, 1, 8);
    for _ in 0..100 {
        assert_eq!(buckets.admit(Ipv4Addr::LOCALHOST.into(), at(0)), Ok(()));
    }
    assert!(buckets.buckets.len() == 0);
}

#[test]
fn one_ipv6_host_is_its_network_of_64_bits() {
    let mut buckets = Buckets::new(1, 1, 8);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(buckets.admit(ip("2001:db8::1"), at(0)), Ok(()));
    assert!(buckets.admit(ip("2001:db8::ffff:2"), at(0)).is_err());
    assert_eq!(buckets.admit(ip("2001:db8:0:1::1"), at(0)), Ok(()));
}

#[test]
fn full_buckets_are_forgotten() {
    let mut buckets = Buckets::new(10, 5, 100);
    for number in 0..50 {
        assert_eq!(buckets.admit(address(number), at(0)), Ok(()));
    }
    for _ in 0..50 {
        let _ = buckets.admit(address(99), at(10_000));
    }
    assert_eq!(buckets.buckets.len(), 1);
}

proptest! {
    #[test]
    fn it_says_what_naive_buckets_say(
        requests in prop::collection::vec((0..6_u32, 0..300_u64), 1..400),
    ) {
        // Tokens in thousandths, filled by the millisecond; no address is ever forgotten.
        let (mut buckets, mut naive) = (Buckets::new(20, 4, 100), [(4000_u64, 0_u64); 6]);
        let mut now = 0;
        for (number, pause) in requests {
            now += pause;
            let (tokens, as_of) = &mut naive[number as usize];
            *tokens = (*tokens + (now - *as_of) * 20).min(4000);
            *as_of = now;
            let expected = match tokens.checked_sub(1000) {
                Some(left) => {
                    *tokens = left;
                    Ok(())
                }
                None => Err(Duration::from_millis((1000 - *tokens) / 20)),
            };
            prop_assert_eq!(buckets.admit(address(number), at(now)), expected);
        }
    }

    #[test]
    fn no_address_gets_more_than_burst_and_rate_and_the_table_is_bounded(
        requests in prop::collection::vec((0..6_u32, 0..40_u64), 1..400),
    ) {
        let mut buckets = Buckets::new(20, 4, 6);
        let mut now = 0;
        let mut passed = [0_u64; 6];
        for (number, pause) in requests {
            now += pause;
            if buckets.admit(address(number), at(now)).is_ok() {
                passed[number as usize] += 1;
            }
            prop_assert!(buckets.buckets.len() <= 6);
        }
        for count in passed {
            prop_assert!(count <= 4 + now * 20 / 1000 + 1);
        }
    }

    #[test]
    fn the_table_never_grows_past_its_size(numbers in prop::collection::vec(0..1000_u32, 1..300)) {
        let mut buckets = Buckets::new(1, 1, 7);
        for number in numbers {
            let _ = buckets.admit(address(number), at(0));
            prop_assert!(buckets.buckets.len() <= 7);
        }
    }
}
