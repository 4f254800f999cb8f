//! Long and lossy links, by a link emulator between two network namespaces: whole transfers, everything cold, beside TCP.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use crate::figures::{MIB, Run, median};
use crate::options::Options;
use crate::peers::Contestant;
use crate::peers::curl::Curl;
use crate::peers::riffle::Riffle;
use crate::process::{Process, call, installed};
use crate::site::{End, Site};
use crate::stage::Stage;
use crate::table::{Bound, Table};

const ROW: &str = "links";

/// A link, and what crosses it.
struct Link {
    name: &'static str,
    megabits: u64,
    round_trip_ms: u64,
    /// In each direction, of 1000 packets.
    lost: u64,
    mebibytes: u64,
    /// The share of the link that must be used; else more than TCP with BBR uses.
    least: Option<f64>,
}

const LINKS: [Link; 4] = [
    Link {
        name: "100M 20 ms 0 %",
        megabits: 100,
        round_trip_ms: 20,
        lost: 0,
        mebibytes: 64,
        least: Some(0.9),
    },
    Link { name: "100M 100 ms 1 %", megabits: 100, round_trip_ms: 100, lost: 10, mebibytes: 64, least: None },
    Link { name: "1G 20 ms 0.1 %", megabits: 1000, round_trip_ms: 20, lost: 1, mebibytes: 100, least: None },
    Link { name: "10M 200 ms 5 %", megabits: 10, round_trip_ms: 200, lost: 50, mebibytes: 16, least: None },
];

/// Who crosses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Riffle,
    Tcp(&'static str),
}

impl Who {
    fn name(self) -> String {
        match self {
            Who::Riffle => "riffle".to_owned(),
            Who::Tcp(control) => format!("curl, TCP {control}"),
        }
    }
}

/// What runs over one link have shown.
struct Shown {
    /// Of the link's rate.
    goodput: f64,
    /// IP bytes that the link took from the owner's side, by bytes of the file.
    wire: f64,
}

/// Whole transfers over each link.
pub(crate) fn links(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    let emulator = options.links.as_deref().context("--links names the emulator")?;
    let curl = installed("nginx") && installed("curl");
    // What a namespace may choose.
    let allowed = fs::read_to_string("/proc/sys/net/ipv4/tcp_allowed_congestion_control").unwrap_or_default();
    let can = |control: &str| curl && allowed.split_whitespace().any(|allowed| allowed == control);
    let (bbr, cubic) = (can("bbr"), can("cubic"));
    for (name, _) in [("BBR", bbr), ("CUBIC", cubic)].into_iter().filter(|(_, can)| !can) {
        table.note(format!("not here: nginx and curl over TCP with {name}"));
    }
    for link in &LINKS {
        let mut peers = vec![Who::Riffle];
        peers.extend(bbr.then_some(Who::Tcp("bbr")));
        // Where something is lost at random it takes minutes, at 1.4 to 3.9 % of the link.
        peers.extend((cubic && link.lost == 0).then_some(Who::Tcp("cubic")));
        let mut runs: Vec<Vec<(Run, u64)>> = vec![Vec::new(); peers.len()];
        for _ in 0..options.runs() {
            for (who, runs) in peers.iter().zip(&mut runs) {
                match cross(stage, emulator, link, *who) {
                    Ok(run) => runs.push(run),
                    Err(error) => table.failed(ROW, &format!("{}: {}", link.name, who.name()), &error),
                }
                stage.check()?;
            }
        }
        let shown: Vec<Option<Shown>> = runs.iter().map(|runs| shown(link, runs)).collect();
        for ((who, runs), shown) in peers.iter().zip(runs).zip(&shown) {
            let Some(Shown { goodput, wire }) = shown else { continue };
            let name = format!("{}: {}: {goodput:.3} of it, {wire:.2} sent", link.name, who.name());
            table.add(ROW, name, runs.into_iter().map(|(run, _)| run).collect());
        }
        let of = |who: Who| shown.get(peers.iter().position(|peer| *peer == who)?)?.as_ref();
        let (riffle, bbr) = (of(Who::Riffle), of(Who::Tcp("bbr")));
        let (goodput, wire) = (riffle.map(|shown| shown.goodput), riffle.map(|shown| shown.wire));
        match link.least {
            Some(least) => {
                table.must(ROW, format!("{}: of the link", link.name), goodput, Bound::AtLeast(least, least))
            }
            None => {
                let ratio = goodput.zip(bbr).map(|(riffle, bbr)| riffle / bbr.goodput);
                table.must(ROW, format!("{}: riffle / TCP BBR", link.name), ratio, Bound::AtLeast(1.0, 1.0));
            }
        }
        table.must(ROW, format!("{}: sent / file", link.name), wire, Bound::AtMost(1.12, 1.12));
    }
    Ok(())
}

/// One transfer over a link that did not exist before; with the bytes that the owner's side put on it.
fn cross(stage: &Stage, emulator: &Path, link: &Link, who: Who) -> Result<(Run, u64)> {
    let site = Site::namespaces("link")?;
    let port = |end: End| format!("{}={}", site.namespace(end).unwrap_or_default(), site.address(end));
    // One bandwidth-delay product.
    let buffer_kib = link.megabits * 1000 * link.round_trip_ms / 8 / 1024;
    let mut command = Command::new(emulator);
    command.args(["--port", &port(End::Giving), "--port", &port(End::Taking)]);
    command.args(["--rate-mbit", &link.megabits.to_string(), "--buffer-kb", &buffer_kib.to_string()]);
    command.args(["--delay-ms", &(link.round_trip_ms / 2).to_string()]);
    command.args(["--loss", &(link.lost as f64 / 1000.0).to_string()]);
    let mut emulator = Process::start(&mut command, "emulator", stage.path())?;
    emulator.wait_until(stage, "being ready", |said| said.contains("ready").then_some(()))?;
    let length = link.mebibytes * MIB;
    let mut contestant: Box<dyn Contestant + '_> = match who {
        Who::Riffle => Box::new(Riffle::start(stage, &site, (1, 1), length)?),
        Who::Tcp(control) => {
            let setting = "net.ipv4.tcp_congestion_control";
            // What is the default already may not be set here.
            if call(site.command(End::Giving, "sysctl").args(["-n", setting]))?.trim() != control {
                call(site.command(End::Giving, "sysctl").args([
                    "-q",
                    "-w",
                    &format!("{setting}={control}"),
                ]))?;
            }
            Box::new(Curl::start(stage, &site, &[stage.source(length)?], false)?)
        }
    };
    let run = contestant.run(stage);
    drop(contestant);
    let counted = emulator.leave(Signal::INT)?;
    // Nothing is known from before in the next run.
    let _ = fs::remove_dir_all(stage.path().join("swarm-1-1"));
    let sent = counted.split_once("\"in_bytes\":").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
    let mut run = run?;
    run.said.clear();
    Ok((run, sent.context("the emulator's counters")?))
}

fn shown(link: &Link, runs: &[(Run, u64)]) -> Option<Shown> {
    let bits = link.megabits as f64 * 1e6;
    let goodput = |run: &Run| run.bytes as f64 * 8.0 / run.wall.as_secs_f64() / bits;
    let wire = runs.iter().map(|(run, sent)| *sent as f64 / run.bytes as f64);
    Some(Shown { goodput: median(runs.iter().map(|(run, _)| goodput(run)))?, wire: median(wire)? })
}
