//! Looks at the file of a closed swarm's secrets again and again, since they change while the tracker runs.

use std::time::Duration;

use channel::{SwarmFile, SwarmSecrets};

use super::clock;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Hands the secrets to `changed` whenever others are accepted, until that returns `false`. A file system that hangs
/// holds up nobody else.
pub(super) async fn follow(mut file: SwarmFile, mut changed: impl FnMut(SwarmSecrets) -> bool) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let look = move || {
            let found = file.look(clock::unix_ms().unwrap_or(0) / 1000);
            (file, found)
        };
        let Ok((looked, (news, trouble))) = tokio::task::spawn_blocking(look).await else { return };
        file = looked;
        if let Some(trouble) = trouble {
            tracing::warn!(%trouble, "the secrets stay what they were");
        }
        let Some(secrets) = news else { continue };
        let older = secrets.older().len();
        tracing::info!(fingerprint = secrets.first().fingerprint(), older, "the secrets have changed");
        if !changed(secrets) {
            return;
        }
    }
}
