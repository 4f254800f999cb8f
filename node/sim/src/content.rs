//! Contents without bytes: a content follows from its name and length, and packets carry only whether their bytes are
//! right.

use std::collections::BTreeMap;
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
}

impl Library {
    /// Adds the content `name` of `length` bytes; the same name and length are the same content.
    pub fn add(&mut self, name: &str, length: u64) -> Arc<Content> {
        let layout = Layout::of(length).expect("a length that a content can have");
        let outboard = Arc::new(Outboard::imagined(layout, name));
        let name_value = Name::new(name).expect("a name");
        let content = Arc::new(Content { id: outboard.content(), name: name_value, outboard });
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
