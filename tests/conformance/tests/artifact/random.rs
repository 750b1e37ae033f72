//! Random artifacts in random pieces: never a panic, always an end, and the same outcome for every chunking.

use proptest::prelude::*;

use mender::artifact::Limits;

use crate::builder::Parts;
use crate::run::{parse, parse_with};
use crate::vectors::{self, Expectation};

/// One edit of some bytes.
#[derive(Clone, Debug)]
enum Edit {
    Set { at: prop::sample::Index, byte: u8 },
    Flip { at: prop::sample::Index, bit: u8 },
    Insert { at: prop::sample::Index, bytes: Vec<u8> },
    Remove { at: prop::sample::Index, len: usize },
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            _ if bytes.is_empty() => {}
            Edit::Set { at, byte } => *at.get_mut(bytes) = *byte,
            Edit::Flip { at, bit } => *at.get_mut(bytes) ^= 1 << bit,
            Edit::Insert { at, bytes: inserted } => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, inserted.iter().copied());
            }
            Edit::Remove { at, len } => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + len).min(bytes.len()));
            }
        }
    }
}

/// Pieces of documents: what an edit by chance would hardly ever write.
const SNIPPETS: [&str; 28] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "true",
    "0",
    "-1",
    "1e9",
    " ",
    "\n",
    "\"t\"",
    "\"type\":",
    "\"artifact_name\":",
    "\"artifact_provides\":",
    "\"artifact_depends\":",
    "\"device_type\":",
    "[\"d\"]",
    "{}",
    "[]",
    "\\u0041",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\"\"",
];

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set { at, byte }),
        (at(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip { at, bit }),
        (at(), prop::collection::vec(any::<u8>(), 1..600)).prop_map(|(at, bytes)| Edit::Insert { at, bytes }),
        (at(), 1..600_usize).prop_map(|(at, len)| Edit::Remove { at, len }),
    ]
}

fn text_edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), prop::sample::select(&SNIPPETS[..]))
            .prop_map(|(at, text)| Edit::Insert { at, bytes: text.into() }),
        2 => (at(), 1..12_usize).prop_map(|(at, len)| Edit::Remove { at, len }),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set { at, byte }),
    ]
}

fn chunks() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..5_usize, 1..1500_usize], 1..40)
}

/// The outcome in random pieces is that in one piece, with ample memory and with little.
fn same_outcome(bytes: &[u8], chunks: &[usize]) -> Result<(), TestCaseError> {
    let whole = parse(bytes, &[usize::MAX]);
    prop_assert_eq!(&parse(bytes, chunks), &whole);
    prop_assert!(whole.payload_bytes <= bytes.len());
    for work_len in [0, 700, Limits::DEFAULT.work_len()] {
        let small = |chunks: &[usize]| parse_with(bytes, chunks, Limits::DEFAULT, work_len).0;
        prop_assert_eq!(small(chunks), small(&[usize::MAX]));
    }
    Ok(())
}

fn valid_files() -> Vec<String> {
    let accepted = vectors::all()
        .into_iter()
        .filter(|vector| vector.expectation == Expectation::Accept);
    accepted.map(|vector| vector.file).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edited_vectors(
        file in prop::sample::select(valid_files()),
        edits in prop::collection::vec(edit(), 0..4),
        chunks in chunks(),
    ) {
        let mut bytes = vectors::bytes(&file);
        for edit in &edits {
            edit.apply(&mut bytes);
        }
        same_outcome(&bytes, &chunks)?;
    }

    /// The edits are covered by right checksums, so they reach the documents.
    #[test]
    fn edited_documents(
        version in prop::collection::vec(text_edit(), 0..2),
        header_info in prop::collection::vec(text_edit(), 0..3),
        type_info in prop::collection::vec(text_edit(), 0..4),
        meta_data in prop::option::of(prop::collection::vec(text_edit(), 0..6)),
        chunks in chunks(),
    ) {
        let mut parts = Parts {
            type_info: br#"{"type":"t","artifact_provides":{"a":"b"},"artifact_depends":{"c":["d","e"]},"clears_artifact_provides":["a*"]}"#.to_vec(),
            ..Parts::default()
        };
        version.iter().for_each(|edit| edit.apply(&mut parts.version));
        header_info.iter().for_each(|edit| edit.apply(&mut parts.header_info));
        type_info.iter().for_each(|edit| edit.apply(&mut parts.type_info));
        parts.meta_data = meta_data.map(|edits| {
            let mut text = br#"{"a":{"b":[1,"two",null]},"c":false}"#.to_vec();
            edits.iter().for_each(|edit| edit.apply(&mut text));
            text
        });
        let bytes = parts.build();
        same_outcome(&bytes, &chunks)?;
        // What was accepted is JSON for another reader, too.
        let outcome = parse(&bytes, &[512]);
        if let Some(header) = outcome.header {
            for text in [&parts.version, &parts.header_info, &parts.type_info] {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(text).is_ok());
            }
            let info: serde_json::Value = serde_json::from_slice(&parts.header_info).unwrap();
            prop_assert_eq!(Some(header.artifact_name.as_str()), info["artifact_provides"]["artifact_name"].as_str());
        }
    }

    #[test]
    fn any_strings_arrive_decoded(
        name in "\\PC{1,40}",
        key in any::<String>(),
        value in any::<String>(),
        escaped in any::<bool>(),
        chunks in chunks(),
    ) {
        let json = |text: &str| {
            if escaped {
                let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                format!("\"{units}\"")
            } else {
                serde_json::to_string(text).unwrap()
            }
        };
        prop_assume!(key != "artifact_name");
        let parts = Parts {
            header_info: format!(
                r#"{{"payloads":[{{"type":"t"}}],"artifact_provides":{{"artifact_name":{}}},"artifact_depends":{{"device_type":[{}]}}}}"#,
                json(&name), json(&value),
            ).into_bytes(),
            type_info: format!(r#"{{"type":"t","artifact_provides":{{{}:{}}}}}"#, json(&key), json(&value)).into_bytes(),
            ..Parts::default()
        };
        let outcome = parse(&parts.build(), &chunks);
        prop_assert_eq!(outcome.result, Ok(()));
        let header = outcome.header.unwrap();
        prop_assert_eq!(header.artifact_name, name);
        prop_assert_eq!(header.device_types, vec![value.clone()]);
        prop_assert_eq!(header.provides, vec![(key, value)]);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..3000), chunks in chunks()) {
        same_outcome(&bytes, &chunks)?;
    }
}
