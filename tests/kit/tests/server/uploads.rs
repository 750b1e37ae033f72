//! Artifacts that come in: what is read out of them, and what is refused.

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{AddArtifactError, ArtifactError, ArtifactInfo, Server, Settings};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::bench::*;
use crate::office::Office;

#[test]
fn artifacts_of_the_real_tool_are_read() {
    let info = ArtifactInfo::read(include_bytes!("../data/group.mender")).unwrap();
    assert_eq!((info.name.as_str(), info.group.as_deref()), ("grp-1", Some("stable")));
    assert_eq!(info.depends["artifact_name"], ["release-1", "release-2"]);
    assert_eq!(info.depends["artifact_group"], ["beta", "stable"]);
    assert_eq!(info.payload_type.as_deref(), Some("zephyr-image"));
    assert_eq!(
        (info.files.len(), info.files[0].len, info.files[0].modified_unix_secs),
        (1, 1, 1_700_000_000)
    );

    let info = ArtifactInfo::read(include_bytes!("../data/bootstrap.mender")).unwrap();
    assert_eq!((info.payload_type, info.files.len()), (None, 0));

    let info = ArtifactInfo::read(include_bytes!("../data/gzip.mender")).unwrap();
    let names: Vec<_> = info.files.iter().map(|file| (file.name.as_str(), file.len)).collect();
    assert_eq!(names, [("app.bin", 40_000), ("fw-513.bin", 513)]);
    assert_eq!(info.meta_data.unwrap()["version"], "1.2.3");

    let info = ArtifactInfo::read(include_bytes!("../data/long-name.mender")).unwrap();
    assert_eq!(info.files[0].name.len(), 101);
}

#[test]
fn rootfs_images_of_an_older_tool_are_read() {
    // Its type-info has an empty type; what counts is in header-info.
    let bytes = include_bytes!("../data/rootfs-image.mender");
    let info = ArtifactInfo::read(bytes).unwrap();
    assert_eq!((info.version, info.name.as_str()), (3, "release-3"));
    assert_eq!(info.payload_type.as_deref(), Some("rootfs-image"));
    assert_eq!(info.provides["rootfs-image.version"], "release-3");
    let shown = uploaded(bytes);
    assert_eq!(shown["updates"][0]["type_info"], json!({"type": "rootfs-image"}));
    assert_eq!(shown["info"]["version"], 3);
}

#[test]
fn types_that_differ_are_refused() {
    let good = ArtifactWriter::new("r", "board-a")
        .payload_type("aaaa")
        .file("f", b"1")
        .write();
    let table = [
        ("", Ok(Some("aaaa".to_owned()))),
        ("aaaa", Ok(Some("aaaa".to_owned()))),
        (
            "bbbb",
            Err(ArtifactError::Header(
                "the types in header-info and type-info differ".to_owned(),
            )),
        ),
    ];
    for (name, expected) in table {
        let edited = edit_header(&good, |header| {
            // The second one is that of type-info. White space takes the place of what is left out.
            let at = header
                .windows(13)
                .rposition(|window| window == b"\"type\":\"aaaa\"")
                .unwrap();
            let text = format!("{:13}", format!("\"type\":\"{name}\""));
            header[at..at + 13].copy_from_slice(text.as_bytes());
        });
        assert_eq!(
            ArtifactInfo::read(&edited).map(|info| info.payload_type),
            expected,
            "{name}"
        );
    }
}

/// Changes `header.tar` without moving anything, and its checksum in the manifest.
fn edit_header(bytes: &[u8], edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut archive = tar::Archive::new(bytes);
    let header = archive
        .entries()
        .unwrap()
        .map(Result::unwrap)
        .find(|entry| entry.path_bytes().as_ref() == b"header.tar")
        .unwrap();
    let from = header.raw_file_position() as usize;
    let range = from..from + header.size() as usize;
    let sum = |bytes: &[u8]| -> String { Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect() };
    let mut edited = bytes.to_vec();
    edit(&mut edited[range.clone()]);
    let (before, after) = (sum(&bytes[range.clone()]), sum(&edited[range]));
    let at = edited
        .windows(64)
        .position(|window| window == before.as_bytes())
        .unwrap();
    edited[at..at + 64].copy_from_slice(after.as_bytes());
    edited
}

#[test]
fn xz_is_read() {
    let bytes = include_bytes!("../data/xz.mender");
    let info = ArtifactInfo::read(bytes).unwrap();
    assert_eq!(info.name, "release-xz");
    assert_eq!(info.payload_type.as_deref(), Some("zephyr-image"));
    assert_eq!(info.meta_data.as_ref().unwrap()["k"], 1);
    assert_eq!(
        info.files,
        [mender_testkit::server::ArtifactFile {
            name: "image.ext4".to_owned(),
            checksum: IMAGE_SUM.to_owned(),
            len: 1500,
            modified_unix_secs: 1_700_000_000,
        }]
    );
    assert_eq!(uploaded(bytes)["name"], "release-xz");
    // Whatever is broken in the payload's stream is noticed.
    let from = bytes.windows(6).rposition(|window| window == b"\xfd7zXZ\0").unwrap();
    for at in (from..bytes.len() - 1024).step_by(3) {
        let mut bad = bytes.to_vec();
        bad[at] ^= 0x10;
        // Between the end of the stream and the end of the last block is padding.
        if ArtifactInfo::read(&bad).is_ok() {
            assert_eq!(bytes[at], 0, "offset {at}");
        }
    }
}

#[test]
fn format_2_is_read() {
    let bytes = include_bytes!("../data/format-2.mender");
    let info = ArtifactInfo::read(bytes).unwrap();
    assert_eq!(
        (info.version, info.name.as_str(), info.group.as_deref()),
        (2, "release-2", None)
    );
    assert_eq!(info.device_types, ["board-a", "board-b"]);
    assert_eq!(info.payload_type.as_deref(), Some("rootfs-image"));
    assert_eq!((info.files[0].checksum.as_str(), info.files[0].len), (IMAGE_SUM, 1500));
    assert_eq!((info.provides.len(), info.clears.len()), (0, 0));
    let shown = uploaded(bytes);
    assert_eq!(shown["info"], json!({"format": "mender", "version": 2}));
    assert_eq!(
        shown["artifact_depends"],
        json!({"device_type": ["board-a", "board-b"]})
    );
    for absent in ["artifact_provides", "clears_artifact_provides", "description"] {
        assert!(shown.get(absent).is_none(), "{absent}");
    }

    // And it is deployed like any other.
    let mut bench = Bench::new();
    let device = bench.login("aa");
    bench.server.add_artifact(bytes.to_vec(), START).unwrap();
    let deployment = bench.deploy("release-2", &device);
    assert_eq!(bench.offered(&device, "release-1"), Some(deployment));
    let link = bench.link(&device);
    let response = bench.send(bench.download(&link));
    assert_eq!(response.body, bytes);
}

#[test]
fn files_without_a_time_are_from_1970() {
    let mut bytes = ArtifactWriter::new("release-1", "board-a")
        .file("fw.bin", b"the content")
        .write();
    let at = bytes.windows(7).rposition(|window| window == b"fw.bin\0").unwrap();
    let header = &mut bytes[at..at + 512];
    header[136..148].fill(0);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(ArtifactInfo::read(&bytes).unwrap().files[0].modified_unix_secs, 0);
}

/// SHA-256 of the file in the artifacts of `mender-artifact` 3.9.0.
const IMAGE_SUM: &str = "69d745ca9a62700458a5e6fe455886fe6d1846b47f28c260d245190ee70414ac";

/// What the management API shows of an artifact that was uploaded.
fn uploaded(bytes: &[u8]) -> Value {
    let mut office = Office::new();
    let response = office.upload(&[("artifact", bytes)]);
    assert_eq!(response.status, 201, "{response:?}");
    list(&office.get("/v1/deployments/artifacts"))[0].clone()
}

/// Replaces bytes without moving others.
fn edit(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .expect(from);
    let mut edited = bytes.to_vec();
    edited[at..at + to.len()].copy_from_slice(to.as_bytes());
    edited
}

#[test]
fn damaged_artifacts_are_refused_with_the_reason() {
    let good = ArtifactWriter::new("release-1", "board-a")
        .file("fw.bin", b"the content")
        .write();
    assert!(ArtifactInfo::read(&good).is_ok());
    assert_eq!(
        ArtifactInfo::read(&edit(&good, "the content", "the CONTENT")),
        Err(ArtifactError::Checksum("data/0000/fw.bin".to_owned()))
    );
    assert_eq!(
        ArtifactInfo::read(&edit(&good, "release-1\"}", "release-2\"}")),
        Err(ArtifactError::Checksum("header.tar".to_owned()))
    );
    for number in [1, 4] {
        let version = format!("\"version\":{number}");
        assert_eq!(
            ArtifactInfo::read(&edit(&good, "\"version\":3", &version)),
            Err(ArtifactError::Version)
        );
    }
    // Version 2 exists; this is none.
    assert_eq!(
        ArtifactInfo::read(&edit(&good, "\"version\":3", "\"version\":2")),
        Err(ArtifactError::Checksum("version".to_owned()))
    );
    assert!(matches!(
        ArtifactInfo::read(&edit(&good, "  header.tar\n", " header.tar \n")),
        Err(ArtifactError::Manifest(_))
    ));
    assert!(matches!(
        ArtifactInfo::read(&good[..good.len() - 3000]),
        Err(ArtifactError::Tar(_) | ArtifactError::Entry { .. } | ArtifactError::Unlisted(_))
    ));
    assert!(matches!(
        ArtifactInfo::read(b"not an artifact"),
        Err(ArtifactError::Tar(_))
    ));
    assert!(matches!(
        ArtifactInfo::read(b""),
        Err(ArtifactError::Entry {
            expected: "version",
            found: None
        })
    ));
}

#[test]
fn every_flipped_bit_of_what_a_checksum_covers_is_noticed() {
    let good = ArtifactWriter::new("release-1", "board-a")
        .file("fw.bin", b"the content")
        .write();
    let find = |text: &str| {
        good.windows(text.len())
            .position(|window| window == text.as_bytes())
            .unwrap()
    };
    let version = find("{\"format\"");
    let header = find("header-info");
    let payload = find("the content");
    for range in [version..version + 31, header..header + 3072, payload..payload + 11] {
        for at in range {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(ArtifactInfo::read(&bad).is_err(), "offset {at}");
        }
    }
}

#[test]
fn no_prefix_is_an_artifact() {
    let good = ArtifactWriter::new("release-1", "board-a")
        .file("fw.bin", &[1; 600])
        .write();
    // The end blocks of the outer tar carry nothing that a checksum covers; readers differ about them.
    for len in (0..good.len() - 2048).step_by(37) {
        assert!(ArtifactInfo::read(&good[..len]).is_err(), "{len}");
    }
}

#[test]
fn other_compressions_are_refused_by_name() {
    let good = ArtifactWriter::new("release-1", "board-a").file("fw.bin", b"x").write();
    // A renamed entry with a corrected header checksum and manifest line would be a whole new artifact; renaming the
    // payload is enough, since it is not in the manifest.
    let at = good
        .windows(14)
        .position(|window| window == b"data/0000.tar\0")
        .unwrap();
    let mut renamed = good.clone();
    renamed[at..at + 17].copy_from_slice(b"data/0000.tar.zst");
    let sum: u32 = renamed[at..at + 512]
        .iter()
        .enumerate()
        .map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) })
        .sum();
    renamed[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let error = ArtifactInfo::read(&renamed).unwrap_err();
    assert_eq!(error, ArtifactError::Compression("data/0000.tar.zst".to_owned()));
    assert!(error.to_string().contains("--compression none"));
}

#[test]
fn the_same_name_with_the_same_depends_is_there_already() {
    let mut server = Server::new(Settings::default());
    let writer = || ArtifactWriter::new("release-1", "board-a");
    let first = server.add_artifact(writer().file("f", b"1").write(), START).unwrap();
    let again = writer().device_type("board-b").file("f", b"2").write();
    assert_eq!(server.add_artifact(again, START), Err(AddArtifactError::Exists(first)));
    let other_depends = writer().depends("k", "v").file("f", b"2").write();
    assert!(server.add_artifact(other_depends, START).is_ok());
    let other_type = ArtifactWriter::new("release-1", "board-c").file("f", b"2").write();
    assert!(server.add_artifact(other_type, START).is_ok());
    assert_eq!(server.artifacts().count(), 3);
}

#[test]
fn of_what_is_no_archive_no_bytes_are_told() {
    for byte in [0xff, b'\x1b', 0x80] {
        let error = ArtifactInfo::read(&[byte; 2048]).unwrap_err().to_string();
        assert!(error.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{error:?}");
        assert!(error.contains("tar archive"), "{error}");
    }
}
