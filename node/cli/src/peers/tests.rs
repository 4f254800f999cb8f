//! Tests of the table that `peers` shows.

use std::ops::Range;

use messages::{PieceIndex, PieceRun};
use riffle::DownloadStatus;

use super::*;
use crate::fixtures::{self, download, share, upload};

fn owner(byte: u8, state: OwnerState, pieces: Range<u32>) -> OwnerStatus {
    OwnerStatus {
        state,
        pieces: PieceRun::between(PieceIndex(pieces.start), PieceIndex(pieces.end)),
        rate: u64::from(byte) << 20,
        permille: 619,
        ..fixtures::owner(byte)
    }
}

#[test]
fn a_peer_that_gives_and_takes_is_one_line() {
    let owners = vec![
        owner(4, OwnerState::Ready, 32..128),
        owner(3, OwnerState::Choked, 128..129),
        owner(2, OwnerState::Snubbed, 0..0),
        OwnerStatus { channel: ChannelStatus::Opening, ..owner(1, OwnerState::Connecting, 0..0) },
    ];
    let in_the_clear =
        UploadStatus { channel: ChannelStatus::InTheClear, ..upload(6, 7, UploadStanding::Served) };
    let picture = Status {
        shares: vec![share("mine.iso", 9)],
        downloads: vec![download(owners)],
        uploads: vec![
            upload(5, 9, UploadStanding::Idle),
            upload(4, 7, UploadStanding::Served),
            upload(3, 7, UploadStanding::Choked),
            // The same node, another content.
            upload(4, 9, UploadStanding::Choked),
            in_the_clear,
        ],
        ..Status::default()
    };
    let expected = [
        "  node     address             down pieces  has         up piece sent sealed role: how it stands",
        "film.bin (07070707), 64.0 MiB: 5 peers, down 10.0 MiB/s, up 13.0 KiB/s",
        "  04040404 10.0.0.4:4000 4.00 MiB/s 32-127 61 % 4.00 KiB/s     5 37 % aes    both: ready, served",
        "  03030303 10.0.0.3:4000 3.00 MiB/s 128    61 % 3.00 KiB/s     5 37 % aes    both: choked, waiting",
        "  02020202 10.0.0.2:4000 2.00 MiB/s -      61 %          -     -    - aes    owner: snubbed",
        "  01010101 10.0.0.1:4000          - -      61 %          -     -    - -      owner: connecting",
        "  06060606 10.0.0.6:4000          - -         - 6.00 KiB/s     5 37 % no     downloader: served",
        "mine.iso (09090909), 64.0 MiB: 2 peers, down 0 B/s, up 9.00 KiB/s",
        "  05050505 10.0.0.5:4000          - -         - 5.00 KiB/s     - 37 % aes    downloader: idle",
        "  04040404 10.0.0.4:4000          - -         - 4.00 KiB/s     5 37 % aes    downloader: waiting",
        "choked: serves others for now; snubbed: silent for too long; waiting: for a place here",
        "no: in the clear; aes: sealed with AES-128-GCM",
    ];
    assert_eq!(peers(&picture), expected);
}

#[test]
fn a_word_that_was_not_used_is_not_explained() {
    let owners = vec![owner(4, OwnerState::Ready, 32..128)];
    let lines = peers(&Status { downloads: vec![download(owners)], ..Status::default() });
    assert_eq!((lines.len(), lines[3].as_str()), (4, "aes: sealed with AES-128-GCM"));
    assert!(lines[1].contains("1 peer,") && lines[2].ends_with("owner: ready"), "{lines:?}");
}

#[test]
fn without_sessions_it_says_so() {
    assert_eq!(peers(&Status::default()), ["no sessions"]);
    let waiting = Status { downloads: vec![download(Vec::new())], ..Status::default() };
    assert_eq!(peers(&waiting), ["no sessions"]);
}

#[test]
fn no_line_is_longer_than_a_screen_is_wide() {
    let mut largest = owner(0xff, OwnerState::Connecting, 0..0);
    largest.peer = "[2001:db8:85a3:1234:5678:8a2e:1370:7334]:41012".parse().expect("an address");
    largest.permille = 1000;
    let busy = OwnerStatus {
        state: OwnerState::Snubbed,
        pieces: PieceRun::new(PieceIndex((1 << 20) - 5), 5),
        rate: 1023 << 20,
        ..largest.clone()
    };
    let taking = UploadStatus {
        peer: largest.peer,
        rate: 1023 << 20,
        channel: ChannelStatus::Sealed(Suite::ChaCha20Poly1305),
        piece: Some(PieceIndex((1 << 20) - 1)),
        sent: u64::MAX,
        ..upload(0xff, 7, UploadStanding::Choked)
    };
    let named = DownloadStatus { name: "n".repeat(255), ..download(vec![largest, busy]) };
    let picture = Status { downloads: vec![named], uploads: vec![taking], ..Status::default() };
    let lines = peers(&picture);
    assert!(lines.iter().all(|line| line.chars().count() <= MAX_WIDTH), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains(":41012")), "{lines:#?}");
}

#[test]
fn of_very_many_peers_the_fastest_are_shown() {
    let uploads = (0..=255).map(|byte| upload(byte, 7, UploadStanding::Served)).collect();
    let lines = peers(&Status { uploads, ..Status::default() });
    assert_eq!(lines.len(), 2 + MAX_SHOWN + 2);
    assert!(
        lines[1].starts_with("a content (07070707), 64.0 MiB: 256 peers, down 0 B/s, up "),
        "{}",
        lines[1]
    );
    assert!(lines[2].starts_with("  ffffffff") && lines[2 + MAX_SHOWN] == "  and 56 more");
}
