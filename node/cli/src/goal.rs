//! What `list --wait-complete` waits for: a number of nodes that have all of a content.

use std::str::FromStr;

use riffle::Wanted;

use crate::target;

/// A content, and how many nodes are to have all of it; typed as `NAME=12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    /// The content.
    pub(crate) wanted: Wanted,
    /// How many nodes are to have all of the content.
    pub(crate) count: u32,
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Goal, String> {
        let (name, count) = text.rsplit_once('=').ok_or("NAME=COUNT is expected, such as lab.img=12")?;
        let count = count.parse().ok().filter(|count| *count > 0);
        let count = count.ok_or("behind the = a number of nodes is expected, 1 or more")?;
        let wanted = target::parse(name).map_err(|error| format!("\"{name}\": {error}"))?;
        Ok(Goal { wanted, count })
    }
}

#[cfg(test)]
mod tests {
    use messages::{Digits, Name};

    use super::*;

    #[test]
    fn a_goal_is_a_content_and_a_count() {
        let goal = |text: &str| text.parse::<Goal>();
        let lab = Wanted::Name(Name::new("lab.img").expect("a name"), String::new());
        assert_eq!(goal("lab.img=12"), Ok(Goal { wanted: lab, count: 12 }));
        let odd = Wanted::Name(Name::new("a=b").expect("a name"), String::new());
        assert_eq!(goal("a=b=1"), Ok(Goal { wanted: odd, count: 1 }));
        let digits = Wanted::Digits(Digits::new("0123abcd").expect("digits"));
        assert_eq!(goal("0123abcd=3"), Ok(Goal { wanted: digits, count: 3 }));
        for wrong in ["lab.img", "lab.img=", "lab.img=0", "lab.img=many", "=3", "a/b=3"] {
            assert!(goal(wrong).is_err(), "{wrong}");
        }
    }
}
