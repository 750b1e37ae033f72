//! The artifact writer against artifacts of the real tool, and the real tool against the writer.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use mender_testkit::artifact::{ArtifactWriter, Builder};
use mender_testkit::server::ArtifactInfo;
use serde_json::{Map, Value, json};

/// Owner and times of the artifacts of the real tool.
fn builder() -> Builder {
    Builder {
        written_unix_secs: 1_795_328_214,
        files_unix_secs: 1_700_000_000,
        ..Builder::default()
    }
}

/// The payload files of an uncompressed artifact, read with an independent tar reader.
fn payload(artifact: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut outer = tar::Archive::new(artifact);
    let mut data = Vec::new();
    for entry in outer.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path_bytes().as_ref() == b"data/0000.tar" {
            entry.read_to_end(&mut data).unwrap();
        }
    }
    let mut inner = tar::Archive::new(data.as_slice());
    let mut files = Vec::new();
    for entry in inner.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.push((String::from_utf8(entry.path_bytes().into_owned()).unwrap(), content));
    }
    files
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// The writer that gets the files of `golden` must make exactly `golden`.
#[track_caller]
fn assert_same_bytes(writer: ArtifactWriter, golden: &[u8]) {
    let mut writer = writer.builder(builder());
    for (name, content) in payload(golden) {
        writer = writer.file(&name, &content);
    }
    let written = writer.write();
    let differs = written.iter().zip(golden).position(|(one, other)| one != other);
    assert_eq!(
        (differs, written.len()),
        (None, golden.len()),
        "offset of the first difference, and the length"
    );
}

#[test]
fn a_module_image_is_the_real_tools_byte_for_byte() {
    let writer = ArtifactWriter::new("release-513", "nrf52840dk");
    assert_same_bytes(writer, include_bytes!("data/module-image.mender"));
}

#[test]
fn groups_and_depends_are_the_real_tools_byte_for_byte() {
    let writer = ArtifactWriter::new("grp-1", "nrf52840dk")
        .group("stable")
        .depends_group("beta")
        .depends_group("stable")
        .depends_name("release-1")
        .depends_name("release-2");
    assert_same_bytes(writer, include_bytes!("data/group.mender"));
}

#[test]
fn provides_and_clears_are_the_real_tools_byte_for_byte() {
    let writer = ArtifactWriter::new("prov-1", "nrf52840dk")
        .provides("radio.fw", "7.1.2:b")
        .provides("bootloader.version", "2.0")
        .provides("empty", "")
        .depends("radio.fw", "7.0")
        .depends("bootloader.version", "1.0")
        .clears("radio.*")
        .clears("legacy-key");
    assert_same_bytes(writer, include_bytes!("data/provides.mender"));
}

#[test]
fn meta_data_are_the_real_tools_byte_for_byte() {
    let meta_data = object(json!({"version": "1.2.3", "tags": ["a", "b", 3], "slot": 1}));
    let writer = ArtifactWriter::new("meta-simple", "nrf52840dk").meta_data(meta_data);
    assert_same_bytes(writer, include_bytes!("data/meta-data.mender"));
}

#[test]
fn the_empty_payload_is_the_real_tools_byte_for_byte() {
    let writer = ArtifactWriter::bootstrap("boot-1", "nrf52840dk")
        .provides("rootfs-image.checksum", "0011")
        .clears("rootfs-image.*");
    assert_same_bytes(writer, include_bytes!("data/bootstrap.mender"));
}

#[test]
fn a_name_too_long_for_the_header_is_the_real_tools_byte_for_byte() {
    let writer = ArtifactWriter::new("longname-101", "nrf52840dk");
    assert_same_bytes(writer, include_bytes!("data/long-name.mender"));
}

/// Artifacts that use every part of the builder.
fn samples() -> Vec<(&'static str, ArtifactWriter)> {
    let big: Vec<u8> = (0..100_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    vec![
        (
            "plain",
            ArtifactWriter::new("release-1", "board-a").file("fw.bin", b"firmware"),
        ),
        ("big", ArtifactWriter::new("release-1", "board-a").file("fw.bin", &big)),
        ("no-files", ArtifactWriter::new("release-1", "board-a")),
        (
            "empty-file",
            ArtifactWriter::new("release-1", "board-a").file("fw.bin", b""),
        ),
        (
            "many-files",
            ArtifactWriter::new("r", "a")
                .file("b.bin", b"b")
                .file("a.bin", &[1; 512])
                .file("c-_.,", b"c"),
        ),
        (
            "many-types",
            ArtifactWriter::new("r", "a")
                .device_type("b")
                .device_type("c d")
                .file("f", b"1"),
        ),
        (
            "escapes",
            ArtifactWriter::new("r<&>\"\\é", "a")
                .provides("k<&>", "v\u{2028}\t")
                .file("f", b"1"),
        ),
        (
            "no-defaults",
            ArtifactWriter::new("r", "a")
                .no_default_software_version()
                .file("f", b"1"),
        ),
        (
            "no-clears",
            ArtifactWriter::new("r", "a").no_default_clears().file("f", b"1"),
        ),
        (
            "software",
            ArtifactWriter::new("r", "a")
                .payload_type("file")
                .software_filesystem("data")
                .software_name("app")
                .software_version("7")
                .file("f", b"1"),
        ),
        (
            "depends-list",
            ArtifactWriter::new("r", "a")
                .depends_any("k", &["v1", "v2"])
                .file("f", b"1"),
        ),
        ("long-name", ArtifactWriter::new("r", "a").file(&"n".repeat(150), b"1")),
        ("bootstrap", ArtifactWriter::bootstrap("r", "a").provides("k", "v")),
        (
            "meta-data",
            ArtifactWriter::new("r", "a").meta_data(object(json!({"z": {"y": [1, 2.5]}, "a": null}))),
        ),
    ]
}

#[test]
fn everything_written_can_be_read() {
    for (what, writer) in samples() {
        let bytes = writer.write();
        let info = ArtifactInfo::read(&bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(info.len, bytes.len() as u64, "{what}");
        let files: Vec<_> = info.files.iter().map(|file| file.name.clone()).collect();
        assert_eq!(
            files,
            payload(&bytes).into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "{what}"
        );
    }
}

#[test]
fn defaults_follow_the_real_tools_table() {
    let read = |writer: ArtifactWriter| ArtifactInfo::read(&writer.write()).unwrap();
    let provides = |info: &ArtifactInfo| -> BTreeMap<String, String> {
        info.provides
            .clone()
            .into_iter()
            .filter(|(key, _)| key != "artifact_name")
            .collect()
    };
    let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);

    let info = read(ArtifactWriter::new("n", "d").payload_type("t"));
    assert_eq!(
        (provides(&info), info.clears),
        (one("rootfs-image.t.version", "n"), vec!["rootfs-image.t.*".to_owned()])
    );
    let info = read(ArtifactWriter::new("n", "d").payload_type("t").software_filesystem("f"));
    assert_eq!(
        (provides(&info), info.clears),
        (one("f.t.version", "n"), vec!["f.t.*".to_owned()])
    );
    let info = read(
        ArtifactWriter::new("n", "d")
            .payload_type("t")
            .software_name("s")
            .software_version("v"),
    );
    assert_eq!(
        (provides(&info), info.clears),
        (one("rootfs-image.s.version", "v"), vec!["rootfs-image.s.*".to_owned()])
    );
    let info = read(
        ArtifactWriter::new("n", "d")
            .payload_type("t")
            .provides("rootfs-image.t.version", "own"),
    );
    assert_eq!(provides(&info), one("rootfs-image.t.version", "own"));
    let info = read(ArtifactWriter::new("n", "d").no_default_software_version().clears("x*"));
    assert_eq!((provides(&info), info.clears), (BTreeMap::new(), vec!["x*".to_owned()]));
    let info = read(ArtifactWriter::new("n", "d").payload_type("t").no_default_clears());
    assert_eq!(
        (provides(&info), info.clears),
        (one("rootfs-image.t.version", "n"), Vec::<String>::new())
    );
}

#[test]
fn the_real_tool_accepts_what_is_written() {
    let found = Command::new("mender-artifact").arg("--version").output();
    if found.is_err() {
        let required = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!required, "mender-artifact is not installed, but this is a CI run");
        println!("skipped: mender-artifact is not installed");
        return;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (what, writer) in samples() {
        let path = directory.join(format!("{what}.mender"));
        std::fs::write(&path, writer.write()).unwrap();
        for command in ["validate", "read"] {
            let output = Command::new("mender-artifact")
                .arg(command)
                .arg(&path)
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command} {what}: {text}");
        }
    }
    // And it reads the same values out of it.
    let path = directory.join("software.mender");
    let output = Command::new("mender-artifact").arg("read").arg(&path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for expected in [
        "Name: r",
        "data.app.version: 7",
        "data.app.*",
        "Type: file",
        "Compatible devices: '[a]'",
    ] {
        assert!(text.contains(expected), "`{expected}` is not in {text}");
    }
}
