//! Downloaders that try to make an owner send more bytes than they send themselves, or more than the upload limit
//! allows, whether they listen or not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::NodeSettings;
use messages::Timestamp;
use riffle_core::{Destination, DownloadOrder, DownloadTimeouts, Existing, Wanted};

use riffle_sim::link::LinkSpec;
use riffle_sim::world::{Behaviour, DownloaderScript};
use riffle_sim::world::{HostId, World};

const NAME: &str = "disk.img";
/// The longest pieces.
const PIECE: u64 = 8 << 20;
/// The bytes that an owner may send in a second, and at most at once.
const LIMIT: u64 = 100 << 10;
/// By then the outboard is everywhere, and the scripted_downloaders come.
const BEGINS_AT: Duration = Duration::from_secs(10);

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

fn limited_to(limit: &str) -> NodeSettings {
    let mut settings = NodeSettings::default();
    settings.upload.limit = limit.parse().expect("a limit");
    settings
}

/// One owner of a content of `length` bytes, and one of a part of it: which fetches it, and not so fast that it costs
/// much.
fn world(length: u64) -> (World, HostId) {
    let mut world = World::new(1, LinkSpec::new(1000, Duration::from_millis(20)));
    let content = world.library.add(NAME, length);
    let owner = world.add_host(lan(), limited_to("1MiB"));
    world.share(owner, Path::new("/shared").join(NAME), content.name.clone(), content.id);
    let part = world.add_host(lan(), limited_to("100KiB"));
    let order = DownloadOrder {
        wanted: Wanted::Name(content.name.clone(), String::new()),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts::NONE,
    };
    world.wish(Timestamp::ZERO, part, order);
    (world, part)
}

/// The bytes that a scripted downloader sends and receives, and the number of BITFIELDs that it receives.
struct Exchanged {
    sent: u64,
    received: u64,
    bitfields: u64,
}

/// Runs all sessions with an owner of a part of so many pieces, for so long.
fn exchange(behaviour: Behaviour, pieces: u64, seconds: u64, answers_pings: bool) -> Exchanged {
    let (mut world, part) = world(pieces * PIECE);
    let content = world.library.named(NAME).id;
    let mut script = DownloaderScript::new(behaviour, content, part, SESSIONS);
    script.from = Timestamp::ZERO + BEGINS_AT;
    script.answers_pings = answers_pings;
    let scripted = world.add_scripted_downloader(lan(), script);
    world.run(Timestamp::ZERO + BEGINS_AT + Duration::from_secs(seconds), |_| false);
    let scripted = world.scripted_downloader(scripted);
    assert_eq!(scripted.open(), SESSIONS as usize);
    Exchanged { sent: scripted.sent.bytes, received: scripted.received.bytes, bitfields: scripted.bitfields }
}

const SESSIONS: u32 = 8;
/// WELCOME, HAVE and the owner's own PINGs, of each session.
const BESIDES: u64 = 4 << 10;

#[test]
fn a_ping_is_answered_by_a_pong_and_bits_are_under_the_limit() {
    let seconds = 10;
    let of = exchange(Behaviour::Pings(Duration::from_millis(5)), 1 << 17, seconds, true);
    let most = of.sent + LIMIT * (seconds + 1) + BESIDES * u64::from(SESSIONS);
    assert!(of.received <= most, "{} bytes for {}, {} at most", of.received, of.sent, most);
    assert!(of.bitfields * 1200 >= LIMIT * seconds / 2, "{} BITFIELDs all the same", of.bitfields);
}

#[test]
fn one_that_greets_again_and_again_gets_the_bits_every_so_often() {
    let seconds = 10;
    let of = exchange(Behaviour::Greets(Duration::from_millis(5)), 8192, seconds, true);
    assert!(of.received <= of.sent / 4, "{} bytes for {}", of.received, of.sent);
    let expected = u64::from(SESSIONS) * (seconds - 1)..=u64::from(SESSIONS) * (seconds + 1);
    assert!(expected.contains(&of.bitfields), "{} BITFIELDs", of.bitfields);
}

#[test]
fn one_that_does_not_listen_is_sent_nothing_more() {
    let [for_long, for_longer] =
        [20, 40].map(|seconds| exchange(Behaviour::Pings(Duration::from_millis(100)), 8192, seconds, false));
    assert!(for_long.bitfields >= u64::from(SESSIONS) * 8, "{}", for_long.bitfields);
    assert_eq!(
        for_longer.bitfields, for_long.bitfields,
        "after 13 s at most it is known that nobody listens"
    );
}

#[test]
fn an_outboard_is_under_the_limit_too() {
    let seconds = 10;
    let mut world = World::new(1, lan());
    let content = world.library.add(NAME, 1 << 30);
    let owner = world.add_host(lan(), limited_to("100KiB"));
    world.share(owner, Path::new("/shared").join(NAME), content.name.clone(), content.id);
    let scripted = world
        .add_scripted_downloader(lan(), DownloaderScript::new(Behaviour::Outboard, content.id, owner, 4));
    world.run(Timestamp::ZERO + Duration::from_secs(seconds), |_| false);
    let taken = world.scripted_downloader(scripted).received_bytes;
    assert!((LIMIT * seconds / 2..=LIMIT * (seconds + 2)).contains(&taken), "{taken} bytes");
}
