use proptest::prelude::*;

use super::*;

fn tracker(text: &str) -> TicketTracker {
    text.parse().expect("a tracker")
}

fn plain() -> Ticket {
    Ticket::new(ContentId::from_bytes([7; 32]), tracker("10.0.0.1:12345"))
}

fn full() -> Ticket {
    plain()
        .with_name(Name::new("film.mkv").expect("a name"))
        .with_other_tracker(tracker("[fd00::7]:12345"))
        .with_tracker_key(PublicKey::from_bytes([8; 32]))
        .with_secret(&SwarmSecret::from_bytes([0xa5; 32]))
}

/// The text of these bytes, with a checksum that fits.
fn sealed(body: &[u8]) -> String {
    let mut text = PREFIX.to_owned();
    write_base32(&[body, &checksum(body)].concat(), &mut text);
    text
}

/// The bytes of `ticket` before its checksum.
fn body(ticket: &Ticket) -> Vec<u8> {
    let bytes = ticket.bytes();
    bytes[..bytes.len() - CHECKSUM].to_vec()
}

#[test]
fn the_text_of_a_ticket_is_what_it_always_was() {
    assert_eq!(
        plain().text().as_str(),
        "riffle1aedqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqoaaaaehdcmbogaxdalrrh\
         iytemzugunwb3fu"
    );
    assert_eq!(
        full().text().as_str(),
        "riffle1aedqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqoayimzuwy3jonvvxmaqog\
         eyc4mbogaxdcorrgiztiniplntgimbqhi5doxj2gezdgnbvbaeaqcaibaeaqcaibaeaqcaibaeaqcaib\
         aeaqcaibaeaqcaibaekljnfuws2ljnfuws2ljnfuws2ljnfuws2ljnfuws2ljnfuws2ljju5busg"
    );
}

#[test]
fn a_ticket_says_what_was_put_into_it() {
    let ticket: Ticket = full().text().parse().expect("a ticket");
    assert_eq!(ticket, full());
    assert_eq!(ticket.content(), ContentId::from_bytes([7; 32]));
    assert_eq!(ticket.name().map(Name::as_str), Some("film.mkv"));
    assert_eq!(ticket.trackers(), [tracker("10.0.0.1:12345"), tracker("[fd00::7]:12345")]);
    assert_eq!(ticket.tracker_key(), Some(PublicKey::from_bytes([8; 32])));
    assert!(ticket.secret().is_some_and(|secret| secret.is_closed()));
    let ticket: Ticket = plain().text().parse().expect("a ticket");
    assert!(ticket.name().is_none() && ticket.tracker_key().is_none() && ticket.secret().is_none());
}

#[test]
fn the_secret_is_in_the_text_and_in_no_debug_output() {
    let shown = format!("{:?} {:#?}", full(), full());
    assert!(shown.contains("has_secret: true") && shown.contains("film.mkv"), "{shown}");
    for secret in ["165", "a5a5", "A5A5", "uws2ljnf"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    assert!(full().text().contains("uws2ljnf"), "this is how the secret would look");
}

#[test]
fn every_cut_and_every_typo_is_called_that() {
    let text = full().text().to_string();
    for end in PREFIX.len()..text.len() {
        assert_eq!(text[..end].parse::<Ticket>(), Err(TicketError::Damaged), "{end}");
    }
    for at in PREFIX.len()..text.len() {
        for typed in ["a", "b", "7", "0", "A", "-", " "].iter().filter(|typed| text[at..=at] != ***typed) {
            let mut typo = text.clone();
            typo.replace_range(at..=at, typed);
            assert_eq!(typo.parse::<Ticket>(), Err(TicketError::Damaged), "{typo}");
        }
    }
    for behind in ["a", "aaaaaaaa", " ", "\n", "="] {
        assert_eq!(format!("{text}{behind}").parse::<Ticket>(), Err(TicketError::Damaged), "{behind:?}");
    }
    for other in ["", "riffle", "riffle2", "Riffle1", &text[1..], &format!(" {text}"), "film.mkv"] {
        assert_eq!(other.parse::<Ticket>(), Err(TicketError::NotATicket), "{other}");
    }
    let endless = format!("{PREFIX}{}", "a".repeat(MAX_TEXT + 8));
    assert_eq!(endless.parse::<Ticket>(), Err(TicketError::Damaged));
}

#[test]
fn a_later_version_is_told_from_a_mistake() {
    let mut later = body(&full());
    later[0] = 2;
    assert_eq!(sealed(&later).parse::<Ticket>(), Err(TicketError::LaterVersion(2)));
    assert_eq!(sealed(&[9]).parse::<Ticket>(), Err(TicketError::LaterVersion(9)), "whatever is in it");
    later[0] = 0;
    assert!(matches!(sealed(&later).parse::<Ticket>(), Err(TicketError::Invalid(_))));
}

#[test]
fn what_cannot_be_in_a_ticket_is_refused_with_the_reason() {
    let with = |at: usize, byte: u8| {
        let mut body = body(&plain());
        body[at] = byte;
        sealed(&body).parse::<Ticket>().expect_err("refused").to_string()
    };
    // The flags stand at 33, the name's length at 34, the number of trackers at 35, the first one's length at 36.
    assert!(with(33, 4).contains("flags"));
    assert!(with(33, HAS_KEY).contains("cut short"));
    assert!(with(34, 1).contains("name"), "a control character");
    assert!(with(35, 0).contains("no tracker"));
    assert!(with(35, 5).contains("too many"));
    assert!(with(35, 2).contains("cut short"));
    assert!(with(36, 13).contains("behind its last"));
    assert!(with(37, 0xff).contains("UTF-8"));
    assert!(with(37, b'/').contains("host and port"));
}

#[test]
fn a_tracker_is_a_host_and_a_port() {
    for fine in
        ["tracker.lan:1", "10.0.0.1:65535", "[::1]:12345", "a_b-c:7", &format!("{}:12345", "h".repeat(58))]
    {
        assert_eq!(fine.parse::<TicketTracker>().map(|tracker| tracker.to_string()), Ok(fine.to_owned()));
    }
    for wrong in [
        "",
        ":1",
        "h",
        "h:",
        "h:0",
        "h:01",
        "h:+1",
        "h:65536",
        "::1:7",
        "[h]:7",
        "[fe80::1%eth0]:7",
        "7:7",
        "h h:7",
        "k@h:7",
        "h\n:7",
        &format!("{}:12345", "h".repeat(59)),
    ] {
        assert_eq!(wrong.parse::<TicketTracker>(), Err(TicketTrackerError), "{wrong}");
    }
}

#[test]
fn a_fifth_tracker_is_left_out() {
    let many = (1..=5).fold(plain(), |ticket, port| ticket.with_other_tracker(tracker(&format!("h:{port}"))));
    assert_eq!(many.trackers().len(), MAX_TRACKERS);
    assert_eq!(many.text().parse(), Ok(many));
}

#[test]
fn what_is_meant_as_a_ticket_is_told_from_names() {
    let text = full().text().to_string();
    for meant in [text.as_str(), &text[..40], &text.to_uppercase().replace("RIFFLE1", PREFIX)] {
        assert!(Ticket::is_meant(meant), "{meant}");
    }
    for other in
        ["riffle1", "riffle1.tar.gz", "riffle1release", "riffle1 of a long summer evening", &text[1..]]
    {
        assert!(!Ticket::is_meant(other), "{other}");
    }
}

fn trackers() -> impl Strategy<Value = TicketTracker> {
    let name = "[a-z][a-z0-9.-]{0,30}:[1-9][0-9]{0,3}".prop_map(|text| tracker(&text));
    let six = any::<std::net::Ipv6Addr>().prop_map(|ip| tracker(&format!("[{ip}]:12345")));
    prop_oneof![name, six]
}

fn tickets() -> impl Strategy<Value = Ticket> {
    let names = prop::option::of("[a-zäß漢][a-zäß漢 0-9._-]{0,40}[a-z]")
        .prop_map(|name| name.and_then(|name| Name::new(&name).ok()));
    let keys = (prop::option::of(any::<[u8; 32]>()), prop::option::of(any::<[u8; 32]>()));
    (any::<[u8; 32]>(), names, prop::collection::vec(trackers(), 1..=MAX_TRACKERS), keys).prop_map(
        |(content, name, trackers, (key, secret))| Ticket {
            content: ContentId::from_bytes(content),
            name,
            trackers,
            tracker_key: key.map(PublicKey::from_bytes),
            secret: secret.map(Zeroizing::new),
        },
    )
}

proptest! {
    #[test]
    fn every_ticket_is_read_as_it_was_written(ticket in tickets()) {
        let text = ticket.text();
        prop_assert!(Ticket::is_meant(&text));
        prop_assert_eq!(text.parse(), Ok(ticket));
    }

    /// Whatever the checksum covers, what is accepted has one text.
    #[test]
    fn any_bytes_are_a_ticket_with_this_text_or_refused(
        ticket in tickets(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let mut bytes = body(&ticket);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let text = sealed(&bytes);
        if let Ok(read) = text.parse::<Ticket>() {
            let written = read.text();
            prop_assert_eq!(written.as_str(), text);
        }
    }

    #[test]
    fn any_text_is_a_ticket_with_this_text_or_refused(text in "(riffle1)?[a-z2-7]{0,90}|.{0,40}") {
        if let Ok(read) = text.parse::<Ticket>() {
            let written = read.text();
            prop_assert_eq!(written.as_str(), text);
        }
    }
}
