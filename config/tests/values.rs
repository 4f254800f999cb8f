//! The types of values: what is read, what is refused, and that what is shown reads back.

use std::num::NonZeroU64;
use std::time::Duration;

use config::{
    ByteSize, Encryption, Interval, Limit, ListenAddr, MAX_PERIOD, NodeLabel, Period, ServeCodes,
    TrackerAddress, UploadPolicy, ValueError,
};
use proptest::prelude::*;

#[test]
fn sizes_are_read_in_the_units_that_people_write() {
    for (text, bytes) in [
        ("64MiB", 64 << 20),
        ("10 MB", 10_000_000),
        ("1.5GiB", 3 << 29),
        ("512", 512),
        ("0", 0),
        ("7 b", 7),
        (" 2kb ", 2000),
        ("2 KIB", 2048),
        ("1TiB", 1 << 40),
        ("0.1KiB", 102),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(text.parse(), Ok(ByteSize::bytes(bytes)), "{text}");
    }
}

#[test]
fn what_is_no_size_is_refused() {
    for text in
        ["", "MiB", "-1", "1e3", "1.GiB", ".5GiB", "10 MiB/s", "10Mi", "10Mbit", "10P", "1 2", "0x10", "+5"]
    {
        assert_eq!(text.parse::<ByteSize>(), Err(ValueError::NotASize(text.to_owned())));
    }
    for text in ["18446744073709551616", "16777216TiB"] {
        assert_eq!(text.parse::<ByteSize>(), Err(ValueError::TooLarge(text.to_owned())));
    }
}

#[test]
fn sizes_are_shown_in_their_shortest_exact_form() {
    for (bytes, text) in [
        (0, "0"),
        (512, "512"),
        (1000, "1kB"),
        (1023, "1023"),
        (1024, "1KiB"),
        (48 << 10, "48KiB"),
        (10_000_000, "10MB"),
        (3 << 29, "1.5GiB"),
        (1 << 40, "1TiB"),
        ((1 << 20) + 1, "1048577"),
    ] {
        assert_eq!(ByteSize::bytes(bytes).to_string(), text);
    }
}

#[test]
fn limits_are_a_rate_or_none_and_never_nothing() {
    let rate = |bytes| NonZeroU64::new(bytes).map(Limit::bytes_per_second);
    assert_eq!("none".parse(), Ok(Limit::NONE));
    assert_eq!("None".parse(), Ok(Limit::NONE));
    assert_eq!("10MiB".parse().ok(), rate(10 << 20));
    assert_eq!("10 MB/s".parse().ok(), rate(10_000_000));
    assert_eq!("1B".parse().ok(), rate(1));
    assert_eq!("0".parse::<Limit>(), Err(ValueError::ZeroLimit));
    assert_eq!("0MiB/s".parse::<Limit>(), Err(ValueError::ZeroLimit));
    for text in ["", "fast", "10MiB/h", "/s"] {
        assert_eq!(text.parse::<Limit>(), Err(ValueError::NotALimit(text.to_owned())));
    }
    assert_eq!(Limit::NONE.to_string(), "none");
    assert_eq!("10 mib".parse::<Limit>().map(|limit| limit.to_string()), Ok("10MiB/s".to_owned()));
}

#[test]
fn intervals_are_a_time_that_somebody_can_follow_or_none() {
    assert_eq!("10s".parse(), Ok(Interval::seconds(10)));
    assert_eq!(" None ".parse(), Ok(Interval::NONE));
    for text in ["0", "99ms"] {
        assert_eq!(text.parse::<Interval>(), Err(ValueError::ShortInterval(text.to_owned())));
    }
    assert_eq!("often".parse::<Interval>(), Err(ValueError::NotAnInterval("often".to_owned())));
    assert_eq!("10".parse::<Interval>(), Err(ValueError::NoUnit("10".to_owned())));
    for text in ["none", "100ms", "1m30s"] {
        assert_eq!(text.parse::<Interval>().map(|interval| interval.to_string()), Ok(text.to_owned()));
    }
}

#[test]
fn rates_are_what_people_of_curl_rsync_and_networks_write() {
    let table = [
        ("10M", 10 << 20),
        ("10m", 10 << 20),
        ("1.5G", 3 << 29),
        ("500k", 500 << 10),
        ("10MB", 10_000_000),
        ("10MBps", 10_000_000),
        ("10MiB", 10 << 20),
        ("10MiBps", 10 << 20),
        ("10M/s", 10 << 20),
        ("80Mbit", 10_000_000),
        ("80 Mbit/s", 10_000_000),
        ("80mbit", 10_000_000),
        ("80MBit", 10_000_000),
        ("80Mbits/s", 10_000_000),
        ("80mbps", 10_000_000),
        ("80Mbps", 10_000_000),
        ("1Gbit", 125_000_000),
        ("2.5Gbps", 312_500_000),
        ("64kbit", 8_000),
        ("8000bit", 1_000),
        ("1000", 1_000),
        ("500000/s", 500_000),
        ("10B", 10),
    ];
    for (text, expected) in table {
        let rate = text.parse::<Limit>().map(|limit| limit.rate().map(NonZeroU64::get));
        assert_eq!(rate, Ok(Some(expected)), "{text}");
    }
    for (text, suggestion) in [
        ("10", "10M"),
        ("999", "999Mbit"),
        ("10/s", "10B"),
        ("10 /s", "10B"),
        ("80Mb", "80Mbit or 80MB"),
        ("80 mb/s", "80mB"),
    ] {
        let refusal = text.parse::<Limit>().expect_err("a slip").to_string();
        assert!(refusal.contains(suggestion), "{refusal}");
    }
    for text in ["80Mibit", "80Qbits", "80mbit/h", "80Qbit", "bit", "1e3bit", "10MBit/s/s", "0bit", "7bit"] {
        assert!(text.parse::<Limit>().is_err(), "{text}");
    }
}

#[test]
fn durations_are_read_with_their_units() {
    for (text, milliseconds) in [
        ("20s", 20_000),
        ("250ms", 250),
        ("2m", 120_000),
        ("1h30m", 5_400_000),
        ("1h 30m", 5_400_000),
        ("1.5s", 1500),
        ("1d", 86_400_000),
        ("0", 0),
        ("0s", 0),
    ] {
        assert_eq!(text.parse(), Ok(Period(Duration::from_millis(milliseconds))), "{text}");
    }
}

#[test]
fn what_is_no_duration_is_refused() {
    for text in ["", "s", "-1s", "5 sec", "30m1h", "1s1s", "1s,", "1ss"] {
        assert_eq!(text.parse::<Period>(), Err(ValueError::NotADuration(text.to_owned())));
    }
    for text in ["20", "1h30"] {
        assert_eq!(text.parse::<Period>(), Err(ValueError::NoUnit(text.to_owned())));
    }
    for text in ["3651d", "99999999999999999999d"] {
        assert_eq!(text.parse::<Period>(), Err(ValueError::TooLarge(text.to_owned())));
    }
    assert_eq!("3650d".parse(), Ok(Period(MAX_PERIOD)));
}

#[test]
fn durations_are_shown_with_the_largest_units_first() {
    for (duration, text) in [
        (Duration::ZERO, "0s"),
        (Duration::from_secs(20), "20s"),
        (Duration::from_secs(5400), "1h30m"),
        (Duration::from_millis(1250), "1s250ms"),
        (Duration::from_nanos(1_001), "1us1ns"),
    ] {
        assert_eq!(Period(duration).to_string(), text);
    }
}

#[test]
fn a_node_listens_at_an_address_or_a_port() {
    for (text, address) in [
        ("12345", "[::]:12345"),
        (":0", "[::]:0"),
        ("[::]:7", "[::]:7"),
        ("10.0.0.3:0", "10.0.0.3:0"),
        ("[fe80::1]:9", "[fe80::1]:9"),
    ] {
        assert_eq!(text.parse().map(|ListenAddr(listen)| listen.to_string()), Ok(address.to_owned()));
    }
    for text in ["", ":", "65536", "+5", "-1", "10.0.0.3", "localhost:80", "::", "[::]", "1.2.3.4:99999"] {
        assert_eq!(text.parse::<ListenAddr>(), Err(ValueError::NotAListenAddress(text.to_owned())));
    }
}

#[test]
fn a_tracker_is_a_host_and_a_port() {
    for (text, host, port) in [
        ("10.0.0.1:99", "10.0.0.1", 99),
        ("tracker.example", "tracker.example", 12345),
        ("[fd00::1]:7", "fd00::1", 7),
        ("fd00::1", "fd00::1", 12345),
        ("[fe80::1%eth0]", "fe80::1%eth0", 12345),
    ] {
        let tracker: TrackerAddress = text.parse().unwrap();
        assert_eq!((tracker.host(), tracker.port()), (host, port), "{text}");
        assert_eq!(tracker.to_string().parse(), Ok(tracker), "{text}");
    }
    for text in [
        "",
        ":12345",
        "12345",
        "host:",
        "host:0",
        "host:x",
        "host:+5",
        "host:65536",
        "a:b:c",
        "[host]:5",
        "[fd00::1",
        "[fd00::1]5",
        "[fd00::1]:",
        "fd00::1%",
        "two words:5",
        "http://host:5",
    ] {
        assert_eq!(text.parse::<TrackerAddress>(), Err(ValueError::NotATrackerAddress(text.to_owned())));
    }
    assert_eq!(config::DEFAULT_TRACKER.parse(), Ok(TrackerAddress::default()));
}

#[test]
fn a_label_is_one_path_component() {
    for text in ["1", "kitchen", "a-b_C9", &"x".repeat(32)] {
        assert_eq!(text.parse::<NodeLabel>().unwrap().as_str(), text);
    }
    for text in ["", ".", "a/b", "a b", "é", &"x".repeat(33)] {
        assert_eq!(text.parse::<NodeLabel>(), Err(ValueError::NotALabel(text.to_owned())));
    }
    assert_eq!(NodeLabel::from(7).as_str(), "7");
}

proptest! {
    #[test]
    fn a_shown_size_reads_back(bytes: u64, zeros in 0u32..20, twos in 0u32..64) {
        for bytes in [bytes, bytes >> twos << twos, bytes / 10u64.pow(zeros) * 10u64.pow(zeros)] {
            let size = ByteSize::bytes(bytes);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
            prop_assert!(size.to_string().len() <= bytes.to_string().len());
        }
    }

    #[test]
    fn a_shown_limit_reads_back(rate: NonZeroU64) {
        let limit = Limit::bytes_per_second(rate);
        prop_assert_eq!(limit.to_string().parse(), Ok(limit));
    }

    #[test]
    fn a_shown_duration_reads_back(nanoseconds in 0..=MAX_PERIOD.as_nanos() as u64) {
        let period = Period(Duration::from_nanos(nanoseconds));
        prop_assert_eq!(period.to_string().parse(), Ok(period));
    }

    #[test]
    fn any_text_is_read_or_refused_in_one_line(text in "\\PC{0,40}|[0-9.smhdkKMGiBT /:\\[\\]]{0,12}") {
        let errors = [
            text.parse::<ByteSize>().err(),
            text.parse::<Limit>().err(),
            text.parse::<Period>().err(),
            text.parse::<ListenAddr>().err(),
            text.parse::<TrackerAddress>().err(),
            text.parse::<NodeLabel>().err(),
        ];
        for error in errors.into_iter().flatten() {
            prop_assert!(!error.to_string().contains('\n'));
        }
        if let Err(error) = config::NodeSettings::from_toml(&text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}

#[test]
fn a_policy_is_one_of_two() {
    for encryption in [Encryption::Always, Encryption::Prefer, Encryption::Never] {
        assert_eq!(encryption.to_string().parse(), Ok(encryption));
    }
    assert_eq!("yes".parse::<Encryption>(), Err(ValueError::NotAnEncryption("yes".to_owned())));
    for codes in [ServeCodes::Auto, ServeCodes::Always, ServeCodes::Never] {
        assert_eq!(codes.to_string().parse(), Ok(codes));
    }
    assert_eq!("yes".parse::<ServeCodes>(), Err(ValueError::NotWhenCodes("yes".to_owned())));
    assert!(ServeCodes::Auto.holds_for(false) && !ServeCodes::Auto.holds_for(true));
    for policy in [UploadPolicy::TitForTat, UploadPolicy::Fair] {
        assert_eq!(policy.to_string().parse(), Ok(policy));
    }
    assert_eq!("nice".parse::<UploadPolicy>(), Err(ValueError::NotAPolicy("nice".to_owned())));
}
