//! The limits: what is refused, by which name, and that the work buffer they ask for is enough.

use mender::artifact::{Error, Limit, Limits};

use crate::builder::{self, Parts};
use crate::run::{Outcome, parse, parse_with};
use crate::vectors;

/// What the parser says with `limits` and exactly the work buffer that they ask for.
fn within(bytes: &[u8], limits: Limits) -> Outcome {
    parse_with(bytes, &[64], limits, limits.work_len()).0
}

#[test]
fn the_default_limits_give_the_same_result_or_name_a_limit() {
    let (mut same, mut limited) = (0, 0);
    for vector in vectors::all() {
        let bytes = vector.bytes();
        let generous = parse(&bytes, &[512]);
        let outcome = within(&bytes, Limits::DEFAULT);
        match outcome.result {
            Err(Error::Limit { limit, allowed, needed }) if outcome != generous => {
                assert_ne!(limit, Limit::Work, "{}", vector.file);
                assert!(needed > allowed);
                assert_eq!(outcome.payload_bytes, 0);
                limited += 1;
            }
            _ => {
                assert_eq!(outcome, generous, "{}", vector.file);
                same += 1;
            }
        }
    }
    assert!(same > 250 && limited > 5, "{same} the same, {limited} limited");
}

#[test]
fn any_work_buffer_will_do_or_is_named() {
    for file in [
        "ok/files-4.mender",
        "ok/meta-simple.mender",
        "ok/repacked-posix-tar.mender",
    ] {
        let bytes = vectors::bytes(file);
        let expected = within(&bytes, Limits::DEFAULT);
        assert_eq!(expected.result, Ok(()));
        let mut enough = false;
        for work_len in 0..=Limits::DEFAULT.work_len() {
            let (outcome, _) = parse_with(&bytes, &[512], Limits::DEFAULT, work_len);
            match outcome.result {
                Err(Error::Limit { limit, allowed, needed }) => {
                    assert_eq!((limit, allowed), (Limit::Work, work_len as u32));
                    assert!(needed > allowed && !enough);
                }
                _ => {
                    enough = true;
                    assert_eq!(outcome, expected);
                }
            }
        }
        assert!(enough);
    }
}

/// A string of `len` bytes.
fn long(len: usize) -> String {
    "x".repeat(len)
}

/// An artifact that uses every limit to the last byte, in the way that leaves most of it stored.
fn largest(limits: Limits) -> Parts {
    let fill = |start: &str, end: &str, len: u32| {
        (start.to_owned() + &long(len as usize - start.len() - end.len()) + end).into_bytes()
    };
    let mut parts = Parts {
        header_info: fill(
            r#"{"payloads":[{"type":"t"}],"artifact_provides":{"artifact_name":"n"},"artifact_depends":{"device_type":["a",""#,
            r#""]}}"#,
            limits.header_info_len,
        ),
        type_info: fill(
            r#"{"type":"t","artifact_provides":{"a":"b","c":""#,
            r#""},"clears_artifact_provides":["*","a"]}"#,
            limits.type_info_len,
        ),
        meta_data: Some(fill(r#"{"k":""#, r#""}"#, limits.meta_data_len)),
        ..Parts::default()
    };
    // The lines of version and header.tar have 74 and 77 bytes, that of a file 77 and its name.
    let mut left = limits.manifest_len as usize - 74 - 77;
    parts.files.clear();
    while left >= 77 + 3 && parts.files.len() < usize::from(limits.files) {
        let name_len = usize::from(limits.name_len).min(left - 77);
        let number = parts.files.len().to_string();
        parts
            .files
            .push((number.clone() + &long(name_len - number.len()), b"data".to_vec()));
        left -= 77 + name_len;
    }
    parts
}

#[test]
fn the_work_buffer_is_enough_for_the_largest_artifact() {
    for limits in [
        Limits::DEFAULT,
        Limits::GENEROUS,
        Limits {
            extension_len: 1,
            name_len: 90,
            ..Limits::DEFAULT
        },
        Limits {
            manifest_len: 4096,
            meta_data_len: 8,
            ..Limits::DEFAULT
        },
        Limits {
            type_info_len: 2048,
            extension_len: 0,
            ..Limits::DEFAULT
        },
    ] {
        let parts = largest(limits);
        let (outcome, _) = parse_with(&parts.build(), &[64], limits, limits.work_len());
        assert_eq!(outcome.result, Ok(()), "{limits:?}");
        assert_eq!(outcome.files.len(), parts.files.len());
    }
}

#[test]
fn one_more_than_a_limit_is_refused_by_its_name() {
    let bytes = {
        let mut parts = largest(Limits::DEFAULT);
        parts.scripts = vec!["ArtifactInstall_Enter_00".to_owned()];
        parts.meta_data = Some(br#"{"a":[[1]]}"#.to_vec());
        parts.build()
    };
    let d = Limits::DEFAULT;
    for (limits, limit, allowed, needed) in [
        (Limits { version_len: 30, ..d }, Limit::Version, 30, 31),
        (Limits { manifest_len: 400, ..d }, Limit::Manifest, 400, 0),
        (Limits { files: 1, ..d }, Limit::Files, 1, 2),
        (Limits { name_len: 99, ..d }, Limit::Name, 99, 100),
        (
            Limits {
                header_info_len: 1023,
                ..d
            },
            Limit::HeaderInfo,
            1023,
            1024,
        ),
        (Limits { device_types: 1, ..d }, Limit::DeviceTypes, 1, 2),
        (
            Limits {
                type_info_len: 511,
                ..d
            },
            Limit::TypeInfo,
            511,
            512,
        ),
        (Limits { meta_data_len: 10, ..d }, Limit::MetaData, 10, 11),
        (Limits { json_depth: 2, ..d }, Limit::JsonDepth, 2, 3),
    ] {
        let (outcome, _) = parse_with(&bytes, &[512], limits, 4096);
        let Err(Error::Limit {
            limit: found,
            allowed: found_allowed,
            needed: found_needed,
        }) = outcome.result
        else {
            panic!("{limit:?}: {:?}", outcome.result);
        };
        assert_eq!((found, found_allowed), (limit, allowed));
        assert!(needed == 0 || needed == found_needed, "{limit:?}: {found_needed}");
        assert_eq!(outcome.header, None);
    }
    let signed = vectors::bytes("ok/signed-ecdsa.mender");
    let (outcome, _) = parse_with(&signed, &[512], Limits { signature_len: 87, ..d }, 4096);
    let expected = Error::Limit {
        limit: Limit::Signature,
        allowed: 87,
        needed: 88,
    };
    assert_eq!(outcome.result, Err(expected));
    let pax = vectors::bytes("ok/longname-200.mender");
    let (outcome, _) = parse_with(
        &pax,
        &[512],
        Limits {
            name_len: 255,
            extension_len: 100,
            ..d
        },
        4096,
    );
    assert!(matches!(
        outcome.result,
        Err(Error::Limit {
            limit: Limit::Extension,
            allowed: 100,
            ..
        })
    ));
}

/// What a client lends: 2 KiB, of which it uses 150 bytes for the provides.
const CLIENT_WORK_LEN: usize = 1850;

fn tells(parts: &Parts) -> Outcome {
    let bytes = parts.build();
    let outcome = parse_with(&bytes, &[512], Limits::DEFAULT, CLIENT_WORK_LEN).0;
    assert_eq!(outcome, parse(&bytes, &[512]));
    assert_eq!(outcome.result, Ok(()));
    outcome
}

/// Documents as the real writer makes them for the bundled modules, with a name and a version of 40 bytes.
fn usual(device_types: &[String]) -> Parts {
    let (name, list) = (long(40), device_types.join("\",\""));
    Parts {
        header_info: format!(
            r#"{{"payloads":[{{"type":"single-file"}}],"artifact_provides":{{"artifact_name":"{name}"}},"artifact_depends":{{"device_type":["{list}"]}}}}"#
        )
        .into_bytes(),
        type_info: format!(
            r#"{{"type":"single-file","artifact_provides":{{"rootfs-image.single-file.version":"{name}"}},"clears_artifact_provides":["rootfs-image.single-file.*"]}}"#
        )
        .into_bytes(),
        ..Parts::default()
    }
}

fn files(names: &[&str]) -> Vec<(String, Vec<u8>)> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), b"data".to_vec()))
        .collect()
}

#[test]
fn what_the_bundled_modules_take_fits_by_default_in_a_client() {
    let board = [long(40)];
    let single_file = Parts {
        files: files(&["dest_dir", "filename", "permissions", "existing_files", &long(40)]),
        ..usual(&board)
    };
    assert_eq!(tells(&single_file).files.len(), 5);
    let five_files = Parts {
        files: (0..5).map(|n| (n.to_string() + &long(99), b"data".to_vec())).collect(),
        ..usual(&board)
    };
    assert_eq!(tells(&five_files).files.len(), 5);
    let meta_data = Parts {
        meta_data: Some(format!(r#"{{"k":"{}"}}"#, long(1024 - 8)).into_bytes()),
        ..usual(&board)
    };
    assert_eq!(tells(&meta_data).header.unwrap().meta_data.unwrap().len(), 1024);
    let twelve: Vec<String> = (10..22).map(|n| n.to_string() + &long(38)).collect();
    assert_eq!(tells(&usual(&twelve)).header.unwrap().device_types, twelve);
    let eight_files = Parts {
        files: (0..8).map(|n| (n.to_string() + &long(30), b"data".to_vec())).collect(),
        ..usual(&board)
    };
    assert_eq!(tells(&eight_files).files.len(), 8);
}

/// Lengths are counted in 32 bits.
#[test]
fn artifacts_of_4_gib_are_refused_by_name() {
    let parts = Parts::default();
    let good = parts.build();
    let payload_at = good.len() - 1024 - parts.payload_tar().len() - 512;
    for size in [u32::MAX as usize - 511, 1 << 32, (1 << 33) - 512] {
        let mut bytes = good[..payload_at].to_vec();
        bytes.extend(builder::block("data/0000.tar", size, b'0'));
        bytes.extend(parts.payload_tar());
        let outcome = parse(&bytes, &[512]);
        let Err(Error::Limit { limit, allowed, needed }) = outcome.result else {
            panic!("{size}: {:?}", outcome.result);
        };
        assert_eq!(limit, Limit::Artifact);
        assert!(needed > allowed);
        assert_eq!(outcome.header, None);
    }
    let mut bytes = good[..payload_at].to_vec();
    bytes.extend(builder::block("data/0000.tar", 3 << 30, b'0'));
    bytes.extend(parts.payload_tar());
    assert_ne!(parse(&bytes, &[512]).header, None, "3 GiB are allowed");
}
