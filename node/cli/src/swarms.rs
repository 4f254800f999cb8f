//! The swarms in which a person takes part, and in which of them something is.
//!
//! A node is in one swarm. A command that only looks, looks in all that were named, by one query to the tracker for
//! each; a command that fetches starts a node in one of them, and one that shares in all starts a node in each.

use std::time::Duration;

use anyhow::Result;
use riffle::{InquiryEnd, Question, SwarmFileTrouble, SwarmSecrets, TrackerQuery, Wanted};
use tokio::task::{JoinSet, LocalSet};

use crate::exit::{ExitCode, Stop};
use crate::running::tracker_query;
use crate::settings::Settings;
use crate::source::{self, Source};
use crate::target;

/// Swarms are asked again after this long for what nobody shares yet.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Letters of a fingerprint by which a person tells apart the few swarms that were named.
const SHORT: usize = 4;

/// One of the swarms that were named.
#[derive(Clone, Debug)]
pub(crate) struct Swarm {
    /// The settings of a node that is in this swarm alone.
    pub(crate) settings: Settings,
    /// What a person knows the swarm by among the others that were named: the fingerprint of its secret, or its
    /// beginning. `None`: it is the only one.
    pub(crate) called: Option<String>,
}

/// The swarms that `settings` name, each with what it is called.
///
/// # Errors
/// [`ExitCode::Io`] when the secret of one of several cannot be had; [`ExitCode::Usage`] when two have the same.
pub(crate) fn of(settings: &Settings) -> Result<Vec<Swarm>> {
    let each = settings.of_each_swarm();
    if each.len() == 1 {
        return Ok(each.into_iter().map(|settings| Swarm { settings, called: None }).collect());
    }
    let secrets = SwarmSecrets::of_files(settings.secret_file.iter());
    let secrets = secrets.map_err(|error| {
        let is_named_twice = matches!(error.trouble, SwarmFileTrouble::Same { .. });
        Stop::new(if is_named_twice { ExitCode::Usage } else { ExitCode::Io }, error.to_string())
    })?;
    let fingerprints = secrets.iter().map(|secrets| secrets.first().fingerprint()).collect();
    let swarm = |(settings, called): (Settings, String)| Swarm {
        settings: Settings { among: Some(called.clone()), ..settings },
        called: Some(called),
    };
    Ok(each.into_iter().zip(called(fingerprints)).map(swarm).collect())
}

/// The beginnings of the fingerprints, if they tell them apart.
fn called(fingerprints: Vec<String>) -> Vec<String> {
    let short = |fingerprint: &String| fingerprint.get(..SHORT).unwrap_or(fingerprint).to_owned();
    let mut all: Vec<String> = fingerprints.iter().map(short).collect();
    all.sort();
    all.dedup();
    match all.len() == fingerprints.len() {
        true => fingerprints.iter().map(short).collect(),
        false => fingerprints,
    }
}

/// The swarms that `settings` name, for a command that runs a node in each of them at once: of a port that was named each
/// has the next one.
///
/// # Errors
/// As [`of`], and [`ExitCode::Usage`] when there are not as many ports.
pub(crate) fn of_nodes(settings: &Settings) -> Result<Vec<Swarm>> {
    let mut swarms = of(settings)?;
    for (number, Swarm { settings, .. }) in (0..).zip(&mut swarms) {
        let port = settings.listen.0.port();
        if port != 0 {
            let next = port.checked_add(number);
            let next =
                next.ok_or_else(|| Stop::usage("--listen: there are not enough ports behind that one"))?;
            settings.listen.0.set_port(next);
        }
    }
    Ok(swarms)
}

/// The only swarm, for a command that does something in one: `what` says what, as in "a file is shared".
///
/// # Errors
/// [`ExitCode::Usage`] when several were named.
pub(crate) fn require_one(settings: &Settings, what: &str) -> Result<()> {
    match settings.secret_file.len() {
        0 | 1 => Ok(()),
        count => {
            let why = format!(
                "{count} secrets are named, and {what} in one swarm: --secret-file FILE names it alone, whatever the \
                 environment or a settings file says"
            );
            Err(Stop::usage(why).into())
        }
    }
}

/// What one swarm says of a content that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Somebody shares it.
    There,
    /// Nobody does; its tracker may still learn of somebody.
    NotYet,
    /// Nobody does.
    Absent,
    /// Its tracker does not answer, or refuses to.
    Silent,
}

/// In which of `swarms` all of `wanted` is, with what a person should know of that. Where nobody shares any of it: in the
/// first whose tracker answers. `waits`: until somebody shares it.
///
/// # Errors
/// [`ExitCode::Usage`] when no swarm has all of it and several have some.
pub(crate) async fn locate(
    swarms: &[Swarm],
    wanted: &[(Wanted, Option<Source>)],
    waits: bool,
) -> Result<(usize, Vec<String>)> {
    let mut of_each;
    loop {
        of_each = ask_all(swarms, wanted).await;
        let all = || of_each.iter().flatten();
        let may_come = waits || all().any(|found| *found == Found::NotYet);
        if all().any(|found| *found == Found::There) || !may_come {
            break;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    let labels: Vec<String> = wanted.iter().map(|(wanted, _)| target::label(wanted)).collect();
    let called = |which: usize| swarms.get(which).and_then(|swarm| swarm.called.clone()).unwrap_or_default();
    choose(&of_each, &labels, called).map_err(|why| Stop::usage(why).into())
}

/// The choice of [`locate`], of what each swarm says of each content.
fn choose(
    of_each: &[Vec<Found>],
    labels: &[String],
    called: impl Fn(usize) -> String,
) -> Result<(usize, Vec<String>), String> {
    let has = |which: usize, content: usize| of_each[which][content] == Found::There;
    let swarms = 0..of_each.len();
    let anywhere = |content: usize| swarms.clone().any(|which| has(which, content));
    let found: Vec<usize> = (0..labels.len()).filter(|&content| anywhere(content)).collect();
    if found.is_empty() {
        let answers = |which: &usize| !of_each[*which].contains(&Found::Silent);
        return Ok((swarms.clone().find(answers).unwrap_or_default(), Vec::new()));
    }
    let has_all = |which: &usize| found.iter().all(|&content| has(*which, content));
    let Some(chosen) = swarms.clone().find(has_all) else {
        let place = |&content: &usize| {
            let first = swarms.clone().find(|&which| has(which, content)).unwrap_or_default();
            format!("{} in {}", labels[content], called(first))
        };
        let places: Vec<String> = found.iter().map(place).collect();
        return Err(format!(
            "not all of it is in one swarm ({}): fetch what is in each by a command of its own",
            places.join(", ")
        ));
    };
    let others: Vec<String> = swarms
        .filter(|&which| which != chosen && found.iter().any(|&content| has(which, content)))
        .map(&called)
        .collect();
    let also = match others.is_empty() {
        true => String::new(),
        false => format!("; {} has it too, and --secret-file FILE chooses", others.join(" and ")),
    };
    Ok((chosen, vec![format!("found in the swarm {}{also}", called(chosen))]))
}

/// What each swarm says of each content.
async fn ask_all(swarms: &[Swarm], wanted: &[(Wanted, Option<Source>)]) -> Vec<Vec<Found>> {
    let (here, mut asked) = (LocalSet::new(), JoinSet::new());
    for (which, swarm) in swarms.iter().enumerate() {
        let sources: Vec<&Source> = wanted.iter().filter_map(|(_, source)| source.as_ref()).collect();
        let mut settings = swarm.settings.clone();
        source::take_tracker(&mut settings, &sources).await;
        let wanted: Vec<Wanted> = wanted.iter().map(|(wanted, _)| wanted.clone()).collect();
        asked.spawn_local_on(async move { (which, ask(settings, wanted).await) }, &here);
    }
    let mut answers = here.run_until(asked.join_all()).await;
    answers.sort_by_key(|(which, _)| *which);
    answers.into_iter().map(|(_, found)| found).collect()
}

async fn ask(settings: Settings, wanted: Vec<Wanted>) -> Vec<Found> {
    let mut of_each = Vec::new();
    if let Ok(mut query) = tracker_query(&settings) {
        for wanted in &wanted {
            let found = ask_for(&mut query, wanted).await;
            of_each.push(found);
            if found == Found::Silent {
                break;
            }
        }
    }
    // Who is silent once is not waited for again.
    of_each.resize(wanted.len(), Found::Silent);
    of_each
}

async fn ask_for(query: &mut TrackerQuery, wanted: &Wanted) -> Found {
    match query.ask_once(Question::Meant(wanted.clone())).await {
        Ok((found, InquiryEnd::Answered { .. })) if !found.is_empty() => Found::There,
        Ok((_, InquiryEnd::Answered { may_still_come })) if may_still_come > Duration::ZERO => Found::NotYet,
        Ok((_, InquiryEnd::Answered { .. })) => Found::Absent,
        Ok((_, InquiryEnd::Silent | InquiryEnd::Refused(_))) | Err(_) => Found::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(of_each: &[&[Found]], labels: &[&str]) -> Result<(usize, Vec<String>), String> {
        let of_each: Vec<Vec<Found>> = of_each.iter().map(|found| found.to_vec()).collect();
        let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
        choose(&of_each, &labels, |which| ["abcd", "efgh", "ijkl"][which].to_owned())
    }

    #[test]
    fn what_is_fetched_is_fetched_in_the_first_swarm_that_has_it() {
        use Found::{Absent, Silent, There};
        let (which, said) = chosen(&[&[Absent], &[There], &[There]], &["film"]).expect("found");
        assert_eq!(which, 1);
        assert_eq!(said, ["found in the swarm efgh; ijkl has it too, and --secret-file FILE chooses"]);
        // One that has all goes before one that has some.
        let both: [&[Found]; 2] = [&[There, Absent], &[There, There]];
        assert_eq!(chosen(&both, &["film", "song"]).expect("found").0, 1);
        assert_eq!(chosen(&[&[Silent], &[Absent]], &["film"]), Ok((1, Vec::new())));
        assert_eq!(chosen(&[&[Silent], &[Silent]], &["film"]), Ok((0, Vec::new())));
    }

    #[test]
    fn what_is_in_several_swarms_is_fetched_by_several_commands() {
        use Found::{Absent, There};
        let apart: [&[Found]; 2] = [&[There, Absent], &[Absent, There]];
        let said = chosen(&apart, &["film", "song"]).expect_err("apart");
        assert!(said.contains("(film in abcd, song in efgh)"), "{said}");
    }

    #[test]
    fn a_swarm_is_called_by_the_beginning_of_its_fingerprint_if_that_is_its_own() {
        let all = |texts: [&str; 2]| called(texts.map(str::to_owned).to_vec());
        assert_eq!(all(["abcd-efgh", "ijkl-mnop"]), ["abcd", "ijkl"]);
        assert_eq!(all(["abcd-efgh", "abcd-mnop"]), ["abcd-efgh", "abcd-mnop"]);
    }
}
