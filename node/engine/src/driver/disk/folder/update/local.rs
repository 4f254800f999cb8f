//! What stands in the folder that is brought up to date. No link in it is followed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::sync::OnceLock;

use blake3::Hasher;
use messages::collection::FileEntry;

use super::super::parallel;
use super::super::unpack::copy::MAX_RUN;
use super::super::unpack::tree::{Way, split};
use super::Stopped;
use crate::driver::disk::hash::scan::StopFlag;
use crate::driver::disk::identity::FileIdentity;
use crate::driver::disk::part::download_paths::is_working_file;
use crate::platform::allocation::allocated_bytes;
use crate::platform::file_id::names;
use crate::platform::file_io::read_at;
use crate::platform::folder::{Folder, Standing};
use crate::platform::permissions::mode_of;

/// All that stands in a folder, but for what downloads leave there while they are incomplete.
#[derive(Debug, Default)]
pub(super) struct Local {
    /// What stands at each path.
    pub(super) standing: BTreeMap<String, Standing>,
    /// Names that are no text, each with its folder.
    pub(super) nameless: Vec<(String, OsString)>,
    /// The files that were looked at.
    pub(super) files: BTreeMap<String, LocalFile>,
}

/// A file as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalFile {
    pub(super) identity: FileIdentity,
    /// The BLAKE3 of its bytes; `None` when they were not read.
    pub(super) hash: Option<[u8; 32]>,
    /// Who may do what with it; `None` where the system has no modes.
    pub(super) mode: Option<u32>,
    /// How much of the disk it takes, in bytes.
    pub(super) allocated: u64,
    /// Whether it has another name, here or elsewhere.
    pub(super) has_other_names: bool,
}

impl LocalFile {
    /// Whether its bytes are those that the index names, as far as they were read.
    pub(super) fn has_bytes_of(&self, entry: &FileEntry) -> bool {
        self.identity.length() == entry.length && self.hash == Some(entry.hash)
    }

    /// Whether its time or its mode is another than the index says. A sharer who keeps the time to itself says nothing
    /// of the mode either.
    pub(super) fn differs_in_metadata(&self, entry: &FileEntry) -> bool {
        let Some(modified) = entry.modified else { return false };
        let is_executable = self.mode.map(|mode| mode & 0o100 != 0);
        self.identity.modified() != (modified.seconds, modified.nanos.into())
            || is_executable.is_some_and(|is_executable| is_executable != entry.is_executable)
    }
}

/// How a file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Its bytes are not read.
    Outside,
    /// Its bytes are hashed.
    Inside,
}

impl Local {
    /// What stands in the folder `top`, of which no file was looked at yet.
    ///
    /// # Errors
    /// The system's; `None` when it was stopped.
    pub(super) fn find(top: &Folder, stop: &StopFlag) -> Result<Local, Option<io::Error>> {
        let mut local = Local::default();
        let mut way = Way::from(top);
        let mut folders = vec![String::new()];
        while let Some(path) = folders.pop() {
            if stop.is_raised() {
                return Err(None);
            }
            let folder = match way.enter(&path) {
                // It is gone, or became something else, or nobody lets us look: nothing in it is known.
                Err(_) if !path.is_empty() => continue,
                entered => entered.map_err(Some)?,
            };
            let names = folder.names().map_err(Some)?;
            for name in names.into_iter().filter(|name| !is_working_file(name)) {
                let Some(standing) = folder.standing(&name).map_err(Some)? else { continue };
                match name.into_string() {
                    Ok(name) => {
                        let path = below(&path, &name);
                        if standing == Standing::Folder {
                            folders.push(path.clone());
                        }
                        local.standing.insert(path, standing);
                    }
                    Err(name) => local.nameless.push((path.clone(), name)),
                }
            }
        }
        Ok(local)
    }

    /// Looks at the files for which `how` tells a way of it, given path and length. What cannot be read is not known
    /// afterwards. `on_progress` is called all the time.
    ///
    /// # Errors
    /// When it was stopped.
    pub(super) fn look(
        &mut self,
        top: &Folder,
        how: impl Fn(&str, u64) -> Option<Look>,
        stop: &StopFlag,
        on_progress: &(dyn Fn() + Sync),
    ) -> Result<(), Stopped> {
        let looks = self.standing.iter().filter_map(|(path, standing)| match standing {
            Standing::File(length) => Some((path, how(path, *length)?, OnceLock::new())),
            _ => None,
        });
        let looks: Vec<_> = looks.collect();
        let begin = || (Way::from(top), Vec::new());
        parallel::each(&looks, begin, |(way, buffer), (path, how, found)| {
            let (parent, name) = split(path);
            let looked =
                way.enter(parent).and_then(|parent| look(parent, name, *how, buffer, (stop, on_progress)));
            if let Ok(Some(file)) = looked {
                let _ = found.set(file);
            }
            if stop.is_raised() { Err(Stopped) } else { Ok(()) }
        })?;
        let found =
            looks.into_iter().filter_map(|(path, _, found)| Some((path.clone(), found.into_inner()?)));
        self.files = found.collect();
        Ok(())
    }
}

/// Looks at a file; `None` when it changes meanwhile, or nobody wants to know any more.
fn look(
    parent: &Folder,
    name: &str,
    how: Look,
    buffer: &mut Vec<u8>,
    (stop, on_progress): (&StopFlag, &dyn Fn()),
) -> io::Result<Option<LocalFile>> {
    let file = parent.open_file(name)?;
    let found = file.metadata()?;
    let identity = FileIdentity::of(&found);
    let mut local = LocalFile {
        identity,
        hash: None,
        mode: mode_of(&found),
        allocated: allocated_bytes(&found),
        has_other_names: names(&found).is_some_and(|names| names > 1),
    };
    if how == Look::Outside {
        return Ok(Some(local));
    }
    buffer.resize(MAX_RUN as usize, 0);
    let (mut hasher, mut at) = (Hasher::new(), 0);
    while at < identity.length() && !stop.is_raised() {
        on_progress();
        match read_at(&file, buffer, at) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&buffer[..read]);
                at += read as u64;
            }
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    let is_as_it_was = at == identity.length() && FileIdentity::of_file(&file)? == identity;
    local.hash = Some(hasher.finalize().into());
    Ok(is_as_it_was.then_some(local))
}

/// The path of `name` in the folder `parent`.
fn below(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}
