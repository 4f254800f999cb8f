//! Long links, lossy links, shared links: how much of them is used. Rates count IP bytes (28 of headers a datagram),
//! delays are round trips, the queue holds one bandwidth-delay product where a row does not say otherwise.
//!
//! Each row has its floor, and its exact figures in a snapshot: a change of any rule shows there, and is looked at.

mod changing;
mod lossy;
mod shared;

use std::time::Duration;

use riffle_sim::goodput::{Link, Steady, steady, whole};

const MIB: u64 = 1 << 20;
/// Long enough for three probes of the round-trip time.
const LONG: Duration = Duration::from_secs(31);
/// Of file bytes, in hundred-thousandths: 0.5 %.
const MAX_WASTED: u64 = 500;

/// A link, what it must carry in thousandths, and what of a whole file of so many bytes.
struct Row {
    name: &'static str,
    link: Link,
    steady: u64,
    whole: Option<(u64, u64)>,
}

fn steady_line(name: &str, measured: Steady) -> String {
    let Steady { rate, wasted, queue, sent } = measured;
    format!("{name:<34} steady {rate:>3}, queue {queue:>4}, wasted {wasted:>2}/100, sent {sent}\n")
}

fn check_steady(name: &str, measured: Steady, floor: u64) -> String {
    let line = steady_line(name, measured);
    assert!(measured.rate >= floor, "at least {floor}: {line}");
    assert!(measured.wasted <= MAX_WASTED, "{line}");
    line
}

/// One row: its lines of the table, and its floors.
fn check(row: &Row) -> String {
    let mut lines = check_steady(row.name, steady(&[row.link], LONG, 1), row.steady);
    if let Some((length, floor)) = row.whole {
        // One lost HELLO is a quarter of a second: the median of three draws.
        let mut draws = [2, 3, 4].map(|seed| whole(row.link, length, seed));
        draws.sort_by_key(|draw| draw.rate);
        let measured = draws[1];
        let (took, first) = (measured.took.as_millis(), measured.first.as_millis());
        let line = format!(
            "{:<34} whole  {:>3}, {took} ms, first byte {first} ms, wasted {:>2}/100, sent {}\n",
            "", measured.rate, measured.wasted, measured.sent
        );
        assert!(measured.rate >= floor, "{}: at least {floor}: {line}", row.name);
        assert!(measured.wasted <= MAX_WASTED, "{line}");
        lines += &line;
    }
    lines
}

#[test]
fn a_hundred_megabits() {
    let rows = [
        Row { name: "20 ms", link: Link::new(100, 20), steady: 940, whole: Some((64 * MIB, 910)) },
        Row {
            name: "100 ms, 1 % loss",
            link: Link::new(100, 100).loses(10),
            steady: 910,
            whole: Some((64 * MIB, 770)),
        },
        Row {
            name: "100 ms, 5 % loss",
            link: Link::new(100, 100).loses(50),
            steady: 840,
            whole: Some((64 * MIB, 710)),
        },
    ];
    insta::assert_snapshot!(rows.iter().map(check).collect::<String>());
}

#[test]
fn ten_megabits() {
    let link = Link::new(10, 200).loses(50);
    insta::assert_snapshot!(check(&Row {
        name: "200 ms, 5 % loss",
        link,
        steady: 820,
        whole: Some((16 * MIB, 740))
    }));
}

#[test]
fn a_gigabit() {
    let link = Link::new(1000, 20).loses(1);
    insta::assert_snapshot!(check(&Row {
        name: "20 ms, 0.1 % loss",
        link,
        steady: 930,
        whole: Some((100 * MIB, 720))
    }));
}

#[test]
fn a_gigabit_around_the_world() {
    let link = Link::new(1000, 200).loses(1);
    let whole = Some((500_000_000, 520));
    insta::assert_snapshot!(check(&Row { name: "200 ms, 0.1 % loss", link, steady: 880, whole }));
}

#[test]
fn shallow_and_deep_queues() {
    let link = Link::new(100, 20);
    let shallow = steady(&[link.queues(1)], LONG, 1);
    let deep = steady(&[link.queues(100)], LONG, 1);
    let mut table = check_steady("queue of 1/10", shallow, 850);
    table += &check_steady("queue of 10", deep, 930);
    assert!(deep.queue < 1500, "{deep:?}");
    insta::assert_snapshot!(table);
}

#[test]
fn two_owners_are_used_together() {
    let mut table = String::new();
    for (name, first, second) in [("50 and 50 Mbit/s", 50, 50), ("90 and 10 Mbit/s", 90, 10)] {
        let links = [Link::new(first, 20), Link::new(second, 20)];
        table += &check_steady(name, steady(&links, LONG, 1), 900);
    }
    insta::assert_snapshot!(table);
}
