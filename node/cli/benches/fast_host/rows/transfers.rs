//! Large files: one to one, four to one, one to four, one to one in packets of real size, and what this machine can do at
//! all.

use anyhow::Result;

use crate::figures::{MIB, Medians};
use crate::options::Options;
use crate::peers::Contestant;
use crate::peers::aria2::Aria2;
use crate::peers::bare::Bare;
use crate::peers::copy::Copy;
use crate::peers::curl::{Curl, Scheme};
use crate::peers::hashing::{Hashing, Work};
use crate::peers::libtorrent::{Libtorrent, python};
use crate::peers::riffle::Riffle;
use crate::peers::rqbit::Rqbit;
use crate::peers::rsync::Rsync;
use crate::peers::ssh::{self, Copying, Ssh};
use crate::process::installed;
use crate::site::Site;
use crate::stage::Stage;
use crate::table::{Bound, Table};

/// Segments of Ethernet's size, and of the largest that seven of still fit one datagram of loopback.
const SEGMENTS: [usize; 2] = [1472, 8972];

/// Copying, reading, hashing, and UDP alone.
pub(crate) fn machine(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    let (site, length) = (Site::loopback(), options.whole());
    let mut all: Vec<Box<dyn Contestant + '_>> = vec![Box::new(Copy::cp(stage, length)?)];
    for work in [Work::Reading, Work::Blake3] {
        all.push(Box::new(Hashing::on_one(stage, work, length)?));
    }
    all.push(Box::new(Hashing::on_all(stage, Work::Blake3, length)?));
    for segment in SEGMENTS {
        all.push(Box::new(Bare::start(stage, &site, segment, length)?));
    }
    table.interleave(stage, "machine", all, options.runs());
    Ok(())
}

/// One owner, one downloader, beside everybody who is installed.
pub(crate) fn one_to_one(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    let (site, length) = (Site::loopback(), options.whole());
    let mut all: Vec<Box<dyn Contestant + '_>> = vec![Box::new(Riffle::start(stage, &site, (1, 1), length)?)];
    if installed("nginx") && installed("curl") {
        let source = stage.source(length)?;
        all.push(Box::new(Curl::start(stage, &site, &[source], true)?));
    } else {
        table.note("not here: nginx and curl");
    }
    if installed("nginx") && installed("aria2c") {
        all.push(Box::new(Aria2::start(stage, &site, length)?));
    } else {
        table.note("not here: nginx and aria2");
    }
    let python = python();
    if let Some(python) = python.clone() {
        all.push(Box::new(Libtorrent::start(stage, python, length)?));
    } else {
        table.note("not here: libtorrent for Python");
    }
    if let Some(python) = python.filter(|_| installed("rqbit")) {
        all.push(Box::new(Rqbit::start(stage, python, length)?));
    } else {
        table.note("not here: rqbit, and libtorrent that seeds for it");
    }
    all.push(Box::new(Copy::cp(stage, length)?));
    if installed("rsync") {
        all.push(Box::new(Copy::rsync(stage, length)?));
        all.push(Box::new(Rsync::start(stage, length)?));
    } else {
        table.note("not here: rsync");
    }
    table.interleave(stage, "1to1", all, options.runs());
    one_to_one_musts(table);
    Ok(())
}

fn one_to_one_musts(table: &mut Table) {
    const ROW: &str = "1to1";
    let of = |table: &Table, name: &str| table.medians(ROW, name);
    let Some(riffle) = of(table, "riffle, 1 → 1") else { return };
    let rate_over = |other: Option<Medians>| Some(riffle.megabytes / other?.megabytes);
    let curl = of(table, "curl from nginx");
    let checked = of(table, "curl, then");
    let libtorrent = of(table, "libtorrent");
    table.must(ROW, "riffle / curl", rate_over(curl), Bound::AtLeast(1.0, 1.2));
    table.must(ROW, "riffle / (curl, then a BLAKE3 sum)", rate_over(checked), Bound::AtLeast(1.3, 1.3));
    table.must(ROW, "riffle / libtorrent", rate_over(libtorrent), Bound::AtLeast(3.0, 3.0));
    let more = curl.map(|curl| riffle.both - curl.both);
    table.must(ROW, "CPU-s a GiB, both sides, more than curl", more, Bound::AtMost(0.6, 0.4));
    let mib = |bytes: u64| Some(bytes as f64 / MIB as f64);
    table.must(ROW, "RssAnon serving, MiB", mib(riffle.giving_peak), Bound::AtMost(64.0, 32.0));
    table.must(ROW, "RssAnon downloading, MiB", mib(riffle.taking_peak), Bound::AtMost(160.0, 80.0));
    table.must(ROW, "VmHWM downloading, MiB", mib(riffle.taking_resident), Bound::AtMost(100.0, 64.0));
}

/// One owner, one downloader, everything sealed as between hosts, beside the same in the clear and curl over TLS.
pub(crate) fn sealed(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "sealed";
    let (open_site, site, length) = (Site::loopback(), Site::sealed_loopback(), options.whole());
    let mut all: Vec<Box<dyn Contestant + '_>> = vec![
        Box::new(Riffle::start(stage, &site, (1, 1), length)?),
        Box::new(Riffle::start(stage, &open_site, (1, 1), length)?),
    ];
    if installed("nginx") && installed("curl") && installed("openssl") {
        let source = [stage.source(length)?];
        all.push(Box::new(Curl::start(stage, &open_site, &source, false)?));
        all.push(Box::new(Curl::start_over(Scheme::Https, stage, &open_site, &source, false)?));
    } else {
        table.note("sealed: not here: nginx, curl and openssl");
    }
    for copying in [Copying::Scp, Copying::Rsync] {
        if ssh::is_installed(copying) {
            all.push(Box::new(Ssh::start(copying, stage, length)?));
        } else {
            table.note("sealed: not here: sshd with scp or rsync");
        }
    }
    table.interleave(stage, ROW, all, options.runs());
    let sealed = table.medians(ROW, "riffle, sealed");
    for (other, name, bound) in [
        ("curl over https", "sealed / curl over https", Bound::AtLeast(1.2, 1.5)),
        ("riffle, 1", "sealed / in the clear", Bound::AtLeast(0.8, 0.9)),
        ("curl from nginx", "sealed / curl", Bound::AtLeast(0.8, 1.0)),
        ("scp", "sealed / scp", Bound::AtLeast(3.0, 4.0)),
        ("rsync over ssh", "sealed / rsync over ssh", Bound::AtLeast(3.0, 4.0)),
    ] {
        let ratio =
            sealed.zip(table.medians(ROW, other)).map(|(sealed, other)| sealed.megabytes / other.megabytes);
        table.must(ROW, name, ratio, bound);
    }
    Ok(())
}

/// Four owners of the same file, one downloader, beside one owner.
pub(crate) fn four_to_one(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    let (site, length) = (Site::loopback(), options.whole());
    let all: Vec<Box<dyn Contestant + '_>> = vec![
        Box::new(Riffle::start(stage, &site, (4, 1), length)?),
        Box::new(Riffle::start(stage, &site, (1, 1), length)?),
    ];
    table.interleave(stage, "4to1", all, options.runs());
    against_one_to_one(table, "4to1", "riffle, 4 → 1");
    Ok(())
}

/// One owner, four downloaders of the same file at once, beside one downloader of as much.
pub(crate) fn one_to_four(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    let site = Site::loopback();
    let all: Vec<Box<dyn Contestant + '_>> = vec![
        Box::new(Riffle::start(stage, &site, (1, 4), options.quarter())?),
        Box::new(Riffle::start(stage, &site, (1, 1), options.whole())?),
    ];
    table.interleave(stage, "1to4", all, options.runs());
    against_one_to_one(table, "1to4", "riffle, 1 → 4");
    Ok(())
}

fn against_one_to_one(table: &mut Table, row: &'static str, name: &str) {
    let (many, one) = (table.medians(row, name), table.medians(row, "riffle, 1 → 1"));
    let ratio = many.zip(one).map(|(many, one)| many.megabytes / one.megabytes);
    table.must(row, format!("{name} / 1 → 1"), ratio, Bound::AtLeast(0.95, 1.0));
}

/// One to one over a cable of Ethernet's packet size, without the offloads that loopback has, beside UDP alone.
pub(crate) fn packets_of_real_size(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "veth";
    if !installed("ip") || !installed("ethtool") || !rustix::process::geteuid().is_root() {
        table.note("veth: left out, network namespaces need root, iproute2 and ethtool");
        return Ok(());
    }
    let (site, length) = (Site::cable()?, options.whole());
    let mut all: Vec<Box<dyn Contestant + '_>> = vec![
        Box::new(Riffle::start(stage, &site, (1, 1), length)?),
        Box::new(Bare::start(stage, &site, SEGMENTS[0], length)?),
    ];
    if installed("nginx") && installed("curl") {
        let source = [stage.source(length)?];
        all.push(Box::new(Curl::start(stage, &site, &source, false)?));
        if installed("openssl") {
            all.push(Box::new(Curl::start_over(Scheme::Https, stage, &site, &source, false)?));
        }
    }
    table.interleave(stage, ROW, all, options.runs());
    let (riffle, bare) = (table.medians(ROW, "riffle"), table.medians(ROW, "bare"));
    let ratio = riffle.zip(bare).map(|(riffle, bare)| riffle.megabytes / bare.megabytes);
    table.must(ROW, "riffle / bare UDP", ratio, Bound::AtLeast(0.6, 0.8));
    let ratio =
        riffle.zip(table.medians(ROW, "curl from")).map(|(riffle, curl)| riffle.megabytes / curl.megabytes);
    table.must(ROW, "riffle / curl", ratio, Bound::AtLeast(0.9, 1.0));
    let ratio =
        riffle.zip(table.medians(ROW, "curl over")).map(|(riffle, curl)| riffle.megabytes / curl.megabytes);
    table.must(ROW, "riffle / curl over https", ratio, Bound::AtLeast(1.0, 1.2));
    Ok(())
}

/// What three owners have in the row of shares.
const SHARED: u64 = 96 * MIB;
/// How often it is looked how they share a download, at least.
const SHARINGS: usize = 5;

/// Three equal owners on three hosts: which share of a download each of them gives.
pub(crate) fn equal_owners(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "hosts";
    if !installed("ip") || !rustix::process::geteuid().is_root() {
        table.note("hosts: left out, network namespaces need root and iproute2");
        return Ok(());
    }
    let site = Site::hosts(3)?;
    let all: Vec<Box<dyn Contestant + '_>> = vec![Box::new(Riffle::start(stage, &site, (3, 1), SHARED)?)];
    table.interleave(stage, ROW, all, options.runs().max(SHARINGS));
    let shares: Vec<f64> = table.said(ROW, "riffle").iter().flat_map(|said| shares_of(said)).collect();
    table.must(
        ROW,
        "least share of an equal owner",
        shares.iter().copied().reduce(f64::min),
        Bound::AtLeast(0.2, 0.28),
    );
    table.must(
        ROW,
        "greatest share of an equal owner",
        shares.iter().copied().reduce(f64::max),
        Bound::AtMost(0.5, 0.39),
    );
    Ok(())
}

/// The shares of the owners, of 1, as a downloader says them: `...; from ADDRESS 33.3 %, ADDRESS 66.7 %`.
fn shares_of(said: &str) -> Vec<f64> {
    let Some((_, owners)) = said.split_once("/s; from ") else { return Vec::new() };
    let percent = |owner: &str| owner.split_whitespace().nth(1)?.parse::<f64>().ok();
    owners.split(", ").filter_map(percent).map(|percent| percent / 100.0).collect()
}
