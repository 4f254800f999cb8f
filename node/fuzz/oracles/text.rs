//! Any text as what people write: names, ids, addresses, sizes, durations, limits, labels, keys of publishers and lists
//! of members; and any bytes as a cookie.

use std::fmt::{Debug, Display};
use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use channel::{Members, PublisherKey};
use config::{ByteSize, Limit, ListenAddr, NodeLabel, Period, TrackerAddress};
use messages::limits::MAX_NAME;
use messages::{COOKIE_EPOCH, ContentId, Cookie, CookieJar, Endpoint, Name, NodeId, Prefix, Timestamp};

/// Refused with one line, or read back from how it is shown; a name is one file of one folder whatever it says.
pub(crate) fn hold(bytes: &[u8]) {
    cookies(bytes);
    endpoints(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    names(text);
    reads_back::<NodeId>(text);
    reads_back::<ContentId>(text);
    reads_back::<ListenAddr>(text);
    reads_back::<TrackerAddress>(text);
    reads_back::<ByteSize>(text);
    reads_back::<Period>(text);
    reads_back::<Limit>(text);
    reads_back::<NodeLabel>(text);
    reads_back::<PublisherKey>(text);
    members(text);
}

/// A list of members is refused with the line of its mistake, or each line that counts says what holds: nobody is in a
/// list by accident, and `deny` wins.
fn members(text: &str) {
    match text.parse::<Members>() {
        Ok(members) => {
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
            let said: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
            let listed = |verb: &str, node: NodeId| {
                said.iter()
                    .any(|words| matches!(words[..], [first, id] if first == verb && id.parse() == Ok(node)))
            };
            let ids = said.iter().filter_map(|words| words.get(1)?.parse::<NodeId>().ok());
            for node in ids.chain([NodeId::from_bytes([1; 16])]) {
                let is_allowed = members.allowed().is_none() || listed("allow", node);
                assert_eq!(members.denies(node), listed("deny", node));
                assert_eq!(members.contains(node), is_allowed && !members.denies(node), "{text:?}");
            }
        }
        Err(error) => assert!((1..=text.lines().count()).contains(&error.line), "{error}"),
    }
}

fn reads_back<T: FromStr + Display + Debug + PartialEq>(text: &str)
where
    T::Err: Display + Debug,
{
    match text.parse::<T>() {
        Ok(value) => {
            let shown = value.to_string();
            assert_eq!(shown.parse::<T>().expect("what is shown can be read"), value, "shown as {shown:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn names(text: &str) {
    if let Ok(prefix) = Prefix::new(text) {
        assert_eq!(prefix.as_str(), text);
    }
    let Ok(name) = Name::new(text) else { return };
    assert_eq!(name.as_str(), text);
    assert!(!text.is_empty() && text.len() <= MAX_NAME);
    assert!(!text.chars().any(|letter| letter.is_control() || matches!(letter, '/' | '\\')));
    let folder = Path::new("/folder");
    let file = folder.join(text);
    assert_eq!(file.parent(), Some(folder), "{text:?} leaves its folder");
    assert_eq!(file.file_name().and_then(|name| name.to_str()), Some(text));
}

/// A cookie is good when it is the one that was baked, and at no other address, instant or giver.
fn cookies(bytes: &[u8]) {
    let Some((cookie, rest)) = bytes.split_first_chunk::<16>() else { return };
    let cookie = Cookie::from_bytes(*cookie);
    let seconds = rest.first().map_or(0, |&byte| u64::from(byte) * 7);
    let now = Timestamp::ZERO + Duration::from_secs(1000 + seconds);
    let (jar, other) = (CookieJar::new([1; 32]), CookieJar::new([2; 32]));
    let address = SocketAddr::from(([10, 0, 0, 1], 1));
    let baked = [jar.bake(address, now), jar.bake(address, now - COOKIE_EPOCH)];
    assert_eq!(jar.accepts(cookie, address, now), baked.contains(&cookie));
    for good in baked {
        assert!(jar.accepts(good, address, now));
        assert!(!other.accepts(good, address, now));
        assert!(!jar.accepts(good, SocketAddr::from(([10, 0, 0, 1], 2)), now));
        assert!(!jar.accepts(good, address, now + COOKIE_EPOCH + COOKIE_EPOCH));
    }
}

fn endpoints(bytes: &[u8]) {
    let Some((octets, rest)) = bytes.split_first_chunk::<16>() else { return };
    let port = rest.first_chunk::<2>().map_or(0, |port| u16::from_le_bytes(*port));
    let endpoint = Endpoint::new(SocketAddr::new(Ipv6Addr::from(*octets).into(), port));
    assert_eq!(Endpoint::new(endpoint.address()), endpoint);
    assert_eq!(endpoint.address().ip(), endpoint.address().ip().to_canonical());
    if endpoint.is_reachable() {
        assert!(
            port != 0 && !endpoint.address().ip().is_unspecified() && !endpoint.address().ip().is_multicast()
        );
    }
}
