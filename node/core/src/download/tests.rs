use std::path::PathBuf;
use std::time::Duration;

use messages::node_to_tracker::Permille;
use messages::tracker_to_node::{ContentOwners, Owner};
use messages::{List, Name};

use super::*;
use crate::command::{Destination, DownloadTimeouts, Existing};
use crate::context::Shared;

const NOW: Timestamp = Timestamp::ZERO;

fn shared() -> Shared {
    Shared::of_test(NodeId::from_bytes([7; 16]), 1, NOW)
}

/// A download of a content with the name `film`.
fn download() -> Download {
    let wanted = Wanted::Newest(Name::new("film").expect("a name"));
    let destination = Destination::Folder(PathBuf::from("/tmp"));
    let timeouts = DownloadTimeouts { tracker: Some(Duration::from_secs(5)), ..DownloadTimeouts::NONE };
    let order = DownloadOrder {
        wanted,
        destination,
        existing: Existing::Keep,
        select: Vec::new(),
        save: crate::command::SaveOptions::default(),
        sequential: false,
        timeouts,
    };
    Download::new(DownloadId(1), ShareId(2), (Purpose::Content, order), NOW)
}

/// The tracker's answer that one content has the name `film`, and that only this node has it.
fn film() -> Owners {
    let (content, name) = (ContentId::from_bytes([3; 32]), Name::new("film").expect("a name"));
    let content = Listed { content, length: 9, complete: 1, partial: 0, hosts: 1, age_s: 1, name };
    Owners::Content(ContentOwners { content, owners: List::default() })
}

#[test]
fn what_the_tracker_names_is_fetched_and_its_later_answers_change_nothing_but_the_holders() {
    let (mut shared, mut download) = (shared(), download());
    assert!(download.poll_need(NOW, &shared.settings).is_some());
    download.poll(&mut shared.context(NOW));
    assert!(!download.is_due(NOW) && download.content().is_none());
    download.handle_owners(&film(), false, &mut shared.context(NOW));
    assert!(download.is_identified() && download.is_due(NOW), "all is looked at");
    assert_eq!(download.target(), PathBuf::from("/tmp/film"));
    download.handle_owners(&film(), false, &mut shared.context(NOW));
    let told = |event: &&Event| matches!(event, Event::DownloadIdentified { .. });
    assert_eq!(shared.out.events.iter().filter(told).count(), 1);
}

#[test]
fn a_cancelled_download_stays_over_whatever_the_tracker_answers() {
    let (mut shared, mut download) = (shared(), download());
    download.cancel(false, &mut shared.context(NOW));
    download.handle_owners(&film(), false, &mut shared.context(NOW));
    assert!(download.is_over() && !download.is_identified() && download.completed().is_none());
    let failed = |event: &&Event| matches!(event, Event::DownloadFailed { why: Failure::Cancelled, .. });
    assert_eq!(shared.out.events.iter().filter(failed).count(), 1);
}

#[test]
fn a_tracker_that_says_nothing_is_waited_for_as_long_as_the_order_says() {
    let (mut shared, mut download) = (shared(), download());
    let wait = download.poll(&mut shared.context(NOW));
    assert!(wait.until <= NOW + Duration::from_secs(5), "{wait:?}");
    let now = NOW + Duration::from_secs(5);
    download.poll(&mut shared.context(now));
    assert!(download.is_over());
    let why = shared.out.events.iter().find_map(|event| match event {
        Event::DownloadFailed { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert_eq!(why, Some(Failure::TrackerUnreachable));
}

#[test]
fn where_the_tracker_is_far_the_first_hello_of_one_owner_goes_out_twice() {
    for (is_far, sent) in [(false, [1, 1]), (true, [2, 1])] {
        let (mut shared, mut download) = (shared(), download());
        let peers: [SocketAddr; 2] = [1, 2].map(|host| SocketAddr::from(([10, 0, 0, host], 7000)));
        let Owners::Content(mut found) = film() else { unreachable!("one content has the name") };
        for (number, peer) in (1..).zip(peers) {
            let node = NodeId::from_bytes([number; 16]);
            let owner = Owner { node, endpoint: peer.into(), permille: Permille::COMPLETE };
            assert!(found.owners.push(owner).is_ok(), "there is space");
        }
        download.handle_owners(&Owners::Content(found), is_far, &mut shared.context(NOW));
        download.poll(&mut shared.context(NOW));
        let mut counts = peers.map(|peer| shared.out.datagrams.iter().filter(|one| one.to == peer).count());
        counts.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(counts, sent, "far {is_far}");
    }
}

/// Somebody on the path can open a channel at an owner's address, under a key of its own, and knows the session's number.
#[test]
fn in_a_session_only_its_owner_is_heard_whoever_else_has_a_channel_at_its_address() {
    let (mut shared, mut download) = (shared(), download());
    let (owner, peer) = (NodeId::from_bytes([1; 16]), SocketAddr::from(([10, 0, 0, 1], 7000)));
    let Owners::Content(mut found) = film() else { unreachable!("one content has the name") };
    let named = Owner { node: owner, endpoint: peer.into(), permille: Permille::COMPLETE };
    assert!(found.owners.push(named).is_ok(), "there is space");
    download.handle_owners(&Owners::Content(found), false, &mut shared.context(NOW));
    download.poll(&mut shared.context(NOW));
    let key = download.peers.sessions.iter().next().expect("the owner is greeted").key();
    let elsewhere = SocketAddr::from(([10, 0, 0, 2], 7000));
    for (sender, from, is_heard) in [
        (None, peer, true),
        (Some(owner), peer, true),
        (Some(NodeId::from_bytes([9; 16])), peer, false),
        (Some(owner), elsewhere, false),
    ] {
        shared.sender = sender;
        assert_eq!(download.is_from(key, from, &shared.context(NOW)), is_heard, "{sender:?} at {from}");
    }
}
