//! A content that is served: all of it, the pieces that a download has stored so far, or those that are left of it.

use std::ops::Range;
use std::sync::Arc;

use config::UploadSettings;
use fixedbitset::FixedBitSet;
use messages::node_to_node::{Bitfield, Have};
use messages::{
    Bits, ContentId, Conversation, FileMetadata, Host, Name, Outboard, PieceIndex, PieceRun, Timestamp,
};

use super::have_batch::HaveBatch;
use super::session_table::SessionTable;
use super::slot_limits::partial_session_count;
use super::slots::UploadSlots;
use super::super_seed::SuperSeed;
use crate::event::SessionEnd;

/// A content that is served.
#[derive(Debug)]
pub(crate) struct ServedContent {
    pub(crate) content: ContentId,
    pub(crate) name: Name,
    pub(crate) outboard: Arc<Outboard>,
    /// What is told of the file while all of it is here, if the content is one file.
    pub(super) file: FileMetadata,
    /// The bytes of the outboard, which are served as well.
    pub(super) encoded_outboard: Arc<[u8]>,
    /// The number of bytes of the content that were sent.
    pub(crate) sent: u64,
    /// The pieces that are here.
    have: Having,
    /// The pieces that are new here and were not announced yet.
    news: HaveBatch,
    pub(super) slots: UploadSlots,
    /// The sessions that fetch the content.
    pub(super) sessions: SessionTable,
    pub(super) super_seed: SuperSeed,
    /// When the slots are allocated anew under tit-for-tat.
    pub(super) rechoke_at: Timestamp,
}

/// Which pieces of a content are here.
#[derive(Debug)]
enum Having {
    All,
    /// Those that a download has stored so far.
    SoFar(FixedBitSet),
    /// All but those that were lost, because the files that had them have changed.
    Left(FixedBitSet),
}

impl Having {
    /// The pieces, if it is not all.
    fn pieces(&self) -> Option<&FixedBitSet> {
        match self {
            Having::All => None,
            Having::SoFar(pieces) | Having::Left(pieces) => Some(pieces),
        }
    }
}

impl ServedContent {
    /// A served content of which all is here, with what is told of its file; `outboard` describes it.
    pub(super) fn whole(
        (content, file): (ContentId, FileMetadata),
        name: Name,
        outboard: Arc<Outboard>,
    ) -> ServedContent {
        let (encoded_outboard, pieces) = (outboard.encode().into(), outboard.layout().pieces());
        ServedContent {
            content,
            name,
            outboard,
            file,
            encoded_outboard,
            sent: 0,
            have: Having::All,
            news: HaveBatch::default(),
            slots: UploadSlots::default(),
            sessions: SessionTable::default(),
            super_seed: SuperSeed::new(pieces),
            rechoke_at: Timestamp::NEVER,
        }
    }

    /// A served content of which the pieces in `have` are here; `outboard` describes it.
    pub(super) fn part(
        content: ContentId,
        name: Name,
        outboard: Arc<Outboard>,
        have: &[PieceRun],
    ) -> ServedContent {
        let pieces = outboard.layout().pieces();
        let mut bits = FixedBitSet::with_capacity(pieces as usize);
        for run in have {
            bits.insert_range(run.start().0.min(pieces) as usize..run.end().0.min(pieces) as usize);
        }
        ServedContent {
            have: Having::SoFar(bits),
            ..ServedContent::whole((content, FileMetadata::default()), name, outboard)
        }
    }

    /// Whether the whole content is here.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.have, Having::All)
    }

    /// Whether a download adds pieces to it.
    pub(super) fn is_growing(&self) -> bool {
        matches!(self.have, Having::SoFar(_))
    }

    /// Whether pieces that were here have been lost.
    pub(super) fn has_losses(&self) -> bool {
        matches!(self.have, Having::Left(_))
    }

    /// Records that the pieces in `lost` are not here any more, nor will be.
    pub(super) fn lose(&mut self, lost: &[PieceRun]) {
        let count = self.outboard.layout().pieces() as usize;
        let mut left = self.have.pieces().cloned().unwrap_or_else(|| {
            let mut all = FixedBitSet::with_capacity(count);
            all.insert_range(..);
            all
        });
        for run in lost {
            left.remove_range((run.start().0 as usize).min(count)..(run.end().0 as usize).min(count));
        }
        self.have = Having::Left(left);
    }

    /// The number of pieces that are here.
    pub(crate) fn pieces(&self) -> u32 {
        self.have.pieces().map_or(self.outboard.layout().pieces(), |have| have.count_ones(..) as u32)
    }

    /// The share of the pieces that are here, in thousandths.
    pub(crate) fn permille(&self) -> u16 {
        let all = self.outboard.layout().pieces();
        if self.is_whole() { 1000 } else { (u64::from(self.pieces()) * 1000 / u64::from(all.max(1))) as u16 }
    }

    /// Whether `piece`, or the outboard, is here.
    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        let is_here = |have: &FixedBitSet| piece == PieceIndex::OUTBOARD || have.contains(piece.0 as usize);
        self.have.pieces().is_none_or(is_here)
    }

    /// Records that `piece` is here now.
    pub(super) fn add(&mut self, piece: PieceIndex, now: Timestamp) {
        let Having::SoFar(have) = &mut self.have else {
            panic!("only a content that is being fetched gets pieces");
        };
        assert!((piece.0 as usize) < have.len(), "a download stores only pieces that its outboard has");
        if !have.put(piece.0 as usize) {
            self.news.add(piece, now);
        }
    }

    /// Records that the whole content is here now, and what is told of its file. The last pieces are announced to sessions like the others.
    pub(super) fn complete(&mut self, file: FileMetadata) {
        self.file = file;
        self.have = Having::All;
    }

    /// Records that a session begins to fetch the content.
    pub(super) fn on_session_opened(&mut self, session: Conversation, host: Host, now: Timestamp) {
        self.sessions.open(session, host, now);
    }

    /// Records that a session that fetched the content has ended.
    pub(super) fn on_session_ended(&mut self, session: Conversation, why: SessionEnd) {
        self.slots.release(session);
        self.sessions.close(session);
        match why {
            SessionEnd::Done => self.super_seed.on_done(session),
            _ => self.super_seed.on_left(session),
        }
    }

    /// Whether sessions are pointed at pieces: the whole content is here, and some pieces were given to nobody.
    pub(super) fn gives_hints(&self) -> bool {
        self.is_whole() && self.super_seed.has_fresh()
    }

    /// Whether the whole content is here, every piece was given, and the pieces that are under way to their first
    /// takers go before everything else.
    pub(super) fn is_finishing_super_seed(&self, now: Timestamp) -> bool {
        self.is_whole() && self.super_seed.finish_deadline().is_some_and(|until| now < until)
    }

    /// The largest number of sessions while only a part of the content is here. Beyond that number, downloaders are
    /// better served by other nodes that have some of it.
    pub(super) fn max_sessions(&self, upload: &UploadSettings) -> Option<usize> {
        (!self.is_whole()).then(|| partial_session_count(upload))
    }

    /// When there are pieces to announce, or slots to give, next.
    pub(super) fn next_due(&self, now: Timestamp) -> Timestamp {
        let finishes = self.super_seed.finish_deadline().filter(|_| self.is_finishing_super_seed(now));
        let gives = match finishes {
            _ if !self.slots.has_waiting() => Timestamp::NEVER,
            Some(until) => until,
            None => self.rechoke_at.min(self.slots.next_due()),
        };
        self.news.due().min(gives)
    }

    /// Which of `pieces` are here.
    pub(super) fn bitfield(&self, pieces: &Range<PieceIndex>) -> Bitfield {
        let count = pieces.end.0 - pieces.start.0;
        Bitfield { bits: Bits::of(pieces.start, count, |piece| self.has(piece)) }
    }

    /// The announcements of new pieces that are due by `now`, as messages for every session.
    pub(super) fn poll_news(&mut self, now: Timestamp) -> Vec<Have> {
        self.news.poll(now)
    }
}
