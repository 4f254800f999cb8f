//! Where in a tracker's list a page ends, and the next begins.

use std::cmp::{Ordering, Reverse};

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// The place of one content in the order of a search. Nothing is kept between two pages: who asks for the next says
/// where it was.
///
/// Cursors are ordered like the list is. What their fields mean is the tracker's own business; a node sends back what
/// it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which part of the list: names that many hosts stand behind come before those of few.
    pub tier: u8,
    /// The content's name; a part is in the order of its names, bytewise.
    pub name: Name,
    /// How many hosts call it so; of one name the best supported comes first.
    pub hosts: u32,
    /// Its place among those with as many hosts: what a host called so first comes before what another called so
    /// second, and of two the earlier.
    pub number: u64,
}

/// What a page's end is, beside what its last content says. Only of a search it says anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageEnd {
    /// [`Cursor::tier`] of the last content.
    pub tier: u8,
    /// [`Cursor::number`] of the last content.
    pub number: u64,
}

impl PageEnd {
    /// Bytes of it on the wire.
    pub const WIRE_LENGTH: usize = 1 + 8;
}

impl Ord for Cursor {
    fn cmp(&self, other: &Cursor) -> Ordering {
        let place = |it: &Cursor| (Reverse(it.hosts), it.number);
        (self.tier.cmp(&other.tier))
            .then_with(|| self.name.cmp(&other.name))
            .then_with(|| place(self).cmp(&place(other)))
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Cursor) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_in_the_order_of_the_list() {
        let cursor = |tier, name: &str, hosts, number| Cursor {
            tier,
            name: Name::new(name).expect("a name"),
            hosts,
            number,
        };
        let list = [
            cursor(0, "b", 200, 7),
            cursor(3, "a", 20, 9),
            cursor(3, "a", 1, 2),
            cursor(3, "a", 1, 3),
            cursor(3, "c", 30, 1),
            cursor(7, "a", 1, 1),
        ];
        assert!(list.is_sorted(), "{list:?}");
    }
}
