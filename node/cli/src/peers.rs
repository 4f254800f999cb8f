//! What `peers` shows: one line for each node that a content is exchanged with, for both directions. Pure, so that the
//! words are tested.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use messages::{ContentId, NodeId, PieceRun};
use riffle::{ChannelStatus, OwnerState, OwnerStatus, Status, Suite, UploadStanding, UploadStatus};

use crate::report;
use crate::units::{rate, shortened, size, whole_percent};

/// A line has at most this many columns.
const MAX_WIDTH: usize = 100;
/// Peers are indented under the name of their content by this many columns.
const INDENT: usize = 2;
/// The name of a content is shortened to this many columns: the rest of its line needs the others.
const MAX_NAME_WIDTH: usize = 36;
/// At most this many peers of a content, the fastest, are shown; of further ones their number is.
const MAX_SHOWN: usize = 200;
/// An empty cell shows this.
const NOTHING: &str = "-";

const COLUMNS: usize = 10;
/// The columns that are made narrower when a line would be too long, one after the other, each with its least width.
/// The port of an address stays visible.
const SHRINKING: [(usize, usize); 3] = [(ADDRESS, 12), (PIECES, 8), (ROLE, 16)];
const ADDRESS: usize = 1;
const PIECES: usize = 3;
const ROLE: usize = COLUMNS - 1;
const HEADINGS: [&str; COLUMNS] =
    ["node", "address", "down", "pieces", "has", "up", "piece", "sent", "sealed", "role: how it stands"];
/// Numbers are aligned by their last digit.
const IS_RIGHT_ALIGNED: [bool; COLUMNS] = [false, false, true, false, true, true, true, true, false, false];

type Row = [String; COLUMNS];

/// A node in the role that it has in the swarm of one content.
#[derive(Clone, Copy, Debug)]
enum Peer<'a> {
    Owner(&'a OwnerStatus),
    Downloader(&'a UploadStatus),
    Both(&'a OwnerStatus, &'a UploadStatus),
}

/// One content and the nodes that it is exchanged with, the fastest first.
#[derive(Debug)]
struct Swarm<'a> {
    /// The name, the short id and the length of the content.
    title: String,
    peers: Vec<Peer<'a>>,
}

/// The lines of `peers`.
pub(crate) fn peers(status: &Status) -> Vec<String> {
    let swarms = swarms(status);
    if swarms.is_empty() {
        return vec!["no sessions".to_owned()];
    }
    let headings = HEADINGS.map(str::to_owned);
    let rows: Vec<Vec<Row>> = swarms.iter().map(|swarm| swarm.shown().map(Peer::row).collect()).collect();
    let table = Table::fitting(rows.iter().flatten().chain([&headings]));
    let mut lines = vec![table.line(&headings)];
    for (swarm, rows) in swarms.iter().zip(&rows) {
        lines.push(swarm.heading());
        lines.extend(rows.iter().map(|row| table.line(row)));
        if let more @ 1.. = swarm.peers.len() - rows.len() {
            lines.push(format!("{:INDENT$}and {more} more", ""));
        }
    }
    lines.extend(legend(swarms.iter().flat_map(Swarm::shown)));
    lines
}

/// The contents that are exchanged: first those that are fetched, then those that are only served.
fn swarms(status: &Status) -> Vec<Swarm<'_>> {
    let mut uploads: BTreeMap<ContentId, Vec<&UploadStatus>> = BTreeMap::new();
    for upload in &status.uploads {
        uploads.entry(upload.content).or_default().push(upload);
    }
    let mut swarms = Vec::new();
    for download in &status.downloads {
        let served = download.content.and_then(|content| uploads.remove(&content)).unwrap_or_default();
        swarms.push(Swarm::of(&download.name, download.content, download.length, &download.owners, served));
    }
    for (content, served) in uploads {
        let name = report::name_of(status, content).unwrap_or("a content");
        let length = served.first().map(|upload| upload.length);
        swarms.push(Swarm::of(name, Some(content), length, &[], served));
    }
    swarms.retain(|swarm| !swarm.peers.is_empty());
    swarms
}

impl<'a> Swarm<'a> {
    /// Joins the two directions of each node into one peer.
    fn of(
        name: &str,
        content: Option<ContentId>,
        length: Option<u64>,
        owners: &'a [OwnerStatus],
        mut uploads: Vec<&'a UploadStatus>,
    ) -> Swarm<'a> {
        let mut peers = Vec::with_capacity(owners.len() + uploads.len());
        for owner in owners {
            let same = uploads.iter().position(|upload| upload.node == owner.node);
            let upload = same.map(|same| uploads.remove(same));
            peers.push(upload.map_or(Peer::Owner(owner), |upload| Peer::Both(owner, upload)));
        }
        peers.extend(uploads.into_iter().map(Peer::Downloader));
        peers.sort_by_key(|peer| Reverse(peer.down().saturating_add(peer.up())));
        let mut title = shortened(name, MAX_NAME_WIDTH);
        if let Some(content) = content {
            title.push_str(&format!(" ({})", content.short()));
        }
        if let Some(length) = length {
            title.push_str(&format!(", {}", size(length)));
        }
        Swarm { title, peers }
    }

    fn shown(&self) -> impl Iterator<Item = &Peer<'a>> {
        self.peers.iter().take(MAX_SHOWN)
    }

    fn heading(&self) -> String {
        let down = self.peers.iter().map(Peer::down).fold(0, u64::saturating_add);
        let up = self.peers.iter().map(Peer::up).fold(0, u64::saturating_add);
        let (down, up) = (rate(down), rate(up));
        let peers =
            if self.peers.len() == 1 { "1 peer".to_owned() } else { format!("{} peers", self.peers.len()) };
        format!("{}: {peers}, down {down}, up {up}", self.title)
    }
}

impl<'a> Peer<'a> {
    fn owner(&self) -> Option<&'a OwnerStatus> {
        match *self {
            Peer::Owner(owner) | Peer::Both(owner, _) => Some(owner),
            Peer::Downloader(_) => None,
        }
    }

    fn upload(&self) -> Option<&'a UploadStatus> {
        match *self {
            Peer::Downloader(upload) | Peer::Both(_, upload) => Some(upload),
            Peer::Owner(_) => None,
        }
    }

    fn who(&self) -> (NodeId, SocketAddr) {
        match *self {
            Peer::Owner(owner) | Peer::Both(owner, _) => (owner.node, owner.peer),
            Peer::Downloader(upload) => (upload.node, upload.peer),
        }
    }

    /// How what is exchanged with the peer travels: both directions over the same channel.
    fn channel(&self) -> ChannelStatus {
        match *self {
            Peer::Owner(owner) | Peer::Both(owner, _) => owner.channel,
            Peer::Downloader(upload) => upload.channel,
        }
    }

    /// How many bytes a second come from the peer.
    fn down(&self) -> u64 {
        self.owner().map_or(0, |owner| owner.rate)
    }

    /// How many bytes a second go to the peer.
    fn up(&self) -> u64 {
        self.upload().map_or(0, |upload| upload.rate)
    }

    fn role(&self) -> String {
        match *self {
            Peer::Owner(owner) => format!("owner: {}", owner_word(owner.state)),
            Peer::Downloader(upload) => format!("downloader: {}", upload_word(upload.standing)),
            Peer::Both(owner, upload) => {
                format!("both: {}, {}", owner_word(owner.state), upload_word(upload.standing))
            }
        }
    }

    fn row(&self) -> Row {
        let nothing = || NOTHING.to_owned();
        let (node, address) = self.who();
        let owner = self.owner();
        // Before its session is open an owner can send nothing.
        let open = owner.filter(|owner| owner.state != OwnerState::Connecting);
        let upload = self.upload();
        let piece = upload.and_then(|upload| upload.piece);
        [
            node.short(),
            address.to_string(),
            open.map_or_else(nothing, |owner| rate(owner.rate)),
            open.and_then(|owner| owner.pieces.map(run)).unwrap_or_else(nothing),
            owner.map_or_else(nothing, |owner| whole_percent(owner.permille.into(), 1000)),
            upload.map_or_else(nothing, |upload| rate(upload.rate)),
            piece.map_or_else(nothing, |piece| piece.0.to_string()),
            upload.map_or_else(nothing, |upload| whole_percent(upload.sent, upload.length)),
            sealed_word(self.channel()).to_owned(),
            self.role(),
        ]
    }
}

fn sealed_word(channel: ChannelStatus) -> &'static str {
    match channel {
        ChannelStatus::InTheClear => "no",
        ChannelStatus::Opening => NOTHING,
        ChannelStatus::Sealed(Suite::Aes128Gcm) => "aes",
        ChannelStatus::Sealed(Suite::ChaCha20Poly1305) => "chacha",
    }
}

fn owner_word(state: OwnerState) -> &'static str {
    match state {
        OwnerState::Connecting => "connecting",
        OwnerState::Ready => "ready",
        OwnerState::Choked => "choked",
        OwnerState::Snubbed => "snubbed",
    }
}

fn upload_word(standing: UploadStanding) -> &'static str {
    match standing {
        UploadStanding::Idle => "idle",
        UploadStanding::Served => "served",
        UploadStanding::Choked => "waiting",
    }
}

/// Explains those words that were used and that not everybody knows: a line about the states, and one about what is
/// sealed.
fn legend<'a>(shown: impl Iterator<Item = &'a Peer<'a>>) -> Vec<String> {
    let (mut choked, mut snubbed, mut waiting) = (false, false, false);
    let (mut clear, mut aes, mut chacha) = (false, false, false);
    for peer in shown {
        let state = peer.owner().map(|owner| owner.state);
        choked |= state == Some(OwnerState::Choked);
        snubbed |= state == Some(OwnerState::Snubbed);
        waiting |= peer.upload().is_some_and(|upload| upload.standing == UploadStanding::Choked);
        let channel = peer.channel();
        clear |= channel == ChannelStatus::InTheClear;
        aes |= channel == ChannelStatus::Sealed(Suite::Aes128Gcm);
        chacha |= channel == ChannelStatus::Sealed(Suite::ChaCha20Poly1305);
    }
    let states = [
        (choked, "choked: serves others for now"),
        (snubbed, "snubbed: silent for too long"),
        (waiting, "waiting: for a place here"),
    ];
    let sealing = [
        (clear, "no: in the clear"),
        (aes, "aes: sealed with AES-128-GCM"),
        (chacha, "chacha: sealed with ChaCha20-Poly1305"),
    ];
    let line = |meanings: [(bool, &str); 3]| {
        let said = meanings.into_iter().filter(|(used, _)| *used).map(|(_, meaning)| meaning);
        said.collect::<Vec<_>>().join("; ")
    };
    [line(states), line(sealing)].into_iter().filter(|line| !line.is_empty()).collect()
}

/// The first and the last piece of a run.
fn run(pieces: PieceRun) -> String {
    match pieces.count() {
        1 => pieces.start().to_string(),
        _ => format!("{}-{}", pieces.start(), pieces.end().0 - 1),
    }
}

/// The widths of the columns and the gap between them.
#[derive(Debug)]
struct Table {
    widths: [usize; COLUMNS],
    gap: usize,
}

impl Table {
    /// Columns as wide as their cells, with a wide gap where the lines then fit and a narrow one elsewhere. Some
    /// columns shrink when the lines fit with neither.
    fn fitting<'r>(rows: impl Iterator<Item = &'r Row>) -> Table {
        let mut widths = [0; COLUMNS];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let length = |gap: usize| INDENT + widths.iter().sum::<usize>() + gap * (COLUMNS - 1);
        let gap = if length(2) <= MAX_WIDTH { 2 } else { 1 };
        let mut too_long = length(gap).saturating_sub(MAX_WIDTH);
        for (column, least) in SHRINKING {
            let given = too_long.min(widths[column].saturating_sub(least));
            widths[column] -= given;
            too_long -= given;
        }
        Table { widths, gap }
    }

    fn line(&self, row: &Row) -> String {
        let mut line = " ".repeat(INDENT);
        for (column, cell) in row.iter().enumerate() {
            let width = self.widths[column];
            let cell = shortened(cell, width);
            line.push_str(&if IS_RIGHT_ALIGNED[column] {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            });
            line.push_str(&" ".repeat(self.gap));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests;
