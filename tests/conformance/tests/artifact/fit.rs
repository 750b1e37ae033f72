//! Whether an artifact fits a device, and the device's provides afterwards.

use mender::artifact::{Event, Header, Limits, Misfit, Parser};
use mender::provides::{Provides, ProvidesBuf, SetError};

use crate::builder::Parts;

/// Calls `check` with the header of an artifact that has these documents.
fn with_header<T>(header_info: &str, type_info: &str, check: impl FnOnce(Header<'_>) -> T) -> T {
    let parts = Parts {
        header_info: header_info.into(),
        type_info: type_info.into(),
        ..Parts::default()
    };
    let bytes = parts.build();
    let mut work = [0; Limits::DEFAULT.work_len()];
    let mut parser = Parser::new(Limits::DEFAULT, &mut work);
    let (_, event) = parser.feed(&bytes).unwrap();
    assert_eq!(event, Event::Header);
    check(parser.header().unwrap())
}

fn list<'b>(pairs: &[(&str, &str)], buffer: &'b mut [u8]) -> ProvidesBuf<'b> {
    let mut list = ProvidesBuf::new(buffer);
    for (key, value) in pairs {
        list.set(key, value).unwrap();
    }
    list
}

const DEPENDS: &str = r#"{"payloads":[{"type":"t"}],
    "artifact_provides":{"artifact_name":"n"},
    "artifact_depends":{"artifact_name":["one","two"],"device_type":["d1","d\u0032"],"artifact_group":["g"]}}"#;
const TYPE_DEPENDS: &str = r#"{"type":"t","artifact_depends":{"boot":["1.0","1.1"],"radio":"x"}}"#;

fn fit(device_type: &str, provides: &[(&str, &str)]) -> Option<String> {
    let mut buffer = [0; 256];
    let provides = list(provides, &mut buffer);
    with_header(DEPENDS, TYPE_DEPENDS, |header| {
        header
            .check_fit(device_type, provides.as_provides())
            .err()
            .map(|misfit| misfit.to_string())
    })
}

#[test]
fn every_dependency_must_be_met_with_one_of_its_values() {
    let good = [
        ("artifact_name", "two"),
        ("artifact_group", "g"),
        ("boot", "1.0"),
        ("radio", "x"),
        ("more", "y"),
    ];
    assert_eq!(fit("d1", &good), None);
    assert_eq!(fit("d2", &good), None, "any of the device types");
    let other = Some("the artifact is for other device types".to_owned());
    assert_eq!(fit("d", &good), other);
    assert_eq!(fit("d3", &good), other);
    assert_eq!(fit("", &good), other);
    for without in 0..4 {
        let mut provides = good.to_vec();
        let (key, _) = provides.remove(without);
        let expected = format!("the artifact depends on \"{key}\", which is not provided");
        assert_eq!(fit("d1", &provides), Some(expected));
        provides.push((key, "else"));
        let expected = format!("the artifact depends on another value of \"{key}\"");
        assert_eq!(fit("d1", &provides), Some(expected));
    }
    let mut second = good;
    second[0].1 = "one";
    second[2].1 = "1.1";
    assert_eq!(fit("d1", &second), None);
}

const PLAIN: &str =
    r#"{"payloads":[{"type":"t"}],"artifact_provides":{"artifact_name":"n"},"artifact_depends":{"device_type":["d"]}}"#;

#[test]
fn a_dependency_without_values_is_never_met() {
    let type_info = r#"{"type":"t","artifact_depends":{"a":[],"b":"1"}}"#;
    let mut buffer = [0; 64];
    let provides = list(&[("a", "1"), ("b", "1")], &mut buffer);
    with_header(PLAIN, type_info, |header| {
        let misfit = header.check_fit("d", provides.as_provides());
        assert_eq!(misfit, Err(Misfit::OtherValue { key: "a" }));
        let nothing = header.check_fit("d", Provides::default());
        assert_eq!(nothing, Err(Misfit::NotProvided { key: "a" }));
    });
}

/// `old` after an artifact, sorted.
fn after(header_info: &str, type_info: &str, old: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut buffer = [0; 256];
    let mut provides = list(old, &mut buffer);
    with_header(header_info, type_info, |header| {
        header.update_provides(&mut provides).unwrap()
    });
    let mut pairs: Vec<_> = provides
        .as_provides()
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    pairs.sort();
    pairs
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

const OLD: [(&str, &str); 4] = [
    ("artifact_name", "old"),
    ("artifact_group", "g"),
    ("rootfs-image.t.version", "1"),
    ("data.x", "2"),
];

#[test]
fn what_a_pattern_matches_goes_and_new_provides_come() {
    let type_info = r#"{"type":"t","artifact_provides":{"rootfs-image.t.version":"n"},"clears_artifact_provides":["rootfs-image.t.*"]}"#;
    let expected = [
        ("artifact_group", "g"),
        ("artifact_name", "n"),
        ("data.x", "2"),
        ("rootfs-image.t.version", "n"),
    ];
    assert_eq!(after(PLAIN, type_info, &OLD), owned(&expected));
}

#[test]
fn an_empty_list_clears_nothing_and_a_missing_one_everything() {
    let empty = r#"{"type":"t","artifact_provides":{"a":"b"},"clears_artifact_provides":[]}"#;
    let expected = [
        ("a", "b"),
        ("artifact_group", "g"),
        ("artifact_name", "n"),
        ("data.x", "2"),
        ("rootfs-image.t.version", "1"),
    ];
    assert_eq!(after(PLAIN, empty, &OLD), owned(&expected));
    let missing = r#"{"type":"t","artifact_provides":{"a":"b"}}"#;
    assert_eq!(
        after(PLAIN, missing, &OLD),
        owned(&[("a", "b"), ("artifact_name", "n")])
    );
    assert_eq!(after(PLAIN, r#"{"type":"t"}"#, &OLD), owned(&[("artifact_name", "n")]));
}

#[test]
fn the_group_goes_when_cleared_and_not_provided_again() {
    let clears = r#"{"type":"t","clears_artifact_provides":["artifact_*"]}"#;
    let rest = [("artifact_name", "n"), ("data.x", "2"), ("rootfs-image.t.version", "1")];
    assert_eq!(after(PLAIN, clears, &OLD), owned(&rest));
    let group = PLAIN.replace(r#""artifact_name":"n""#, r#""artifact_name":"n","artifact_group":"h""#);
    let mut expected = vec![("artifact_group", "h")];
    expected.extend(rest);
    assert_eq!(after(&group, clears, &OLD), owned(&expected));
}

#[test]
fn too_small_a_buffer_is_an_error() {
    let mut buffer = [0; 16];
    let mut provides = ProvidesBuf::new(&mut buffer);
    let type_info = r#"{"type":"t","artifact_provides":{"a":"b"}}"#;
    let result = with_header(PLAIN, type_info, |header| header.update_provides(&mut provides));
    assert_eq!(result, Err(SetError::Full { needed: 17 }));
}
