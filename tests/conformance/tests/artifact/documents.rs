//! The documents, beyond what the vectors have.

use crate::builder::{self, Parts};
use crate::run::{Outcome, parse};

fn message(parts: &Parts) -> String {
    match parse(&parts.build(), &[512]).result {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn with_header_info(text: &str) -> Parts {
    Parts {
        header_info: text.into(),
        ..Parts::default()
    }
}

fn with_type_info(text: &str) -> Parts {
    Parts {
        type_info: text.into(),
        ..Parts::default()
    }
}

const NULL_HEADER_INFO: &str = r#"{"payloads":[{"type":null}],"artifact_provides":{"artifact_name":"n"},"artifact_depends":{"device_type":["d"]}}"#;

#[test]
fn header_info() {
    let rest = r#""artifact_provides":{"artifact_name":"n"},"artifact_depends":{"device_type":["d"]}}"#;
    let several = with_header_info(&(r#"{"payloads":[{"type":"t"},{"type":"t"}],"#.to_owned() + rest));
    assert_eq!(message(&several), "not supported: more than one payload");
    let unknown = with_header_info(&(r#"{"payloads":[{"type":"t","x":1}],"#.to_owned() + rest));
    assert_eq!(message(&unknown), "header-info: unknown key (at byte 26)");
    let cased = with_header_info(&(r#"{"Payloads":[{"type":"t"}],"#.to_owned() + rest));
    assert_eq!(message(&cased), "header-info: unknown key (at byte 2)");
    let bom = with_header_info(&("\u{feff}{\"payloads\":[{\"type\":\"t\"}],".to_owned() + rest));
    assert_eq!(message(&bom), "header-info: a byte order mark (at byte 0)");
}

#[test]
fn type_info() {
    assert_eq!(
        message(&with_type_info(r#"{"unknown":[{"type":1}],"type":"t","other":null}"#)),
        "ok"
    );
    assert_eq!(message(&with_type_info(r#"{"type":"\u0074"}"#)), "ok");
    assert_eq!(
        message(&with_type_info(r#"{"type":""}"#)),
        "ok",
        "it stands for header-info's"
    );
    assert_eq!(
        message(&with_type_info(r#"{"type":"T"}"#)),
        "type-info: the payload type is not the one of header-info"
    );
    for key in ["artifact_provides", "artifact_depends", "clears_artifact_provides"] {
        let null = with_type_info(&format!(r#"{{"type":"t","{key}":null}}"#));
        assert_eq!(
            message(&null),
            format!("type-info: \"{key}\" has a value of the wrong type")
        );
    }
    let conflict = "type-info: a key occurs both in header-info and in type-info";
    assert_eq!(
        message(&with_type_info(
            r#"{"type":"t","artifact_provides":{"artifact_name":"x"}}"#
        )),
        conflict
    );
    assert_eq!(
        message(&with_type_info(
            r#"{"type":"t","artifact_depends":{"device_type":"x"}}"#
        )),
        conflict
    );
    let mut both = with_type_info(r#"{"type":"t","artifact_depends":{"a":"1","artifact_name":"x"}}"#);
    assert_eq!(message(&both), "ok");
    both.header_info = br#"{"payloads":[{"type":"t"}],"artifact_provides":{"artifact_name":"n"},"artifact_depends":{"device_type":["d"],"artifact_name":["x"]}}"#.to_vec();
    assert_eq!(message(&both), conflict);
}

#[test]
fn empty_payloads() {
    let mut parts = with_header_info(NULL_HEADER_INFO);
    parts.type_info = br#"{"type":null}"#.to_vec();
    parts.files.clear();
    assert_eq!(message(&parts), "ok");
    parts.meta_data = Some(Vec::new());
    assert_eq!(message(&parts), "ok");
    parts.meta_data = Some(b"{}".to_vec());
    assert_eq!(message(&parts), "meta-data: not allowed with payload type null");
    parts.meta_data = None;
    parts.files = Parts::default().files;
    assert_eq!(
        message(&parts),
        "manifest: payload files, although the payload type is null"
    );
}

/// Those of mender-artifact since 4.1.1: printable, and not longer than 256 bytes.
#[test]
fn names_are_those_that_the_real_writer_makes() {
    let of = |name: &str, group: &str, device_type: &str| {
        message(&with_header_info(&format!(
            r#"{{"payloads":[{{"type":"t"}}],"artifact_provides":{{"artifact_name":"{name}","artifact_group":"{group}"}},"artifact_depends":{{"device_type":["d","{device_type}"]}}}}"#,
        )))
    };
    let long = "é".repeat(128);
    assert_eq!(of(&long, &long, &long), "ok");
    assert_eq!(of(r"n 1 ~\u00e9", "", "d"), "ok");
    for bad in [
        &*(long + "x"),
        r"a\u0001",
        r"\n",
        r"a\tb",
        r"\u0000",
        r"\u001f",
        r"\u007f",
    ] {
        let refusal = |key| format!("header-info: \"{key}\" has a value that the format does not allow");
        assert_eq!(of(bad, "g", "d"), refusal("artifact_name"), "{bad:?}");
        assert_eq!(of("n", bad, "d"), refusal("artifact_group"), "{bad:?}");
        assert_eq!(of("n", "g", bad), "ok", "{bad:?} is no device's type");
    }
}

/// What the parser does not look at, as its documentation says.
#[test]
fn what_has_no_meaning_for_a_device_is_not_checked() {
    let mut parts = Parts {
        scripts: vec!["ArtifactInstall_Enter_00".to_owned(), "NoState_1".to_owned()],
        meta_data: Some(br#"{"a":1e999,"b":-1E+400}"#.to_vec()),
        ..Parts::default()
    };
    let outcome = parse(&parts.build(), &[512]);
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(
        outcome.header.unwrap().meta_data.as_deref(),
        Some(r#"{"a":1e999,"b":-1E+400}"#)
    );
    parts = Parts::default();
    let mut header = builder::block("f", 7, b'0');
    // Mode, owner, group, time, and the numbers of a device.
    for (field, text) in [
        (100..108, "1L524770400"),
        (108..116, "-1"),
        (116..124, "x"),
        (136..148, "\u{7f}"),
        (329..345, "99"),
    ] {
        let len = text.len().min(field.len());
        header[field][..len].copy_from_slice(&text.as_bytes()[..len]);
    }
    builder::seal(&mut header);
    let mut payload = parts.payload_tar();
    payload[..512].copy_from_slice(&header);
    assert_eq!(
        parse(&parts.build_with(&parts.header_tar(), &payload), &[512]).result,
        Ok(())
    );
}

#[test]
fn state_scripts_are_counted_and_skipped() {
    let mut parts = Parts {
        scripts: (0..100).map(|n| format!("ArtifactInstall_Enter_{n:02}")).collect(),
        ..Parts::default()
    };
    let Outcome { header, result, .. } = parse(&parts.build(), &[512]);
    assert_eq!((header.unwrap().scripts, result), (100, Ok(())));
    for name in ["..", ".", "", "a/b", "../x", "a b"] {
        parts.scripts = vec![name.to_owned()];
        assert_eq!(
            message(&parts),
            "header.tar: an entry that the format does not know",
            "{name}"
        );
    }
}
