//! Which nodes are members of a swarm: lists of node ids, for who has been let go and for who alone may take part.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use messages::NodeId;

/// Who may talk to an endpoint. Everybody who has the swarm's secret, unless there is a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Those alone are members; `None`: everybody is.
    allowed: Option<BTreeSet<NodeId>>,
    /// Those are not, whatever the other list says.
    denied: BTreeSet<NodeId>,
}

impl Members {
    /// Whether `node` is a member.
    #[must_use]
    pub fn contains(&self, node: NodeId) -> bool {
        !self.denies(node) && self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&node))
    }

    /// Whether `node` is denied by name. A tracker is no member of anything, and is heard unless it is.
    #[must_use]
    pub fn denies(&self, node: NodeId) -> bool {
        self.denied.contains(&node)
    }

    /// How many nodes are allowed by name; `None`: all that are not denied are members.
    #[must_use]
    pub fn allowed(&self) -> Option<usize> {
        self.allowed.as_ref().map(BTreeSet::len)
    }

    /// How many nodes are denied by name.
    #[must_use]
    pub fn denied(&self) -> usize {
        self.denied.len()
    }
}

/// Who is answered, in a line for people.
impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = |count| if count == 1 { "node" } else { "nodes" };
        let denied = self.denied.len();
        match self.allowed() {
            Some(allowed) => write!(f, "members: {allowed} {} by name", nodes(allowed))?,
            None => write!(f, "members: whoever has the secret")?,
        }
        if denied > 0 {
            write!(f, ", but not {denied} denied {}", nodes(denied))?;
        }
        Ok(())
    }
}

/// Some text that is not a list of members.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {mistake}")]
pub struct ParseMembersError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub mistake: MembersMistake,
}

/// What is wrong with a line of a list of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembersMistake {
    /// It begins with another word.
    #[error("a line is `allow NODE-ID`, `deny NODE-ID` or a comment behind #")]
    Verb,
    /// What stands behind the word is no id.
    #[error("the id of a node is 32 hexadecimal digits: `riffle id` shows it")]
    Id,
}

/// `allow NODE-ID` and `deny NODE-ID`, one a line; `#` begins a comment. With one `allow` or more, only those are
/// members; `deny` wins.
impl FromStr for Members {
    type Err = ParseMembersError;

    fn from_str(text: &str) -> Result<Members, ParseMembersError> {
        let mut members = Members::default();
        for (number, line) in text.lines().enumerate() {
            let said = line.split_once('#').map_or(line, |(said, _)| said).trim();
            if said.is_empty() {
                continue;
            }
            let error = |mistake| ParseMembersError { line: number + 1, mistake };
            let (verb, id) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
            let list = match verb {
                "allow" => members.allowed.get_or_insert_default(),
                "deny" => &mut members.denied,
                _ => return Err(error(MembersMistake::Verb)),
            };
            list.insert(id.trim_start().parse().map_err(|_| error(MembersMistake::Id))?);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 16])
    }

    fn parse(text: &str) -> Members {
        text.parse().unwrap()
    }

    #[test]
    fn everybody_is_a_member_until_somebody_is_named() {
        for text in ["", "\n\n", "# allow nobody\n", "  \t\r\n"] {
            assert_eq!(parse(text), Members::default(), "{text:?}");
        }
        assert!(Members::default().contains(node(1)) && !Members::default().denies(node(1)));
    }

    #[test]
    fn with_one_allowed_all_others_are_strangers_and_deny_wins() {
        let denying = parse(&format!("deny {}", node(1)));
        assert!(!denying.contains(node(1)) && denying.contains(node(2)));
        assert_eq!((denying.allowed(), denying.denied()), (None, 1));
        let (one, two) = (node(1), node(2));
        let text = format!("# the lab\r\nallow {one} # Ada\r\n\tallow\t {two}\n\ndeny {one}\nallow {one}\n");
        let both = parse(&text);
        assert!(!both.contains(one) && both.contains(two) && !both.contains(node(3)));
        assert!(both.denies(one) && !both.denies(node(3)), "who is in no list is not denied by name");
        assert_eq!((both.allowed(), both.denied()), (Some(2), 1));
        let upper = parse(&format!("allow {}", two.to_string().to_uppercase()));
        assert!(upper.contains(two));
    }

    #[test]
    fn who_is_a_member_is_said_in_a_line() {
        let (one, two) = (format!("allow {}\n", node(1)), format!("deny {}\n", node(2)));
        assert_eq!(Members::default().to_string(), "members: whoever has the secret");
        assert_eq!(parse(&one).to_string(), "members: 1 node by name");
        let said = parse(&format!("{one}allow {}\n{two}", node(3))).to_string();
        assert_eq!(said, "members: 2 nodes by name, but not 1 denied node");
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_makes_no_list_shorter() {
        let good = format!("allow {}\n", node(1));
        let cases = [
            ("alow 1", MembersMistake::Verb),
            ("ALLOW 01010101010101010101010101010101", MembersMistake::Verb),
            ("01010101010101010101010101010101", MembersMistake::Verb),
            ("allow", MembersMistake::Id),
            ("deny 0101", MembersMistake::Id),
            ("deny 01010101010101010101010101010101 02", MembersMistake::Id),
            ("allow 0101010101010101010101010101010g", MembersMistake::Id),
        ];
        for (wrong, mistake) in cases {
            let error = format!("{good}\n{wrong}\n").parse::<Members>().unwrap_err();
            assert_eq!(error, ParseMembersError { line: 3, mistake }, "{wrong}");
        }
    }
}
