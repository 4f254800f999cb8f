//! The keys of all secrets of a swarm that are accepted: one, and while it is changed for another, those before it.

use messages::NodeId;

use crate::handshake::SWARM_TAG;
use crate::identity::PublicKey;
use crate::knock::{self, KNOCK};
use crate::swarm::{SwarmKeys, SwarmSecret};
use crate::swarm_secrets::SwarmSecrets;

/// Which secret a handshake was made with. No two secrets of a life have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretId(u32);

/// See the head of this module.
pub(crate) struct Swarms {
    /// The first begins handshakes. Never empty.
    accepted: Vec<(SecretId, SwarmKeys)>,
    /// How many secrets there were so far.
    count: u32,
    is_closed: bool,
}

impl Swarms {
    pub(crate) fn new(secret: &SwarmSecret) -> Swarms {
        Swarms { accepted: vec![(SecretId(0), secret.keys())], count: 1, is_closed: secret.is_closed() }
    }

    /// Whether who lacks all of the secrets gets no answer.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// From now on `secrets` are accepted and no others. Returns whether that is news.
    pub(crate) fn change(&mut self, secrets: &SwarmSecrets) -> bool {
        let mut accepted: Vec<(SecretId, SwarmKeys)> = Vec::new();
        for keys in secrets.iter().map(SwarmSecret::keys) {
            let known = self.accepted.iter().find(|(_, known)| known.is_same(&keys));
            let id = known.map_or(SecretId(self.count), |(id, _)| *id);
            self.count += u32::from(known.is_none());
            if accepted.iter().all(|(other, _)| *other != id) {
                accepted.push((id, keys));
            }
        }
        self.is_closed = secrets.is_closed();
        let is_news = !accepted.iter().map(|(id, _)| id).eq(self.accepted.iter().map(|(id, _)| id));
        self.accepted = accepted;
        is_news
    }

    /// How many secrets are accepted.
    pub(crate) fn len(&self) -> usize {
        self.accepted.len()
    }

    /// The secret that begins handshakes.
    pub(crate) fn first(&self) -> SecretId {
        self.accepted[0].0
    }

    /// The keys of all secrets, those of the first one first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &SwarmKeys> {
        self.accepted.iter().map(|(_, keys)| keys)
    }

    /// Whether the secret is accepted.
    pub(crate) fn contains(&self, id: SecretId) -> bool {
        self.accepted.iter().any(|(known, _)| *known == id)
    }

    /// The keys of a secret, or, when it is accepted no longer, those of the first.
    pub(crate) fn keys(&self, id: SecretId) -> &SwarmKeys {
        let found = self.accepted.iter().find(|(known, _)| *known == id);
        &found.unwrap_or(&self.accepted[0]).1
    }

    /// With which secret the sender of `message` has made its tag.
    pub(crate) fn of_tag(&self, message: &[u8], tag: &[u8; SWARM_TAG]) -> Option<SecretId> {
        self.accepted.iter().find(|(_, keys)| keys.accepts(message, tag)).map(|(id, _)| *id)
    }

    /// What a COOKIE says to who expects one of `nodes`, and the secret that its sender has used.
    pub(crate) fn read_cookie(
        &self,
        nodes: &[Option<NodeId>],
        datagram: &[u8; KNOCK],
    ) -> Option<(messages::Cookie, PublicKey, SecretId)> {
        self.accepted.iter().find_map(|(id, keys)| {
            let read = nodes.iter().find_map(|node| knock::read_cookie(keys, *node, datagram));
            read.map(|(cookie, key)| (cookie, key, *id))
        })
    }
}
