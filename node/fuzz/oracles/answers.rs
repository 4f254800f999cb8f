//! What a tracker, owners and a disk answer to a node that downloads: honestly, or anything.

use std::net::SocketAddr;
use std::path::PathBuf;

use messages::limits::MAX_CONTENT;
use messages::node_to_node::{Control, Hello, Operation, Ping, Request, Retry, Welcome};
use messages::node_to_tracker::{Permille, Query};
use messages::tracker_to_node::{
    ContentOwners, Goodbye, Listed, Listing, Owned, Owner, Owners, RefusalCode, Refused, Registered, Updated,
};
use messages::{
    ChunkHeader, Conversation, Cookie, Endpoint, List, NodeId, NodeToTracker, OutboardError, PageEnd,
    PieceIndex,
};
use riffle_core::{DiskErrorKind, DiskRequest, DiskResult, FetchPlan, FinishedTarget, Opened, StoreError};

use super::{Intent, Play, REMEMBERED, Session};
use crate::script::Script;
use crate::stage::{Content, NODE, disk_error};

impl Play<'_> {
    pub(super) fn answer_of_tracker(
        &mut self,
        conversation: Conversation,
        asked: &NodeToTracker,
        intent: Intent,
    ) {
        let cookie = Cookie::from_bytes([7; 16]);
        if self.way(intent, 8) == 7 {
            let codes = [
                RefusalCode::Cookie,
                RefusalCode::NotRegistered,
                RefusalCode::IdInUse,
                RefusalCode::TooFast,
                RefusalCode::Full,
            ];
            let code = codes[self.script.below(codes.len())];
            let cookie = Cookie::from_bytes([self.script.byte(); 16]);
            let retry_after_ms = self.script.word();
            return self.send_from_tracker(conversation, Refused { code, retry_after_ms, cookie });
        }
        let lies = intent == Intent::Any;
        match asked {
            NodeToTracker::Register(_) => {
                let registered = Registered {
                    cookie,
                    tracker_epoch: if lies { self.script.byte().into() } else { 0 },
                    interval_ms: if lies { self.script.word() } else { 20_000 },
                    resync: lies && self.script.coin(),
                    observed: Endpoint::new(self.addresses[0]),
                };
                self.send_from_tracker(conversation, registered);
            }
            NodeToTracker::Own(own) => {
                let accepted = if lies { self.script.byte().into() } else { own.entries.len() as u16 };
                self.send_from_tracker(conversation, Owned { accepted });
            }
            NodeToTracker::Need(need) => {
                let owners = self.owners_for(&need.query, intent);
                self.send_from_tracker(conversation, owners);
            }
            NodeToTracker::Update(update) => {
                let sequence = if lies { self.script.byte().into() } else { update.sequence };
                self.send_from_tracker(conversation, Updated { sequence });
            }
            NodeToTracker::Exit(_) => self.send_from_tracker(conversation, Goodbye),
            NodeToTracker::TrackerPong(_) => {}
        }
    }

    pub(super) fn owners_for(&mut self, query: &Query, intent: Intent) -> Owners {
        let asked = match query {
            Query::Content(id) => self.contents.iter().find(|content| content.id == *id).cloned(),
            Query::Name(name) | Query::Newest(name) | Query::NameFrom { name, .. } => {
                self.contents.iter().find(|content| content.name == *name).cloned()
            }
            Query::Digits(digits) => self.contents.iter().find(|content| digits.begin(content.id)).cloned(),
            Query::Search { .. } => None,
        };
        let way = self.way(intent, 5);
        let content = match (asked, way) {
            (Some(content), 0..4) => content,
            _ => self.content(),
        };
        let length = content.outboard.layout().length();
        let length = if way == 1 { self.script.long() % (MAX_CONTENT + 1) } else { length };
        let listed = |content: &Content| {
            let (complete, partial, hosts, age_s) = (1, 0, u32::from(content.id.as_bytes()[0]), 0);
            Listed {
                content: content.id,
                length,
                complete,
                partial,
                hosts,
                age_s,
                name: content.name.clone(),
            }
        };
        match way {
            2 if self.script.coin() => Owners::Unknown { whole_in_ms: self.script.word() },
            2 => {
                let contents = List::first_of(self.contents.iter().map(listed));
                let more = self.script.coin().then_some(PageEnd { tier: 7, number: 1 });
                Owners::Contents(Listing { contents, more })
            }
            _ => {
                let mut owners = List::new();
                let count = if intent == Intent::Honest { 3 } else { self.script.below(21) };
                for number in 0..count {
                    let (node, address) = match intent {
                        Intent::Honest => (number as u8, self.addresses[number]),
                        Intent::Any if way == 3 => {
                            // A crowd that nobody has heard of.
                            let [low, high] = self.script.half().to_le_bytes();
                            (low, SocketAddr::from(([10, 1, high, low], 7000)))
                        }
                        Intent::Any => (self.script.below(6) as u8, self.address()),
                    };
                    let node = if way == 4 && number == 0 { NODE } else { NodeId::from_bytes([node; 16]) };
                    self.stage.named.insert(address);
                    self.owners.insert(address, node);
                    let owner =
                        Owner { node, endpoint: Endpoint::new(address), permille: Permille::COMPLETE };
                    owners.push(owner).expect("no more than twenty");
                }
                Owners::Content(ContentOwners { content: listed(&content), owners })
            }
        }
    }

    pub(super) fn answer_hello(&mut self, at: SocketAddr, hello: &Hello, intent: Intent) {
        let (nonce, echoed_at) = (hello.nonce, hello.sent_at);
        let downloader = hello.conversation;
        match self.way(intent, 6) {
            1 => {
                let cookie = Cookie::from_bytes([self.script.byte(); 16]);
                return self.send_message(at, downloader, Retry { nonce, echoed_at, cookie });
            }
            2 => {
                let operation = if self.script.coin() { Operation::Busy } else { Operation::Gone };
                let retry_after_ms = self.script.half();
                return self.send_message(at, downloader, Control { operation, retry_after_ms, request: 0 });
            }
            _ => {}
        }
        let Some(content) = self.contents.iter().find(|content| content.id == hello.content).cloned() else {
            return;
        };
        let layout = content.outboard.layout();
        let conversation = Conversation(self.next_conversation);
        self.next_conversation += 1;
        let mut welcome = Welcome {
            nonce,
            echoed_at,
            conversation,
            length: layout.length(),
            have: layout.pieces(),
            max_outstanding: 1 << 20,
            max_datagram: 1472,
            capabilities: 0,
            node: self.owners.get(&at).copied().unwrap_or(NodeId::from_bytes([1; 16])),
            file: messages::FileMetadata::default(),
        };
        if self.way(intent, 4) == 3 {
            match self.script.below(7) {
                0 => {
                    welcome.nonce ^= 1;
                    welcome.file.is_executable = true;
                }
                1 => welcome.length = self.script.long() % (MAX_CONTENT + 1),
                2 => welcome.have = self.script.byte().into(),
                3 => welcome.max_outstanding = self.script.half().into(),
                4 => welcome.max_datagram = 1200 + self.script.half() % 60_000,
                5 => welcome.node = NodeId::from_bytes([0x77; 16]),
                _ => welcome.echoed_at = self.script.word(),
            }
        }
        if self.sessions.len() == REMEMBERED {
            self.sessions.pop_first();
        }
        self.sessions.insert(conversation, Session { at, downloader, content: hello.content, sequence: 0 });
        self.seen.sessions += 1;
        self.send_message(at, downloader, welcome);
    }

    /// The CHUNKs of each range; with any intent some are missing, wrong, late or not what was asked.
    pub(super) fn answer_request(
        &mut self,
        at: SocketAddr,
        theirs: Conversation,
        request: &Request,
        intent: Intent,
    ) {
        let Some(session) = self.sessions.get(&theirs).copied().filter(|session| session.at == at) else {
            return;
        };
        let segment = u32::from(request.segment_size);
        for (number, range) in (0u32..).zip(request.ranges.iter()) {
            let number = request.first_request.wrapping_add(number);
            let way = self.way(intent, 6);
            if way == 1 {
                let operation = if self.script.coin() { Operation::Reject } else { Operation::Busy };
                let retry_after_ms = self.script.half() % 3000;
                self.send_message(
                    at,
                    session.downloader,
                    Control { operation, retry_after_ms, request: number },
                );
                continue;
            }
            let count = range.segments(request.segment_size);
            for index in 0..count {
                let offset = range.offset() + index * segment;
                let mut header = ChunkHeader {
                    conversation: session.downloader,
                    sequence: session.sequence.wrapping_add(index),
                    request: number,
                    piece: range.piece(),
                    offset,
                    sent_at: self.stage.now.wire_micros(),
                    index: index as u8,
                    count: count as u8,
                    hold: 0,
                };
                let mut length = segment.min(range.end() - offset);
                if way == 2 && self.script.below(8) == 0 {
                    self.spoil(&mut header, &mut length);
                }
                if way == 3 && self.script.below(4) == 0 {
                    continue;
                }
                self.chunk(at, &header, length);
                if way == 4 && self.script.below(8) == 0 {
                    self.chunk(at, &header, length);
                }
            }
            if let Some(session) = self.sessions.get_mut(&theirs) {
                session.sequence = session.sequence.wrapping_add(count);
            }
        }
        if request.ranges.is_empty() && intent == Intent::Any {
            self.send_message(at, session.downloader, Ping::new(9));
        }
    }

    pub(super) fn spoil(&mut self, header: &mut ChunkHeader, length: &mut u32) {
        match self.script.below(8) {
            0 => header.request = header.request.wrapping_add(self.script.byte().into()),
            1 => header.offset = self.script.word(),
            2 => header.piece = PieceIndex(self.script.byte().into()),
            3 => header.piece = PieceIndex::OUTBOARD,
            4 => header.index = self.script.byte() % 64,
            5 => (header.index, header.count) = (0, 1),
            6 => header.sequence = self.script.word(),
            _ => *length = 1 + u32::from(self.script.half()) % 65_475,
        }
        header.count = header.count.max(header.index + 1);
    }

    pub(super) fn result_of(&mut self, request: DiskRequest, good: bool) -> DiskResult {
        let kinds = [DiskErrorKind::Full { needed: 5 }, DiskErrorKind::Permission, DiskErrorKind::InUse];
        let error = |script: &mut Script<'_>| disk_error(kinds[script.below(kinds.len())].clone());
        match request {
            DiskRequest::CheckOutboard { download, buffer, content, .. } => {
                self.stage.returns(buffer);
                let known = self.contents.iter().find(|known| known.id == content && good);
                let result = known.map(|known| known.outboard.clone()).ok_or(OutboardError::OtherContent);
                DiskResult::OutboardChecked { download, buffer, result }
            }
            DiskRequest::LookAtTarget { download, .. } => {
                DiskResult::TargetSeen { download, has_nothing: good }
            }
            DiskRequest::Open { download, share, content, .. } => {
                let known =
                    self.contents.iter().find(|known| known.id == content).expect("a content that there is");
                self.stage.open.insert(share, known.clone());
                let result = match good {
                    true => Ok(Opened::Ready { plan: FetchPlan::of_all(Vec::new()), hashed_again: None }),
                    false => Err(error(&mut self.script)),
                };
                DiskResult::Opened { download, result }
            }
            DiskRequest::Store { download, piece, buffer, .. } => {
                self.stage.returns(buffer);
                self.seen.stored += usize::from(good);
                let result = match (good, self.script.coin()) {
                    (true, _) => Ok(()),
                    (false, true) => Err(StoreError::Hash),
                    (false, false) => Err(StoreError::Disk(disk_error(DiskErrorKind::Full { needed: 1 }))),
                };
                DiskResult::Stored { download, piece, buffer, result }
            }
            DiskRequest::Finish { download, file } => {
                self.seen.finished += usize::from(good);
                let result = match good {
                    true => {
                        let (path, file) = (PathBuf::from("folder/file"), file.unwrap_or_default());
                        Ok(FinishedTarget { path, file, renamed: Vec::new(), is_whole: true })
                    }
                    false => Err(error(&mut self.script)),
                };
                DiskResult::Finished { download, result }
            }
            DiskRequest::Share { .. }
            | DiskRequest::Unshare { .. }
            | DiskRequest::Preview { .. }
            | DiskRequest::Abandon { .. }
            | DiskRequest::OpenIndex { .. }
            | DiskRequest::ReadIndex { .. } => {
                panic!("a node that only downloads asks the disk for this")
            }
        }
    }
}
