use messages::{PieceIndex, piece_value};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The content of `length` equal bytes: its id, and the values of its pieces.
fn content(length: usize) -> (ContentId, Vec<ChainingValue>) {
    let bytes = vec![7; length];
    let layout = Layout::of(length as u64).expect("short");
    let pieces = (0..).map(PieceIndex).zip(bytes.chunks(layout.piece_size() as usize));
    let values = pieces.map(|(index, piece)| piece_value(layout, index, piece)).collect();
    (ContentId::from_bytes(*blake3::hash(&bytes).as_bytes()), values)
}

fn described(length: usize) -> Metainfo {
    let (id, values) = content(length);
    let metainfo = Metainfo::new(id, length as u64).expect("short");
    let sha1 = vec![[3; 20]; values.len()];
    metainfo.with_pieces(values).and_then(|metainfo| metainfo.with_sha1(sha1)).expect("its own values")
}

fn file(path: &str, length: u64) -> FileDescription {
    let modified = Some(Modified { seconds: -1, nanos: 999_999_999 });
    let path = EntryPath::new(path).expect("a path");
    FileDescription::new(path, FileEntry { length, hash: [9; 32], is_executable: length == 1, modified })
}

fn as_value(metainfo: &Metainfo) -> Value {
    serde_json::from_str(&metainfo.to_json().expect("short")).expect("it is JSON")
}

/// What is said of the description of 600,000 bytes in which `field` is `value`.
fn refusal(field: &str, value: Value) -> String {
    let mut text = as_value(&described(600_000));
    *text.pointer_mut(field).expect("a field") = value;
    Metainfo::parse(text.to_string().as_bytes()).expect_err(field).to_string()
}

#[test]
fn a_description_is_written_as_its_schema_says() {
    let name = Name::new("film.mkv").expect("a name");
    let tracker = vec!["tracker.example".parse().expect("an address")];
    let metainfo = described(5).with_name(name).with_trackers(tracker);
    let id = content(5).0.to_string();
    let expected = json!({
        "riffle": 1, "name": "film.mkv", "length": 5, "id": id, "piece_length": 262_144,
        "pieces": { "blake3": [id], "sha1": ["03".repeat(20)] },
        "trackers": ["tracker.example:12345"],
    });
    assert_eq!(as_value(&metainfo), expected);
    let folder = Metainfo::new(content(600_000).0, 600_000).expect("short");
    let files = as_value(&folder.with_files(vec![file("a/b", 1)]).expect("one file"))["files"].take();
    let expected = json!([{
        "path": "a/b", "length": 1, "blake3": "09".repeat(32), "executable": true,
        "modified": { "seconds": -1, "nanos": 999_999_999 },
    }]);
    assert_eq!(files, expected);
}

#[test]
fn fields_that_are_not_known_are_kept_wherever_they_stand() {
    let mut text = as_value(&described(600_000).with_files(vec![file("a", 1)]).expect("one file"));
    for place in ["", "/pieces", "/files/0"] {
        text.pointer_mut(place).expect("an object")["later"] =
            json!({ "deep": [1, 2.5e300, null, "\u{1b}"] });
    }
    let metainfo = Metainfo::parse(text.to_string().as_bytes()).expect("right");
    assert_eq!(as_value(&metainfo), text);
    assert_eq!(as_value(&Metainfo::parse(text.to_string().as_bytes()).expect("right")), text);
}

#[test]
fn what_contradicts_itself_is_refused_by_the_name_of_its_field() {
    let value = json!("00".repeat(32));
    let starts = [
        ("/riffle", json!(2), "riffle: the description has version 2"),
        ("/length", json!(1_u64 << 60), "length: a content has at most"),
        ("/length", json!(-1), "length: invalid value"),
        ("/length", json!(300_000_000), "pieces.blake3: there are 3 values for 1145 pieces"),
        ("/id", value.clone(), "id: the values of the pieces say"),
        ("/id", json!("xyz"), "id: an id is 64 hexadecimal digits"),
        ("/piece_length", json!(1024), "piece_length: it is 262144 for this length, not 1024"),
        ("/pieces/blake3/1", value, "id: the values of the pieces say"),
        ("/pieces/blake3/1", json!("0"), "pieces: blake3: 64 hexadecimal digits are expected"),
        ("/pieces/blake3", json!([]), "pieces.blake3: there are 0 values for 3 pieces"),
        ("/pieces/sha1", json!([]), "pieces.sha1: there are 0 values for 3 pieces"),
        ("/pieces", json!(1), "pieces: invalid type"),
    ];
    for (field, value, start) in starts {
        let refusal = refusal(field, value);
        assert!(refusal.starts_with(start), "{refusal}");
    }
    let (id, _) = content(1);
    assert!(matches!(Metainfo::new(id, 0), Err(MetainfoError::OtherContent(_))), "nothing has one id");
}

#[test]
fn what_is_missing_twice_or_too_much_is_refused() {
    let whole = as_value(&described(5));
    for field in ["riffle", "length", "id", "piece_length"] {
        let mut text = whole.clone();
        text.as_object_mut().expect("an object").remove(field);
        let refusal = Metainfo::parse(text.to_string().as_bytes()).expect_err("missing").to_string();
        assert_eq!(refusal, format!("{field}: this field is missing"));
    }
    let refused = |text: &str| Metainfo::parse(text.as_bytes()).expect_err("refused").to_string();
    assert!(refused(r#"{"length": 1, "length": 1}"#).starts_with("length: this field stands there twice"));
    assert!(refused("[]").contains("expected an object"));
    assert!(refused("{").contains("EOF"));
    assert_eq!(refused(&" ".repeat(MAX_METAINFO + 1)), MetainfoError::TooLong.to_string());
    let many = (0..1000).map(|number| format!("\"{number}\": 0")).collect::<Vec<_>>().join(",");
    assert!(refused(&format!("{{{many}}}")).starts_with("more than 256 fields"));
    let trackers = json!({ "trackers": vec!["h:1"; 65] }).to_string();
    assert!(refused(&trackers).starts_with("trackers: at most 64"));
    let deep = format!("{{\"x\": {}}}", "[".repeat(1 << 20));
    // What is not known is read without recursion.
    assert!(!refused(&deep).is_empty());
}

#[test]
fn files_are_in_their_order_and_no_longer_than_the_content() {
    let folder = || Metainfo::new(content(600_000).0, 600_000).expect("short");
    assert!(folder().with_files(vec![file("a/b", 1), file("a.txt", 2), file("b", 3)]).is_ok());
    for wrong in [["a", "a"], ["b", "a"]] {
        let files = wrong.map(|path| file(path, 1)).into();
        assert_eq!(folder().with_files(files), Err(MetainfoError::Order(wrong[1].to_owned())));
    }
    for lengths in [[600_000, 1], [u64::MAX, u64::MAX]] {
        let files = vec![file("a", lengths[0]), file("b", lengths[1])];
        assert_eq!(folder().with_files(files), Err(MetainfoError::FilesTooLong));
    }
    let text = |path: &str| {
        let file = json!({ "path": path, "length": 0, "blake3": "00".repeat(32) });
        let mut whole = as_value(&described(5));
        whole["files"] = json!([file]);
        Metainfo::parse(whole.to_string().as_bytes())
    };
    assert!(text("a/b").is_ok());
    let refusal = text("../b").expect_err("leads out").to_string();
    assert!(refusal.starts_with("files: path: a path has no component"), "{refusal}");
}

#[test]
fn the_longest_content_is_described_without_its_pieces() {
    let length = MAX_CONTENT;
    let metainfo = Metainfo::new(ContentId::from_bytes([1; 32]), length).expect("not too long");
    // These need not be proven, and nothing is hashed.
    let values = vec![[0; 20]; metainfo.layout().pieces() as usize];
    let metainfo = metainfo.with_sha1(values).expect("as many as there are pieces");
    assert_eq!(metainfo.to_json().map(|text| text.len()), Ok(52_428_986));
    let values = vec![[0; 32]; metainfo.layout().pieces() as usize];
    let with_both =
        Metainfo { pieces: Pieces { blake3: Some(values), ..metainfo.pieces.clone() }, ..metainfo };
    assert_eq!(with_both.to_json(), Err(MetainfoError::TooLong));
    let text = with_both.without_pieces().to_json().expect("short");
    assert_eq!(Metainfo::parse(text.as_bytes()).map(|read| read.length()), Ok(length));
}

prop_compose! {
    fn any_metainfo()(
        length in prop::sample::select(vec![0_usize, 1, 100, 262_144, 262_145, 600_000]),
        (pieces, sha1, named) in any::<(bool, bool, bool)>(),
        files in prop::option::of(prop::collection::btree_map("[a-z]{1,3}(/[a-z]{1,3}){0,3}", 0_u64..100, 0..4)),
        trackers in prop::collection::vec("[a-z]{1,9}:[1-9][0-9]{0,3}", 0..3),
        unknown in prop::collection::btree_map("[A-Z ]{1,9}", ".*", 0..3),
    ) -> Metainfo {
        let (id, values) = content(length);
        let mut metainfo = Metainfo::new(id, length as u64).expect("short");
        if sha1 {
            metainfo = metainfo.with_sha1(vec![[length as u8; 20]; values.len()]).expect("its own");
        }
        if pieces {
            metainfo = metainfo.with_pieces(values).expect("its own");
        }
        if named {
            metainfo = metainfo.with_name(Name::new("a name").expect("a name"));
        }
        if let Some(files) = files {
            let mut files: Vec<_> = files.iter().map(|(path, length)| file(path, *length)).collect();
            files.sort_by(|one, other| one.path().cmp(other.path()));
            metainfo = match metainfo.clone().with_files(files) {
                Ok(with_files) => with_files,
                Err(_) => metainfo,
            };
        }
        let trackers = trackers.iter().map(|tracker| tracker.parse().expect("an address"));
        let metainfo = metainfo.with_trackers(trackers.collect());
        let mut text = as_value(&metainfo);
        for (name, value) in unknown {
            text[name] = value.into();
        }
        Metainfo::parse(text.to_string().as_bytes()).expect("right")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read_again(metainfo in any_metainfo()) {
        let text = metainfo.to_json().expect("short");
        let read = Metainfo::parse(text.as_bytes()).expect("right");
        prop_assert_eq!(&read, &metainfo);
        prop_assert_eq!(read.to_json().expect("short"), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = Metainfo::parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
