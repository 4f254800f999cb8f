//! The table of earlier systems' defects in `DEFECTS.md`: each row names tests, and every test that it names exists.

use std::fs;
use std::path::Path;

/// All of them but D32, which is about encryption.
const DEFECTS: usize = 33;

fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() && entry.file_name().is_some_and(|name| name != "target") {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(&entry).expect("text"));
        }
    }
}

#[test]
fn every_defect_of_earlier_systems_has_a_test() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    let mut all = String::new();
    for name in ["messages", "config", "logs", "tracker", "node"] {
        sources(&house.join(name), &mut all);
    }
    let table = fs::read_to_string(house.join("node/cli/tests/DEFECTS.md")).expect("text");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| D")).collect();
    assert_eq!(rows.len(), DEFECTS);
    for row in rows {
        let proofs = row.split('|').nth(3).expect("a third column");
        let names: Vec<&str> = proofs.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            assert!(all.contains(&format!("fn {name}(")), "no test is called {name}: {row}");
        }
    }
}
