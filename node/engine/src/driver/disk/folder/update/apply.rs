//! The folder becomes the new version, one name after the other. Everything is looked up in folders that are held open.

use std::fs::File;
use std::io;

use messages::Layout;
use messages::collection::EntryKind;
use riffle_core::DiskError;

use super::super::unpack::set_modified;
use super::super::unpack::staging::Staging;
use super::super::unpack::tree::{Node, Way, nodes, split};
use super::sources::Source;
use super::stage::{Stage, staged_name};
use super::{UpdatePlan, by_likeness, names};
use crate::driver::disk::fault_injection::{Call, DiskCalls};
use crate::driver::disk::hash::scan::StopFlag;
use crate::driver::disk::identity::FileIdentity;
use crate::platform::error_kind::is_unsupported;
use crate::platform::folder::{Folder, SYNCS_AT_ONCE, Standing};
use crate::platform::permissions::{mode_of, set_mode, with_execution};

/// What a link is called in the staging folder.
const LINK: &str = "link";

impl UpdatePlan {
    /// Makes the folder the new version, whose pieces are in `content` as far as they were to be fetched. When it
    /// returns, it is that for good.
    ///
    /// # Errors
    /// When a file has another hash than the index says; when a file that was here has changed since the plan was made;
    /// the system's, or that it was stopped. Each file of the folder is the old or the new one then.
    pub(crate) fn apply(
        &self,
        content: &File,
        layout: Layout,
        (calls, stop): (&DiskCalls, &StopFlag),
    ) -> Result<(), DiskError> {
        let top = Folder::open(&self.order.target).map_err(|cause| self.error_at("", &cause))?;
        let staging = Staging::make(&self.order.staging)?;
        let stage = Stage { plan: self, content, layout, top: &top, staging: &staging.folder, calls, stop };
        let applying = Applying { plan: self, top: &top, staging: &staging.folder, calls };
        let applied = stage.make().and_then(|()| applying.all());
        staging.remove();
        applied
    }
}

/// A folder that is being changed.
struct Applying<'a> {
    plan: &'a UpdatePlan,
    top: &'a Folder,
    staging: &'a Folder,
    calls: &'a DiskCalls,
}

impl Applying<'_> {
    fn all(&self) -> Result<(), DiskError> {
        self.check_kept()?;
        self.clear()?;
        self.make_folders()?;
        self.put_files()?;
        self.put_links()?;
        self.set_metadata()?;
        self.remove_lacking()?;
        self.sync()
    }

    /// Holds when the files that stay are what they were.
    fn check_kept(&self) -> Result<(), DiskError> {
        let mut way = Way::from(self.top);
        for (entry, source) in self.plan.sources.iter().enumerate() {
            let Some(Source::Kept(local)) = source else { continue };
            let path = self.plan.path(entry);
            let found = open(&mut way, path).and_then(|file| FileIdentity::of_file(&file));
            if !found.is_ok_and(|found| found == local.identity) {
                return Err(self.plan.changed(path));
            }
        }
        Ok(())
    }

    /// Removes what stands in the way.
    fn clear(&self) -> Result<(), DiskError> {
        let mut way = Way::from(self.top);
        for path in &self.plan.in_the_way {
            let (parent, name) = split(path);
            self.step(path, || way.enter(parent).and_then(|parent| unless_gone(parent.remove_all(name))))?;
        }
        Ok(())
    }

    fn make_folders(&self) -> Result<(), DiskError> {
        let mut way = Way::from(self.top);
        for node in nodes(&self.plan.collection).filter(Node::is_folder) {
            let (parent, name) = node.split();
            let parent = way.enter(parent).map_err(|cause| self.plan.error_at(node.path, &cause))?;
            if parent.standing(name).is_ok_and(|standing| standing == Some(Standing::Folder)) {
                continue;
            }
            self.step(node.path, || parent.make_folder(name))?;
        }
        Ok(())
    }

    fn put_files(&self) -> Result<(), DiskError> {
        let mut way = Way::from(self.top);
        for entry in self.plan.staged() {
            let path = self.plan.path(entry);
            let (parent, name) = split(path);
            self.step(path, || {
                let parent = way.enter(parent)?;
                self.staging.rename(&staged_name(entry), parent, name)
            })?;
        }
        Ok(())
    }

    fn put_links(&self) -> Result<(), DiskError> {
        let mut way = Way::from(self.top);
        for entry in self.plan.collection.entries() {
            let EntryKind::Link(target) = &entry.kind else { continue };
            let path = entry.path.as_str();
            let (parent, name) = split(path);
            let parent = way.enter(parent).map_err(|cause| self.plan.error_at(path, &cause))?;
            if parent.has_link(name, target) {
                continue;
            }
            self.step(path, || {
                self.staging.make_link(LINK, target)?;
                self.staging.rename(LINK, parent, name)
            })?;
        }
        Ok(())
    }

    /// Files that stay get the time and the mode of the new version.
    fn set_metadata(&self) -> Result<(), DiskError> {
        let mut way = Way::from(self.top);
        for (entry, source) in self.plan.sources.iter().enumerate() {
            let Some(Source::Kept(local)) = source else { continue };
            let expected = self.plan.file_entry(entry);
            let Some(modified) = expected.modified.filter(|_| local.differs_in_metadata(expected)) else {
                continue;
            };
            self.step(self.plan.path(entry), || {
                let file = open(&mut way, self.plan.path(entry))?;
                if let Some(mode) = mode_of(&file.metadata()?) {
                    set_mode(&file, with_execution(mode, expected.is_executable));
                }
                set_modified(&file, modified);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Removes what the new version lacks. A folder in which something came to stand meanwhile stays.
    fn remove_lacking(&self) -> Result<(), DiskError> {
        if self.plan.lacking.is_empty() && self.plan.nameless.is_empty() {
            return Ok(());
        }
        let mut way = Way::from(self.top);
        for (parent, name) in &self.plan.nameless {
            let Ok(parent) = way.enter(parent) else { continue };
            self.step("", || unless_gone(parent.remove_all(name)))?;
        }
        let new = by_likeness(&self.plan.collection);
        // What is in a folder stands behind it.
        for path in self.plan.lacking.iter().rev() {
            let (parent, name) = split(path);
            let Ok(parent) = way.enter(parent) else { continue };
            let number = parent.number_of(name);
            let standing = parent.standing(name).map_err(|cause| self.plan.error_at(path, &cause))?;
            if let Some(alike) = new.get(&names::alike(path))
                && number.is_some()
                && self.number_at(alike) == number
            {
                // The file system has one name for both.
                continue;
            }
            let Ok(parent) = way.enter(split(path).0) else { continue };
            self.step(path, || match standing {
                None => Ok(()),
                Some(Standing::Folder) => unless_full(parent.remove_folder(name)),
                Some(_) => unless_gone(parent.remove_file(name)),
            })?;
        }
        Ok(())
    }

    fn number_at(&self, path: &str) -> Option<crate::platform::file_id::FileNumber> {
        let (parent, name) = split(path);
        Way::from(self.top).enter(parent).ok().and_then(|parent| parent.number_of(name))
    }

    /// Makes all of it last.
    fn sync(&self) -> Result<(), DiskError> {
        let fault = |path: &str, cause: &io::Error| self.plan.error_at(path, cause);
        self.calls.allow(Call::SyncAll).map_err(|cause| fault("", &cause))?;
        if SYNCS_AT_ONCE {
            return self.top.sync_file_system().map_err(|cause| fault("", &cause));
        }
        let mut way = Way::from(self.top);
        let paths = nodes(&self.plan.collection).filter(Node::is_folder).map(|node| node.path);
        for path in std::iter::once("").chain(paths) {
            match way.enter(path).and_then(Folder::sync) {
                Err(cause) if !is_unsupported(&cause) => return Err(fault(path, &cause)),
                _ => {}
            }
        }
        Ok(())
    }

    fn step(&self, path: &str, step: impl FnOnce() -> io::Result<()>) -> Result<(), DiskError> {
        self.calls.allow(Call::Apply).and_then(|()| step()).map_err(|cause| self.plan.error_at(path, &cause))
    }
}

/// Opens the file at `path`.
fn open(way: &mut Way<'_>, path: &str) -> io::Result<File> {
    let (parent, name) = split(path);
    way.enter(parent)?.open_file(name)
}

fn unless_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn unless_full(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(cause) if cause.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => unless_gone(removed),
    }
}
