//! The vectors and what their `MANIFEST.json` says.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Manifest {
    entries: Vec<Vector>,
}

/// One artifact and what is expected of a reader.
#[derive(Deserialize)]
pub struct Vector {
    pub file: String,
    pub size: usize,
    pub expectation: Expectation,
    #[serde(default)]
    pub requires: Vec<String>,
    pub reject_by: Option<RejectBy>,
    pub max_payload_bytes: Option<usize>,
    pub verify_key: Option<String>,
    pub signed_by: Option<String>,
    pub artifact_name: Option<String>,
    pub payload_type: Option<String>,
    #[serde(default)]
    pub files: Vec<File>,
    pub header_info: Option<Value>,
    pub type_info: Option<Value>,
    pub meta_data: Option<Value>,
    #[serde(default)]
    pub scripts: Vec<Value>,
    pub manifest_sha256: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    Accept,
    Reject,
}

/// The latest point where a fault must be known.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum RejectBy {
    Version,
    Manifest,
    Signature,
    Header,
    Payload,
    End,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct File {
    pub name: String,
    pub size: u64,
    pub sha256: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors/artifacts")
}

/// All vectors. Their number is checked, so that none gets lost.
pub fn all() -> Vec<Vector> {
    let text = std::fs::read_to_string(folder().join("MANIFEST.json")).unwrap();
    let vectors = serde_json::from_str::<Manifest>(&text).unwrap().entries;
    assert_eq!(vectors.len(), 277);
    vectors
}

/// The bytes of a vector, such as `ok/none-1b.mender`.
pub fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap()
}

impl Vector {
    pub fn bytes(&self) -> Vec<u8> {
        let bytes = bytes(&self.file);
        assert_eq!(bytes.len(), self.size);
        bytes
    }

    /// A feature that the parser does not have, and what its message must contain.
    pub fn unsupported(&self) -> Option<&'static str> {
        let mut known = self.requires.iter().filter_map(|feature| match feature.as_str() {
            "augment" => Some("augmented"),
            "gzip" => Some("gzip compression"),
            "xz" => Some("xz compression"),
            "zstd" => Some("zstd compression"),
            "pax"
            | "ustar-prefix"
            | "gnu-magic"
            | "gnu-longname"
            | "long-manifest-name"
            | "multi-file"
            | "no-payload-files"
            | "null-payload"
            | "scripts"
            | "type-info-depends-list" => None,
            // Signatures count only when a key is configured.
            "sig-ecdsa-p256" | "sig-ecdsa-der" | "sig-rsa" => None,
            other => panic!("{}: a feature that the tests do not know: {other}", self.file),
        });
        // Of an augmented and compressed artifact, the compression is what the manifest tells first.
        known.clone().find(|text| text.contains("compression")).or(known.next())
    }
}

/// An entry of the outer tar, found by its headers alone and without any check.
pub struct OuterEntry {
    pub name: String,
    pub end: usize,
}

/// The outer entries, and the offset of the first zero block (or of what is left, if it is not a block).
pub fn outer_entries(bytes: &[u8]) -> (Vec<OuterEntry>, usize) {
    let mut entries = Vec::new();
    let mut at = 0;
    while let Some(block) = bytes.get(at..at + 512)
        && block.iter().any(|byte| *byte != 0)
    {
        let text = |field: &[u8]| String::from_utf8_lossy(field).split('\0').next().unwrap().to_owned();
        let size = usize::from_str_radix(text(&block[124..136]).trim(), 8).unwrap_or(usize::MAX / 2);
        at = (at + 512 + size.next_multiple_of(512)).min(bytes.len());
        if block[156] != b'x' {
            entries.push(OuterEntry {
                name: text(&block[..100]),
                end: at,
            });
        }
    }
    (entries, at)
}
