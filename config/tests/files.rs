//! Settings files as people write them, right and wrong.

use std::time::Duration;

use config::{ByteSize, Interval, Limit, NodeSettings, TrackerSettings};

#[test]
fn what_a_file_says_goes_before_the_default() {
    let settings = NodeSettings::from_toml(
        r#"
        id = 3
        quiet = true
        progress_period = "none"
        tracker = "tracker.example"
        listen = 4000
        dir = "/tmp/a b"
        [upload]
        limit = "10MiB/s"
        [download]
        owners = 4
        memory = "1.5GiB"
        need_again = ["1s", "2s"]
        [network]
        hello_timeout = "1s500ms"
        segment_size = 1400
        "#,
    )
    .unwrap();
    assert_eq!(settings.id.as_ref().unwrap().as_str(), "3");
    assert_eq!(settings.tracker.as_ref().unwrap().to_string(), "tracker.example:12345");
    assert_eq!(settings.listen.0.to_string(), "[::]:4000");
    assert_eq!(settings.dir.as_deref(), Some("/tmp/a b".as_ref()));
    assert_eq!((settings.quiet, settings.progress_period), (true, Interval::NONE));
    assert_eq!(settings.upload.limit.rate().unwrap().get(), 10 << 20);
    assert_eq!(settings.download.limit, Limit::NONE);
    assert_eq!(settings.download.owners, 4);
    assert_eq!(settings.download.memory, ByteSize::mib(1536));
    assert_eq!(settings.download.need_again, [1, 2].map(Duration::from_secs));
    assert_eq!(settings.network.hello_timeout, Duration::from_millis(1500));
    assert_eq!(settings.network.segment_size, 1400);
    assert_eq!(settings.disk, NodeSettings::default().disk);
}

#[test]
fn tables_may_be_written_in_any_toml_form() {
    let nested = TrackerSettings::from_toml("[limits]\nmax_nodes = 7\n").unwrap();
    assert_eq!(nested.limits.max_nodes, 7);
    assert_eq!(TrackerSettings::from_toml("limits.max_nodes = 7").unwrap(), nested);
    assert_eq!(TrackerSettings::from_toml("limits = { max_nodes = 7 }").unwrap(), nested);
}

#[test]
fn a_mistake_is_told_in_one_line_that_names_line_and_key() {
    for (toml, expected) in [
        ("listen 4000", "line 1: key with no value, expected `=`"),
        ("\n\nlistn = 4000", "line 3: unknown key `listn`: did you mean `listen`?"),
        ("owners = 4", "line 1: unknown key `owners`: did you mean `download.owners`?"),
        ("[downlod]\nowners = 4", "line 1: unknown key `downlod`: did you mean `download`?"),
        ("[download]\nmemry = 4", "line 2: unknown key `download.memry`: did you mean `download.memory`?"),
        ("[uploads]\n", "line 1: unknown key `uploads`: did you mean `upload`?"),
        ("xyzzy = 1", "line 1: unknown key `xyzzy`"),
        ("\"a\\u001Bb\" = 1", "line 1: unknown key `a\\u{1b}b`"),
        ("upload = 5", "line 1: `upload`: is a table, [upload], and not of type integer"),
        (
            "[download]\nowners = \"8\"",
            "line 2: `download.owners`: invalid type: string \"8\", expected a whole number from 0 to 255",
        ),
        (
            "[download]\nowners = 256",
            "line 2: `download.owners`: must be a whole number from 0 to 255, not 256",
        ),
        ("[download]\nowners = 0", "line 2: `download.owners`: must be from 1 to 64, not 0"),
        (
            "[download]\nmemory = true",
            "line 2: `download.memory`: invalid type: boolean `true`, expected a size such as \"64MiB\"",
        ),
        (
            "[download]\nmemory = \"1MiB\"",
            "line 2: `download.memory`: must be from \"16MiB\" to \"1TiB\", not \"1MiB\"",
        ),
        (
            "[disk]\nsync_period = 5",
            "line 2: `disk.sync_period`: the duration `5` needs a unit: \
             write ms, s, m, h or d, such as 5s",
        ),
        (
            "[download]\nneed_again = [\"0s\"]",
            "line 2: `download.need_again`: must not contain a duration of 0",
        ),
        (
            "[upload]\nlimit = 0",
            "line 2: `upload.limit`: a limit of 0 would stop every transfer: write a rate above it, or none",
        ),
        ("id = \"a/b\"", "line 1: `id`: `a/b` is not a label: write 1 to 32 letters, digits, `-` or `_`"),
        ("dir = \"\"", "line 1: `dir`: must not be empty"),
        ("dir = 5", "line 1: `dir`: invalid type: integer `5`, expected a string"),
        ("listen = 1\nlisten = 2", "line 2: duplicate key"),
        ("retry_first = \"30s\"", "`retry_first` (30s) is more than `retry_most` (20s)"),
        (
            "[network]\nfirst_window = \"64MiB\"\nsession_window = \"1MiB\"",
            "`network.first_window` (64MiB) is more than `network.session_window` (1MiB)",
        ),
        (
            "[network]\nsegment_size = 3",
            "`network.segment_size` must be 0 (automatic) or at least 1200, not 3",
        ),
        ("secret_file = [\"s\", \"\"]", "line 1: `secret_file`: must not have an empty path in it"),
        ("secret_file = \"\"", "line 1: `secret_file`: must not be empty"),
        (
            "members_file = \"m\"\n[network]\nencryption = \"never\"",
            "`network.encryption` \"never\" contradicts a secret or a list of members: in a closed swarm everything is sealed; leave out one of the two",
        ),
        (
            "secret_file = \"s\"\n[network]\nencryption = \"prefer\"",
            "`network.encryption` \"prefer\" contradicts a secret or a list of members: in a closed swarm everything is sealed; leave out one of the two",
        ),
    ] {
        let message = NodeSettings::from_toml(toml).unwrap_err().to_string();
        assert_eq!(message, expected, "{toml}");
    }
}

#[test]
fn the_first_mistake_in_the_file_is_the_one_that_is_told() {
    let toml = "zebra = 1\nlisten = true\n";
    let message = TrackerSettings::from_toml(toml).unwrap_err().to_string();
    assert!(message.starts_with("line 1: unknown key `zebra`"), "{message}");
}

#[test]
fn a_tracker_never_promises_more_owners_than_an_answer_carries() {
    let message = TrackerSettings::from_toml("ranking.owners_per_answer = 21").unwrap_err().to_string();
    assert_eq!(message, "line 1: `ranking.owners_per_answer`: must be from 1 to 20, not 21");
}
