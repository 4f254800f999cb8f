//! Contents without bytes: a content follows from its name and length, and packets carry only whether their bytes are
//! right.

use std::collections::BTreeMap;
use std::sync::Arc;

use messages::{ChainingValue, ContentId, Layout, Name, Outboard};

/// All contents that exist in a world, by name and by id.
#[derive(Debug, Default)]
pub struct Library {
    by_name: BTreeMap<String, Arc<Content>>,
    by_id: BTreeMap<ContentId, Arc<Content>>,
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
}

impl Library {
    /// Adds the content `name` of `length` bytes; the same name and length are the same content.
    pub fn add(&mut self, name: &str, length: u64) -> Arc<Content> {
        let layout = Layout::of(length).expect("a length that a content can have");
        let root = *blake3::hash(format!("{name} {length}").as_bytes()).as_bytes();
        let piece = |index: u32| -> ChainingValue {
            let hash = blake3::hash(format!("{name} {length} {index}").as_bytes());
            *hash.as_bytes().first_chunk().expect("20 of 32 bytes")
        };
        let pieces = (0..layout.pieces()).map(piece).collect();
        let outboard = Arc::new(Outboard::new(length, root, pieces).expect("its own layout"));
        let name_value = Name::new(name).expect("a name");
        let content = Arc::new(Content { id: outboard.content_id(), name: name_value, outboard });
        self.by_name.insert(name.to_owned(), content.clone());
        self.by_id.insert(content.id, content.clone());
        content
    }

    /// The content called `name`.
    ///
    /// # Panics
    /// There is none.
    pub fn named(&self, name: &str) -> Arc<Content> {
        self.by_name.get(name).unwrap_or_else(|| panic!("no content {name:?}")).clone()
    }

    /// The content with this id.
    pub fn of(&self, id: ContentId) -> Option<&Arc<Content>> {
        self.by_id.get(&id)
    }
}
