//! A content that is served: all of it, or the pieces that a download has stored so far.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use config::NodeSettings;
use fixedbitset::FixedBitSet;
use messages::limits::MAX_HAVE_RUNS;
use messages::node_to_node::{Bitfield, Have};
use messages::{Bits, ContentId, List, Manifest, Name, PieceIndex, PieceRun, Timestamp};

use super::session_table::SessionTable;
use super::slot_allocation::slot_count;
use super::slots::UploadSlots;
use super::super_seed::SuperSeed;

/// Pieces that are new are told in batches (reference figures: 100 ms).
const HAVE_PERIOD: Duration = Duration::from_millis(100);
/// A node that has a part has so many downloaders of it, or half as many again as it has places: others have as much, and more to spare. Each
/// wants about as many owners.
const DOWNLOADERS: usize = 12;
/// Nobody confirms a HAVE: each piece is in so many of them, one after the other.
const TOLD_TIMES: u8 = 3;

/// A content that is served.
#[derive(Debug)]
pub(crate) struct ServedContent {
    pub(crate) content: ContentId,
    pub(crate) name: Name,
    pub(crate) manifest: Arc<Manifest>,
    /// The manifest's bytes, as they are served.
    pub(super) encoded: Arc<[u8]>,
    pub(crate) sent: u64,
    /// The pieces that are here; `None`: all.
    have: Option<FixedBitSet>,
    /// Pieces that were told of fewer than [`TOLD_TIMES`] times, and how often.
    news: Vec<(u32, u8)>,
    /// When they are told of next.
    pub(super) tells_at: Timestamp,
    /// When they were told of last.
    told_at: Timestamp,
    pub(super) places: UploadSlots,
    /// Sessions with it.
    pub(super) seats: SessionTable,
    pub(super) spreading: SuperSeed,
    /// When it is looked at again who gets the places.
    pub(super) looks_at: Timestamp,
}

impl ServedContent {
    /// All of the content that `manifest` describes.
    pub(super) fn whole(content: ContentId, name: Name, manifest: Arc<Manifest>) -> ServedContent {
        let (encoded, pieces) = (manifest.encode().into(), manifest.layout().pieces());
        ServedContent {
            content,
            name,
            manifest,
            encoded,
            sent: 0,
            have: None,
            news: Vec::new(),
            tells_at: Timestamp::NEVER,
            told_at: Timestamp::ZERO,
            places: UploadSlots::default(),
            seats: SessionTable::default(),
            spreading: SuperSeed::new(pieces),
            looks_at: Timestamp::NEVER,
        }
    }

    /// Of the content that `manifest` describes the pieces in `have`.
    pub(super) fn part(
        content: ContentId,
        name: Name,
        manifest: Arc<Manifest>,
        have: &[Range<u32>],
    ) -> ServedContent {
        let pieces = manifest.layout().pieces();
        let mut bits = FixedBitSet::with_capacity(pieces as usize);
        for run in have {
            bits.insert_range(run.start.min(pieces) as usize..run.end.min(pieces) as usize);
        }
        ServedContent { have: Some(bits), ..ServedContent::whole(content, name, manifest) }
    }

    /// Whether all of it is here.
    pub(crate) fn is_whole(&self) -> bool {
        self.have.is_none()
    }

    /// How many pieces are here.
    pub(crate) fn pieces(&self) -> u32 {
        self.have.as_ref().map_or(self.manifest.layout().pieces(), |have| have.count_ones(..) as u32)
    }

    /// How much of it is here, in thousandths.
    pub(crate) fn permille(&self) -> u16 {
        let all = self.manifest.layout().pieces();
        if self.is_whole() { 1000 } else { (u64::from(self.pieces()) * 1000 / u64::from(all.max(1))) as u16 }
    }

    /// Whether `piece`, or the manifest, is here.
    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        let is_here = |have: &FixedBitSet| piece == PieceIndex::MANIFEST || have.contains(piece.0 as usize);
        self.have.as_ref().is_none_or(is_here)
    }

    /// `piece` is here now.
    pub(super) fn add(&mut self, piece: PieceIndex, now: Timestamp) {
        let Some(have) = self.have.as_mut().filter(|have| (piece.0 as usize) < have.len()) else {
            return;
        };
        if !have.put(piece.0 as usize) {
            self.news.push((piece.0, 0));
            // At once, if nothing was told lately: the first pieces of all are waited for.
            self.tells_at = self.tells_at.min(now.max(self.told_at + HAVE_PERIOD));
        }
    }

    /// Whether everything is here, and some of it was given to nobody.
    pub(super) fn hints(&self) -> bool {
        self.is_whole() && self.spreading.goes_on()
    }

    /// Whether all of it is here and given, and what is under way to the first who gets it goes before everything else.
    pub(super) fn finishes_spreading(&self, now: Timestamp) -> bool {
        self.is_whole() && self.spreading.finishes_until().is_some_and(|until| now < until)
    }

    /// All of it is here now. Sessions learn the last pieces like the others.
    pub(super) fn complete(&mut self) {
        self.have = None;
    }

    /// With how many downloaders this node is of use, while it has a part: beyond that, others who have some of it are better asked.
    pub(super) fn most_sessions(&self, settings: &NodeSettings) -> Option<usize> {
        (!self.is_whole()).then(|| DOWNLOADERS.max(slot_count(&settings.upload) * 3 / 2))
    }

    /// When there is something to tell or to give next.
    pub(super) fn next_at(&self, now: Timestamp) -> Timestamp {
        let gives = match self.spreading.finishes_until().filter(|_| self.finishes_spreading(now)) {
            _ if !self.places.are_wanted() => Timestamp::NEVER,
            Some(until) => until,
            None => self.looks_at.min(self.places.next_at()),
        };
        self.tells_at.min(gives)
    }

    /// Which of `pieces` are here.
    pub(super) fn bits(&self, pieces: &Range<u32>) -> Bitfield {
        let count = pieces.end - pieces.start;
        Bitfield { bits: Bits::of(pieces.start, count, |piece| self.has(PieceIndex(piece))) }
    }

    /// The news that are due by `now`, as messages for every session.
    pub(super) fn take_news(&mut self, now: Timestamp) -> Vec<Have> {
        if now < self.tells_at {
            return Vec::new();
        }
        self.told_at = now;
        self.news.sort_unstable();
        let mut runs: Vec<Range<u32>> = Vec::new();
        for (piece, told) in &mut self.news {
            *told += 1;
            match runs.last_mut() {
                Some(run) if run.end == *piece => run.end += 1,
                _ => runs.push(*piece..*piece + 1),
            }
        }
        self.news.retain(|(_, told)| *told < TOLD_TIMES);
        self.tells_at = if self.news.is_empty() { Timestamp::NEVER } else { now + HAVE_PERIOD };
        let run = |run: &Range<u32>| PieceRun::new(run.start, run.end - run.start);
        let message = |runs: &[Range<u32>]| Have { runs: List::first_of(runs.iter().filter_map(run)) };
        runs.chunks(MAX_HAVE_RUNS).map(message).collect()
    }
}
