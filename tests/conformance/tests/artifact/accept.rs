//! Every valid artifact gives exactly the listed content, or is refused because of a feature, at every chunk size.

use mender::artifact::{Error, Event, Limits, Parser};
use serde_json::{Value, json};

use crate::run::{HeaderContent, parse};
use crate::vectors::{self, Expectation, Vector};

const CHUNKS: [usize; 5] = [1, 7, 512, 4096, usize::MAX];

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        other => vec![text(other)],
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

fn pairs<T>(value: &Value, skipped: &str, read: impl Fn(&Value) -> T) -> Vec<(String, T)> {
    let object = value.as_object().into_iter().flatten();
    object
        .filter(|(key, _)| *key != skipped)
        .map(|(key, value)| (key.clone(), read(value)))
        .collect()
}

/// `MANIFEST.json` has -0 as 0.
fn without_negative_zero(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, without_negative_zero(value)))
            .collect(),
        Value::Number(number) if number.as_f64() == Some(0.0) => 0.into(),
        other => other,
    }
}

pub fn check_header(vector: &Vector, found: &HeaderContent) {
    let (header_info, type_info) = (vector.header_info.as_ref().unwrap(), vector.type_info.as_ref().unwrap());
    assert_eq!(Some(&found.artifact_name), vector.artifact_name.as_ref());
    assert_eq!(found.payload_type, vector.payload_type);
    let group = header_info["artifact_provides"].get("artifact_group").map(text);
    assert_eq!(found.artifact_group, group);
    assert_eq!(
        found.device_types,
        texts(&header_info["artifact_depends"]["device_type"])
    );
    let mut depends = pairs(&header_info["artifact_depends"], "device_type", texts);
    depends.extend(pairs(&type_info["artifact_depends"], "", texts));
    assert_eq!(sorted(found.depends.clone()), sorted(depends));
    let provides = pairs(&type_info["artifact_provides"], "", text);
    assert_eq!(sorted(found.provides.clone()), sorted(provides));
    assert_eq!(found.clears, type_info.get("clears_artifact_provides").map(texts));
    let meta_data = found
        .meta_data
        .as_ref()
        .map(|text| serde_json::from_str::<Value>(text).unwrap());
    assert_eq!(meta_data.map(without_negative_zero), vector.meta_data);
    assert_eq!(found.signed, vector.signed_by.is_some());
    assert_eq!(usize::from(found.scripts), vector.scripts.len());
    assert_eq!(Some(&found.manifest_sha256), vector.manifest_sha256.as_ref());
}

#[test]
fn supported_artifacts_give_exactly_the_listed_content() {
    let mut count = 0;
    for vector in vectors::all() {
        if vector.expectation != Expectation::Accept || vector.unsupported().is_some() {
            continue;
        }
        count += 1;
        let bytes = vector.bytes();
        for chunk in CHUNKS {
            let outcome = parse(&bytes, &[chunk]);
            assert_eq!(outcome.result, Ok(()), "{} in pieces of {chunk}", vector.file);
            check_header(&vector, outcome.header.as_ref().unwrap());
            assert_eq!(outcome.files, vector.files, "{}", vector.file);
            let total: u64 = vector.files.iter().map(|file| file.size).sum();
            assert_eq!(outcome.payload_bytes as u64, total);
        }
    }
    assert_eq!(count, 52);
}

#[test]
fn unsupported_artifacts_are_refused_by_name_before_any_payload() {
    let mut count = 0;
    for vector in vectors::all() {
        let (Expectation::Accept, Some(feature)) = (vector.expectation, vector.unsupported()) else {
            continue;
        };
        count += 1;
        for chunk in CHUNKS {
            let outcome = parse(&vector.bytes(), &[chunk]);
            let message = outcome.result.unwrap_err().to_string();
            assert!(message.starts_with("not supported: "), "{}: {message}", vector.file);
            assert!(message.contains(feature), "{}: {message}", vector.file);
            assert_eq!(outcome.header, None, "{}: the header was reported", vector.file);
            assert_eq!(outcome.payload_bytes, 0);
        }
    }
    assert_eq!(count, 11);
}

/// Every place where a stream may be cut: refused up to the second end block of the artifact, and good from there on.
#[test]
fn every_truncation_of_every_valid_artifact_is_refused() {
    let mut cuts = 0;
    for vector in vectors::all() {
        if vector.expectation != Expectation::Accept || vector.unsupported().is_some() {
            continue;
        }
        let bytes = vector.bytes();
        let complete = vectors::outer_entries(&bytes).1 + 1024;
        let mut work = vec![0; Limits::GENEROUS.work_len()];
        let mut parser = Parser::new(Limits::GENEROUS, &mut work);
        for at in 0..=bytes.len() {
            let finished = parser.finish();
            if at < complete {
                let expected = Error::Truncated { offset: at as u32 };
                assert_eq!(finished, Err(expected), "{} cut at {at}", vector.file);
            } else {
                assert_eq!(finished, Ok(()), "{} cut at {at}", vector.file);
            }
            cuts += 1;
            let mut piece = bytes.get(at..at + 1).unwrap_or(&[]);
            loop {
                let (consumed, event) = parser.feed(piece).unwrap();
                piece = &piece[consumed..];
                if event == Event::NeedInput {
                    break;
                }
            }
        }
    }
    assert!(cuts > 500_000, "{cuts}");
}

#[test]
fn the_vectors_are_what_the_tests_think_they_are() {
    let escapes = vectors::all()
        .into_iter()
        .find(|vector| vector.file == "ok/edit-json-escapes.mender")
        .unwrap();
    let provides = escapes.type_info.unwrap()["artifact_provides"].clone();
    assert_eq!(provides, json!({"key": "\"\\/ü\u{8}\u{c}\u{0}\u{fffd}"}));
    let (entries, end) = vectors::outer_entries(&vectors::bytes("ok/none-513b.mender"));
    let names: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.end)).collect();
    let expected = [
        ("version", 1024),
        ("manifest", 2048),
        ("header.tar", 5632),
        ("data/0000.tar", 8704),
    ];
    assert_eq!((&names[..], end), (&expected[..], 8704));
}
