//! The network thread: runs the core between its socket, its disk and its clock.
//!
//! One turn receives what is there (bounded), drains commands and disk results, polls the core once, and carries out
//! its output. When the core has more output the next turn follows at once, so that datagrams are received in between.
//! Otherwise the thread sleeps until something arrives or the core's wake-up is due.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use channel::{Members, SwarmSecrets};
use messages::{ChunkHeader, FileMetadata, Kind, Outboard, Timestamp};
use riffle_core::{
    Burst, Command, DiskResult, DownloadId, FinishedTarget, Node, Output, PieceBuffers, ShareId, Status, Wait,
};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, trace};

use super::clock::Clock;
use super::disk::{Completion, Disk, Finished, Part, Served};
use super::event_log;
use super::net::Receiver;
use super::net::Transmitter;
use super::pool::Pool;
use super::serve::{FileCache, FolderLoss};

/// One turn receives at most so many batches before the core answers.
const MAX_BATCHES: usize = 2;
/// Files are compared with what was announced, and written pieces are made durable, once in this period.
const TICK: Duration = Duration::from_secs(1);
/// The thread sleeps no longer than this, even when the core has no wake-up.
const MAX_SLEEP: Duration = Duration::from_secs(60);
/// The offset of the kind in a datagram.
const KIND_AT: usize = 3;

/// A request of another thread.
pub(crate) enum Request {
    /// A command for the core.
    Command(Command),
    /// The status of the node, to be sent there.
    Status(oneshot::Sender<Status>),
    /// The part file of a download, if that is open.
    Part(DownloadId, oneshot::Sender<Option<Arc<Part>>>),
    /// The secrets of its closed swarm have changed.
    ChangeSecrets(SwarmSecrets),
    /// The list of the swarm's members has changed.
    ChangeMembers(Members),
    /// The node stops.
    Stop,
}

/// Takes what happens to a node, on the node's network thread: it must not wait for anything. Dropped when the node
/// ends.
pub(crate) type EventSink = Box<dyn FnMut(riffle_core::Event) + Send>;

/// Everything that the network thread owns.
pub(crate) struct NetworkThread {
    pub(crate) node: Node,
    pub(crate) clock: Clock,
    pub(crate) socket: UdpSocket,
    pub(crate) receiver: Receiver,
    pub(crate) transmitter: Transmitter,
    pub(crate) file_cache: FileCache,
    pub(crate) pool: Pool,
    pub(crate) disk: Disk,
    pub(crate) requests: mpsc::UnboundedReceiver<Request>,
    pub(crate) results: mpsc::UnboundedReceiver<Completion>,
    pub(crate) events: EventSink,
}

/// What ended a sleep.
enum Woken {
    Request(Option<Request>),
    Completion(Option<Completion>),
    Socket,
    Time,
}

impl NetworkThread {
    /// Runs until a stop is requested or the last handle of the node is dropped.
    pub(crate) async fn run(&mut self) {
        let mut out = Output::default();
        let mut next_tick = self.clock.now() + TICK;
        loop {
            self.receive();
            if self.drain_inputs().is_break() {
                break;
            }
            let wait = self.poll_core(&mut out);
            let now = self.clock.now();
            if now >= next_tick {
                next_tick = now + TICK;
                self.file_cache.tick();
                self.disk.tick();
            }
            if wait.until <= now {
                if self.transmitter.is_blocked() {
                    // Lets the reactor see whether the socket has become writable.
                    tokio::task::yield_now().await;
                }
                continue;
            }
            trace!(reason = ?wait.reason, nanos = wait.until.since(now).as_nanos() as u64, "waits");
            if self.sleep(wait.until.min(next_tick)).await.is_break() {
                break;
            }
        }
        self.log_counters();
    }

    async fn sleep(&mut self, until: Timestamp) -> ControlFlow<()> {
        let longest = tokio::time::Instant::now() + MAX_SLEEP;
        let until = self.clock.instant(until).map_or(longest, |at| longest.min(at.into()));
        let woken = tokio::select! {
            _ = self.socket.readable() => Woken::Socket,
            _ = self.socket.writable(), if self.transmitter.is_blocked() => Woken::Socket,
            request = self.requests.recv() => Woken::Request(request),
            completion = self.results.recv() => Woken::Completion(completion),
            () = tokio::time::sleep_until(until) => Woken::Time,
        };
        match woken {
            Woken::Request(Some(request)) => self.on_request(request),
            Woken::Request(None) => ControlFlow::Break(()),
            Woken::Completion(Some(completion)) => {
                self.on_completion(completion);
                ControlFlow::Continue(())
            }
            Woken::Completion(None) | Woken::Socket | Woken::Time => ControlFlow::Continue(()),
        }
    }

    fn receive(&mut self) {
        for _ in 0..MAX_BATCHES {
            let may_be_more = match self.receiver.receive(&self.socket, self.transmitter.state()) {
                Ok(may_be_more) => may_be_more,
                Err(cause) => {
                    // Something that was sent could not be delivered; reading it has cleared it.
                    debug!(%cause, "receive");
                    continue;
                }
            };
            let now = self.clock.now();
            for (from, datagram) in self.receiver.datagrams() {
                if Kind::is_channel(datagram) {
                    self.node.receive_sealed(from, datagram, &mut self.pool, now);
                } else if datagram.get(KIND_AT) == Some(&(Kind::Chunk as u8))
                    && let Ok((header, payload)) = ChunkHeader::decode(datagram)
                {
                    if let Some(place) = self.node.handle_chunk(from, &header, payload.len(), now) {
                        self.pool.write(place, payload);
                    }
                } else {
                    self.node.handle_datagram(from, datagram, now);
                }
            }
            if !may_be_more {
                return;
            }
        }
    }

    fn drain_inputs(&mut self) -> ControlFlow<()> {
        while let Ok(completion) = self.results.try_recv() {
            self.on_completion(completion);
        }
        loop {
            match self.requests.try_recv() {
                Ok(request) => {
                    if self.on_request(request).is_break() {
                        return ControlFlow::Break(());
                    }
                }
                Err(mpsc::error::TryRecvError::Empty) => return ControlFlow::Continue(()),
                Err(mpsc::error::TryRecvError::Disconnected) => return ControlFlow::Break(()),
            }
        }
    }

    fn on_request(&mut self, request: Request) -> ControlFlow<()> {
        let now = self.clock.now();
        match request {
            Request::Command(command) => {
                event_log::log_command(&command);
                self.node.handle_command(command, now);
            }
            Request::Status(answer) => {
                // Who asked may have gone.
                let _ = answer.send(self.node.status(now));
            }
            Request::Part(download, answer) => {
                let _ = answer.send(self.disk.part_of(download));
            }
            Request::ChangeSecrets(secrets) => {
                if let Some(channels) = self.node.channels() {
                    channels.change_secrets(&secrets);
                }
            }
            Request::ChangeMembers(members) => {
                self.node.change_members(&members, now);
            }
            Request::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn on_completion(&mut self, completion: Completion) {
        match completion {
            Completion::ForCore(result) => {
                match &result {
                    DiskResult::Shared { share, .. } => {
                        self.disk.on_shared(*share);
                    }
                    DiskResult::Opened { download, .. } => self.disk.on_download_ended(*download),
                    _ => {}
                }
                self.handle_disk_result(result);
            }
            Completion::Shared { share, outboard, served, file } => {
                self.on_shared(share, outboard, served, file);
            }
            Completion::FolderRead { share, block, result } => {
                match self.file_cache.on_folder_read(share, block, result) {
                    Some(FolderLoss::Files(pieces, files)) => {
                        info!(%share, files = files.len(), "files of a served folder are not what they were");
                        self.handle_disk_result(DiskResult::PartChanged { share, pieces, files });
                    }
                    Some(FolderLoss::Folder(error)) => self.on_share_changed(Some((share, error))),
                    None => {}
                }
                self.send_ready_bursts();
            }
            Completion::Opened { download, share, opened, served, part } => {
                if self.disk.on_opened(download, share, part) {
                    self.start_serving(share, served);
                } else {
                    self.disk.close(served);
                }
                self.handle_disk_result(DiskResult::Opened { download, result: Ok(opened) });
            }
            Completion::OutboardChecked { download, lent, result } => {
                let buffer = lent.buffer;
                self.pool.put_back(buffer, lent.bytes);
                self.handle_disk_result(DiskResult::OutboardChecked { download, buffer, result });
            }
            Completion::Previewed { download, lent, plan } => {
                let buffer = lent.buffer;
                self.pool.put_back(buffer, lent.bytes);
                self.handle_disk_result(DiskResult::Previewed { download, buffer, plan });
            }
            Completion::Stored { download, piece, lent, result } => {
                let buffer = lent.buffer;
                self.pool.put_back(buffer, lent.bytes);
                self.handle_disk_result(DiskResult::Stored { download, piece, buffer, result });
            }
            Completion::Finished { download, share, path, result } => {
                self.disk.on_download_ended(download);
                let result = result.map(|finished| {
                    let (file, renamed) = (finished.told(), finished.renamed());
                    let is_whole = self.serve_finished(share, &path, finished);
                    FinishedTarget { path, file, renamed, is_whole }
                });
                if result.is_err() {
                    self.stop_serving(share);
                }
                self.handle_disk_result(DiskResult::Finished { download, result });
            }
            Completion::Populated { share, block, result } => {
                let changed = self.file_cache.on_populated(share, block, result);
                self.on_share_changed(changed.map(|error| (share, error)));
                self.send_ready_bursts();
            }
            Completion::Reopened { share, result } => {
                let changed = self.file_cache.on_reopened(share, result);
                self.on_share_changed(changed.map(|error| (share, error)));
                self.send_ready_bursts();
            }
            Completion::Checked { share, result } => {
                let changed = self.file_cache.on_checked(share, result);
                self.on_share_changed(changed.map(|error| (share, error)));
            }
        }
    }

    /// A file or a folder is hashed. It is served, if anybody still wants it.
    fn on_shared(&mut self, share: ShareId, outboard: Arc<Outboard>, served: Served, file: FileMetadata) {
        if !self.disk.on_shared(share) {
            return self.disk.close(served);
        }
        let before = match served {
            Served::File(served) => self.file_cache.insert(share, served),
            Served::Folder(source) => self.file_cache.insert_folder(share, source),
        };
        before.into_iter().for_each(|before| self.disk.close(before));
        self.handle_disk_result(DiskResult::Shared { share, result: Ok(outboard), file });
    }

    /// A download has its name: `share` is served from what it has become, if that is all of the content. Returns
    /// whether it is.
    fn serve_finished(&mut self, share: ShareId, path: &Path, finished: Finished) -> bool {
        let is_whole = !matches!(finished, Finished::Selected(_));
        match finished {
            Finished::File(identity, _) => self.file_cache.finished(share, path.to_owned(), identity),
            Finished::Folder(source) => {
                if let Some(part) = self.file_cache.insert_folder(share, source) {
                    self.disk.close(part);
                }
            }
            Finished::Selected(_) => self.stop_serving(share),
        }
        is_whole
    }

    fn handle_disk_result(&mut self, result: DiskResult) {
        self.node.handle_disk(result, self.clock.now());
    }

    fn on_share_changed(&mut self, changed: Option<(ShareId, riffle_core::DiskError)>) {
        if let Some((share, error)) = changed {
            info!(%share, %error, "a served file is not what it was");
            self.handle_disk_result(DiskResult::ShareChanged { share, error });
        }
    }

    fn start_serving(&mut self, share: ShareId, served: super::disk::ServedFile) {
        if let Some(before) = self.file_cache.insert(share, served) {
            self.disk.close(before);
        }
    }

    fn stop_serving(&mut self, share: ShareId) {
        if let Some(served) = self.file_cache.remove(share) {
            self.disk.close(served);
        }
    }

    /// Sends the bursts whose pages are in memory by now.
    fn send_ready_bursts(&mut self) {
        let mut ready = Vec::new();
        self.file_cache.take_ready(&mut ready);
        for burst in ready {
            self.send_burst(burst);
        }
        self.file_cache.open_wanted();
    }

    /// Polls the core once and carries out what it says.
    fn poll_core(&mut self, out: &mut Output) -> Wait {
        while let Some(changed) =
            self.transmitter.flush(&self.socket, &mut self.file_cache, self.node.channels())
        {
            self.on_share_changed(Some(changed));
        }
        out.clear();
        let wait = self.node.poll(self.clock.now(), out);
        for change in out.buffers.drain(..) {
            self.pool.change(change);
        }
        for request in out.disk.drain(..) {
            match request {
                riffle_core::DiskRequest::Unshare { share } => self.stop_serving(share),
                riffle_core::DiskRequest::Abandon { download } => {
                    if let Some(share) = self.disk.share_of(download) {
                        self.stop_serving(share);
                    }
                }
                riffle_core::DiskRequest::ReadIndex { download, share } => {
                    if let Some(source) = self.file_cache.folder(share) {
                        self.disk.read_own_index(download, source.clone());
                        continue;
                    }
                }
                _ => {}
            }
            self.disk.request(request, &mut self.pool);
        }
        self.send_datagrams(out);
        for burst in out.bursts.drain(..) {
            if let Some(burst) = self.file_cache.admit(burst) {
                self.send_burst(burst);
            }
        }
        for event in out.events.drain(..) {
            if event_log::log(&event) {
                // Who listened may have gone; the node goes on until it is stopped.
                (self.events)(event);
            }
        }
        wait
    }

    fn send_burst(&mut self, burst: Burst) {
        let changed = self.transmitter.burst(&self.socket, &mut self.file_cache, self.node.channels(), burst);
        self.on_share_changed(changed);
    }

    /// Sends the control datagrams.
    fn send_datagrams(&mut self, out: &Output) {
        let mut rest = &out.datagrams[..];
        while let Some(first) = rest.first() {
            let count = self.transmitter.together(rest);
            if first.is_probe {
                self.transmitter.probe(&self.socket, first.to, &out.whole(first));
            } else {
                let bytes = &out.bytes[first.range.start..rest[count - 1].range.end];
                self.transmitter.datagrams(&self.socket, first.to, bytes, first.range.len());
            }
            rest = &rest[count..];
        }
    }

    fn log_counters(&self) {
        event_log::log_counters(
            &self.node.counters(),
            &self.node.channel_counters(),
            &self.file_cache.counters(),
            &self.transmitter.counters(),
        );
    }
}
