//! Events as lines of the log: who comes and goes and what is announced at info, single requests at debug.

use tracing::{debug, info, warn};

use crate::{Event, Found};

/// Writes one event to the log.
pub(super) fn record(event: &Event) {
    match event {
        Event::NodeJoined { node, address } => info!(%node, %address, "node joined"),
        Event::NodeReturned { node, address } => info!(%node, %address, "node returned in a new life"),
        Event::NodeMoved { node, from, to } => info!(%node, %from, %to, "node moved to another port"),
        Event::IdClaimed { node, registered, claimant } => {
            warn!(%node, %registered, %claimant, "another address claims a node's id: asking the node");
        }
        Event::NodeTakenOver { node, from, to } => {
            warn!(%node, %from, %to, "node taken over: its old address does not answer");
        }
        Event::NodeLeft { node, address } => info!(%node, %address, "node left"),
        Event::NodeExpired { node, address } => info!(%node, %address, "node expired: its lease ended"),
        Event::ResyncAsked { node, known, told } => {
            info!(%node, known, told, "tables differ: asked the node for all its contents");
        }
        Event::ContentAnnounced { node, content, name, length, permille } => {
            info!(%node, %content, name = name.as_str(), length, permille, "content announced");
        }
        Event::ContentCompleted { node, content, name } => {
            info!(%node, %content, name = name.as_str(), "content complete");
        }
        Event::ContentWithdrawn { node, content } => info!(%node, %content, "content withdrawn"),
        Event::NeedAnswered { node, address, found } => match found {
            Found::Nothing => debug!(%node, %address, "need answered: unknown"),
            Found::Owners(content, owners) => {
                debug!(%node, %address, %content, owners, "need answered: owners");
            }
            Found::Contents(contents) => debug!(%node, %address, contents, "need answered: contents"),
        },
        Event::Refused { node, address, code, retry_after } => {
            debug!(%node, %address, ?code, ?retry_after, "request refused");
        }
        Event::Undecodable { from, error } => debug!(%from, %error, "datagram refused"),
        Event::Misdirected { from } => debug!(%from, "datagram is not for a tracker"),
    }
}
