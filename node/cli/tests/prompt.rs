//! The prompt at a pipe, as scripts use it: commands are answered in their order, and the exit code tells of the first
//! mistake.
#![cfg(unix)]
#![expect(clippy::disallowed_types, reason = "these tests meet the programs over real sockets and files")]

mod programs;

use std::fs;
use std::net::UdpSocket;

use programs::{Place, Program};

/// The exit code and the lines of a prompt that is started with `arguments` and reads `script`.
fn run(place: &Place, arguments: &[&str], script: &[u8]) -> (Option<i32>, Vec<String>) {
    let mut command = place.riffle(&[arguments, &["--listen", "127.0.0.1:0"]].concat());
    let (status, said) = Program::start_with_input(command.current_dir(place.folder("here")), script).end();
    (status.code(), said)
}

fn place_of(said: &[String], words: &str) -> usize {
    said.iter().position(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {said:#?}"))
}

#[test]
fn the_first_mistake_of_a_script_is_its_exit_code() {
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    let common = ["--tracker", &address];
    fs::write(place.folder("here").join("f"), "f").expect("written");
    let table = [
        ("status\n", 0),
        ("sendd f\nstatus\n", 2),
        ("download -x f\n", 2),
        ("send \"f\n", 2),
        ("limit up 10\n", 2),
        ("send /nope\nlist\n", 10),
        ("cancel 7\n", 3),
        ("unshare g\n", 3),
        ("download nobody-has-it\nsendd\n", 3),
        ("send f\nlist\n", 0),
    ];
    for (script, code) in table {
        let (left_with, said) = run(&place, &common, script.as_bytes());
        assert_eq!(left_with, Some(code), "{script:?}: {said:#?}");
    }
}

#[test]
fn what_comes_behind_a_mistake_is_carried_out_unless_it_is_to_stop() {
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    let script = b"sendd f\nlimit up 1M\n";
    for (option, goes_on) in [(&[][..], true), (&["--keep-going"], true), (&["--stop-on-error"], false)] {
        let (code, said) = run(&place, &[&["--tracker", &address], option].concat(), script);
        assert_eq!(code, Some(2), "{said:#?}");
        assert_eq!(said.iter().any(|line| line.starts_with("limits: up 1.00 MiB/s")), goes_on, "{said:#?}");
    }
}

#[test]
fn answers_come_in_the_order_of_the_lines_and_a_healthy_tracker_is_never_called_silent() {
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    fs::write(place.folder("here").join("first"), "first").expect("written");
    let script = "status\nlist\nsend first\nlist fi\ndownload nobody-has-it\nlimit\n";
    let (code, said) = run(&place, &["--tracker", &address], script.as_bytes());
    assert_eq!(code, Some(3), "{said:#?}");
    assert!(!said.iter().any(|line| line.contains("asking again")), "{said:#?}");
    // The lines of stdout and stderr interleave at random in a test; only each stream by itself is in order.
    let stdout = ["answers", "riffle download --tracker ", "1 complete", "limits: up none, down none"];
    let stdout = stdout.map(|words| match words {
        // `status` ends with the limits too.
        "limits: up none, down none" => {
            said.iter().rposition(|line| line.contains(words)).unwrap_or_default()
        }
        _ => place_of(&said, words),
    });
    assert!(stdout.is_sorted(), "{said:#?}");
    let stderr = ["nobody shares anything like that", "sharing first", "nobody-has-it: nobody shares that"];
    assert!(stderr.map(|words| place_of(&said, words)).is_sorted(), "{said:#?}");
}

#[test]
fn a_list_without_a_tracker_ends_with_an_exit_code() {
    let place = Place::new();
    let nobody = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let address = nobody.local_addr().expect("bound").to_string();
    let (code, said) = run(&place, &["--tracker", &address], b"list\nlimit\n");
    assert_eq!(code, Some(6), "{said:#?}");
    assert!(place_of(&said, "does not answer") < said.len());
}

#[test]
fn what_a_silent_tracker_did_not_acknowledge_is_reported_and_delays_nothing_else() {
    let place = Place::new();
    let nobody = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let address = nobody.local_addr().expect("bound").to_string();
    for name in ["f", "g"] {
        fs::write(place.folder("here").join(name), name).expect("written");
    }
    let (code, said) = run(&place, &["--tracker", &address], b"send f\nsend g\nlimit\n");
    assert_eq!(code, Some(6), "{said:#?}");
    let unheard = said.iter().filter(|line| line.contains("has not heard of what was sent")).count();
    assert_eq!(unheard, 2, "{said:#?}");
    // A download that waits as long as it takes is no reason not to read the next line.
    let (code, said) = run(&place, &["--tracker", &address], b"download --wait h\nlimit\nexit\n");
    assert_eq!(code, Some(7), "{said:#?}");
    assert!(said.iter().any(|line| line.starts_with("limits: ")), "{said:#?}");
}

#[test]
fn a_list_is_printed_to_its_end_and_a_byte_order_mark_is_no_part_of_a_command() {
    const FILES: usize = 1100;
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    let folder = place.folder("here");
    let names: Vec<String> = (0..FILES).map(|number| format!("f{number:05}")).collect();
    names.iter().for_each(|name| fs::write(folder.join(name), name).expect("written"));
    let script = format!("\u{feff}send {}\nlist f\n", names.join(" "));
    let (code, said) = run(&place, &["--tracker", &address], script.as_bytes());
    assert_eq!(code, Some(0), "{:#?}", &said[..said.len().min(20)]);
    let listed = |name: &&String| said.iter().any(|line| line.ends_with(&format!("  {name}")));
    assert_eq!(names.iter().filter(listed).count(), FILES);
}
