//! Links that lose much. The figures are file bytes over what the link carries, whole downloads from the order on: what
//! is lost on the link, and the headers, are no file bytes. So with 10 % loss at most 865 thousandths are reached.

use riffle_sim::goodput::{Link, Whole, whole};

use super::{MAX_WASTED, MIB};

/// The bytes of the file, in thousandths of what the link carries in that time.
fn file_permille(link: Link, length: u64, measured: Whole) -> u64 {
    length * 1000 * 1000 / (link.rate() * measured.took.as_micros() as u64 / 1000)
}

/// The line of the table of one link, with the median of three draws. At least `floor` thousandths must be reached.
fn check(name: &str, link: Link, length: u64, floor: u64) -> String {
    let mut draws = [2, 3, 4].map(|seed| whole(link, length, seed));
    draws.sort_by_key(|draw| draw.took);
    let measured = draws[1];
    let file = file_permille(link, length, measured);
    let line = format!(
        "{name:<34} file {file:>3}, {} ms, first byte {} ms, wasted {:>2}/100, sent {}\n",
        measured.took.as_millis(),
        measured.first.as_millis(),
        measured.wasted,
        measured.sent
    );
    assert!(file >= floor, "at least {floor}: {line}");
    assert!(measured.wasted <= MAX_WASTED, "{line}");
    line
}

#[test]
fn a_tenth_and_three_tenths_are_lost_each_way() {
    let mut table = check("50 Mbit/s, 300 ms, 10 % loss", Link::new(50, 300).loses(100), 120 * MIB, 680);
    table += &check("20 Mbit/s, 60 ms, 30 % loss", Link::new(20, 60).loses(300), 40 * MIB, 520);
    insta::assert_snapshot!(table);
}
