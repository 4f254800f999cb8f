//! What a code stands for: a ticket, and in a closed swarm its secrets.

use std::str::FromStr;

use messages::limits::MAX_SEALED_GIFT;
use zeroize::Zeroizing;

use crate::frame::TAG_LENGTH;
use crate::{ParseSecretsError, SwarmSecrets, Ticket, TicketError};

/// Bytes of what is sealed.
const MAX_TEXT: usize = MAX_SEALED_GIFT - TAG_LENGTH;

/// What a receiver gets for the right words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeGift {
    ticket: Ticket,
    secrets: Option<SwarmSecrets>,
}

/// Why something is no gift.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GiftError {
    /// It is not text.
    #[error("it is not text")]
    NotText,
    /// It does not begin with a ticket.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// What stands behind the ticket are no secrets.
    #[error(transparent)]
    Secrets(#[from] ParseSecretsError),
}

impl CodeGift {
    /// `ticket`, and the secrets of the swarm in which its content is, if that is a closed one. Of more secrets than there
    /// is room for, the oldest are left out.
    #[must_use]
    pub fn new(ticket: Ticket, secrets: Option<SwarmSecrets>) -> CodeGift {
        let secrets = secrets.filter(SwarmSecrets::is_closed);
        let mut gift = CodeGift { ticket, secrets };
        while gift.text().len() > MAX_TEXT
            && let Some(fewer) = gift.secrets.clone().and_then(SwarmSecrets::without_oldest)
        {
            gift.secrets = Some(fewer);
        }
        gift
    }

    /// Which content is meant, and who knows its owners.
    #[must_use]
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// The secrets of the closed swarm in which the content is; `None`: it is in the open one.
    #[must_use]
    pub fn secrets(&self) -> Option<&SwarmSecrets> {
        self.secrets.as_ref()
    }

    /// The line of the ticket, and the lines of the secrets.
    pub(super) fn text(&self) -> Zeroizing<String> {
        let ticket = self.ticket.text();
        let secrets = self.secrets.as_ref().map(SwarmSecrets::text).unwrap_or_default();
        let mut text = Zeroizing::new(String::with_capacity(ticket.len() + 1 + secrets.len()));
        text.push_str(&ticket);
        text.push('\n');
        text.push_str(&secrets);
        text
    }

    /// Reads [`CodeGift::text`].
    pub(super) fn of_bytes(bytes: &[u8]) -> Result<CodeGift, GiftError> {
        let text = str::from_utf8(bytes).map_err(|_| GiftError::NotText)?;
        let (ticket, secrets) = text.split_once('\n').unwrap_or((text, ""));
        let ticket = Ticket::from_str(ticket)?;
        let secrets = if secrets.is_empty() { None } else { Some(secrets.parse()?) };
        Ok(CodeGift { ticket, secrets })
    }
}

#[cfg(test)]
mod tests {
    use messages::{ContentId, Name};

    use super::*;
    use crate::{PublicKey, SwarmSecret};

    fn ticket(trackers: usize) -> Ticket {
        let tracker = || format!("{}:12345", "t".repeat(58)).parse().expect("a tracker");
        let ticket = Ticket::new(ContentId::from_bytes([7; 32]), tracker())
            .with_name(Name::new(&"n".repeat(255)).expect("a name"))
            .with_tracker_key(PublicKey::from_bytes([8; 32]));
        (1..trackers).fold(ticket, |ticket, _| ticket.with_other_tracker(tracker()))
    }

    fn secrets(count: u8) -> SwarmSecrets {
        (1..count).fold(SwarmSecret::from_bytes([100; 32]).into(), |secrets: SwarmSecrets, byte| {
            secrets.rotated(SwarmSecret::from_bytes([byte; 32]), 1_800_000_000)
        })
    }

    #[test]
    fn what_is_given_is_read() {
        for secrets in [None, Some(secrets(1)), Some(secrets(2))] {
            let gift = CodeGift::new(ticket(1), secrets);
            assert_eq!(CodeGift::of_bytes(gift.text().as_bytes()), Ok(gift.clone()));
            assert!(!format!("{gift:?}").contains("riffle-secret1-"), "{gift:?}");
        }
        let open = CodeGift::new(ticket(1), Some(SwarmSecrets::open()));
        assert_eq!(open.secrets(), None, "everybody knows it");
    }

    #[test]
    fn old_secrets_make_way_for_the_ticket_and_the_first_one_does_not() {
        let gift = CodeGift::new(ticket(1), Some(secrets(8)));
        assert!(gift.text().len() <= MAX_TEXT);
        let kept = gift.secrets().expect("closed");
        assert_eq!(kept.first(), secrets(8).first());
        assert!((2..7).contains(&kept.older().len()), "{}", kept.older().len());
        assert_eq!(kept.older(), &secrets(8).older()[..kept.older().len()], "the newest stay");
        let longest =
            CodeGift::new(ticket(4).with_secret(&SwarmSecret::from_bytes([1; 32])), Some(secrets(8)));
        assert!(longest.text().len() <= MAX_TEXT, "the longest ticket and one secret fit");
        assert_eq!(longest.secrets().map(SwarmSecrets::first), Some(secrets(8).first()));
    }

    #[test]
    fn what_is_no_gift_is_refused() {
        for bytes in [&b""[..], b"riffle1", b"\xff", b"riffle1aaaa\nriffle-secret1-", b"\n"] {
            assert!(CodeGift::of_bytes(bytes).is_err(), "{bytes:?}");
        }
        let text = format!("{}\nriffle-secret1-x\n", *ticket(1).text());
        assert!(matches!(CodeGift::of_bytes(text.as_bytes()), Err(GiftError::Secrets(_))));
    }
}
