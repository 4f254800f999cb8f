//! What was measured, as lines for people or as JSON.

use std::fmt::Write as _;

use crate::figures::{MIB, Medians, Run};
use crate::peers::Contestant;
use crate::stage::Stage;

/// Runs of one contestant in one row.
pub(crate) struct Line {
    row: &'static str,
    name: String,
    runs: Vec<Run>,
}

/// What the issue of speed asks for.
pub(crate) enum Bound {
    /// At least: must, and what to reach for.
    AtLeast(f64, f64),
    /// At most, alike.
    AtMost(f64, f64),
}

/// One thing that must be so, with what was measured.
struct Must {
    row: &'static str,
    what: String,
    value: f64,
    bound: Bound,
}

impl Must {
    fn met(&self, reach: bool) -> bool {
        match self.bound {
            Bound::AtLeast(must, goal) => self.value >= if reach { goal } else { must },
            Bound::AtMost(must, goal) => self.value <= if reach { goal } else { must },
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.met(false), self.met(true)) {
            (false, _) => "NOT MET",
            (true, false) => "met",
            (true, true) => "reached",
        }
    }
}

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
    musts: Vec<Must>,
    notes: Vec<String>,
    failures: Vec<String>,
}

impl Table {
    /// Lets the contestants run in turns, `runs` times, each on warm memory. Who fails is told and is out.
    pub(crate) fn interleave(
        &mut self,
        stage: &Stage,
        row: &'static str,
        contestants: Vec<Box<dyn Contestant + '_>>,
        runs: usize,
    ) {
        let mut all: Vec<(Box<dyn Contestant + '_>, Vec<Run>, bool)> =
            contestants.into_iter().map(|contestant| (contestant, Vec::new(), false)).collect();
        for _ in 0..runs {
            for (contestant, done, out) in all.iter_mut().filter(|(_, _, out)| !out) {
                let (sources, written) = contestant.touches();
                let run = stage.warm(&sources, written).and_then(|()| contestant.run(stage));
                match run {
                    Ok(run) => done.push(run),
                    Err(error) => {
                        *out = true;
                        self.failed(row, &contestant.name(), &error);
                    }
                }
            }
        }
        for (mut contestant, runs, _) in all {
            self.add(row, contestant.name(), runs);
            if let Some((name, runs)) = contestant.aside() {
                self.add(row, name, runs);
            }
        }
    }

    /// Runs that were made elsewhere.
    pub(crate) fn add(&mut self, row: &'static str, name: String, runs: Vec<Run>) {
        if !runs.is_empty() {
            // Riffle says how fast it was by its own clock: without the start and the end of the process.
            let own = runs.iter().filter_map(|run| run.said.split_once("/s; from")?.0.rsplit(", ").next());
            let own: Vec<&str> = own.collect();
            if !own.is_empty() {
                self.notes.push(format!("{row}: {name} says of itself {}/s", own.join("/s, ")));
            }
            self.lines.push(Line { row, name, runs });
        }
    }

    /// Something could not be run.
    pub(crate) fn failed(&mut self, row: &'static str, name: &str, error: &anyhow::Error) {
        self.failures.push(format!("{row}: {name}: {error:#}"));
    }

    /// Something to know about the figures.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The medians of the contestant whose name begins with `name`.
    pub(crate) fn medians(&self, row: &str, name: &str) -> Option<Medians> {
        let line = self.lines.iter().find(|line| line.row == row && line.name.starts_with(name))?;
        Medians::of(&line.runs)
    }

    /// What the contestant whose name begins with `name` said in each run.
    pub(crate) fn said(&self, row: &str, name: &str) -> Vec<&str> {
        let lines = self.lines.iter().filter(|line| line.row == row && line.name.starts_with(name));
        lines.flat_map(|line| &line.runs).map(|run| run.said.as_str()).collect()
    }

    /// A figure that must be within bounds; left out where it could not be measured.
    pub(crate) fn must(
        &mut self,
        row: &'static str,
        what: impl Into<String>,
        value: Option<f64>,
        bound: Bound,
    ) {
        if let Some(value) = value {
            self.musts.push(Must { row, what: what.into(), value, bound });
        }
    }

    /// Whether everything could be run.
    pub(crate) fn is_whole(&self) -> bool {
        self.failures.is_empty()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let wide = self.lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).max(8);
        if !self.lines.is_empty() {
            let _ = writeln!(
                text,
                "{:<7} {:<wide$} {:>8} {:>8} {:>17}  {:>22}  {:>17}",
                "row", "who", "MB/s", "ms", "MB/s, all runs", "CPU-s/GiB give + take", "MiB give, take"
            );
        }
        for line in &self.lines {
            let Some(medians) = Medians::of(&line.runs) else { continue };
            let rate = |run: &Run| run.bytes as f64 / run.wall.as_secs_f64() / 1e6;
            let least = line.runs.iter().map(rate).fold(f64::INFINITY, f64::min);
            let most = line.runs.iter().map(rate).fold(0.0, f64::max);
            // What is over in a moment has no rate.
            let moved = line.runs.iter().all(|run| run.bytes >= MIB);
            let or_none = |text: String| if moved { text } else { "–".to_owned() };
            let cpu = format!("{:.2} + {:.2} = {:.2}", medians.giving, medians.taking, medians.both);
            let _ = writeln!(
                text,
                "{:<7} {:<wide$} {:>8} {:>8.1} {:>17}  {:>22}  {:>17}",
                line.row,
                line.name,
                or_none(format!("{:.0}", medians.megabytes)),
                medians.wall.as_secs_f64() * 1e3,
                or_none(format!("{least:.0}-{most:.0}")),
                or_none(cpu),
                format!("{}, {}", medians.giving_peak / MIB, medians.taking_peak / MIB),
            );
        }
        if !self.musts.is_empty() {
            let wide = self.musts.iter().map(|must| must.what.chars().count()).max().unwrap_or(0);
            text.push('\n');
            for must in &self.musts {
                let (sign, bound, goal) = match must.bound {
                    Bound::AtLeast(bound, goal) => ('≥', bound, goal),
                    Bound::AtMost(bound, goal) => ('≤', bound, goal),
                };
                let _ = writeln!(
                    text,
                    "{:<7} {:<wide$} {:>8.2}  must {sign} {bound:<6} reach for {goal:<6} {}",
                    must.row,
                    must.what,
                    must.value,
                    must.verdict()
                );
            }
        }
        self.notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
        self.failures.iter().for_each(|failure| text.push_str(&format!("FAILED to run: {failure}\n")));
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        let lines: Vec<String> = self.lines.iter().filter_map(json_of_line).collect();
        let must = |must: &Must| {
            let (kind, bound, goal) = match must.bound {
                Bound::AtLeast(bound, goal) => ("at_least", bound, goal),
                Bound::AtMost(bound, goal) => ("at_most", bound, goal),
            };
            format!(
                "{{\"row\":{},\"what\":{},\"value\":{:.4},\"{kind}\":{bound},\"reach\":{goal},\"met\":{}}}",
                quoted(must.row),
                quoted(&must.what),
                must.value,
                must.met(false)
            )
        };
        let musts: Vec<String> = self.musts.iter().map(must).collect();
        let texts = |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(",");
        format!(
            "{{\"lines\":[{}],\"musts\":[{}],\"notes\":[{}],\"failures\":[{}]}}\n",
            lines.join(","),
            musts.join(","),
            texts(&self.notes),
            texts(&self.failures)
        )
    }
}

fn json_of_line(line: &Line) -> Option<String> {
    let medians = Medians::of(&line.runs)?;
    let walls: Vec<String> = line.runs.iter().map(|run| format!("{:.6}", run.wall.as_secs_f64())).collect();
    Some(format!(
        "{{\"row\":{},\"who\":{},\"megabytes_a_second\":{:.2},\"seconds\":{:.6},\"runs\":[{}],\
         \"cpu_give\":{:.3},\"cpu_take\":{:.3},\"anon_give\":{},\"anon_take\":{}}}",
        quoted(line.row),
        quoted(&line.name),
        medians.megabytes,
        medians.wall.as_secs_f64(),
        walls.join(","),
        medians.giving,
        medians.taking,
        medians.giving_peak,
        medians.taking_peak
    ))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
