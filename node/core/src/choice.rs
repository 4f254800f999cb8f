//! Which of the contents that the tracker lists is taken for what a person has typed. Anybody can give anything any
//! name: a name is what hosts claim. One host, or a person with a few, must neither decide for others nor stand in
//! their way.

use messages::tracker_to_node::Listed;

use crate::command::Wanted;
use crate::query::fits;

/// A content is taken before another of its name only when at least this many times as many hosts use the name for it.
const MIN_RATIO: u64 = 2;
/// A content is taken before others of its name only when at least this many hosts use the name for it.
const MIN_HOSTS: u32 = 3;
/// Instead of [`MIN_HOSTS`], this many hosts are enough for the content that was the first with the name.
const MIN_FIRST_HOSTS: u32 = 2;

/// The choice among the contents that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// No content fits.
    Nothing,
    /// This content is meant, because no other fits.
    Only(&'a Listed),
    /// The first content is taken. The others fit as well, and the person is told of them.
    Before(&'a Listed, Vec<&'a Listed>),
    /// A person has to choose among these contents.
    Unclear(Vec<&'a Listed>),
}

/// Chooses the content that is `wanted` among `found`, which the tracker has named when it was asked for it.
///
/// Of several contents of one name, the one that [`favourite`] returns is taken; with [`Wanted::Newest`] it is the
/// first, whatever the others are. Of ids that begin alike none is taken before another: a person who types digits
/// wants exactly that content, and more digits tell it from any other.
#[must_use]
pub fn choose<'a>(wanted: &Wanted, found: &'a [Listed]) -> Choice<'a> {
    let mut fitting: Vec<&Listed> = found.iter().filter(|listed| fits(wanted, listed)).collect();
    let taken = match (wanted, fitting.as_slice()) {
        (_, []) => return Choice::Nothing,
        (_, [only]) => return Choice::Only(only),
        (Wanted::Newest(_), _) => Some(0),
        (Wanted::Name(_, digits), fitting) if digits.is_empty() => favourite(fitting),
        (Wanted::Name(..) | Wanted::Digits(_) | Wanted::Content(_), _) => None,
    };
    match taken {
        Some(taken) => Choice::Before(fitting.remove(taken), fitting),
        None => Choice::Unclear(fitting),
    }
}

/// The index of the content that is clearly meant by the name of all `contents`, if there is one: at least twice as
/// many hosts use the name for it as for any other, and at least three hosts do, or two that were the first. The number
/// of hosts that claim to have all of it does not count, because that is claimed as easily as the name.
#[must_use]
pub fn favourite(contents: &[&Listed]) -> Option<usize> {
    let (best, content) = contents.iter().enumerate().max_by_key(|(_, listed)| listed.hosts)?;
    let mut others = contents.iter().enumerate().filter(|(index, _)| *index != best).map(|(_, other)| other);
    let is_clear = others.all(|other| {
        let is_first = content.age_s > other.age_s;
        let enough = if is_first { MIN_FIRST_HOSTS } else { MIN_HOSTS };
        content.hosts >= enough && u64::from(content.hosts) >= MIN_RATIO * u64::from(other.hosts)
    });
    is_clear.then_some(best)
}

#[cfg(test)]
mod tests {
    use messages::{ContentId, Digits, Name};
    use proptest::prelude::*;

    use super::*;

    fn listed(number: u8, hosts: u32, age_s: u32) -> Listed {
        let (content, name) = (ContentId::from_bytes([number; 32]), Name::new("film").expect("a name"));
        Listed { content, length: 1, complete: hosts, partial: 0, hosts, age_s, name }
    }

    fn wanted() -> Wanted {
        Wanted::Name(Name::new("film").expect("a name"), String::new())
    }

    /// The index of the content that is taken, of contents with these numbers of hosts and ages.
    fn taken(contents: &[(u32, u32)]) -> Option<usize> {
        let listed: Vec<Listed> = contents.iter().map(|&(hosts, age)| listed(7, hosts, age)).collect();
        favourite(&listed.iter().collect::<Vec<_>>())
    }

    #[test]
    fn the_content_that_clearly_more_hosts_stand_behind_is_taken() {
        type Row<'a> = (&'a [(u32, u32)], Option<usize>);
        let table: &[Row<'_>] = &[
            (&[(3, 5), (1, 900)], Some(0)),
            (&[(1, 900), (3, 5)], Some(1)),
            (&[(2, 900), (1, 5)], Some(0)),
            // Two hosts are easily found, so they must have been the first.
            (&[(2, 5), (1, 900)], None),
            (&[(2, 5), (1, 5)], None),
            (&[(2, 900), (1, 5), (1, 901)], None),
            // One host against one decides nothing, whichever was first.
            (&[(1, 900), (1, 5)], None),
            (&[(5, 900), (3, 5)], None),
            (&[(6, 5), (3, 900)], Some(0)),
            (&[(5, 9), (5, 9)], None),
            (&[(500, 9), (1, 900), (250, 1)], Some(0)),
            (&[(u32::MAX, 9), (u32::MAX, 900)], None),
            (&[], None),
        ];
        for (contents, expected) in table {
            assert_eq!(taken(contents), *expected, "{contents:?}");
        }
    }

    #[test]
    fn the_newest_is_taken_when_asked_for_and_the_beginning_of_an_id_is_never_a_vote() {
        let contents = [listed(1, 1, 1), listed(2, 50, 900)];
        let [new, old] = &contents;
        let newest = Wanted::Newest(Name::new("film").expect("a name"));
        assert_eq!(choose(&newest, &contents), Choice::Before(new, vec![old]));
        assert_eq!(choose(&wanted(), &contents), Choice::Before(old, vec![new]));
        assert_eq!(choose(&wanted(), &contents[..1]), Choice::Only(new));
        assert_eq!(choose(&wanted(), &[]), Choice::Nothing);
        assert_eq!(choose(&Wanted::Content(old.content), &contents), Choice::Only(old));
        let alike = [Listed { content: new.content, ..old.clone() }, new.clone()];
        let digits = Wanted::Digits(Digits::new("01010101").expect("digits"));
        for wanted in [digits, Wanted::Name(new.name.clone(), "0101".to_owned())] {
            assert_eq!(choose(&wanted, &alike), Choice::Unclear(alike.iter().collect()));
        }
    }

    proptest! {
        /// One host alone neither decides anything nor stops anybody, however many contents it names.
        #[test]
        fn one_host_alone_changes_nothing(
            mut contents in prop::collection::vec((2..9_u32, 0..9_u32), 1..5),
            ages in prop::collection::vec(0..9_u32, 1..600),
        ) {
            let before = taken(&contents);
            let hosts = |index: usize| contents[index].0;
            let stays = before.filter(|&index| hosts(index) >= MIN_HOSTS);
            contents.extend(ages.iter().map(|&age| (1, age)));
            let after = taken(&contents);
            prop_assert!(after.is_none_or(|after| Some(after) == before));
            if stays.is_some() {
                prop_assert_eq!(after, stays);
            }
        }

        #[test]
        fn what_is_taken_has_most_hosts_whatever_the_order(
            contents in prop::collection::vec((1..9_u32, 0..9_u32), 2..6),
            turn in 0..6_usize,
            more in 0..5_u32,
        ) {
            let found = taken(&contents);
            if let Some(index) = found {
                let (hosts, age) = contents[index];
                prop_assert!(hosts >= MIN_FIRST_HOSTS);
                let others = contents.iter().enumerate().filter(|(other, _)| *other != index);
                for (other, &(others, others_age)) in others {
                    prop_assert!(hosts >= 2 * others && (hosts >= 3 || age > others_age), "{other}");
                }
                // More hosts for the taken content change nothing, nor do fewer hosts for another one.
                let mut grown = contents.clone();
                grown[index].0 += more;
                prop_assert_eq!(taken(&grown), Some(index));
            }
            let by = turn % contents.len();
            let mut turned = contents.clone();
            turned.rotate_left(by);
            let expected = found.map(|index| (index + contents.len() - by) % contents.len());
            prop_assert_eq!(taken(&turned), expected);
        }
    }
}
