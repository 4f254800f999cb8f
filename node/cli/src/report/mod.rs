//! What a person reads: events, states and results as lines of text. Pure, so that the words are tested.

mod contents;
mod waiting;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use messages::tracker_to_node::RefusalCode;
use messages::{ContentId, Name, NodeId, PieceRun};
use riffle::{
    ChannelStatus, DiskError, DownloadStatus, Failure, HashedAgain, OwnerState, OwnerStatus, RenamedEntry,
    SessionEnd, ShareStatus, SkippedEntry, Status, Summary, Ticket, TrackerStanding, TrackerStatus,
    UploadStanding, UploadStatus, Waiting,
};

pub(crate) use self::contents::{ambiguity, holders, listing, nothing_listed, prefers, rows};
use self::contents::{ambiguous, beginning};
pub(crate) use self::waiting::{is_news, news, waiting};
use self::waiting::{no_sign_of_life, short_path};
use crate::shell_words;
use crate::tracker_words::TrackerWords as _;
use crate::units::{duration, per_second, percent, rate, size, whole_percent};

/// This many digits of an id tell it from all others in practice, and can be typed.
const SHORT_ID_DIGITS: usize = 16;

/// At most so many entries of a folder that are not shared have a line each.
const MAX_SKIPPED: usize = 20;

/// The exact line that fetches on another host what `ticket` says. A ticket needs no quotes in any shell.
pub(crate) fn ticket_line(ticket: &Ticket) -> String {
    format!("riffle download {}", *ticket.text())
}

/// The exact line that fetches `content` on another host, quoted for a shell, where there is no ticket for it.
pub(crate) fn download_line(tracker: &str, content: ContentId) -> String {
    format!("riffle download --tracker {} {content}", shell_words::quote(tracker))
}

/// Where a person reads about a download, which decides what can be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A command that runs once: the program ends with the failure.
    OneShot,
    /// The prompt goes on.
    Prompt,
}

impl Place {
    /// How a download is typed in this place.
    pub(crate) const fn download(self) -> &'static str {
        match self {
            Place::OneShot => "riffle download",
            Place::Prompt => "download",
        }
    }
}

/// What the lines about a failed download depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailureContext<'a> {
    /// Where the person reads the lines.
    pub(crate) place: Place,
    /// The tracker that was asked for owners.
    pub(crate) tracker: &'a TrackerStatus,
    /// Whether the disk has verified pieces of the download.
    pub(crate) has_some: bool,
    /// What the download waited for, as was last said.
    pub(crate) waited: Option<&'a Waiting>,
}

/// What the same command does after a download that is unfinished.
pub(crate) fn again(has_some: bool) -> &'static str {
    if has_some {
        "what has arrived is kept: the same command goes on with it"
    } else {
        "nothing has arrived this time: the same command tries again"
    }
}

/// The lines that say why `label` was not fetched, and what the person can do.
pub(crate) fn failure(label: &str, why: &Failure, context: &FailureContext<'_>) -> Vec<String> {
    let command = context.place.download();
    // A disk is full before it is known what it has of the file, so what has arrived is said to be kept in any case.
    let (kept, again) = (again(true), again(context.has_some));
    let line = match why {
        Failure::NotFound => format!("{label}: nobody shares that; --wait keeps asking, until somebody does"),
        Failure::Ambiguous { contents, more } => return ambiguous(label, contents, *more, command),
        Failure::NoOwner => match context.waited {
            Some(Waiting::NoSignOfLife { peers, others }) => {
                format!("{label}: no owner answered, {}; {again}", no_sign_of_life(peers, *others))
            }
            Some(Waiting::ShortPath { peers, others }) => {
                format!("{label}: {}; {again}", short_path(peers, *others))
            }
            _ => format!("{label}: no owner answered; {again}"),
        },
        Failure::Stalled { silent } => {
            format!("{label}: stalled, no good piece for {}; {again}", duration(*silent))
        }
        Failure::TrackerUnreachable => format!("{label}: {}", context.tracker.unreachable()),
        Failure::OnlyHere => format!("{label}: {why}"),
        Failure::Doubled { by } => format!("{label}: {why} (#{by})"),
        Failure::TargetTaken { target, .. } => format!(
            "{}: two of these downloads are called {label}; choose another place with -o, or fetch them one by one",
            target.display()
        ),
        Failure::Disk(error) => match error.kind {
            riffle::DiskErrorKind::ExistsOther => {
                format!(
                    "{error}; nothing was overwritten: choose another place with -o, or replace it with --force"
                )
            }
            riffle::DiskErrorKind::FolderExists => {
                format!("{error}: choose another place with -o, or bring it up to date with --update")
            }
            riffle::DiskErrorKind::Full { needed } => {
                format!("{}: disk full: {} more needed; {kept}", error.path.display(), size(needed))
            }
            riffle::DiskErrorKind::Permission
            | riffle::DiskErrorKind::ReadOnly
            | riffle::DiskErrorKind::NoFolder
            | riffle::DiskErrorKind::NotFound
            | riffle::DiskErrorKind::NotAFile
            | riffle::DiskErrorKind::InTheWay => format!("{error}; choose another place with -o"),
            riffle::DiskErrorKind::TooLarge => format!("{error}; {kept}, or choose another place with -o"),
            riffle::DiskErrorKind::Other(_) => format!("{error}; the same command tries again"),
            _ => error.to_string(),
        },
        Failure::Cancelled => format!("{label}: cancelled; {again}"),
    };
    vec![line]
}

/// How much of `label` was on the disk from before, and why some of it was hashed again.
pub(crate) fn resumed(label: &str, have_bytes: u64, hashed_again: Option<HashedAgain>) -> String {
    let mut line = match have_bytes {
        0 => format!("nothing of what was there of {label} can be used"),
        have => format!("going on with {} of {label} that were there", size(have)),
    };
    if let Some(HashedAgain { bytes, why }) = hashed_again {
        let _ = write!(line, " ({} hashed again: {why})", size(bytes));
    }
    line
}

/// Says that this run goes without a state folder or a log, and why; `None`: it has both.
pub(crate) fn without(state: Option<&str>, log: Option<&str>) -> Option<String> {
    match (state, log) {
        // Logs are below the state folder, so the reason for the one is enough.
        (Some(state), Some(_)) => {
            Some(format!("{state}; this run goes without, and without a log: nothing of it is remembered"))
        }
        (Some(state), None) => Some(format!("{state}; this run goes without: nothing of it is remembered")),
        (None, Some(log)) => Some(format!("{log}; this run goes without a log")),
        (None, None) => None,
    }
}

/// Says what a person must avoid on a file system without locks.
pub(crate) fn without_locks(folder: &Path, elsewhere: bool) -> String {
    let folder = folder.display();
    let who = if elsewhere {
        "downloads of this host are kept apart by locks in the state folder; another host"
    } else {
        "another program"
    };
    format!(
        "{folder}: this file system has no locks: {who} must not download the same to the same place meanwhile"
    )
}

/// The final line of a download: its path, how long it took, how fast it was, and the part of each owner.
pub(crate) fn summary(path: &Path, summary: &Summary) -> String {
    if summary.already_there {
        return format!("{} is already there, complete ({})", path.display(), size(summary.length));
    }
    let fetched: u64 = summary.shares.iter().map(|share| share.bytes).sum();
    let mut line = format!("{}: {} in {}", path.display(), size(summary.length), duration(summary.took));
    let _ = write!(line, ", {}", rate(per_second(fetched, summary.took)));
    if fetched < summary.length {
        let _ = write!(line, " ({} were here before)", size(summary.length - fetched));
    }
    for (index, share) in summary.shares.iter().enumerate() {
        line.push_str(if index == 0 { "; from " } else { ", " });
        let _ = write!(line, "{} {}", share.peer, percent(share.bytes, fetched));
    }
    line
}

/// One line about a running download: how far it is, how fast, the time left, the number of owners, and why it is not
/// faster.
pub(crate) fn progress(status: &DownloadStatus) -> String {
    let mut line = format!("{}: {}", status.name, how_far(status));
    let ready = status.owners.iter().filter(|owner| owner.state != OwnerState::Connecting);
    let (complete, partial): (Vec<_>, Vec<_>) = ready.partition(|owner| owner.permille >= 1000);
    match (complete.len(), partial.len()) {
        (0, 0) => {}
        (1, 0) => line.push_str(", 1 owner"),
        (owners, 0) => {
            let _ = write!(line, ", {owners} owners");
        }
        (complete, partial) => {
            let _ = write!(line, ", owners: {}", holders(complete as u64, partial as u64));
        }
    }
    if let Some(why) = waiting(&status.waiting) {
        let _ = write!(line, "; {why}");
    }
    line
}

/// How far a download is, how fast it is, and the time left.
pub(crate) fn how_far(status: &DownloadStatus) -> String {
    let Some(length) = status.length else { return "not begun".to_owned() };
    let mut line = format!("{} of {}, {}", percent(status.verified, length), size(length), rate(status.rate));
    if let Some(left) = time_left(status).filter(|_| !is_news(&status.waiting)) {
        let _ = write!(line, ", {} left", duration(left));
    }
    line
}

fn time_left(status: &DownloadStatus) -> Option<Duration> {
    let left = status.length?.saturating_sub(status.verified);
    (status.rate > 0 && left > 0).then(|| Duration::from_secs(left.div_ceil(status.rate)))
}

/// The lines of `status` of `node`: who it is, which others write into their lists of members, and what it does.
pub(crate) fn status_of(node: NodeId, status: &Status, tracker: &str) -> Vec<String> {
    let mut lines = self::status(status, tracker);
    lines.push(format!("id {node}"));
    lines
}

/// The lines of what a node does.
pub(crate) fn status(status: &Status, tracker: &str) -> Vec<String> {
    let answers = match status.tracker {
        TrackerStanding::Unheard => "has not been heard yet",
        TrackerStanding::Answers => "answers",
        TrackerStanding::Silent => "does not answer; asking again",
    };
    let how = channel(status.tracker_channel).filter(|_| status.tracker == TrackerStanding::Answers);
    let how = how.map_or_else(String::new, |how| format!(", {how}"));
    let mut lines = vec![format!("tracker {tracker} {answers}{how}")];
    for download in &status.downloads {
        lines.push(format!("download #{} {}", download.download, progress(download)));
        let known = download.holders.map(|known| holders(known.complete.into(), known.partial.into()));
        lines.extend(known.map(|known| format!("  the tracker knows {known}")));
        lines.extend(download.owners.iter().map(|owner| format!("  from {}", owner_line(owner))));
        lines
            .extend(status.shares.iter().filter(|share| is_fetched_as(share, download)).map(share_under_way));
    }
    let of_no_download =
        |share: &&ShareStatus| !status.downloads.iter().any(|download| is_fetched_as(share, download));
    lines.extend(status.shares.iter().filter(of_no_download).map(share_line));
    lines.extend(uploads(status));
    lines.push(limits(status.upload_limit, status.download_limit));
    lines
}

/// Whether `share` is what `download` has so far. `status` then shows it with the download.
fn is_fetched_as(share: &ShareStatus, download: &DownloadStatus) -> bool {
    !is_whole(share) && share.content.is_some() && share.content == download.content
}

fn is_whole(share: &ShareStatus) -> bool {
    share.permille >= 1000
}

fn share_under_way(share: &ShareStatus) -> String {
    let here = whole_percent(share.permille.into(), 1000);
    format!("  {here} here, served while it is fetched: {} sent", size(share.sent))
}

fn share_line(share: &ShareStatus) -> String {
    let id = share.content.map_or_else(|| "being hashed,".to_owned(), |content| content.short());
    let mut line = format!("share {}: {id} {}", share.name, size(share.length));
    if !is_whole(share) {
        let _ = write!(line, ", {} here", whole_percent(share.permille.into(), 1000));
    }
    line + &format!(", {} sent", size(share.sent))
}

/// A line for each content that is sent: how many nodes are served and how many wait. `peers` shows each node.
fn uploads(status: &Status) -> Vec<String> {
    let mut by_content: BTreeMap<ContentId, Vec<&UploadStatus>> = BTreeMap::new();
    for upload in &status.uploads {
        by_content.entry(upload.content).or_default().push(upload);
    }
    let line = |(content, uploads): (ContentId, Vec<&UploadStatus>)| {
        let sum = |part: fn(&UploadStatus) -> u64| uploads.iter().map(|upload| part(upload)).sum();
        let (sent, together) = (size(sum(|upload| upload.sent)), rate(sum(|upload| upload.rate)));
        let (standings, how) = (standings(&uploads), sealed_of(&uploads));
        let short = content.short();
        let what = name_of(status, content).map_or(short.clone(), |name| format!("{name} ({short})"));
        format!("upload of {what}: {standings}; {sent} sent, {together}, {how}")
    };
    by_content.into_iter().map(line).collect()
}

/// How many uploads have each standing: `2 served, 1 waits for a place, 1 idle`.
fn standings(uploads: &[&UploadStatus]) -> String {
    let count = |standing| uploads.iter().filter(|upload| upload.standing == standing).count();
    let waiting = count(UploadStanding::Choked);
    let parts = [
        (count(UploadStanding::Served), "served"),
        (waiting, if waiting == 1 { "waits for a place" } else { "wait for a place" }),
        (count(UploadStanding::Idle), "idle"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// How many of the uploads are sealed: `sealed`, `in the clear`, `1 of 3 in the clear`. `peers` shows each.
fn sealed_of(uploads: &[&UploadStatus]) -> String {
    let in_the_clear = uploads.iter().filter(|upload| upload.channel == ChannelStatus::InTheClear).count();
    match (in_the_clear, uploads.len()) {
        (0, _) => "sealed".to_owned(),
        (clear, all) if clear == all => "in the clear".to_owned(),
        (clear, all) => format!("{clear} of {all} in the clear"),
    }
}

/// The name under which `content` is shared or fetched.
pub(crate) fn name_of(status: &Status, content: ContentId) -> Option<&str> {
    let shared = status.shares.iter().find(|share| share.content == Some(content));
    let fetched = || status.downloads.iter().find(|download| download.content == Some(content));
    shared.map(|share| share.name.as_str()).or_else(|| fetched().map(|download| download.name.as_str()))
}

/// The line about the two limits.
pub(crate) fn limits(upload: Option<u64>, download: Option<u64>) -> String {
    let limit = |value: Option<u64>| value.map_or_else(|| "none".to_owned(), rate);
    format!("limits: up {}, down {}", limit(upload), limit(download))
}

fn owner_line(owner: &OwnerStatus) -> String {
    let mut line = format!("{} ({}):", owner.peer, owner.node.short());
    if owner.state == OwnerState::Connecting {
        return line + " connecting";
    }
    if let Some(state) = owner_state(owner.state) {
        let _ = write!(line, " {state},");
    }
    let _ = write!(line, " {}, {}, {}", pieces(owner.pieces), size(owner.received), rate(owner.rate));
    if owner.permille < 1000 {
        let _ = write!(line, ", has {}", whole_percent(owner.permille.into(), 1000));
    }
    if let Some(rtt) = owner.rtt {
        let _ = write!(line, ", round trip {}", duration(rtt));
    }
    let _ = write!(line, ", datagrams of {} bytes", owner.datagram);
    if let Some(how) = channel(owner.channel) {
        let _ = write!(line, ", {how}");
    }
    line
}

/// How what is said to somebody travels; `None`: nothing is said yet.
fn channel(channel: ChannelStatus) -> Option<String> {
    match channel {
        ChannelStatus::InTheClear => Some("in the clear".to_owned()),
        ChannelStatus::Opening => None,
        ChannelStatus::Sealed(suite) => Some(format!("sealed ({})", suite.name())),
    }
}

/// That the tracker, or the node at `peer`, is spoken to in the clear although sealing is preferred.
pub(crate) fn in_the_clear(peer: SocketAddr, is_tracker: bool) -> String {
    let who = if is_tracker { "tracker" } else { "node" };
    format!("the {who} {peer} opens no sealed channel: what is said to it is in the clear")
}

/// The state of an owner in words; `None`: it is ready.
pub(crate) fn owner_state(state: OwnerState) -> Option<&'static str> {
    match state {
        OwnerState::Connecting => Some("connecting"),
        OwnerState::Ready => None,
        OwnerState::Choked => Some("serves others for now"),
        OwnerState::Snubbed => Some("silent for too long"),
    }
}

/// The first and the last piece of a run.
pub(crate) fn pieces(pieces: Option<PieceRun>) -> String {
    match pieces {
        None => "no pieces".to_owned(),
        Some(run) if run.count() == 1 => format!("piece {}", run.start()),
        Some(run) => format!("pieces {}-{}", run.start(), run.end().0 - 1),
    }
}

/// What a refusal of the tracker means; `None`: the node deals with it by itself.
pub(crate) fn refusal(code: RefusalCode) -> Option<&'static str> {
    match code {
        RefusalCode::Cookie | RefusalCode::NotRegistered => None,
        RefusalCode::IdInUse => Some(
            "another node that runs has this node's key, and the tracker knows that one: if the state folder was copied, \
             remove the file key from one of them; asking again",
        ),
        RefusalCode::TooFast => Some("the tracker asks for fewer requests; asking again later"),
        RefusalCode::Full => Some("the tracker's tables are full; asking again later"),
    }
}

/// Says that an owner of `label` is lost; `None`: the session ended in a usual way.
pub(crate) fn owner_lost(label: &str, node: NodeId, peer: SocketAddr, why: SessionEnd) -> Option<String> {
    let what = match why {
        SessionEnd::Done | SessionEnd::Ours | SessionEnd::Forgotten | SessionEnd::PeerLeft => return None,
        // Such an owner is asked again: one that is crowded may have room later, and a slow one may be the only one.
        SessionEnd::Crowded | SessionEnd::Slow => return None,
        SessionEnd::Gone => "does not share it any more",
        SessionEnd::NoAnswer => "does not answer",
        SessionEnd::Silent => "fell silent",
        SessionEnd::Fault => "broke the protocol",
        SessionEnd::BadPieces => "sent bytes that do not verify",
        SessionEnd::BadOutboard => "sent a description that does not verify",
    };
    Some(format!("{label}: owner {peer} ({}) {what}; going on without it", node.short()))
}

/// Says that a file is shared and that the tracker knows it.
pub(crate) fn announced(name: &Name, length: u64, content: ContentId) -> String {
    let id = beginning(content, SHORT_ID_DIGITS);
    format!("sharing {name} ({}, id {id} for short); on the other side:", size(length))
}

/// Says what of a folder is not shared.
pub(crate) fn skipped(skipped: &[SkippedEntry]) -> Vec<String> {
    let line = |one: &SkippedEntry| format!("not shared: {}: {}", one.path.display(), one.why);
    let mut lines: Vec<_> = skipped.iter().take(MAX_SKIPPED).map(line).collect();
    if skipped.len() > MAX_SKIPPED {
        lines.push(format!("... and {} more, which the log names", skipped.len() - MAX_SKIPPED));
    }
    lines
}

/// Says what of a folder has been saved under another name.
pub(crate) fn renamed(renamed: &[RenamedEntry]) -> Vec<String> {
    let line = |one: &RenamedEntry| format!("renamed: {} is {} here", one.path, one.saved_as);
    let mut lines: Vec<_> = renamed.iter().take(MAX_SKIPPED).map(line).collect();
    if renamed.len() > MAX_SKIPPED {
        lines.push(format!("... and {} more, which the log names", renamed.len() - MAX_SKIPPED));
    }
    lines.push("the folder is not served on: what is in it has other names than for others".to_owned());
    lines
}

/// Says which files of the folder `name` have changed, and that `permille` of it are still shared.
pub(crate) fn files_withdrawn(name: &Name, files: &[DiskError], permille: u16) -> Vec<String> {
    let line = |error: &DiskError| format!("no longer shared: {error}");
    let mut lines: Vec<_> = files.iter().take(MAX_SKIPPED).map(line).collect();
    if files.len() > MAX_SKIPPED {
        lines.push(format!("... and {} more, which the log names", files.len() - MAX_SKIPPED));
    }
    let (whole, tenth) = (permille / 10, permille % 10);
    lines.push(format!(
        "{name}: the other {whole}.{tenth} % are still shared; send it again to share it as it is now"
    ));
    lines
}

#[cfg(test)]
mod tests;
