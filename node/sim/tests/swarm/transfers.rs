//! One file from many owners: how long it takes, who gave how much, what it wasted.

use std::time::Duration;

use riffle_core::{DownloadTimeouts, Failure};

use riffle_sim::link::LinkSpec;
use riffle_sim::scenario::{HostSpec, Report, Scenario, run};

const MIB: u64 = 1 << 20;
/// Long enough for the owners to have announced.
const SETTLED: Duration = Duration::from_secs(2);

/// `owners` equal owners of one file behind `link`, and one downloader whose own link is `down`.
fn one_file(owners: usize, link: LinkSpec, down: LinkSpec, length: u64, seed: u64) -> Scenario {
    let mut hosts = vec![HostSpec::new(down).downloads("film.bin", SETTLED)];
    hosts.extend((0..owners).map(|_| HostSpec::new(link).sends("film.bin")));
    Scenario {
        seed,
        contents: vec![("film.bin", length)],
        hosts,
        tracker_link: LinkSpec { loss: link.loss, ..LinkSpec::new(1000, Duration::from_millis(20)) },
        within: Duration::from_secs(600),
        timeouts: DownloadTimeouts::NONE,
    }
}

/// File bits a second, in thousandths of `megabits`.
fn goodput_permille(report: &Report, length: u64, megabits: u64) -> u64 {
    length * 8 * 1000 / (report.only().took.as_micros() as u64 * megabits)
}

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

#[test]
fn one_owner_fills_the_link() {
    let report = run(&one_file(1, lan(), lan(), 64 * MIB, 1));
    let goodput = goodput_permille(&report, 64 * MIB, 100);
    assert!(goodput >= 850, "{goodput} permille");
    assert!(report.waste_permille(0) <= 5, "{} permille", report.waste_permille(0));
}

#[test]
fn three_owners_give_a_third_each() {
    let wide = LinkSpec::new(300, Duration::from_millis(20));
    let report = run(&one_file(3, lan(), wide, 96 * MIB, 2));
    for (owner, bytes) in &report.only().shares {
        assert!((24 * MIB..=40 * MIB).contains(bytes), "owner {owner} gave {bytes}");
    }
    let goodput = goodput_permille(&report, 96 * MIB, 300);
    assert!(goodput >= 750, "{goodput} permille");
}

#[test]
fn eight_owners_all_serve() {
    let wide = LinkSpec::new(800, Duration::from_millis(20));
    let report = run(&one_file(8, lan(), wide, 256 * MIB, 3));
    assert_eq!(report.only().shares.len(), 8);
    let goodput = goodput_permille(&report, 256 * MIB, 800);
    assert!(goodput >= 700, "{goodput} permille");
}

#[test]
fn one_percent_loss_each_way_costs_little() {
    let report = run(&one_file(3, lan().percent_loss(1), lan().percent_loss(1), 64 * MIB, 4));
    let goodput = goodput_permille(&report, 64 * MIB, 100);
    assert!(goodput >= 800, "{goodput} permille");
    assert!(report.waste_permille(0) <= 5, "{} permille", report.waste_permille(0));
}

#[test]
fn five_percent_loss_each_way_is_survived_at_speed() {
    let report = run(&one_file(3, lan().percent_loss(5), lan().percent_loss(5), 64 * MIB, 5));
    let goodput = goodput_permille(&report, 64 * MIB, 100);
    assert!(goodput >= 700, "{goodput} permille");
    assert!(report.waste_permille(0) <= 5, "{} permille", report.waste_permille(0));
}

#[test]
fn twenty_percent_loss_each_way_is_survived() {
    let report = run(&one_file(3, lan().percent_loss(20), lan().percent_loss(20), 16 * MIB, 6));
    let goodput = goodput_permille(&report, 16 * MIB, 100);
    assert!(goodput >= 300, "{goodput} permille");
    assert!(report.waste_permille(0) <= 10, "{} permille", report.waste_permille(0));
}

#[test]
fn reordering_and_duplicates_are_not_taken_for_loss() {
    let messy = LinkSpec { duplicates: 10_000, reordered: 20_000, hold: Duration::from_millis(8), ..lan() };
    let report = run(&one_file(3, messy, messy, 64 * MIB, 7));
    let goodput = goodput_permille(&report, 64 * MIB, 100);
    assert!(goodput >= 800, "{goodput} permille");
    // One packet in a hundred is sent twice by the network itself.
    assert!(report.waste_permille(0) <= 30, "{} permille", report.waste_permille(0));
}

#[test]
fn jitter_is_not_taken_for_loss() {
    let jittery = LinkSpec { jitter: Duration::from_millis(5), ..lan() };
    let report = run(&one_file(2, jittery, jittery, 32 * MIB, 8));
    let goodput = goodput_permille(&report, 32 * MIB, 100);
    assert!(goodput >= 700, "{goodput} permille");
    assert!(report.waste_permille(0) <= 20, "{} permille", report.waste_permille(0));
}

#[test]
fn a_slow_owner_is_relieved_by_the_fast_ones() {
    let slow = LinkSpec { up: 125_000, ..lan() };
    let mut scenario = one_file(3, lan(), LinkSpec::new(300, Duration::from_millis(20)), 64 * MIB, 9);
    scenario.hosts[3].link = slow;
    let took = run(&scenario).only().took;
    // The two fast ones alone need about 2.7 s; an equal third of the slow one would take three minutes.
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn two_downloads_at_once_both_finish() {
    let owner = |name| HostSpec::new(lan()).sends(name);
    let downloader = HostSpec::new(lan()).downloads("a.bin", SETTLED).downloads("b.bin", SETTLED);
    let report = run(&Scenario {
        seed: 10,
        contents: vec![("a.bin", 16 * MIB), ("b.bin", 16 * MIB)],
        hosts: vec![downloader, owner("a.bin"), owner("b.bin")],
        tracker_link: LinkSpec::new(1000, Duration::from_millis(20)),
        within: Duration::from_secs(60),
        timeouts: DownloadTimeouts::NONE,
    });
    let took: Vec<Duration> =
        report.outcomes.iter().map(|outcome| outcome.result.as_ref().unwrap().took).collect();
    assert!(took.iter().all(|took| *took < Duration::from_secs(4)), "{took:?}");
}

#[test]
fn one_owner_serves_three_downloaders_in_fair_turns() {
    let mut hosts = vec![HostSpec::new(lan()).sends("film.bin")];
    hosts.extend((0..3).map(|_| HostSpec::new(lan()).downloads("film.bin", SETTLED)));
    let report = run(&Scenario {
        seed: 11,
        contents: vec![("film.bin", 16 * MIB)],
        hosts,
        tracker_link: LinkSpec::new(1000, Duration::from_millis(20)),
        within: Duration::from_secs(60),
        timeouts: DownloadTimeouts::NONE,
    });
    let took: Vec<u128> =
        report.outcomes.iter().map(|outcome| outcome.result.as_ref().unwrap().took.as_millis()).collect();
    let (fastest, slowest) = (took.iter().min().unwrap(), took.iter().max().unwrap());
    assert!(slowest * 100 <= fastest * 125, "{took:?}");
}

#[test]
fn twenty_nodes_each_send_and_download() {
    let names: Vec<String> = (0..20).map(|n| format!("file-{n}.bin")).collect();
    let names: Vec<&'static str> = names.into_iter().map(|name| &*name.leak()).collect();
    let hosts = (0..20).map(|n| {
        HostSpec::new(lan().percent_loss(1)).sends(names[n]).downloads(names[(n + 7) % 20], SETTLED)
    });
    let report = run(&Scenario {
        seed: 12,
        contents: names.iter().map(|name| (*name, 4 * MIB)).collect(),
        hosts: hosts.collect(),
        tracker_link: LinkSpec::new(1000, Duration::from_millis(20)).percent_loss(1),
        within: Duration::from_secs(60),
        timeouts: DownloadTimeouts::NONE,
    });
    assert!(report.outcomes.iter().all(|outcome| outcome.result.is_ok()));
}

#[test]
fn what_is_downloaded_is_served() {
    let hosts = vec![
        HostSpec::new(lan()).sends("film.bin"),
        HostSpec::new(lan()).downloads("film.bin", SETTLED),
        HostSpec::new(lan()).downloads("film.bin", Duration::from_secs(10)),
    ];
    let report = run(&Scenario {
        seed: 13,
        contents: vec![("film.bin", 16 * MIB)],
        hosts,
        tracker_link: LinkSpec::new(1000, Duration::from_millis(20)),
        within: Duration::from_secs(60),
        timeouts: DownloadTimeouts::NONE,
    });
    let last = report.outcomes[1].result.as_ref().unwrap();
    assert!(last.shares.contains_key(&0) && last.shares.contains_key(&1), "{last:?}");
}

#[test]
fn the_smallest_and_the_odd_lengths_arrive() {
    for length in [0, 1, 1167, 1168, 1169, (256 << 10) - 1, 256 << 10, (256 << 10) + 1] {
        let report = run(&one_file(2, lan(), lan(), length, 14));
        assert!(report.only().took < Duration::from_secs(2), "{length} bytes: {:?}", report.only().took);
    }
}

#[test]
fn a_file_beyond_four_gib_arrives() {
    // Few and large datagrams: what counts here is the length.
    let fast = LinkSpec { mtu: 65_535, ..LinkSpec::new(10_000, Duration::from_millis(4)) };
    let length = (4 << 30) + 12_345;
    let mut scenario = one_file(1, fast, fast, length, 15);
    scenario.hosts[0].settings.network.segment_size = 65_507;
    let report = run(&scenario);
    assert_eq!(report.only().shares.values().sum::<u64>(), length);
}

#[test]
fn limits_are_held_within_five_percent() {
    let limited = |mut scenario: Scenario, host: usize, upload: bool| {
        let limit = "1MiB".parse().unwrap();
        let settings = &mut scenario.hosts[host].settings;
        if upload {
            settings.upload.limit = limit
        } else {
            settings.download.limit = limit
        }
        let report = run(&scenario);
        let rate = 10 * MIB * 1000 / report.only().took.as_millis() as u64;
        assert!(rate.abs_diff(MIB) <= MIB / 20, "{rate} bytes a second, upload: {upload}");
        assert!(report.waste_permille(0) <= 5, "{} permille", report.waste_permille(0));
    };
    limited(one_file(1, lan(), lan(), 10 * MIB, 16), 1, true);
    limited(one_file(3, lan(), lan(), 10 * MIB, 16), 0, false);
}

#[test]
fn the_same_seed_is_the_same_world() {
    let scenario = |seed| {
        let messy = LinkSpec { jitter: Duration::from_millis(1), ..lan().percent_loss(5) };
        run(&one_file(3, messy, messy, 4 * MIB, seed)).world.trace_hash()
    };
    assert_eq!(scenario(17), scenario(17));
    assert_ne!(scenario(17), scenario(18));
}

#[test]
fn owners_that_die_or_leave_are_replaced_by_the_others() {
    for (crashes, leaves) in [(Some(Duration::from_secs(3)), None), (None, Some(Duration::from_secs(3)))] {
        let mut scenario = one_file(3, lan(), LinkSpec::new(300, Duration::from_millis(20)), 96 * MIB, 21);
        for host in [1, 2] {
            (scenario.hosts[host].crashes, scenario.hosts[host].leaves) = (crashes, leaves);
        }
        let report = run(&scenario);
        let took = report.only().took;
        // A second with three owners, then the rest with one; who dies is missed for two seconds at most.
        assert!(took < Duration::from_secs(9), "{took:?}");
        // What was under way from the dead came twice at most: their windows.
        assert!(report.waste_permille(0) <= 10, "{} permille", report.waste_permille(0));
    }
}

#[test]
fn a_download_whose_owners_are_all_gone_ends_at_the_stall_timeout() {
    let mut scenario = one_file(2, lan(), lan(), 64 * MIB, 22);
    scenario.hosts[1].crashes = Some(Duration::from_secs(3));
    scenario.hosts[2].leaves = Some(Duration::from_secs(3));
    scenario.timeouts.no_progress = Some(Duration::from_secs(30));
    let report = run(&scenario);
    let failure = report.outcomes[0].result.as_ref().expect_err("nobody has the rest");
    assert!(matches!(failure, Failure::Stalled { .. }), "{failure:?}");
}

/// Time in milliseconds, goodput in thousandths of the link, waste in thousandths of the file: exact, so that a change
/// of any rule shows here, and is looked at before the snapshot is.
#[test]
fn the_table_of_goodput_and_waste() {
    let wide = |megabits| LinkSpec::new(megabits, Duration::from_millis(20));
    let messy = LinkSpec { duplicates: 10_000, reordered: 20_000, hold: Duration::from_millis(8), ..lan() };
    let far = LinkSpec::new(100, Duration::from_millis(100));
    let rows = [
        ("1 owner", 1, lan(), lan(), 32, 100),
        ("3 owners", 3, lan(), wide(300), 96, 300),
        ("8 owners", 8, lan(), wide(800), 128, 800),
        ("3 owners, 1 % loss", 3, lan().percent_loss(1), lan().percent_loss(1), 16, 100),
        ("3 owners, 5 % loss", 3, lan().percent_loss(5), lan().percent_loss(5), 16, 100),
        ("3 owners, 20 % loss", 3, lan().percent_loss(20), lan().percent_loss(20), 16, 100),
        ("3 owners, reordering and duplicates", 3, messy, messy, 16, 100),
        ("1 owner, 100 ms, 1 % loss", 1, far.percent_loss(1), far.percent_loss(1), 32, 100),
    ];
    let mut table = String::new();
    for (name, owners, link, down, mib, megabits) in rows {
        let report = run(&one_file(owners, link, down, mib * MIB, 20));
        let goodput = goodput_permille(&report, mib * MIB, megabits);
        let (took, waste) = (report.only().took.as_millis(), report.waste_permille(0));
        table += &format!("{name:<36} {took:>6} ms {goodput:>4} goodput {waste:>3} waste\n");
    }
    insta::assert_snapshot!(table);
}

#[test]
fn who_comes_when_another_is_done_and_gone_does_not_wait_for_what_was_under_way_to_that_one() {
    let fast = LinkSpec { queue: MIB, ..LinkSpec::new(1000, Duration::from_millis(1)) };
    let after = SETTLED + Duration::from_millis(250);
    let mut scenario = one_file(1, fast, fast, 16 * MIB, 9);
    scenario.hosts[0].leaves = Some(after);
    scenario.hosts.push(HostSpec::new(fast).downloads("film.bin", after + Duration::from_millis(20)));
    let report = run(&scenario);
    let took: Vec<Duration> =
        report.outcomes.iter().map(|outcome| outcome.result.as_ref().expect("complete").took).collect();
    assert!(took[1] <= took[0] * 3 / 2, "{took:?}");
}
