//! Owners that lie about what proves a content: its outboard, its length, or its only piece. Beside honest owners the
//! lie costs little and the liar is left; alone the download ends with a reason that names it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::NodeSettings;
use messages::limits::MAX_CONTENT;
use messages::{Layout, Timestamp};
use riffle_core::{
    Destination, DownloadOrder, DownloadTimeouts, Event, Existing, Failure, SessionEnd, Waiting, Wanted,
};

use riffle_sim::link::LinkSpec;
use riffle_sim::world::{HostId, Manners, OutboardLie, OwnerScript, WishState, World};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const NAME: &str = "film.bin";
/// The time by which every owner has announced the content.
const BEGINS: Timestamp = Timestamp::from_nanos(5_000_000_000);
/// How long a download waits for something new before it gives up.
const GIVES_UP: Duration = Duration::from_secs(60);
/// By then a download is over, also when an endless outboard has come to its end.
const WITHIN: Duration = Duration::from_secs(3000);
/// A content of several pieces, of which the outboard is 8.9 KB long.
const LONG: u64 = 64 * MIB;
const PIECE: u64 = 256 * KIB;
/// A content of one piece.
const SHORT: u64 = 100 * KIB;

const LIES_ABOUT_MANY_PIECES: [OutboardLie; 9] = [
    OutboardLie::Length(LONG + 1),
    OutboardLie::Length(LONG - 1000),
    OutboardLie::Length(PIECE),
    OutboardLie::Length(64 * LONG),
    OutboardLie::Length(0),
    OutboardLie::OtherContent,
    OutboardLie::WrongValue,
    OutboardLie::CutShort,
    OutboardLie::Endless,
];
const LIES_ABOUT_ONE_PIECE: [OutboardLie; 6] = [
    OutboardLie::Length(SHORT - 1),
    OutboardLie::Length(SHORT + 1),
    OutboardLie::Length(PIECE + 1),
    OutboardLie::Length(0),
    OutboardLie::WrongPiece,
    OutboardLie::Endless,
];

/// The contents, and what owners may lie about them.
const CONTENTS: [(u64, &[OutboardLie]); 2] =
    [(LONG, &LIES_ABOUT_MANY_PIECES), (SHORT, &LIES_ABOUT_ONE_PIECE)];

/// What became of a download.
#[derive(Debug)]
struct Outcome {
    state: WishState,
    took: Duration,
    /// Bytes of file that arrived and were wanted.
    received: u64,
    /// The most bytes that buffers had before anything was proven.
    unproven: u64,
    /// Why the sessions with the liar ended.
    ends: Vec<SessionEnd>,
    bad_pieces: u64,
    /// Why the download was said to wait.
    waits: Vec<Waiting>,
}

/// How far the liar and the honest owners are away.
#[derive(Clone, Copy)]
struct Paths {
    near: Duration,
    far: Duration,
    /// How many bytes of a piece may come with the outboard over such paths.
    early: u64,
}

const SHORT_PATHS: Paths = Paths { near: Duration::from_millis(1), far: Duration::from_millis(30), early: 0 };
const LONG_PATHS: Paths =
    Paths { near: Duration::from_millis(200), far: Duration::from_millis(300), early: PIECE };

/// A download of `length` bytes from some honest owners, and from a liar that answers sooner than they do.
fn beside(lie: Option<OutboardLie>, length: u64, honest: usize, paths: Paths) -> Outcome {
    let (near, far) = (LinkSpec::new(100, paths.near), LinkSpec::new(100, paths.far));
    let mut world = World::new(1, LinkSpec::new(1000, Duration::from_millis(20)));
    let content = world.library.add(NAME, length);
    let mut owner = |link, manners| {
        let host = world.add_host(link, NodeSettings::default());
        world.share(host, Path::new("/shared").join(NAME), content.name.clone(), content.id);
        world.hosts[host.0].manners = manners;
        host
    };
    let liar = lie.map(|lie| owner(near, Manners::Scripted(OwnerScript::Lies(lie))));
    for _ in 0..honest {
        owner(far, Manners::Honest);
    }
    let host = world.add_host(near, NodeSettings::default());
    let order = DownloadOrder {
        wanted: Wanted::Content(content.id),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts { no_progress: Some(GIVES_UP), ..DownloadTimeouts::NONE },
    };
    world.wish(BEGINS, host, order);
    let (mut unproven, mut is_proven) = (0, false);
    world.run(BEGINS + WITHIN, |world| {
        let host = &world.hosts[host.0];
        if !is_proven {
            let status = host.node.status(world.now);
            let waiting = status.downloads.first().map(|download| &download.waiting);
            is_proven = matches!(waiting, Some(Waiting::Disk | Waiting::Nothing | Waiting::Finishing));
            unproven = unproven.max(if is_proven { 0 } else { host.disk.pool.bytes });
        }
        matches!(host.person.wishes[0].state, WishState::Done(_) | WishState::Failed(_))
    });
    outcome(&world, host, liar, unproven)
}

fn outcome(world: &World, host: HostId, liar: Option<HostId>, unproven: u64) -> Outcome {
    let liar = liar.map(|liar| world.hosts[liar.0].node.id());
    let host = &world.hosts[host.0];
    let events = || host.events.iter().map(|(_, event)| event);
    let end = |event: &Event| match event {
        Event::OwnerLost { owner, why, .. } if Some(*owner) == liar => Some(*why),
        _ => None,
    };
    let wait = |event: &Event| match event {
        Event::DownloadWaits { why, .. } => Some(why.clone()),
        _ => None,
    };
    Outcome {
        state: host.person.wishes[0].state.clone(),
        took: world.now.since(BEGINS),
        received: host.received_bytes(),
        unproven,
        ends: events().filter_map(end).collect(),
        bad_pieces: host.node.counters().bad_pieces,
        waits: events().filter_map(wait).collect(),
    }
}

/// How many bytes an owner sends that proves, or seems to prove, a content of `length` bytes.
fn evidence(length: u64) -> u64 {
    let layout = Layout::of(length).expect("a length that a content can have");
    match layout.pieces() {
        0 | 1 => length,
        _ => u64::from(layout.outboard_length()),
    }
}

/// The length that the liar names.
fn claimed(lie: OutboardLie, length: u64) -> u64 {
    match lie {
        OutboardLie::Length(claimed) => claimed,
        OutboardLie::Endless => MAX_CONTENT,
        _ => length,
    }
}

/// Runs every lie beside `honest` owners: the download completes, and what the lie costs is bounded.
fn costs_little(honest: usize, paths: Paths, contents: &[(u64, &[OutboardLie])]) {
    for &(length, lies) in contents {
        let calm = beside(None, length, honest, paths);
        for lie in lies {
            let outcome = beside(Some(*lie), length, honest, paths);
            let what = format!("{lie:?} beside {honest}: {outcome:?}");
            assert!(matches!(outcome.state, WishState::Done(_)), "{what}");
            // Who sends all but the end has said nothing wrong: it is late, and gives its pieces.
            let (withheld, more) = match lie {
                OutboardLie::CutShort => (true, Duration::from_millis(2500)),
                _ => (false, Duration::from_millis(600)),
            };
            assert!(outcome.took <= calm.took + more + 3 * paths.far, "{what}; {:?} without it", calm.took);
            let end = match lie {
                OutboardLie::WrongPiece => SessionEnd::BadPieces,
                _ if withheld => SessionEnd::Done,
                _ => SessionEnd::BadOutboard,
            };
            assert_eq!(outcome.ends, [end], "{what}");
            // A piece that was damaged on the way looks like one that is wrong, and is forgiven once.
            let most_bad = if *lie == OutboardLie::WrongPiece { 2 } else { 1 };
            assert!(outcome.bad_pieces <= most_bad, "{what}");
            assert!(outcome.received <= length + paths.early + most_bad * PIECE.min(length + 1), "{what}");
            let claims = evidence(claimed(*lie, length)) + honest as u64 * evidence(length);
            assert!(outcome.unproven <= claims + paths.early, "{what}");
        }
    }
}

#[test]
fn beside_an_honest_owner_a_lie_costs_at_most_a_piece_and_the_liar_is_left() {
    costs_little(1, SHORT_PATHS, &CONTENTS);
}

#[test]
fn beside_two_honest_owners_a_lie_costs_at_most_a_piece_and_the_liar_is_left() {
    costs_little(2, SHORT_PATHS, &CONTENTS);
}

#[test]
fn over_long_paths_a_lie_costs_at_most_the_piece_that_came_with_the_outboard() {
    costs_little(1, LONG_PATHS, &CONTENTS[..1]);
    costs_little(1, LONG_PATHS, &[(LONG, &[OutboardLie::WrongPiece])]);
}

#[test]
fn alone_a_liar_ends_the_download_with_a_reason() {
    for (length, lies) in CONTENTS {
        for lie in lies {
            let outcome = beside(Some(*lie), length, 0, SHORT_PATHS);
            let what = format!("{lie:?} alone: {outcome:?}");
            let failed =
                matches!(outcome.state, WishState::Failed(Failure::Stalled { .. } | Failure::NoOwner));
            assert!(failed, "{what}");
            // It is said that owners have sent what does not verify, or which owner sends nothing.
            let is_said = |why: &Waiting| match lie {
                OutboardLie::CutShort => *why == Waiting::Owners,
                _ => *why == Waiting::Liars,
            };
            assert!(outcome.waits.iter().any(is_said), "{what}");
            assert!(outcome.unproven <= evidence(claimed(*lie, length)), "{what}");
            assert!(outcome.bad_pieces <= 8, "asked ever more rarely: {what}");
        }
    }
}
