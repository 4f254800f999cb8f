//! A file drawn on one line: which parts of it one owner brought, and which it is bringing.

use std::ops::Range;

use messages::{PieceIndex, PieceRun};

/// The line for one owner.
#[derive(Clone, Debug)]
pub(crate) struct PieceBar {
    pieces: u32,
    /// Whether the owner brought a piece that lies in the cell.
    brought: Vec<bool>,
}

impl PieceBar {
    /// An empty line of `width` cells for a file of that many pieces.
    pub(crate) fn new(pieces: u32, width: usize) -> PieceBar {
        PieceBar { pieces, brought: vec![false; width] }
    }

    /// The owner brought `piece`.
    pub(crate) fn on_piece(&mut self, piece: PieceIndex) {
        let cells = PieceRun::new(piece, 1).map_or(0..0, |run| self.cells(run));
        if let Some(cells) = self.brought.get_mut(cells) {
            cells.fill(true);
        }
    }

    /// The line: `█` brought, `░` the pieces that it is to bring, `·` the rest.
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
        let mut map = PieceBar::new(100, 10);
        assert_eq!(map.draw(run(50..75)), "·····░░░··");
        (50..60).for_each(|piece| map.on_piece(PieceIndex(piece)));
        assert_eq!(map.draw(run(60..75)), "·····█░░··");
        assert_eq!(map.draw(run(0..0)), "·····█····");
    }

    #[test]
    fn a_file_of_few_pieces_fills_the_line_too() {
        let mut map = PieceBar::new(2, 10);
        map.on_piece(PieceIndex(1));
        assert_eq!(map.draw(run(0..1)), "░░░░░█████");
        assert_eq!(PieceBar::new(0, 3).draw(run(0..0)), "···");
    }

    proptest! {
        #[test]
        fn any_piece_fits_any_width(pieces in 0u32..5000, width in 0usize..100, piece: u32, pieces_of: Range<u32>) {
            let mut map = PieceBar::new(pieces, width);
            map.on_piece(PieceIndex(piece));
            prop_assert_eq!(map.draw(run(pieces_of)).chars().count(), width);
        }
    }
}
