//! The downloads that a person asked for, from what was typed to how each ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use node::{Command, Destination, DownloadId, DownloadOrder, Event, Failure, Patience, Waiting, Wanted};

use crate::driver::NodeHandle;
use crate::exit::ExitCode;
use crate::report::{self, Place};
use crate::screen::Screen;
use crate::wanted;

/// The downloads that are not over, and the first exit code that a failed one asks for.
#[derive(Debug)]
pub(crate) struct Fetching {
    place: Place,
    running: BTreeMap<DownloadId, Fetch>,
    code: ExitCode,
    done: usize,
}

/// One download that is not over.
#[derive(Debug)]
struct Fetch {
    label: String,
    said: Option<Waiting>,
}

impl Fetching {
    /// No downloads yet; `place` is where the person reads about them.
    pub(crate) fn new(place: Place) -> Fetching {
        Fetching { place, running: BTreeMap::new(), code: ExitCode::Done, done: 0 }
    }

    /// Asks for a download.
    pub(crate) fn begin(
        &mut self,
        wanted: Wanted,
        destination: Destination,
        patience: Patience,
        handle: &NodeHandle,
    ) -> DownloadId {
        let download = handle.new_download();
        self.running.insert(download, Fetch { label: wanted::label(&wanted), said: None });
        let order = DownloadOrder { wanted, destination, patience };
        handle.command(Command::Download { download, order });
        download
    }

    /// Takes in what happened and says on `screen` what a person should know.
    pub(crate) fn on_event(&mut self, event: &Event, screen: &Screen) {
        match event {
            Event::DownloadIdentified { download, name, .. } => {
                if let Some(fetch) = self.running.get_mut(download) {
                    fetch.label = name.to_string();
                }
            }
            Event::DownloadResumed { download, have_bytes, hashed_again } => {
                if let Some(fetch) = self.running.get(download) {
                    screen.note(&report::resumed(&fetch.label, *have_bytes, *hashed_again));
                }
            }
            Event::DownloadWaits { download, why } => self.on_wait(*download, why, screen),
            Event::PieceRejected { download, piece, .. } if self.running.contains_key(download) => {
                screen.note(&format!("piece {piece} did not verify and is fetched again"));
            }
            Event::OwnerLost { download, owner, peer, why } if self.running.contains_key(download) => {
                if let Some(line) = report::owner_lost(*owner, *peer, *why) {
                    screen.note(&line);
                }
            }
            Event::DownloadDone { download, path, summary } if self.running.remove(download).is_some() => {
                screen.result(&report::summary(path, summary));
                self.done += 1;
            }
            Event::DownloadFailed { download, why } => {
                if let Some(fetch) = self.running.remove(download) {
                    self.on_failure(&fetch.label, why, screen);
                }
            }
            _ => {}
        }
    }

    /// Whether all of them are over.
    pub(crate) fn is_over(&self) -> bool {
        self.running.is_empty()
    }

    /// How many arrived.
    pub(crate) fn done(&self) -> usize {
        self.done
    }

    /// What the first one that failed asks the program to leave with.
    pub(crate) fn code(&self) -> ExitCode {
        self.code
    }

    /// What to call those that are not over.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.running.values().map(|fetch| fetch.label.as_str())
    }

    fn on_wait(&mut self, download: DownloadId, why: &Waiting, screen: &Screen) {
        let Some(fetch) = self.running.get_mut(&download) else { return };
        if !report::is_news(why) {
            // What was said before is news again when it comes back after pieces have arrived.
            if *why == Waiting::Nothing {
                fetch.said = None;
            }
            return;
        }
        let said = fetch.said.as_ref().map(std::mem::discriminant);
        if said != Some(std::mem::discriminant(why)) {
            if let Some(words) = report::waiting(why) {
                screen.note(&format!("{}: {words}", fetch.label));
            }
            fetch.said = Some(why.clone());
        }
    }

    fn on_failure(&mut self, label: &str, why: &Failure, screen: &Screen) {
        for line in report::failure(label, why, self.place) {
            screen.note(&line);
        }
        if self.code == ExitCode::Done {
            self.code = ExitCode::of_failure(why);
        }
    }
}

/// Where a download goes that was told `-o output`: into it when it is a folder, else to that very path.
pub(crate) fn destination(output: Option<&Path>, folder: &Path) -> Destination {
    let Some(output) = output else {
        return Destination::Folder(folder.to_owned());
    };
    let path: PathBuf = folder.join(output);
    if names_a_folder(output, folder) { Destination::Folder(path) } else { Destination::File(path) }
}

/// What is wrong with `-o output` for that many files, if anything.
pub(crate) fn objection(output: Option<&Path>, folder: &Path, files: usize) -> Option<&'static str> {
    let one_path = output.is_some_and(|output| !names_a_folder(output, folder));
    (files > 1 && one_path)
        .then_some("-o must be a folder for several files: one that is there, or with a / at its end")
}

/// Whether `-o output` is a folder: one that is there, or written like one.
fn names_a_folder(output: &Path, folder: &Path) -> bool {
    output.as_os_str().to_string_lossy().ends_with(std::path::is_separator) || folder.join(output).is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_a_folder_when_it_is_one_or_is_written_like_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path();
        std::fs::create_dir(here.join("sub")).expect("made");
        assert_eq!(destination(None, here), Destination::Folder(here.to_owned()));
        assert_eq!(destination(Some(Path::new("sub")), here), Destination::Folder(here.join("sub")));
        assert_eq!(destination(Some(Path::new("new/")), here), Destination::Folder(here.join("new/")));
        assert_eq!(destination(Some(Path::new("file")), here), Destination::File(here.join("file")));
    }

    #[test]
    fn the_first_failure_decides_the_exit_code() {
        let fetch = |label: &str| Fetch { label: label.to_owned(), said: None };
        let mut fetching = Fetching::new(Place::OneShot);
        fetching.running = BTreeMap::from([(DownloadId(1), fetch("a")), (DownloadId(2), fetch("b"))]);
        let failed = |number, why| Event::DownloadFailed { download: DownloadId(number), why };
        fetching.on_event(&failed(2, Failure::NoOwner), &Screen::Nowhere);
        fetching.on_event(&failed(7, Failure::Integrity), &Screen::Nowhere);
        assert!(!fetching.is_over());
        fetching.on_event(&failed(1, Failure::NotFound), &Screen::Nowhere);
        assert!(fetching.is_over());
        assert_eq!((fetching.code(), fetching.done()), (ExitCode::NoOwner, 0));
    }

    #[test]
    fn several_files_go_into_a_folder_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let objects =
            |output: &str, files| objection(Some(Path::new(output)), folder.path(), files).is_some();
        assert!(objects("c", 2) && !objects("c", 1));
        assert!(!objects("c/", 2) && !objects(".", 2));
        assert_eq!(objection(None, folder.path(), 2), None);
    }
}
