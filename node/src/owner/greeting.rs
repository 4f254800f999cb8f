//! HELLO: who has shown that it is where it says is served, if there is room for it.

use std::net::SocketAddr;
use std::time::Duration;

use messages::Conversation;
use messages::node_to_node::{Bye, ByeReason, Control, Hello, Operation, Retry, Welcome};

use super::session::Serving;
use super::swarm::{places, pointed_at};
use super::{Owner, longest_datagram};
use crate::context::{Context, Route};
use crate::event::{Event, SessionEnd};
use crate::ids::ShareId;

/// Where there are as many downloaders as there can be, one that has asked for nothing for so long makes room: who waits for a place asks twice in
/// that time.
const IDLE_AMONG_MANY: Duration = Duration::from_secs(10);

impl Owner {
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
        if self.shares.get(&share).is_some_and(|served| served.is_crowded(cx.settings)) {
            self.end_the_least_useful(share, cx);
        }
        let of_address = self.per_address.entry(from.ip()).or_default();
        let full = self.sessions.len() >= cx.settings.network.max_sessions as usize
            || self.shares.get(&share).is_some_and(|served| served.is_crowded(cx.settings));
        let crowded = !from.ip().is_loopback() && *of_address >= cx.settings.network.max_sessions_per_address;
        if full || crowded {
            if *of_address == 0 {
                self.per_address.remove(&from.ip());
            }
            return None;
        }
        *of_address += 1;
        let ours = cx.routes.open(Route::Owner, cx.rng);
        let ends_at = cx.now + cx.settings.network.session_idle;
        self.sessions.insert(ours, Serving::new(from, share, hello, ends_at, cx.now));
        self.by_peer.insert((from, hello.conversation), ours);
        if let Some(served) = self.shares.get_mut(&share) {
            served.sessions += 1;
        }
        self.deadlines.insert((ends_at, ours));
        let (content, peer, node) = (hello.content, from, hello.node);
        cx.out.events.push(Event::ServingStarted { content, peer, node });
        Some(ours)
    }

    /// Of the sessions with `share` one that gives nothing, or the one that has asked for nothing for the longest, makes room for who may be more use.
    fn end_the_least_useful(&mut self, share: ShareId, cx: &mut Context<'_>) {
        let of_share = self.sessions.iter().filter(|(_, session)| session.share == share);
        let least = of_share.min_by_key(|(_, session)| (!session.is_snubbed, session.asked_at()));
        let may_end =
            |session: &Serving| session.is_snubbed || cx.now >= session.asked_at() + IDLE_AMONG_MANY;
        if let Some((&ours, session)) = least.filter(|(_, session)| may_end(session)) {
            cx.send(session.peer, session.theirs, &Bye { reason: ByeReason::Done });
            self.end(ours, SessionEnd::Silent, cx);
        }
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
            && (2..=places(&cx.settings.upload)).contains(&served.sessions)
            && session.wants_hint(|piece| served.spreading.is_fresh(piece))
        {
            pointed_at(ours, session, served, cx);
        }
        served.bitfields().for_each(|bits| cx.send(session.peer, session.theirs, &bits));
    }
}
