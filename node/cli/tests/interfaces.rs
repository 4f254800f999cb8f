//! The real program on real sockets over interfaces that carry packets of other sizes, in network namespaces of their
//! own: what a path is found to carry, and what becomes of a transfer whose interface shrinks under it.
#![cfg(target_os = "linux")]

mod programs;

use std::fs;
use std::process::{Command, Stdio};

use programs::{Place, Program, noise};

const MIB: usize = 1 << 20;

/// What every script begins with: waiting without `sleep`, an owner of a.bin, and what its downloader's log tells.
const PRELUDE: &str = r#"
    pause() { read -rt 0.02 <> <(:) || :; }
    until_found() { for _ in $(seq 2000); do grep -qs "$@" && return; pause; done; echo "never: $*"; exit 1; }
    share() { "$@" "$RIFFLE" send a.bin --id owner --tracker "$tracker" >line.txt 2>notes.txt & owner=$!; until_found '^riffle download' line.txt; }
    fetch() { "$@" "$RIFFLE" download a.bin -o saved --id downloader --tracker "$tracker" $limit >said.txt 2>&1; }
    carried() { grep -ho 'path carries.*' logs/node-downloader.log | grep -o 'datagram=[0-9]*' | tr '\n' ' '; }
"#;

/// How a namespace may be made here: as root, or as whoever may be root in a namespace of users. Says loudly when
/// neither goes.
fn namespace() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["--net", "--mount"], &["--user", "--map-root-user", "--net", "--mount"]];
    let probe = "command -v ip nsenter >/dev/null && ip link set lo mtu 1280 up";
    let goes = |way: &&&[&str]| {
        let mut command = Command::new("unshare");
        command.args(**way).args(["bash", "-c", probe]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let way = WAYS.iter().find(goes).copied();
    if way.is_none() {
        eprintln!(
            "SKIPPED: interfaces of MTU 1280, 1500 and 9000 are NOT tested here: network namespaces cannot be made (`unshare`, `nsenter` and `ip` \
             are needed, and root or user namespaces)"
        );
    }
    way
}

/// Runs `script` with a.bin of `length` bytes there: what it said, and what the downloader's path was found to carry,
/// one after the other. `None` where namespaces cannot be made. The file has arrived.
fn run(script: &str, length: usize) -> Option<Vec<u16>> {
    let way = namespace()?;
    let place = Place::new();
    fs::write(place.path().join("a.bin"), noise(length)).expect("written");
    place.folder("saved");
    let riffle = place.riffle(&[]);
    let mut command = Command::new("unshare");
    command.args(way).args(["bash", "-euc", &format!("{PRELUDE}\n{script}\ncarried")]);
    command.current_dir(place.path()).env("RIFFLE", env!("CARGO_BIN_EXE_riffle"));
    for (name, value) in riffle.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (status, said) = Program::start(&mut command).end();
    assert!(status.success(), "{said:#?}\n{}", place.logs());
    let saved = fs::read(place.path().join("saved/a.bin")).expect("saved");
    assert!(saved == noise(length), "not the file");
    let numbers = said.iter().flat_map(|line| line.split_whitespace());
    Some(numbers.filter_map(|word| word.strip_prefix("datagram=")?.parse().ok()).collect())
}

/// One host whose loopback interface carries packets of `mtu` bytes.
fn over_loopback(mtu: u32, tracker: &str) -> Option<Vec<u16>> {
    let script = format!(
        r#"
        limit=; tracker={tracker}:12399
        ip link set lo mtu {mtu} up
        "$RIFFLE" tracker --listen {tracker}:12399 >tracker.txt 2>&1 & tracking=$!
        trap 'kill $tracking $owner 2>/dev/null' EXIT
        owner=; until_found 'listening on' tracker.txt
        share
        fetch
        "#
    );
    run(&script, 24 * MIB)
}

#[test]
fn interfaces_are_found_to_carry_what_they_carry() {
    for (mtu, tracker, found) in [
        (1280, "127.0.0.1", 1252),
        (1500, "127.0.0.1", 1472),
        (9000, "127.0.0.1", 8972),
        (65_536, "127.0.0.1", 16_416),
        (1280, "[::1]", 1232),
        (1500, "[::1]", 1452),
        (9000, "[::1]", 8952),
        (65_536, "[::1]", 16_416),
    ] {
        let Some(carried) = over_loopback(mtu, tracker) else { return };
        assert_eq!(carried.last(), Some(&found), "MTU {mtu} at {tracker}: {carried:?}");
    }
}

/// The sender's own system refuses what is longer than its interface takes: bursts with EINVAL, datagrams with
/// EMSGSIZE.
#[test]
fn an_interface_that_shrinks_in_the_middle_of_a_transfer_is_followed() {
    for (before, after, found) in [(9000, 1500, 1472), (1500, 1280, 1252), (65_536, 1500, 1472)] {
        let script = format!(
            r#"
            limit="--download-limit 12MiB"; tracker=127.0.0.1:12399
            ip link set lo mtu {before} up
            "$RIFFLE" tracker --listen $tracker >tracker.txt 2>&1 & tracking=$!
            trap 'kill $tracking $owner $fetching 2>/dev/null' EXIT
            owner=; fetching=; until_found 'listening on' tracker.txt
            share
            fetch & fetching=$!
            until_found 'path carries' logs/node-downloader.log
            for _ in $(seq 10); do pause; done
            ip link set lo mtu {after}
            wait $fetching; fetching=
            "#
        );
        let Some(carried) = run(&script, 24 * MIB) else { return };
        assert_eq!(carried.last(), Some(&found), "from {before} to {after}: {carried:?}");
        assert!(carried.contains(&1200), "the base size at once: {carried:?}");
    }
}

/// An owner on a cable of 9000 and a downloader on one of 1500 bytes, a router between: only probes tell.
#[test]
fn the_narrowest_cable_behind_a_router_decides() {
    let script = r#"
        limit=; tracker=10.84.1.1:12399
        ip link set lo up
        unshare --net sleep 60 & far=$!
        trap 'kill $far $tracking $owner 2>/dev/null' EXIT
        tracking=; owner=
        for _ in $(seq 200); do [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break; pause; done
        unshare --net sleep 60 & near=$!
        trap 'kill $far $near $tracking $owner 2>/dev/null' EXIT
        for _ in $(seq 200); do [ "$(readlink /proc/$near/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break; pause; done
        # Words and no functions: what is started with them in the background is then the program itself, which the trap ends.
        at_far="nsenter --net=/proc/$far/ns/net"; at_near="nsenter --net=/proc/$near/ns/net"
        ip link add wide0 mtu 9000 type veth peer name wide1 mtu 9000 netns /proc/$far/ns/net
        ip link add thin0 mtu 1500 type veth peer name thin1 mtu 1500 netns /proc/$near/ns/net
        ip addr add 10.84.1.1/24 dev wide0; ip link set wide0 up
        ip addr add 10.84.2.1/24 dev thin0; ip link set thin0 up
        $at_far ip link set lo up; $at_far ip addr add 10.84.1.2/24 dev wide1; $at_far ip link set wide1 up
        $at_far ip route add default via 10.84.1.1
        $at_near ip link set lo up; $at_near ip addr add 10.84.2.2/24 dev thin1; $at_near ip link set thin1 up
        $at_near ip route add default via 10.84.2.1
        mount -t proc proc /proc 2>/dev/null || :
        echo 1 >/proc/sys/net/ipv4/ip_forward
        "$RIFFLE" tracker --listen $tracker >tracker.txt 2>&1 & tracking=$!
        until_found 'listening on' tracker.txt
        share $at_far
        fetch $at_near
    "#;
    let Some(carried) = run(script, 24 * MIB) else { return };
    // 1472, of which sealing takes 21.
    assert_eq!(carried.last(), Some(&1451), "{carried:?}");
}
