//! Artifacts that come in: what is read out of them, and what is refused.

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{AddArtifactError, ArtifactError, ArtifactInfo, Server, Settings};

use crate::bench::START;

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
    assert_eq!(
        ArtifactInfo::read(&edit(&good, "\"version\":3", "\"version\":2")),
        Err(ArtifactError::Version)
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
