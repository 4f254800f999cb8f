//! The field tables of `README.md` are held against the samples, which are held against the code.
//!
//! A table stands below `#### TITLE · KIND · N bytes`, or `#### Each of LIST in TITLE · N bytes` for the items of a
//! list; its rows begin `| offset | size | field |`. An offset or size that is not a plain number depends on what
//! stands before.

use crate::samples::{self, Sample};

const README: &str = include_str!("../../README.md");

struct Table {
    title: &'static str,
    rest: Vec<&'static str>,
    rows: Vec<Row>,
}

struct Row {
    offset: &'static str,
    size: &'static str,
    field: &'static str,
}

#[test]
fn every_message_has_its_table_and_every_table_its_message() {
    let expected: Vec<&str> = samples::all().iter().map(|sample| sample.title).collect();
    for table in tables() {
        let known = table.title.starts_with("Each of ") || expected.contains(&table.title);
        assert!(known, "no sample is called {}", table.title);
    }
    for title in expected.iter().filter(|title| **title != "NEED: Search from the start") {
        assert!(tables().iter().any(|table| table.title == *title), "no table of {title}");
    }
}

#[test]
fn offsets_sizes_and_kinds_of_the_tables_are_true() {
    for table in tables() {
        let Some(of_items) = table.title.strip_prefix("Each of ") else {
            let sample = samples::titled(table.title);
            let [kind, size] = table.rest[..] else { panic!("{} needs a kind and a size", table.title) };
            assert_eq!(kind, format!("`{:#04x}`", sample.kind as u8), "{}", table.title);
            assert_size(size, sample.expected().len(), table.title);
            assert_rows(&table, &whole_fields(&sample));
            continue;
        };
        let (list, title) = of_items.split_once(" in ").expect("LIST in TITLE");
        let fields = item_fields(&samples::titled(title), list.trim_matches('`'));
        let [size] = table.rest[..] else { panic!("{} needs a size", table.title) };
        assert_size(size, fields.iter().map(|(_, bytes)| bytes).sum(), table.title);
        assert_rows(&table, &fields);
    }
}

/// Fields with their sizes; the items of a list are one field.
fn whole_fields(sample: &Sample) -> Vec<(&str, usize)> {
    let mut fields: Vec<(&str, usize)> = Vec::new();
    for (name, bytes) in &sample.fields {
        let whole = name.split('[').next().expect("a name");
        match fields.last_mut() {
            Some((last, size)) if *last == whole => *size += bytes.len(),
            _ => fields.push((whole, bytes.len())),
        }
    }
    fields
}

/// The fields of the first item of `list`.
fn item_fields(sample: &Sample, list: &str) -> Vec<(&'static str, usize)> {
    let first = format!("{list}[0].");
    let fields: Vec<(&'static str, usize)> =
        sample.fields.iter().filter_map(|(name, b)| Some((name.strip_prefix(&first)?, b.len()))).collect();
    assert!(!fields.is_empty(), "{} has no list {list}", sample.title);
    fields
}

fn assert_rows(table: &Table, fields: &[(&str, usize)]) {
    let title = table.title;
    let named: Vec<&str> = table.rows.iter().map(|row| row.field.trim_matches('`')).collect();
    assert_eq!(named, fields.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "fields of {title}");
    let mut at = 0;
    let mut offsets_are_fixed = true;
    for (row, (name, size)) in table.rows.iter().zip(fields) {
        let offset: Option<usize> = row.offset.parse().ok();
        assert_eq!(offset, offsets_are_fixed.then_some(at), "offset of {name} in {title}");
        match row.size.parse::<usize>() {
            Ok(fixed) => assert_eq!(fixed, *size, "size of {name} in {title}"),
            Err(_) => offsets_are_fixed = false,
        }
        at += size;
    }
}

/// `N bytes`, or `N to M bytes` where the sample is one of many.
fn assert_size(stated: &str, actual: usize, title: &str) {
    let numbers: Vec<usize> = stated.split(' ').filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [exactly] => assert_eq!(exactly, actual, "size of {title}"),
        [least, most] => assert!((least..=most).contains(&actual), "size of {title}"),
        _ => panic!("what is {stated} in {title}?"),
    }
}

fn tables() -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for line in README.lines() {
        if let Some(heading) = line.strip_prefix("#### ") {
            let mut parts = heading.split(" · ");
            let title = parts.next().expect("a title");
            tables.push(Table { title, rest: parts.collect(), rows: Vec::new() });
        } else if let (Some(table), Some(row)) = (tables.last_mut(), row(line)) {
            table.rows.push(row);
        } else if line.starts_with("## ") && !tables.is_empty() {
            break;
        }
    }
    assert!(tables.len() > 20, "the README has lost its tables");
    tables
}

fn row(line: &'static str) -> Option<Row> {
    let mut cells = line.strip_prefix("| ")?.split(" | ");
    let (offset, size, field) = (cells.next()?, cells.next()?, cells.next()?);
    (offset == "…" || offset.parse::<usize>().is_ok()).then_some(Row { offset, size, field })
}
