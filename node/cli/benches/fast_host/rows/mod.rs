//! The rows of the table: who runs in each, and what must come of it.

mod flood;
mod folders;
mod links;
mod sending;
mod small;
mod transfers;

use anyhow::Result;

use crate::options::Options;
use crate::stage::Stage;
use crate::table::Table;

/// Measures one row.
pub(crate) type Row = fn(&Stage, &Options, &mut Table) -> Result<()>;

/// All of them, in the order of the table.
pub(crate) const ROWS: [(&str, Row); 18] = [
    ("machine", transfers::machine),
    ("1to1", transfers::one_to_one),
    ("sealed", transfers::sealed),
    ("4to1", transfers::four_to_one),
    ("1to4", transfers::one_to_four),
    ("first", small::first_byte),
    ("files", small::many_files),
    ("shares", small::many_shares),
    ("flood", flood::flood),
    ("folder", folders::small_files),
    ("tree", folders::tree),
    ("update", folders::update),
    ("hoard", folders::hoard),
    ("send", sending::send),
    ("large", sending::large),
    ("veth", transfers::packets_of_real_size),
    ("hosts", transfers::equal_owners),
    ("links", links::links),
];
