//! The settings files in this room are what the structs say, byte for byte.

use config::{NodeSettings, TrackerSettings};

const NODE: &str = include_str!("../node.toml");
const TRACKER: &str = include_str!("../tracker.toml");

/// The file with its examples of settings that have no default put in force.
fn with_examples(toml: &str) -> String {
    let is_example = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase());
    let line =
        |line: &str| line.strip_prefix('#').filter(|rest| is_example(rest)).unwrap_or(line).to_owned() + "\n";
    toml.lines().map(line).collect()
}

#[test]
fn the_files_are_the_annotated_defaults() {
    let renew = "renew it as config/examples/annotated.rs says";
    assert!(NODE == NodeSettings::annotated_defaults(), "config/node.toml differs: {renew}");
    assert!(TRACKER == TrackerSettings::annotated_defaults(), "config/tracker.toml differs: {renew}");
}

#[test]
fn the_files_read_as_the_defaults() {
    assert_eq!(NodeSettings::from_toml(NODE), Ok(NodeSettings::default()));
    assert_eq!(TrackerSettings::from_toml(TRACKER), Ok(TrackerSettings::default()));
    assert_eq!(NodeSettings::from_toml(""), Ok(NodeSettings::default()));
    assert_eq!(TrackerSettings::from_toml(""), Ok(TrackerSettings::default()));
}

#[test]
fn the_examples_in_the_files_are_taken() {
    let node = NodeSettings::from_toml(&with_examples(NODE)).unwrap();
    assert_eq!(node.id.unwrap().as_str(), "kitchen");
    assert_eq!(node.tracker.unwrap().to_string(), "10.0.0.1:12345");
    assert!(node.dir.is_some() && node.log_dir.is_some() && node.state_dir.is_some());
    let tracker = TrackerSettings::from_toml(&with_examples(TRACKER)).unwrap();
    assert!(tracker.log_dir.is_some());
}

#[test]
fn every_key_of_the_files_has_a_comment() {
    for toml in [NODE, TRACKER] {
        let mut before = "";
        for line in toml.lines() {
            let is_entry = line.contains(" = ") && !line.starts_with("# ") || line.starts_with('[');
            assert!(!is_entry || before.starts_with("# "), "no comment above `{line}`");
            before = line;
        }
    }
}
