//! Tickets (`riffle1...`) as a person meets them: typed, read from a file, shown, and made for the line that `send`
//! prints. Their form is the crate `channel`'s.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Result;
use messages::{ContentId, Name};
use riffle::{NamedTracker, PublicKey, Ticket, TicketError, TrackerStatus};

use crate::exit::{ExitCode, Stop};

/// What stands for the standard input.
pub(crate) const STDIN: &str = "-";
/// No file of tickets is longer, in bytes.
const MAX_FILE: u64 = 64 << 10;
/// So much of a ticket is shown where it is spoken of: all of it may be a secret.
const SHOWN: usize = 16;

/// Reads `text` as a ticket; `None`: it was not meant as one.
///
/// # Errors
/// What is wrong with a ticket, in words that do not show all of it.
pub(crate) fn read(text: &str) -> Result<Option<Ticket>, String> {
    if !Ticket::is_meant(text) {
        return Ok(None);
    }
    parse(text).map(Some)
}

fn parse(text: &str) -> Result<Ticket, String> {
    let begun: String = text.chars().take(SHOWN).collect();
    text.parse().map_err(|error: TicketError| format!("{begun}...: {error}"))
}

/// Refuses a ticket with a secret where the node is in a swarm already.
///
/// # Errors
/// In words, which command takes it.
pub(crate) fn refuse_open(ticket: &Ticket) -> Result<(), String> {
    match ticket.secret() {
        Some(_) => Err("the ticket opens a closed swarm, and a prompt is in one swarm from its start: \
                        `riffle download` takes such a ticket"
            .to_owned()),
        None => Ok(()),
    }
}

/// Whether some word of `line` is a ticket with a secret, which is written nowhere.
pub(crate) fn has_secret(line: &str) -> bool {
    let tickets = line.split_whitespace().filter_map(|word| read(word).ok().flatten());
    tickets.into_iter().any(|ticket| ticket.secret().is_some())
}

/// Reads the tickets in the file at `path`, one or several with spaces or line ends between them. `-` is the standard
/// input.
///
/// # Errors
/// [`ExitCode::Io`] when it cannot be read; [`ExitCode::Usage`] when there is anything but tickets in it.
pub(crate) fn read_file(path: &Path) -> Result<Vec<Ticket>> {
    let is_stdin = path == Path::new(STDIN);
    let whose = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let read = if is_stdin { read_all(io::stdin().lock()) } else { File::open(path).and_then(read_all) };
    let text = read.map_err(|error| Stop::new(ExitCode::Io, format!("{whose}: {error}")))?;
    let refused = |why: &str| Stop::usage(format!("{whose}: {why}"));
    let text = String::from_utf8(text).map_err(|_| refused("it is not a ticket: it is not text"))?;
    if text.len() as u64 > MAX_FILE {
        return Err(refused("it is too long for a file of tickets").into());
    }
    let tickets: Vec<Ticket> =
        text.split_whitespace().map(parse).collect::<Result<_, _>>().map_err(|why| refused(&why))?;
    match tickets.is_empty() {
        true => Err(refused("there is no ticket in it").into()),
        false => Ok(tickets),
    }
}

/// One byte more than is allowed shows that there are too many.
fn read_all(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The trackers of `ticket`, as a person would name them: the first one with its key.
pub(crate) fn trackers(ticket: &Ticket) -> Vec<NamedTracker> {
    let named = |(number, tracker): (usize, &riffle::TicketTracker)| {
        let address = tracker.as_str().parse().ok()?;
        Some(NamedTracker { address, key: ticket.tracker_key().filter(|_| number == 0) })
    };
    ticket.trackers().iter().enumerate().filter_map(named).collect()
}

/// Whether a node that talks to `tracker` asks one that `ticket` names.
pub(crate) fn names(ticket: &Ticket, tracker: &TrackerStatus) -> bool {
    let at = tracker.address.map(|address| address.to_string());
    let is_it = |text: &str| tracker.named.as_deref() == Some(text) || at.as_deref() == Some(text);
    ticket.trackers().iter().any(|tracker| is_it(tracker.as_str()))
}

/// The ticket with which others fetch `content` by way of the tracker that they reach at `tracker`; `None`: its key is
/// not known, or its name does not fit into a ticket.
pub(crate) fn of_share(
    content: ContentId,
    name: &Name,
    (tracker, key): (&str, Option<PublicKey>),
) -> Option<Ticket> {
    let tracker = tracker.parse().ok()?;
    Some(Ticket::new(content, tracker).with_name(name.clone()).with_tracker_key(key?))
}

/// What is in `ticket`, for people.
pub(crate) fn lines(ticket: &Ticket) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(ticket.name().map(|name| format!("name: {name}")));
    lines.push(format!("id: {}", ticket.content()));
    lines.extend(ticket.trackers().iter().map(|tracker| format!("tracker: {tracker}")));
    lines.push(match ticket.tracker_key() {
        Some(key) => format!("key of the first tracker: {key}"),
        None => "key of the first tracker: not in this ticket".to_owned(),
    });
    lines.extend(ticket.secret().map(|secret| {
        format!("it opens the closed swarm whose secret has the fingerprint {}", secret.fingerprint())
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::code_of;
    use crate::fixtures::{content, name};

    const TRACKER: &str = "10.0.0.7:12345";

    fn key() -> PublicKey {
        PublicKey::from_bytes([7; 32])
    }

    fn ticket() -> Ticket {
        of_share(content(5), &name("film.mkv"), (TRACKER, Some(key()))).expect("it fits")
    }

    #[test]
    fn a_share_has_a_ticket_as_soon_as_the_trackers_key_is_known() {
        let made = |tracker: &str, key| of_share(content(5), &name("film.mkv"), (tracker, key));
        assert_eq!(made(TRACKER, None), None);
        assert_eq!(made(&format!("{}:1", "h".repeat(70)), Some(key())), None, "too long a name");
        let ticket = made(TRACKER, Some(key())).expect("it fits");
        assert_eq!((ticket.content(), ticket.tracker_key()), (content(5), Some(key())));
        assert_eq!(
            trackers(&ticket).iter().map(ToString::to_string).collect::<Vec<_>>(),
            [format!("{}@{TRACKER}", key())]
        );
    }

    #[test]
    fn the_key_is_the_first_trackers_alone_and_every_tracker_of_a_ticket_can_be_named() {
        let several = ["tk:1", "[::1]:2", "a_b.c-d:3"].map(|text| text.parse().expect("a tracker"));
        let several = several.into_iter().fold(ticket(), Ticket::with_other_tracker);
        let named: Vec<String> = trackers(&several).iter().map(ToString::to_string).collect();
        assert_eq!(named[1..], ["tk:1", "[::1]:2", "a_b.c-d:3"]);
        assert!(named[0].starts_with(&key().to_string()));
    }

    #[test]
    fn what_is_wrong_with_a_ticket_is_said_without_all_of_it() {
        let text = ticket().text().to_string();
        assert_eq!(read(&text), Ok(Some(ticket())));
        for name in ["film.mkv", "riffle1.tar", "0123456789abcdef"] {
            assert_eq!(read(name), Ok(None), "{name}");
        }
        let said = read(&text[..text.len() - 1]).expect_err("cut short");
        assert!(
            said.ends_with("the ticket is cut short or mistyped") && !said.contains(&text[..40]),
            "{said}"
        );
        let secret = riffle::SwarmSecret::from_bytes([9; 32]);
        let open = ticket().with_secret(&secret).text().to_string();
        let read_again = read(&open).expect("whole").expect("a ticket");
        assert_eq!(read_again.secret(), Some(secret));
        let said = refuse_open(&read_again).expect_err("not at a prompt");
        assert!(said.contains("closed swarm") && !said.contains(&open), "{said}");
        assert!(has_secret(&format!("download  {open}")) && !has_secret(&format!("download {text}")));
    }

    #[test]
    fn a_file_of_tickets_has_one_or_several_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tickets");
        let text = ticket().text();
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            read_file(&path)
        };
        assert_eq!(read(format!("  {}\n", *text).as_bytes()).expect("one"), [ticket()]);
        assert_eq!(read(format!("{}\r\n\n{}", *text, *text).as_bytes()).expect("two"), [ticket(), ticket()]);
        let long = vec![b' '; MAX_FILE as usize + 1];
        let wrong: [(&[u8], &str); 5] = [
            (b"", "no ticket in it"),
            (b" \n", "no ticket in it"),
            (b"film.mkv", "not a ticket"),
            (&[0xff; 4], "not text"),
            (&long, "too long"),
        ];
        for (bytes, said) in wrong {
            let error = read(bytes).expect_err("refused");
            assert_eq!(code_of(&error), ExitCode::Usage);
            assert!(error.to_string().contains(said) && error.to_string().contains("tickets: "), "{error}");
        }
        let error = read_file(&folder.path().join("none")).expect_err("not there");
        assert_eq!(code_of(&error), ExitCode::Io);
    }

    #[test]
    fn a_ticket_is_shown_with_all_that_is_in_it() {
        let lines = lines(&ticket());
        assert_eq!(
            lines,
            [
                "name: film.mkv".to_owned(),
                format!("id: {}", content(5)),
                format!("tracker: {TRACKER}"),
                format!("key of the first tracker: {}", key()),
            ]
        );
    }

    #[test]
    fn a_node_asks_the_tickets_tracker_when_it_is_called_so_or_is_there() {
        let at = |address: &str| TrackerStatus::at(address.parse().expect("an address"));
        assert!(names(&ticket(), &at(TRACKER)) && !names(&ticket(), &at("10.0.0.8:12345")));
        let named = TrackerStatus { named: Some(TRACKER.to_owned()), ..at("10.0.0.8:1") };
        assert!(names(&ticket(), &named));
    }
}
