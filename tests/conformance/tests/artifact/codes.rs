//! Every cause has its code for ever, and a text.

use std::collections::BTreeSet;

use mender::artifact::{
    Archive, CODES, Checked, Contradiction, Document, Entry, Error, Feature, FileFault, JsonFault, Key, Limit,
    ManifestFault, Misfit, PackedFault, SignatureFault, TarFault, ValueFault,
};
use mender::codes;

fn limit(limit: Limit) -> Error {
    Error::Limit {
        limit,
        allowed: 1,
        needed: 2,
    }
}

fn tar(fault: TarFault) -> Error {
    let archive = Archive::Artifact;
    Error::Tar { archive, fault }
}

fn packed(fault: PackedFault) -> Error {
    let archive = Archive::Payload;
    Error::Packed { archive, fault }
}

fn json(fault: JsonFault) -> Error {
    Error::Json {
        document: Document::TypeInfo,
        fault,
        at: 44,
    }
}

fn value(fault: ValueFault) -> Error {
    Error::Value {
        document: Document::Version,
        key: Key::Format,
        fault,
    }
}

fn manifest(fault: ManifestFault) -> Error {
    // That something is missing is no line's fault.
    let line = match fault {
        ManifestFault::NoVersion | ManifestFault::NoHeader => 0,
        ManifestFault::Digest
        | ManifestFault::Separator
        | ManifestFault::Name
        | ManifestFault::NameTwice
        | ManifestFault::Unterminated
        | ManifestFault::TwoHeaders => 3,
    };
    Error::Manifest { line, fault }
}

/// All causes. Never change a line: devices in the field have these codes.
fn golden() -> Vec<(u16, Error)> {
    vec![
        (100, Error::FormatVersion(4)),
        (101, Error::NotSupported(Feature::Gzip)),
        (102, Error::NotSupported(Feature::Xz)),
        (103, Error::NotSupported(Feature::Zstd)),
        (104, Error::NotSupported(Feature::Augmented)),
        (105, Error::NotSupported(Feature::SeveralPayloads)),
        (110, limit(Limit::Version)),
        (111, limit(Limit::Manifest)),
        (112, limit(Limit::Files)),
        (113, limit(Limit::Name)),
        (114, limit(Limit::Signature)),
        (115, limit(Limit::HeaderInfo)),
        (116, limit(Limit::DeviceTypes)),
        (117, limit(Limit::TypeInfo)),
        (118, limit(Limit::MetaData)),
        (119, limit(Limit::JsonDepth)),
        (120, limit(Limit::Extension)),
        (121, limit(Limit::Work)),
        (122, limit(Limit::Artifact)),
        (123, limit(Limit::Window)),
        (124, limit(Limit::Unpacked)),
        (125, tar(TarFault::HeaderChecksum)),
        (126, tar(TarFault::Magic)),
        (127, tar(TarFault::Size)),
        (128, tar(TarFault::TooLong)),
        (
            129,
            Error::EntryType {
                archive: Archive::Payload,
                flag: b'5',
            },
        ),
        (130, tar(TarFault::PaxRecord)),
        (131, tar(TarFault::Sparse)),
        (132, tar(TarFault::ExtensionTwice)),
        (133, tar(TarFault::ExtensionAlone)),
        (134, tar(TarFault::SizeContradiction)),
        (135, tar(TarFault::LongName)),
        (136, tar(TarFault::SingleZeroBlock)),
        (137, tar(TarFault::NoEndBlocks)),
        (138, tar(TarFault::BytesAfterEnd)),
        (139, tar(TarFault::PartialBlock)),
        (140, packed(PackedFault::Malformed)),
        (141, packed(PackedFault::Checksum)),
        (142, packed(PackedFault::Truncated)),
        (143, packed(PackedFault::Trailing)),
        (
            145,
            Error::Order {
                expected: Entry::Manifest,
                found: Entry::Header,
            },
        ),
        (146, Error::UnknownEntry(Archive::Header)),
        (150, json(JsonFault::Utf8)),
        (151, json(JsonFault::ByteOrderMark)),
        (152, json(JsonFault::NotAnObject)),
        (153, json(JsonFault::Unexpected)),
        (154, json(JsonFault::End)),
        (155, json(JsonFault::Control)),
        (156, json(JsonFault::Escape)),
        (157, json(JsonFault::Number)),
        (158, json(JsonFault::RepeatedKey)),
        (159, json(JsonFault::Trailing)),
        (160, json(JsonFault::UnknownKey)),
        (165, value(ValueFault::Missing)),
        (166, value(ValueFault::WrongType)),
        (167, value(ValueFault::Empty)),
        (168, value(ValueFault::NotAllowed)),
        (170, Error::Contradiction(Contradiction::Type)),
        (171, Error::Contradiction(Contradiction::Key)),
        (172, Error::Contradiction(Contradiction::MetaData)),
        (173, Error::Contradiction(Contradiction::Files)),
        (175, manifest(ManifestFault::Digest)),
        (176, manifest(ManifestFault::Separator)),
        (177, manifest(ManifestFault::Name)),
        (178, manifest(ManifestFault::NameTwice)),
        (179, manifest(ManifestFault::Unterminated)),
        (180, manifest(ManifestFault::TwoHeaders)),
        (181, manifest(ManifestFault::NoVersion)),
        (182, manifest(ManifestFault::NoHeader)),
        (190, Error::Signature(SignatureFault::Base64)),
        (191, Error::Signature(SignatureFault::TooShort)),
        (192, Error::Signature(SignatureFault::Wrong)),
        (193, Error::Signature(SignatureFault::Missing)),
        (195, Error::Checksum(Checked::Version)),
        (196, Error::Checksum(Checked::Header)),
        (197, Error::Checksum(Checked::File)),
        (200, Error::File(FileFault::Name)),
        (201, Error::File(FileFault::NotListed)),
        (202, Error::File(FileFault::Twice)),
        (203, Error::File(FileFault::Missing)),
        (205, Error::Truncated { offset: 7 }),
    ]
}

const MISFITS: [(u16, Misfit<'_>); 3] = [
    (206, Misfit::DeviceType),
    (207, Misfit::NotProvided { key: "k" }),
    (208, Misfit::OtherValue { key: "k" }),
];

/// The names of parts: they have codes too, as a message with codes needs them.
fn names() -> Vec<(u16, &'static str)> {
    vec![
        (Archive::Artifact as u16, "artifact"),
        (Archive::Header as u16, "header.tar"),
        (Archive::Payload as u16, "data/0000.tar"),
        (Entry::Version as u16, "version"),
        (Entry::Manifest as u16, "manifest"),
        (Entry::Signature as u16, "manifest.sig"),
        (Entry::Header as u16, "header.tar"),
        (Entry::Payload as u16, "data/0000.tar"),
        (Entry::HeaderInfo as u16, "header-info"),
        (Entry::Script as u16, "a state script"),
        (Entry::TypeInfo as u16, "headers/0000/type-info"),
        (Entry::MetaData as u16, "headers/0000/meta-data"),
        (Entry::File as u16, "a payload file"),
        (Entry::End as u16, "the end of the archive"),
        (Document::Version as u16, "version"),
        (Document::HeaderInfo as u16, "header-info"),
        (Document::TypeInfo as u16, "type-info"),
        (Document::MetaData as u16, "meta-data"),
        (Key::Format as u16, "format"),
        (Key::Version as u16, "version"),
        (Key::Payloads as u16, "payloads"),
        (Key::Type as u16, "type"),
        (Key::Provides as u16, "artifact_provides"),
        (Key::ArtifactName as u16, "artifact_name"),
        (Key::ArtifactGroup as u16, "artifact_group"),
        (Key::Depends as u16, "artifact_depends"),
        (Key::DeviceType as u16, "device_type"),
        (Key::Clears as u16, "clears_artifact_provides"),
    ]
}

#[test]
fn codes_never_change() {
    for (code, error) in golden() {
        assert_eq!(error.code(), code, "{error:?}");
    }
    for (code, misfit) in MISFITS {
        assert_eq!(misfit.code(), code, "{misfit:?}");
    }
    for (at, (code, name)) in names().into_iter().enumerate() {
        assert_eq!(usize::from(code), 210 + at, "{name}");
    }
}

#[test]
fn every_code_is_one_of_these_and_the_other_way_round() {
    let mut codes: Vec<u16> = golden().iter().map(|(code, _)| *code).collect();
    codes.extend(MISFITS.map(|(code, _)| code));
    codes.extend(names().iter().map(|(code, _)| code));
    let listed: Vec<u16> = CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(listed, codes, "in this order");
    let different: BTreeSet<u16> = listed.iter().copied().collect();
    assert_eq!(different.len(), listed.len(), "each once");
    assert!(listed.iter().all(|code| (100..240).contains(code)));
}

/// Whether a message is the text of a code, with something in the place of each `…`.
fn matches(message: &str, text: &str) -> bool {
    let mut parts = text.split('…');
    let mut rest = message.strip_prefix(parts.next().unwrap());
    for part in parts {
        rest = rest.and_then(|rest| {
            let at = if part.is_empty() { rest.len() } else { rest.find(part)? };
            (at > 0).then(|| &rest[at + part.len()..])
        });
    }
    rest == Some("")
}

#[test]
fn every_error_describes_itself_with_the_text_of_its_code() {
    let errors = golden().into_iter().map(|(code, error)| (code, error.to_string()));
    let misfits = MISFITS.map(|(code, misfit)| (code, misfit.to_string()));
    for (code, message) in errors.chain(misfits) {
        let text = codes::text(code).unwrap();
        assert!(matches(&message, text), "E{code}: {message}");
        assert!(!message.contains('…'), "E{code}: {message}");
    }
    for (code, name) in names() {
        assert_eq!(codes::text(code), Some(name));
    }
}

/// Wording and order of what messages add.
#[test]
fn messages() {
    for (error, message) in [
        (
            limit(Limit::Work),
            "limit exceeded: bytes of the work buffer: 1 allowed, 2 needed",
        ),
        (
            json(JsonFault::RepeatedKey),
            "type-info: a key occurs twice (at byte 44)",
        ),
        (value(ValueFault::Missing), "version: \"format\" is missing"),
        (
            manifest(ManifestFault::Name),
            "manifest, line 3: a name that the format does not allow",
        ),
        (tar(TarFault::Size), "artifact: a malformed size in a tar header"),
        (
            Error::EntryType {
                archive: Archive::Payload,
                flag: 0xff,
            },
            "data/0000.tar: only regular files are allowed, found tar type '?'",
        ),
        (
            Error::Order {
                expected: Entry::Manifest,
                found: Entry::Header,
            },
            "expected manifest, found header.tar",
        ),
        (
            Error::FormatVersion(4),
            "not supported: artifact format version 4 (only 3 is)",
        ),
    ] {
        assert_eq!(error.to_string(), message);
    }
    let misfit = Misfit::NotProvided { key: "k" };
    assert_eq!(
        misfit.to_string(),
        "the artifact depends on \"k\", which is not provided"
    );
}
