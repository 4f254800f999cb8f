//! The order of names, pages that join, and the index against a naive list.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::ZERO;

fn id(number: u16) -> ContentId {
    let [high, low] = number.to_be_bytes();
    let mut bytes = [9; 32];
    bytes[..2].copy_from_slice(&[high, low]);
    ContentId::from_bytes(bytes)
}

fn host(number: u8) -> HostKey {
    HostKey::at([10, 0, 0, number].into())
}

/// `hosts` hosts call the content so.
fn support(names: &mut Names, name: &str, number: u16, hosts: u32) {
    let label = names.label(&Name::new(name).unwrap());
    for _ in 0..hosts {
        names.support(&label, id(number), host(1), NOW);
    }
}

fn said(called: &Called<'_>) -> (String, ContentId, u32) {
    (called.label.name().to_string(), called.content, called.claim.hosts)
}

fn cursor(called: &Called<'_>) -> Cursor {
    let (hosts, number) = (called.claim.hosts, called.claim.position());
    Cursor { tier: called.tier, name: called.label.name().clone(), hosts, number }
}

/// All that is found, page by page.
fn paged(names: &Names, prefix: &str, each: usize) -> Vec<(String, ContentId, u32)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page: Vec<Called<'_>> = names.search(prefix, after.as_ref()).take(each).collect();
        found.extend(page.iter().map(said));
        let Some(last) = page.last() else { return found };
        let next = cursor(last);
        assert!(after.is_none_or(|after| after < next), "it goes on");
        after = Some(next);
    }
}

#[test]
fn what_many_hosts_stand_behind_comes_before_what_few_call_theirs() {
    let mut names = Names::new();
    for number in 0..560 {
        support(&mut names, "film", number, 1);
        support(&mut names, &format!("a{number:03}"), 1000 + number, 1);
    }
    support(&mut names, "film", 2000, 3);
    support(&mut names, "zebra", 2001, 40);
    support(&mut names, "beta", 2002, 2);
    let found = paged(&names, "", 16);
    let first: Vec<_> = found.iter().take(7).map(|(name, id, hosts)| (name.as_str(), *id, *hosts)).collect();
    let expected = [
        ("zebra", id(2001), 40),
        ("beta", id(2002), 2),
        ("film", id(2000), 3),
        ("film", id(0), 1),
        ("film", id(1), 1),
        ("film", id(2), 1),
        ("a000", id(1000), 1),
    ];
    assert_eq!(first, expected);
    assert_eq!(found.len(), 560 + 560 + 3, "and nothing is lost");
    assert_eq!((&found[7 + 559].0[..], found[7 + 559].1), ("film", id(3)), "the rest of a name comes last");
}

#[test]
fn what_a_host_calls_so_first_comes_before_what_another_calls_so_second() {
    let mut names = Names::new();
    let label = names.label(&Name::new("film").unwrap());
    for number in 0..560 {
        names.support(&label, id(number), host(1), NOW);
    }
    // It comes when the other ones are there already.
    names.support(&label, id(1000), host(2), NOW);
    let first: Vec<ContentId> = names.named("film").map(|called| called.content).take(3).collect();
    assert_eq!(first, [id(0), id(1000), id(1)]);
    // Taken back and said again it is not a first one again.
    names.unsupport(&label, id(0));
    names.support(&label, id(0), host(1), NOW);
    assert_eq!(names.named("film").next().map(|called| called.content), Some(id(1000)));
    assert_eq!(paged(&names, "", 16).len(), 561);
}

#[test]
fn one_of_many_is_found_by_its_id_and_the_last_is_known() {
    let mut names = Names::new();
    for number in (0..4000).rev() {
        support(&mut names, "film", number, 1);
    }
    assert_eq!(names.newest("film").map(|called| called.content), Some(id(0)));
    let found: Vec<ContentId> =
        names.named_from("film", id(777)).map(|called| called.content).take(2).collect();
    assert_eq!(found, [id(777), id(778)]);
    let label = names.label(&Name::new("film").unwrap());
    names.unsupport(&label, id(0));
    assert_eq!(names.newest("film").map(|called| called.content), Some(id(1)));
    assert_eq!(names.newest("fil").map(|called| called.content), None);
}

#[test]
fn a_cursor_that_no_page_ends_with_leads_nowhere_bad() {
    let mut names = Names::new();
    for number in 0..9 {
        support(&mut names, "a", number, 1);
    }
    let name = Name::new("a").unwrap();
    for tier in [TIERS + 1, u8::MAX] {
        let after = Cursor { tier, name: name.clone(), hosts: 1, number: 0 };
        assert_eq!(names.search("", Some(&after)).count(), 0);
    }
    let after = Cursor { tier: TIERS, name, hosts: u32::MAX, number: 0 };
    assert_eq!(names.search("", Some(&after)).count(), 9 - MAX_BEST);
}

proptest! {
    /// The index is a list of claims, in the order that is said; pages of any size join to it without gap or
    /// repetition.
    #[test]
    fn it_is_a_list_in_order(
        steps in prop::collection::vec((any::<bool>(), 0..4_u8, 0..13_u16, 0..3_u8), 0..160), each in 1..9_usize, prefix in "n?[0-3]?",
    ) {
        let (mut names, mut list) = (Names::new(), Vec::<(String, u16, u32, u64, (u8, u64))>::new());
        let mut claims_made = 0;
        for (adds, name, number, by) in steps {
            let text = format!("n{name}");
            let label = names.label(&Name::new(&text).unwrap());
            let known = list.iter_mut().find(|line| (&line.0, line.1) == (&text, number));
            match (adds, known) {
                (true, Some(line)) => {
                    line.2 += 1;
                    prop_assert_eq!(names.support(&label, id(number), host(by), NOW), line.3);
                }
                (true, None) => {
                    claims_made += 1;
                    prop_assert_eq!(names.support(&label, id(number), host(by), NOW), claims_made);
                    let nth = list.iter().filter(|line| line.0 == text && line.4.0 == by).count();
                    list.push((text, number, 1, claims_made, (by, nth as u64)));
                }
                (false, Some(line)) => {
                    line.2 -= 1;
                    prop_assert_eq!(names.unsupport(&label, id(number)), line.3);
                }
                (false, None) => {}
            }
            list.retain(|line| line.2 > 0);
        }
        let rank = |line: &(String, u16, u32, u64, (u8, u64))| (Reverse(line.2), line.4.1, line.3);
        let place = |line: &(String, u16, u32, u64, (u8, u64))| {
            let of_name = || list.iter().filter(|other| other.0 == line.0);
            let best = of_name().map(|line| line.2).max().unwrap_or(0);
            let before = of_name().filter(|other| rank(other) < rank(line)).count();
            (if before < MAX_BEST { tier(best) } else { TIERS }, line.0.clone(), rank(line))
        };
        let mut expected: Vec<_> = list.iter().filter(|line| line.0.starts_with(&prefix)).collect();
        expected.sort_by_key(|line| place(line));
        let expected: Vec<_> = expected.into_iter().map(|line| (line.0.clone(), id(line.1), line.2)).collect();
        prop_assert_eq!(paged(&names, &prefix, each), expected);
        for name in ["n0", "n1"] {
            let mut of_name: Vec<_> = list.iter().filter(|line| line.0 == name).collect();
            of_name.sort_by_key(|line| rank(line));
            let ranked: Vec<ContentId> = of_name.iter().map(|line| id(line.1)).collect();
            prop_assert_eq!(names.named(name).map(|called| called.content).collect::<Vec<_>>(), ranked.clone());
            let newest = of_name.iter().max_by_key(|line| line.3).map(|line| id(line.1));
            prop_assert_eq!(names.newest(name).map(|called| called.content), newest);
            let mut by_id = ranked;
            by_id.retain(|content| *content >= id(4));
            by_id.sort();
            prop_assert_eq!(names.named_from(name, id(4)).map(|called| called.content).collect::<Vec<_>>(), by_id);
        }
    }

    #[test]
    fn each_tier_has_twice_the_hosts(hosts in 1..100_000_u32) {
        prop_assert!(tier(hosts) < TIERS && tier(hosts) >= tier(hosts * 2));
        prop_assert!(hosts >= 1 << (TIERS - 1 - tier(hosts)), "no more is said than there are");
        prop_assert!(tier(hosts) == 0 || hosts < 2 << (TIERS - 1 - tier(hosts)));
    }
}
