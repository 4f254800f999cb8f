//! `riffle status` and `riffle peers`: asks the running nodes of this person on this host.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::control::{self, AskError, Request};
use crate::exit::{ExitCode, Stop};
use crate::screen::Screen;
use crate::settings::Settings;

/// Runs the command: asks the node that `--id` names, or each node that runs.
///
/// # Errors
/// When there is no state root to look for nodes in, or no node answers.
pub(crate) async fn run(settings: Settings, request: Request) -> Result<ExitCode> {
    let root = crate::settings::state_root(&settings)?;
    let screen = Screen::of_lines(settings.quiet);
    let only = settings.id.as_ref();
    let labels = only.map_or_else(|| labels(&root), |only| vec![only.to_string()]);
    let (mut answered, mut code) = (0, ExitCode::Done);
    for label in labels {
        match control::ask(&folder(&root, &label), request).await {
            Ok(lines) => {
                answered += 1;
                screen.results(&if only.is_some() { lines } else { labelled(&label, &lines) });
            }
            Err(AskError::NotRunning) => {}
            Err(error) => {
                screen.error(&format!("node {label}: {error}"));
                code = ExitCode::Other;
            }
        }
    }
    if answered > 0 || code != ExitCode::Done {
        return Ok(code);
    }
    let whose = root.display();
    let message = only.map_or_else(
        || format!("no node is running here: none answers below {whose}"),
        |only| format!("no node {only} is running here: none answers below {whose}"),
    );
    Err(Stop::new(ExitCode::NotFound, message).into())
}

/// The lines of one of several nodes, indented under its label.
fn labelled(label: &str, lines: &[String]) -> Vec<String> {
    std::iter::once(format!("node {label}:")).chain(lines.iter().map(|line| format!("  {line}"))).collect()
}

fn folder(root: &Path, label: &str) -> PathBuf {
    root.join(format!("node-{label}"))
}

/// The labels of all nodes that have a state folder below `root`, numbers first and in their order.
fn labels(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut labels: Vec<String> =
        names.filter_map(|name| name.strip_prefix("node-").map(str::to_owned)).collect();
    labels.sort_by_key(|label| (label.parse::<u32>().unwrap_or(u32::MAX), label.clone()));
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_shown_in_the_order_of_their_numbers() {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["node-10", "node-lab", "node-2", "logs", "node-1"] {
            fs::create_dir(root.path().join(name)).expect("made");
        }
        assert_eq!(labels(root.path()), ["1", "2", "10", "lab"]);
        assert!(labels(&root.path().join("nothing")).is_empty());
    }
}
