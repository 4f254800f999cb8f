//! What one world is like, as drawn from its seed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use channel::{Encryption, Policy};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::content::FileSpec;
use crate::disk::{LocalFile, LocalFolder};
use crate::link::{Bursts, LinkSpec};
use crate::world::OwnerScript;
use crate::world::{Behaviour, addresses, addresses_of_one_prefix};
use crate::world::{Manners, Move};

/// The version of the files of a folder that everybody wants.
pub(super) const NEWEST: u32 = 2;

/// Everything that is drawn of one world.
#[derive(Debug)]
pub struct Options {
    /// The seed from which it was drawn.
    pub seed: u64,
    /// How long after the start faults end.
    pub faults_last: Duration,
    /// The length of the file, in bytes.
    pub length: u64,
    /// The access link of every host.
    pub link: LinkSpec,
    /// The upload limit of every host, as a person writes it.
    pub upload_limit: Option<&'static str>,
    /// The owners; the first one is honest and comes back whatever happens to it.
    pub owners: Vec<HostOptions>,
    /// The downloaders.
    pub downloaders: Vec<HostOptions>,
    /// When the tracker is down, and for how long.
    pub tracker: Option<(Duration, Duration)>,
    /// Which hosts cannot reach which, and from when on.
    pub partitions: Vec<Partition>,
    /// In which time strangers send one datagram.
    pub flood: Option<Duration>,
    /// How many other contents one more host shares under the file's name; then everybody asks for the file by its id.
    pub namesakes: Option<u32>,
    /// A host with a scripted downloader, if there is one.
    pub scripted_downloader: Option<DownloaderScriptOptions>,
    /// How many more hosts announce what they do not have, and how they treat others.
    pub bogus_owners: Option<(u32, Manners)>,
    /// What is in the content, if it is a folder.
    pub folder: Option<FolderOptions>,
    /// Who seals what is said.
    pub sealing: Sealing,
}

/// Who seals what is said in a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sealing {
    /// Nobody.
    #[default]
    Nobody,
    /// Everybody, always.
    Everybody,
    /// The tracker and the first owner with whoever can, and of the others some always, some with whoever can, and some
    /// never.
    Mixed,
}

impl Sealing {
    /// What the host with this number does. `None`: it has no channels.
    pub(super) fn policy(self, number: usize) -> Option<Policy> {
        let encryption = match (self, number % 3) {
            (Sealing::Nobody, _) => return None,
            (Sealing::Everybody, _) | (Sealing::Mixed, 1) => Encryption::Always,
            (Sealing::Mixed, 0) => Encryption::Prefer,
            (Sealing::Mixed, _) => Encryption::Never,
        };
        Some(Policy { elsewhere: encryption, loopback: encryption })
    }
}

/// A content that is a folder, and what each downloader wants of it.
#[derive(Debug)]
pub struct FolderOptions {
    /// The length of its index in bytes.
    pub index: u64,
    /// Its files.
    pub files: Vec<FileSpec>,
    /// What each downloader wants.
    pub wants: Vec<FolderWish>,
}

/// What a downloader wants of a folder.
#[derive(Debug)]
pub enum FolderWish {
    /// All of it, and nothing is there.
    All,
    /// The files with these numbers.
    Chosen(BTreeSet<u32>),
    /// All of it, and these files are there already, some of them in other versions.
    Update(LocalFolder),
}

/// One more host that behaviour what owners have, and wants none of it.
#[derive(Debug)]
pub struct DownloaderScriptOptions {
    /// What each session does.
    pub behaviour: Behaviour,
    /// How many sessions it has.
    pub sessions: u32,
    /// From which addresses it sends.
    pub addresses: Vec<IpAddr>,
    /// Whether it goes on when faults have ended.
    pub goes_on: bool,
    /// Whether it answers PINGs.
    pub answers_pings: bool,
    /// Whether it sends BYE at the end.
    pub says_bye: bool,
    /// Whether it behaviour from everybody, or from the first owner.
    pub from_all: bool,
}

/// What one host is like, and what happens to it.
#[derive(Debug)]
pub struct HostOptions {
    /// How its node treats others.
    pub manners: Manners,
    /// When after the start a downloader wants the file.
    pub wants_at: Duration,
    /// Whether it is there when faults have ended; else it may stay away.
    pub comes_back: bool,
    /// How many bytes its receive buffer holds, unless as usual.
    pub receive_buffer: Option<u64>,
    /// What is wrong with its disk.
    pub disk: DiskOptions,
    /// What happens to it, and when after the start.
    pub troubles: Vec<(Duration, Trouble)>,
}

/// What is wrong with a host's disk while faults last.
#[derive(Debug, Default)]
pub struct DiskOptions {
    /// How much longer each request takes at most.
    pub latency: Duration,
    /// How many requests fail, in millionths.
    pub errors: u32,
    /// When it is full, and for how long.
    pub full: Option<(Duration, Duration)>,
}

/// Something that happens to a host.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// It is killed, and started again after this long.
    Kill(Duration, Move),
    /// Its power is cut, and it is started again after this long.
    LosePower(Duration, Move),
    /// Its person leaves, and comes back after this long.
    Leave(Duration),
    /// Nothing that it sends arrives for this long.
    CutOff(Duration),
    /// Its process is stopped for this long.
    Stop(Duration),
    /// Its address changes.
    Rebind(Move),
    /// Its link carries packets of so many bytes only, for this long.
    Shrink(u64, Duration),
}

/// Hosts that cannot reach others, until all cuts are mended.
#[derive(Debug)]
pub struct Partition {
    /// From when on after the start.
    pub at: Duration,
    /// The hosts on one side.
    pub from: Vec<usize>,
    /// The hosts on the other side.
    pub to: Vec<usize>,
    /// Whether the tracker is among `to`.
    pub tracker: bool,
    /// Whether only `from` cannot reach `to`.
    pub one_way: bool,
}

/// Which kinds of faults a world has: each world has some of them only, so that they do not always hide each other.
#[derive(Debug)]
struct Kinds {
    deaths: bool,
    stops: bool,
    moves: bool,
    disks: bool,
    liars: bool,
    partitions: bool,
}

impl Options {
    /// Draws the options of `seed`.
    pub fn draw(seed: u64) -> Options {
        let rng = &mut StdRng::seed_from_u64(seed);
        let kinds = Kinds {
            deaths: rng.random_bool(0.5),
            stops: rng.random_bool(0.3),
            moves: rng.random_bool(0.3),
            disks: rng.random_bool(0.3),
            liars: rng.random_bool(0.3),
            partitions: rng.random_bool(0.3),
        };
        let faults_last = Duration::from_secs([10, 20, 20, 60, 240][rng.random_range(0..5)]);
        let megabits = [1, 5, 20, 100, 1000][rng.random_range(0..5)];
        let link = draw_link(megabits, rng);
        let (owners, downloaders) = (rng.random_range(1..5), rng.random_range(1..4));
        let hosts = owners + downloaders;
        let mut host = |number: usize| draw_host(number, &kinds, faults_last, rng);
        let mut owners: Vec<_> = (0..owners).map(&mut host).collect();
        let downloaders: Vec<_> =
            (0..downloaders).map(|_| HostOptions { comes_back: true, ..host(0) }).collect();
        for owner in owners.iter_mut().skip(1).filter(|_| kinds.liars) {
            owner.manners = draw_manners(rng);
        }
        // A few seconds of the link, so that faults fall into the transfer.
        let most = if rng.random_bool(0.03) { 32 << 20 } else { 3 << 20 };
        let length = megabits * 125_000 * rng.random_range(0..12) + rng.random_range(0..600_000);
        let moment = |rng: &mut StdRng| faults_last.mul_f64(rng.random());
        let tracker = rng.random_bool(0.3).then(|| (moment(rng), moment(rng)));
        let partitions = if kinds.partitions { rng.random_range(1..4) } else { 0 };
        let mut options = Options {
            seed,
            faults_last,
            length: length.min(most),
            link,
            upload_limit: rng.random_bool(0.2).then_some("1MiB"),
            owners,
            downloaders,
            tracker,
            partitions: (0..partitions).map(|_| draw_partition(hosts, moment(rng), rng)).collect(),
            flood: rng.random_bool(0.2).then(|| Duration::from_millis(rng.random_range(2..200))),
            namesakes: None,
            scripted_downloader: None,
            bogus_owners: None,
            folder: None,
            sealing: Sealing::Nobody,
        };
        options.draw_paths();
        options.draw_drips();
        options.draw_namesakes();
        options.draw_scripted_downloader();
        options.draw_praise();
        options.draw_bogus();
        options.draw_folder();
        options
    }

    /// Draws the host that shares other contents under the file's name, from chance of its own too.
    fn draw_namesakes(&mut self) {
        let rng = &mut StdRng::seed_from_u64(self.seed ^ 0x6e61_6d65);
        self.namesakes = rng.random_bool(0.15).then(|| rng.random_range(1..40));
    }

    /// Draws owners that send a segment now and then, from chance of their own: without them a seed's world is the
    /// same.
    fn draw_drips(&mut self) {
        let rng = &mut StdRng::seed_from_u64(self.seed ^ 0x6472_6970);
        let drips = rng.random_bool(0.15);
        for owner in self.owners.iter_mut().skip(1).filter(|owner| drips && owner.manners == Manners::Honest)
        {
            if rng.random() {
                let every = Duration::from_millis(rng.random_range(50..3_000));
                owner.manners = Manners::Scripted(OwnerScript::Drips(every));
            }
        }
    }

    /// Who behaviour what it does not want, drawn on its own as well.
    fn draw_scripted_downloader(&mut self) {
        let rng = &mut StdRng::seed_from_u64(self.seed ^ 0x7461_6b65);
        if !rng.random_bool(0.15) {
            return;
        }
        let sessions = rng.random_range(1..=64);
        // No more datagrams a second than worlds can be run with.
        let every = Duration::from_millis([5, 50, 800][rng.random_range(0..3)])
            .max(Duration::from_millis(4) * sessions);
        let behaviour = [
            Behaviour::OneByte(every),
            Behaviour::Everything,
            Behaviour::Steadily(rng.random_range(1_000..1_000_000)),
            Behaviour::Nothing,
            Behaviour::Boasts(every),
            Behaviour::Pings(every),
            Behaviour::Greets(every),
            Behaviour::Outboard,
        ][rng.random_range(0..8)];
        let addresses = match rng.random_range(0..3) {
            0 => addresses(1),
            1 => addresses(rng.random_range(2..9)),
            _ => addresses_of_one_prefix(rng.random_range(2..9)),
        };
        // The time that honest downloaders may take is computed as if nobody else used the link.
        let is_cheap = matches!(
            behaviour,
            Behaviour::OneByte(_) | Behaviour::Nothing | Behaviour::Boasts(_) | Behaviour::Pings(_)
        ) && every >= Duration::from_millis(50);
        self.scripted_downloader = Some(DownloaderScriptOptions {
            behaviour,
            sessions,
            addresses,
            goes_on: is_cheap && rng.random(),
            answers_pings: rng.random_bool(0.8),
            says_bye: rng.random(),
            from_all: rng.random(),
        });
    }

    /// Draws owners that announce what they do not have, from chance of their own too.
    fn draw_bogus(&mut self) {
        let rng = &mut StdRng::seed_from_u64(self.seed ^ 0x626f_6775);
        let manners = [
            Manners::Silent,
            Manners::Scripted(OwnerScript::TalksNonsense),
            Manners::Scripted(OwnerScript::IsFull),
        ][rng.random_range(0..3)];
        self.bogus_owners = rng.random_bool(0.1).then(|| (rng.random_range(10..100), manners));
    }

    /// Draws what is in the content, from chance of its own too: a world whose content is one file is the same without.
    fn draw_folder(&mut self) {
        let rng = &mut StdRng::seed_from_u64(self.seed ^ 0x666f_6c64);
        if !rng.random_bool(0.3) || self.length == 0 {
            return;
        }
        let count: u32 = [1, 3, 20, 200][rng.random_range(0..4)];
        let index = (u64::from(count) * rng.random_range(60..200)).clamp(1, self.length);
        let mut cuts: Vec<u64> = (1..count).map(|_| rng.random_range(index..=self.length)).collect();
        cuts.sort_unstable();
        let starts = std::iter::once(index).chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([self.length]);
        let files = starts.zip(ends).map(|(start, end)| {
            let length = end - start;
            FileSpec { version: NEWEST, length, changed_from: rng.random_range(0..=length) }
        });
        let files: Vec<FileSpec> = files.collect();
        let wants = self.downloaders.iter().map(|_| draw_folder_wish(count, rng)).collect();
        self.folder = Some(FolderOptions { index, files, wants });
    }

    /// Who praises its friends, drawn on its own as well, where nobody behaviour otherwise.
    fn draw_praise(&mut self) {
        let rng = &mut StdRng::seed_from_u64(self.seed ^ 0x7072_6169);
        if !rng.random_bool(0.1) || self.scripted_downloader.is_some() {
            return;
        }
        let hosts = rng.random_range(2..9);
        let rate = [2, 20 << 10, 200 << 10][rng.random_range(0..3)];
        let is_cheap = rate * u64::from(hosts) * 8 <= self.link.up;
        self.scripted_downloader = Some(DownloaderScriptOptions {
            behaviour: Behaviour::Praises { rate, hops: rng.random() },
            sessions: hosts.into(),
            addresses: addresses(hosts),
            goes_on: is_cheap && rng.random(),
            answers_pings: true,
            says_bye: rng.random(),
            from_all: rng.random(),
        });
    }

    /// Draws what the links carry, from chance of its own: without it a seed's world is the same.
    fn draw_paths(&mut self) {
        let rng = &mut StdRng::seed_from_u64(self.seed ^ 0x006d_7475);
        if self.link.mtu == 0 {
            self.link.mtu = [0, 1420, 1500, 1500, 9000, 65_535][rng.random_range(0..6)];
        }
        self.link.gso_limit = rng.random_bool(0.1).then(|| rng.random_range(0..6));
        let shrinks = rng.random_bool(0.3);
        for host in self.owners.iter_mut().chain(&mut self.downloaders).filter(|_| shrinks) {
            let at = self.faults_last.mul_f64(rng.random());
            let mtu = [1228, 1280, 1500][rng.random_range(0..3)];
            host.troubles
                .push((at, Trouble::Shrink(mtu, Duration::from_millis(rng.random_range(0..30_000)))));
        }
    }
}

fn draw_link(megabits: u64, rng: &mut StdRng) -> LinkSpec {
    let rtt = Duration::from_millis([1, 10, 40, 200][rng.random_range(0..4)]);
    let mut some =
        |likely: f64, most: u32| if rng.random_bool(likely) { rng.random_range(0..most) } else { 0 };
    let (loss, corrupt) = (some(0.4, 200_000), some(0.3, 20_000));
    let (duplicates, reordered, jitter) = (some(0.3, 50_000), some(0.3, 50_000), some(0.3, 5_000));
    let damaged = some(0.2, 2_000);
    let (bad, good) = (some(0.3, 20_000), 10_000 + some(1.0, 200_000));
    LinkSpec {
        loss,
        corrupt,
        duplicates,
        reordered,
        damaged,
        hold: rtt / 2,
        jitter: Duration::from_micros(jitter.into()),
        bursts: (bad > 0).then_some(Bursts { turns_bad: bad, turns_good: good, loss: 900_000 }),
        mtu: if rng.random_bool(0.2) { 1280 } else { 0 },
        ..LinkSpec::new(megabits, rtt)
    }
}

fn draw_host(number: usize, kinds: &Kinds, last: Duration, rng: &mut StdRng) -> HostOptions {
    let mut troubles = Vec::new();
    for _ in 0..rng.random_range(0..5) {
        let at = last.mul_f64(rng.random());
        let back = Duration::from_millis(if rng.random() {
            rng.random_range(0..3_000)
        } else {
            rng.random_range(0..60_000)
        });
        let moved = [Move::Nowhere, Move::ToAnotherPort, Move::ToAnotherAddress][rng.random_range(0..3)];
        let trouble = match rng.random_range(0..6) {
            0 if kinds.deaths => Trouble::Kill(back, moved),
            1 if kinds.deaths => Trouble::LosePower(back, moved),
            2 if kinds.deaths => Trouble::Leave(back),
            3 => Trouble::CutOff(back),
            4 if kinds.stops => Trouble::Stop(back),
            5 if kinds.moves && moved != Move::Nowhere => Trouble::Rebind(moved),
            _ => continue,
        };
        troubles.push((at, trouble));
    }
    let disk = if kinds.disks { draw_disk(last, rng) } else { DiskOptions::default() };
    HostOptions {
        manners: Manners::Honest,
        wants_at: last.mul_f64(rng.random::<f64>() / 2.0),
        comes_back: number == 0 || rng.random(),
        receive_buffer: (kinds.stops && rng.random()).then_some(256 << 10),
        disk,
        troubles,
    }
}

fn draw_disk(last: Duration, rng: &mut StdRng) -> DiskOptions {
    let latency = if rng.random_bool(0.5) { [10, 200, 3_000][rng.random_range(0..3)] } else { 0 };
    let full = rng.random_bool(0.3);
    DiskOptions {
        latency: Duration::from_millis(latency),
        errors: if rng.random_bool(0.3) { rng.random_range(0..300_000) } else { 0 },
        full: full.then(|| (last.mul_f64(rng.random()), Duration::from_millis(rng.random_range(0..20_000)))),
    }
}

fn draw_folder_wish(count: u32, rng: &mut StdRng) -> FolderWish {
    match rng.random_range(0..3) {
        0 => FolderWish::All,
        1 => {
            let share = rng.random();
            let mut chosen: BTreeSet<u32> = (0..count).filter(|_| rng.random_bool(share)).collect();
            chosen.insert(rng.random_range(0..count));
            FolderWish::Chosen(chosen)
        }
        _ => {
            let (older, gone) = (rng.random_range(0.0..0.5), rng.random_range(0.0..0.2));
            let changing = if rng.random_bool(0.3) { 0.1 } else { 0.0 };
            let files = (0..count).map(|number| {
                let version = if rng.random_bool(older) { NEWEST - 1 } else { NEWEST };
                (number, LocalFile { version, changes: rng.random_bool(changing) })
            });
            let files: Vec<_> = files.collect();
            FolderWish::Update(files.into_iter().filter(|_| !rng.random_bool(gone)).collect())
        }
    }
}

fn draw_manners(rng: &mut StdRng) -> Manners {
    match rng.random_range(0..5) {
        0 => Manners::Liar(1_000_000),
        1 => Manners::Liar(rng.random_range(1..50_000)),
        2 => Manners::Mute,
        3 => Manners::Silent,
        _ => Manners::Honest,
    }
}

fn draw_partition(hosts: usize, at: Duration, rng: &mut StdRng) -> Partition {
    let (from, to) = (0..hosts).partition(|_| rng.random());
    Partition { at, from, to, tracker: rng.random(), one_way: rng.random() }
}
