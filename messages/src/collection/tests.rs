use super::*;

fn path(text: &str) -> EntryPath {
    EntryPath::new(text).expect("a path")
}

fn file(text: &str, length: u64) -> Entry {
    let hash = *blake3::hash(text.as_bytes()).as_bytes();
    let modified = Some(Modified { seconds: -1, nanos: 999_999_999 });
    let kind = EntryKind::File(FileEntry { length, hash, is_executable: length % 2 == 1, modified });
    Entry { path: path(text), kind }
}

fn link(text: &str, target: &str) -> Entry {
    Entry { path: path(text), kind: EntryKind::Link(target.to_owned()) }
}

fn folder(text: &str) -> Entry {
    Entry { path: path(text), kind: EntryKind::EmptyFolder }
}

fn some() -> Collection {
    let entries = vec![
        file("b", 10),
        file("a/é 🦀", 0),
        file("a/x", 7),
        folder("a-empty"),
        link("a/to b", "../b"),
        file("a.c", 300_000),
    ];
    Collection::new(entries).expect("a folder")
}

#[test]
fn an_index_is_read_as_it_was_written() {
    let folder = some();
    assert_eq!(Collection::decode(&folder.index()), Ok(folder.clone()));
    let order: Vec<_> = folder.entries().iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(order, ["a/to b", "a/x", "a/é 🦀", "a-empty", "a.c", "b"]);
    let empty = Collection::new(Vec::new()).expect("a folder without entries");
    assert_eq!(empty.length(), INDEX_HEADER as u64);
    assert_eq!(Collection::decode(&empty.index()), Ok(empty));
}

#[test]
fn every_byte_of_the_content_belongs_to_one_file_or_to_the_index() {
    let folder = some();
    let index = folder.index_length();
    let spans: Vec<_> = (0..6).map(|entry| folder.span(entry)).collect();
    let at = |from: u64, to: u64| Some(index + from..index + to);
    assert_eq!(spans, [None, at(0, 7), None, None, at(7, 300_007), at(300_007, 300_017)]);
    let of = |range: Range<u64>| folder.extents(range).collect::<Vec<_>>();
    let extent = |entry: Option<usize>, within: Range<u64>| Extent { entry, within };
    assert_eq!(of(0..5), [extent(None, 0..5)]);
    assert_eq!(of(index..index + 3), [extent(Some(1), 0..3)]);
    assert_eq!(
        of(index - 2..index + 9),
        [extent(None, index - 2..index), extent(Some(1), 0..7), extent(Some(4), 0..2)]
    );
    assert_eq!(of(index + 300_000..u64::MAX), [extent(Some(4), 299_993..300_000), extent(Some(5), 0..10)]);
    assert_eq!(of(folder.length()..folder.length() + 1), []);
    for (start, end) in [(0, folder.length()), (index + 5, index + 300_010), (3, 3)] {
        assert_eq!(of(start..end).iter().map(Extent::length).sum::<u64>(), end - start);
    }
}

#[test]
fn entries_that_make_no_folder_are_refused() {
    let refused = |entries: Vec<Entry>| Collection::new(entries).expect_err("no folder");
    assert!(matches!(refused(vec![file("a", 1), file("a", 2)]), CollectionError::Order(_)));
    for above in [file("a", 1), folder("a"), link("a", "b")] {
        let entries = vec![above, file("a-b", 1), file("a/b/c", 1)];
        assert_eq!(refused(entries), CollectionError::NotInFolder("a/b/c".to_owned()));
    }
    assert_eq!(refused(vec![file("a", u64::MAX), file("b", 9)]), CollectionError::TooLong);
    assert_eq!(refused(vec![file("a", MAX_CONTENT)]), CollectionError::TooLong);
}

#[test]
fn paths_stay_inside_the_folder() {
    for wrong in ["", "/", "/a", "a/", "a//b", ".", "a/.", "..", "a/../b"] {
        assert_eq!(EntryPath::new(wrong), Err(PathError::Component), "{wrong}");
    }
    assert_eq!(EntryPath::new("a/b\nc"), Err(PathError::Control));
    assert_eq!(EntryPath::new("a\u{202e}b"), Err(PathError::Hidden('\u{202e}')));
    assert_eq!(EntryPath::new("x".repeat(256)), Err(PathError::TooLong));
    assert_eq!(EntryPath::new("x/".repeat(3000) + "x"), Err(PathError::TooLong));
    for right in ["-rf", " a ", "aux.c", "a\\b", "é", "e\u{301}", "…", "...", "👨‍👩‍👧"] {
        assert!(EntryPath::new(right).is_ok(), "{right}");
    }
    assert!(EntryPath::new("x".repeat(255)).is_ok());
    assert!(EntryPath::new("x/".repeat(100) + "x").is_ok(), "a hundred folders deep");
}

#[test]
fn links_stay_inside_the_folder() {
    let check = |at: &str, target: &str| Collection::new(vec![link(at, target)]).map(|_| ());
    for (at, target) in
        [("l", "a"), ("l", "./a/b/"), ("d/l", "../a"), ("d/e/l", ".././../x"), ("d/l", ".."), ("l", ".")]
    {
        assert_eq!(check(at, target), Ok(()), "{at} -> {target}");
    }
    for (at, target, why) in [
        ("l", "/etc/passwd", LinkError::Target),
        ("l", "", LinkError::Target),
        ("l", "..", LinkError::Outside),
        ("d/l", "../../x", LinkError::Outside),
        ("a/b/c/l", "m/../../x", LinkError::Outside),
        ("l", "a//b", LinkError::Component),
        ("l", "a\nb", LinkError::Component),
    ] {
        assert_eq!(check(at, target), Err(CollectionError::Link(at.to_owned(), why)), "{at} -> {target}");
    }
}

#[test]
fn whether_a_content_is_a_folder_follows_from_its_first_bytes() {
    let (folder, index) = (some(), some().index());
    assert_eq!(index_length_of(&index, folder.length()), Some(folder.index_length()));
    assert_eq!(index_length_of(&index[..INDEX_HEADER], folder.length()), Some(folder.index_length()));
    assert_eq!(index_length_of(&index[..INDEX_HEADER - 1], folder.length()), None);
    assert_eq!(index_length_of(&index, folder.index_length() - 1), None, "shorter than its index");
    assert_eq!(index_length_of(&[0; 100], 100), None);
}

#[test]
fn no_other_bytes_are_an_index() {
    let index = some().index();
    for length in 0..index.len() {
        assert!(Collection::decode(&index[..length]).is_err(), "{length}");
    }
    assert_eq!(Collection::decode(&[&index[..], &[0]].concat()), Err(CollectionError::Size));
    for at in 0..index.len() {
        for bit in 0..8 {
            let mut flipped = index.clone();
            flipped[at] ^= 1 << bit;
            if let Ok(other) = Collection::decode(&flipped) {
                assert_eq!(other.index(), flipped, "byte {at}: another folder, written in its one way");
            }
        }
    }
}

#[test]
fn what_is_chosen_of_a_folder_stays_where_it_is() {
    let whole = some();
    let part = whole.chosen(|entry| entry.path.as_str() >= "b");
    let names: Vec<_> = part.entries().iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(names, ["b"]);
    assert_eq!(part.span(0), whole.span(5));
    let part = whole.chosen(|entry| matches!(entry.path.as_str(), "a/x" | "b" | "a/to b"));
    assert_eq!([part.span(0), part.span(1), part.span(2)], [None, whole.span(1), whole.span(5)]);
}
