//! HELLO: who has shown that it is where it says is served, if there is room for it.

use std::net::SocketAddr;

use messages::node_to_node::{Bye, ByeReason, Control, Hello, Operation, Retry, Welcome};
use messages::{Conversation, Host, Timestamp};

use super::session::UploadSession;
use super::session_table::{Bounds, Room};
use super::slot_allocation::{pointed_at, slot_count};
use super::{Uploads, longest_datagram};
use crate::context::{Context, Route};
use crate::event::{Event, SessionEnd};
use crate::ids::ShareId;

impl Uploads {
    /// HELLO: its conversation is the downloader's own number.
    pub(crate) fn handle_hello(&mut self, from: SocketAddr, hello: &Hello, cx: &mut Context<'_>) {
        if !self.jar.accepts(hello.cookie, from, cx.now) {
            cx.counters.unproven += 1;
            let cookie = self.jar.bake(from, cx.now);
            cx.send(
                from,
                hello.conversation,
                &Retry { nonce: hello.nonce, echoed_at: hello.sent_at, cookie },
            );
            return;
        }
        let Some(&share) = self.by_content.get(&hello.content) else {
            let gone = Control { operation: Operation::Gone, retry_after_ms: 0, request: 0 };
            cx.send(from, hello.conversation, &gone);
            return;
        };
        let known = self.by_peer.get(&(from, hello.conversation));
        let ours = match known {
            Some(&ours) => ours,
            None => match self.open(from, hello, share, cx) {
                Some(ours) => ours,
                None => {
                    let retry_after_ms = 1000;
                    let busy = Control { operation: Operation::Busy, retry_after_ms, request: 0 };
                    cx.send(from, hello.conversation, &busy);
                    return;
                }
            },
        };
        self.welcome(ours, hello, cx);
    }

    fn open(
        &mut self,
        from: SocketAddr,
        hello: &Hello,
        share: ShareId,
        cx: &mut Context<'_>,
    ) -> Option<Conversation> {
        let host = Host::of(from);
        self.make_room(host, share, cx)?;
        let ours = cx.routes.open(Route::Upload, cx.rng);
        let ends_at = cx.now + cx.settings.network.session_idle;
        self.sessions.insert(ours, UploadSession::new(from, share, hello, ends_at, cx.now));
        self.by_peer.insert((from, hello.conversation), ours);
        self.seats.open(ours, host, cx.now);
        self.backstops.open(host, cx.now);
        if let Some(served) = self.shares.get_mut(&share) {
            served.seats.open(ours, host, cx.now);
        }
        self.deadlines.insert((ends_at, ours));
        let (content, peer, node) = (hello.content, from, hello.node);
        cx.out.events.push(Event::ServingStarted { content, peer, node });
        Some(ours)
    }

    /// Room for one more session of `host`, with `share`, is made where there is none: who may be more use comes before who is none.
    fn make_room(&mut self, host: Host, share: ShareId, cx: &mut Context<'_>) -> Option<()> {
        let sessions = &self.sessions;
        let asked_at = |ours| sessions.get(&ours).map_or(Timestamp::NEVER, UploadSession::asked_at);
        let served = self.shares.get_mut(&share)?;
        let network = &cx.settings.network;
        let bounds = Bounds {
            in_all: network.max_sessions as usize,
            of_host: (!host.is_loopback()).then_some(network.max_sessions_per_address as usize),
        };
        let in_part = served.most_sessions(cx.settings).map(|most| Bounds { in_all: most, of_host: None });
        let mut rooms = vec![self.seats.room_for(host, bounds, asked_at, cx.now)];
        if let Some(bounds) = in_part {
            let is_snubbed = |ours: &Conversation| sessions.get(ours).is_some_and(|of| of.is_snubbed);
            let is_full = served.seats.len() >= bounds.in_all;
            let snubbed = served.seats.sessions().filter(|ours| is_full && is_snubbed(ours));
            let snubbed = snubbed.min_by_key(|ours| asked_at(*ours));
            rooms.push(match snubbed {
                Some(snubbed) => Room::Instead(snubbed),
                None => served.seats.room_for(host, bounds, asked_at, cx.now),
            });
        }
        if rooms.contains(&Room::None) {
            return None;
        }
        for room in rooms {
            if let Room::Instead(ours) = room
                && let Some(session) = self.sessions.get(&ours)
            {
                cx.send(session.peer, session.theirs, &Bye { reason: ByeReason::Done });
                self.end(ours, SessionEnd::Silent, cx);
            }
        }
        Some(())
    }

    fn welcome(&mut self, ours: Conversation, hello: &Hello, cx: &mut Context<'_>) {
        let Some(session) = self.sessions.get_mut(&ours) else {
            return;
        };
        session.on_heard(cx.now);
        let Some(served) = self.shares.get_mut(&session.share) else {
            return;
        };
        let layout = served.manifest.layout();
        let welcome = Welcome {
            nonce: hello.nonce,
            echoed_at: hello.sent_at,
            conversation: ours,
            length: layout.length(),
            have: served.pieces(),
            max_outstanding: u32::try_from(cx.settings.network.session_window.as_u64()).unwrap_or(u32::MAX),
            max_datagram: longest_datagram(cx.settings),
            capabilities: session.grant(hello.capabilities),
            node: cx.node,
        };
        cx.send(session.peer, session.theirs, &welcome);
        if served.hints()
            && (2..=slot_count(&cx.settings.upload)).contains(&served.seats.len())
            && session.wants_hint(|piece| served.spreading.is_fresh(piece))
        {
            pointed_at(ours, session, served, cx);
        }
        self.tell_pieces(ours, cx.now);
    }
}
