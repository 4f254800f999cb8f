//! What the owner does for all downloaders of a content together: tells them what is new here, and gives the places to those who are to
//! have them.

use std::collections::BTreeMap;
use std::time::Duration;

use config::{UploadPolicy, UploadSettings};
use messages::node_to_node::{Control, Hint, Operation};
use messages::{ContentId, Conversation, Host, List, NodeId, PieceRun, Timestamp};

use super::Uploads;
use super::choker::{self, Claimant};
use super::penalties::{Penalties, Waste};
use super::served_content::ServedContent;
use super::session::UploadSession;
use super::slots::{LIGHT_RATE, MIN_RATE, Taken};
use crate::context::{Context, Gives};
use crate::ids::ShareId;
use crate::output::{Reason, Wait};

/// Who was told to wait asks again after so long, in case that it was not heard when it was called.
pub(super) const CHOKE_RETRY: Duration = Duration::from_secs(5);
/// A turn under the policy `fair`, in bytes, and one piece at least.
const FAIR_TURN: u64 = 4 << 20;
/// Places of a content under tit-for-tat: three by merit, one by lot (BEP 3).
const TIT_FOR_TAT: usize = 4;
/// Who was given so many pieces first, and has passed on none while others have, is served when nobody else wants to be.
const KEPT_PIECES: u32 = 4;

impl Uploads {
    /// Tells what is new, and gives the places, of every content for which that is due.
    pub(super) fn tend(&mut self, gives: &dyn Fn(ContentId, NodeId) -> Gives, cx: &mut Context<'_>) -> Wait {
        let mut next = Timestamp::NEVER;
        for share in self.busy.iter().copied().collect::<Vec<_>>() {
            self.tell_news(share, cx);
            self.give_places(share, gives, cx);
            match self.shares.get(&share).map(|served| served.next_at(cx.now)) {
                Some(at) if at < Timestamp::NEVER => next = next.min(at),
                _ => {
                    self.busy.remove(&share);
                }
            }
        }
        Wait { until: next, reason: Reason::Rechoke }
    }

    /// `who` has the pieces in `runs`: whoever was given them first has passed them on.
    pub(super) fn on_have(&mut self, who: Conversation, runs: &[PieceRun], now: Timestamp) {
        let said_by = self.sessions.get(&who).map(|session| (session.share, Host::of(session.peer)));
        let Some((share, host)) = said_by else { return };
        let Some(served) = self.shares.get_mut(&share).filter(|of| of.is_whole()) else { return };
        let piece_size = u64::from(served.manifest.layout().piece_size());
        if served.places.are_wanted() {
            self.busy.insert(share);
        }
        for (from, pieces) in served.spreading.on_have(runs, (who, host)) {
            if let Some(session) = self.sessions.get_mut(&from) {
                session.on_spread(piece_size * u64::from(pieces), now);
            }
        }
    }

    /// This node has all of `content`, and nothing of it is given to it any more: what each gave until now, as `gives` tells, counts.
    pub(crate) fn remember_gifts(&mut self, content: ContentId, gives: impl Fn(NodeId) -> Gives) {
        for session in self.sessions.values_mut().filter(|session| session.content == content) {
            session.gave_nothing = gives(session.node).is_snubbed;
        }
    }

    /// `session` wants nothing of `share` any more.
    pub(super) fn leave_place(&mut self, share: ShareId, session: Conversation) {
        if let Some(served) = self.shares.get_mut(&share) {
            served.places.leave(session);
        }
    }

    fn tell_news(&mut self, share: ShareId, cx: &mut Context<'_>) {
        let Some(served) = self.shares.get_mut(&share) else {
            return;
        };
        for have in served.take_news(cx.now) {
            self.news.push((served.content, have.clone()));
            for session in self.sessions.values().filter(|session| session.share == share) {
                cx.send(session.peer, session.theirs, &have);
            }
        }
    }

    fn give_places(
        &mut self,
        share: ShareId,
        gives: &dyn Fn(ContentId, NodeId) -> Gives,
        cx: &mut Context<'_>,
    ) {
        let Some(served) = self.shares.get_mut(&share).filter(|served| served.places.are_wanted()) else {
            return;
        };
        if served.finishes_spreading(cx.now) {
            return;
        }
        let (upload, sessions, slowed) = (cx.settings.upload.clone(), &mut self.sessions, &mut self.slowed);
        let places = slot_count(&upload);
        leave_unused(served, sessions, slowed, places, cx);
        let (mut sent_back, mut called) = (takes_too_little(served, sessions, places, cx), Vec::new());
        let places = places + served.places.beside_light();
        for session in sent_back.iter().filter_map(|ours| sessions.get(ours)) {
            slowed.on_wasted(Host::of(session.peer), Waste::Nibbled, cx.now);
        }
        if served.places.take_changed() {
            let [has, waits] = who(served, sessions, slowed, gives, cx.now);
            sent_back.extend(choker::too_many(&has, &waits, places));
        }
        match upload.policy {
            UploadPolicy::Fair => sent_back.extend(had_their_turn(served, sessions, slowed, gives, cx.now)),
            UploadPolicy::TitForTat if cx.now >= served.looks_at => {
                served.looks_at = Timestamp::NEVER;
                let all = who(served, sessions, slowed, gives, cx.now).concat();
                for claimant in &all {
                    if let Some(session) = sessions.get_mut(&claimant.session) {
                        session.is_snubbed = claimant.is_snubbed;
                    }
                }
                let chosen = choker::tit_for_tat(&all, places, cx.rng);
                sent_back.extend(served.places.served().filter(|ours| !chosen.contains(ours)));
                called.extend(chosen.into_iter().filter(|ours| !served.places.has(*ours)));
            }
            UploadPolicy::TitForTat => {}
        }
        for ours in sent_back {
            if served.places.has(ours) {
                served.places.send_back(ours);
                say(sessions, ours, Operation::Choke, cx);
            }
        }
        for _ in 0..served.places.vacant(places) {
            let next = match upload.policy {
                _ if !called.is_empty() => Some(called.remove(0)),
                policy => {
                    let [has, waits] = who(served, sessions, slowed, gives, cx.now);
                    match policy {
                        UploadPolicy::Fair => choker::next_in_turn(&has, &waits),
                        UploadPolicy::TitForTat => choker::next(&has, &waits, places, cx.rng),
                    }
                }
            };
            let Some(ours) = next else { break };
            let sent = (sessions.get(&ours).map_or(0, UploadSession::sent), served.sent);
            served.places.give(ours, sent, cx.now);
            say(sessions, ours, Operation::Unchoke, cx);
            let wants_hint =
                |session: &&mut UploadSession| session.wants_hint(|piece| served.spreading.is_fresh(piece));
            if let Some(session) = sessions.get_mut(&ours).filter(wants_hint).filter(|_| served.hints()) {
                pointed_at(ours, session, served, cx);
            }
        }
        let looks = upload.policy == UploadPolicy::TitForTat && served.places.are_wanted();
        if looks && served.looks_at == Timestamp::NEVER {
            served.looks_at = cx.now + upload.period;
        }
    }
}

/// What earns a place.
#[derive(Clone, Copy, Debug)]
enum Merit {
    /// What it gives to this node.
    Gives,
    /// What others have from it that it had from this node.
    PassesOn,
    /// What it takes.
    Takes,
}

/// `rate` bytes a second in one place; where a limit leaves less for each, a part of that.
fn within_limit(rate: u64, places: usize, cx: &Context<'_>) -> u64 {
    rate.min(cx.upload_limit.rate().map_or(u64::MAX, |limit| limit / (4 * places as u64)))
}

/// Those who use their place no more leave it.
fn leave_unused(
    served: &mut ServedContent,
    sessions: &BTreeMap<Conversation, UploadSession>,
    slowed: &mut Penalties,
    places: usize,
    cx: &Context<'_>,
) {
    let is_busy = |ours| sessions.get(&ours).is_some_and(UploadSession::is_busy);
    for ours in served.places.unused(cx.now, is_busy) {
        let session = sessions.get(&ours);
        let is_wasted = |session: &&UploadSession| {
            served.places.is_wasted(ours, session.sent(), within_limit(MIN_RATE, places, cx), cx.now)
        };
        if let Some(session) = session.filter(is_wasted) {
            slowed.on_wasted(Host::of(session.peer), Waste::Unused, cx.now);
        }
        served.places.leave(ours);
    }
}

/// Who of those with a place takes next to nothing in it.
fn takes_too_little(
    served: &mut ServedContent,
    sessions: &BTreeMap<Conversation, UploadSession>,
    places: usize,
    cx: &Context<'_>,
) -> Vec<Conversation> {
    let [least_rate, light_rate] = [MIN_RATE, LIGHT_RATE].map(|rate| within_limit(rate, places, cx));
    let taken = Taken { all: served.sent, places, least_rate, light_rate };
    served.places.slow(taken, |ours| sessions.get(&ours).map_or(0, UploadSession::sent), cx.now)
}

/// Who loses its place under the policy `fair`, because it has had its turn.
fn had_their_turn(
    served: &ServedContent,
    sessions: &BTreeMap<Conversation, UploadSession>,
    slowed: &mut Penalties,
    gives: &dyn Fn(ContentId, NodeId) -> Gives,
    now: Timestamp,
) -> Vec<Conversation> {
    let turn = FAIR_TURN.max(served.manifest.layout().piece_size().into());
    let had =
        served.places.had_their_turn(turn, |ours| sessions.get(&ours).map_or(0, UploadSession::sent), now);
    if had.is_empty() {
        return had;
    }
    let hosts = had.iter().filter_map(|ours| sessions.get(ours)).map(|session| Host::of(session.peer));
    hosts.for_each(|host| slowed.on_turn(host));
    let [has, waits] = who(served, sessions, slowed, gives, now);
    choker::give_way(&had, &has, &waits)
}

/// What choosing needs to know of `sessions` with one content: of those with a place, and of those who wait.
fn who(
    served: &ServedContent,
    sessions: &BTreeMap<Conversation, UploadSession>,
    slowed: &Penalties,
    gives: &dyn Fn(ContentId, NodeId) -> Gives,
    now: Timestamp,
) -> [Vec<Claimant>; 2] {
    let all = || served.places.served().chain(served.places.waiting()).filter_map(|ours| sessions.get(&ours));
    let merit = match served.is_whole() {
        false => Merit::Gives,
        // There is nothing that they could give to this node: what others got through them counts, while there is anything to pass on.
        true if all().any(|session| session.spread_rate(now) > 0) => Merit::PassesOn,
        true => Merit::Takes,
    };
    let claimants = |of: &mut dyn Iterator<Item = Conversation>| {
        let sessions = of.filter_map(|ours| Some((ours, sessions.get(&ours)?)));
        let claimant = |(ours, session): (Conversation, &UploadSession)| Claimant {
            is_slow: slowed.counts(Host::of(session.peer), now),
            ..claimant(ours, session, merit, gives, now)
        };
        sessions.map(claimant).collect()
    };
    [claimants(&mut served.places.served()), claimants(&mut served.places.waiting())]
}

/// `session` is told of pieces that others are not told of.
pub(super) fn pointed_at(
    ours: Conversation,
    session: &mut UploadSession,
    served: &mut ServedContent,
    cx: &mut Context<'_>,
) {
    let others = served.places.served().filter(|other| *other != ours).count();
    let pieces = served.spreading.hint(std::mem::take(session.hinted()), ours, others);
    if !pieces.is_empty() {
        let runs = List::first_of(pieces.iter().filter_map(|&piece| PieceRun::new(piece, 1)));
        cx.send(session.peer, session.theirs, &Hint { runs });
        *session.hinted() = pieces;
    }
}

/// How many downloaders of a content are served at once.
pub(super) fn slot_count(upload: &UploadSettings) -> usize {
    match upload.policy {
        UploadPolicy::TitForTat => TIT_FOR_TAT,
        UploadPolicy::Fair => usize::from(upload.slots),
    }
}

fn claimant(
    ours: Conversation,
    session: &UploadSession,
    merit: Merit,
    gives: &dyn Fn(ContentId, NodeId) -> Gives,
    now: Timestamp,
) -> Claimant {
    let Gives { rate, is_snubbed } = match merit {
        Merit::Gives => gives(session.content, session.node),
        Merit::PassesOn => {
            Gives { rate: session.spread_rate(now), is_snubbed: session.keeps_all(KEPT_PIECES) }
        }
        Merit::Takes => {
            // Next to nothing is no merit: who has got nothing yet is better.
            let rate = Some(session.rate(now)).filter(|rate| *rate >= MIN_RATE).unwrap_or(0);
            Gives { rate, is_snubbed: session.gave_nothing }
        }
    };
    let (host, is_new) = (Host::of(session.peer), session.sent() == 0);
    Claimant { session: ours, host, rate, is_new, is_snubbed, is_slow: false }
}

fn say(
    sessions: &BTreeMap<Conversation, UploadSession>,
    ours: Conversation,
    operation: Operation,
    cx: &mut Context<'_>,
) {
    if let Some(session) = sessions.get(&ours) {
        let retry_after_ms = if operation == Operation::Choke { CHOKE_RETRY.as_millis() as u16 } else { 0 };
        cx.send(session.peer, session.theirs, &Control { operation, retry_after_ms, request: 0 });
    }
}
