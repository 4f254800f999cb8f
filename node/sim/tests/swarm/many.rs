//! Many contents at once on one node and one socket: hundreds that are shared, tens that are fetched, and what they
//! leave each other.

use std::time::Duration;

use config::NodeSettings;
use riffle_core::DownloadTimeouts;

use riffle_sim::link::LinkSpec;
use riffle_sim::scenario::{HostSpec, Report, Scenario, run};

const MIB: u64 = 1 << 20;
const SHARED: usize = 300;
const FETCHED: usize = 24;
const LENGTH: u64 = 4 * MIB;
/// How alike they are hangs on a lot or two at the start: in one world the first takes 0.38 of the last's time, in
/// another 0.53.
const WORLDS: u64 = 6;
/// The time by which every owner has announced its contents.
const BEGINS: Duration = Duration::from_secs(5);

fn name(number: usize) -> &'static str {
    format!("{number:03}.bin").leak()
}

/// Two nodes share everything; one fetches much of it at once.
fn scenario(fetching: NodeSettings, sharing: NodeSettings) -> Scenario {
    let link = LinkSpec::new(100, Duration::from_millis(20));
    let names: Vec<&'static str> = (0..SHARED).map(name).collect();
    let mut hosts = Vec::new();
    for _ in 0..2 {
        let mut owner = HostSpec { settings: sharing.clone(), ..HostSpec::new(link) };
        owner.sends = names.clone();
        hosts.push(owner);
    }
    let mut downloader = HostSpec { settings: fetching, ..HostSpec::new(link) };
    downloader.downloads = names[..FETCHED].iter().map(|name| (*name, BEGINS)).collect();
    hosts.push(downloader);
    Scenario {
        seed: 1,
        contents: names.iter().map(|name| (*name, LENGTH)).collect(),
        hosts,
        tracker_link: LinkSpec::new(1000, Duration::from_millis(20)),
        within: Duration::from_secs(600),
        timeouts: DownloadTimeouts::NONE,
    }
}

/// The times from the order to the end of the first and of the last download.
fn first_and_last(report: &Report) -> (Duration, Duration) {
    let took: Vec<Duration> =
        report.outcomes.iter().map(|outcome| outcome.result.as_ref().expect("complete").took).collect();
    (*took.iter().min().expect("some"), *took.iter().max().expect("some"))
}

#[test]
fn tens_of_downloads_share_a_link_alike() {
    let alone = Duration::from_secs_f64((FETCHED as u64 * LENGTH) as f64 / 12_000_000.0);
    let mut alike = Vec::new();
    for seed in 1..=WORLDS {
        let report = run(&Scenario { seed, ..scenario(NodeSettings::default(), NodeSettings::default()) });
        let (first, last) = first_and_last(&report);
        assert!(last <= alone * 13 / 10, "seed {seed}: all of it in {last:?}; the link takes {alone:?}");
        alike.push(first.as_millis() * 1000 / last.as_millis());
    }
    let mean = alike.iter().sum::<u128>() / u128::from(WORLDS);
    assert!(
        mean >= 450,
        "the first in thousandths of the last's time, though they are of one length: {alike:?}"
    );
    assert!(alike.iter().all(|&of_last| of_last >= 350), "{alike:?}");
}

#[test]
fn limits_hold_over_all_downloads_and_all_that_is_shared() {
    let limit = 2 * MIB;
    let limited = |set: fn(&mut NodeSettings, &str)| {
        let mut settings = NodeSettings::default();
        set(&mut settings, "2MiB");
        settings
    };
    let downloads = limited(|settings, limit| settings.download.limit = limit.parse().expect("a limit"));
    let uploads = limited(|settings, limit| settings.upload.limit = limit.parse().expect("a limit"));
    for (scenario, limit) in [
        (scenario(downloads, NodeSettings::default()), limit),
        // Each of two owners has its own.
        (scenario(NodeSettings::default(), uploads), 2 * limit),
    ] {
        let report = run(&scenario);
        let (first, last) = first_and_last(&report);
        let rate = (FETCHED as u64 * LENGTH) as f64 / last.as_secs_f64();
        let used = rate / limit as f64;
        assert!((0.9..=1.02).contains(&used), "{rate} of {limit} bytes a second");
        assert!(
            first >= last / 2,
            "the first after {first:?}, the last after {last:?}: they are of one length"
        );
    }
}
