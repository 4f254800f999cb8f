//! What the targets hold to: one oracle each. The same oracles hold every committed seed in `cargo test`.

#[path = "../../../messages/tests/support/accounts.rs"]
mod accounts;
#[path = "../../../messages/channel/tests/hostile/play.rs"]
mod channel_play;
#[path = "../oracles/codes.rs"]
mod codes_oracle;
#[path = "../oracles/downloader.rs"]
mod downloader_oracle;
#[path = "../../../messages/tests/support/heap.rs"]
mod heap;
#[path = "../oracles/index.rs"]
mod index_oracle;
#[path = "../oracles/metainfo.rs"]
mod metainfo_oracle;
#[path = "../oracles/outboard.rs"]
mod outboard_oracle;
#[path = "../oracles/owner.rs"]
mod owner_oracle;
#[path = "../../../messages/tests/support/script.rs"]
mod script;
#[path = "../oracles/sealed.rs"]
mod sealed_oracle;
#[path = "../oracles/secrets.rs"]
mod secrets_oracle;
#[path = "../oracles/settings.rs"]
mod settings_oracle;
#[path = "../oracles/stage.rs"]
mod stage;
#[path = "../oracles/text.rs"]
mod text_oracle;
#[path = "../../../tracker/tests/hostile/play.rs"]
mod tracker_play;
#[path = "../oracles/wire.rs"]
mod wire_oracle;

// Reading a journal is the program's, not the library's: the file is read here a second time.
#[path = "../oracles/journal.rs"]
mod journal_oracle;
#[path = "../../engine/src/driver/disk/journal/mac.rs"]
mod mac;
#[path = "../../engine/src/driver/disk/journal/records.rs"]
#[expect(dead_code, reason = "the engine uses more of it than the oracle")]
mod records;
use mac::JournalKey;
use records::{
    BootId, Durability, FileMark, HEADER, JournalContents, JournalHeader, RECORD, Record, Recovered,
};

// So is the prompt's word splitting.
#[path = "../../cli/src/shell_words.rs"]
mod shell_words;
#[path = "../oracles/words.rs"]
mod words_oracle;
use shell_words::{quote, split};

/// Any bytes as a datagram.
pub fn wire(bytes: &[u8]) {
    wire_oracle::hold(bytes);
}

/// Any bytes as an outboard.
pub fn outboard(bytes: &[u8]) {
    outboard_oracle::hold(bytes);
}

/// Any bytes as the index of a folder.
pub fn index(bytes: &[u8]) {
    index_oracle::hold(bytes);
}

/// Any bytes as a description of a content.
pub fn metainfo(bytes: &[u8]) {
    metainfo_oracle::hold(bytes);
}

/// Any text as what people write.
pub fn text(bytes: &[u8]) {
    text_oracle::hold(bytes);
}

/// Any text as settings.
pub fn settings(bytes: &[u8]) {
    settings_oracle::hold(bytes);
}

/// Any text as a line of the prompt.
pub fn words(bytes: &[u8]) {
    words_oracle::hold(bytes);
}

/// Any text as a code, and what is heard of codes.
pub fn codes(bytes: &[u8]) {
    codes_oracle::hold(bytes);
}

/// A tracker among strangers.
pub fn tracker(bytes: &[u8]) {
    tracker_play::hold(bytes);
}

/// Endpoints that open channels, among strangers.
pub fn channel(bytes: &[u8]) {
    channel_play::hold(bytes);
}

/// Any datagrams over a channel, whole and damaged.
pub fn sealed(bytes: &[u8]) {
    sealed_oracle::hold(bytes);
}

/// Any text as tickets, keys and secrets.
pub fn secrets(bytes: &[u8]) {
    secrets_oracle::hold(bytes);
}

/// A node that serves, among strangers.
pub fn owner(bytes: &[u8]) {
    owner_oracle::hold(bytes);
}

/// A node that downloads, among liars.
pub fn downloader(bytes: &[u8]) {
    downloader_oracle::hold(bytes);
}

/// Any bytes as a journal.
pub fn journal(bytes: &[u8]) {
    journal_oracle::hold(bytes);
}
