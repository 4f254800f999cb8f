//! What is called what, and by how many hosts: one person's nodes are one voice, and what few call theirs stands behind
//! what many do.

use super::*;

/// Nodes of one host.
fn nodes_of_one_host(scene: &mut Scene, count: u16) -> Vec<Client> {
    let node = |number: u16| {
        let mut client = client_at(500 + number, SocketAddr::from(([10, 9, 9, 9], 7000 + number)));
        scene.join(&mut client);
        client
    };
    (0..count).map(node).collect()
}

/// Contents with the number of their hosts.
fn told(owners: Owners) -> Vec<(ContentId, u32)> {
    match owners {
        Owners::Contents(listing) => listing.contents.iter().map(|it| (it.content, it.hosts)).collect(),
        other => panic!("{other:?}"),
    }
}

fn film() -> Query {
    Query::Name(Name::new("film.pdf").unwrap())
}

#[test]
fn twenty_nodes_of_one_host_neither_rename_a_content_nor_make_another_its_equal() {
    let mut scene = Scene::new();
    let mut one = scene.joined(1);
    scene.own(&mut one, &[entry(1, "film.pdf", 1000)]);
    for mut node in nodes_of_one_host(&mut scene, 20) {
        scene.own(&mut node, &[entry(1, "film.exe", 1000), entry(2, "film.pdf", 1000)]);
    }
    let found = scene.owners(&one, 1).content;
    assert_eq!((found.name.as_str(), found.hosts, found.complete), ("film.pdf", 1, 21), "it said so first");
    assert_eq!(told(scene.need(&one, film())), [(content(1), 1), (content(2), 1)]);
    let mut two = scene.joined(2);
    scene.own(&mut two, &[entry(1, "film.pdf", 0)]);
    assert_eq!(told(scene.need(&one, film())), [(content(1), 2), (content(2), 1)]);
    let page = scene.search(&one, "film.", None);
    let rows: Vec<_> = page.contents.iter().map(|it| (it.name.as_str(), it.content, it.hosts)).collect();
    let expected = [("film.pdf", content(1), 2), ("film.pdf", content(2), 1), ("film.exe", content(1), 1)];
    assert_eq!(rows, expected);
}

#[test]
fn what_one_host_calls_theirs_comes_behind_what_two_do_and_every_page_joins() {
    let mut scene = Scene::with(|settings| settings.limits.request_burst = 10_000);
    let (mut one, mut two) = (scene.joined(1), scene.joined(2));
    let mut hostile = scene.joined(3);
    for first in (0..560).step_by(14) {
        let name =
            |number: u16| if number.is_multiple_of(2) { "film.pdf".to_owned() } else { format!("a{number}") };
        let fakes: Vec<OwnEntry> =
            (first..first + 14).map(|number| entry(1000 + number, &name(number), 1000)).collect();
        assert_eq!(scene.own(&mut hostile, &fakes), 14);
    }
    scene.pass(SECOND);
    scene.own(&mut one, &[entry(1, "film.pdf", 1000)]);
    scene.own(&mut two, &[entry(1, "film.pdf", 1000)]);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = scene.search(&one, "", after.take());
        after = page.next();
        found.extend(page.contents.iter().map(|it| (it.name.clone(), it.content)));
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found[0], (Name::new("film.pdf").unwrap(), content(1)), "it is the first of the first page");
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 561);
    assert_eq!(told(scene.need(&one, film()))[0], (content(1), 2));
    assert_eq!(told(scene.need(&one, Query::Newest(Name::new("film.pdf").unwrap())))[0], (content(1), 2));
}

#[test]
fn a_node_that_comes_back_at_another_host_takes_its_voice_along() {
    let mut scene = Scene::new();
    let (mut one, mut two) = (scene.joined(1), scene.joined(2));
    scene.own(&mut one, &[entry(1, "film.pdf", 1000)]);
    scene.own(&mut two, &[entry(1, "film.pdf", 1000)]);
    assert_eq!(scene.owners(&one, 1).content.hosts, 2);
    // The second node moves to the host of the first, with all that it has.
    let address = SocketAddr::new(one.address.ip(), 7009);
    let mut moved = Client { address, epoch: BootEpoch(2), ..two.clone() };
    scene.prove(&mut moved);
    scene.refusal(moved.address, &moved.register());
    scene.pass(Duration::from_secs(5));
    assert!(!scene.register(&mut moved).resync);
    let found = scene.owners(&one, 1).content;
    assert_eq!((found.hosts, found.complete), (1, 2), "two nodes of one host");
}
