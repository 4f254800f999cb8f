//! What strangers may send, in any order and at any time: the oracles that the fuzz targets hold to (`node/fuzz`), with
//! the committed seeds and with scripts drawn from one seed. The heap is counted.

#[path = "../../../../messages/tests/support/accounts.rs"]
mod accounts;
#[path = "../../../fuzz/oracles/codes.rs"]
mod codes;
#[path = "../../../fuzz/oracles/downloader.rs"]
mod downloader;
#[path = "../../../../messages/tests/support/heap.rs"]
mod heap;
#[path = "../../../fuzz/oracles/index.rs"]
mod index;
#[path = "../../../fuzz/oracles/outboard.rs"]
mod outboard;
#[path = "../../../fuzz/oracles/owner.rs"]
mod owner;
mod replay;
#[path = "../../../../messages/tests/support/script.rs"]
mod script;
mod scripts;
#[path = "../../../fuzz/oracles/seeds.rs"]
mod seeds;
#[path = "../../../fuzz/oracles/settings.rs"]
mod settings;
#[path = "../../../fuzz/oracles/stage.rs"]
mod stage;
#[path = "../../../fuzz/oracles/text.rs"]
mod text;
#[path = "../../../../tracker/tests/hostile/play.rs"]
mod tracker_play;
#[path = "../../../fuzz/oracles/wire.rs"]
mod wire;
