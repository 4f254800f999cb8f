//! `riffle secret`: makes and looks after files with the secret of a closed swarm. No secret is shown unless it is asked
//! for, and no file is written over but by
//! `rotate`, which keeps what was in it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use config::Period;
use riffle::{SwarmFileError, SwarmFileTrouble, SwarmSecret, SwarmSecrets};

use crate::arguments::Secret;
use crate::exit::{ExitCode, Stop};
use crate::output_writer::{self, Stream};

/// Runs the command.
///
/// # Errors
/// [`ExitCode::Io`] when the file cannot be read or made or others may read it, [`ExitCode::TargetExists`] when a new
/// secret should be written where something is, [`ExitCode::Integrity`] when there is something else in it.
pub(crate) fn run(command: &Secret) -> Result<ExitCode> {
    match command {
        Secret::New { file } => make(file),
        Secret::Show { file } => show(file),
        Secret::Rotate { file, overlap } => rotate(file, *overlap),
        Secret::Check { file } => check(file),
    }
}

fn make(file: &Path) -> Result<ExitCode> {
    let secret = random()?;
    let fingerprint = secret.fingerprint();
    SwarmSecrets::from(secret).make_file(file).map_err(stop)?;
    say(&[
        format!("a new secret is in {}, for you alone; its fingerprint is {fingerprint}", file.display()),
        "give it on a way that you trust to every member, who names it with --secret-file FILE".to_owned(),
    ]);
    Ok(ExitCode::Done)
}

fn rotate(file: &Path, overlap: Period) -> Result<ExitCode> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let secrets = SwarmSecrets::of_file(file).map_err(stop)?.at(now);
    let until = now.saturating_add(overlap.0.as_secs());
    let secrets = secrets.rotated(random()?, until).at(now);
    secrets.replace_file(file).map_err(stop)?;
    let good = match secrets.older().len() {
        0 => "no other is good any more".to_owned(),
        1 => format!("the one before is good for {overlap} more"),
        older => format!("the {older} before are good for {overlap} more at most"),
    };
    say(&[
        format!(
            "a new secret is first in {}; its fingerprint is {}",
            file.display(),
            secrets.first().fingerprint()
        ),
        format!(
            "{good}; give the file to every member until then: programs that run read it again by themselves"
        ),
    ]);
    Ok(ExitCode::Done)
}

fn random() -> Result<SwarmSecret> {
    let secret = SwarmSecret::random();
    secret
        .map_err(|cause| Stop::new(ExitCode::Io, format!("the system gives no random bytes: {cause}")).into())
}

fn show(file: &Path) -> Result<ExitCode> {
    let secrets = SwarmSecrets::of_file(file).map_err(stop)?;
    let lines: Vec<String> = secrets.text().lines().map(str::to_owned).collect();
    output_writer::say(Stream::Stdout, &lines);
    Ok(ExitCode::Done)
}

fn check(file: &Path) -> Result<ExitCode> {
    let secrets = SwarmSecrets::of_file(file).map_err(stop)?;
    let mut lines = vec![
        format!("{}: whole, and private to this user", file.display()),
        format!("fingerprint {}", secrets.first().fingerprint()),
    ];
    lines.extend(secrets.older().iter().map(|older| {
        format!("older fingerprint {} secret-until={}", older.secret.fingerprint(), older.until)
    }));
    output_writer::say(Stream::Stdout, &lines);
    Ok(ExitCode::Done)
}

fn say(lines: &[String]) {
    output_writer::say(Stream::Stderr, lines);
}

/// The error for a file of secrets, with its exit code.
pub(crate) fn stop(error: SwarmFileError) -> Stop {
    let code = match &error.trouble {
        SwarmFileTrouble::Exists => ExitCode::TargetExists,
        SwarmFileTrouble::Same { .. } => ExitCode::Usage,
        SwarmFileTrouble::NotAFile | SwarmFileTrouble::Text(_) => ExitCode::Integrity,
        SwarmFileTrouble::Io(_) | SwarmFileTrouble::NotOurs | SwarmFileTrouble::NotPrivate { .. } => {
            ExitCode::Io
        }
    };
    Stop::new(code, error.to_string())
}
