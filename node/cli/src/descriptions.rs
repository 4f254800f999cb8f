//! Descriptions of contents (`NAME.riffle.json`) that say what to fetch, and whether what has arrived is what they say.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use riffle::metainfo::{FileDescription, MAX_METAINFO, Metainfo, SUFFIX};
use riffle::{Collection, DownloadId, Entry, EntryKind, Event, Summary, Wanted};
use sha1::{Digest as _, Sha1};

use crate::exit::{ExitCode, Stop};
use crate::piece_scan::scan;
use crate::screen::Screen;

/// A description that was read from a file.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    path: PathBuf,
    /// What the file says.
    pub(crate) metainfo: Metainfo,
}

impl Description {
    /// Reads the description at `text`; `None`: that is no path of a file whose name ends as descriptions do.
    ///
    /// # Errors
    /// [`ExitCode::Usage`] when the file is no description, or contradicts itself; [`ExitCode::Io`] when it cannot be
    /// read.
    pub(crate) fn read(text: &str) -> Result<Option<Description>> {
        let path = Path::new(text);
        if !text.ends_with(SUFFIX) || !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        // One byte more than is allowed shows that there are too many.
        let read =
            File::open(path).and_then(|file| file.take(MAX_METAINFO as u64 + 1).read_to_end(&mut bytes));
        read.map_err(|error| Stop::new(ExitCode::Io, format!("{}: {error}", path.display())))?;
        let metainfo = Metainfo::parse(&bytes);
        let metainfo = metainfo.map_err(|error| Stop::usage(format!("{}: {error}", path.display())))?;
        Ok(Some(Description { path: path.to_owned(), metainfo }))
    }

    /// The folder that it describes, as far as a description knows it: its files.
    ///
    /// # Errors
    /// [`ExitCode::Usage`] when it describes no folder, or none that there can be.
    pub(crate) fn collection(&self) -> Result<Collection> {
        let whose = self.path.display();
        let files = self.metainfo.files();
        let files =
            files.ok_or_else(|| Stop::usage(format!("{whose}: it describes a file, and no folder")))?;
        let entry = |file: &FileDescription| Entry {
            path: file.path().clone(),
            kind: EntryKind::File(file.entry().clone()),
        };
        let folder = Collection::new(files.iter().map(entry).collect());
        folder.map_err(|error| Stop::usage(format!("{whose}: files: {error}")).into())
    }

    /// What to fetch.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted::Content(self.metainfo.id())
    }

    /// What the description says otherwise than the content at `path`, which is verified by its id.
    fn objection(&self, path: &Path, summary: &Summary) -> Option<String> {
        let whose = self.path.display();
        let (said, is) = (self.metainfo.length(), summary.length);
        if said != is {
            return Some(format!("length: {whose} says {said}, and the content of its id has {is} bytes"));
        }
        let said = self.metainfo.sha1().filter(|_| path.is_file())?;
        let scanned =
            File::open(path).and_then(|file| scan(&file, self.metainfo.layout(), |_, bytes| sha1(bytes)));
        match scanned {
            Ok(values) => {
                let wrong = said.iter().zip(&values).position(|(said, is)| said != is)?;
                let is = "which the content of its id is not";
                Some(format!("pieces.sha1: {whose} says something of piece {wrong} {is}"))
            }
            Err(error) => Some(format!("pieces.sha1: cannot be compared: {error}")),
        }
    }
}

/// The SHA-1 of a piece.
pub(crate) fn sha1(bytes: &[u8]) -> riffle::metainfo::Sha1 {
    Sha1::digest(bytes).into()
}

/// Which descriptions the downloads came from that are not over.
#[derive(Debug, Default)]
pub(crate) struct Descriptions {
    of: BTreeMap<DownloadId, Description>,
    is_contradicted: bool,
}

impl Descriptions {
    /// The download fetches what `description` says.
    pub(crate) fn insert(&mut self, download: DownloadId, description: Description) {
        self.of.insert(download, description);
    }

    /// Takes in an event. Says when what has arrived is not what its description says: the id decides what a content
    /// is, so the content stays.
    pub(crate) fn on_event(&mut self, event: &Event, screen: &Screen) {
        let Event::DownloadDone { download, path, summary } = event else { return };
        let Some(description) = self.of.remove(download) else { return };
        if let Some(objection) = description.objection(path, summary) {
            self.is_contradicted = true;
            screen.error(&format!("{}: {objection}", path.display()));
        }
    }

    /// Whether something has arrived that was not what its description says.
    pub(crate) fn is_contradicted(&self) -> bool {
        self.is_contradicted
    }
}
