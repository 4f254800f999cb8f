//! The swarms that the settings name, each with its tracker and its part of the log.

use channel::{
    ChannelSettings, Channels, Encryption, MembersFile, Policy, Role, StaticKey, Suite, SwarmFile,
    SwarmSecret, SwarmSecrets,
};
use config::{MAX_SECRET_FILES, TrackerSettings};
use messages::{BootEpoch, Timestamp};
use rand::TryRng;
use rand::rngs::SysRng;
use tracing::Span;

use super::clock::{self, Clock};
use super::record::Record;
use super::{DriverError, Socket};
use crate::{CodeDesk, Output, Swarms, Tracker};

/// What a process serves.
pub(super) struct Served {
    /// The trackers, that of the open swarm first.
    pub(super) swarms: Swarms,
    /// The log of each.
    pub(super) records: Records,
    /// The file of each closed swarm, with its place among the trackers.
    pub(super) files: Vec<(usize, SwarmFile)>,
    /// The file of the members, in all swarms.
    pub(super) members: Option<MembersFile>,
}

/// Makes the trackers of all swarms that `settings` name.
///
/// # Errors
/// A secret or the members cannot be had, there are too many, or the system has no random bytes.
pub(super) fn open(
    settings: &TrackerSettings,
    key: &StaticKey,
    (socket, clock): (&Socket, Clock),
) -> Result<Served, DriverError> {
    let count = settings.secret_file.len();
    if count > MAX_SECRET_FILES {
        return Err(DriverError::ManySwarms { count });
    }
    let now = clock::unix_ms().unwrap_or(0) / 1000;
    let files = SwarmFile::open_all(settings.secret_file.iter(), now)?;
    let open = settings.serves_open_swarm().then(SwarmSecrets::open);
    let first_closed = usize::from(open.is_some());
    let closed = files.iter().map(|file| file.secrets().clone());
    let all: Vec<SwarmSecrets> = open.into_iter().chain(closed).collect();
    let tracker = |secrets| {
        let tracker = tracker(settings, key.clone(), secrets, clock)?;
        Ok(if socket.is_fresh() { tracker.without_past() } else { tracker })
    };
    let mut trackers = all.iter().map(tracker).collect::<Result<Vec<_>, DriverError>>()?.into_iter();
    let first = trackers.next();
    let first = first.unwrap_or_else(|| unreachable!("without a closed swarm the open one is served"));
    let mut swarms = Swarms::of(first);
    trackers.for_each(|tracker| swarms.add(tracker));
    let members = settings.members_file.as_deref().map(MembersFile::open).transpose()?;
    if let Some(file) = &members {
        swarms.change_members(file.members());
    }
    let mut records = Records::of(&all);
    if settings.codes.holds_for(!settings.serves_open_swarm()) {
        swarms = swarms.with_desk(desk(key.clone(), clock)?);
        records.of_swarms.push((Span::none(), Record::default()));
    }
    Ok(Served { swarms, records, files: (first_closed..).zip(files).collect(), members })
}

/// The desk for codes. It speaks in a swarm of its own, with the key of the process.
fn desk(key: StaticKey, clock: Clock) -> Result<CodeDesk, DriverError> {
    let (secret, seed) = random()?;
    let channels = Channels::new(ChannelSettings {
        key,
        swarm: SwarmSecret::codes(),
        policy: Policy::SEALED,
        role: Role::Tracker,
        max_channels: CodeDesk::MAX_CHANNELS,
        max_channels_per_host: CodeDesk::MAX_CHANNELS_PER_HOST,
        epoch: BootEpoch(clock::unix_ms().unwrap_or(0)),
        secret,
        suite: Suite::preferred(),
    });
    Ok(CodeDesk::new(channels, seed, clock.now()))
}

/// Random bytes of which cookies and keys are made, and a seed of all else that is left to chance.
fn random() -> Result<([u8; 32], u64), DriverError> {
    let (mut secret, mut seed) = ([0; 32], [0; 8]);
    SysRng.try_fill_bytes(&mut secret).map_err(DriverError::Randomness)?;
    SysRng.try_fill_bytes(&mut seed).map_err(DriverError::Randomness)?;
    Ok((secret, u64::from_le_bytes(seed)))
}

/// The tracker of one swarm. Cookies, chance and channels are its own.
fn tracker(
    settings: &TrackerSettings,
    key: StaticKey,
    secrets: &SwarmSecrets,
    clock: Clock,
) -> Result<Tracker, DriverError> {
    let (secret, seed) = random()?;
    let unix_ms = clock::unix_ms();
    let mut channels = Channels::new(ChannelSettings {
        key,
        swarm: secrets.first().clone(),
        policy: policy(settings, secrets),
        role: Role::Tracker,
        max_channels: settings.limits.max_nodes as usize,
        max_channels_per_host: 2 * settings.limits.max_nodes_per_address as usize,
        epoch: BootEpoch(unix_ms.unwrap_or(0)),
        secret,
        suite: Suite::preferred(),
    });
    channels.change_secrets(secrets);
    let mut tracker = Tracker::new(settings.clone(), secret, seed, clock.now());
    tracker.seal_with(channels);
    Ok(match unix_ms {
        Some(unix_ms) => tracker.with_wall_clock(unix_ms),
        None => tracker,
    })
}

/// What the settings say of encryption. Nothing of a closed swarm is ever in the clear, and only over a channel does
/// anybody prove to be a member.
fn policy(settings: &TrackerSettings, secrets: &SwarmSecrets) -> Policy {
    if secrets.is_closed() || settings.members_file.is_some() {
        return Policy::SEALED;
    }
    let of = |encryption| match encryption {
        config::Encryption::Always => Encryption::Always,
        config::Encryption::Prefer => Encryption::Prefer,
        config::Encryption::Never => Encryption::Never,
    };
    Policy { elsewhere: of(settings.encryption), loopback: of(settings.loopback_encryption) }
}

/// The log of each swarm, and behind them that of the desk. Where there are several swarms, each line says of which it is.
#[derive(Debug)]
pub(super) struct Records {
    of_swarms: Vec<(Span, Record)>,
}

impl Records {
    fn of(all: &[SwarmSecrets]) -> Records {
        let is_one = all.len() == 1;
        let span = |secrets| if is_one { Span::none() } else { span(secrets) };
        Records { of_swarms: all.iter().map(|secrets| (span(secrets), Record::default())).collect() }
    }

    /// What the lines of the swarm at this place are said in.
    pub(super) fn span(&self, which: usize) -> Span {
        self.of_swarms.get(which).map_or_else(Span::none, |(span, _)| span.clone())
    }

    /// From now on the lines of this swarm name it by these secrets.
    pub(super) fn rename(&mut self, which: usize, secrets: &SwarmSecrets) {
        if self.of_swarms.len() > 1
            && let Some((named, _)) = self.of_swarms.get_mut(which)
        {
            *named = span(secrets);
        }
    }

    /// Writes what happened in each swarm, and clears it.
    pub(super) fn write(&mut self, outs: &mut [Output], now: Timestamp) {
        for ((span, record), out) in self.of_swarms.iter_mut().zip(outs) {
            let _of_swarm = span.enter();
            record.sum_up(now);
            out.events.iter().for_each(|event| record.write(event, now));
            out.clear();
        }
    }

    /// The instant at which there is something to sum up.
    pub(super) fn due(&self) -> Timestamp {
        self.of_swarms.iter().map(|(_, record)| record.due()).min().unwrap_or(Timestamp::NEVER)
    }

    /// The last lines.
    pub(super) fn end(&mut self, swarms: &Swarms) {
        for ((span, record), tracker) in self.of_swarms.iter_mut().zip(swarms.trackers()) {
            let _of_swarm = span.enter();
            record.end(tracker.counters(), &tracker.channels().map(Channels::counters).unwrap_or_default());
            let (nodes, contents) = (tracker.nodes(), tracker.contents());
            tracing::info!(nodes, contents, "tracker leaving");
        }
    }
}

/// Names a swarm by its secret's fingerprint, which may be read by anybody. At the highest level, so that warnings have
/// it where nothing else is logged.
fn span(secrets: &SwarmSecrets) -> Span {
    match secrets.is_closed() {
        true => tracing::error_span!("swarm", of = secrets.first().fingerprint()),
        false => tracing::error_span!("swarm", of = "all"),
    }
}
