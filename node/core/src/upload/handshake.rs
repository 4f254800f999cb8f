//! What follows a HELLO with a valid cookie: the decision which sessions make way for one more, and WELCOME.

use std::net::SocketAddr;

use messages::node_to_node::{Hello, Welcome};
use messages::{Conversation, FileMetadata, Host};

use super::served_content::ServedContent;
use super::session::UploadSession;
use super::session_table::{Admission, SessionLimits};
use super::sessions::Sessions;
use super::slot_limits::slot_count;
use crate::context::Context;

/// Decides whether one more session with `host`, for the content `served`, can be opened. Returns the sessions that
/// have to end for it: sessions that may be of more use take the place of useless ones.
pub(super) fn decide_admission(
    host: Host,
    sessions: &mut Sessions,
    served: &mut ServedContent,
    cx: &Context<'_>,
) -> Option<Vec<Conversation>> {
    let network = &cx.settings.network;
    let limits = SessionLimits {
        in_total: network.max_sessions as usize,
        per_host: (!host.is_loopback()).then_some(network.max_sessions_per_address as usize),
    };
    let at_node = sessions.decide_admission(host, limits, cx.now);
    let at_content = match served.max_sessions(&cx.settings.upload) {
        Some(most) => decide_admission_to_part(host, most, sessions, served, cx),
        None => Admission::Free,
    };
    let mut make_way = Vec::new();
    for admission in [at_node, at_content] {
        match admission {
            Admission::Free => {}
            Admission::Replacing(session) => make_way.push(session),
            Admission::Refused => return None,
        }
    }
    make_way.dedup();
    Some(make_way)
}

/// Decides the same for a content of which only a part is here. A session that gives nothing makes way first.
fn decide_admission_to_part(
    host: Host,
    most: usize,
    sessions: &Sessions,
    served: &mut ServedContent,
    cx: &Context<'_>,
) -> Admission {
    let asked_at = |ours| sessions[ours].activity.asked_at();
    if served.sessions.len() >= most {
        let is_snubbed = |ours: &Conversation| sessions[*ours].contribution.is_snubbed();
        let snubbed = served.sessions.sessions().filter(is_snubbed);
        if let Some(snubbed) = snubbed.min_by_key(|ours| asked_at(*ours)) {
            return Admission::Replacing(snubbed);
        }
    }
    let limits = SessionLimits { in_total: most, per_host: None };
    served.sessions.decide_admission(host, limits, asked_at, cx.now)
}

/// Answers `hello` in the session `ours` with WELCOME, which tells the downloader what there is.
pub(super) fn welcome(
    ours: Conversation,
    session: &mut UploadSession,
    served: &mut ServedContent,
    hello: &Hello,
    cx: &mut Context<'_>,
) {
    session.activity.on_heard(cx.now);
    let welcome = Welcome {
        nonce: hello.nonce,
        echoed_at: hello.sent_at,
        conversation: ours,
        length: served.outboard.layout().length(),
        have: served.pieces(),
        max_outstanding: u32::try_from(cx.settings.network.session_window.as_u64()).unwrap_or(u32::MAX),
        max_datagram: max_datagram(session.peer, cx),
        capabilities: session.grant(hello.capabilities),
        node: cx.node,
        file: if served.is_whole() { served.file } else { FileMetadata::default() },
    };
    session.send(&welcome, cx);
    if served.gives_hints()
        && (2..=slot_count(&cx.settings.upload)).contains(&served.sessions.len())
        && session.hints.wants_more(|piece| served.super_seed.is_fresh(piece))
    {
        session.send_hint(ours, served, cx);
    }
    session.want_piece_updates(served, cx.now);
}

/// The length of the longest datagram that is sent to `peer`, in bytes, before it is sealed.
pub(super) fn max_datagram(peer: SocketAddr, cx: &Context<'_>) -> u16 {
    match cx.settings.network.segment_size {
        0 => cx.max_datagram(peer),
        longest => longest.min(cx.max_datagram(peer)),
    }
}
