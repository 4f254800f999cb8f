//! Every committed seed through every oracle: what fuzzing once found stays found.

use std::collections::BTreeSet;

use messages::{Header, Kind};

use crate::{codes, downloader, index, outboard, owner, seeds, settings, text, tracker_play, wire};

/// What must hold for any bytes.
type Oracle = fn(&[u8]);

/// The oracles by the names of their targets. Those of the program alone are held in its own tests.
const ORACLES: [(&str, Oracle); 9] = [
    ("wire", wire::hold),
    ("outboard", outboard::hold),
    ("index", index::hold),
    ("text", text::hold),
    ("settings", settings::hold),
    ("codes", |bytes| {
        codes::hold(bytes);
    }),
    ("tracker", |bytes| {
        tracker_play::hold(bytes);
    }),
    ("owner", |bytes| {
        owner::hold(bytes);
    }),
    ("downloader", |bytes| {
        downloader::hold(bytes);
    }),
];

#[test]
fn every_seed_holds_in_every_oracle() {
    for (path, bytes) in seeds::all() {
        for (name, hold) in ORACLES {
            let held = std::panic::catch_unwind(|| hold(&bytes));
            assert!(held.is_ok(), "{} does not hold in {name}", path.display());
        }
    }
}

#[test]
fn every_kind_of_message_is_among_the_seeds() {
    let seeds = seeds::all();
    let of_wire =
        seeds.iter().filter(|(path, _)| path.parent().is_some_and(|folder| folder.ends_with("wire")));
    let decodable = of_wire.filter(|(_, bytes)| messages::Datagram::decode(bytes).is_ok());
    let kinds: BTreeSet<Kind> =
        decodable.filter_map(|(_, bytes)| Header::decode(bytes).ok()).map(|header| header.kind).collect();
    // What is sealed is decoded by `channel`, whose own oracles play it.
    assert_eq!(kinds, Kind::ALL.iter().copied().filter(|kind| !kind.is_of_channel()).collect());
}
