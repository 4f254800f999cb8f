//! A node on its own threads, from start to stop.

use std::sync::Arc;

use messages::Name;
use riffle_core::{Command, DiskErrorKind, Event, FolderOptions};

use super::*;

fn settings() -> DriverSettings {
    // Nobody answers there: the socket stays bound for as long as the test runs.
    DriverSettings {
        settings: config::NodeSettings::default(),
        listen: "127.0.0.1:0".parse().unwrap(),
        port: None,
        tracker: Some("127.0.0.1:9".parse().unwrap()),
        tracker_key: None,
        key: StaticKey::from_secret([5; 32]),
        secrets: None,
        hash_cache: None,
        lock_folder: None,
        journal_key: None,
        log: tracing::Dispatch::none(),
    }
}

/// A node, and what happens to it.
fn started(settings: DriverSettings) -> Result<(NodeHandle, mpsc::UnboundedReceiver<Event>), StartError> {
    let (sender, events) = mpsc::unbounded_channel();
    let node = start(settings, Box::new(move |event| drop(sender.send(event))))?;
    Ok((node, events))
}

#[test]
fn a_node_starts_answers_and_stops() {
    let (node, mut events) = started(settings()).unwrap();
    assert!(node.local_addr().port() > 0);
    assert_ne!(node.new_download(), node.new_download());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let status = runtime.block_on(node.status()).unwrap();
    assert!(status.tracker == riffle_core::TrackerStanding::Unheard && status.shares.is_empty());

    let path = "/nowhere/at/all".into();
    let share = node.new_share();
    node.command(Command::Share {
        share,
        path,
        name: Name::new("all").unwrap(),
        options: FolderOptions::default(),
    });
    let failed = loop {
        if let Event::ShareFailed { share, error } = events.blocking_recv().unwrap() {
            break (share, error.kind);
        }
    };
    assert_eq!(failed, (share, DiskErrorKind::NotFound));

    node.stop();
    while events.blocking_recv().is_some() {}
}

#[test]
fn a_dropped_node_ends_and_frees_its_port() {
    let (node, mut events) = started(settings()).unwrap();
    let listen = node.local_addr();
    let again = || started(DriverSettings { listen, ..settings() });
    assert!(matches!(again(), Err(StartError::AddressInUse(address)) if address == listen));
    drop(node);
    while events.blocking_recv().is_some() {}
    // The events end with the network thread's turn; the socket goes with it.
    let (node, _) = again().unwrap();
    node.stop();
}

#[test]
fn a_node_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &Arc<T>) {}
    let (node, _events) = started(settings()).unwrap();
    let node = Arc::new(node);
    shared(&node);
    node.stop();
}
