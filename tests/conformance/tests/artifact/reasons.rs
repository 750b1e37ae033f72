//! The message of a refusal names the reason.

use crate::builder::{self, Parts};
use crate::run::parse;
use crate::vectors;

#[test]
fn the_message_names_the_reason() {
    let table = [
        (
            "payload-bit-flip",
            "the SHA-256 of a payload file is not the one in the manifest",
        ),
        ("header-bit-flip", "SHA-256 of header.tar"),
        ("manifest-header-sum-wrong", "SHA-256 of header.tar"),
        ("manifest-version-sum-wrong", "SHA-256 of version"),
        ("manifest-missing", "expected manifest, found header.tar"),
        ("manifest-empty", "version is not listed"),
        ("manifest-lists-absent-file", "a file of the manifest is missing"),
        ("manifest-lists-absent-header", "two headers are listed"),
        ("manifest-without-version", "version is not listed"),
        ("manifest-without-header", "header.tar is not listed"),
        ("manifest-without-payload", "payload file: not listed in the manifest"),
        ("manifest-duplicate-same-sum", "a name occurs twice"),
        ("manifest-single-space", "two blanks must separate"),
        ("manifest-short-sum", "64 lower-case hex digits"),
        ("manifest-long-sum", "64 lower-case hex digits"),
        (
            "manifest-uppercase-sum",
            "line 1: a checksum must be 64 lower-case hex digits",
        ),
        ("manifest-nonhex-sum", "64 lower-case hex digits"),
        ("manifest-index-0001", "a name that the format does not allow"),
        ("manifest-nul-byte", "a name that the format does not allow"),
        ("payload-file-not-listed-last", "not listed in the manifest"),
        ("order-data-before-header", "expected header.tar, found data/0000.tar"),
        ("order-manifest-before-version", "expected version, found manifest"),
        ("missing-header", "expected header.tar, found data/0000.tar"),
        ("missing-data", "expected data/0000.tar, found the end of the archive"),
        ("duplicate-version", "expected manifest, found version"),
        ("duplicate-data", "expected the end of the archive, found data/0000.tar"),
        ("unknown-entry-first", "an entry that the format does not know"),
        ("unknown-data-0001", "an entry that the format does not know"),
        ("dot-slash-names", "an entry that the format does not know"),
        (
            "header-as-symlink",
            "only regular files are allowed, found tar type '2'",
        ),
        ("version-4", "not supported: artifact format version 4"),
        ("version-2-artifact", "not supported: artifact format version 2"),
        ("version-string", "\"version\" has a value of the wrong type"),
        (
            "version-float",
            "\"version\" has a value that the format does not allow",
        ),
        ("format-wrong", "\"format\" has a value that the format does not allow"),
        ("format-missing", "version: \"format\" is missing"),
        ("version-not-json", "version: not a JSON object"),
        (
            "version-oversized",
            "limit exceeded: bytes of version (version_len): 256 allowed",
        ),
        ("trunc-empty", "ends early, after 0 bytes"),
        ("trunc-last-byte", "ends early, after 9727 bytes"),
        ("name-traversal", "a name that the format does not allow"),
        ("name-dotdot", "a name that the format does not allow"),
        ("type-directory", "found tar type '5'"),
        ("payload-file-twice", "payload file: it occurs twice"),
        ("size-outer-octal-12-digits", "malformed size"),
        ("size-payload-negative", "malformed size"),
        (
            "size-payload-octal-huge",
            "data/0000.tar: an entry is longer than the archive",
        ),
        (
            "tar-checksum-outer-header",
            "artifact: a tar header has a wrong checksum",
        ),
        ("tar-no-magic", "not a ustar header"),
        ("garbage-after-end", "artifact: something else than zeros after the end"),
        (
            "garbage-after-payload-end",
            "data/0000.tar: something else than zeros after the end",
        ),
        (
            "header-tar-too-short",
            "header.tar: an entry is longer than the archive",
        ),
        ("pax-path-traversal", "a name that the format does not allow"),
        ("pax-malformed-length", "a malformed PAX header"),
        ("pax-truncated", "a PAX header or long name without an entry"),
        ("header-info-invalid-json", "header-info: invalid JSON"),
        ("header-info-duplicate-name", "header-info: a key occurs twice"),
        (
            "header-info-huge-device-list",
            "limit exceeded: device types (device_types): 200 allowed",
        ),
        ("header-info-unknown-key", "header-info: unknown key"),
        (
            "header-info-payload-type-empty",
            "header-info: \"type\" must not be empty",
        ),
        ("header-info-no-provides", "header-info: \"artifact_name\" is missing"),
        (
            "header-info-name-number",
            "\"artifact_name\" has a value of the wrong type",
        ),
        ("header-info-no-depends", "\"device_type\" is missing"),
        (
            "header-info-device-type-empty-list",
            "\"device_type\" must not be empty",
        ),
        ("type-info-missing", "expected headers/0000/type-info, found"),
        ("type-info-mismatch", "the payload type is not the one of header-info"),
        (
            "type-info-depends-number",
            "type-info: \"artifact_depends\" has a value of the wrong type",
        ),
        (
            "type-info-clears-string",
            "\"clears_artifact_provides\" has a value of the wrong type",
        ),
        ("meta-data-array", "meta-data: not a JSON object"),
        (
            "meta-data-deep-nesting-900",
            "limit exceeded: levels of nested JSON (json_depth): 64 allowed",
        ),
        ("meta-data-duplicate-key", "meta-data: a key occurs twice"),
        ("script-after-headers", "found a state script"),
        ("script-traversal", "header.tar: an entry that the format does not know"),
        ("gzip-payload-crc-wrong", "not supported: gzip compression"),
    ];
    for (name, reason) in table {
        let message = parse(&vectors::bytes(&format!("bad/{name}.mender")), &[512])
            .result
            .expect_err(name)
            .to_string();
        assert!(message.contains(reason), "{name}: {message}");
    }
}

fn refused(artifact: &[u8]) -> String {
    parse(artifact, &[512]).result.unwrap_err().to_string()
}

/// What the vectors do not have: faults of the tar archives themselves.
#[test]
fn archives_end_with_two_zero_blocks_and_nothing_else() {
    let parts = Parts::default();
    let (header, payload) = (parts.header_tar(), parts.payload_tar());
    assert_eq!(parse(&parts.build(), &[512]).result, Ok(()));
    let without = |tar: &[u8], len: usize| tar[..tar.len() - len].to_vec();
    let one = parts.build_with(&header, &without(&payload, 512));
    assert_eq!(refused(&one), "data/0000.tar: one zero block instead of two at the end");
    let one = parts.build_with(&without(&header, 512), &payload);
    assert_eq!(refused(&one), "header.tar: one zero block instead of two at the end");
    let none = parts.build_with(&header, &without(&payload, 1024));
    assert_eq!(refused(&none), "data/0000.tar: no zero blocks at the end");
    let partial = parts.build_with(&header, &without(&payload, 1));
    assert_eq!(refused(&partial), "data/0000.tar: its length is no multiple of 512");
    let mut garbage = header.clone();
    garbage.extend([1; 512]);
    let garbage = parts.build_with(&garbage, &payload);
    assert_eq!(refused(&garbage), "header.tar: something else than zeros after the end");
    let mut zeros = (header.clone(), payload.clone());
    zeros.0.extend([0; 2048]);
    zeros.1.extend([0; 512]);
    let mut longer = parts.build_with(&zeros.0, &zeros.1);
    longer.extend([0; 777]);
    assert_eq!(parse(&longer, &[512]).result, Ok(()));
    let mut between = payload.clone();
    let at = between.len() - 512;
    between[at + 511] = 1;
    let between = parts.build_with(&header, &between);
    assert_eq!(
        refused(&between),
        "data/0000.tar: one zero block instead of two at the end"
    );
}

/// A payload archive with `extension` records or names in front of its file.
fn extended(entries: &[(u8, &[u8])], name: &str, size: usize) -> String {
    let parts = Parts::default();
    let mut payload = Vec::new();
    for (typeflag, data) in entries {
        payload.extend(builder::block("extension", data.len(), *typeflag));
        payload.extend(*data);
        payload.resize(payload.len().next_multiple_of(512), 0);
    }
    payload.extend(builder::block(name, size, b'0'));
    payload.extend(b"payload");
    payload.resize(payload.len().next_multiple_of(512), 0);
    builder::end(&mut payload);
    match parse(&parts.build_with(&parts.header_tar(), &payload), &[512]).result {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn pax_headers_and_long_names() {
    assert_eq!(extended(&[], "f", 7), "ok");
    assert_eq!(extended(&[(b'x', b"10 path=f\n")], "other/name", 7), "ok");
    assert_eq!(extended(&[(b'L', b"f\0")], "other/name", 7), "ok");
    assert_eq!(extended(&[(b'x', b"10 size=7\n")], "f", 7), "ok");
    assert_eq!(extended(&[(b'x', b"")], "f", 7), "ok");
    assert_eq!(extended(&[(b'L', b"f\0"), (b'x', b"15 uid=3000000\n")], "f", 7), "ok");
    assert_eq!(
        extended(&[(b'x', b"10 path=g\n")], "f", 7),
        "payload file: not listed in the manifest"
    );
    let contradiction = "data/0000.tar: the PAX header contradicts the size of the entry";
    assert_eq!(extended(&[(b'x', b"10 size=8\n")], "f", 7), contradiction);
    assert_eq!(extended(&[(b'x', b"10 size=7\n")], "f", 0), contradiction);
    let too_long = "data/0000.tar: an entry is longer than the archive";
    assert_eq!(extended(&[(b'x', b"19 size=8589934592\n")], "f", 0), too_long);
    assert_eq!(extended(&[(b'x', b"29 size=18446744073709551615\n")], "f", 0), too_long);
    let twice = "data/0000.tar: a PAX header or long name occurs twice for one entry";
    assert_eq!(extended(&[(b'x', b""), (b'x', b"")], "f", 7), twice);
    assert_eq!(extended(&[(b'L', b"f\0"), (b'L', b"f\0")], "f", 7), twice);
    assert_eq!(extended(&[(b'L', b"f\0"), (b'x', b"10 path=f\n")], "f", 7), twice);
    assert_eq!(
        extended(&[(b'g', b"10 path=f\n")], "f", 7),
        "data/0000.tar: only regular files are allowed, found tar type 'g'"
    );
    assert_eq!(
        extended(&[(b'x', b"22 GNU.sparse.major=1\n")], "f", 7),
        "data/0000.tar: a PAX header for a sparse file"
    );
    assert_eq!(
        extended(&[(b'L', b"f")], "f", 7),
        "data/0000.tar: a malformed GNU long name"
    );
}
