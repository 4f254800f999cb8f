//! Contents without bytes: a content follows from its name and length, and packets carry only whether their bytes are
//! right.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use messages::{ContentId, Layout, Name, Outboard};

/// All contents that exist in a world, by name and by id.
#[derive(Debug, Default)]
pub struct Library {
    by_name: BTreeMap<String, Arc<Content>>,
    by_id: BTreeMap<ContentId, Arc<Content>>,
    /// The contents by the BLAKE3 of their outboards' bytes.
    by_outboard: BTreeMap<[u8; 32], ContentId>,
}

/// One content.
#[derive(Debug)]
pub struct Content {
    /// Its id.
    pub id: ContentId,
    /// Its name.
    pub name: Name,
    /// Its outboard.
    pub outboard: Arc<Outboard>,
    /// What is in it, if it is a folder.
    pub folder: Option<Folder>,
}

/// A folder as a content: an index, and behind it its files without gaps.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The length of the index in bytes.
    pub index: u64,
    /// The files in their order.
    pub files: Vec<FolderFile>,
}

/// A file of a folder as a content.
#[derive(Clone, Debug)]
pub struct FolderFile {
    /// The number that stands for its path.
    pub number: u32,
    /// The number that stands for its bytes.
    pub version: u32,
    /// Where in the content it stands.
    pub span: Range<u64>,
    /// From which byte on it differs from its other versions, which are as long.
    pub changed_from: u64,
}

/// A file of a folder that is to be a content.
#[derive(Clone, Copy, Debug)]
pub struct FileSpec {
    /// The version of the file.
    pub version: u32,
    /// Its length in bytes.
    pub length: u64,
    /// From which byte on it differs from its other versions.
    pub changed_from: u64,
}

impl Folder {
    /// The folder of `files`, which are numbered from 0, behind an index of `index` bytes.
    fn of(index: u64, files: &[FileSpec]) -> Folder {
        let mut end = index;
        let file = |(number, file): (u32, &FileSpec)| {
            let span = end..end + file.length;
            end = span.end;
            FolderFile { number, version: file.version, span, changed_from: file.changed_from }
        };
        Folder { index, files: (0..).zip(files).map(file).collect() }
    }
}

impl Library {
    /// Adds the content `name` of `length` bytes; the same name and length are the same content.
    pub fn add(&mut self, name: &str, length: u64) -> Arc<Content> {
        self.add_content(name, name, length, None)
    }

    /// Adds the folder `name` of `files`, numbered from 0, behind an index of `index` bytes. Several folders may have
    /// the same name; [`Library::named`] finds the last one.
    pub fn add_folder(&mut self, name: &str, index: u64, files: &[FileSpec]) -> Arc<Content> {
        let folder = Folder::of(index, files);
        let length = folder.files.last().map_or(index, |file| file.span.end);
        let versions: Vec<String> = files.iter().map(|file| file.version.to_string()).collect();
        self.add_content(name, &format!("{name} {}", versions.join(" ")), length, Some(folder))
    }

    fn add_content(&mut self, name: &str, seed: &str, length: u64, folder: Option<Folder>) -> Arc<Content> {
        let layout = Layout::of(length).expect("a length that a content can have");
        let outboard = Arc::new(Outboard::imagined(layout, seed));
        let name_value = Name::new(name).expect("a name");
        let content = Arc::new(Content { id: outboard.content(), name: name_value, outboard, folder });
        self.by_name.insert(name.to_owned(), content.clone());
        self.by_id.insert(content.id, content.clone());
        let encoded = *blake3::hash(&content.outboard.encode()).as_bytes();
        self.by_outboard.insert(encoded, content.id);
        content
    }

    /// The content called `name`.
    ///
    /// # Panics
    /// There is none.
    pub fn named(&self, name: &str) -> Arc<Content> {
        self.by_name.get(name).unwrap_or_else(|| panic!("no content {name:?}")).clone()
    }

    /// The content whose outboard has these bytes.
    pub fn of_outboard(&self, bytes: &[u8]) -> Option<ContentId> {
        self.by_outboard.get(blake3::hash(bytes).as_bytes()).copied()
    }

    /// The content with this id.
    pub fn of(&self, id: ContentId) -> Option<&Arc<Content>> {
        self.by_id.get(&id)
    }
}
