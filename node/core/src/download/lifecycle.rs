//! The stage of a download, and what is known from each stage on.
//!
//! ```text
//!   Locating ──content known──▶ FetchingOutboard ──▶ CheckingOutboard ──good──▶ Opening ──part file──▶ Fetching
//!      │ NEED                     │       ▲───────── bad ──────╯                  │ disk                │ all stored
//!      ▼                          ▼                                               ▼                     ▼
//!     Over                      Over                           Over, or it was there already    Finishing ──▶ Over
//! ```
//!
//! Each move between stages is a method here. A move sends no message and no event: the caller does that.

use std::sync::Arc;

use messages::node_to_node::ByteRange;
use messages::{ChunkHeader, ContentId, FileMetadata, Name, Outboard, PieceRun, Timestamp};

use super::assembly::Assembly;
use super::head_start::HeadStart;
use super::outboard_fetch::OutboardSources;
use super::pieces::Pieces;
use super::session::Session;
use crate::context::Context;
use crate::ids::{BufferId, SessionKey};
use crate::local_content::LocalContent;
use crate::output::Placement;
use crate::status::Holders;

/// A content that this node fetches and whose verified pieces it can serve meanwhile.
#[derive(Debug)]
pub(crate) struct PartialReady {
    pub(crate) content: LocalContent,
    /// The pieces that were on the disk before the download began.
    pub(crate) have: Vec<PieceRun>,
}

/// The content that is fetched, once the tracker has named it.
#[derive(Clone, Debug)]
pub(super) struct Identified {
    pub(super) content: ContentId,
    pub(super) name: Name,
    /// The length in bytes: first as the tracker names it, later as the outboard does.
    pub(super) length: u64,
    /// The number of nodes that have the content, according to the tracker's last answer.
    pub(super) holders: Holders,
}

/// The stages of a download whose content is known.
#[derive(Debug)]
pub(super) enum Stage {
    /// The owners send the outboard.
    FetchingOutboard(OutboardSources),
    /// A worker checks what this session's owner has sent: the outboard, or the only piece of the content.
    CheckingOutboard { from: SessionKey, sent: Assembly },
    /// The disk creates the part file.
    Opening {
        outboard: Arc<Outboard>,
        /// The only piece of the content, when it has arrived already.
        piece: Option<Assembly>,
        /// Whether this node already serves the content from another file.
        is_served_here: bool,
    },
    /// Pieces are fetched.
    Fetching(Box<Pieces>),
    /// The disk checks the whole file and renames it.
    Finishing(Box<Pieces>),
}

/// How a download ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// The download ended without its file.
    Failed,
    /// The file is complete; the outboard describes it, and this is what is told of it.
    Completed(Arc<Outboard>, FileMetadata),
    /// What was wanted of a folder is complete.
    Selected,
}

/// How far a download has come.
#[derive(Debug)]
pub(super) enum Progression {
    /// The tracker is asked for the content. Its first answer counts from `answer_counts_at` on: at once, or, from a
    /// tracker that has just started, when all nodes have registered with it.
    Locating { answer_counts_at: Option<Timestamp> },
    /// The content is known. The head start is a piece that may be begun before there are `Pieces`.
    Known { identified: Identified, stage: Stage, head_start: HeadStart },
    /// The download is over, and the event for it was given out.
    Over { identified: Option<Identified>, ending: Ending },
}

/// What a download that ends leaves behind.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// The buffers in which nothing will be put any more.
    pub(super) buffers: Vec<BufferId>,
    /// Whether the disk has a part file, or is about to make one.
    pub(super) has_part_file: bool,
}

/// The stage of a download, and whether the stage has changed since the last turn of the download as a whole.
#[derive(Debug)]
pub(super) struct Lifecycle {
    state: Progression,
    is_changed: bool,
}

impl Lifecycle {
    /// The lifecycle of a new download, about whose content nothing is known yet.
    pub(super) fn new() -> Lifecycle {
        Lifecycle { state: Progression::Locating { answer_counts_at: None }, is_changed: false }
    }

    /// How far the download has come.
    pub(super) fn state(&self) -> &Progression {
        &self.state
    }

    /// Whether a move was made, or something happened within a stage, for which all sessions must be looked at.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
            || match &self.state {
                Progression::Known { stage: Stage::FetchingOutboard(sources), .. } => sources.is_changed(),
                Progression::Known { stage: Stage::Fetching(pieces), .. } => pieces.is_changed(),
                _ => false,
            }
    }

    /// Forgets what has changed, because all sessions are looked at now.
    pub(super) fn forget_changes(&mut self) {
        self.is_changed = false;
        match &mut self.state {
            Progression::Known { stage: Stage::FetchingOutboard(sources), .. } => sources.forget_changes(),
            Progression::Known { stage: Stage::Fetching(pieces), .. } => pieces.forget_changes(),
            _ => {}
        }
    }

    /// The content that is fetched, once it is known.
    pub(super) fn identified(&self) -> Option<&Identified> {
        match &self.state {
            Progression::Locating { .. } => None,
            Progression::Known { identified, .. } => Some(identified),
            Progression::Over { identified, .. } => identified.as_ref(),
        }
    }

    /// The stage, while the content is known and the download is not over.
    pub(super) fn stage(&self) -> Option<&Stage> {
        match &self.state {
            Progression::Known { stage, .. } => Some(stage),
            Progression::Locating { .. } | Progression::Over { .. } => None,
        }
    }

    fn stage_mut(&mut self) -> Option<&mut Stage> {
        match &mut self.state {
            Progression::Known { stage, .. } => Some(stage),
            Progression::Locating { .. } | Progression::Over { .. } => None,
        }
    }

    /// The pieces, while they are fetched.
    pub(super) fn pieces(&self) -> Option<&Pieces> {
        match self.stage() {
            Some(Stage::Fetching(pieces)) => Some(pieces),
            _ => None,
        }
    }

    /// The pieces, while they are fetched.
    pub(super) fn pieces_mut(&mut self) -> Option<&mut Pieces> {
        match self.stage_mut() {
            Some(Stage::Fetching(pieces)) => Some(pieces),
            _ => None,
        }
    }

    /// The pieces, from when the fetching of pieces begins until the file has its name.
    pub(super) fn stored_pieces(&self) -> Option<&Pieces> {
        match self.stage() {
            Some(Stage::Fetching(pieces) | Stage::Finishing(pieces)) => Some(pieces),
            _ => None,
        }
    }

    /// Takes out what a worker has checked, with the session that sent it. The outboard is fetched again, unless the
    /// caller opens the part file.
    pub(super) fn take_checked(&mut self) -> Option<(SessionKey, Assembly)> {
        let Some(stage @ Stage::CheckingOutboard { .. }) = self.stage_mut() else { return None };
        let again = Stage::FetchingOutboard(OutboardSources::default());
        let Stage::CheckingOutboard { from, sent } = std::mem::replace(stage, again) else {
            unreachable!("the stage was looked at just now");
        };
        self.is_changed = true;
        Some((from, sent))
    }

    /// Takes out the only piece of the content that is being opened, when it has arrived already.
    pub(super) fn take_opened_piece(&mut self) -> Option<Assembly> {
        match self.stage_mut() {
            Some(Stage::Opening { piece, .. }) => piece.take(),
            _ => None,
        }
    }

    /// The piece that may be begun before there are `Pieces`, while the content is known.
    pub(super) fn head_start_mut(&mut self) -> Option<&mut HeadStart> {
        match &mut self.state {
            Progression::Known { head_start, .. } => Some(head_start),
            Progression::Locating { .. } | Progression::Over { .. } => None,
        }
    }

    /// The owners that send the outboard, while it is fetched.
    pub(super) fn sources(&self) -> Option<&OutboardSources> {
        match self.stage() {
            Some(Stage::FetchingOutboard(sources)) => Some(sources),
            _ => None,
        }
    }

    /// The owners that send the outboard, while it is fetched.
    pub(super) fn sources_mut(&mut self) -> Option<&mut OutboardSources> {
        match self.stage_mut() {
            Some(Stage::FetchingOutboard(sources)) => Some(sources),
            _ => None,
        }
    }

    /// The next range, of at most `most` bytes, for which `session` is to be asked.
    pub(super) fn next_range(
        &mut self,
        session: &Session,
        most: u32,
        cx: &mut Context<'_>,
    ) -> Option<ByteRange> {
        let Progression::Known { identified, stage, head_start } = &mut self.state else { return None };
        match stage {
            Stage::FetchingOutboard(sources) => sources.next_range(session, most).or_else(|| {
                if sources.has_outboard_of(session.key()) {
                    head_start.begin(session, identified.length, cx);
                }
                head_start.next_range(session, most)
            }),
            Stage::CheckingOutboard { .. } | Stage::Opening { .. } => head_start.next_range(session, most),
            Stage::Fetching(pieces) => {
                pieces.next_range(session, most, cx).or_else(|| pieces.next_repeat(session, most, cx))
            }
            Stage::Finishing(_) => None,
        }
    }

    /// Accepts the payload of a CHUNK from `session`, which has `length` bytes. Returns where they belong, if they are
    /// wanted.
    pub(super) fn place(
        &mut self,
        session: &Session,
        header: &ChunkHeader,
        length: u32,
    ) -> Option<Placement> {
        let Progression::Known { stage, head_start, .. } = &mut self.state else { return None };
        let key = session.key();
        match stage {
            Stage::FetchingOutboard(sources) => {
                head_start.place(key, header, length).or_else(|| sources.place(key, header, length))
            }
            Stage::CheckingOutboard { .. } | Stage::Opening { .. } => head_start.place(key, header, length),
            Stage::Fetching(pieces) => pieces.place(session, header.piece, header.offset, length),
            Stage::Finishing(_) => None,
        }
    }

    /// The outboard of the finished file, and what is told of it, if the download ended with one.
    pub(super) fn completed(&self) -> Option<(&Arc<Outboard>, FileMetadata)> {
        match &self.state {
            Progression::Over { ending: Ending::Completed(outboard, file), .. } => Some((outboard, *file)),
            _ => None,
        }
    }

    /// Whether the download is over.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, Progression::Over { .. })
    }

    /// Whether owners are of use: the content, its outboard or pieces are not here yet.
    pub(super) fn wants_owners(&self) -> bool {
        match &self.state {
            Progression::Locating { .. } => true,
            Progression::Known { stage, .. } => !matches!(stage, Stage::Opening { .. } | Stage::Finishing(_)),
            Progression::Over { .. } => false,
        }
    }

    /// Records that the tracker has answered. Its answer counts from `at` on, if it is the first.
    pub(super) fn on_tracker_answer(&mut self, at: Timestamp) {
        if let Progression::Locating { answer_counts_at } = &mut self.state {
            answer_counts_at.get_or_insert(at);
        }
    }

    /// Records how many nodes have the content, according to the tracker's newest answer.
    pub(super) fn update_holders(&mut self, holders: Holders) {
        if let Progression::Known { identified, .. } = &mut self.state {
            identified.holders = holders;
        }
    }

    /// Moves on to fetching the outboard, since the content is known.
    pub(super) fn identify(&mut self, identified: Identified) {
        assert!(matches!(self.state, Progression::Locating { .. }), "a content is chosen once");
        let stage = Stage::FetchingOutboard(OutboardSources::default());
        let head_start = HeadStart::default();
        (self.state, self.is_changed) = (Progression::Known { identified, stage, head_start }, true);
    }

    /// Moves on to checking what the owner of session `from` has sent: the outboard, or the only piece.
    pub(super) fn check_outboard(&mut self, from: SessionKey, sent: Assembly) {
        self.go_on_to(Stage::CheckingOutboard { from, sent });
    }

    /// Moves on to opening the part file. The outboard is from an owner, or this node serves the content already. `piece`:
    /// the only piece, when it has arrived already.
    pub(super) fn open(&mut self, outboard: Arc<Outboard>, piece: Option<Assembly>, is_served_here: bool) {
        let length = outboard.layout().length();
        self.go_on_to(Stage::Opening { outboard, piece, is_served_here });
        if let Progression::Known { identified, .. } = &mut self.state {
            identified.length = length;
        }
    }

    /// Begins to fetch `pieces`: the part file is open.
    pub(super) fn fetch(&mut self, pieces: Pieces) {
        self.go_on_to(Stage::Fetching(Box::new(pieces)));
    }

    /// Moves on to the last stage, in which the whole file is checked and renamed, if every piece is stored. Returns
    /// whether that was so.
    pub(super) fn finish_if_complete(&mut self) -> bool {
        let Progression::Known { stage, .. } = &mut self.state else {
            return false;
        };
        if !matches!(stage, Stage::Fetching(pieces) if pieces.is_complete()) {
            return false;
        }
        // The placeholder is replaced before anybody can see it.
        let before = std::mem::replace(stage, Stage::FetchingOutboard(OutboardSources::default()));
        if let Stage::Fetching(pieces) = before {
            *stage = Stage::Finishing(pieces);
        }
        self.is_changed = true;
        true
    }

    /// Ends the download with `ending`. Returns what the download leaves behind.
    pub(super) fn end(&mut self, ending: Ending) -> Leftovers {
        self.is_changed = true;
        let over = Progression::Over { identified: self.identified().cloned(), ending };
        let Progression::Known { stage, mut head_start, .. } = std::mem::replace(&mut self.state, over)
        else {
            return Leftovers::default();
        };
        let mut left = Leftovers::of(stage);
        left.buffers.extend(head_start.take().map(|assembly| assembly.buffer()));
        left
    }

    fn go_on_to(&mut self, next: Stage) {
        let Progression::Known { stage, .. } = &mut self.state else {
            unreachable!("a stage follows a stage: its caller has just looked at the one before");
        };
        (*stage, self.is_changed) = (next, true);
    }
}

impl Leftovers {
    /// What a download leaves behind that ends in `stage`.
    fn of(stage: Stage) -> Leftovers {
        match stage {
            Stage::FetchingOutboard(sources) => Leftovers {
                buffers: sources.into_assemblies().map(|assembly| assembly.buffer()).collect(),
                has_part_file: false,
            },
            // A worker holds the buffer and returns it.
            Stage::CheckingOutboard { .. } => Leftovers::default(),
            Stage::Fetching(mut pieces) => Leftovers { buffers: pieces.abandon(), has_part_file: true },
            Stage::Opening { piece, .. } => {
                let buffers = piece.iter().map(Assembly::buffer).collect();
                Leftovers { buffers, has_part_file: true }
            }
            Stage::Finishing(_) => Leftovers { buffers: Vec::new(), has_part_file: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use messages::PieceIndex;

    use super::*;

    fn identified() -> Identified {
        let (content, name) = (ContentId::from_bytes([7; 32]), Name::new("a").expect("a name"));
        Identified { content, name, length: 9, holders: Holders { complete: 1, partial: 0 } }
    }

    #[test]
    fn each_move_is_a_change_until_it_is_looked_at_and_a_failure_keeps_the_identity() {
        let mut lifecycle = Lifecycle::new();
        lifecycle.on_tracker_answer(Timestamp::ZERO);
        assert!(!lifecycle.is_changed() && lifecycle.wants_owners() && lifecycle.identified().is_none());
        lifecycle.identify(identified());
        assert!(lifecycle.is_changed() && lifecycle.sources().is_some_and(OutboardSources::is_empty));
        lifecycle.forget_changes();
        let (piece, from) = (PieceIndex::OUTBOARD, SessionKey(3));
        lifecycle.check_outboard(from, Assembly::new(piece, 9, BufferId(1), from));
        assert!(lifecycle.is_changed() && lifecycle.wants_owners() && lifecycle.sources().is_none());
        assert!(lifecycle.take_checked().is_some_and(|(of, _)| of == from));
        assert!(lifecycle.sources().is_some(), "the outboard is fetched again");
        assert!(!lifecycle.finish_if_complete(), "there are no pieces yet");
        let left = lifecycle.end(Ending::Failed);
        assert!(left.buffers.is_empty() && !left.has_part_file);
        assert!(lifecycle.is_over() && !lifecycle.wants_owners());
        assert_eq!(lifecycle.identified().map(|known| known.length), Some(9));
    }
}
