//! What a person is told of the tracker: how it was named, where it is, and why its address is not known. Pure.

use std::net::SocketAddr;

use riffle::TrackerStatus;

/// What a person is told of a tracker.
pub(crate) trait TrackerWords {
    /// That the tracker has no address yet, for a node that has just started.
    fn is_not_there_yet(&self) -> String;

    /// That the tracker has not answered a download that waits no longer, and what the person can do.
    fn unreachable(&self) -> String;

    /// That the tracker has not answered a question, and what the person can do.
    fn gives_no_answer(&self) -> String;

    /// That the tracker has another address than before, or its first.
    fn is_there_now(&self) -> String;
}

impl TrackerWords for TrackerStatus {
    fn is_not_there_yet(&self) -> String {
        let trouble = unresolved(self).map_or_else(String::new, |trouble| format!(": {trouble}"));
        format!("the tracker {self} is not there yet{trouble}; asking again until it is")
    }

    fn unreachable(&self) -> String {
        match (unresolved(self), &self.named) {
            (Some(trouble), _) => {
                format!("the tracker {self} is not there: {trouble}; check the name, or use --wait")
            }
            (None, Some(_)) => {
                format!(
                    "the tracker {self} does not answer; check its address{}, or use --wait",
                    secret(self)
                )
            }
            (None, None) => format!(
                "the tracker {self} does not answer, and it was asked because no --tracker was given; \
                 name the one that knows the file with --tracker HOST:PORT{}, or use --wait",
                secret(self)
            ),
        }
    }

    fn gives_no_answer(&self) -> String {
        match unresolved(self) {
            Some(trouble) => format!("the tracker {self} is not there: {trouble}; check the name"),
            None => format!(
                "the tracker {self} does not answer; name another with --tracker HOST:PORT{}",
                secret(self)
            ),
        }
    }

    fn is_there_now(&self) -> String {
        let (named, address) = (self.named.as_deref().unwrap_or("of this host"), self.address);
        let address = address.map_or_else(|| "nowhere".to_owned(), |address| address.to_string());
        format!("the tracker {named} is at {address} now")
    }
}

/// What else may be the cause of silence: a tracker does not answer who lacks the secret of its swarm, and who seals
/// always hears nothing of who never does.
fn secret(status: &TrackerStatus) -> &'static str {
    match status.is_closed {
        true => {
            ", compare the fingerprint of the secret (riffle secret check FILE: with another one nobody answers), \
             ask whether this node (riffle id) is in its list of members, if it has one"
        }
        false => {
            ", name the secret with --secret-file if the swarm is closed, \
             compare --encryption there and here (always does not talk with never)"
        }
    }
}

/// Why the tracker has no address; `None`: it has one.
fn unresolved(status: &TrackerStatus) -> Option<&str> {
    let trouble = status.trouble.as_deref().unwrap_or("its name has not been resolved so far");
    status.address.is_none().then_some(trouble)
}

/// That this node is the tracker at `address`, because there was none; and if others reach it there, how a person keeps
/// them out.
pub(crate) fn embedded(address: SocketAddr, status: &TrackerStatus) -> String {
    let what = format!("no tracker at {address}, and no --tracker was given: this node is the tracker now");
    what + &openness(address, status)
}

/// That this node has replaced the tracker at `address`.
pub(crate) fn taken_over(address: SocketAddr, status: &TrackerStatus) -> String {
    format!("nobody is the tracker any more: this node is it now, at {address}") + &openness(address, status)
}

fn openness(address: SocketAddr, status: &TrackerStatus) -> String {
    if status.is_closed {
        return ", for who has the secret alone".to_owned();
    }
    if !status.is_open {
        return String::new();
    }
    format!(
        ", open to everybody who reaches this host (UDP port {}); --listen 127.0.0.1:0 keeps it to this host",
        address.port()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(named: Option<&str>, address: Option<&str>) -> TrackerStatus {
        let address = address.map(|address| address.parse().expect("an address"));
        let named = named.map(str::to_owned);
        TrackerStatus {
            named,
            address,
            trouble: None,
            is_embedded: false,
            is_open: false,
            is_closed: false,
            key: None,
        }
    }

    #[test]
    fn a_tracker_is_called_by_its_name_and_its_address() {
        assert_eq!(words(Some("tk:1"), Some("10.0.0.7:1")).to_string(), "tk:1 (10.0.0.7:1)");
        assert_eq!(words(Some("10.0.0.7:1"), Some("10.0.0.7:1")).to_string(), "10.0.0.7:1");
        assert_eq!(words(Some("tk:1"), None).to_string(), "tk:1");
        assert_eq!(words(None, Some("127.0.0.1:12345")).to_string(), "127.0.0.1:12345");
        let silent = "the tracker 10.0.0.7:1 does not answer; name another with --tracker HOST:PORT, \
            name the secret with --secret-file if the swarm is closed, \
            compare --encryption there and here (always does not talk with never)";
        assert_eq!(words(Some("10.0.0.7:1"), Some("10.0.0.7:1")).gives_no_answer(), silent);
        assert!(words(Some("tk:1"), None).gives_no_answer().starts_with("the tracker tk:1 is not there: "));
        assert_eq!(
            words(Some("tk:1"), Some("10.0.0.7:1")).is_there_now(),
            "the tracker tk:1 is at 10.0.0.7:1 now"
        );
    }

    #[test]
    fn who_cannot_reach_it_is_told_what_is_true() {
        let unresolved = TrackerStatus {
            trouble: Some("its name cannot be resolved (no such host)".to_owned()),
            ..words(Some("tk:1"), None)
        };
        assert_eq!(
            unresolved.unreachable(),
            "the tracker tk:1 is not there: its name cannot be resolved (no such host); check the name, or use --wait"
        );
        assert_eq!(
            unresolved.is_not_there_yet(),
            "the tracker tk:1 is not there yet: its name cannot be resolved (no such host); asking again until it is"
        );
        assert!(words(Some("tk:1"), None).unreachable().contains("has not been resolved so far"));
        assert_eq!(
            words(Some("10.0.0.7:1"), Some("10.0.0.7:1")).unreachable(),
            "the tracker 10.0.0.7:1 does not answer; check its address, name the secret with --secret-file if the \
             swarm is closed, compare --encryption there and here (always does not talk with never), or use --wait"
        );
        let closed = TrackerStatus { is_closed: true, ..words(Some("10.0.0.7:1"), Some("10.0.0.7:1")) };
        for said in [closed.unreachable(), closed.gives_no_answer()] {
            assert!(
                said.contains("compare the fingerprint of the secret (riffle secret check FILE")
                    && said.contains("ask whether this node (riffle id) is in its list of members"),
                "{said}"
            );
        }
        let nobody_named_it = words(None, Some("127.0.0.1:12345")).unreachable();
        assert!(nobody_named_it.contains("because no --tracker was given"), "{nobody_named_it}");
    }

    #[test]
    fn who_becomes_a_tracker_open_to_all_is_told_so() {
        let address = "127.0.0.1:12345".parse().expect("an address");
        let status = TrackerStatus { is_open: true, ..words(None, None) };
        for open in [embedded(address, &status), taken_over(address, &status)] {
            assert!(open.contains("open to everybody who reaches this host (UDP port 12345)"), "{open}");
            assert!(open.contains("--listen 127.0.0.1:0"), "{open}");
        }
        let [here, closed] = [(false, false), (false, true)].map(|(is_open, is_closed)| TrackerStatus {
            is_open,
            is_closed,
            ..words(None, None)
        });
        assert!(!embedded(address, &here).contains("open") && !taken_over(address, &here).contains("open"));
        assert!(
            embedded(address, &closed)
                .ends_with("this node is the tracker now, for who has the secret alone")
        );
    }
}
