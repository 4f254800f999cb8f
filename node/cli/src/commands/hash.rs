//! `riffle hash`: prints what `b3sum` prints, without a node.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use riffle::{ContentId, DiskError, DiskErrorKind};

use crate::arguments::Hash;
use crate::exit::ExitCode;
use crate::output_writer::{self, LAST_WORDS, Stream};

/// What stands for the standard input.
const STDIN: &str = "-";
/// So many lines may wait for who reads them.
const MAX_AHEAD: usize = 1024;

/// Runs the command. What cannot be read is told, and the rest is hashed all the same.
pub(crate) fn run(arguments: &Hash) -> ExitCode {
    let stdin = [STDIN.into()];
    let files = if arguments.files.is_empty() { &stdin[..] } else { &arguments.files };
    let mut code = ExitCode::Done;
    for (number, file) in (1..).zip(files) {
        match hash(file) {
            Ok(content) => print(&line(content, file)),
            Err(error) => {
                code = ExitCode::of_disk(&error);
                output_writer::say(Stream::Stderr, &[format!("riffle: {}", why(&error))]);
            }
        }
        if number % MAX_AHEAD == 0 {
            while !output_writer::flush(LAST_WORDS) {}
        }
    }
    code
}

fn hash(file: &Path) -> Result<ContentId, DiskError> {
    if file != Path::new(STDIN) {
        return riffle::hash_file(file);
    }
    let other = |cause: io::Error| DiskErrorKind::Other(cause.to_string());
    let hashed = riffle::hash_reader(io::stdin().lock());
    hashed.map_err(|cause| DiskError { path: "the standard input".into(), kind: other(cause) })
}

/// Why a file was not read, in words that say what is at its path.
pub(super) fn why(error: &DiskError) -> String {
    let path = error.path.display();
    match error.kind {
        DiskErrorKind::NotAFile if error.path.is_dir() => format!("{path}: a folder, not a file"),
        DiskErrorKind::Changed => format!("{path}: changed while it was read"),
        _ => error.to_string(),
    }
}

/// A line as `b3sum` has it: it begins with a backslash when the name has one, or a line break, and these are escaped.
fn line(content: ContentId, file: &Path) -> String {
    let name = file.to_string_lossy();
    let name = if cfg!(windows) { name.replace('\\', "/") } else { name.into_owned() };
    let escaped = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    let sign = if escaped == name { "" } else { "\\" };
    format!("{sign}{content}  {escaped}")
}

/// Programs are given the line as it is; a terminal, nothing that steers it.
fn print(line: &str) {
    if io::stdout().is_terminal() {
        output_writer::say(Stream::Stdout, &[line]);
    } else {
        output_writer::hand_over(format!("{line}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_escaped_as_b3sum_does() {
        let id = ContentId::from_bytes([0xab; 32]);
        let line = |name: &str| line(id, Path::new(name)).replace(&"ab".repeat(32), "ID");
        assert_eq!(line("a b"), "ID  a b");
        assert_eq!(line("-"), "ID  -");
        assert_eq!(line("\u{202e}x"), "ID  \u{202e}x");
        #[cfg(unix)]
        assert_eq!(line("a\\b\nc\rd"), "\\ID  a\\\\b\\nc\\rd");
    }
}
