//! Looks at the files of a closed swarm's secrets and members again and again, since they change while the node runs.

use std::time::Duration;

use channel::{Members, MembersFile, SwarmFile, SwarmSecrets};
use std::time::{SystemTime, UNIX_EPOCH};

/// How often a file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Hands the secrets to `changed` whenever others are accepted, until that returns `false`.
pub(super) async fn follow(file: SwarmFile, mut changed: impl FnMut(SwarmSecrets) -> bool) {
    let look = |file: &mut SwarmFile| {
        let (news, trouble) = file.look(unix_seconds());
        if let Some(trouble) = trouble {
            tracing::warn!(%trouble, "the secrets stay what they were");
        }
        news
    };
    let changed = move |secrets: SwarmSecrets| {
        let older = secrets.older().len();
        tracing::info!(fingerprint = secrets.first().fingerprint(), older, "the secrets have changed");
        changed(secrets)
    };
    follow_with(file, look, changed).await;
}

/// Hands the list of members to `changed` whenever it is another, until that returns `false`.
pub(super) async fn follow_members(file: MembersFile, mut changed: impl FnMut(Members) -> bool) {
    let look = |file: &mut MembersFile| {
        let (news, trouble) = file.look();
        if let Some(trouble) = trouble {
            tracing::warn!(%trouble, "the members stay who they were");
        }
        news
    };
    let changed = move |members: Members| {
        let (allowed, denied) = (members.allowed(), members.denied());
        tracing::info!(allowed, denied, "the list of members has changed");
        changed(members)
    };
    follow_with(file, look, changed).await;
}

/// Looks at `file` now and then, and hands what is new to `changed`, until that returns `false`. A file system that
/// hangs holds up nobody else.
async fn follow_with<File: Send + 'static, News: Send + 'static>(
    mut file: File,
    look: fn(&mut File) -> Option<News>,
    mut changed: impl FnMut(News) -> bool,
) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let log = tracing::dispatcher::get_default(Clone::clone);
        let look = move || {
            let news = tracing::dispatcher::with_default(&log, || look(&mut file));
            (file, news)
        };
        let Ok((looked, news)) = tokio::task::spawn_blocking(look).await else { return };
        file = looked;
        if news.is_some_and(|news| !changed(news)) {
            return;
        }
    }
}

/// The seconds since 1970.
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
