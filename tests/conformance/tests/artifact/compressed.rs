//! Compressed artifacts, with memory to unpack them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use mender::artifact::{Archive, Error, Limit, ManifestFault, PackedFault, TarFault};
use mender::unpack::Unpacker;

use crate::accept::check_header;
use crate::builder::{self, Parts};
use crate::reject::deadline;
use crate::run::{Outcome, unpack, unpack_with};
use crate::vectors::{self, Expectation, RejectBy, Vector};

const CHUNKS: [usize; 6] = [1, 7, 511, 512, 4096, usize::MAX];

/// A compression that can be unpacked is needed for it.
fn is_compressed(vector: &Vector) -> bool {
    vector
        .requires
        .iter()
        .any(|feature| matches!(feature.as_str(), "gzip" | "xz" | "zstd"))
}

fn vector(file: &str) -> Vector {
    let mut all = vectors::all().into_iter();
    all.find(|vector| vector.file == file).unwrap()
}

#[test]
fn compressed_artifacts_give_exactly_the_listed_content() {
    let mut count = 0;
    for vector in vectors::all() {
        let is_good = vector.expectation == Expectation::Accept && is_compressed(&vector);
        if !is_good || vector.requires.iter().any(|feature| feature == "augment") {
            continue;
        }
        count += 1;
        let bytes = vector.bytes();
        for chunk in CHUNKS {
            let (outcome, offset) = unpack(&bytes, &[chunk]);
            assert_eq!(outcome.result, Ok(()), "{} in pieces of {chunk}", vector.file);
            assert_eq!(offset, bytes.len() as u64);
            check_header(&vector, outcome.header.as_ref().unwrap());
            assert_eq!(outcome.files, vector.files, "{}", vector.file);
        }
    }
    assert_eq!(count, 9);
}

/// All others give the same as without it.
#[test]
fn memory_to_unpack_changes_nothing_for_what_is_not_compressed() {
    for vector in vectors::all() {
        if !is_compressed(&vector) {
            let bytes = vector.bytes();
            assert_eq!(
                unpack(&bytes, &[512]).0,
                crate::run::parse(&bytes, &[512]),
                "{}",
                vector.file
            );
        }
    }
}

#[test]
fn an_augmented_one_is_refused_by_name() {
    let (outcome, _) = unpack(&vector("ok/augmented-gzip.mender").bytes(), &[512]);
    let message = outcome.result.unwrap_err().to_string();
    assert_eq!(
        (message.as_str(), outcome.header),
        ("not supported: augmented artifacts", None)
    );
}

#[test]
fn malformed_compressed_artifacts_are_refused_in_time() {
    let expected = [
        (
            "bad/gzip-header-not-gzip.mender",
            packed_fault(Archive::Header, PackedFault::Malformed),
        ),
        (
            "bad/gzip-header-truncated.mender",
            packed_fault(Archive::Header, PackedFault::Truncated),
        ),
        (
            "bad/xz-header-corrupt.mender",
            packed_fault(Archive::Header, PackedFault::Malformed),
        ),
        (
            "bad/zstd-header-corrupt.mender",
            packed_fault(Archive::Header, PackedFault::Malformed),
        ),
        (
            "bad/gzip-payload-crc-wrong.mender",
            packed_fault(Archive::Payload, PackedFault::Checksum),
        ),
    ];
    let mut found = Vec::new();
    for vector in vectors::all() {
        if vector.expectation != Expectation::Reject || !is_compressed(&vector) {
            continue;
        }
        let bytes = vector.bytes();
        let (outcome, offset) = unpack(&bytes, &[1]);
        assert!(
            offset <= deadline(&vector, &bytes) as u64,
            "{} at {offset}",
            vector.file
        );
        assert!(
            outcome.payload_bytes <= vector.max_payload_bytes.unwrap(),
            "{}",
            vector.file
        );
        assert_eq!(
            outcome.header.is_none(),
            vector.reject_by == Some(RejectBy::Header),
            "{}",
            vector.file
        );
        for chunk in CHUNKS {
            assert_eq!(
                unpack(&bytes, &[chunk]).0,
                outcome,
                "{} in pieces of {chunk}",
                vector.file
            );
        }
        found.push((vector.file, outcome.result));
    }
    let expected = expected.map(|(file, error)| (file.to_owned(), Err(error)));
    assert_eq!(found, expected);
}

fn packed_fault(archive: Archive, fault: PackedFault) -> Error {
    Error::Packed { archive, fault }
}

/// The artifacts of the real tool, cut anywhere.
#[test]
fn every_truncation_is_refused() {
    for (file, step) in [
        ("ok/gzip.mender", 3),
        ("ok/bootstrap-null-gzip.mender", 3),
        ("ok/edit-mixed-header-gzip.mender", 3),
        ("ok/lzma.mender", 61),
        ("ok/zstd-best.mender", 17),
    ] {
        let bytes = vectors::bytes(file);
        let complete = vectors::outer_entries(&bytes).1 + 1024;
        for at in (0..complete).step_by(step) {
            let (outcome, _) = unpack(&bytes[..at], &[512]);
            let offset = at as u32;
            assert_eq!(outcome.result, Err(Error::Truncated { offset }), "{file} cut at {at}");
        }
    }
}

/// Whatever byte of a compressed payload is another one: refused, or the same comes out.
#[test]
fn damaged_payloads_are_never_something_else() {
    for (file, step) in [
        ("ok/gzip.mender", 7),
        ("ok/lzma.mender", 101),
        ("ok/zstd-best.mender", 19),
    ] {
        let bytes = vectors::bytes(file);
        let (good, _) = unpack(&bytes, &[512]);
        let (entries, _) = vectors::outer_entries(&bytes);
        let payload = entries[2].end + 512..entries[3].end;
        let mut refused = 0;
        for at in payload.step_by(step) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            let (outcome, _) = unpack(&bytes, &[4096]);
            assert!(outcome.payload_bytes <= good.payload_bytes, "{file}: {at}");
            match outcome.result {
                Ok(()) => assert_eq!(outcome, good, "{file}: {at}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 50, "{file}: {refused}");
    }
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// An artifact with inner archives of these names and bytes; `listed` is the header's name in the manifest.
fn build_packed(parts: &Parts, listed: &str, header: (&str, &[u8]), payload: (&str, &[u8])) -> Vec<u8> {
    let manifest = parts
        .manifest(header.1)
        .replace("  header.tar\n", &format!("  {listed}\n"));
    let mut artifact = Vec::new();
    builder::entry(&mut artifact, "version", &parts.version);
    builder::entry(&mut artifact, "manifest", manifest.as_bytes());
    builder::entry(&mut artifact, header.0, header.1);
    builder::entry(&mut artifact, payload.0, payload.1);
    builder::end(&mut artifact);
    artifact
}

/// An artifact of these archives, both compressed.
fn build(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let (header, payload) = (("header.tar.gz", header), ("data/0000.tar.gz", payload));
    build_packed(&Parts::default(), "header.tar.gz", header, payload)
}

/// What it comes to, in any pieces.
fn outcome(artifact: &[u8]) -> Outcome {
    let (outcome, _) = unpack(artifact, &[usize::MAX]);
    for chunk in [1, 13, 512] {
        assert_eq!(unpack(artifact, &[chunk]).0, outcome, "in pieces of {chunk}");
    }
    outcome
}

fn tar(archive: Archive, fault: TarFault) -> Error {
    Error::Tar { archive, fault }
}

#[test]
fn the_manifest_lists_the_header_by_its_full_name() {
    let parts = Parts::default();
    let (header, payload) = (parts.header_tar(), parts.payload_tar());
    let (gz_header, gz_payload) = (gzip(&header), gzip(&payload));
    let plain = ("header.tar", &header[..]);
    let packed = ("header.tar.gz", &gz_header[..]);
    let good_payload = ("data/0000.tar.gz", &gz_payload[..]);
    let no_header = Err(Error::Manifest {
        line: 0,
        fault: ManifestFault::NoHeader,
    });
    for (listed, header, result) in [
        ("header.tar", plain, Ok(())),
        ("header.tar.gz", packed, Ok(())),
        ("header.tar", packed, no_header),
        ("header.tar.gz", plain, no_header),
    ] {
        assert_eq!(
            outcome(&build_packed(&parts, listed, header, good_payload)).result,
            result,
            "{listed}"
        );
    }
}

/// An inner archive must end as one that is not compressed, and the compressed data with it.
#[test]
fn ends_of_compressed_archives() {
    let parts = Parts::default();
    for archive in [Archive::Header, Archive::Payload] {
        let whole = if archive == Archive::Header {
            parts.header_tar()
        } else {
            parts.payload_tar()
        };
        let built = |packed: &[u8]| {
            if archive == Archive::Header {
                outcome(&build(packed, &gzip(&parts.payload_tar())))
            } else {
                outcome(&build(&gzip(&parts.header_tar()), packed))
            }
        };
        let cut = |len: usize| gzip(&whole[..whole.len() - len]);
        let longer = |len: usize| gzip(&[&whole[..], &vec![0; len]].concat());
        let packed_len = gzip(&whole).len();
        for (what, packed, result) in [
            ("as it is", gzip(&whole), Ok(())),
            ("zeros of a record of tar", longer(10_240), Ok(())),
            ("one end block", cut(512), Err(tar(archive, TarFault::SingleZeroBlock))),
            (
                "half of an end block",
                cut(200),
                Err(tar(archive, TarFault::SingleZeroBlock)),
            ),
            ("half of the first", cut(700), Err(tar(archive, TarFault::PartialBlock))),
            ("none", cut(1024), Err(tar(archive, TarFault::NoEndBlocks))),
            (
                "half of an entry",
                cut(1024 + 511),
                Err(tar(archive, TarFault::TooLong)),
            ),
            ("half of padding", cut(1024 + 1), Err(tar(archive, TarFault::TooLong))),
            (
                "half of a block of zeros",
                longer(7),
                Err(tar(archive, TarFault::PartialBlock)),
            ),
            (
                "something behind the end",
                gzip(&[&whole[..], b"a"].concat()),
                Err(tar(archive, TarFault::BytesAfterEnd)),
            ),
            (
                "nothing",
                Vec::new(),
                Err(packed_fault(archive, PackedFault::Truncated)),
            ),
            (
                "nothing, compressed",
                gzip(b""),
                Err(tar(archive, TarFault::NoEndBlocks)),
            ),
            (
                "the last byte missing",
                gzip(&whole)[..packed_len - 1].to_vec(),
                Err(packed_fault(archive, PackedFault::Truncated)),
            ),
            (
                "a byte behind the compressed data",
                [&gzip(&whole)[..], b"\0"].concat(),
                Err(packed_fault(archive, PackedFault::Trailing)),
            ),
            (
                "another member behind it",
                gzip(&whole).repeat(2),
                Err(packed_fault(archive, PackedFault::Trailing)),
            ),
        ] {
            let outcome = built(&packed);
            assert_eq!(outcome.result, result, "{archive:?}: {what}");
            assert_eq!(
                outcome.header.is_none(),
                archive == Archive::Header && result.is_err(),
                "{what}"
            );
        }
    }
}

/// Little that becomes much.
#[test]
fn bombs_are_refused() {
    let parts = Parts::default();
    let (header, payload) = (parts.header_tar(), parts.payload_tar());
    let unpacked = |allowed: usize, needed: usize| {
        Err(Error::Limit {
            limit: Limit::Unpacked,
            allowed: allowed as u32,
            needed: needed as u32,
        })
    };

    let zeros = gzip(&vec![0; 40 << 20]);
    let (result, max) = (outcome(&build(&zeros, b"")).result, 1024 + 10_240);
    assert_eq!(
        result,
        Err(Error::Order {
            expected: mender::artifact::Entry::HeaderInfo,
            found: mender::artifact::Entry::End
        })
    );

    let behind = gzip(&[&header[..], &vec![0; 40 << 20]].concat());
    let allowed = header.len() - 1024 + max;
    assert_eq!(outcome(&build(&behind, b"")).result, unpacked(allowed, allowed + 1));
    let behind = gzip(&[&payload[..], &vec![0; 40 << 20]].concat());
    let bomb = outcome(&build(&gzip(&header), &behind));
    let allowed = payload.len() - 1024 + max;
    assert_eq!((bomb.result, bomb.payload_bytes), (unpacked(allowed, allowed + 1), 7));

    // State scripts are skipped, whatever they are.
    let mut scripts = Vec::new();
    builder::entry(&mut scripts, "header-info", &parts.header_info);
    builder::entry(&mut scripts, "scripts/ArtifactInstall_Enter_01", &vec![0; 9 << 20]);
    builder::entry(&mut scripts, "scripts/ArtifactInstall_Leave_01", &vec![0; 9 << 20]);
    let bomb = outcome(&build(&gzip(&scripts), b""));
    assert_eq!(bomb.result, unpacked(16 << 20, 2048 + (18 << 20)));
    assert_eq!(bomb.header, None);
}

#[test]
fn a_window_that_is_too_short_is_refused_with_the_length_it_takes() {
    // No three bytes are there twice, but for the piece that is repeated.
    let noise: Vec<u8> = (0..6000_u16)
        .flat_map(|at| [0x80 | (at >> 7) as u8, (at & 0x7f) as u8])
        .collect();
    let parts = Parts {
        files: vec![("f".to_owned(), [&noise[..], &noise[..100]].concat())],
        ..Parts::default()
    };
    let (header, payload) = (gzip(&parts.header_tar()), gzip(&parts.payload_tar()));
    let artifact = build_packed(
        &parts,
        "header.tar.gz",
        ("header.tar.gz", &header),
        ("data/0000.tar.gz", &payload),
    );
    for chunk in CHUNKS {
        let parse = |unpacker: &mut Unpacker| unpack_with(&artifact, &[chunk], unpacker).0;
        let short = parse(&mut Unpacker::<[u8; 4096]>::new());
        assert!(short.header.is_some());
        let limit = Limit::Window;
        let error = Error::Limit {
            limit,
            allowed: 4096,
            needed: 16384,
        };
        assert_eq!(short.result, Err(error));
        assert!(
            error.to_string().ends_with("(WINDOW): 4096 allowed, 16384 needed"),
            "{error}"
        );
        let shortest = parse(&mut Unpacker::<[u8; 300]>::new());
        assert!(matches!(shortest.result, Err(Error::Limit { allowed: 300, .. })));
        assert_eq!((shortest.header, shortest.payload_bytes), (None, 0));
        assert_eq!(parse(&mut Unpacker::<[u8; 16384]>::new()).result, Ok(()));
        let none = parse(&mut Unpacker::<[u8; 0]>::new());
        assert!(
            none.result
                .unwrap_err()
                .to_string()
                .starts_with("not supported: gzip compression")
        );
        assert_eq!((none.header, none.payload_bytes), (None, 0));
    }
}

/// zstd and xz that want more memory than any artifact of the real tool.
#[test]
fn memory_of_hosts_is_bounded() {
    let parts = Parts::default();
    let header = parts.header_tar();
    // A frame's head: no checksum, a window of 16 MiB.
    let zstd = b"\x28\xb5\x2f\xfd\x00\x70";
    // A stream's head with CRC-32, and a block's with a dictionary of 128 MiB.
    let xz = b"\xfd7zXZ\0\0\x01\x69\x22\xde\x36\x02\0\x21\x01\x1e\0\0\0";
    let mut crc = flate2::Crc::new();
    crc.update(&xz[12..]);
    let xz = [&xz[..], &crc.sum().to_le_bytes()].concat();
    for (name, packed, allowed, least) in [
        ("data/0000.tar.zst", &zstd[..], 8 << 20, 16 << 20),
        ("data/0000.tar.xz", &xz[..], 66 << 20, 128 << 20),
    ] {
        let artifact = build_packed(&parts, "header.tar", ("header.tar", &header), (name, packed));
        for chunk in [1, usize::MAX] {
            match unpack(&artifact, &[chunk]).0.result {
                Err(Error::Limit {
                    limit: Limit::Window,
                    allowed: found,
                    needed,
                }) => assert!(found == allowed && needed >= least, "{name}: {found}, {needed}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

/// Blocks and windows of zstd, many of them, in any pieces.
#[test]
fn long_files_in_zstd() {
    let mut number = 1_u32;
    let content: Vec<u8> = (0..20 << 20)
        .map(|at: u32| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Some of it by chance, some of it the same again and again.
            if at >> 16 & 1 == 0 {
                (number >> 24) as u8
            } else {
                (at % 1000) as u8
            }
        })
        .collect();
    let parts = Parts {
        files: vec![("f".to_owned(), content)],
        ..Parts::default()
    };
    let header = parts.header_tar();
    let payload =
        ruzstd::encoding::compress_to_vec(&parts.payload_tar()[..], ruzstd::encoding::CompressionLevel::Fastest);
    let built = |payload: &[u8]| {
        build_packed(
            &parts,
            "header.tar",
            ("header.tar", &header),
            ("data/0000.tar.zst", payload),
        )
    };
    let artifact = built(&payload);
    for chunk in [777, 1 << 16, usize::MAX] {
        let (outcome, offset) = unpack(&artifact, &[chunk]);
        assert_eq!((outcome.result, offset), (Ok(()), artifact.len() as u64));
        assert_eq!(outcome.payload_bytes, 20 << 20);
    }
    let trailing = [&payload[..], b"\0"].concat();
    let fault = PackedFault::Trailing;
    assert_eq!(
        unpack(&built(&trailing), &[512]).0.result,
        Err(packed_fault(Archive::Payload, fault))
    );
}
