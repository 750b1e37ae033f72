//! Compresses an artifact anew, and signs it.
//!
//! The manifest has the checksum of the header as it is stored, and those of the payload's files as they are without
//! compression. So the payload can be compressed anew without touching manifest and signature; the header cannot.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use mender_testkit::server::{ArtifactError, ArtifactInfo};
use sha2::{Digest, Sha256};

use crate::compression::{Compression, PackError, decompress};
use crate::key::{Key, KeyError};
use crate::outer::{Outer, OuterError};

/// Why an artifact cannot be compressed anew or signed.
#[derive(Clone, Debug, PartialEq)]
pub enum RepackError {
    /// It is no artifact.
    Outer(OuterError),
    /// An entry cannot be read.
    Pack(PackError),
    /// The header's checksum is not the one in the manifest.
    Checksum,
    /// The header must be compressed anew, and the artifact is signed.
    Signed,
    /// The key does not sign.
    Key(KeyError),
    /// What was made of it is no good artifact: it was none before.
    Artifact(ArtifactError),
}

impl fmt::Display for RepackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RepackError::Outer(error) => error.fmt(f),
            RepackError::Pack(error) => error.fmt(f),
            RepackError::Checksum => f.write_str("the header's checksum is not the one in the manifest"),
            RepackError::Signed => f.write_str(
                "it is signed, and its header must be compressed anew, too: sign it again with --key, or choose a longer window",
            ),
            RepackError::Key(error) => error.fmt(f),
            RepackError::Artifact(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RepackError {}

impl From<OuterError> for RepackError {
    fn from(error: OuterError) -> Self {
        RepackError::Outer(error)
    }
}

impl From<PackError> for RepackError {
    fn from(error: PackError) -> Self {
        RepackError::Pack(error)
    }
}

/// An artifact that was compressed anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Repacked {
    /// Its bytes.
    pub artifact: Vec<u8>,
    /// What is in it, as the server reads it.
    pub info: ArtifactInfo,
    /// The window that a device must lend, in bytes; 0 without compression.
    pub window_len: usize,
}

/// The artifact, compressed for devices that lend a window of a given length, or not at all; signed if there is a key.
///
/// The header is left as it is if such a device can read it.
///
/// # Errors
///
/// See [`RepackError`].
pub fn repack(artifact: &[u8], compression: Compression, key: Option<&Key>) -> Result<Repacked, RepackError> {
    let mut outer = Outer::read(artifact)?;

    let (name, header) = outer.get("header.tar")?;
    let plain = decompress(name, header)?;
    let mut window_len = 0;
    if compression.reads(name, plain.len()) {
        if name.ends_with(".gz") {
            window_len = plain.len();
        }
    } else {
        if outer.has("manifest.sig") && key.is_none() {
            return Err(RepackError::Signed);
        }
        let new_name = format!("header.tar{}", compression.suffix());
        let packed = compression.compress(&plain)?;
        let (_, manifest) = outer.get("manifest")?;
        let line = |name: &str, content: &[u8]| format!("{}  {name}\n", hex(&Sha256::digest(content)));
        let (old, new) = (line(name, header), line(&new_name, &packed));
        let manifest = String::from_utf8_lossy(manifest).into_owned();
        if !manifest.contains(&old) {
            return Err(RepackError::Checksum);
        }
        outer.replace("manifest", "manifest", manifest.replace(&old, &new).into_bytes());
        outer.replace("header.tar", &new_name, packed);
        window_len = window(compression, plain.len());
    }

    if outer.has("data/0000.tar") {
        let (name, data) = outer.get("data/0000.tar")?;
        let plain = decompress(name, data)?;
        let packed = compression.compress(&plain)?;
        window_len = window_len.max(window(compression, plain.len()));
        outer.replace(
            "data/0000.tar",
            &format!("data/0000.tar{}", compression.suffix()),
            packed,
        );
    }
    if let Some(key) = key {
        add_signature(&mut outer, key)?;
    }
    finish(&outer, window_len)
}

/// The artifact with a signature, in the place of one that it has.
///
/// # Errors
///
/// See [`RepackError`].
pub fn sign(artifact: &[u8], key: &Key) -> Result<Vec<u8>, RepackError> {
    let mut outer = Outer::read(artifact)?;
    add_signature(&mut outer, key)?;
    Ok(outer.write())
}

/// What a device must lend to read that many bytes.
fn window(compression: Compression, plain_len: usize) -> usize {
    match compression {
        Compression::None => 0,
        Compression::Gzip(window) => plain_len.min(window.bytes()),
    }
}

fn add_signature(outer: &mut Outer, key: &Key) -> Result<(), RepackError> {
    let (_, manifest) = outer.get("manifest")?;
    let signature = key.sign(manifest).map_err(RepackError::Key)?;
    outer.put_behind("manifest", "manifest.sig", BASE64.encode(signature).into_bytes());
    Ok(())
}

/// Nothing leaves this program that the server would not take.
fn finish(outer: &Outer, window_len: usize) -> Result<Repacked, RepackError> {
    let artifact = outer.write();
    let info = ArtifactInfo::read(&artifact).map_err(RepackError::Artifact)?;
    Ok(Repacked {
        artifact,
        info,
        window_len,
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
