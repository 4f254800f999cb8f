//! Several files with secrets, wherever they are named.

use std::path::{Path, PathBuf};

use config::{MAX_SECRET_FILES, NodeSettings, SecretFiles, TrackerSettings};

fn named(files: &SecretFiles) -> Vec<&Path> {
    files.iter().collect()
}

#[test]
fn a_file_may_be_written_alone_and_several_as_an_array() {
    let of = |toml: &str| TrackerSettings::from_toml(toml).map(|settings| settings.secret_file);
    assert_eq!(named(&of("").unwrap()), [] as [&Path; 0]);
    assert_eq!(named(&of("secret_file = \"a:b\"").unwrap()), [Path::new("a:b")]);
    assert_eq!(named(&of("secret_file = [\"b\", \"a\"]").unwrap()), [Path::new("b"), Path::new("a")]);
    let several = |count: usize| format!("secret_file = {:?}", vec!["s"; count]);
    assert_eq!(of(&several(MAX_SECRET_FILES)).unwrap().len(), MAX_SECRET_FILES);
    let error = of(&several(MAX_SECRET_FILES + 1)).unwrap_err().to_string();
    assert_eq!(error, "line 1: `secret_file`: must name 15 files at most, not 16");
    assert!(NodeSettings::from_toml("secret_file = [1]").is_err());
}

#[test]
fn a_node_has_one_swarm_and_several_are_taken_apart() {
    assert_eq!(SecretFiles::NONE.only(), Ok(None));
    assert_eq!(SecretFiles::NONE.of_each_swarm(), [SecretFiles::NONE]);
    let both: SecretFiles = ["one", "two"].map(PathBuf::from).into_iter().collect();
    assert!(both.only().unwrap_err().to_string().starts_with("2 secret files were named"));
    let each = both.of_each_swarm();
    assert_eq!(
        each.iter().map(SecretFiles::only).collect::<Result<Vec<_>, _>>().unwrap(),
        [Some(Path::new("one")), Some(Path::new("two"))]
    );
}

#[test]
fn what_comes_first_is_taken_whole() {
    let [flag, file] = ["flag", "file"].map(|name| SecretFiles::from(Path::new(name)));
    assert_eq!(flag.clone().or(file.clone()), flag);
    assert_eq!(SecretFiles::NONE.or(file.clone()), file);
    let both: SecretFiles = [flag, file].into_iter().collect();
    assert_eq!(both, ["flag", "file"].map(PathBuf::from).into_iter().collect());
}

#[test]
fn beside_the_open_swarm_a_tracker_may_say_in_the_clear_what_is_of_the_open_swarm() {
    let clear = "encryption = \"prefer\"\nsecret_file = \"s\"\n";
    assert!(TrackerSettings::from_toml(clear).is_err());
    let settings = TrackerSettings::from_toml(&format!("{clear}open_swarm = true\n")).unwrap();
    assert!(settings.serves_open_swarm());
    assert!(TrackerSettings::default().serves_open_swarm());
    assert!(!TrackerSettings::from_toml("secret_file = \"s\"").unwrap().serves_open_swarm());
}
