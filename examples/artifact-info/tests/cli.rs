//! The program as its users run it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value};

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/artifacts")
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_artifact-info"));
    command.args(arguments).current_dir(vectors()).output().unwrap()
}

fn printed(output: &Output) -> Value {
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stderr.is_empty());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The maps of provides that `MANIFEST.json` has merged.
fn merged_provides(found: &Value) -> Value {
    let mut merged = found["provides"].as_object().unwrap().clone();
    merged.insert("artifact_name".to_owned(), found["artifact_name"].clone());
    if let Value::String(group) = &found["artifact_group"] {
        merged.insert("artifact_group".to_owned(), group.clone().into());
    }
    Value::Object(merged)
}

/// The depends that `MANIFEST.json` has merged; single strings as lists.
fn merged_depends(expected: &Value) -> Map<String, Value> {
    let object = expected.as_object().unwrap();
    let lists = object.iter().map(|(key, value)| match value {
        Value::Array(_) => (key.clone(), value.clone()),
        other => (key.clone(), Value::Array(vec![other.clone()])),
    });
    lists.collect()
}

#[test]
fn prints_what_the_vectors_say() {
    let manifest = std::fs::read(vectors().join("MANIFEST.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let unsupported = ["gzip", "xz", "zstd", "augment"];
    let mut count = 0;
    for vector in manifest["entries"].as_array().unwrap() {
        let required = vector["requires"].as_array();
        let supported = required.is_some_and(|list| list.iter().all(|f| !unsupported.contains(&f.as_str().unwrap())));
        if vector["expectation"] != "accept" || !supported {
            continue;
        }
        count += 1;
        let file = vector["file"].as_str().unwrap();
        let found = printed(&run(&[file]));
        for key in ["artifact_name", "payload_type", "files", "manifest_sha256"] {
            assert_eq!(found[key], vector[key], "{key} of {file}");
        }
        // `MANIFEST.json` has -0 as 0.
        let mut meta_data = found["meta_data"].clone();
        if let Some(zero) = meta_data.get_mut("negzero") {
            assert_eq!(zero.take().as_f64(), Some(0.0));
            *zero = 0.into();
        }
        assert_eq!(meta_data, vector["meta_data"], "{file}");
        assert_eq!(found["clears_artifact_provides"], vector["clears_provides"], "{file}");
        assert_eq!(merged_provides(&found), vector["provides"], "{file}");
        let mut depends = found["depends"].as_object().unwrap().clone();
        depends.insert("device_type".to_owned(), found["device_types"].clone());
        assert_eq!(depends, merged_depends(&vector["depends"]), "{file}");
        assert_eq!(found["signed"], !vector["signed_by"].is_null(), "{file}");
        let scripts = vector["scripts"].as_array().map_or(0, Vec::len);
        assert_eq!(found["state_scripts"], scripts, "{file}");
        assert_eq!(found["format_version"], 3);
    }
    assert_eq!(count, 51);
}

#[test]
fn reads_standard_input() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_artifact-info"));
    command
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let artifact = std::fs::read(vectors().join("ok/none-100k.mender")).unwrap();
    child.stdin.take().unwrap().write_all(&artifact).unwrap();
    let found = printed(&child.wait_with_output().unwrap());
    assert_eq!(found, printed(&run(&["ok/none-100k.mender"])));
}

#[test]
fn refuses_with_the_reason() {
    let flipped = refusal(&run(&["bad/payload-bit-flip.mender"]));
    let expected = "artifact-info: bad/payload-bit-flip.mender: \
                    the SHA-256 of a payload file is not the one in the manifest\n";
    assert_eq!(flipped, expected);
    let gzip = refusal(&run(&["ok/gzip.mender"]));
    assert!(
        gzip.contains("not supported: gzip compression; write the artifact with --compression none"),
        "{gzip}"
    );
    let cut = refusal(&run(&["bad/trunc-last-byte.mender"]));
    assert!(cut.contains("the artifact ends early, after 9727 bytes"), "{cut}");
    assert!(refusal(&run(&["no-such-file"])).starts_with("artifact-info: no-such-file: "));
    assert!(refusal(&run(&["ok"])).starts_with("artifact-info: ok: "), "a directory");
}

#[test]
fn wrong_usage_and_help() {
    for arguments in [&[][..], &["a", "b"], &["--wrong", "a"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("Usage: artifact-info <FILE>")
        );
    }
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let help = String::from_utf8(help.stdout).unwrap();
    for taught in [
        "Exit status: 0",
        "artifact-info -",
        "--compression none",
        "- reads standard input",
    ] {
        assert!(help.contains(taught), "{taught}: {help}");
    }
}
