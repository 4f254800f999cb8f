//! What a download says of itself for the log: every minute and at its end, and all of its time is accounted for.

use std::time::Duration;

use messages::Timestamp;
use riffle_core::{Account, DownloadTimeouts, Event, Failure, Waiting};

use riffle_sim::link::LinkSpec;
use riffle_sim::scenario::{HostSpec, Report, Scenario, run};

const MIB: u64 = 1 << 20;
const ASKED: Duration = Duration::from_secs(2);

fn lossy() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20)).percent_loss(2)
}

/// Two owners of one file and a downloader that is held to a quarter of a MiB a second.
fn held(length: u64) -> Scenario {
    let mut downloader = HostSpec::new(lossy()).downloads("film.bin", ASKED);
    downloader.settings.download.limit = "256KiB".parse().expect("a limit");
    let owner = || HostSpec::new(lossy()).sends("film.bin");
    Scenario {
        seed: 3,
        contents: vec![("film.bin", length)],
        hosts: vec![downloader, owner(), owner()],
        tracker_link: LinkSpec::new(1000, Duration::from_millis(20)),
        within: Duration::from_secs(600),
        timeouts: DownloadTimeouts::NONE,
    }
}

/// Each account of the downloader: its time, its contents, and whether it is the last one.
fn accounts(report: &Report) -> Vec<(Timestamp, Account, bool)> {
    let account = |(at, event): &'_ (Timestamp, Event)| match event {
        Event::DownloadAccount { account, is_last, .. } => Some((*at, account.clone(), *is_last)),
        _ => None,
    };
    report.world.hosts[0].events.iter().filter_map(account).collect()
}

fn waited(account: &Account) -> Duration {
    account.waits.iter().map(|(_, time)| *time).sum()
}

#[test]
fn every_minute_and_at_the_end_it_is_said_where_the_time_went_and_who_gave_what() {
    let length = 40 * MIB;
    let report = run(&held(length));
    let accounts = accounts(&report);
    let lasts: Vec<bool> = accounts.iter().map(|(.., is_last)| *is_last).collect();
    assert_eq!(lasts, [false, false, true], "160 seconds");
    for (minutes, (_, account, _)) in (1u64..).zip(&accounts[..2]) {
        let late = account.took.checked_sub(Duration::from_secs(60 * minutes)).expect("not before");
        assert!(late < Duration::from_secs(2), "at a piece's turn: {late:?}");
        assert_eq!(waited(account), account.took);
        assert!((1..length).contains(&account.fetched) && account.rate > 0);
    }
    let last = &accounts[2].1;
    assert_eq!(last.took, report.only().took);
    assert_eq!(waited(last), last.took, "all of it");
    assert_eq!((last.length, last.verified, last.fetched), (Some(length), length, length));
    let (why, most) = &last.waits[0];
    assert!(*why == Waiting::Limit && *most > last.took / 2, "{:?}", last.waits);
    assert!(last.waits.iter().any(|(why, _)| *why == Waiting::Outboard), "{:?}", last.waits);
    let counters = report.world.hosts[0].node.counters();
    assert_eq!((last.lost_bytes, last.duplicate_bytes), (counters.lost_bytes, counters.duplicate_bytes));
    assert!(last.lost_bytes > 0, "2 % are lost");
    assert_eq!(last.owners.iter().map(|owner| owner.bytes).sum::<u64>(), length);
    let rtts: Vec<_> = last.owners.iter().map(|owner| owner.rtt.expect("measured")).collect();
    assert!(rtts.len() == 2 && rtts.iter().all(|rtt| rtt.as_millis() >= 20), "{rtts:?}");
}

#[test]
fn a_download_that_fails_accounts_for_itself_too() {
    let mut scenario = held(40 * MIB);
    scenario.timeouts.no_progress = Some(Duration::from_secs(10));
    for owner in &mut scenario.hosts[1..] {
        owner.crashes = Some(Duration::from_secs(20));
    }
    let report = run(&scenario);
    assert!(matches!(report.outcomes[0].result, Err(Failure::Stalled { .. })), "{:?}", report.outcomes);
    let accounts = accounts(&report);
    let (_, last, is_last) = &accounts[accounts.len() - 1];
    assert!(*is_last && (MIB..40 * MIB).contains(&last.verified));
    assert_eq!(waited(last), last.took);
    let silent = last.waits.iter().find(|(why, _)| *why == Waiting::Owners).expect("waited for them");
    assert!(silent.1 >= Duration::from_secs(5), "{:?}", last.waits);
}
