//! Which pieces of a part file are stored, how well, and which of them are suspect; with the journal that says so.

use std::collections::BTreeSet;
use std::io;
use std::time::{Instant, SystemTime};

use fixedbitset::FixedBitSet;
use messages::{ChainingValue, Layout, PieceIndex};

use super::SyncRule;
use crate::driver::disk::journal::Journal;
use crate::driver::disk::journal::records::{Durability, Record};

/// What is known of the pieces of one part file.
#[derive(Debug)]
pub(super) struct Ledger {
    /// `None` for a content of one piece, which needs none, and after the end.
    journal: Option<Journal>,
    stored: FixedBitSet,
    stored_bytes: u64,
    /// Written since the last sync began.
    unsynced: Vec<Record>,
    unsynced_bytes: u64,
    sync_began: Instant,
    /// Stored, as far as is known, after the system said that a write had failed.
    suspect: BTreeSet<PieceIndex>,
    /// When this node last wrote to the file, by the file's own clock.
    written_at: SystemTime,
    /// Writes of this node under way: while there is one, the file's time does not tell whose it is.
    writes: u32,
    /// The file has its name, or was given up for good.
    has_ended: bool,
}

impl Ledger {
    /// Of a file that has the pieces `have` and was last written to at `written_at`.
    pub(super) fn new(
        layout: Layout,
        journal: Option<Journal>,
        have: &[PieceIndex],
        written_at: SystemTime,
    ) -> Ledger {
        let mut stored = FixedBitSet::with_capacity(layout.pieces() as usize);
        have.iter().for_each(|piece| stored.insert(piece.0 as usize));
        Ledger {
            journal,
            stored,
            stored_bytes: have.iter().map(|piece| u64::from(layout.piece_length(*piece))).sum(),
            unsynced: Vec::new(),
            unsynced_bytes: 0,
            sync_began: Instant::now(),
            suspect: BTreeSet::new(),
            written_at,
            writes: 0,
            has_ended: false,
        }
    }

    /// Bytes of all pieces that are stored.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Whether no piece is stored.
    pub(super) fn is_empty(&self) -> bool {
        self.stored.is_clear()
    }

    /// Whether the file has its name, or was given up for good.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether the piece is stored.
    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        self.stored.contains(piece.0 as usize)
    }

    /// Whether every piece is stored.
    pub(super) fn has_all(&self) -> bool {
        self.stored.is_full()
    }

    /// A piece of so many bytes was written. It counts when the journal takes it.
    ///
    /// # Errors
    /// The journal's; then the piece does not count.
    pub(super) fn record_stored(
        &mut self,
        piece: PieceIndex,
        value: ChainingValue,
        length: u64,
    ) -> io::Result<()> {
        let record = Record { durability: Durability::Written, piece, value };
        if let Some(journal) = &mut self.journal {
            journal.append(&[record])?;
        }
        self.suspect.remove(&piece);
        if !self.stored.put(piece.0 as usize) {
            self.stored_bytes += length;
        }
        self.unsynced.push(record);
        self.unsynced_bytes += length;
        Ok(())
    }

    /// Whether what was written is to be made durable now. What has no journal is only when the file is whole.
    pub(super) fn is_sync_due(&self, rule: SyncRule) -> bool {
        self.journal.is_some() && (self.unsynced_bytes >= rule.bytes || self.has_waited(rule))
    }

    /// Whether something was written so long ago that it is to be made durable now.
    pub(super) fn is_sync_overdue(&self, rule: SyncRule) -> bool {
        self.journal.is_some() && !self.unsynced.is_empty() && self.has_waited(rule)
    }

    fn has_waited(&self, rule: SyncRule) -> bool {
        self.sync_began.elapsed() >= rule.period
    }

    /// A sync begins; what it takes along.
    pub(super) fn begin_sync(&mut self) -> Vec<Record> {
        self.sync_began = Instant::now();
        self.unsynced_bytes = 0;
        std::mem::take(&mut self.unsynced)
    }

    /// The sync of these succeeded. The journal, when it took note of that and is to be synced too.
    ///
    /// # Errors
    /// The journal's; then the pieces stay `written`: less is said than is so.
    pub(super) fn record_durable(&mut self, mut pieces: Vec<Record>) -> io::Result<Option<&Journal>> {
        pieces.iter_mut().for_each(|record| record.durability = Durability::Durable);
        let Some(journal) = &mut self.journal else { return Ok(None) };
        journal.append(&pieces)?;
        Ok(Some(journal))
    }

    /// The system could not bring these to the disk: neither this node nor a later one may believe that they are there.
    pub(super) fn suspect(&mut self, pieces: &[Record]) {
        let pieces: Vec<PieceIndex> = pieces.iter().map(|record| record.piece).collect();
        self.suspect.extend(&pieces);
        self.record_doubtful(&pieces);
    }

    /// The system could not bring to the disk what was written since the last sync began.
    pub(super) fn suspect_unsynced(&mut self) {
        let unsynced = std::mem::take(&mut self.unsynced);
        self.suspect(&unsynced);
    }

    /// Any piece may have been written over.
    pub(super) fn suspect_all(&mut self) {
        self.suspect.extend((0..).map(PieceIndex).take(self.stored.len()));
    }

    /// Takes out the pieces that are to be read back.
    pub(super) fn take_suspects(&mut self) -> BTreeSet<PieceIndex> {
        std::mem::take(&mut self.suspect)
    }

    /// The file does not have these pieces: they are to be fetched again.
    pub(super) fn record_lost(&mut self, pieces: &[PieceIndex]) {
        for piece in pieces {
            self.stored.set(piece.0 as usize, false);
        }
        self.record_doubtful(pieces);
    }

    fn record_doubtful(&mut self, pieces: &[PieceIndex]) {
        let doubtful =
            |piece: &PieceIndex| Record { durability: Durability::Doubtful, piece: *piece, value: [0; 32] };
        let records: Vec<Record> = pieces.iter().map(doubtful).collect();
        // Without a journal nobody would believe that the pieces are there.
        if self.journal.as_mut().is_some_and(|journal| journal.append(&records).is_err()) {
            self.forget_journal();
        }
    }

    /// Makes that nothing which the journal says is believed.
    pub(super) fn forget_journal(&mut self) {
        if self.journal.as_mut().is_some_and(|journal| journal.start_over().is_err()) {
            // None says less than one that is believed; but then nobody knows any more whose the part file is.
            self.remove_journal();
        }
    }

    /// Removes the journal, if there is one.
    pub(super) fn remove_journal(&mut self) {
        if let Some(journal) = self.journal.take() {
            journal.remove();
        }
    }

    /// The file has its name, or was given up for good: the journal is removed.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
        self.remove_journal();
    }

    /// A write of this node begins, when the file was last written to at `now`. Whether somebody else has written to
    /// it.
    pub(super) fn begin_write(&mut self, now: SystemTime) -> bool {
        let others = self.detect_other_writers(now);
        self.writes += 1;
        others
    }

    /// A write of this node is over, and the file was last written to at `now`.
    pub(super) fn end_write(&mut self, now: SystemTime) {
        self.written_at = self.written_at.max(now);
        self.writes -= 1;
    }

    /// Between writes of this node the file's time stands still, or somebody else writes too: then everything is
    /// suspect. Whether that is so.
    pub(super) fn detect_other_writers(&mut self, now: SystemTime) -> bool {
        let others = self.writes == 0 && now > self.written_at;
        if others {
            self.written_at = now;
            self.suspect_all();
        }
        others
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PIECE: u64 = 256 << 10;

    fn ledger(have: &[PieceIndex]) -> Ledger {
        let layout = Layout::of(3 * PIECE).expect("a short content");
        Ledger::new(layout, None, have, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn a_piece_counts_once_until_it_is_lost() {
        let mut ledger = ledger(&[PieceIndex(1)]);
        for _ in 0..2 {
            ledger.record_stored(PieceIndex(0), [0; 32], PIECE).expect("no journal fails");
        }
        assert_eq!((ledger.stored_bytes(), ledger.has_all()), (2 * PIECE, false));
        ledger.record_stored(PieceIndex(2), [2; 32], PIECE).expect("no journal fails");
        assert!(ledger.has_all());
        ledger.record_lost(&[PieceIndex(1)]);
        assert!(!ledger.has_all());
    }

    #[test]
    fn a_file_that_somebody_else_wrote_to_is_suspect_as_a_whole() {
        let (mut ledger, at) = (ledger(&[]), |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert!(
            !ledger.begin_write(at(0)) && !ledger.begin_write(at(5)),
            "the first may have moved the time"
        );
        ledger.end_write(at(6));
        ledger.end_write(at(5));
        assert!(!ledger.detect_other_writers(at(6)) && ledger.take_suspects().is_empty());
        assert!(ledger.detect_other_writers(at(7)) && !ledger.detect_other_writers(at(7)), "said once");
        ledger.record_stored(PieceIndex(0), [0; 32], PIECE).expect("no journal fails");
        assert_eq!(
            ledger.take_suspects(),
            [PieceIndex(1), PieceIndex(2)].into(),
            "what is stored again is not"
        );
    }
}
