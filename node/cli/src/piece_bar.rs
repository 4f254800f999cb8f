//! A file drawn as one line of cells: which parts one owner has brought, and which it is to bring.

use std::ops::Range;

use messages::{PieceIndex, PieceRun};

/// The cells of one owner.
#[derive(Clone, Debug)]
pub(crate) struct PieceBar {
    pieces: u32,
    /// Whether the owner has brought a piece that touches each cell.
    brought: Vec<bool>,
}

impl PieceBar {
    /// `width` cells for a file of `pieces` pieces, of which the owner has brought none.
    pub(crate) fn new(pieces: u32, width: usize) -> PieceBar {
        PieceBar { pieces, brought: vec![false; width] }
    }

    /// Notes that the owner has brought `piece`.
    pub(crate) fn on_piece(&mut self, piece: PieceIndex) {
        let cells = PieceRun::new(piece, 1).map_or(0..0, |run| self.cells(run));
        if let Some(cells) = self.brought.get_mut(cells) {
            cells.fill(true);
        }
    }

    /// Draws the cells: `█` has been brought, `░` is `assigned` to the owner, `·` is neither.
    pub(crate) fn draw(&self, assigned: Option<PieceRun>) -> String {
        let assigned = assigned.map_or(0..0, |run| self.cells(run));
        let cell = |(index, &brought): (usize, &bool)| match brought {
            true => '█',
            false if assigned.contains(&index) => '░',
            false => '·',
        };
        self.brought.iter().enumerate().map(cell).collect()
    }

    /// The cells that a run of pieces touches; none for an empty file.
    fn cells(&self, run: PieceRun) -> Range<usize> {
        let (start, end) = (run.start().0, run.end().0.min(self.pieces));
        if start >= end {
            return 0..0;
        }
        let (width, pieces) = (self.brought.len() as u64, u64::from(self.pieces));
        let from = u64::from(start) * width / pieces;
        let to = (u64::from(end) * width).div_ceil(pieces);
        from as usize..to as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(pieces: Range<u32>) -> Option<PieceRun> {
        PieceRun::between(PieceIndex(pieces.start), PieceIndex(pieces.end))
    }

    #[test]
    fn an_owners_range_is_seen_moving() {
        let mut bar = PieceBar::new(100, 10);
        assert_eq!(bar.draw(run(50..75)), "·····░░░··");
        (50..60).for_each(|piece| bar.on_piece(PieceIndex(piece)));
        assert_eq!(bar.draw(run(60..75)), "·····█░░··");
        assert_eq!(bar.draw(run(0..0)), "·····█····");
    }

    #[test]
    fn a_file_of_few_pieces_fills_the_line_too() {
        let mut bar = PieceBar::new(2, 10);
        bar.on_piece(PieceIndex(1));
        assert_eq!(bar.draw(run(0..1)), "░░░░░█████");
        assert_eq!(PieceBar::new(0, 3).draw(run(0..0)), "···");
    }

    proptest! {
        #[test]
        fn any_piece_fits_any_width(pieces in 0u32..5000, width in 0usize..100, piece: u32, pieces_of: Range<u32>) {
            let mut bar = PieceBar::new(pieces, width);
            bar.on_piece(PieceIndex(piece));
            prop_assert_eq!(bar.draw(run(pieces_of)).chars().count(), width);
        }
    }
}
