//! How the tracker is asked for what is wanted, which of its contents that is, and how long its not knowing means nothing.

use std::time::Duration;

use messages::node_to_tracker::Query;
use messages::tracker_to_node::{Listed, Owners};
use messages::{ContentId, Name, Prefix};

use crate::command::Wanted;

/// No tracker is young for longer: three heartbeats, and time to tell.
const LONGEST_YOUTH: Duration = Duration::from_secs(3 * 20 + 5);

/// Who has what is wanted?
pub(crate) fn ask_for(wanted: &Wanted) -> Query {
    match wanted {
        Wanted::Content(content) => Query::Content(*content),
        Wanted::Name(name, digits) => ask_by_name(name, digits),
        Wanted::Newest(name) => Query::Newest(name.clone()),
        Wanted::Digits(digits) => Query::Digits(digits.clone()),
    }
}

/// Whether `listed`, which the tracker named when it was asked for `wanted`, is what is wanted. The tracker lists a content under the name that most
/// of its owners use: which of them is wanted, ids tell.
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

/// Who has the content of that name whose id begins with the hexadecimal `digits`? Without digits: any of that name.
///
/// With digits the page of the name begins where that id would be, so that it is found among however many.
fn ask_by_name(name: &Name, digits: &str) -> Query {
    match (Prefix::new(name.as_str()), just_before(digits)) {
        (Ok(prefix), Some(before)) => Query::Search { prefix, after: Some((name.clone(), before)) },
        _ => Query::Name(name.clone()),
    }
}

/// How long what is unknown to the tracker may still turn up, because it has just begun.
pub(crate) fn may_still_come(owners: &Owners) -> Duration {
    match owners {
        Owners::Unknown { whole_in_ms } => Duration::from_millis((*whole_in_ms).into()).min(LONGEST_YOUTH),
        Owners::Content(_) | Owners::Contents(_) => Duration::ZERO,
    }
}

/// The id in front of the first one that begins with `digits`; of the very first there is none, and itself will do.
fn just_before(digits: &str) -> Option<ContentId> {
    if digits.is_empty() {
        return None;
    }
    let first: ContentId = format!("{digits:0<64}").parse().ok()?;
    let mut bytes = *first.as_bytes();
    for byte in bytes.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            return Some(ContentId::from_bytes(bytes));
        }
    }
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_s_beginning_is_looked_for_where_it_would_be() {
        let name = Name::new("a.iso").expect("a name");
        let after = |digits: &str| match ask_by_name(&name, digits) {
            Query::Search { prefix, after: Some((of, id)) } => {
                assert_eq!((prefix.as_str(), &of), ("a.iso", &name));
                id.to_string()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(after("abcd"), format!("abcc{}", "f".repeat(60)));
        assert_eq!(after("0001"), format!("0000{}", "f".repeat(60)));
        assert_eq!(after("0000"), "0".repeat(64));
        assert_eq!(after(&"a".repeat(64)), format!("{}9", "a".repeat(63)));
        assert_eq!(ask_by_name(&name, ""), Query::Name(name.clone()));
        assert_eq!(ask_by_name(&name, "no digits"), Query::Name(name.clone()));
    }

    #[test]
    fn no_tracker_is_young_for_ever() {
        assert_eq!(may_still_come(&Owners::Unknown { whole_in_ms: 0 }), Duration::ZERO);
        assert_eq!(may_still_come(&Owners::Unknown { whole_in_ms: 3000 }), Duration::from_secs(3));
        assert_eq!(may_still_come(&Owners::Unknown { whole_in_ms: u32::MAX }), LONGEST_YOUTH);
    }
}
