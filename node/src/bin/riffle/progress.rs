//! How far hashing and downloads are, while they last: bars on a terminal, else a line a second.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use messages::{Layout, NodeId};
use node::{DownloadId, DownloadStatus, Event, OwnerState, OwnerStatus, ShareId, Status};

use crate::map::OwnerMap;
use crate::outlet;
use crate::report;
use crate::screen::Screen;
use crate::units::{rate, size};

/// No more than one plain line in this time.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// How wide a file is drawn, in cells.
pub(crate) const MAP_WIDTH: usize = 40;

/// The progress of all downloads and hashings of one command.
#[derive(Debug)]
pub(crate) struct Progress {
    screen: Screen,
    /// What to call owners; those that are not in it are called by their address.
    names: BTreeMap<NodeId, String>,
    downloads: BTreeMap<DownloadId, DownloadView>,
    hashings: BTreeMap<ShareId, ProgressBar>,
    line_due: Option<Instant>,
}

/// What is shown of one download.
#[derive(Debug, Default)]
struct DownloadView {
    layout: Option<Layout>,
    total: Option<ProgressBar>,
    owners: BTreeMap<NodeId, OwnerView>,
}

/// What is shown of one owner.
#[derive(Debug)]
struct OwnerView {
    map: OwnerMap,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Nothing to show yet. `names`: what to call owners instead of their address.
    pub(crate) fn new(screen: Screen, names: BTreeMap<NodeId, String>) -> Progress {
        let (downloads, hashings) = (BTreeMap::new(), BTreeMap::new());
        Progress { screen, names, downloads, hashings, line_due: None }
    }

    /// Takes in what happened.
    pub(crate) fn on_event(&mut self, event: &Event) {
        match event {
            Event::DownloadIdentified { download, length, .. } => {
                self.downloads.entry(*download).or_default().layout = Layout::of(*length);
            }
            Event::PieceVerified { download, piece, owners } => {
                let Some(view) = self.downloads.get_mut(download) else { return };
                for owner in owners {
                    view.owner(*owner).map.on_piece(piece.0);
                }
            }
            Event::DownloadDone { download, .. } | Event::DownloadFailed { download, .. } => {
                if let Some(view) = self.downloads.remove(download) {
                    view.clear();
                }
            }
            Event::Hashing { share, done, total } => self.on_hashing(*share, *done, *total),
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
            // On a terminal that takes nothing pictures would only pile up.
            if !outlet::is_read() {
                return;
            }
            for download in &status.downloads {
                let view = self.downloads.entry(download.download).or_default();
                view.draw(download, &self.names, &bars);
            }
            return;
        }
        // Without a terminal only the demo, which names its owners, is told as it goes.
        let due = *self.line_due.get_or_insert(now + LINE_EVERY);
        if self.names.is_empty() || now < due {
            return;
        }
        self.line_due = Some(now + LINE_EVERY);
        for download in &status.downloads {
            self.screen.note(&report::progress(download));
            let line = |owner: &OwnerStatus| format!("  {}", owner_text(owner, &self.names));
            self.screen.notes(&download.owners.iter().map(line).collect::<Vec<_>>());
        }
    }

    fn on_hashing(&mut self, share: ShareId, done: u64, total: u64) {
        let Screen::Bars(bars) = &self.screen else { return };
        if !outlet::is_read() {
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
    fn owner(&mut self, owner: NodeId) -> &mut OwnerView {
        let pieces = self.layout.map_or(0, Layout::pieces);
        self.owners
            .entry(owner)
            .or_insert_with(|| OwnerView { map: OwnerMap::new(pieces, MAP_WIDTH), bar: None })
    }

    fn draw(&mut self, status: &DownloadStatus, names: &BTreeMap<NodeId, String>, bars: &MultiProgress) {
        let total = self.total.get_or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(0));
            bar.set_style(style("{bar:40.green/dim} {msg}"));
            bar
        });
        total.set_length(status.length.unwrap_or(0).max(1));
        total.set_position(status.verified);
        total.set_message(report::progress(status));
        if self.layout.is_none() {
            self.layout = status.length.and_then(Layout::of);
        }
        if self.layout.is_none() {
            return;
        }
        let mut last = self.total.clone();
        for owner in &status.owners {
            let view = self.owner(owner.node);
            let bar = view.bar.get_or_insert_with(|| {
                let bar = ProgressBar::new(1);
                let bar = last
                    .as_ref()
                    .map_or_else(|| bars.add(bar.clone()), |last| bars.insert_after(last, bar.clone()));
                bar.set_style(style("{prefix:.cyan} {msg}"));
                bar
            });
            bar.set_prefix(view.map.draw(&owner.pieces));
            bar.set_message(owner_text(owner, names));
            last = Some(bar.clone());
        }
        let here = |node: &NodeId| status.owners.iter().any(|owner| owner.node == *node);
        for (node, view) in &mut self.owners {
            if let Some(bar) = view.bar.take_if(|_| !here(node)) {
                bar.finish_and_clear();
            }
        }
    }

    fn clear(self) {
        let bars = self.owners.into_values().filter_map(|view| view.bar).chain(self.total);
        bars.for_each(|bar| bar.finish_and_clear());
    }
}

fn owner_text(owner: &OwnerStatus, names: &BTreeMap<NodeId, String>) -> String {
    let name = names.get(&owner.node).cloned().unwrap_or_else(|| owner.peer.to_string());
    let state = match owner.state {
        OwnerState::Connecting => return format!("{name}: connecting"),
        OwnerState::Ready => "",
        OwnerState::Choked => ", serves others for now",
        OwnerState::Snubbed => ", silent for too long",
    };
    let pieces = report::pieces(&owner.pieces);
    format!("{name}: {pieces}, {}, {}{state}", size(owner.received), rate(owner.rate))
}

/// The templates are constants of this file: one that does not parse shows the plain bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▉▊▋▌▍▎▏░")
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn an_owner_is_called_by_its_name_or_its_address() {
        let owner = OwnerStatus {
            permille: 1000,
            node: NodeId::from_bytes([1; 16]),
            peer: SocketAddr::from(([127, 0, 0, 1], 4000)),
            state: OwnerState::Ready,
            pieces: 4..9,
            received: 1 << 20,
            rate: 2 << 20,
            rtt: None,
            outstanding: 0,
            datagram: 1200,
        };
        let names = BTreeMap::from([(owner.node, "owner 1".to_owned())]);
        assert_eq!(owner_text(&owner, &names), "owner 1: pieces 4-8, 1.00 MiB, 2.00 MiB/s");
        let snubbed = OwnerStatus { state: OwnerState::Snubbed, ..owner };
        let expected = "127.0.0.1:4000: pieces 4-8, 1.00 MiB, 2.00 MiB/s, silent for too long";
        assert_eq!(owner_text(&snubbed, &BTreeMap::new()), expected);
    }
}
