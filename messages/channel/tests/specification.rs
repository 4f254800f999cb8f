//! The field tables of `README.md` are held against each other and against the known answers: every field begins where the
//! one before ends, all of them are as long as the title says, and so are the datagrams of that kind.

const README: &str = include_str!("../README.md");
const KNOWN: &str = include_str!("known_answers.txt");

struct Table {
    title: &'static str,
    kind: Option<&'static str>,
    size: &'static str,
    /// Offset and size of each field, of the ones that have both.
    rows: Vec<(Option<usize>, Option<usize>)>,
}

fn tables() -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for line in README.lines() {
        if let Some(heading) = line.strip_prefix("#### ") {
            let parts: Vec<&str> = heading.split(" · ").collect();
            let (title, size) = (parts[0], parts[parts.len() - 1]);
            let kind = (parts.len() == 3).then(|| parts[1].trim_matches('`'));
            tables.push(Table { title, kind, size, rows: Vec::new() });
        } else if line.starts_with("## ") && !tables.is_empty() {
            break;
        } else if let (Some(table), Some(row)) = (tables.last_mut(), line.strip_prefix("| ")) {
            let mut cells = row.split(" | ");
            let (offset, size) = (cells.next().expect("an offset"), cells.next().expect("a size"));
            if offset != "offset" {
                table.rows.push((offset.parse().ok(), size.parse().ok()));
            }
        }
    }
    tables
}

#[test]
fn fields_follow_each_other_and_are_as_long_as_the_title_says() {
    for Table { title, size, rows, .. } in tables() {
        let mut end = Some(0);
        for (at, (offset, size)) in rows.iter().enumerate() {
            assert_eq!(*offset, end, "field {at} of {title}");
            end = offset.zip(*size).map(|(offset, size)| offset + size);
        }
        match size.strip_suffix(" bytes") {
            Some(size) => assert_eq!(size.parse().ok(), end, "size of {title}"),
            None => assert_eq!((size, end), ("29 bytes or more", None), "size of {title}"),
        }
    }
}

#[test]
fn every_kind_has_its_table_and_known_datagrams_of_that_length() {
    let tables = tables();
    let kinds: Vec<&str> = tables.iter().filter_map(|table| table.kind).collect();
    assert_eq!(kinds, ["0x41", "0x42", "0x43", "0x44", "0x45", "0x46"]);
    for Table { title, kind, size, .. } in tables.iter().filter(|table| table.kind.is_some()) {
        let mut lines = KNOWN.lines();
        let mut count = 0;
        while let Some(line) = lines.next() {
            if !line.starts_with(title) {
                continue;
            }
            count += 1;
            assert!(size.ends_with("or more") || line.ends_with(&format!("({size})")), "{line}: {size}");
            let header = lines.next().expect("its bytes").trim_start();
            assert_eq!(Some(&header[6..8]), kind.and_then(|kind| kind.strip_prefix("0x")), "kind of {title}");
        }
        assert!(count >= 2, "{title} has no known answer in each suite");
    }
}
