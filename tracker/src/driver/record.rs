//! Events as lines of the log: who comes and goes and what is announced at info, single requests at debug.

use tracing::{debug, info, warn};

use crate::{Counters, Event, Found, Refusals};

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
            let retry_after_ms = retry_after.as_millis() as u64;
            debug!(%node, %address, code = %code.word(), retry_after_ms, "request refused");
        }
        Event::Undecodable { from, error } => debug!(%from, %error, "datagram refused"),
        Event::Misdirected { from } => debug!(%from, "datagram is not for a tracker"),
    }
}

/// Writes what was counted to the log.
pub(super) fn record_counters(counters: &Counters) {
    let Counters { datagrams, undecodable, misdirected, unanswerable, stray_pongs, expired, .. } = counters;
    info!(datagrams, undecodable, misdirected, unanswerable, stray_pongs, expired, "counted in all");
    let Counters { registered, owned, needs, updates, repeated_updates, exits, .. } = counters;
    info!(registered, owned, needs, updates, repeated_updates, exits, "counted by request");
    let Refusals { cookie, not_registered, id_in_use, too_fast, full } = counters.refused;
    info!(cookie, not_registered, id_in_use, too_fast, full, "counted by refusal");
}
