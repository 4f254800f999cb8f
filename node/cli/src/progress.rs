//! How far hashing and downloads are: bars on a terminal, elsewhere a line now and then.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use config::Interval;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use messages::{Layout, NodeId};
use riffle::{DownloadId, DownloadStatus, Event, OwnerState, OwnerStatus, ShareId, Status};

use crate::output_writer;
use crate::piece_bar::PieceBar;
use crate::plain_progress::PlainProgress;
use crate::report;
use crate::screen::Screen;
use crate::units::{percent, rate, shortened};

/// A file is drawn in this many cells when its download is over.
pub(crate) const FINAL_BAR_WIDTH: usize = 40;
/// A file is drawn in this many cells while it is fetched: the words beside it must fit into 80 columns in all.
const BAR_WIDTH: usize = 24;
/// At most this many sources of a download, the fastest, have a line each; the others have one line together.
const MAX_SOURCES: usize = 8;
/// The name of a file beside its bar is shortened to this many columns.
const MAX_NAME_WIDTH: usize = 20;
/// The name of a source is shortened to this many columns.
const MAX_SOURCE_WIDTH: usize = 21;

/// The progress of all downloads and hashings of one command.
#[derive(Debug)]
pub(crate) struct Progress {
    screen: Screen,
    /// The names of owners; an owner without one is called by its address.
    names: BTreeMap<NodeId, String>,
    downloads: BTreeMap<DownloadId, DownloadView>,
    hashings: BTreeMap<ShareId, ProgressBar>,
    plain: PlainProgress,
    /// The line about what others fetch from this node.
    uploads: Option<ProgressBar>,
}

/// The bars and lines of one download.
#[derive(Debug, Default)]
struct DownloadView {
    layout: Option<Layout>,
    total: Option<ProgressBar>,
    /// The pieces that each owner has brought. Owners that are gone stay, so that one that comes back goes on where it
    /// was.
    piece_bars: BTreeMap<NodeId, PieceBar>,
    /// The owners that have a line of their own.
    shown: BTreeSet<NodeId>,
    /// The lines below the total, from the top.
    lines: Vec<ProgressBar>,
}

/// One line below the total.
#[derive(Debug, PartialEq, Eq)]
struct SourceLine {
    /// The cells of the file that show what the source brings; as wide as a bar.
    cells: String,
    text: String,
}

impl SourceLine {
    /// A line of words alone, about several sources.
    fn without_cells(text: String) -> SourceLine {
        SourceLine { cells: " ".repeat(BAR_WIDTH), text }
    }
}

impl Progress {
    /// Nothing to show yet. `names`: the names of owners, each of which then has a plain line too; `lines`: how often
    /// there are lines where there cannot be bars.
    pub(crate) fn new(screen: Screen, names: BTreeMap<NodeId, String>, lines: Interval) -> Progress {
        let (downloads, hashings) = (BTreeMap::new(), BTreeMap::new());
        Progress {
            screen,
            names,
            downloads,
            hashings,
            plain: PlainProgress::new(lines.period()),
            uploads: None,
        }
    }

    /// Takes in an event.
    pub(crate) fn on_event(&mut self, event: &Event) {
        self.plain.on_event(event);
        match event {
            Event::DownloadIdentified { download, length, .. } => {
                self.downloads.entry(*download).or_default().layout = Layout::of(*length);
            }
            Event::PieceVerified { download, piece, owners } => {
                let Some(view) = self.downloads.get_mut(download) else { return };
                for owner in owners {
                    view.piece_bar(*owner).on_piece(*piece);
                }
            }
            Event::DownloadDone { download, .. } | Event::DownloadFailed { download, .. } => {
                if let Some(view) = self.downloads.remove(download) {
                    view.clear();
                }
            }
            Event::Hashing { share, done, total, .. } => self.on_hashing(*share, *done, *total),
            Event::Shared { share, .. } | Event::ShareFailed { share, .. } => {
                if let Some(bar) = self.hashings.remove(share) {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }

    /// Shows the downloads as they are at `now`. To be called several times a second.
    pub(crate) fn show(&mut self, status: &Status, now: Instant) {
        if let Screen::Bars(bars) = self.screen.clone() {
            // On a terminal that takes nothing frames would only pile up.
            if !output_writer::is_read() {
                return;
            }
            for download in &status.downloads {
                let view = self.downloads.entry(download.download).or_default();
                view.draw(download, &self.names, &bars);
            }
            return;
        }
        let lines = self.plain.on_downloads(&status.downloads, now);
        self.screen.notes(&lines);
        if !lines.is_empty() && !self.names.is_empty() {
            for download in &status.downloads {
                let line =
                    |owner: &OwnerStatus| format!("  {}", plain_line(owner, download.length, &self.names));
                self.screen.notes(&download.owners.iter().map(line).collect::<Vec<_>>());
            }
        }
    }

    /// Says how far hashing is at `now`, where there are no bars. To be called about every second.
    pub(crate) fn show_hashing(&mut self, now: Instant) {
        if !matches!(self.screen, Screen::Bars(_)) {
            self.screen.notes(&self.plain.on_hashing(now));
        }
    }

    /// Whether there are bars, and somebody reads what is drawn.
    pub(crate) fn draws(&self) -> bool {
        matches!(self.screen, Screen::Bars(_)) && output_writer::is_read()
    }

    /// Draws the line about what others fetch from this node.
    pub(crate) fn show_uploads(&mut self, standing: &str) {
        let Screen::Bars(bars) = &self.screen else { return };
        let line = self.uploads.get_or_insert_with(|| {
            let line = bars.add(ProgressBar::new(1));
            line.set_style(style("{wide_msg}"));
            line
        });
        line.set_message(logs::one_line(standing).into_owned());
    }

    /// Removes the line about what others fetch from this node.
    pub(crate) fn end_uploads(&mut self) {
        if let Some(line) = self.uploads.take() {
            line.finish_and_clear();
        }
    }

    fn on_hashing(&mut self, share: ShareId, done: u64, total: u64) {
        let Screen::Bars(bars) = &self.screen else { return };
        if !output_writer::is_read() {
            return;
        }
        let bar = self.hashings.entry(share).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(total));
            bar.set_style(style(
                "hashing {bar:40.cyan/dim} {percent:>3} % of {total_bytes}, {binary_bytes_per_sec}",
            ));
            bar
        });
        bar.set_position(done);
    }
}

impl DownloadView {
    fn piece_bar(&mut self, owner: NodeId) -> &mut PieceBar {
        let pieces = self.layout.map_or(0, Layout::pieces);
        self.piece_bars.entry(owner).or_insert_with(|| PieceBar::new(pieces, BAR_WIDTH))
    }

    fn draw(&mut self, status: &DownloadStatus, names: &BTreeMap<NodeId, String>, bars: &MultiProgress) {
        let total = self.total.get_or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(0));
            bar.set_style(style(&format!("{{bar:{BAR_WIDTH}.green/dim}} {{wide_msg}}")));
            bar
        });
        total.set_length(status.length.unwrap_or(0).max(1));
        total.set_position(status.verified);
        total.set_message(logs::one_line(&total_text(status)).into_owned());
        if self.layout.is_none() {
            self.layout = status.length.and_then(Layout::of);
        }
        let lines = self.below_total(status, names);
        self.draw_lines(lines, bars);
    }

    fn draw_lines(&mut self, lines: Vec<SourceLine>, bars: &MultiProgress) {
        while self.lines.len() > lines.len()
            && let Some(bar) = self.lines.pop()
        {
            bar.finish_and_clear();
            bars.remove(&bar);
        }
        for (index, line) in lines.into_iter().enumerate() {
            if index == self.lines.len() {
                let bar = ProgressBar::new(1);
                let bar = match self.lines.last().or(self.total.as_ref()) {
                    Some(above) => bars.insert_after(above, bar),
                    None => bars.add(bar),
                };
                bar.set_style(style("{prefix:.cyan} {wide_msg}"));
                self.lines.push(bar);
            }
            self.lines[index].set_prefix(line.cells);
            self.lines[index].set_message(logs::one_line(&line.text).into_owned());
        }
    }

    /// The lines of the sources, once the length is known, and then why the download does not go faster. The reason is
    /// last, so that the sources stay where they are when a reason comes or goes.
    fn below_total(&mut self, status: &DownloadStatus, names: &BTreeMap<NodeId, String>) -> Vec<SourceLine> {
        let mut lines = if self.layout.is_some() { self.sources(status, names) } else { Vec::new() };
        let reason = report::waiting(&status.waiting);
        lines.extend(reason.map(|why| SourceLine { cells: String::new(), text: why.into_owned() }));
        lines
    }

    /// A line for each of the fastest owners, in an order that does not change, and one line for the others.
    fn sources(&mut self, status: &DownloadStatus, names: &BTreeMap<NodeId, String>) -> Vec<SourceLine> {
        let (shown, others) = fastest(&status.owners, &self.shown);
        self.shown = shown.iter().map(|owner| owner.node).collect();
        let called = |owner: &OwnerStatus| shortened(&name_of(owner, names), MAX_SOURCE_WIDTH);
        let width = shown.iter().map(|owner| called(owner).chars().count()).max().unwrap_or(0);
        let mut lines = Vec::with_capacity(shown.len() + 1);
        for owner in shown {
            let text = source_text(&format!("{:<width$}", called(owner)), owner, status.length);
            lines.push(SourceLine { cells: self.piece_bar(owner.node).draw(owner.pieces), text });
        }
        if !others.is_empty() {
            lines.push(SourceLine::without_cells(others_text(&others)));
        }
        lines
    }

    fn clear(self) {
        self.lines.into_iter().chain(self.total).for_each(|bar| bar.finish_and_clear());
    }
}

/// The owners that have a line of their own, and the others, both in the order in which they came. An owner keeps its
/// line until another is faster by more than a quarter: lines that change often cannot be read.
fn fastest<'a>(
    owners: &'a [OwnerStatus],
    before: &BTreeSet<NodeId>,
) -> (Vec<&'a OwnerStatus>, Vec<&'a OwnerStatus>) {
    let rank = |owner: &&OwnerStatus| {
        let has_line = before.contains(&owner.node);
        let bonus = if has_line { owner.rate / 4 } else { 0 };
        Reverse((owner.rate.saturating_add(bonus), has_line))
    };
    let mut ranked: Vec<&OwnerStatus> = owners.iter().collect();
    ranked.sort_by_key(rank);
    let chosen: BTreeSet<NodeId> = ranked.iter().take(MAX_SOURCES).map(|owner| owner.node).collect();
    owners.iter().partition(|owner| chosen.contains(&owner.node))
}

fn name_of(owner: &OwnerStatus, names: &BTreeMap<NodeId, String>) -> String {
    names.get(&owner.node).cloned().unwrap_or_else(|| owner.peer.to_string())
}

/// The words beside the bar of a download.
fn total_text(status: &DownloadStatus) -> String {
    format!("{}: {}", shortened(&status.name, MAX_NAME_WIDTH), report::how_far(status))
}

/// The words beside the cells of one owner: how much of the file it has brought, how fast, and what is wrong.
fn source_text(name: &str, owner: &OwnerStatus, length: Option<u64>) -> String {
    let state = report::owner_state(owner.state).unwrap_or_default();
    if owner.state == OwnerState::Connecting {
        return format!("{name} {state}");
    }
    let line = format!("{name} {:>7} {:>10}  {state}", part(owner, length), rate(owner.rate));
    line.trim_end().to_owned()
}

/// The words for the owners that have no line of their own.
fn others_text(others: &[&OwnerStatus]) -> String {
    let together = others.iter().map(|owner| owner.rate).fold(0, u64::saturating_add);
    format!("and {} more, {}", others.len(), rate(together))
}

/// How much of the file came from an owner, at most all of it: bytes that came twice do not exceed that.
fn part(owner: &OwnerStatus, length: Option<u64>) -> String {
    length.map_or_else(String::new, |length| percent(owner.received.min(length), length))
}

/// The line of one owner where nothing can be drawn: its pieces are named.
fn plain_line(owner: &OwnerStatus, length: Option<u64>, names: &BTreeMap<NodeId, String>) -> String {
    let name = name_of(owner, names);
    let state = report::owner_state(owner.state);
    if owner.state == OwnerState::Connecting {
        return format!("{name}: {}", state.unwrap_or_default());
    }
    let state = state.map_or_else(String::new, |state| format!(", {state}"));
    let pieces = report::pieces(owner.pieces);
    format!("{name}: {pieces}, {}, {}{state}", part(owner, length), rate(owner.rate))
}

/// A style from `template`. The templates are constants of this file; one that does not parse would give the plain bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▉▊▋▌▍▎▏░")
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use messages::{PieceIndex, PieceRun};
    use riffle::Waiting;

    use super::*;
    use crate::fixtures;

    fn owner(byte: u8, rate: u64) -> OwnerStatus {
        OwnerStatus {
            peer: SocketAddr::from(([127, 0, 0, 1], 4000 + u16::from(byte))),
            pieces: PieceRun::new(PieceIndex(4), 5),
            received: 1 << 20,
            rate,
            ..fixtures::owner(byte)
        }
    }

    fn download(owners: Vec<OwnerStatus>) -> DownloadStatus {
        DownloadStatus {
            length: Some(8 << 20),
            verified: 4 << 20,
            rate: 2 << 20,
            ..fixtures::download(owners)
        }
    }

    fn view() -> DownloadView {
        DownloadView { layout: Layout::of(8 << 20), ..DownloadView::default() }
    }

    #[test]
    fn an_owner_is_called_by_its_name_or_its_address() {
        let owner = owner(0, 2 << 20);
        let length = Some(8 << 20);
        let names = BTreeMap::from([(owner.node, "owner 1".to_owned())]);
        assert_eq!(plain_line(&owner, length, &names), "owner 1: pieces 4-8, 12.5 %, 2.00 MiB/s");
        let snubbed = OwnerStatus { state: OwnerState::Snubbed, ..owner };
        let expected = "127.0.0.1:4000: pieces 4-8, 12.5 %, 2.00 MiB/s, silent for too long";
        assert_eq!(plain_line(&snubbed, length, &BTreeMap::new()), expected);
    }

    #[test]
    fn each_source_has_its_part_its_rate_and_its_state() {
        let choked = OwnerStatus { state: OwnerState::Choked, received: 99 << 20, ..owner(2, 0) };
        let connecting = OwnerStatus { state: OwnerState::Connecting, pieces: None, ..owner(3, 0) };
        let mut first = owner(1, 12 << 20);
        first.peer = SocketAddr::from(([192, 168, 100, 100], 41_012));
        let mut view = view();
        let pieces = Layout::of(8 << 20).map_or(0, Layout::pieces);
        (0..pieces / 2).for_each(|piece| view.piece_bar(first.node).on_piece(PieceIndex(piece)));
        let lines = view.sources(&download(vec![first, choked, connecting]), &BTreeMap::new());
        assert!(lines[0].cells.starts_with("████████████"), "{lines:?}");
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        let expected = [
            "192.168.100.100:41012  12.5 % 12.0 MiB/s",
            "127.0.0.1:4002        100.0 %      0 B/s  serves others for now",
            "127.0.0.1:4003        connecting",
        ];
        assert_eq!(texts, expected);
        let columns = |line: &SourceLine| line.cells.chars().count() + 1 + line.text.chars().count();
        assert!(lines.iter().all(|line| columns(line) <= 100), "{lines:?}");
    }

    #[test]
    fn the_fastest_have_lines_and_the_others_one_together() {
        let owners: Vec<OwnerStatus> = (0..11).map(|byte| owner(byte, u64::from(byte) << 20)).collect();
        let mut view = view();
        let lines = view.sources(&download(owners.clone()), &BTreeMap::new());
        assert_eq!(lines.len(), 9);
        assert!(lines[0].text.starts_with("127.0.0.1:4003") && lines[7].text.starts_with("127.0.0.1:4010"));
        assert_eq!(lines[8], SourceLine::without_cells("and 3 more, 3.00 MiB/s".to_owned()));
        let eight = view.sources(&download(owners[..8].to_vec()), &BTreeMap::new());
        assert_eq!(eight.len(), 8);
    }

    #[test]
    fn a_line_is_lost_to_one_that_is_faster_by_more_than_a_quarter() {
        let mut owners: Vec<OwnerStatus> = (0..9).map(|byte| owner(byte, 1 << 20)).collect();
        owners[8].rate = 0;
        let chosen = |owners: &[OwnerStatus], before: &BTreeSet<NodeId>| -> BTreeSet<NodeId> {
            fastest(owners, before).0.iter().map(|owner| owner.node).collect()
        };
        let first = chosen(&owners, &BTreeSet::new());
        assert!(!first.contains(&owners[8].node));
        owners[8].rate = (1 << 20) + (1 << 18);
        assert_eq!(chosen(&owners, &first), first, "a quarter is not enough");
        owners[8].rate += 1;
        assert!(chosen(&owners, &first).contains(&owners[8].node));
    }

    #[test]
    fn a_long_name_leaves_room_for_the_total() {
        let long = DownloadStatus { name: "x".repeat(255), ..download(vec![owner(1, 1)]) };
        let expected = "xxxxxxxxx…xxxxxxxxxx: 50.0 % of 8.00 MiB, 2.00 MiB/s, 2 s left";
        assert_eq!(total_text(&long), expected);
    }

    #[test]
    fn why_a_download_waits_is_below_its_sources() {
        let texts = |mut view: DownloadView, status: DownloadStatus| -> Vec<String> {
            view.below_total(&status, &BTreeMap::new()).into_iter().map(|line| line.text).collect()
        };
        let busy =
            DownloadStatus { waiting: Waiting::OwnersBusy, ..download(vec![owner(1, 0), owner(2, 0)]) };
        let lines = texts(view(), busy);
        assert_eq!((lines.len(), lines[2].as_str()), (3, "the owners serve others for now"));
        assert_eq!(texts(view(), download(vec![owner(1, 0)])).len(), 1);
        let unknown = DownloadStatus { length: None, waiting: Waiting::Tracker, ..download(Vec::new()) };
        assert_eq!(texts(DownloadView::default(), unknown), ["waiting for the tracker to answer"]);
    }

    #[test]
    fn lines_that_are_gone_are_taken_away() {
        let bars = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
        let mut view = DownloadView::default();
        for count in [3, 11, 1, 0, 2] {
            let owners = (0..count).map(|byte| owner(byte, 1)).collect();
            view.draw(&download(owners), &BTreeMap::new(), &bars);
            assert_eq!(view.lines.len(), usize::from(count).min(MAX_SOURCES + 1));
        }
        view.clear();
    }
}
