//! `riffle list`: asks the tracker what it knows, without a node; `--wait-complete`, for scripts that wait until a number
//! of nodes have a content; and what is in one content, for which a node asks its owners.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Result;
use messages::collection::INDEX_HEADER;
use messages::limits::MIN_DIGITS;
use messages::tracker_to_node::Listed;
use messages::{ContentId, Digits, NameError, Prefix};
use riffle::{
    Choice, ContentIndex, DownloadTimeouts, Failure, InquiryEnd, Node, Question, TrackerQuery, TrackerStatus,
    Wanted,
};

use crate::arguments::List;
use crate::exit::{ExitCode, Stop};
use crate::goal::Goal;
use crate::inside::{self, Form, IN_PASSING};
use crate::output_writer;
use crate::report;
use crate::running::{refused_start, tracker_query};
use crate::screen::Screen;
use crate::settings::Settings;
use crate::swarms::{self, Swarm};
use crate::target;
use crate::tracker_words::TrackerWords as _;

/// A whole id has this many digits.
const ALL_DIGITS: usize = 64;
/// `--wait-complete` asks the tracker this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What is typed before a content to see what is in it.
pub(super) const LIST_FILES: &str = "riffle list --files";
/// A list waits for its reader in steps of this length, so that no more than a page of it waits in memory.
const READ_EVERY: Duration = Duration::from_millis(5);

/// Runs the command.
///
/// # Errors
/// When what was typed makes no sense or the tracker cannot be asked; each with its exit code.
pub(crate) async fn run(settings: Settings, arguments: List) -> Result<ExitCode> {
    let swarms = swarms::of(&settings)?;
    // A program that reads a pipe goes on with the id; at a terminal its beginning is enough.
    let is_short = std::io::stdout().is_terminal() && !arguments.long;
    let view = View {
        screen: Screen::of_lines(settings.quiet),
        digits: if is_short { MIN_DIGITS } else { ALL_DIGITS },
        swarm: None,
    };
    let prefix = arguments.prefix.as_deref().unwrap_or_default();
    if arguments.files || !arguments.select.is_empty() {
        return list_files(swarms, prefix, &arguments.select, &view).await;
    }
    if arguments.wait_complete.is_empty() {
        return list_swarms(swarms, prefix, view).await;
    }
    swarms::require_one(&settings, "what is waited for is")?;
    let mut query = tracker_query(&settings)?;
    let mut awaited = Awaiting::new(arguments.wait_complete);
    let Some(timeout) = arguments.timeout else {
        return wait(&mut query, &mut awaited, &view).await;
    };
    match tokio::time::timeout(timeout.0, wait(&mut query, &mut awaited, &view)).await {
        Ok(ended) => ended,
        Err(_) => {
            view.screen.errors(&awaited.missing());
            Ok(if awaited.answered { ExitCode::Stalled } else { view.silent(&query) })
        }
    }
}

/// How contents are shown.
struct View {
    screen: Screen,
    /// How many digits of an id are shown.
    digits: usize,
    /// What stands before each line: in which of several swarms it is.
    swarm: Option<String>,
}

impl View {
    fn rows(&self, contents: &[Listed]) -> Vec<String> {
        let rows = report::rows(contents, self.digits);
        match &self.swarm {
            Some(swarm) => rows.into_iter().map(|row| format!("{swarm}  {row}")).collect(),
            None => rows,
        }
    }

    /// Says that the tracker is asked in the clear although sealing is preferred, once.
    fn tell_of_the_clear(&self, query: &mut TrackerQuery) {
        if let Some(tracker) = query.take_in_the_clear() {
            self.screen.note(&report::in_the_clear(tracker, true));
        }
    }

    /// Says that the tracker does not answer. Returns the exit code.
    fn silent(&self, query: &TrackerQuery) -> ExitCode {
        let what = query.tracker().gives_no_answer();
        self.screen.error(&match &self.swarm {
            Some(swarm) => format!("the swarm {swarm}: {what}"),
            None => what,
        });
        ExitCode::TrackerUnreachable
    }
}

/// What was listed.
enum Listing {
    /// Everything that there is, with this exit code.
    Shown(ExitCode),
    /// Nothing yet: there is one content, and its whole name was typed, or its id.
    One(Listed),
}

/// Lists what is in each of the swarms. What went wrong in one decides the exit code; that there is nothing in it does
/// not, as long as there is something in another.
async fn list_swarms(swarms: Vec<Swarm>, prefix: &str, view: View) -> Result<ExitCode> {
    let mut codes = Vec::new();
    for Swarm { settings, called } in swarms {
        let view = View { screen: view.screen.clone(), digits: view.digits, swarm: called };
        let mut query = tracker_query(&settings)?;
        codes.push(match list(&mut query, prefix, &view).await? {
            Listing::Shown(code) => code,
            Listing::One(only) => look_into(&settings, &only, &view).await?,
        });
    }
    let is_told = |code: &&ExitCode| !matches!(code, ExitCode::Done | ExitCode::NotFound);
    let wrong = codes.iter().find(is_told).copied();
    let all = if codes.contains(&ExitCode::Done) { ExitCode::Done } else { ExitCode::NotFound };
    Ok(wrong.unwrap_or(all))
}

/// Lists the contents whose name or id begins with `prefix`.
async fn list(query: &mut TrackerQuery, prefix: &str, view: &View) -> Result<Listing> {
    let questions = questions(prefix).map_err(|error| Stop::usage(format!("\"{prefix}\": {error}")))?;
    let (mut count, mut still, mut only) = (0, Duration::ZERO, None);
    for question in questions {
        let (is_by_id, is_by_digits) = match &question {
            Question::Meant(wanted) => (true, matches!(wanted, Wanted::Digits(_))),
            Question::All(_) => (false, false),
        };
        let show = async |mut contents: Vec<Listed>| {
            // A content whose name begins so too is listed among the names.
            contents.retain(|listed| !is_by_digits || !listed.name.as_str().starts_with(prefix));
            count += contents.len();
            contents.splice(0..0, only.take());
            if count == 1 {
                only = contents.pop_if(|one| is_by_id || one.name.as_str() == prefix);
            }
            view.screen.results(&view.rows(&contents));
            while !output_writer::is_read() {
                tokio::time::sleep(READ_EVERY).await;
            }
        };
        let end = query.ask(question, show).await?;
        view.tell_of_the_clear(query);
        match end {
            InquiryEnd::Answered { may_still_come } => still = still.max(may_still_come),
            InquiryEnd::Silent => return Ok(Listing::Shown(view.silent(query))),
            InquiryEnd::Refused(code) => return Err(refused(code).into()),
        }
    }
    if let Some(only) = only {
        return Ok(Listing::One(only));
    }
    if count > 0 {
        return Ok(Listing::Shown(ExitCode::Done));
    }
    let nothing = report::nothing_listed(still);
    view.screen.note(&match &view.swarm {
        Some(swarm) => format!("the swarm {swarm}: {nothing}"),
        None => nothing,
    });
    Ok(Listing::Shown(ExitCode::NotFound))
}

/// Shows what is in the content that was meant, if it is a folder, and the content itself if it is a file.
async fn look_into(settings: &Settings, only: &Listed, view: &View) -> Result<ExitCode> {
    // A shorter content is no folder.
    if only.length >= INDEX_HEADER as u64 {
        let Answer { index, tracker } = ask(settings, only.content.into(), Some(IN_PASSING)).await?;
        match index {
            Ok(index) if index.folder.is_some() => {
                return Ok(inside::show(&index, &[], Form::of_stdout(), &view.screen).await);
            }
            Ok(_) => {}
            Err(why) => {
                view.screen.notes(&inside::failure(only.name.as_str(), &why, &tracker, LIST_FILES));
            }
        }
    }
    view.screen.results(&view.rows(std::slice::from_ref(only)));
    Ok(ExitCode::Done)
}

/// Shows what is in the content that a person means by `what`, and of a folder what `select` names.
async fn list_files(mut swarms: Vec<Swarm>, what: &str, select: &[String], view: &View) -> Result<ExitCode> {
    inside::check_patterns(select).map_err(|error| Stop::usage(error.to_string()))?;
    let wanted = target::parse(what).map_err(|error| Stop::usage(format!("\"{what}\": {error}")))?;
    if swarms.len() > 1 {
        let (which, notes) = swarms::locate(&swarms, &[(wanted.clone(), None)], false).await?;
        view.screen.notes(&notes);
        swarms.swap(0, which);
    }
    let Answer { index, tracker } = ask(&swarms.swap_remove(0).settings, wanted, None).await?;
    match index {
        Ok(index) => Ok(inside::show(&index, select, Form::of_stdout(), &view.screen).await),
        Err(why) => {
            view.screen.errors(&inside::failure(what, &why, &tracker, LIST_FILES));
            Ok(ExitCode::of_failure(&why))
        }
    }
}

/// What is known of a content, or why nothing is, and the tracker that was asked.
pub(super) struct Answer {
    pub(super) index: Result<ContentIndex, Failure>,
    pub(super) tracker: TrackerStatus,
}

/// Asks the owners of `wanted` what it is, by a node that keeps nothing and leaves at once. `timeouts`: other ones than
/// the library's.
///
/// # Errors
/// When the node cannot be started; each with its exit code.
pub(super) async fn ask(
    settings: &Settings,
    wanted: Wanted,
    timeouts: Option<DownloadTimeouts>,
) -> Result<Answer> {
    let choice = settings.tracker_choice();
    let node = Node::builder().settings((**settings).clone()).tracker_choice(choice).start().await;
    let node = node.map_err(refused_start)?;
    let question = node.index(wanted);
    let question = match timeouts {
        Some(timeouts) => question.timeouts(timeouts),
        None => question,
    };
    let index = question.await;
    let tracker = node.tracker().borrow().clone();
    node.shutdown().await;
    Ok(Answer { index, tracker })
}

/// The questions that find every content whose name begins with `prefix`, and whose id does, if `prefix` can begin an
/// id.
fn questions(prefix: &str) -> Result<Vec<Question>, NameError> {
    if let Ok(content) = prefix.parse::<ContentId>() {
        return Ok(vec![Question::Meant(Wanted::Content(content))]);
    }
    let by_id = Digits::new(prefix).ok().map(|digits| Question::Meant(Wanted::Digits(digits)));
    Ok(by_id.into_iter().chain([Question::All(Prefix::new(prefix)?)]).collect())
}

fn refused(code: messages::tracker_to_node::RefusalCode) -> Stop {
    let why = report::refusal(code).unwrap_or("the tracker refuses to answer");
    Stop::new(ExitCode::Other, why)
}

/// The lines that say that several contents fit a goal, and what to type for each.
fn unclear(goal: &Goal, found: &[Listed]) -> Vec<String> {
    let line = |choice: &str| {
        format!(
            "riffle list --wait-complete {}",
            crate::shell_words::quote(&format!("{choice}={}", goal.count))
        )
    };
    report::ambiguity(&target::label(&goal.wanted), found, false, line)
}

/// The goals that are not reached, and what the tracker last knew of each.
struct Awaiting {
    open: Vec<(Goal, Option<Listed>)>,
    /// Whether the tracker has ever answered.
    answered: bool,
    /// Whether the person was told that the tracker does not answer now.
    said: bool,
}

impl Awaiting {
    fn new(goals: Vec<Goal>) -> Awaiting {
        Awaiting { open: goals.into_iter().map(|goal| (goal, None)).collect(), answered: false, said: false }
    }

    /// A line for each goal that is not reached.
    fn missing(&self) -> Vec<String> {
        let line = |(goal, seen): &(Goal, Option<Listed>)| {
            let seen = seen.as_ref().map_or_else(
                || "nobody shares that".to_owned(),
                |seen| report::holders(seen.complete.into(), seen.partial.into()),
            );
            format!("{}: {seen}; waited for {} complete", target::label(&goal.wanted), goal.count)
        };
        self.open.iter().map(line).collect()
    }
}

/// Asks again and again until every goal is reached.
async fn wait(query: &mut TrackerQuery, awaiting: &mut Awaiting, view: &View) -> Result<ExitCode> {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !awaiting.open.is_empty() {
        looks.tick().await;
        let mut index = 0;
        while let Some((goal, seen)) = awaiting.open.get_mut(index) {
            let (found, end) = query.ask_once(Question::Meant(goal.wanted.clone())).await?;
            view.tell_of_the_clear(query);
            match end {
                InquiryEnd::Answered { .. } => {}
                InquiryEnd::Refused(code) => return Err(refused(code).into()),
                InquiryEnd::Silent if !awaiting.answered => return Ok(view.silent(query)),
                InquiryEnd::Silent => {
                    if !std::mem::replace(&mut awaiting.said, true) {
                        view.screen
                            .note(&format!("the tracker {} does not answer; asking again", query.tracker()));
                    }
                    break;
                }
            }
            (awaiting.answered, awaiting.said) = (true, false);
            *seen = match riffle::choose(&goal.wanted, &found) {
                Choice::Nothing => None,
                Choice::Only(listed) | Choice::Before(listed, _) => Some(listed.clone()),
                Choice::Unclear(_) => {
                    view.screen.errors(&unclear(goal, &found));
                    return Ok(ExitCode::Usage);
                }
            };
            match seen {
                Some(listed) if listed.complete >= goal.count => {
                    view.screen.results(&view.rows(std::slice::from_ref(listed)));
                    awaiting.open.remove(index);
                }
                _ => index += 1,
            }
        }
    }
    Ok(ExitCode::Done)
}

#[cfg(test)]
mod tests {
    use messages::Name;

    use super::*;

    #[test]
    fn a_prefix_is_looked_for_among_names_and_where_it_can_be_among_ids() {
        let all = |text| Question::All(Prefix::new(text).expect("short"));
        assert_eq!(questions(""), Ok(vec![all("")]));
        assert_eq!(questions("film"), Ok(vec![all("film")]));
        let digits = Wanted::Digits(Digits::new("20261127").expect("digits"));
        assert_eq!(questions("20261127"), Ok(vec![Question::Meant(digits), all("20261127")]));
        let id = "ab".repeat(32);
        let content = Wanted::Content(id.parse().expect("an id"));
        assert_eq!(questions(&id), Ok(vec![Question::Meant(content)]));
        assert!(questions(&"x".repeat(256)).is_err());
    }

    #[test]
    fn what_is_missing_is_told_with_what_was_seen_last() {
        let goal = |text: &str| text.parse::<Goal>().expect("a goal");
        let mut awaiting = Awaiting::new(vec![goal("lab.img=12"), goal("other=1")]);
        awaiting.open[0].1 = Some(Listed {
            content: ContentId::from_bytes([1; 32]),
            length: 1,
            complete: 2,
            partial: 3,
            hosts: 5,
            age_s: 0,
            name: Name::new("lab.img").expect("a name"),
        });
        let expected = [
            "lab.img: 2 complete, 3 on the way; waited for 12 complete",
            "other: nobody shares that; waited for 1 complete",
        ];
        assert_eq!(awaiting.missing(), expected);
    }
}
