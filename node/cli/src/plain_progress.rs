//! How far hashing and downloads are, in plain lines, where nothing can be drawn: a pipe, the journal, a file. Pure:
//! this part makes the lines and decides when they are due, and has neither a clock nor a screen.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use riffle::{DownloadId, DownloadStatus, Event, ShareId};

use crate::report;
use crate::units::{per_second, percent, rate, size};

/// At most this many downloads, the fastest, have a line each; the others have one line together.
const MAX_LINES: usize = 8;
/// Lines that say nothing new come ever more rarely, down to one in this time.
const STILL_EVERY: Duration = Duration::from_secs(3600);

/// The downloads and hashings that lines are about, and when the next lines are due.
#[derive(Debug)]
pub(crate) struct PlainProgress {
    /// How often lines come; `None`: never.
    period: Option<Duration>,
    downloads: Rhythm,
    /// The downloads whose beginning was said.
    begun: BTreeSet<DownloadId>,
    hashings: BTreeMap<ShareId, Hashing>,
    hashing: Rhythm,
    /// How many bytes were hashed since the start.
    hashed: u64,
    /// When the last line about hashing was made, and what `hashed` was then.
    hashing_said: Option<(Instant, u64)>,
}

/// A file that is being hashed.
#[derive(Debug)]
struct Hashing {
    name: String,
    done: u64,
    total: u64,
}

/// When the next lines about one matter are due.
#[derive(Debug, Default)]
struct Rhythm {
    due: Option<Instant>,
    said: Vec<String>,
    said_at: Option<Instant>,
    /// How long lines are held back that say the same as the last ones.
    still: Duration,
}

impl Rhythm {
    /// Looks whether lines are due. The first call begins the first period.
    fn poll_due(&mut self, period: Duration, now: Instant) -> bool {
        now >= *self.due.get_or_insert(now + period)
    }

    /// Begins the next period. Returns `lines`, unless the same lines were said a short time ago.
    fn take(&mut self, lines: Vec<String>, period: Duration, now: Instant) -> Vec<String> {
        self.due = Some(now + period);
        if lines != self.said {
            self.still = period;
        } else if self.said_at.is_some_and(|said_at| now < said_at + self.still) {
            return Vec::new();
        } else {
            self.still = (self.still * 2).min(STILL_EVERY).max(period);
        }
        self.said_at = Some(now);
        self.said.clone_from(&lines);
        lines
    }
}

impl PlainProgress {
    /// Nothing was said yet; lines come every `period`, or never.
    pub(crate) fn new(period: Option<Duration>) -> PlainProgress {
        PlainProgress {
            period,
            downloads: Rhythm::default(),
            begun: BTreeSet::new(),
            hashings: BTreeMap::new(),
            hashing: Rhythm::default(),
            hashed: 0,
            hashing_said: None,
        }
    }

    /// Takes in an event.
    pub(crate) fn on_event(&mut self, event: &Event) {
        match event {
            Event::Hashing { share, name, done, total } => {
                let (name, total) = (name.to_string(), *total);
                let hashing = self.hashings.entry(*share).or_insert(Hashing { name, done: 0, total });
                self.hashed += done.saturating_sub(hashing.done);
                (hashing.done, hashing.total) = (*done, total);
            }
            Event::Shared { share, .. } | Event::ShareFailed { share, .. } => {
                if let Some(over) = self.hashings.remove(share) {
                    self.hashed += over.total.saturating_sub(over.done);
                }
            }
            _ => {}
        }
    }

    /// Takes the lines about the downloads that are due at `now`.
    pub(crate) fn on_downloads(&mut self, downloads: &[DownloadStatus], now: Instant) -> Vec<String> {
        let Some(period) = self.period else { return Vec::new() };
        let mut lines = self.take_beginnings(downloads);
        if downloads.is_empty() {
            self.downloads = Rhythm::default();
        } else if self.downloads.poll_due(period, now) {
            lines.extend(self.downloads.take(progress_lines(downloads), period, now));
        }
        lines
    }

    /// Takes the lines about the files that are being hashed that are due at `now`.
    pub(crate) fn on_hashing(&mut self, now: Instant) -> Vec<String> {
        let Some(period) = self.period else { return Vec::new() };
        if self.hashings.is_empty() {
            (self.hashing, self.hashing_said) = (Rhythm::default(), None);
            return Vec::new();
        }
        let Some((before, hashed)) = self.hashing_said else {
            // Most files are hashed before this is called for the first time.
            self.hashing_said = Some((now, self.hashed));
            self.hashing.due = Some(now + period);
            return vec![self.hashing_line(None)];
        };
        if !self.hashing.poll_due(period, now) {
            return Vec::new();
        }
        self.hashing_said = Some((now, self.hashed));
        let per_second = per_second(self.hashed.saturating_sub(hashed), now - before);
        self.hashing.take(vec![self.hashing_line(Some(per_second))], period, now)
    }

    /// Takes the lines about downloads that have begun since the last call.
    fn take_beginnings(&mut self, downloads: &[DownloadStatus]) -> Vec<String> {
        let new: Vec<(&DownloadStatus, u64)> = downloads
            .iter()
            .filter_map(|download| Some((download, download.length?)))
            .filter(|(download, _)| !self.begun.contains(&download.download))
            .collect();
        let running: BTreeSet<DownloadId> = downloads.iter().map(|download| download.download).collect();
        self.begun.retain(|begun| running.contains(begun));
        self.begun.extend(new.iter().map(|(download, _)| download.download));
        if new.len() > MAX_LINES {
            let together = new.iter().map(|(_, length)| *length).fold(0, u64::saturating_add);
            return vec![format!("fetching {} files, {} together", new.len(), size(together))];
        }
        let line = |(download, length): &(&DownloadStatus, u64)| {
            format!("fetching {}, {}", download.name, size(*length))
        };
        new.iter().map(line).collect()
    }

    fn hashing_line(&self, per_second: Option<u64>) -> String {
        let sum = |part: fn(&Hashing) -> u64| self.hashings.values().map(part).fold(0, u64::saturating_add);
        let (done, total) = (sum(|hashing| hashing.done), sum(|hashing| hashing.total));
        let what = match self.hashings.first_key_value() {
            Some((_, only)) if self.hashings.len() == 1 => only.name.clone(),
            _ => format!("{} files", self.hashings.len()),
        };
        let speed = per_second.map_or_else(String::new, |per_second| format!(", {}", rate(per_second)));
        format!("hashing {what}: {} of {}{speed}", percent(done, total), size(total))
    }
}

/// How far downloads are: a line for each of the fastest, in the order in which they began, and one line for the
/// others.
fn progress_lines(downloads: &[DownloadStatus]) -> Vec<String> {
    let mut ranked: Vec<&DownloadStatus> = downloads.iter().collect();
    ranked.sort_by_key(|download| Reverse(download.rate));
    let chosen: BTreeSet<DownloadId> =
        ranked.iter().take(MAX_LINES).map(|download| download.download).collect();
    let (shown, others): (Vec<_>, Vec<_>) =
        downloads.iter().partition(|download| chosen.contains(&download.download));
    let mut lines: Vec<String> = shown.into_iter().map(report::progress).collect();
    if !others.is_empty() {
        let sum = |part: fn(&DownloadStatus) -> u64| {
            others.iter().map(|download| part(download)).fold(0, u64::saturating_add)
        };
        let (verified, length) = (sum(|other| other.verified), sum(|other| other.length.unwrap_or(0)));
        let (far, together) = (percent(verified, length.max(1)), rate(sum(|other| other.rate)));
        lines.push(format!("and {} more: {far} of {}, {together}", others.len(), size(length)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use messages::{ContentId, Name};
    use riffle::Waiting;

    use super::*;
    use crate::fixtures;

    const TEN: Duration = Duration::from_secs(10);
    const MIB: u64 = 1 << 20;

    fn download(number: u32, verified: u64) -> DownloadStatus {
        DownloadStatus {
            download: DownloadId(number),
            name: format!("f{number}"),
            length: Some(8 * MIB),
            verified,
            rate: MIB,
            ..fixtures::download(Vec::new())
        }
    }

    #[test]
    fn a_download_is_told_at_its_start_and_once_a_period() {
        let start = Instant::now();
        let mut plain = PlainProgress::new(Some(TEN));
        let mut said = Vec::new();
        for tenths in 0..250 {
            let status = [download(1, tenths * (MIB / 40))];
            let lines = plain.on_downloads(&status, start + Duration::from_millis(tenths * 100));
            said.extend(lines.into_iter().map(|line| (tenths, line)));
        }
        let expected = [
            (0, "fetching f1, 8.00 MiB"),
            (100, "f1: 31.2 % of 8.00 MiB, 1.00 MiB/s, 6 s left"),
            (200, "f1: 62.4 % of 8.00 MiB, 1.00 MiB/s, 4 s left"),
        ];
        assert_eq!(said, expected.map(|(at, line)| (at, line.to_owned())));
    }

    #[test]
    fn what_is_still_so_is_said_ever_more_rarely() {
        let start = Instant::now();
        let mut plain = PlainProgress::new(Some(TEN));
        let waits = DownloadStatus { length: None, rate: 0, waiting: Waiting::Unknown, ..download(1, 0) };
        let told = |plain: &mut PlainProgress, from: u64, until: u64, status: &DownloadStatus| -> Vec<u64> {
            let lines = |second: &u64| {
                let lines =
                    plain.on_downloads(std::slice::from_ref(status), start + Duration::from_secs(*second));
                !lines.is_empty()
            };
            (from..until).filter(lines).collect()
        };
        assert_eq!(told(&mut plain, 0, 300, &waits), [10, 20, 40, 80, 160]);
        assert_eq!(told(&mut plain, 301, 315, &download(1, MIB)), [301, 311], "its beginning, and how far");
        assert_eq!(told(&mut plain, 315, 325, &download(1, 2 * MIB)), [321], "it goes on");
        let day = told(&mut plain, 325, 90_000, &waits);
        assert!(day.len() < 40, "{day:?}");
    }

    #[test]
    fn many_downloads_have_few_lines() {
        let start = Instant::now();
        let mut plain = PlainProgress::new(Some(TEN));
        let downloads: Vec<DownloadStatus> = (0..300).map(|number| download(number, 2 * MIB)).collect();
        assert_eq!(plain.on_downloads(&downloads, start), ["fetching 300 files, 2.34 GiB together"]);
        let lines = plain.on_downloads(&downloads[100..], start + TEN);
        assert_eq!(lines.len(), 9);
        assert_eq!(lines[0], "f100: 25.0 % of 8.00 MiB, 1.00 MiB/s, 6 s left");
        assert_eq!(lines[8], "and 192 more: 25.0 % of 1.50 GiB, 192 MiB/s");
    }

    #[test]
    fn nothing_is_said_when_it_is_not_wanted_or_when_there_is_nothing() {
        let start = Instant::now();
        let mut silent = PlainProgress::new(None);
        assert!(silent.on_downloads(&[download(1, 0)], start).is_empty());
        assert!(silent.on_downloads(&[download(1, 0)], start + TEN).is_empty());
        let mut plain = PlainProgress::new(Some(TEN));
        assert!(plain.on_downloads(&[], start).is_empty());
        assert!(plain.on_downloads(&[], start + TEN).is_empty());
        assert!(plain.on_hashing(start).is_empty());
    }

    #[test]
    fn hashing_that_lasts_is_told_with_its_speed() {
        let start = Instant::now();
        let mut plain = PlainProgress::new(Some(TEN));
        let name = Name::new("film.mkv").expect("a name");
        let hashing = |share, done| Event::Hashing {
            share: ShareId(share),
            name: name.clone(),
            done: done * MIB,
            total: 400 * MIB,
        };
        let content = ContentId::from_bytes([0; 32]);
        let shared =
            |share| Event::Shared { share: ShareId(share), content, name: name.clone(), length: 400 * MIB };
        // This file is hashed before anybody looks.
        plain.on_event(&hashing(1, 1));
        plain.on_event(&shared(1));
        assert!(plain.on_hashing(start).is_empty());
        plain.on_event(&hashing(2, 100));
        assert_eq!(plain.on_hashing(start), ["hashing film.mkv: 25.0 % of 400 MiB"]);
        plain.on_event(&hashing(2, 200));
        assert!(plain.on_hashing(start + TEN / 2).is_empty());
        assert_eq!(plain.on_hashing(start + TEN), ["hashing film.mkv: 50.0 % of 400 MiB, 10.0 MiB/s"]);
        plain.on_event(&hashing(3, 0));
        plain.on_event(&hashing(4, 0));
        plain.on_event(&shared(2));
        assert_eq!(plain.on_hashing(start + TEN * 2), ["hashing 2 files: 0.0 % of 800 MiB, 20.0 MiB/s"]);
        plain.on_event(&shared(3));
        plain.on_event(&shared(4));
        assert!(plain.on_hashing(start + TEN * 3).is_empty());
    }
}
