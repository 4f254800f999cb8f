//! Where in a tracker's list a page ends, and the next begins.

use std::cmp::{Ordering, Reverse};

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// The place of one content in the order of a search. A tracker keeps nothing between two pages: a node that asks for
/// the next page says where the page before ended.
///
/// Cursors are ordered as the list is. Only the tracker knows what their fields mean; a node sends back the cursor that
/// it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which part of the list: names that many hosts stand behind come before those of few.
    pub tier: u8,
    /// The content's name; a part is in the order of its names, bytewise.
    pub name: Name,
    /// On how many hosts the content is called so. Of one name the content with the most hosts comes first.
    pub hosts: u32,
    /// The content's place among those with as many hosts. A content that a host called so first comes before one that
    /// a host called so second; of two such contents the one that the tracker heard of first.
    pub number: u64,
}

/// The fields of a cursor that the last content of a page does not show. They are used in answers to a search alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageEnd {
    /// [`Cursor::tier`] of the last content.
    pub tier: u8,
    /// [`Cursor::number`] of the last content.
    pub number: u64,
}

impl PageEnd {
    /// Bytes of a cursor on the wire.
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
