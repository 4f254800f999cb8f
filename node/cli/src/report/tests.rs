//! Tests of the words that people read.

use std::path::PathBuf;

use messages::tracker_to_node::Listed;
use messages::{ContentId, PieceIndex, PieceRun};
use riffle::{DiskError, DiskErrorKind, OwnerShare, RecheckReason, ShareStatus};

use super::*;
use crate::fixtures::{self, content, name, node_id};

fn peer(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], port))
}

fn tracker() -> TrackerStatus {
    TrackerStatus { named: Some("t:1".to_owned()), ..TrackerStatus::at(peer(1)) }
}

fn context(place: Place, tracker: &TrackerStatus) -> FailureContext<'_> {
    FailureContext { place, tracker, has_some: true, waited: None }
}

fn download() -> DownloadStatus {
    let owner = |byte: u8, state, pieces| OwnerStatus {
        permille: if byte == 2 { 619 } else { 1000 },
        peer: peer(byte.into()),
        state,
        pieces,
        ..fixtures::owner(byte)
    };
    let owners = vec![
        owner(1, OwnerState::Ready, PieceRun::new(PieceIndex(32), 96)),
        owner(2, OwnerState::Snubbed, PieceRun::new(PieceIndex(128), 1)),
        owner(3, OwnerState::Connecting, None),
    ];
    DownloadStatus { name: "a file.bin".to_owned(), ..fixtures::download(owners) }
}

#[test]
fn the_line_for_the_other_side_is_quoted_for_a_shell() {
    let id = "07".repeat(32);
    assert_eq!(
        download_line("10.0.0.1:12345", content(7)),
        format!("riffle download --tracker 10.0.0.1:12345 {id}")
    );
    assert_eq!(download_line("[::1]:9", content(7)), format!("riffle download --tracker '[::1]:9' {id}"));
}

#[test]
fn the_line_with_a_ticket_is_read_as_that_ticket() {
    let ticket = riffle::Ticket::new(content(7), "10.0.0.1:12345".parse().expect("a tracker"));
    let line = ticket_line(&ticket);
    let words = crate::shell_words::split(&line).expect("closed");
    assert_eq!(words[..2], ["riffle", "download"]);
    assert_eq!(words[2].parse(), Ok(ticket));
}

#[test]
fn progress_says_how_far_how_fast_and_from_how_many() {
    assert_eq!(
        progress(&download()),
        "a file.bin: 25.0 % of 64.0 MiB, 8.00 MiB/s, 6 s left, owners: 1 complete, 1 on the way"
    );
}

#[test]
fn a_slow_download_says_why() {
    let limited = DownloadStatus { waiting: Waiting::Limit, rate: 0, owners: Vec::new(), ..download() };
    assert_eq!(progress(&limited), "a file.bin: 25.0 % of 64.0 MiB, 0 B/s; held by the download limit");
    let liars = DownloadStatus { waiting: Waiting::Liars, owners: Vec::new(), ..download() };
    assert_eq!(
        progress(&liars),
        "a file.bin: 25.0 % of 64.0 MiB, 8.00 MiB/s; no owner answers but who sent bytes that do not verify; \
         asking again, and for others"
    );
    let unknown =
        DownloadStatus { length: None, waiting: Waiting::Tracker, owners: Vec::new(), ..download() };
    assert_eq!(progress(&unknown), "a file.bin: not begun; waiting for the tracker to answer");
}

#[test]
fn how_long_a_young_tracker_is_waited_for_is_said() {
    let young = waiting(&Waiting::TrackerIsYoung { whole_in: Duration::from_millis(23_001) });
    let expected =
        "the tracker has just started and does not know everybody yet; asking again, for 24 s at most";
    assert_eq!(young.as_deref(), Some(expected));
}

#[test]
fn owners_that_say_nothing_are_named_with_what_is_likely_and_what_helps() {
    let why = Waiting::NoSignOfLife { peers: vec![peer(41012)], others: 0 };
    let expected = "no sign of life from UDP port 41012 of 10.0.0.2; a firewall on the way is likely";
    assert_eq!(waiting(&why).as_deref(), Some(expected));
    assert!(is_news(&why));
    let advised = format!("{expected}; --listen :PORT there gives the node a fixed port, to be opened");
    assert_eq!(news(&why), Some(advised));
    let many = Waiting::NoSignOfLife { peers: vec![peer(1), peer(2), peer(3)], others: 4 };
    let expected = "no sign of life from UDP port 1 of 10.0.0.2, UDP port 2 of 10.0.0.2, UDP port 3 of 10.0.0.2 \
                    and 4 more; a firewall on the way is likely";
    assert_eq!(waiting(&many).as_deref(), Some(expected));
    assert_eq!(news(&Waiting::Owners).as_deref(), waiting(&Waiting::Owners).as_deref());
}

#[test]
fn a_path_that_is_too_short_is_told_with_the_length_that_it_must_carry() {
    let why = Waiting::ShortPath { peers: vec![peer(41012)], others: 0 };
    let expected = "UDP port 41012 of 10.0.0.2 answers short packets, but the path carries no IP packets of 1228 bytes: \
                    look for an MTU below that on the way";
    assert_eq!(waiting(&why).as_deref(), Some(expected));
    assert!(is_news(&why));
    let v6: SocketAddr = "[fd00::2]:7".parse().expect("an address");
    let two = Waiting::ShortPath { peers: vec![v6, v6], others: 3 };
    let words = waiting(&two).expect("words");
    assert!(words.contains("and 3 more answer short packets") && words.contains("1248 bytes"), "{words}");
}

#[test]
fn status_shows_all_that_goes_on() {
    let picture = Status {
        tracker: TrackerStanding::Answers,
        shares: vec![ShareStatus { length: 1024, sent: 2048, ..fixtures::share("mine", 9) }],
        downloads: vec![download()],
        upload_limit: Some(10 << 20),
        ..Status::default()
    };
    let expected = [
        "tracker 127.0.0.1:12345 answers, in the clear",
        "download #1 a file.bin: 25.0 % of 64.0 MiB, 8.00 MiB/s, 6 s left, owners: 1 complete, 1 on the way",
        "  from 10.0.0.2:1 (01010101): pieces 32-127, 8.00 MiB, 4.00 MiB/s, round trip 340 µs, \
         datagrams of 1472 bytes, sealed (AES-128-GCM)",
        "  from 10.0.0.2:2 (02020202): silent for too long, piece 128, 8.00 MiB, 4.00 MiB/s, has 61 %, \
         round trip 340 µs, datagrams of 1472 bytes, sealed (AES-128-GCM)",
        "  from 10.0.0.2:3 (03030303): connecting",
        "share mine: 09090909 1.00 KiB, 2.00 KiB sent",
        "limits: up 10.0 MiB/s, down none",
    ];
    assert_eq!(status(&picture, "127.0.0.1:12345"), expected);
    let lonely = status(&Status::default(), "10.0.0.1:1");
    assert_eq!(lonely, ["tracker 10.0.0.1:1 has not been heard yet", "limits: up none, down none"]);
}

fn share(called: &str, of: u8, permille: u16) -> ShareStatus {
    ShareStatus { permille, ..fixtures::share(called, of) }
}

#[test]
fn what_is_served_while_it_is_fetched_is_listed_once() {
    let picture = Status {
        tracker: TrackerStanding::Answers,
        tracker_channel: ChannelStatus::Sealed(riffle::Suite::ChaCha20Poly1305),
        shares: vec![share("a file.bin", 7, 379), share("left", 8, 9), share("whole", 9, 1000)],
        downloads: vec![DownloadStatus { owners: Vec::new(), waiting: Waiting::OwnersBusy, ..download() }],
        ..Status::default()
    };
    let expected = [
        "tracker t:1 answers, sealed (ChaCha20-Poly1305)",
        "download #1 a file.bin: 25.0 % of 64.0 MiB, 8.00 MiB/s, 6 s left; the owners serve others for now",
        "  37 % here, served while it is fetched: 3.00 MiB sent",
        "share left: 08080808 64.0 MiB, 0 % here, 3.00 MiB sent",
        "share whole: 09090909 64.0 MiB, 3.00 MiB sent",
        "limits: up none, down none",
    ];
    assert_eq!(status(&picture, "t:1"), expected);
    // The name that is fetched and a whole file of the same content are two things.
    let twice = Status { shares: vec![share("copy", 7, 1000)], downloads: vec![download()], ..picture };
    assert!(status(&twice, "t:1").contains(&"share copy: 07070707 64.0 MiB, 3.00 MiB sent".to_owned()));
}

#[test]
fn uploads_are_summed_up_by_content() {
    let upload = |of, standing| {
        let is_clear = of == 8 || of == 9 && standing == UploadStanding::Served;
        let channel = if is_clear { ChannelStatus::InTheClear } else { fixtures::SEALED };
        UploadStatus { sent: 1 << 20, rate: 1 << 10, channel, ..fixtures::upload(9, of, standing) }
    };
    let (idle, served, waits) = (UploadStanding::Idle, UploadStanding::Served, UploadStanding::Choked);
    let standings =
        [(7, served), (9, idle), (7, waits), (7, waits), (9, served), (9, served), (9, waits), (8, idle)];
    let picture = Status {
        shares: vec![share("whole", 9, 1000)],
        downloads: vec![DownloadStatus { owners: Vec::new(), ..download() }],
        uploads: standings.map(|(of, standing)| upload(of, standing)).to_vec(),
        ..Status::default()
    };
    let lines = status(&picture, "t:1");
    let expected = [
        "upload of a file.bin (07070707): 1 served, 2 wait for a place; 3.00 MiB sent, 3.00 KiB/s, sealed",
        "upload of 08080808: 1 idle; 1.00 MiB sent, 1.00 KiB/s, in the clear",
        "upload of whole (09090909): 2 served, 1 waits for a place, 1 idle; 4.00 MiB sent, 4.00 KiB/s, 2 of 4 in the clear",
    ];
    assert_eq!(lines[3..6], expected, "{lines:#?}");
}

#[test]
fn the_final_line_has_time_rate_and_shares() {
    let mut done = Summary {
        content: content(7),
        length: 64 << 20,
        took: Duration::from_secs(2),
        shares: vec![
            OwnerShare { owner: node_id(1), peer: peer(1), bytes: 36 << 20 },
            OwnerShare { owner: node_id(2), peer: peer(2), bytes: 12 << 20 },
        ],
        here_before: 0,
        already_there: false,
    };
    let path = PathBuf::from("/tmp/f");
    assert_eq!(
        summary(&path, &done),
        "/tmp/f: 64.0 MiB in 2 s, 24.0 MiB/s (16.0 MiB were here before); from 10.0.0.2:1 75.0 %, 10.0.0.2:2 25.0 %"
    );
    done.already_there = true;
    assert_eq!(summary(&path, &done), "/tmp/f is already there, complete (64.0 MiB)");
}

#[test]
fn an_ambiguous_name_lists_the_contents_and_how_to_choose() {
    let contents = vec![listed(0xcd, 2, 3, 3700), Listed { hosts: 1, ..listed(0xab, 1, 0, 5) }];
    let unclear = |contents, more| Failure::Ambiguous { contents, more };
    let lines = failure("a b", &unclear(contents.clone(), true), &context(Place::OneShot, &tracker()));
    let expected = [
        "a b: several contents have that name, and no one of them has clearly more hosts behind it; choose one:",
        "  riffle download 'a b@cdcdcdcd'   5.00 MiB  2 hosts: 2 complete, 3 on the way, known for 1 h 1 min",
        "  riffle download 'a b@abababab'   5.00 MiB  1 host: 1 complete, known for 5 s",
        "  and others, which fewer hosts call so, or later",
        "or the one that was called so last, which anybody can be: riffle download --newest 'a b'",
    ];
    assert_eq!(lines, expected);
    // More digits than those that were not enough.
    let lines = failure("a b@abab", &unclear(contents.clone(), true), &context(Place::OneShot, &tracker()));
    assert!(lines[1].starts_with("  riffle download 'a b@cdcdcdcd'   5.00 MiB"), "{lines:?}");
    assert_eq!((lines.len(), lines[3].as_str()), (4, "  and others, which more digits tell apart"));
    // What cannot be typed as it is shown is chosen by its id alone.
    let hides = "\u{645}\u{6cc}\u{200c}\u{62e}";
    let lines = failure(hides, &unclear(contents, false), &context(Place::Prompt, &tracker()));
    assert!(lines[1].starts_with("  download cdcdcdcd   5.00 MiB"), "{lines:?}");
}

#[test]
fn what_is_taken_before_others_of_its_name_is_one_line() {
    let most = Listed { hosts: 5, ..listed(0xab, 4, 1, 7200) };
    let fake = |number: u8| Listed { hosts: 1, ..listed(number, 1, 0, u32::from(number)) };
    let line = prefers("a b", (&most, &[fake(3)]), false, "riffle download");
    assert_eq!(
        line,
        "a b: taking what most hosts call so, abababab (5 hosts, known for 2 h 0 min); not 03030303 (1 host, known for 3 s): \
         riffle download 'a b@03030303'"
    );
    let line = prefers("a b", (&fake(1), &[most, fake(2)]), false, "download");
    assert_eq!(
        line,
        "a b: taking the newest, 01010101 (1 host, known for 1 s); not abababab (5 hosts, and clearly most, known for 2 h 0 min), \
         02020202 (1 host, known for 2 s): download 'a b@abababab'"
    );
    let many: Vec<Listed> = (10..16).map(fake).collect();
    let line = prefers("a b", (&fake(1), &many), true, "download");
    assert!(line.contains("0c0c0c0c (1 host, known for 12 s), others: download"), "{line}");
}

fn listed(byte: u8, complete: u32, partial: u32, age_s: u32) -> Listed {
    let (content, length, hosts) = (content(byte), 5 << 20, complete);
    Listed { content, length, complete, partial, hosts, age_s, name: name("a b") }
}

#[test]
fn ambiguous_digits_are_told_apart_by_more_of_them() {
    let mut other = *content(0xab).as_bytes();
    other[5] = 0xac;
    let other = Listed { content: ContentId::from_bytes(other), ..listed(0xab, 0, 1, 0) };
    let contents = vec![listed(0xab, 1, 0, 0), Listed { hosts: 9, ..other }];
    let unclear = Failure::Ambiguous { contents, more: false };
    let lines = failure("ABABABAB", &unclear, &context(Place::Prompt, &tracker()));
    let expected = [
        "ABABABAB: several contents fit that; choose one:",
        "  download abababababab   5.00 MiB  1 host: 1 complete, known for 1 s",
        "  download abababababac   5.00 MiB  9 hosts: 0 complete, 1 on the way, known for 1 s",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_list_with_nothing_in_it_says_whether_that_is_final() {
    assert_eq!(nothing_listed(Duration::ZERO), "nobody shares anything like that");
    assert_eq!(
        nothing_listed(Duration::from_millis(19_001)),
        "nobody shares anything like that; the tracker has just started, and knows everybody in 20 s"
    );
}

#[test]
fn digits_that_are_a_name_too_are_told_from_it_by_one_more_of_them() {
    let named = Listed { name: name("abababab"), ..listed(0xcd, 1, 0, 1) };
    let unclear = Failure::Ambiguous { contents: vec![listed(0xab, 1, 0, 1), named], more: false };
    let lines = failure("abababab", &unclear, &context(Place::OneShot, &tracker()));
    let expected = [
        "abababab: several contents fit that; choose one:",
        "  riffle download ababababa   5.00 MiB  1 host: 1 complete, known for 1 s",
        "  riffle download cdcdcdcdc   5.00 MiB  1 host: 1 complete, known for 1 s",
        "or take what is called so: riffle download abababab@",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn who_has_it_and_who_is_on_the_way_are_apart() {
    let table = [
        ((2, 3), "2 complete, 3 on the way"),
        ((1, 0), "1 complete"),
        ((0, 12), "0 complete, 12 on the way"),
    ];
    for ((complete, partial), expected) in table {
        assert_eq!(holders(complete, partial), expected);
    }
    let rows = listing(&[listed(0xab, 2, 3, 0), Listed { name: name("b"), ..listed(0xcd, 1, 0, 0) }]);
    assert_eq!(rows[0], "  abababab   5.00 MiB  2 hosts: 2 complete, 3 on the way  a b");
    assert_eq!(rows[1], "  cdcdcdcd   5.00 MiB  1 host: 1 complete                b");
    let rows = listing(&[listed(0xab, 3, 0, 0), listed(0xcd, 1, 0, 0)]);
    assert_eq!(rows[0], "  abababab   5.00 MiB  3 hosts (most): 3 complete        a b");
    assert_eq!(rows[1], "  cdcdcdcd   5.00 MiB  1 host: 1 complete                a b");
    let known = DownloadStatus { holders: Some(riffle::Holders { complete: 2, partial: 3 }), ..download() };
    let lines = status(&Status { downloads: vec![known], ..Status::default() }, "t:1");
    assert!(lines.contains(&"  the tracker knows 2 complete, 3 on the way".to_owned()), "{lines:?}");
}

#[test]
fn what_a_run_goes_without_is_one_line() {
    assert_eq!(without(None, None), None);
    assert_eq!(without(None, Some("no log")).as_deref(), Some("no log; this run goes without a log"));
    let state = without(Some("no state"), None);
    assert_eq!(state.as_deref(), Some("no state; this run goes without: nothing of it is remembered"));
    let both = without(Some("no state"), Some("no log")).expect("said");
    assert!(both.starts_with("no state; ") && both.contains("without a log"), "{both}");
}

#[test]
fn nothing_is_said_to_be_kept_when_nothing_has_arrived() {
    let tracker = tracker();
    let why = Waiting::NoSignOfLife { peers: vec![peer(41012)], others: 0 };
    let nothing = FailureContext { has_some: false, waited: Some(&why), ..context(Place::OneShot, &tracker) };
    assert_eq!(
        failure("f", &Failure::NoOwner, &nothing),
        [
            "f: no owner answered, no sign of life from UDP port 41012 of 10.0.0.2; a firewall on the way is likely; \
          nothing has arrived this time: the same command tries again"
        ]
    );
    for why in [Failure::NoOwner, Failure::Stalled { silent: Duration::from_secs(60) }, Failure::Cancelled] {
        let said = |has_some| {
            failure("f", &why, &FailureContext { has_some, ..context(Place::OneShot, &tracker) })[0].clone()
        };
        assert!(
            said(false).contains("nothing has arrived") && !said(false).contains("kept"),
            "{}",
            said(false)
        );
        assert!(said(true).contains("what has arrived is kept"), "{}", said(true));
    }
}

#[test]
fn failures_say_what_to_do() {
    let table = [
        (Failure::NotFound, "--wait"),
        (
            Failure::TrackerUnreachable,
            "the tracker t:1 (10.0.0.2:1) does not answer; check its address, name the secret with --secret-file if the \
             swarm is closed, compare --encryption there and here (always does not talk with never), or use --wait",
        ),
        (Failure::Stalled { silent: Duration::from_secs(60) }, "1 min 0 s"),
        (Failure::NoOwner, "the same command goes on"),
        (Failure::Cancelled, "the same command goes on"),
        (
            Failure::Disk(DiskError { path: "/tmp/f".into(), kind: DiskErrorKind::ExistsOther }),
            "/tmp/f: exists already, with other content; nothing was overwritten",
        ),
        (
            Failure::Disk(DiskError { path: "/tmp/f".into(), kind: DiskErrorKind::Full { needed: 1 << 20 } }),
            "disk full: 1.00 MiB more needed",
        ),
        (
            Failure::Disk(DiskError { path: "/tmp/f".into(), kind: DiskErrorKind::ReadOnly }),
            "/tmp/f: the file system is read-only; choose another place with -o",
        ),
    ];
    for (why, expected) in table {
        let lines = failure("f", &why, &context(Place::Prompt, &tracker()));
        assert!(lines.len() == 1 && lines[0].contains(expected), "{lines:?}");
    }
}

#[test]
fn what_was_there_before_is_said_and_why_it_was_hashed_again() {
    assert_eq!(resumed("film.bin", 412 << 20, None), "going on with 412 MiB of film.bin that were there");
    let again = |why| Some(HashedAgain { bytes: 3 << 20, why });
    assert_eq!(
        resumed("film.bin", 2 << 20, again(RecheckReason::Changed)),
        "going on with 2.00 MiB of film.bin that were there (3.00 MiB hashed again: the part file was changed since)"
    );
    assert_eq!(
        resumed("film.bin", 0, again(RecheckReason::OtherContent)),
        "nothing of what was there of film.bin can be used (3.00 MiB hashed again: it was begun for another content)"
    );
}
