//! How the tracker is asked for a wanted content, which of the contents that it lists is wanted, and for how long an
//! unknown content may still turn up.

use std::time::Duration;

use messages::node_to_tracker::Query;
use messages::tracker_to_node::{Listed, Owners};
use messages::{ContentId, Name};

use crate::command::Wanted;

/// A tracker that has just started knows all nodes after this long: three heartbeats, and the time of an announcement.
const MAX_YOUTH: Duration = Duration::from_secs(3 * 20 + 5);

/// The question to the tracker which nodes have the content that is `wanted`.
pub(crate) fn ask_for(wanted: &Wanted) -> Query {
    match wanted {
        Wanted::Content(content) => Query::Content(*content),
        Wanted::Name(name, digits) => ask_by_name(name, digits),
        Wanted::Newest(name) => Query::Newest(name.clone()),
        Wanted::Digits(digits) => Query::Digits(digits.clone()),
    }
}

/// Whether `listed`, which the tracker named when it was asked for `wanted`, is the wanted content. The tracker lists a
/// content under the name that most of its owners use, so ids tell which one is wanted.
pub(crate) fn fits(wanted: &Wanted, listed: &Listed) -> bool {
    match wanted {
        Wanted::Content(content) => listed.content == *content,
        Wanted::Name(name, digits) => {
            let is_named = digits.is_empty() || listed.name == *name;
            is_named && listed.content.to_string().starts_with(digits)
        }
        Wanted::Newest(_) | Wanted::Digits(_) => true,
    }
}

/// The question which nodes have the content of this name whose id begins with the hexadecimal `digits`, or any content
/// of this name if there are no digits.
///
/// With digits the page of the name begins where that id would be, so that the content is found among any number of
/// others.
fn ask_by_name(name: &Name, digits: &str) -> Query {
    let name = name.clone();
    match first_id(digits) {
        Some(from) => Query::NameFrom { name, from },
        None => Query::Name(name),
    }
}

/// For how long an unknown content may still turn up, because the tracker has just started.
pub(crate) fn may_still_come(owners: &Owners) -> Duration {
    match owners {
        Owners::Unknown { whole_in_ms } => Duration::from_millis((*whole_in_ms).into()).min(MAX_YOUTH),
        Owners::Content(_) | Owners::Contents(_) => Duration::ZERO,
    }
}

/// The first id that begins with `digits`; `None` if these are empty or not hexadecimal.
fn first_id(digits: &str) -> Option<ContentId> {
    (!digits.is_empty()).then(|| format!("{digits:0<64}").parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_is_looked_for_where_the_id_would_be() {
        let name = Name::new("a.iso").expect("a name");
        let from = |digits: &str| match ask_by_name(&name, digits) {
            Query::NameFrom { name: of, from } => {
                assert_eq!(of, name);
                from.to_string()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(from("abcd"), format!("abcd{}", "0".repeat(60)));
        assert_eq!(from("0000"), "0".repeat(64));
        assert_eq!(from(&"a".repeat(64)), "a".repeat(64));
        assert_eq!(ask_by_name(&name, ""), Query::Name(name.clone()));
        assert_eq!(ask_by_name(&name, "no digits"), Query::Name(name.clone()));
    }

    #[test]
    fn no_tracker_is_young_for_ever() {
        assert_eq!(may_still_come(&Owners::Unknown { whole_in_ms: 0 }), Duration::ZERO);
        assert_eq!(may_still_come(&Owners::Unknown { whole_in_ms: 3000 }), Duration::from_secs(3));
        assert_eq!(may_still_come(&Owners::Unknown { whole_in_ms: u32::MAX }), MAX_YOUTH);
    }
}
