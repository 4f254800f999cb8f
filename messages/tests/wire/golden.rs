//! Golden bytes: wire version 2 does not change, whatever encodes it.

use std::fmt::Write as _;

use messages::{Datagram, Kind};

use crate::Said;
use crate::samples::{self, CONVERSATION, Sample};

#[test]
fn every_sample_is_its_fields_byte_for_byte_both_ways() {
    for sample in samples::all() {
        let datagram = sample.said.encode(CONVERSATION);
        assert_eq!(datagram, sample.expected(), "{}", sample.title);
        let decoded = Datagram::decode(&datagram).map(Said::of);
        assert_eq!(decoded, Ok((CONVERSATION, sample.said)), "{}", sample.title);
    }
}

#[test]
fn every_kind_has_a_sample() {
    for kind in Kind::ALL.iter().filter(|kind| !kind.is_of_channel()) {
        assert!(samples::all().iter().any(|sample| sample.kind == *kind), "no sample of {kind:?}");
    }
}

#[test]
fn golden_bytes() {
    let mut text = String::new();
    for sample in samples::all() {
        write_annotated(&sample, &mut text);
    }
    insta::assert_snapshot!(text);
}

/// A line a field: offset, name, bytes in hexadecimal; a long run of one byte is shortened.
fn write_annotated(sample: &Sample, text: &mut String) {
    let datagram = sample.said.encode(CONVERSATION);
    let _ = writeln!(text, "{} ({} bytes)", sample.title, datagram.len());
    let mut offset = 0;
    for (name, expected) in &sample.fields {
        let bytes = &datagram[offset..offset + expected.len()];
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = match bytes {
            [first, ..] if bytes.len() > 16 && bytes.iter().all(|byte| byte == first) => {
                format!("{first:02x} x {}", bytes.len())
            }
            _ => hex,
        };
        let _ = writeln!(text, "  {offset:>4}  {name:<22} {shown}");
        offset += expected.len();
    }
    text.push('\n');
}
