//! Processes as a measurement sees them: started in a folder, looked at in /proc, ended by their number in any case.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::figures::{Run, Side};
use crate::stage::Stage;

/// How often memory is looked at while something runs: a look takes some 20 µs, so it costs nothing that shows.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Nothing takes longer to start, however long it hashes first.
pub(crate) const STARTING: Duration = Duration::from_secs(120);

/// How long a process may take to leave after it was asked to.
const LEAVING: Duration = Duration::from_secs(5);

/// A process that was started here. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    /// What it is called when something is wrong with it.
    name: String,
    out: PathBuf,
    err: PathBuf,
    /// The most private memory seen so far, in bytes.
    peak: u64,
    /// The most memory of any kind since it was started, in bytes.
    resident: u64,
}

impl Process {
    /// Starts `command`; what it says goes to files in `folder` that are called after `name`.
    pub(crate) fn start(command: &mut Command, name: &str, folder: &Path) -> Result<Process> {
        let (out, err) = (folder.join(format!("{name}.out")), folder.join(format!("{name}.err")));
        command.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&err)?);
        // Ctrl-C is for the measurement alone, which then ends what it started.
        let child = command.process_group(0).spawn().with_context(|| format!("{name} does not start"))?;
        Ok(Process { child, name: name.to_owned(), out, err, peak: 0, resident: 0 })
    }

    /// Everything that it has said on stdout so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// Waits until `found` finds something in what it says on stdout or stderr.
    pub(crate) fn wait_until<T>(
        &mut self,
        stage: &Stage,
        what: &str,
        found: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + STARTING;
        loop {
            let looked = Instant::now();
            let text = self.said() + &fs::read_to_string(&self.err).unwrap_or_default();
            if let Some(found) = found(&text) {
                return Ok(found);
            }
            stage.check()?;
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}) before {what}: {}", self.name, last_words(&text));
            }
            if Instant::now() >= deadline {
                bail!("{}: no {what} within {STARTING:?}: {}", self.name, last_words(&text));
            }
            // Who says much is not kept from its work by whoever reads it.
            std::thread::sleep(Duration::from_millis(1).max(3 * looked.elapsed()));
        }
    }

    /// The processor time that it has used, its ended children included.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu_of(self.child.id())
    }

    /// Looks at its private memory; the most that was seen of it.
    pub(crate) fn look(&mut self) -> u64 {
        let [private, resident] = memory(self.child.id(), ["RssAnon:", "VmHWM:"]);
        (self.peak, self.resident) = (self.peak.max(private), self.resident.max(resident));
        self.peak
    }

    /// What it has cost so far, of processor time what is beyond `before`.
    pub(crate) fn side(&self, before: Duration) -> Result<Side> {
        let cpu = self.cpu()?.saturating_sub(before);
        Ok(Side { cpu, peak: self.peak, resident: self.resident })
    }

    /// Forgets what was seen of its private memory, and looks again.
    fn look_anew(&mut self) {
        self.peak = 0;
        self.look();
    }

    /// Asks it to leave with `signal` and gives back what it said on stdout.
    pub(crate) fn leave(mut self, signal: Signal) -> Result<String> {
        kill_process(Pid::from_child(&self.child), signal)?;
        let deadline = Instant::now() + LEAVING;
        while self.child.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                bail!("{} does not leave", self.name);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(self.said())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `command` to its end; what it said on stdout.
pub(crate) fn call(command: &mut Command) -> Result<String> {
    let words = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| words.clone())?;
    if !output.status.success() {
        bail!("{words}: {}: {}", output.status, last_words(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program of that name can be started.
pub(crate) fn installed(program: &str) -> bool {
    let found = |folder: PathBuf| folder.join(program).is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers are where a user's PATH often does not lead.
    let more = [PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")];
    std::env::split_paths(&path).chain(more).any(found)
}

/// A measurement of those who give and those who take, from just before the latter start until they have ended.
pub(crate) struct Watch<'a> {
    givers: Vec<(&'a mut Process, Duration)>,
    /// When it began.
    pub(crate) began: Instant,
}

impl<'a> Watch<'a> {
    /// Begins.
    pub(crate) fn begin(givers: impl IntoIterator<Item = &'a mut Process>) -> Result<Watch<'a>> {
        let mut all = Vec::new();
        for giver in givers {
            giver.look_anew();
            let cpu = giver.cpu()?;
            all.push((giver, cpu));
        }
        Ok(Watch { givers: all, began: Instant::now() })
    }

    /// Waits for the end of all `takers`, at most `limit`, and says what it has cost to move `bytes`.
    pub(crate) fn until_ended(
        mut self,
        stage: &Stage,
        mut takers: Vec<Process>,
        bytes: u64,
        limit: Duration,
    ) -> Result<Run> {
        let descriptors: Vec<OwnedFd> = takers
            .iter()
            .map(|taker| pidfd_open(Pid::from_child(&taker.child), PidfdFlags::empty()))
            .collect::<Result<_, _>>()?;
        let mut each: Vec<Option<Duration>> = vec![None; takers.len()];
        let every = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK_EVERY.subsec_nanos()) };
        while each.iter().any(Option::is_none) {
            stage.check()?;
            if self.began.elapsed() > limit {
                let name = &takers[0].name;
                bail!("{name} has not ended after {limit:?}: {}", last_words(&takers[0].last_said()));
            }
            let waited: Vec<usize> = (0..takers.len()).filter(|index| each[*index].is_none()).collect();
            let mut polled: Vec<PollFd<'_>> =
                waited.iter().map(|index| PollFd::new(&descriptors[*index], PollFlags::IN)).collect();
            poll(&mut polled, Some(&every))?;
            let now = self.began.elapsed();
            for (polled, index) in polled.iter().zip(&waited) {
                if !polled.revents().is_empty() {
                    each[*index] = Some(now);
                }
            }
            takers.iter_mut().for_each(|taker| _ = taker.look());
            self.givers.iter_mut().for_each(|(giver, _)| _ = giver.look());
        }
        let each: Vec<Duration> = each.into_iter().flatten().collect();
        let mut taking = Side::default();
        let mut said = String::new();
        for mut taker in takers {
            // It has ended and nobody has waited for it: all its time is still told.
            taking.add(taker.side(Duration::ZERO)?);
            let status = taker.child.wait()?;
            if !status.success() {
                bail!("{} ended with {status}: {}", taker.name, last_words(&taker.last_said()));
            }
            said = taker.said();
        }
        let wall = each.iter().copied().max().unwrap_or_default();
        Ok(Run { wall, bytes, giving: self.giving()?, taking, said })
    }

    /// What it has cost until now, with `takers` that go on.
    pub(crate) fn now(self, takers: &mut [Process], bytes: u64) -> Result<Run> {
        let wall = self.began.elapsed();
        let mut taking = Side::default();
        for taker in takers {
            taker.look();
            taking.add(taker.side(Duration::ZERO)?);
        }
        Ok(Run { wall, bytes, giving: self.giving()?, taking, said: String::new() })
    }

    fn giving(&self) -> Result<Side> {
        let mut giving = Side::default();
        for (giver, before) in &self.givers {
            giving.add(giver.side(*before)?);
        }
        Ok(giving)
    }
}

impl Process {
    fn last_said(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default() + &self.said()
    }
}

/// Busy and stolen time of all cores together since the system started.
pub(crate) fn machine_time() -> (Duration, Duration) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<u64> = text
        .lines()
        .next()
        .map(|line| line.split_whitespace().skip(1).filter_map(|number| number.parse().ok()).collect())
        .unwrap_or_default();
    let time = |fields: &[usize]| {
        let ticks: u64 = fields.iter().filter_map(|field| ticks.get(*field)).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    };
    // user, nice, system, irq, softirq; steal: proc(5).
    (time(&[0, 1, 2, 5, 6]), time(&[7]))
}

/// What this process itself has used, for work that is done here.
pub(crate) fn own_cpu() -> Result<Duration> {
    cpu_of(std::process::id())
}

fn cpu_of(id: u32) -> Result<Duration> {
    let path = format!("/proc/{id}/stat");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    // The name, in brackets, may hold anything; behind it stand numbers.
    let (_, numbers) = text.rsplit_once(')').with_context(|| path.clone())?;
    let number = |index: usize| -> u64 {
        numbers.split_whitespace().nth(index).and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    // utime, stime, and the same of children that were waited for: fields 14 to 17 of proc(5).
    let ticks: u64 = (11..15).map(number).sum();
    Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

/// The sizes that the system tells of a process under these names, in bytes; 0 of one that has ended.
fn memory<const COUNT: usize>(id: u32, names: [&str; COUNT]) -> [u64; COUNT] {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    names.map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.unwrap_or(0) << 10
    })
}

/// The end of what a process said, short enough for one line.
fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join(" | ")
}
