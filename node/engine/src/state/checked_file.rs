//! Small files that a node keeps in its state folder: a line that names form and version, a line for each thing that is
//! kept, and a checksum over all of it. Readable by people, whole or not there, and never believed when damaged.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::files::write_whole;
use crate::platform::path_bytes::{bytes_of, of_bytes};

/// No kept file is longer, in bytes; a longer one is not ours.
const MAX_BYTES: u64 = 64 << 20;
/// The ending that is put behind the name of a file that is set aside.
const ASIDE: &str = ".damaged";
/// The ending of the name of a file that is not whole yet.
const UNFINISHED: &str = ".new";
/// What begins the last line, before the checksum of all lines above it.
const CHECKSUM: &str = "crc32 ";

/// Files that have been gone for this long are forgotten; until then they may be on a disk that is not plugged in.
pub const GONE_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why a file's lines are not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The system cannot read the lines.
    #[error("{0}")]
    Unreadable(String),
    /// The lines are not what was written.
    #[error("damaged, or of another version of riffle")]
    Damaged,
}

/// The lines of the file at `path`, which must be of the form `title`; none when there is no such file.
///
/// # Errors
/// When they cannot be read or are not whole.
pub fn read(path: &Path, title: &str) -> Result<Vec<String>, Damage> {
    let mut text = Vec::new();
    match File::open(path) {
        Ok(file) => {
            let read = file.take(MAX_BYTES).read_to_end(&mut text);
            read.map_err(|error| Damage::Unreadable(error.to_string()))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Damage::Unreadable(error.to_string())),
    }
    lines_of(&text, title).ok_or(Damage::Damaged)
}

fn lines_of(text: &[u8], title: &str) -> Option<Vec<String>> {
    let text = str::from_utf8(text).ok()?.strip_suffix('\n')?;
    let (body, checksum) = text.rsplit_once('\n')?;
    let expected = u32::from_str_radix(checksum.strip_prefix(CHECKSUM)?, 16).ok()?;
    let mut lines = body.split('\n');
    let fits = crc32fast::hash(body.as_bytes()) == expected && lines.next() == Some(title);
    fits.then(|| lines.map(str::to_owned).collect())
}

/// Writes the file at `path` anew: after a crash at any moment it holds these lines or those from before.
///
/// # Errors
/// When the disk does not take it; then what was there before is still there.
pub fn write(path: &Path, title: &str, lines: impl Iterator<Item = String>) -> io::Result<()> {
    let mut text = title.to_owned();
    for line in lines {
        text.push('\n');
        text.push_str(&line);
    }
    let checksum = crc32fast::hash(text.as_bytes());
    text.push_str(&format!("\n{CHECKSUM}{checksum:08x}\n"));
    write_whole(path, text.as_bytes())
}

/// Puts a file that is not believed out of the way, for a person to look at. Says so in one line.
pub fn set_aside(path: &Path, damage: &Damage, lost: &str) -> String {
    let mut aside = path.as_os_str().to_owned();
    aside.push(ASIDE);
    let moved = *damage == Damage::Damaged && fs::rename(path, &aside).is_ok();
    let kept = if moved { format!("; kept as {}", Path::new(&aside).display()) } else { String::new() };
    format!("{}: {damage}{kept}: {lost}", path.display())
}

/// Removes from a state folder what was set aside as damaged, or left unfinished by a life that was cut short, so long
/// ago that nobody looks at it any more.
pub fn sweep(folder: &Path) {
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let ends = |ending: &str| file.file_name().to_string_lossy().ends_with(ending);
        let is_old = || {
            let modified = file.metadata().and_then(|found| found.modified()).ok();
            modified.and_then(|time| time.elapsed().ok()).is_some_and(|age| age > GONE_FOR)
        };
        let is_file = || file.file_type().is_ok_and(|kind| kind.is_file());
        if (ends(ASIDE) || ends(UNFINISHED)) && is_file() && is_old() {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// A path in one line of text without tabs, whatever bytes it has.
pub fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for chunk in bytes_of(path.as_os_str()).utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() || letter == '%' {
                let mut bytes = [0; 4];
                letter
                    .encode_utf8(&mut bytes)
                    .bytes()
                    .for_each(|byte| text.push_str(&format!("%{byte:02x}")));
            } else {
                text.push(letter);
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("%{byte:02x}")));
    }
    text
}

/// The path that [`escaped`] has written; `None` when it has not.
pub fn unescaped(text: &str) -> Option<PathBuf> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    of_bytes(bytes).map(PathBuf::from)
}

/// Seconds since the epoch, by the system's clock.
pub fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TITLE: &str = "riffle test 1";

    fn kept(lines: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kept");
        write(&path, TITLE, lines.iter().map(|line| (*line).to_owned())).expect("written");
        (folder, path)
    }

    #[test]
    fn what_is_written_is_read_and_nothing_is_read_where_nothing_is() {
        for lines in [&[][..], &["one"], &["one", "", "naïve\tthree"]] {
            let (folder, path) = kept(lines);
            assert_eq!(read(&path, TITLE), Ok(lines.iter().map(|line| (*line).to_owned()).collect()));
            assert_eq!(read(&folder.path().join("other"), TITLE), Ok(Vec::new()));
            assert_eq!(read(&path, "riffle test 2"), Err(Damage::Damaged), "another version");
            assert_eq!(
                fs::read_dir(folder.path()).expect("a folder").count(),
                1,
                "nothing is left beside it"
            );
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed_and_set_aside() {
        let (folder, path) = kept(&["one", "two"]);
        let whole = fs::read(&path).expect("there");
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            for damaged in [&whole[..at], &flipped] {
                fs::write(&path, damaged).expect("written");
                assert_eq!(read(&path, TITLE), Err(Damage::Damaged), "at {at}");
            }
        }
        let said = set_aside(&path, &Damage::Damaged, "nothing is remembered");
        assert!(said.contains("kept.damaged") && said.ends_with("nothing is remembered"), "{said}");
        assert!(!path.exists() && folder.path().join("kept.damaged").exists());
        assert_eq!(read(&path, TITLE), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn every_path_survives_its_text(bytes: Vec<u8>) {
            // On some systems not all bytes are a path.
            let Some(path) = of_bytes(bytes).map(PathBuf::from) else { return Ok(()) };
            let text = escaped(&path);
            prop_assert!(!text.contains(['\t', '\n']));
            prop_assert_eq!(unescaped(&text), Some(path));
        }

        #[test]
        fn any_text_is_a_path_or_refused(text: String) {
            let _ = unescaped(&text);
        }
    }
}
