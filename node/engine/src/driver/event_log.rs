//! The lines of a node's log, and the events that people are shown: values are fields, reasons are one word.

use std::time::Duration;

use channel::ChannelCounters;
use messages::tracker_to_node::RefusalCode;
use riffle_core::{
    Account, Command, Contributor, Counters, DownloadId, DownloadTimeouts, Event, Failure, RenamedEntry,
    SkippedEntry, Waiting, Wanted,
};
use tracing::{debug, info, warn};

use super::net::TransmitCounters;
use super::serve::FileCacheCounters;

/// The log names at most so many owners of a download, those that gave most.
const MAX_CONTRIBUTORS: usize = 16;

/// Logs an event, and returns whether people are shown the event too. What happens for each burst is not shown.
pub(crate) fn log(event: &Event) -> bool {
    match event {
        Event::RangeSent { content, peer, piece, offset, length } => {
            debug!(content = %content.short(), %peer, %piece, offset, length, "range sent");
            false
        }
        Event::PieceVerified { download, piece, owners } => {
            debug!(%download, %piece, owners = %names(owners), "piece received and verified");
            true
        }
        Event::Hashing { .. } => true,
        _ => {
            log_tracker(event);
            log_serving(event);
            log_download(event);
            true
        }
    }
}

fn names(nodes: &[messages::NodeId]) -> String {
    nodes.iter().map(messages::NodeId::short).collect::<Vec<_>>().join(",")
}

fn log_tracker(event: &Event) {
    match event {
        Event::TrackerReached { tracker, observed } => info!(%tracker, %observed, "tracker answers"),
        Event::TrackerRestored { tracker } => info!(%tracker, "tracker answers again"),
        Event::TrackerSilent { tracker, silent } => {
            warn!(%tracker, silent_ms = silent.as_millis() as u64, "tracker is silent");
        }
        Event::TrackerRefused { code: code @ (RefusalCode::Cookie | RefusalCode::NotRegistered) } => {
            info!(code = %code.word(), "tracker refuses a request, which is made again");
        }
        Event::TrackerRefused { code } => warn!(code = %code.word(), "tracker refuses a request"),
        Event::ChannelOpened { peer, key, suite, is_tracker: true } => {
            info!(tracker = %peer, %key, suite = suite.name(), "sealed channel with the tracker");
        }
        Event::ChannelOpened { peer, key, suite, is_tracker: false } => {
            info!(%peer, node = %key.node_id().short(), suite = suite.name(), "sealed channel with a node");
        }
        Event::InTheClear { peer, is_tracker: true } => {
            warn!(tracker = %peer, "the tracker opens no sealed channel: it is spoken to in the clear");
        }
        Event::InTheClear { peer, is_tracker: false } => {
            warn!(%peer, "a node opens no sealed channel: it is spoken to in the clear");
        }
        Event::Left => info!("left"),
        Event::Found { search, contents, next } => {
            info!(%search, contents = contents.len(), more = next.is_some(), "search answered");
        }
        Event::SearchFailed { search } => warn!(%search, "search not answered"),
        _ => {}
    }
}

fn log_serving(event: &Event) {
    match event {
        Event::Shared { share, content, name, length } => {
            info!(%share, %content, %name, length, "shared");
        }
        Event::Announced { share, content } => {
            info!(%share, content = %content.short(), "announced");
        }
        Event::Skipped { share, skipped } => {
            for SkippedEntry { path, why } in skipped {
                warn!(%share, path = %path.display(), why, "not shared with its folder");
            }
        }
        Event::ShareFailed { share, error } => warn!(%share, %error, "not shared"),
        Event::FilesWithdrawn { share, name: _, files, have, pieces } => {
            for error in files {
                warn!(%share, %error, have, pieces, "no longer shared with its folder");
            }
        }
        Event::Unshared { share, content } => {
            info!(%share, content = %content.short(), "no longer shared");
        }
        Event::UploadStarted { content, peer, node } => {
            info!(content = %content.short(), %peer, node = %node.short(), "serving a downloader");
        }
        Event::UploadEnded { content, peer, node: _, bytes, why } => {
            info!(content = %content.short(), %peer, bytes, why = %why.word(), "downloader's session ended");
        }
        _ => {}
    }
}

fn log_download(event: &Event) {
    match event {
        Event::DownloadPrefers { download, taken, others, more } => {
            let next = others.iter().map(|other| other.hosts).max();
            info!(
                %download, content = %taken.content, hosts = taken.hosts, others = others.len(), others_hosts = next, more,
                "one of several contents of the name is taken"
            );
        }
        Event::DownloadRenamed { download, renamed } => {
            for RenamedEntry { path, saved_as } in renamed {
                info!(%download, path, saved_as, "saved under another name");
            }
        }
        Event::DownloadIdentified { download, content, name, length } => {
            info!(%download, %content, %name, length, "download identified");
        }
        Event::DownloadResumed { download, have_bytes, hashed_again: None } => {
            info!(%download, have_bytes, "part file found, nothing to be hashed");
        }
        Event::DownloadResumed { download, have_bytes, hashed_again: Some(again) } => {
            info!(%download, have_bytes, hashed_bytes = again.bytes, why = %again.why, "part file found");
        }
        Event::WithoutLocks { folder, elsewhere } => {
            warn!(folder = %folder.display(), elsewhere, "the file system has no locks");
        }
        Event::DownloadWaits { download, why } => info!(%download, why = %why.word(), "download waits"),
        Event::OwnerReady { download, owner, peer, rtt } => {
            info!(%download, owner = %owner.short(), %peer, rtt_us = rtt.as_micros() as u64, "owner ready");
        }
        Event::PathCarries { download, peer, datagram } => {
            info!(%download, %peer, datagram, "path carries");
        }
        Event::StretchAssigned { download, owner, peer, pieces } => {
            let (first, end) = (pieces.start().0, pieces.end().0);
            info!(%download, owner = %owner.short(), %peer, first, end, "range assigned");
        }
        Event::OwnerLost { download, owner, peer, why } => {
            info!(%download, owner = %owner.short(), %peer, why = %why.word(), "owner's session ended");
        }
        Event::PieceRejected { download, piece, owners } => {
            warn!(%download, %piece, owners = %names(owners), "piece does not match its hash");
        }
        Event::DownloadDone { download, path, summary } => {
            let took_ms = summary.took.as_millis() as u64;
            let (length, owners) = (summary.length, summary.shares.len());
            let fetched: u64 = summary.shares.iter().map(|share| share.bytes).sum();
            info!(%download, path = %path.display(), length, fetched, took_ms, owners, "download complete");
        }
        Event::IndexRead { download, content, name, length, folder } => {
            let entries = folder.as_ref().map(|folder| folder.entries().len());
            info!(%download, %content, %name, length, entries, "index read");
        }
        Event::DownloadAccount { download, account, is_last } => log_account(*download, account, *is_last),
        // A person wanted it so, or the node leaves.
        Event::DownloadFailed { download, why: Failure::Cancelled } => info!(%download, "download cancelled"),
        Event::DownloadFailed { download, why } => warn!(%download, %why, "download failed"),
        _ => {}
    }
}

/// Logs in one line how a download went so far, or in all.
fn log_account(download: DownloadId, account: &Account, is_last: bool) {
    let Account { length, verified, fetched, rate, took, lost_bytes, duplicate_bytes, bad_pieces, .. } =
        account;
    let took_ms = took.as_millis() as u64;
    // At the end it is the rate of the whole.
    let rate = if is_last { account.mean_rate() } else { *rate };
    let (waits, contributors) = (waits(&account.waits), contributors(&account.owners));
    info!(
        %download, verified, length, fetched, took_ms, rate, %waits, lost_bytes, duplicate_bytes, bad_pieces,
        %contributors,
        "{}", if is_last { "download over" } else { "download goes on" }
    );
}

/// `nothing:55.200s,limit:3.050s`: for how long pieces arrived, and for how long something else was waited for.
fn waits(waits: &[(Waiting, Duration)]) -> String {
    let wait = |(why, time): &(Waiting, Duration)| format!("{}:{:.3}s", why.word(), time.as_secs_f64());
    waits.iter().map(wait).collect::<Vec<_>>().join(",")
}

/// `10.0.0.2:4000/52428800B/340us`: an owner's address, how many bytes it gave, and how far away it is.
fn contributors(owners: &[Contributor]) -> String {
    let contributor = |contributor: &Contributor| {
        let rtt = contributor.rtt.map_or_else(String::new, |rtt| format!("/{}us", rtt.as_micros()));
        format!("{}/{}B{rtt}", contributor.peer, contributor.bytes)
    };
    let more = owners.len().saturating_sub(MAX_CONTRIBUTORS);
    let more = (more > 0).then(|| format!("{more} more"));
    owners.iter().take(MAX_CONTRIBUTORS).map(contributor).chain(more).collect::<Vec<_>>().join(",")
}

/// Logs what a person asked for.
pub(crate) fn log_command(command: &Command) {
    match command {
        Command::Share { share, path, name, .. } => {
            info!(%share, path = %path.display(), %name, "asked to share");
        }
        Command::Unshare { share } => info!(%share, "asked to share no longer"),
        Command::Download { download, order } => {
            let (wanted, how) = wanted(&order.wanted);
            let (to, existing) = (order.destination.path().display(), order.existing.word());
            let DownloadTimeouts { tracker, nobody_shares, no_progress, disk_full } = &order.timeouts;
            let [tracker, nobody_shares, no_progress, disk_full] =
                [tracker, nobody_shares, no_progress, disk_full].map(timeout_text);
            info!(
                %download, wanted, %how, %to, existing,
                tracker_timeout = %tracker, nobody_shares_timeout = %nobody_shares,
                no_progress_timeout = %no_progress, disk_full_timeout = %disk_full,
                "asked to download"
            );
        }
        Command::Index { download, wanted: content, .. } => {
            let (wanted, how) = wanted(content);
            info!(%download, wanted, %how, "asked what is in it");
        }
        Command::Cancel { download } => info!(%download, "asked to cancel"),
        Command::Search { search, prefix, after } => {
            let after = after.as_ref().map_or("", |after| after.name.as_str());
            info!(%search, prefix = prefix.as_str(), after, "asked to search");
        }
        Command::Limit { upload, download } => info!(upload, download, "asked to limit"),
        Command::UseTracker { tracker, .. } => info!(%tracker, "asked to use a tracker"),
        Command::Leave => info!("asked to leave"),
    }
}

/// What is wanted, and by what it is looked for.
fn wanted(wanted: &Wanted) -> (String, &'static str) {
    match wanted {
        Wanted::Content(content) => (content.to_string(), "id"),
        Wanted::Name(name, prefix) if prefix.is_empty() => (name.to_string(), "name"),
        Wanted::Name(name, prefix) => (format!("{name}@{prefix}"), "name-and-id"),
        Wanted::Newest(name) => (name.to_string(), "newest"),
        Wanted::Digits(digits) => (digits.to_string(), "digits"),
    }
}

fn timeout_text(time: &Option<Duration>) -> String {
    time.map_or_else(|| "for-ever".to_owned(), |time| format!("{}s", time.as_secs_f64()))
}

/// Logs what was counted in a node's life.
pub(crate) fn log_counters(
    core: &Counters,
    channels: &ChannelCounters,
    file_cache: &FileCacheCounters,
    transmit: &TransmitCounters,
) {
    let Counters { undecodable, unexpected, duplicate_bytes, received_bytes, sent_bytes, lost_bytes, .. } =
        core;
    let Counters { cancelled, bad_pieces, unproven, .. } = core;
    info!(
        undecodable,
        unexpected,
        unproven,
        received_bytes,
        duplicate_bytes,
        lost_bytes,
        bad_pieces,
        cancelled,
        sent_bytes,
        "counted in all"
    );
    let ChannelCounters { opened, in_the_clear, forged, replayed, refused, over_budget } = channels;
    info!(opened, in_the_clear, forged, replayed, refused, over_budget, "counted of sealed channels");
    let FileCacheCounters { waited, stalls, reopened, dropped } = file_cache;
    info!(waited, stalls, reopened, dropped, "counted where files are read");
    let TransmitCounters { blocked, dropped, refused } = transmit;
    info!(blocked, dropped, refused, "counted where it is sent");
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use messages::{Name, NodeId};
    use riffle_core::{
        Destination, DiskError, DiskErrorKind, DownloadOrder, Existing, FolderOptions, SearchId, ShareId,
    };

    use super::*;

    /// What the log says when `emit` speaks, without the times.
    fn logged(emit: impl FnOnce()) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = logs::LogSettings {
            folder: folder.path().to_owned(),
            file: "node.log".to_owned(),
            rotation: logs::Rotation { bytes: 1 << 20, files: 1 },
            level: "info".to_owned(),
            also_stderr: false,
        };
        let (dispatch, guard) = logs::scoped(settings).expect("a log");
        tracing::dispatcher::with_default(&dispatch, emit);
        drop(guard);
        let text = std::fs::read_to_string(folder.path().join("node.log")).expect("written");
        text.lines().filter_map(|line| line.split_once(' ')).map(|(_, line)| line.trim().to_owned()).collect()
    }

    fn account(is_last: bool) -> Event {
        let contributor = |byte: u8, rtt| Contributor {
            owner: NodeId::from_bytes([byte; 16]),
            peer: SocketAddr::from(([10, 0, 0, byte], 4000)),
            bytes: 1000 * u64::from(byte),
            rtt,
        };
        let account = Account {
            length: Some(9000),
            verified: 5000,
            fetched: 4000,
            rate: 77,
            took: Duration::from_secs(8),
            waits: vec![
                (Waiting::Nothing, Duration::from_millis(7200)),
                (Waiting::DiskFull { needed: 5 }, Duration::from_millis(800)),
            ],
            lost_bytes: 3,
            duplicate_bytes: 2,
            bad_pieces: 1,
            owners: vec![contributor(3, Some(Duration::from_micros(340))), contributor(1, None)],
        };
        Event::DownloadAccount { download: DownloadId(7), account, is_last }
    }

    #[test]
    fn how_a_download_went_is_one_line_of_fields() {
        let lines = logged(|| {
            log(&account(false));
            log(&account(true));
        });
        let fields = |rate| {
            format!(
                "download=7 verified=5000 length=9000 fetched=4000 took_ms=8000 rate={rate} \
                 waits=nothing:7.200s,full-disk:0.800s lost_bytes=3 duplicate_bytes=2 bad_pieces=1 \
                 contributors=10.0.0.3:4000/3000B/340us,10.0.0.1:4000/1000B"
            )
        };
        let expected = [("goes on", 77), ("over", 500)]
            .map(|(what, rate)| format!("INFO download {what} {}", fields(rate)));
        assert_eq!(lines, expected);
    }

    #[test]
    fn who_is_spoken_to_over_a_channel_and_who_in_the_clear_is_a_line_each() {
        let (peer, key) = (SocketAddr::from(([10, 0, 0, 3], 4000)), channel::PublicKey::from_bytes([7; 32]));
        let suite = channel::Suite::Aes128Gcm;
        let lines = logged(|| {
            for is_tracker in [true, false] {
                assert!(log(&Event::ChannelOpened { peer, key, suite, is_tracker }));
                assert!(log(&Event::InTheClear { peer, is_tracker }));
            }
        });
        let node = key.node_id().short();
        let expected = [
            format!(
                "INFO sealed channel with the tracker tracker=10.0.0.3:4000 key={key} suite=\"AES-128-GCM\""
            ),
            "WARN the tracker opens no sealed channel: it is spoken to in the clear tracker=10.0.0.3:4000"
                .to_owned(),
            format!("INFO sealed channel with a node peer=10.0.0.3:4000 node={node} suite=\"AES-128-GCM\""),
            "WARN a node opens no sealed channel: it is spoken to in the clear peer=10.0.0.3:4000".to_owned(),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_a_person_wanted_is_no_warning() {
        let failed = |why| Event::DownloadFailed { download: DownloadId(7), why };
        let lines = logged(|| {
            log(&failed(Failure::Cancelled));
            log(&failed(Failure::NoOwner));
            log(&Event::TrackerRefused { code: RefusalCode::Cookie });
            log(&Event::TrackerRefused { code: RefusalCode::IdInUse });
        });
        let expected = [
            "INFO download cancelled download=7",
            "WARN download failed download=7 why=no owner answered",
            "INFO tracker refuses a request, which is made again code=cookie",
            "WARN tracker refuses a request code=id-in-use",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn commands_counters_and_reasons_are_fields_and_no_dumps() {
        let film = Name::new("my film").expect("a name");
        let order = |wanted| DownloadOrder {
            wanted,
            destination: Destination::Folder("/tmp/a b".into()),
            existing: Existing::Keep,
            select: Vec::new(),
            save: riffle_core::SaveOptions::default(),
            sequential: false,
            timeouts: DownloadTimeouts {
                no_progress: Some(Duration::from_secs(60)),
                ..DownloadTimeouts::NONE
            },
        };
        let download = |wanted| Command::Download { download: DownloadId(2), order: order(wanted) };
        let commands = [
            Command::Share {
                share: ShareId(1),
                path: "/a/my film".into(),
                name: film.clone(),
                options: FolderOptions::default(),
            },
            Command::Unshare { share: ShareId(1) },
            download(Wanted::Name(film.clone(), "1a2b".to_owned())),
            download(Wanted::Newest(film)),
            Command::Cancel { download: DownloadId(2) },
            Command::Search { search: SearchId(3), prefix: messages::Prefix::default(), after: None },
            Command::Limit { upload: Some(1024), download: None },
            Command::UseTracker { tracker: SocketAddr::from(([10, 0, 0, 1], 12345)), key: None },
            Command::Leave,
        ];
        let error = DiskError { path: "/a".into(), kind: DiskErrorKind::ReadOnly };
        let lines = logged(|| {
            commands.iter().for_each(log_command);
            let counters = Counters { undecodable: 5, ..Counters::default() };
            let channels = ChannelCounters { opened: 3, ..ChannelCounters::default() };
            log_counters(&counters, &channels, &FileCacheCounters::default(), &TransmitCounters::default());
            log(&Event::DownloadWaits { download: DownloadId(2), why: Waiting::DiskFull { needed: 7 } });
            log(&Event::ShareFailed { share: ShareId(1), error });
        });
        for line in &lines {
            assert!(!line.contains(['{', '}', '(']) && !line.contains("Some"), "{line}");
        }
        assert_eq!(lines[0], "INFO asked to share share=1 path=/a/my film name=my film");
        assert_eq!(
            lines[2],
            "INFO asked to download download=2 wanted=\"my film@1a2b\" how=name-and-id to=/tmp/a b existing=\"keep\" \
             tracker_timeout=for-ever nobody_shares_timeout=for-ever no_progress_timeout=60s disk_full_timeout=for-ever"
        );
        assert_eq!(lines[6], "INFO asked to limit upload=1024");
        assert!(lines[9].starts_with("INFO counted in all undecodable=5 "), "{lines:#?}");
        let of_channels =
            "INFO counted of sealed channels opened=3 in_the_clear=0 forged=0 replayed=0 refused=0";
        assert!(lines[10].starts_with(of_channels), "{lines:#?}");
        assert_eq!(lines[13], "INFO download waits download=2 why=full-disk");
    }
}
