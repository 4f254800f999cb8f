//! What the feature `serde` writes of the status: field by field, ids as people read them.

use std::time::Duration;

use riffle::{
    ChannelStatus, ContentId, DownloadId, DownloadStatus, Holders, NodeId, OwnerState, OwnerStatus,
    PieceIndex, PieceRun, PublicKey, Status, Suite, TrackerStanding, Waiting,
};
use serde_json::json;

fn status() -> Status {
    let owner = OwnerStatus {
        node: NodeId::from_bytes([0xab; 16]),
        peer: "192.0.2.7:4000".parse().expect("an address"),
        state: OwnerState::Ready,
        pieces: PieceRun::new(PieceIndex(3), 5),
        received: 1 << 20,
        rate: 500_000,
        rtt: Some(Duration::from_micros(250)),
        outstanding: 40_000,
        datagram: 1472,
        permille: 1000,
        channel: ChannelStatus::Sealed(Suite::Aes128Gcm),
    };
    let download = DownloadStatus {
        download: DownloadId(7),
        name: "film.mkv".to_owned(),
        content: Some(ContentId::from_bytes([0x5c; 32])),
        length: Some(4 << 20),
        verified: 1 << 20,
        received: 1 << 20,
        rate: 500_000,
        waiting: Waiting::DiskFull { needed: 9 },
        holders: Some(Holders { complete: 1, partial: 2 }),
        owners: vec![owner],
    };
    Status {
        tracker: TrackerStanding::Answers,
        tracker_channel: ChannelStatus::Opening,
        tracker_key: Some(PublicKey::from_bytes([0; 32])),
        downloads: vec![download],
        ..Status::default()
    }
}

#[test]
fn a_status_is_written_with_ids_in_hexadecimal_digits_and_read_again() {
    let json = serde_json::to_value(status()).expect("written");
    assert_eq!(json["tracker"], "Answers");
    let download = &json["downloads"][0];
    assert_eq!(download["content"], "5c".repeat(32));
    assert_eq!(download["waiting"], json!({ "DiskFull": { "needed": 9 } }));
    let owner = &download["owners"][0];
    assert_eq!(owner["node"], "ab".repeat(16));
    assert_eq!(owner["peer"], "192.0.2.7:4000");
    assert_eq!(owner["pieces"], json!({ "start": 3, "end": 8 }));
    assert_eq!(owner["rtt"], json!({ "secs": 0, "nanos": 250_000 }));
    assert_eq!(owner["channel"], json!({ "Sealed": "AES-128-GCM" }));
    assert_eq!(json["tracker_channel"], "Opening");
    assert_eq!(json["tracker_key"], "a".repeat(52));
    assert_eq!(serde_json::from_value::<Status>(json).expect("read"), status());
}

#[test]
fn a_status_of_before_there_were_channels_is_read_as_one_in_the_clear() {
    let mut json = serde_json::to_value(status()).expect("written");
    for field in ["tracker_channel", "tracker_key"] {
        json.as_object_mut().expect("an object").remove(field);
    }
    json["downloads"][0]["owners"][0].as_object_mut().expect("an object").remove("channel");
    let read = serde_json::from_value::<Status>(json).expect("read");
    assert_eq!((read.tracker_channel, read.tracker_key), (ChannelStatus::InTheClear, None));
    assert_eq!(read.downloads[0].owners[0].channel, ChannelStatus::InTheClear);
}

#[test]
fn an_id_that_is_none_is_refused() {
    let mut json = serde_json::to_value(status()).expect("written");
    json["downloads"][0]["content"] = "5c5c".into();
    let refusal = serde_json::from_value::<Status>(json).expect_err("refused").to_string();
    assert_eq!(refusal, "an id is 64 hexadecimal digits");
}
