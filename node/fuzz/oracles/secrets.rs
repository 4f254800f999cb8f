//! Any text as what people pass on and keep: tickets, keys, and the secrets of a swarm; and any bytes as what is in a
//! ticket, behind a checksum that fits.

use channel::{PublicKey, SwarmSecret, SwarmSecrets, Ticket};
use data_encoding::BASE32_NOPAD;

/// What the checksum of a ticket is derived under (`messages/channel/src/ticket.rs`).
const TICKET_CHECKSUM: &str = "riffle 2026-11 checksum of a ticket";
/// Bytes of that.
const CHECKSUM: usize = 4;
/// So many letters in a row of a secret would help somebody who reads an error.
const GIVEN_AWAY: usize = 12;

/// One text for each ticket and each secret, and refused without a word of what stands there.
pub(crate) fn hold(bytes: &[u8]) {
    ticket(&sealed_ticket(bytes));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    ticket(text);
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string(), text);
    }
    match text.parse::<SwarmSecret>() {
        Ok(secret) => assert_eq!(&**secret.text(), text),
        Err(error) => says_nothing_of(text, &error.to_string()),
    }
    match text.parse::<SwarmSecrets>() {
        Ok(secrets) => {
            let shown = secrets.text();
            assert_eq!(shown.parse::<SwarmSecrets>().as_ref(), Ok(&secrets), "what is written can be read");
            assert!(!format!("{secrets:?}").contains(&shown[..shown.len().min(40)]), "shown by accident");
        }
        Err(error) => says_nothing_of(text, &error.to_string()),
    }
}

/// The text of a ticket with `bytes` in it.
fn sealed_ticket(bytes: &[u8]) -> String {
    let mut all = bytes.to_vec();
    all.extend_from_slice(&blake3::derive_key(TICKET_CHECKSUM, bytes)[..CHECKSUM]);
    format!("riffle1{}", BASE32_NOPAD.encode(&all).to_lowercase())
}

fn ticket(text: &str) {
    match text.parse::<Ticket>() {
        Ok(ticket) => {
            assert_eq!(&*ticket.text(), text, "one ticket has one text");
            assert!((1..=4).contains(&ticket.trackers().len()));
        }
        Err(error) => says_nothing_of(text, &error.to_string()),
    }
}

/// Of what begins as a secret does, no part is in what is said of it.
fn says_nothing_of(text: &str, said: &str) {
    assert!(!said.is_empty() && !said.contains('\n'));
    let secrets = text.split_ascii_whitespace().filter_map(|word| word.strip_prefix("riffle-secret1-"));
    for secret in secrets {
        let letters: Vec<char> = secret.chars().collect();
        for run in letters.windows(GIVEN_AWAY).filter(|run| run.iter().all(char::is_ascii_alphanumeric)) {
            let run: String = run.iter().collect();
            assert!(!said.contains(&run), "{said}");
        }
    }
}
