//! NEED: by id, by name, by prefix; pages; whom the asker is sent to and where.

use super::*;

fn names(listing: &Listing) -> Vec<String> {
    listing.contents.iter().map(|listed| listed.name.as_str().to_owned()).collect()
}

#[test]
fn a_content_is_found_by_id_and_by_its_only_name() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.own(&mut one, &[entry(1, "a film.mkv", 1000)]);
    let mut asker = client(2);
    scene.prove(&mut asker);
    let by_id = scene.owners(&asker, 1);
    assert_eq!(by_id.content.name.as_str(), "a film.mkv");
    assert_eq!((by_id.content.length, by_id.content.complete, by_id.content.partial), (1 << 30, 1, 0));
    assert_eq!(by_id.owners[0].node, one.id);
    assert_eq!(by_id.owners[0].endpoint.address(), one.address);
    let by_name = scene.need(&asker, Query::Name(Name::new("a film.mkv").unwrap()));
    assert_eq!(by_name, Owners::Content(by_id));
    assert_eq!(scene.need(&asker, Query::Name(Name::new("a film").unwrap())), UNKNOWN);
    assert_eq!(scene.need(&asker, Query::Content(content(9))), UNKNOWN);
    assert_eq!(scene.tracker.nodes(), 1, "asking is not joining");
}

#[test]
fn one_name_of_several_contents_is_answered_with_all_of_them() {
    let mut scene = Scene::new();
    let (mut one, mut two) = (scene.joined(1), scene.joined(2));
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    scene.own(&mut two, &[entry(2, "a", 1000), entry(3, "b", 1000)]);
    match scene.need(&one, Query::Name(Name::new("a").unwrap())) {
        Owners::Contents(listing) => {
            let ids: Vec<ContentId> = listing.contents.iter().map(|listed| listed.content).collect();
            assert_eq!(ids, [content(1), content(2)]);
            assert_eq!(listing.more, None);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_beginning_of_an_id_is_answered_like_a_name() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    let begin = |number| Digits::new(&content(number).to_string()[..8]).unwrap();
    scene.own(&mut one, &[entry(1, "a", 1000), entry(2, "b", 10), entry(3, begin(2).as_str(), 1000)]);
    let by_id = scene.owners(&one, 1);
    assert_eq!(scene.need(&one, Query::Digits(begin(1))), Owners::Content(by_id));
    match scene.need(&one, Query::Digits(begin(2))) {
        Owners::Contents(listing) => {
            let found: Vec<_> =
                listing.contents.iter().map(|it| (it.content, it.complete, it.partial)).collect();
            assert_eq!(found, [(content(2), 0, 1), (content(3), 1, 0)]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.need(&one, Query::Digits(begin(9))), UNKNOWN);
}

#[test]
fn of_several_contents_of_one_name_the_newest_can_be_asked_for() {
    let mut scene = Scene::new();
    let (mut one, asker) = (scene.joined(1), scene.joined(2));
    for number in [7, 3, 5] {
        scene.own(&mut one, &[entry(number, "lab.img", 1000)]);
        scene.pass(SECOND);
    }
    let newest = Query::Newest(Name::new("lab.img").unwrap());
    let Owners::Contents(found) = scene.need(&asker, newest) else { panic!("no list") };
    let told: Vec<_> = found.contents.iter().map(|it| (it.content, it.hosts, it.age_s)).collect();
    assert_eq!(told, [(content(5), 1, 1), (content(7), 1, 3), (content(3), 1, 2)]);
    assert_eq!(scene.need(&asker, Query::Newest(Name::new("lab").unwrap())), UNKNOWN);
}

#[test]
fn the_askers_own_node_is_left_out() {
    let mut scene = Scene::new();
    let (mut one, mut two) = (scene.joined(1), scene.joined(2));
    scene.own(&mut one, &[entry(1, "a", 1000)]);
    let alone = scene.owners(&one, 1);
    assert_eq!((alone.owners.len(), alone.content.complete), (0, 1));
    scene.own(&mut two, &[entry(1, "a", 0)]);
    let found = scene.owners(&one, 1);
    assert_eq!(found.owners.iter().map(|owner| owner.node).collect::<Vec<_>>(), [two.id]);
}

#[test]
fn a_search_is_paged_and_each_page_fits_a_datagram() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    let mut said: Vec<String> = Vec::new();
    for number in 0..40 {
        // Long names, so that fewer than the most contents fit a page.
        let name = format!("{:03}-{}", number, "x".repeat(usize::from(number) * 6));
        scene.own(&mut one, &[entry(number, &name, 1000)]);
        said.push(name);
    }
    let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let listing = scene.search(&one, "", after.take());
        found.extend(names(&listing));
        pages += 1;
        after = listing.next();
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, said);
    assert!(pages > 4, "{pages}");
    assert_eq!(names(&scene.search(&one, "00", None)).len(), 10);
    assert_eq!(scene.search(&one, "zzz", None), Listing { contents: List::new(), more: None });
}

#[test]
fn an_answer_with_the_most_owners_and_the_longest_name_fits_a_datagram() {
    let mut scene = Scene::new();
    for number in 0..30 {
        let mut one = scene.joined(number);
        scene.own(&mut one, &[entry(1, &"n".repeat(255), 1000)]);
    }
    let mut asker = client(99);
    scene.prove(&mut asker);
    let found = scene.owners(&asker, 1);
    assert_eq!((found.owners.len(), found.content.complete), (20, 30));
}

#[test]
fn an_owner_at_loopback_is_found_where_the_asker_found_the_tracker() {
    let mut scene = Scene::new();
    let mut near = client_at(1, "127.0.0.1:7000".parse().unwrap());
    scene.join(&mut near);
    scene.own(&mut near, &[entry(1, "a", 1000)]);
    let far = scene.joined(2);
    let told = scene.owners(&far, 1).owners[0].endpoint.to_string();
    assert_eq!(told, format!("{TRACKER_IP}:7000"));
    let neighbour = client_at(3, "127.0.0.1:7001".parse().unwrap());
    let mut neighbour = neighbour;
    scene.join(&mut neighbour);
    assert_eq!(scene.owners(&neighbour, 1).owners[0].endpoint.to_string(), "127.0.0.1:7000");
}

#[test]
fn owners_of_the_askers_family_come_first() {
    let mut scene = Scene::new();
    for number in 0..8 {
        let mut six = client_at(number, format!("[2001:db8:{number}::1]:7000").parse().unwrap());
        scene.join(&mut six);
        scene.own(&mut six, &[entry(1, "a", 1000)]);
    }
    let mut four = scene.joined(100);
    scene.own(&mut four, &[entry(1, "a", 0)]);
    let asker = scene.joined(101);
    for _ in 0..10 {
        let found = scene.owners(&asker, 1);
        assert_eq!((found.owners[0].node, found.owners.len()), (four.id, 9));
    }
}

#[test]
fn equal_owners_are_named_first_equally_often() {
    let mut scene = Scene::new();
    for number in 0..12 {
        let mut one = scene.joined(number);
        scene.own(&mut one, &[entry(1, "a", 1000)]);
    }
    let mut first = [0_u32; 12];
    let asker = scene.joined(99);
    for _ in 0..600 {
        let found = scene.owners(&asker, 1);
        let at = (0..12).position(|number| id(number) == found.owners[0].node).unwrap();
        first[at] += 1;
    }
    assert!(first.iter().all(|count| (35..=65).contains(count)), "{first:?}");
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    let run = || {
        let mut scene = Scene::new();
        for number in 0..30 {
            let mut one = scene.joined(number);
            scene.own(&mut one, &[entry(1, "a", u32::from(number) * 30)]);
        }
        let asker = scene.joined(99);
        (0..20).map(|_| scene.owners(&asker, 1)).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_young_tracker_says_for_how_long_its_not_knowing_means_little() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.restart();
    scene.prove(&mut one);
    let whole_in = |scene: &mut Scene, query| match scene.need(&one, query) {
        Owners::Unknown { whole_in_ms } => whole_in_ms,
        other => panic!("{other:?}"),
    };
    let content = Query::Content(content(1));
    assert_eq!(whole_in(&mut scene, content.clone()), 25_000, "a heartbeat and five seconds");
    assert_eq!(whole_in(&mut scene, Query::Name(Name::new("a").unwrap())), 25_000);
    assert_eq!(whole_in(&mut scene, Query::Search { prefix: Prefix::default(), after: None }), 25_000);
    scene.pass(Duration::from_millis(24_000));
    assert_eq!(whole_in(&mut scene, content.clone()), 1000);
    scene.pass(SECOND);
    assert_eq!(whole_in(&mut scene, content), 0, "nobody has it");
}

#[test]
fn a_tracker_at_an_address_that_nobody_knew_says_at_once_what_nobody_has() {
    let mut scene = Scene::new();
    scene.start_afresh();
    let mut one = scene.joined(1);
    let owners = scene.need(&one, Query::Content(content(1)));
    assert_eq!(owners, Owners::Unknown { whole_in_ms: 0 });
    // Back at the address that it has by now, it is as young as any.
    scene.restart();
    scene.prove(&mut one);
    let owners = scene.need(&one, Query::Content(content(1)));
    assert_eq!(owners, Owners::Unknown { whole_in_ms: 25_000 });
}

#[test]
fn among_many_contents_of_one_name_the_one_is_found_whose_id_begins_so() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    for first in (0..320).step_by(10) {
        let entries: Vec<OwnEntry> = (first..first + 10).map(|number| entry(number * 7, "a", 1000)).collect();
        scene.own(&mut one, &entries);
    }
    scene.own(&mut one, &[entry(9000, "ab", 1000)]);
    // Digits 01c7: the page of that name from there on begins with the only one.
    let mut from = *content(0x01c7).as_bytes();
    from[2..].fill(0);
    let (name, from) = (Name::new("a").unwrap(), ContentId::from_bytes(from));
    let Owners::Contents(page) = scene.need(&one, Query::NameFrom { name, from }) else { panic!("no page") };
    assert_eq!(page.contents[0].content, content(0x01c7));
    assert!(!page.contents[1].content.to_string().starts_with("01c7"));
}
