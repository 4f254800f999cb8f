//! Questions at the prompt what is in a content: `list ID`, `list --files NAME`, and `list NAME` where that is one
//! content.

use messages::Prefix;
use messages::tracker_to_node::Listed;
use riffle::{ContentIndex, Failure, Node, TrackerStatus, Wanted};
use tokio::task::JoinSet;

use crate::exit::ExitCode;
use crate::inside::{self, Form};
use crate::report;
use crate::screen::Screen;

/// What is typed before a content to see what is in it.
const LIST_FILES: &str = "list --files";

/// The questions that are not answered yet. They are given up with the prompt.
#[derive(Debug, Default)]
pub(super) struct Inquiries {
    asked: JoinSet<Answer>,
}

/// Why somebody asks what is in a content, and so what is said when that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// A person has asked for it: of a folder for what these patterns name.
    Asked(Vec<String>),
    /// What was typed may begin an id. If it does not, it may begin names.
    MayBeId(Prefix),
    /// It is the one content of the list, under the whole name that was typed.
    Listed(Box<Listed>),
}

/// The answer to one question.
#[derive(Debug)]
pub(super) struct Answer {
    label: String,
    occasion: Occasion,
    index: Result<ContentIndex, Failure>,
}

impl Inquiries {
    /// Asks what is in `wanted`, which was typed as `label`.
    pub(super) fn ask(&mut self, wanted: Wanted, label: String, occasion: Occasion, node: &Node) {
        let index = match &occasion {
            Occasion::Listed(_) => node.index(wanted).timeouts(inside::IN_PASSING),
            Occasion::Asked(_) | Occasion::MayBeId(_) => node.index(wanted),
        };
        self.asked.spawn(async move { Answer { label, occasion, index: index.await } });
    }

    /// Whether a question waits for its answer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Waits for the next answer; `None`: nothing is asked.
    pub(super) async fn next(&mut self) -> Option<Answer> {
        self.asked.join_next().await.map(|answer| answer.expect("asking does not panic"))
    }
}

impl Answer {
    /// The prefix that names may begin with, when no id begins so.
    pub(super) fn prefix_of_names(&self) -> Option<&Prefix> {
        match (&self.occasion, &self.index) {
            (Occasion::MayBeId(prefix), Err(Failure::NotFound)) => Some(prefix),
            _ => None,
        }
    }

    /// Shows the answer, or why there is none.
    pub(super) async fn show(&self, tracker: &TrackerStatus, screen: &Screen) -> ExitCode {
        let row = |listed: &Listed| screen.results(&report::listing(std::slice::from_ref(listed)));
        let patterns = match &self.occasion {
            Occasion::Asked(patterns) => &patterns[..],
            Occasion::MayBeId(_) | Occasion::Listed(_) => &[],
        };
        match (&self.index, &self.occasion) {
            (Ok(ContentIndex { folder: None, .. }), Occasion::Listed(listed)) => {
                row(listed);
                ExitCode::Done
            }
            (Ok(index), _) => inside::show(index, patterns, Form::of_stdout(), screen).await,
            (Err(why), Occasion::Listed(listed)) => {
                row(listed);
                screen.notes(&inside::failure(&self.label, why, tracker, LIST_FILES));
                ExitCode::Done
            }
            (Err(why), _) => {
                screen.errors(&inside::failure(&self.label, why, tracker, LIST_FILES));
                ExitCode::of_failure(why)
            }
        }
    }
}
