//! Names, pages, digests, and the table against a naive list.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn id(number: u8) -> ContentId {
    ContentId::from_bytes([number; 32])
}

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
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

fn names_of(found: impl Iterator<Item = Listed>) -> Vec<(String, ContentId)> {
    found.map(|listed| (listed.name.as_str().to_owned(), listed.content)).collect()
}

#[test]
fn the_name_and_length_that_most_owners_say_are_told() {
    let mut contents = Contents::new(10, 1000);
    contents.announce(node(1), &OwnEntry { length: 7, ..entry(1, "aaa", 1000) }).unwrap();
    contents.announce(node(2), &entry(1, "film", 1000)).unwrap();
    contents.announce(node(3), &entry(1, "film", 500)).unwrap();
    let listed = contents.listed(id(1)).unwrap();
    assert_eq!((listed.name.as_str(), listed.length, listed.owners), ("film", 1000, 3));
    assert_eq!(contents.named(&Name::new("aaa").unwrap()).count(), 1, "every name finds it");
    contents.withdraw(node(1), id(1)).unwrap();
    assert_eq!(contents.named(&Name::new("aaa").unwrap()).count(), 0);
}

#[test]
fn pages_join_without_gap_or_repetition() {
    let mut contents = Contents::new(100, 1000);
    for number in 0..30 {
        contents.announce(node(1), &entry(number, &format!("f{}", number % 4), 1000)).unwrap();
    }
    contents.announce(node(1), &entry(90, "e", 0)).unwrap();
    contents.announce(node(1), &entry(91, "g", 0)).unwrap();
    let whole = names_of(contents.search("f", None));
    assert_eq!(whole.len(), 30);
    assert!(whole.is_sorted());
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = names_of(contents.search("f", after.as_ref()).take(7));
        let Some((name, last)) = page.last().cloned() else { break };
        after = Some((Name::new(&name).unwrap(), last));
        paged.extend(page);
    }
    assert_eq!(paged, whole);
    assert_eq!(contents.search("", None).count(), 32);
    assert_eq!(contents.search("f9", None).count(), 0);
}

#[test]
fn a_page_goes_on_behind_a_content_that_is_gone() {
    let mut contents = Contents::new(100, 1000);
    for (number, name) in [(1, "a"), (2, "b"), (3, "b"), (4, "c")] {
        contents.announce(node(1), &entry(number, name, 1000)).unwrap();
    }
    contents.withdraw(node(1), id(2)).unwrap();
    let after = (Name::new("b").unwrap(), id(2));
    assert_eq!(names_of(contents.search("", Some(&after))), [("b".into(), id(3)), ("c".into(), id(4))]);
}

#[test]
fn a_full_table_still_takes_owners_of_what_it_knows() {
    let mut contents = Contents::new(1, 1000);
    contents.announce(node(1), &entry(1, "a", 1000)).unwrap();
    assert_eq!(contents.announce(node(1), &entry(2, "b", 1000)), Err(NoRoom));
    assert!(contents.announce(node(2), &entry(1, "a", 10)).is_ok());
    assert_eq!(contents.len(), 1);
}

#[test]
fn owners_take_turns_and_the_complete_have_turns_of_their_own() {
    let mut contents = Contents::new(1, 1000);
    for number in 1..=7 {
        contents.announce(node(number), &entry(1, "a", if number < 4 { 1000 } else { 10 })).unwrap();
    }
    let mut walk =
        |most| -> Vec<NodeId> { contents.owners_in_turn(id(1), most).map(|(node, _)| node).collect() };
    assert_eq!(walk(4), [1, 2, 4, 5].map(node));
    assert_eq!(walk(4), [3, 1, 6, 7].map(node));
    assert_eq!(walk(20), [2, 3, 1, 4, 5, 6, 7].map(node));
    contents.announce(node(5), &entry(1, "a", 1000)).unwrap();
    assert_eq!(contents.owners(id(1)), [1, 2, 3, 4, 5, 6, 7].map(node), "it moved, and is there once");
    assert_eq!(contents.owners_in_turn(id(1), 20).filter(|(_, permille)| permille.is_complete()).count(), 4);
    contents.announce(node(5), &entry(1, "a", 999)).unwrap();
    assert_eq!(contents.owners_in_turn(id(1), 20).filter(|(_, permille)| permille.is_complete()).count(), 3);
    assert_eq!(contents.owners_in_turn(id(2), 20).count(), 0);
}

proptest! {
    #[test]
    fn places_are_halved_and_none_is_left_empty(complete in 0..50_usize, partial in 0..50_usize, most in 0..40_usize) {
        let (of_complete, of_partial) = places(complete, partial, most);
        prop_assert_eq!(of_complete + of_partial, most.min(complete + partial));
        prop_assert!(of_complete <= complete && of_complete >= complete.min(most / 2));
        prop_assert!(of_partial <= partial && of_partial >= partial.min(most / 2));
    }
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
                    let has_place = naive.keys().any(|(content, _)| *content == said.content)
                        || naive.keys().map(|(content, _)| content).collect::<BTreeSet<_>>().len() < 5;
                    let room = has_place && (is_known || naive.len() < 7);
                    let announced = contents.announce(node(number), &said);
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
        prop_assert_eq!(names_of(contents.search("", None)), by_name);
        for number in 0..5 {
            let mut digest = OwnDigest::default();
            naive.iter().filter(|((_, owner), _)| *owner == node(number)).for_each(|(_, entry)| digest.toggle(entry));
            prop_assert_eq!(digest, digests[number as usize]);
        }
        let mut known: Vec<ContentId> = naive.keys().map(|(content, _)| *content).collect();
        known.dedup();
        prop_assert_eq!(contents.len(), known.len());
        prop_assert_eq!(contents.room(), 7 - naive.len());
        for content in known {
            let mut owners: Vec<(NodeId, Permille)> = contents.owners_in_turn(content, 5).collect();
            prop_assert!(owners.is_sorted_by_key(|(_, permille)| !permille.is_complete()), "the complete ones first");
            owners.sort_unstable();
            prop_assert_eq!(contents.owners(content), owners.iter().map(|(owner, _)| *owner).collect::<Vec<_>>());
            let of_it = naive.iter().filter(|((of, _), _)| *of == content);
            prop_assert_eq!(owners, of_it.map(|((_, owner), entry)| (*owner, entry.permille)).collect::<Vec<_>>());
        }
    }
}
