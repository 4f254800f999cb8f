//! Gives the slots of one content to the sessions that are to have them. What is known of the sessions goes into the
//! plain values of the choker, and its choices come out as CHOKE and UNCHOKE.

use config::{UploadPolicy, UploadSettings};
use messages::node_to_node::{Control, Operation};
use messages::{ContentId, Conversation, NodeId, Timestamp};

use super::choker::{self, Claimant};
use super::penalties::{Penalties, SlotWaste};
use super::served_content::ServedContent;
use super::session::UploadSession;
use super::sessions::Sessions;
use super::slot_limits::{CHOKE_RETRY, fair_turn, rate_within_limit, slot_count};
use super::slots::{Delivered, LIGHT_SLOT_RATE, MIN_SLOT_RATE, Sent};
use crate::context::{Context, Reciprocation};

/// A session that was the first to be given this many pieces, and has passed on none of them while others have passed
/// on theirs, is served only when nobody else wants to be.
const KEPT_PIECES: u32 = 4;
/// The reason why a session that has a slot or waits for one exists.
const OPEN: &str = "a session that ends wants no slot any more";

/// What earns a slot.
#[derive(Clone, Copy, Debug)]
enum Ranking {
    /// The rate at which the session gives to this node.
    Giving,
    /// The rate at which the session passes on to others what it has from this node.
    PassingOn,
    /// The rate at which the session takes from this node.
    Taking,
}

/// Everything that decides which sessions get the slots of one content.
pub(super) struct SlotAllocation<'a, 'b> {
    pub(super) served: &'a mut ServedContent,
    pub(super) sessions: &'a mut Sessions,
    pub(super) penalties: &'a mut Penalties,
    /// Tells what a node gives to this one of a content.
    pub(super) reciprocation: &'a dyn Fn(ContentId, NodeId) -> Reciprocation,
    pub(super) cx: &'a mut Context<'b>,
}

impl SlotAllocation<'_, '_> {
    /// Takes slots from sessions that are to have none, and gives free slots to waiting sessions, if any wait.
    pub(super) fn run(mut self) {
        if !self.served.slots.has_waiting() || self.served.is_finishing_super_seed(self.cx.now) {
            return;
        }
        let upload = &self.cx.settings.upload;
        let slots = slot_count(upload);
        self.release_unused(slots);
        let mut choked = self.find_underused(slots);
        let slots = slots + self.served.slots.extra_slots();
        if self.served.slots.take_changed() {
            let [served, waiting] = self.claimants();
            choked.extend(choker::above_host_share(&served, &waiting, slots));
        }
        let mut unchoked = Vec::new();
        match upload.policy {
            UploadPolicy::Fair => choked.extend(self.find_ended_turns()),
            UploadPolicy::TitForTat if self.cx.now >= self.served.rechoke_at => {
                let chosen = self.rechoke(slots);
                choked.extend(self.served.slots.served().filter(|ours| !chosen.contains(ours)));
                unchoked.extend(chosen.into_iter().filter(|ours| !self.served.slots.has(*ours)));
            }
            UploadPolicy::TitForTat => {}
        }
        self.choke(choked);
        self.fill(slots, unchoked, upload.policy);
        self.schedule_rechoke(upload);
    }

    /// Releases the slots of sessions that do not use them any more.
    fn release_unused(&mut self, slots: usize) {
        let (sessions, now) = (&*self.sessions, self.cx.now);
        let is_busy = |ours| sessions[ours].requests.has_requests();
        let min_rate = rate_within_limit(MIN_SLOT_RATE, slots, self.cx.upload_limit.rate());
        for ours in self.served.slots.find_unused(now, is_busy) {
            let session = &sessions[ours];
            if self.served.slots.is_wasted(ours, session.sent(), min_rate, now) {
                self.penalties.on_wasted(session.host(), SlotWaste::Unused, now);
            }
            self.served.slots.release(ours);
        }
    }

    /// Finds the sessions that take next to nothing in their slot. Their hosts are penalized.
    fn find_underused(&mut self, slots: usize) -> Vec<Conversation> {
        let (sessions, now) = (&*self.sessions, self.cx.now);
        let limit = self.cx.upload_limit.rate();
        let [min_rate, light_rate] =
            [MIN_SLOT_RATE, LIGHT_SLOT_RATE].map(|rate| rate_within_limit(rate, slots, limit));
        let delivered = Delivered { total_sent: self.served.sent, slots, min_rate, light_rate };
        let underused = self.served.slots.measure(delivered, |ours| sessions[ours].sent(), now);
        for session in underused.iter().map(|ours| &sessions[*ours]) {
            self.penalties.on_wasted(session.host(), SlotWaste::Underused, now);
        }
        underused
    }

    /// Finds the sessions that lose their slot under the policy `fair`, because they have had their turn. The penalties
    /// of their hosts end.
    fn find_ended_turns(&mut self) -> Vec<Conversation> {
        let sessions = &*self.sessions;
        let turn = fair_turn(self.served.outboard.layout().piece_size());
        let ended = self.served.slots.ended_turns(turn, |ours| sessions[ours].sent(), self.cx.now);
        if ended.is_empty() {
            return ended;
        }
        for session in ended.iter().map(|ours| &sessions[*ours]) {
            self.penalties.on_turn(session.host());
        }
        let [served, waiting] = self.claimants();
        choker::give_way(&ended, &served, &waiting)
    }

    /// Decides anew, under tit-for-tat, which sessions get one of `slots`.
    fn rechoke(&mut self, slots: usize) -> Vec<Conversation> {
        self.served.rechoke_at = Timestamp::NEVER;
        let claimants = self.claimants().concat();
        for claimant in &claimants {
            let mut session = self.sessions.get_mut(claimant.session).expect(OPEN);
            session.contribution.set_snubbed(claimant.is_snubbed);
        }
        choker::tit_for_tat(&claimants, slots, self.cx.rng)
    }

    fn choke(&mut self, choked: Vec<Conversation>) {
        for ours in choked {
            if self.served.slots.has(ours) {
                self.served.slots.choke(ours);
                self.send_control(ours, Operation::Choke);
            }
        }
    }

    /// Gives the free ones of `slots` to the `chosen` sessions, and then to others while there are free slots.
    fn fill(&mut self, slots: usize, chosen: Vec<Conversation>, policy: UploadPolicy) {
        let mut chosen = chosen.into_iter();
        for _ in 0..self.served.slots.vacant(slots) {
            let ours = chosen.next().or_else(|| self.choose(slots, policy));
            let ours =
                ours.expect("no more slots are vacant than sessions wait, and one that waits is chosen");
            let sent = Sent { to_session: self.sessions[ours].sent(), in_total: self.served.sent };
            self.served.slots.unchoke(ours, sent, self.cx.now);
            self.send_control(ours, Operation::Unchoke);
            let mut session = self.sessions.get_mut(ours).expect(OPEN);
            if self.served.gives_hints()
                && session.hints.wants_more(|piece| self.served.super_seed.is_fresh(piece))
            {
                session.send_hint(ours, self.served, self.cx);
            }
        }
    }

    fn choose(&mut self, slots: usize, policy: UploadPolicy) -> Option<Conversation> {
        let [served, waiting] = self.claimants();
        match policy {
            UploadPolicy::Fair => choker::next_in_turn(&served, &waiting),
            UploadPolicy::TitForTat => choker::next_by_merit(&served, &waiting, slots, self.cx.rng),
        }
    }

    fn schedule_rechoke(&mut self, upload: &UploadSettings) {
        let is_due = upload.policy == UploadPolicy::TitForTat && self.served.slots.has_waiting();
        if is_due && self.served.rechoke_at == Timestamp::NEVER {
            self.served.rechoke_at = self.cx.now + upload.period;
        }
    }

    /// What the choker needs to know: of the sessions with a slot, and of those that wait.
    fn claimants(&self) -> [Vec<Claimant>; 2] {
        let ranking = self.ranking();
        let claimant = |ours| self.claimant(ours, &self.sessions[ours], ranking);
        let slots = &self.served.slots;
        [slots.served().map(claimant).collect(), slots.waiting().map(claimant).collect()]
    }

    fn ranking(&self) -> Ranking {
        let slots = &self.served.slots;
        let mut all = slots.served().chain(slots.waiting()).map(|ours| &self.sessions[ours]);
        match self.served.is_whole() {
            false => Ranking::Giving,
            // The sessions have nothing to give to this node, so it counts what other downloaders got through them,
            // while there is anything to pass on.
            true if all.any(|session| session.contribution.pass_on_rate(self.cx.now) > 0) => {
                Ranking::PassingOn
            }
            true => Ranking::Taking,
        }
    }

    fn claimant(&self, ours: Conversation, session: &UploadSession, ranking: Ranking) -> Claimant {
        let now = self.cx.now;
        let Reciprocation { rate, is_snubbed } = match ranking {
            Ranking::Giving => (self.reciprocation)(session.content, session.node),
            Ranking::PassingOn => Reciprocation {
                rate: session.contribution.pass_on_rate(now),
                is_snubbed: session.contribution.keeps_all(KEPT_PIECES),
            },
            Ranking::Taking => {
                // A rate of next to nothing earns nothing: a session that has been sent nothing yet is better.
                let rate = Some(session.rate(now)).filter(|rate| *rate >= MIN_SLOT_RATE).unwrap_or(0);
                Reciprocation { rate, is_snubbed: session.contribution.gave_nothing() }
            }
        };
        let host = session.host();
        let is_penalized = self.penalties.is_penalized(host, now);
        Claimant { session: ours, host, rate, is_new: session.sent() == 0, is_snubbed, is_penalized }
    }

    fn send_control(&mut self, ours: Conversation, operation: Operation) {
        let retry_after_ms = if operation == Operation::Choke { CHOKE_RETRY.as_millis() as u16 } else { 0 };
        let control = Control { operation, retry_after_ms, request: 0 };
        self.sessions[ours].send(&control, self.cx);
    }
}
