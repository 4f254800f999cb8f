//! The library as another program meets it: a tracker and several nodes in one process, over real sockets.

use std::path::Path;
use std::time::Duration;

use riffle::{
    DiskErrorKind, EmbeddedTracker, Event, EventsError, Failure, Node, NodeSettings, Prefix, QueryError,
    ShareError, StartError, TrackerChoice, TrackerLog, TrackerQuery,
};

/// Nothing here takes longer, however busy the machine is.
const LONG: Duration = Duration::from_secs(60);

fn tracker() -> EmbeddedTracker {
    EmbeddedTracker::start(([127, 0, 0, 1], 0).into(), TrackerLog::none()).expect("a tracker")
}

async fn node(tracker: &EmbeddedTracker) -> Node {
    let builder = Node::builder().tracker(tracker.address().to_string()).listen(([127, 0, 0, 1], 0).into());
    builder.start().await.expect("a node")
}

fn file(folder: &Path, name: &str, length: usize) -> std::path::PathBuf {
    let path = folder.join(name);
    let bytes: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
    std::fs::write(&path, bytes).expect("written");
    path
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(LONG, test).await.expect("in time") });
}

#[test]
fn one_node_shares_and_another_fetches_with_progress() {
    run(async {
        let (folder, tracker) = (tempfile::tempdir().expect("a folder"), tracker());
        let path = file(folder.path(), "film.bin", 3 << 20);
        let owner = node(&tracker).await;
        let share = owner.share(&path).await.expect("shared");
        let content = share.announced().await.expect("announced");
        assert_eq!((share.content(), share.name().as_str()), (Some(content), "film.bin"));

        let downloader = node(&tracker).await;
        let page = downloader.list(Prefix::default(), None).await.expect("listed");
        assert_eq!(page.contents.len(), 1);
        std::fs::create_dir(folder.path().join("here")).expect("made");
        let download = downloader.download(content).into_dir(folder.path().join("here")).start();
        let (mut updates, mut seen) = (download.progress(), Vec::new());
        while let Some(progress) = updates.next().await {
            seen.push(progress.verified);
        }
        let finished = download.finished().await.expect("fetched");
        assert_eq!(seen.last(), Some(&(3 << 20)));
        assert!(seen.is_sorted(), "{seen:?}");
        assert_eq!(finished.path, folder.path().join("here/film.bin"));
        assert_eq!(std::fs::read(&finished.path).expect("there"), std::fs::read(&path).expect("there"));
        assert_eq!(download.content(), Some(content));
        // A second download of the same is there already.
        let again = downloader.download(content).into_dir(folder.path().join("here")).start();
        assert!(again.finished().await.expect("there").summary.already_there);
        tokio::join!(owner.shutdown(), downloader.shutdown());
    });
}

#[test]
fn what_goes_wrong_has_a_type() {
    run(async {
        let (folder, tracker) = (tempfile::tempdir().expect("a folder"), tracker());
        let node = node(&tracker).await;
        let missing = node.share(folder.path().join("nothing")).await;
        let Err(ShareError::File(error)) = missing else { panic!("{missing:?}") };
        assert_eq!(error.kind, DiskErrorKind::NotFound);
        let unknown = node.download(riffle::ContentId::from_bytes([9; 32])).into_dir(folder.path()).start();
        unknown.cancel();
        assert_eq!(unknown.finished().await, Err(Failure::Cancelled));
        let bad = Node::builder().tracker("no port").start().await;
        assert!(matches!(bad, Err(StartError::TrackerAddress { .. })), "{bad:?}");
        let taken = Node::builder().tracker("127.0.0.1:1").listen(node.local_addr()).start().await;
        assert!(matches!(taken, Err(StartError::AddressInUse(_))), "{taken:?}");
        node.shutdown().await;
    });
}

#[test]
fn a_node_and_a_query_are_in_one_swarm_and_say_so_when_several_are_named() {
    let files = ["a.secret", "b.secret"].map(std::path::PathBuf::from);
    let settings = NodeSettings { secret_file: files.into_iter().collect(), ..NodeSettings::default() };
    let error = TrackerQuery::new(&TrackerChoice::Default, &settings, None).expect_err("several");
    assert!(matches!(error, QueryError::SeveralSwarms(_)), "{error}");
    let error = Node::builder().settings(settings).start_blocking().expect_err("several");
    assert!(matches!(error, StartError::SeveralSwarms(_)), "{error}");
    assert!(error.to_string().contains("each swarm has a node of its own"), "{error}");
}

#[test]
fn who_follows_first_misses_nothing_of_the_start() {
    run(async {
        let tracker = tracker();
        let node = node(&tracker).await;
        // However late: the tracker has answered by now.
        while node.status().await.expect("running").tracker != riffle::TrackerStanding::Answers {
            tokio::task::yield_now().await;
        }
        let first = node.events().next().await;
        assert!(matches!(first, Ok(Event::TrackerReached { .. })), "{first:?}");
        node.shutdown().await;
    });
}

#[test]
fn a_node_that_ends_lets_nobody_wait() {
    run(async {
        let (folder, tracker) = (tempfile::tempdir().expect("a folder"), tracker());
        let node = node(&tracker).await;
        let share = node.share(file(folder.path(), "f", 10)).await.expect("shared");
        let download = node.download(riffle::ContentId::from_bytes([9; 32])).into_dir(folder.path()).start();
        let mut events = node.events();
        node.stop();
        assert_eq!(download.finished().await, Err(Failure::Cancelled));
        assert!(download.progress().next().await.is_none_or(|progress| progress.verified == 0));
        while events.next().await.is_ok() {}
        assert_eq!(events.next().await, Err(EventsError::Ended));
        assert!(node.status().await.is_err());
        assert_eq!(share.content(), share.hashed().await.ok(), "what was known stays known");
        // What is asked of it now is answered at once.
        let late = node.share(folder.path().join("f")).await;
        assert!(matches!(late, Err(ShareError::NodeEnded)), "{late:?}");
        let late = node.download(riffle::ContentId::from_bytes([8; 32])).start();
        assert_eq!(late.finished().await, Err(Failure::Cancelled));
    });
}

#[test]
fn a_share_that_is_stopped_is_not_found_any_more() {
    run(async {
        let (folder, tracker) = (tempfile::tempdir().expect("a folder"), tracker());
        let node = node(&tracker).await;
        let share = node.share(file(folder.path(), "f", 10)).await.expect("shared");
        share.announced().await.expect("announced");
        let mut events = node.events();
        share.stop();
        while !matches!(events.next().await, Ok(Event::Unshared { .. })) {}
        assert_eq!(share.end(), Some(ShareError::Stopped));
        // The tracker is told at once; it may take a moment to have heard it.
        while !node.list(Prefix::default(), None).await.expect("listed").contents.is_empty() {
            tokio::task::yield_now().await;
        }
        node.shutdown().await;
    });
}

#[test]
fn a_new_version_of_a_name_finds_the_earlier_ones_and_every_share_is_announced() {
    run(async {
        let (folder, tracker) = (tempfile::tempdir().expect("a folder"), tracker());
        let node = node(&tracker).await;
        let name = riffle::Name::new("film").expect("a name");
        let first = node.share(file(folder.path(), "first", 10)).name(name.clone()).await.expect("shared");
        first.announced().await.expect("announced");
        let mut events = node.events();
        let same = node.share(file(folder.path(), "same", 10)).name(name.clone()).await.expect("shared");
        let is_told = |event| matches!(event, Ok(Event::Announced { share, .. }) if share == same.id());
        while !is_told(events.next().await) {}
        assert_eq!(same.earlier_versions(), [], "the same content is no other version");
        let second = node.share(file(folder.path(), "second", 11)).name(name).await.expect("shared");
        assert_eq!(second.earlier_versions(), [first.id(), same.id()]);
        node.unshare(first.id());
        while !matches!(events.next().await, Ok(Event::Unshared { .. })) {}
        assert_eq!(second.earlier_versions(), [same.id()]);
        node.shutdown().await;
    });
}

#[test]
fn limits_change_while_it_runs_and_an_identity_is_kept() {
    run(async {
        let (folder, tracker) = (tempfile::tempdir().expect("a folder"), tracker());
        let start = || {
            let builder = Node::builder().tracker(tracker.address().to_string());
            builder.listen(([127, 0, 0, 1], 0).into()).state_dir(folder.path()).start()
        };
        let first = start().await.expect("a node");
        first.set_limits(Some(1 << 20), None);
        let status = first.status().await.expect("running");
        assert_eq!((status.upload_limit, status.download_limit), (Some(1 << 20), None));
        let second = start().await.expect("another");
        assert_ne!(first.id(), second.id());
        assert_eq!(second.state().map(riffle::state::StateFolder::label), Some("2"));
        let (id, port) = (first.id(), first.local_addr().port());
        first.shutdown().await;
        drop(first);
        let again = start().await.expect("the first again");
        assert_eq!((again.id(), again.local_addr().port()), (id, port));
        tokio::join!(again.shutdown(), second.shutdown());
    });
}
