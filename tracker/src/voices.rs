//! What the owners of one content say of it, by hosts: what it is called, and how long it is.

use messages::{ContentId, Timestamp};

use crate::host::Host;
use crate::names::{Label, Names};
use crate::said::Said;
use crate::votes::Votes;

/// What one owner says, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Voice {
    pub(crate) label: Label,
    pub(crate) length: u64,
    pub(crate) host: Host,
}

/// The voices of a content's owners. Nearly every content has one owner: what that says nobody contradicts, and nothing is kept of it here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Voices(Option<Box<Many>>);

#[derive(Clone, Debug)]
struct Many {
    names: Said<Label>,
    lengths: Said<u64>,
    /// What it is called, by hosts: of two names with as many the one with the smaller number, which was heard of first.
    name_votes: Votes<(u64, Label)>,
    /// How long it is, by hosts.
    length_votes: Votes<u64>,
}

impl Voices {
    /// Nobody has said anything.
    pub(crate) const fn new() -> Voices {
        Voices(None)
    }

    /// An owner of `content` says `voice`, that has said `before`; `other` is the only other owner's, if there is one and no more.
    pub(crate) fn hear(
        &mut self,
        names: &mut Names,
        content: ContentId,
        (voice, before): (&Voice, Option<&Voice>),
        other: Option<&Voice>,
        now: Timestamp,
    ) {
        if self.0.is_none()
            && let Some(other) = other
        {
            let mut many = Many::new();
            let number = names.claim(&other.label, content).map_or(0, |claim| claim.number);
            many.add(other, || number);
            self.0 = Some(Box::new(many));
        }
        // The new before the old: what one node says anew does not end meanwhile.
        match &mut self.0 {
            None => drop(names.support(&voice.label, content, voice.host, now)),
            Some(many) => many.add(voice, || names.support(&voice.label, content, voice.host, now)),
        }
        if let Some(before) = before {
            self.unhear(names, content, before);
        }
    }

    /// An owner of `content` that said `voice` does no longer.
    pub(crate) fn unhear(&mut self, names: &mut Names, content: ContentId, voice: &Voice) {
        match &mut self.0 {
            None => drop(names.unsupport(&voice.label, content)),
            Some(many) => many.remove(voice, || names.unsupport(&voice.label, content)),
        }
    }

    /// One owner is left: its own voice is enough.
    pub(crate) fn forget_others(&mut self) {
        self.0 = None;
    }

    /// What the content is called on most hosts, where `only` is what its only owner says.
    pub(crate) fn label<'a>(&'a self, only: Option<&'a Voice>) -> Option<&'a Label> {
        match &self.0 {
            None => only.map(|only| &only.label),
            Some(many) => many.name_votes.leader().map(|(_, label)| label),
        }
    }

    /// How long it is by what most hosts say.
    pub(crate) fn length(&self, only: Option<&Voice>) -> Option<u64> {
        match &self.0 {
            None => only.map(|only| only.length),
            Some(many) => many.length_votes.leader().copied(),
        }
    }
}

impl Many {
    const fn new() -> Many {
        Many {
            names: Said::new(),
            lengths: Said::new(),
            name_votes: Votes::new(),
            length_votes: Votes::new(),
        }
    }

    /// `support` is called for the first voice of a host for the name, and says the number of the claim.
    fn add(&mut self, voice: &Voice, support: impl FnOnce() -> u64) {
        let Voice { label, length, host } = voice;
        if self.names.add(label.clone(), *host) {
            self.name_votes.add((support(), label.clone()));
        }
        if self.lengths.add(*length, *host) {
            self.length_votes.add(*length);
        }
    }

    /// `unsupport` is called for the last one.
    fn remove(&mut self, voice: &Voice, unsupport: impl FnOnce() -> Option<u64>) {
        let Voice { label, length, host } = voice;
        if self.names.remove(label.clone(), *host)
            && let Some(number) = unsupport()
        {
            self.name_votes.remove(&(number, label.clone()));
        }
        if self.lengths.remove(*length, *host) {
            self.length_votes.remove(length);
        }
    }
}
