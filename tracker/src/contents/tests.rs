//! Names, pages, digests, and the table against a naive list.

use std::collections::BTreeSet;

use messages::Name;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::ZERO;

fn id(number: u8) -> ContentId {
    ContentId::from_bytes([number; 32])
}

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

/// A node at a host of its own.
fn at(number: u8) -> (NodeId, HostKey) {
    at_host(number, number)
}

fn at_host(number: u8, host: u8) -> (NodeId, HostKey) {
    (node(number), HostKey::at([10, 0, 0, host].into()))
}

fn entry(content: u8, name: &str, have: u32) -> OwnEntry {
    OwnEntry {
        content: id(content),
        length: 1000 * u64::from(content),
        permille: Permille::of(have, 1000),
        withdrawn: false,
        name: Name::new(name).unwrap(),
    }
}

fn owners_of(contents: &Contents, content: ContentId) -> Vec<NodeId> {
    (0..=255).map(node).filter(|&node| contents.is_owner(node, content)).collect()
}

fn names_of(found: impl Iterator<Item = Listed>) -> Vec<(String, ContentId)> {
    found.map(|listed| (listed.name.as_str().to_owned(), listed.content)).collect()
}

#[test]
fn the_name_and_length_that_most_hosts_say_are_told() {
    let mut contents = Contents::new(10, 1000);
    contents.announce(at(1), &OwnEntry { length: 7, ..entry(1, "aaa", 1000) }, NOW).unwrap();
    contents.announce(at(2), &entry(1, "film", 1000), NOW).unwrap();
    contents.announce(at(3), &entry(1, "film", 500), NOW).unwrap();
    let listed = contents.listed(id(1), NOW).unwrap();
    assert_eq!((listed.name.as_str(), listed.length, listed.complete, listed.partial), ("film", 1000, 2, 1));
    assert_eq!(contents.named("aaa", NOW).count(), 1, "every name finds it");
    contents.withdraw(node(1), id(1)).unwrap();
    assert_eq!(contents.named("aaa", NOW).count(), 0);
}

#[test]
fn a_host_is_one_voice_however_many_nodes_it_has() {
    let mut contents = Contents::new(10, 1000);
    contents.announce(at(1), &entry(1, "film", 1000), NOW).unwrap();
    for number in 100..200 {
        let said = OwnEntry { length: 7, ..entry(1, "a.exe", 1000) };
        contents.announce(at_host(number, 100), &said, NOW).unwrap();
    }
    let told = |contents: &Contents| {
        let listed = contents.listed(id(1), NOW).unwrap();
        (listed.name.as_str().to_owned(), listed.hosts, listed.complete)
    };
    assert_eq!(told(&contents), ("film".to_owned(), 1, 101), "of as many hosts the first to say it");
    contents.announce(at(2), &entry(1, "film", 10), NOW).unwrap();
    assert_eq!(told(&contents), ("film".to_owned(), 2, 101));
    assert_eq!(contents.length(id(1)), Some(1000));
    contents.change_host(node(2), id(1), HostKey::at([10, 0, 0, 1].into()), NOW);
    assert_eq!(told(&contents), ("film".to_owned(), 1, 101));
    contents.withdraw(node(1), id(1)).unwrap();
    assert_eq!(told(&contents), ("film".to_owned(), 1, 100));
    contents.withdraw(node(2), id(1)).unwrap();
    assert_eq!(told(&contents), ("a.exe".to_owned(), 1, 100));
    for number in 100..199 {
        contents.withdraw(node(number), id(1)).unwrap();
    }
    assert_eq!((told(&contents), contents.length(id(1))), (("a.exe".to_owned(), 1, 1), Some(7)));
}

#[test]
fn a_full_table_still_takes_owners_of_what_it_knows() {
    let mut contents = Contents::new(1, 1000);
    contents.announce(at(1), &entry(1, "a", 1000), NOW).unwrap();
    assert_eq!(contents.announce(at(1), &entry(2, "b", 1000), NOW), Err(TableFull));
    assert!(contents.announce(at(2), &entry(1, "a", 10), NOW).is_ok());
    assert_eq!(contents.len(), 1);
}

#[test]
fn the_newest_of_a_name_is_what_was_called_so_last_and_the_others_follow() {
    let mut contents = Contents::new(10, 1000);
    let newest = |contents: &Contents| -> Vec<ContentId> {
        contents.newest("a", NOW).map(|listed| listed.content).collect()
    };
    assert_eq!(newest(&contents), []);
    for number in [5, 9, 2] {
        contents.announce(at(1), &entry(number, "a", 1000), NOW).unwrap();
    }
    assert_eq!(newest(&contents), [2, 5, 9].map(id));
    // Another owner, and more of it, make nothing newer; what goes and comes back is heard of anew.
    contents.announce(at(2), &entry(9, "a", 10), NOW).unwrap();
    contents.announce(at(1), &entry(9, "a", 500), NOW).unwrap();
    assert_eq!(newest(&contents), [2, 9, 5].map(id));
    contents.withdraw(node(1), id(2)).unwrap();
    assert_eq!(newest(&contents), [9, 5].map(id));
    contents.announce(at(1), &entry(2, "b", 1000), NOW).unwrap();
    contents.announce(at(1), &entry(3, "a", 1000), NOW).unwrap();
    contents.announce(at(3), &entry(2, "a", 1000), NOW).unwrap();
    assert_eq!(newest(&contents)[0], id(2), "by this name it is new");
}

#[test]
fn digits_find_ids_that_begin_so_and_then_what_is_called_so() {
    let mut contents = Contents::new(10, 1000);
    for (number, name) in [(0xab, "x"), (0xcd, "abababab"), (0xce, "ABABABAB")] {
        contents.announce(at(1), &entry(number, name, 1000), NOW).unwrap();
    }
    let found = |digits: &str| -> Vec<ContentId> {
        let digits = Digits::new(digits).unwrap();
        contents.fitting(&digits, NOW).map(|listed| listed.content).collect()
    };
    assert_eq!(found("abababab"), [id(0xab), id(0xcd)]);
    assert_eq!(found("ABABABAB"), [id(0xab), id(0xce)]);
    assert_eq!(found("abababababa"), [id(0xab)]);
    assert_eq!(found("cdcdcdcd"), [id(0xcd)]);
    assert_eq!(found("abababac"), []);
    contents.announce(at(1), &entry(0xab, "abababab", 1000), NOW).unwrap();
    assert_eq!(contents.fitting(&Digits::new("abababab").unwrap(), NOW).count(), 2, "each once");
}

#[test]
fn a_content_is_as_old_as_the_table_knows_it() {
    let mut contents = Contents::new(10, 1000);
    let after = |seconds| NOW + std::time::Duration::from_secs(seconds);
    contents.announce(at(1), &entry(1, "a", 10), after(5)).unwrap();
    contents.announce(at(1), &entry(1, "a", 1000), after(50)).unwrap();
    contents.announce(at(2), &entry(1, "a", 1000), after(60)).unwrap();
    assert_eq!(contents.listed(id(1), after(65)).unwrap().age_s, 60);
}

#[test]
fn owners_take_turns_and_the_complete_have_turns_of_their_own() {
    let mut contents = Contents::new(1, 1000);
    for number in 1..=7 {
        contents.announce(at(number), &entry(1, "a", if number < 4 { 1000 } else { 10 }), NOW).unwrap();
    }
    let mut walk = |most| -> Vec<NodeId> { contents.take_turn(id(1), most).map(|(node, _)| node).collect() };
    assert_eq!(walk(4), [1, 2, 4, 5].map(node));
    assert_eq!(walk(4), [3, 1, 6, 7].map(node));
    assert_eq!(walk(20), [2, 3, 1, 4, 5, 6, 7].map(node));
    contents.announce(at(5), &entry(1, "a", 1000), NOW).unwrap();
    assert_eq!(owners_of(&contents, id(1)), [1, 2, 3, 4, 5, 6, 7].map(node), "it moved, and is there once");
    assert_eq!(contents.take_turn(id(1), 20).filter(|(_, permille)| permille.is_complete()).count(), 4);
    contents.announce(at(5), &entry(1, "a", 999), NOW).unwrap();
    assert_eq!(contents.take_turn(id(1), 20).filter(|(_, permille)| permille.is_complete()).count(), 3);
    assert_eq!(contents.take_turn(id(2), 20).count(), 0);
}

proptest! {
    #[test]
    fn places_are_halved_and_none_is_left_empty(complete in 0..50_usize, partial in 0..50_usize, most in 0..40_usize) {
        let (of_complete, of_partial) = split_turns(complete, partial, most);
        prop_assert_eq!(of_complete + of_partial, most.min(complete + partial));
        prop_assert!(of_complete <= complete && of_complete >= complete.min(most / 2));
        prop_assert!(of_partial <= partial && of_partial >= partial.min(most / 2));
    }
}

/// Two nodes share each host.
fn host_of(node: NodeId) -> HostKey {
    HostKey::at([10, 0, 0, node.as_bytes()[0] / 2].into())
}

#[derive(Clone, Debug)]
enum Step {
    Announce { node: u8, content: u8, name: u8, have: u32 },
    Withdraw { node: u8, content: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..5_u8, 0..6_u8, 0..3_u8, 0..1001_u32).prop_map(|(node, content, name, have)| Step::Announce {
            node,
            content,
            name,
            have
        }),
        (0..5_u8, 0..6_u8).prop_map(|(node, content)| Step::Withdraw { node, content }),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn it_says_what_a_naive_list_says(steps in steps()) {
        let mut contents = Contents::new(5, 7);
        let mut naive: BTreeMap<(ContentId, NodeId), OwnEntry> = BTreeMap::new();
        let mut digests = [OwnDigest::default(); 5];
        for step in steps {
            match step {
                Step::Announce { node: number, content, name, have } => {
                    let said = entry(content, &format!("n{name}"), have);
                    let is_known = naive.contains_key(&(said.content, node(number)));
                    let is_known_or_fits = naive.keys().any(|(content, _)| *content == said.content)
                        || naive.keys().map(|(content, _)| content).collect::<BTreeSet<_>>().len() < 5;
                    let room = is_known_or_fits && (is_known || naive.len() < 7);
                    let announced = contents.announce((node(number), host_of(node(number))), &said, NOW);
                    prop_assert_eq!(announced.is_ok(), room);
                    if let Ok(announced) = announced {
                        digests[number as usize].0 ^= announced.digest_change.0;
                        let before = naive.insert((said.content, node(number)), said);
                        prop_assert_eq!(before.map(|entry| entry.permille), announced.before);
                    }
                }
                Step::Withdraw { node: number, content } => {
                    let gone = contents.withdraw(node(number), id(content));
                    digests[number as usize].0 ^= gone.unwrap_or_default().0;
                    prop_assert_eq!(naive.remove(&(id(content), node(number))).is_some(), gone.is_some());
                }
            }
        }
        let mut by_name: Vec<(String, ContentId)> =
            naive.values().map(|entry| (entry.name.as_str().to_owned(), entry.content)).collect();
        by_name.sort();
        by_name.dedup();
        let named = |name: &str| contents.named(name, NOW).map(|listed| listed.content).collect::<BTreeSet<_>>();
        for name in ["n0", "n1", "n2"] {
            let newest = contents.newest(name, NOW).map(|listed| listed.content).collect::<BTreeSet<_>>();
            prop_assert_eq!(newest, named(name));
        }
        let mut listed: Vec<(String, ContentId)> = names_of(contents.search("", None, NOW).map(|(listed, _)| listed));
        for (listed, _) in contents.search("", None, NOW) {
            let says_so = |entry: &&OwnEntry| (entry.content, &entry.name) == (listed.content, &listed.name);
            let nodes = naive.iter().filter(|(_, entry)| says_so(entry)).map(|((_, node), _)| *node);
            prop_assert_eq!(listed.hosts as usize, nodes.map(host_of).collect::<BTreeSet<_>>().len());
        }
        listed.sort();
        prop_assert_eq!(listed, by_name);
        for number in 0..5 {
            let mut digest = OwnDigest::default();
            naive.iter().filter(|((_, owner), _)| *owner == node(number)).for_each(|(_, entry)| digest.toggle(entry));
            prop_assert_eq!(digest, digests[number as usize]);
        }
        let mut known: Vec<ContentId> = naive.keys().map(|(content, _)| *content).collect();
        known.dedup();
        prop_assert_eq!(contents.len(), known.len());
        prop_assert_eq!(contents.free_announcements(), 7 - naive.len());
        for content in known {
            let mut owners: Vec<(NodeId, Permille)> = contents.take_turn(content, 5).collect();
            prop_assert!(owners.is_sorted_by_key(|(_, permille)| !permille.is_complete()), "the complete ones first");
            owners.sort_unstable();
            prop_assert_eq!(owners_of(&contents, content), owners.iter().map(|(owner, _)| *owner).collect::<Vec<_>>());
            let of_it = naive.iter().filter(|((of, _), _)| *of == content);
            prop_assert_eq!(owners, of_it.map(|((_, owner), entry)| (*owner, entry.permille)).collect::<Vec<_>>());
        }
    }
}
