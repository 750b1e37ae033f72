//! The program as its users run it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value, json};

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
    let unsupported = ["augment"];
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
    assert_eq!(count, 61);
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
fn says_what_window_a_compressed_artifact_needs() {
    let window = |file: &str| printed(&run(&[file]))["device_limits"]["window_len_needed"].clone();
    // Its archives are 3,072 and 16,384 bytes long; no window can be longer than what is in it.
    let needed = window("ok/gzip.mender").as_u64().unwrap();
    assert!((512..=32768).contains(&needed) && needed.is_power_of_two(), "{needed}");
    for file in ["ok/none-100k.mender", "ok/lzma.mender", "ok/zstd-best.mender"] {
        assert_eq!(window(file), 0, "{file}");
    }
    let needed = needed.to_string();
    let fits = printed(&run(&["ok/gzip.mender", "--window-len", &needed]));
    assert_eq!(fits["device_limits"]["exceeded"], json!([]));
    let none = printed(&run(&["ok/gzip.mender"]));
    assert_eq!(none["device_limits"]["exceeded"][0]["limit"], "window_len");
}

#[test]
fn refuses_with_the_reason() {
    let flipped = refusal(&run(&["bad/payload-bit-flip.mender"]));
    let expected = "artifact-info: bad/payload-bit-flip.mender: \
                    the SHA-256 of a payload file is not the one in the manifest\n";
    assert_eq!(flipped, expected);
    let augmented = refusal(&run(&["ok/augmented.mender"]));
    assert!(augmented.contains("not supported: "), "{augmented}");
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
        "-t my-board",
        "--meta-data-len <NUMBER>",
        "--work-len <NUMBER>",
        "--explain <CODE>...",
        "device_limits",
    ] {
        assert!(help.contains(taught), "{taught}: {help}");
    }
}

#[test]
fn says_which_limits_of_the_device_are_exceeded() {
    let limits = |arguments: &[&str]| printed(&run(arguments))["device_limits"].clone();
    let fits = limits(&["ok/meta-simple.mender"]);
    assert_eq!(fits["exceeded"], json!([]));
    let needed = fits["work_len_needed"].as_u64().unwrap();
    assert!((300..1850).contains(&needed), "{needed}");
    let (enough, less) = (needed.to_string(), (needed - 1).to_string());
    assert_eq!(limits(&["ok/meta-simple.mender", "--work-len", &enough]), fits);
    let expected = json!([{"limit": "work_len", "allowed": needed - 1, "needed": needed}]);
    assert_eq!(
        limits(&["ok/meta-simple.mender", "--work-len", &less])["exceeded"],
        expected
    );

    let all = limits(&[
        "ok/files-4.mender",
        "--version-len=30",
        "--manifest-len=100",
        "--files=1",
        "--name-len=2",
        "--header-info-len=20",
        "--device-types=0",
        "--type-info-len=10",
        "--json-depth=1",
    ]);
    let exceeded = all["exceeded"].as_array().unwrap();
    let find = |limit: &str| exceeded.iter().find(|entry| entry["limit"] == limit).unwrap();
    assert_eq!(
        *find("version_len"),
        json!({"limit": "version_len", "allowed": 30, "needed": 31})
    );
    assert_eq!(*find("files"), json!({"limit": "files", "allowed": 1, "needed": 4}));
    assert_eq!(
        *find("json_depth"),
        json!({"limit": "json_depth", "allowed": 1, "needed": 3})
    );
    assert_eq!(exceeded.len(), 8, "{all}");
    for entry in exceeded {
        assert!(entry["needed"].as_u64() > entry["allowed"].as_u64(), "{entry}");
    }
    let meta_data = limits(&["ok/meta-simple.mender", "--meta-data-len", "1"]);
    assert_eq!(meta_data["exceeded"][0]["limit"], "meta_data_len");
    let long_name = limits(&["ok/longname-200.mender", "--extension-len=100"]);
    let names: Vec<_> = long_name["exceeded"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["limit"].clone())
        .collect();
    assert_eq!(names, ["name_len", "extension_len"]);
    let signed = limits(&["ok/signed-ecdsa.mender", "--signature-len=87"]);
    assert_eq!(
        signed["exceeded"],
        json!([{"limit": "signature_len", "allowed": 87, "needed": 88}])
    );
}

#[test]
fn explains_codes() {
    for (arguments, text) in [
        (&["--explain", "E190"][..], "manifest.sig: not one line of base64\n"),
        (&["--explain", "190"], "manifest.sig: not one line of base64\n"),
        (&["--explain", "E145"], "expected …, found …\n"),
        (
            &["--explain", "E158", "E225", "44"],
            "header-info: a key occurs twice (at byte 44)\n",
        ),
        (
            &["--explain", "E158 E225 44"],
            "header-info: a key occurs twice (at byte 44)\n",
        ),
        (
            &["--explain", "E207", "boot"],
            "the artifact depends on \"boot\", which is not provided\n",
        ),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    }
    for unknown in ["E0", "E99999", "x", "", "E-1"] {
        let output = run(&["--explain", unknown]);
        assert_eq!(output.status.code(), Some(2), "{unknown}");
        assert!(output.stdout.is_empty());
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            message.starts_with("artifact-info: ") && message.contains("is no code"),
            "{message}"
        );
    }
    assert_eq!(run(&["--explain", "E190", "--work-len", "x"]).status.code(), Some(2));
}
