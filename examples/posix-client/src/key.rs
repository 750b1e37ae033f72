//! Keys from files. The device's private one: PEM of PKCS#8 or SEC1, as openssl and Mender's own tools write it; and the public ones of
//! artifacts, which the library reads itself.

use std::path::{Path, PathBuf};

use mender::api::key::DeviceKey;
use p256::SecretKey;
use p256::pkcs8::DecodePrivateKey as _;
use tool_style::file::unreadable;

/// What makes a right one.
const HOW: &str = "make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out FILE";

/// Reads a private key.
///
/// # Errors
///
/// What is wrong with the file, and what makes a right one.
pub fn read(path: &Path) -> Result<DeviceKey, String> {
    std::fs::read_to_string(path)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => format!("it is no PEM text; {HOW}"),
            std::io::ErrorKind::NotFound => format!("{}; {HOW}", unreadable(&error)),
            _ => unreadable(&error),
        })
        .and_then(|pem| parse(&pem))
        .map_err(|error| format!("the private key {}: {error}", path.display()))
}

/// What is in the files of public keys.
///
/// # Errors
///
/// One cannot be read.
pub fn read_public(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, String> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| format!("the artifact key {}: {}", path.display(), unreadable(&error)))
    };
    paths.iter().map(read).collect()
}

/// Reads the text of a private key's file. Other blocks in front of the key's, such as `EC PARAMETERS`, are skipped.
///
/// # Errors
///
/// What is wrong with it.
fn parse(pem: &str) -> Result<DeviceKey, String> {
    let block = |label: &str| {
        let begin = pem.find(&format!("-----BEGIN {label}-----"))?;
        let end_line = format!("-----END {label}-----");
        let rest = pem.get(begin..)?;
        let len = rest.find(&end_line)? + end_line.len();
        rest.get(..len)
    };
    let curve = |_| format!("it is no key of the curve P-256; {HOW}");
    let secret = if let Some(block) = block("PRIVATE KEY") {
        SecretKey::from_pkcs8_pem(block).map_err(|error| curve(error.to_string()))?
    } else if let Some(block) = block("EC PRIVATE KEY") {
        SecretKey::from_sec1_pem(block).map_err(|error| curve(error.to_string()))?
    } else if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || pem.contains("Proc-Type: 4,ENCRYPTED") {
        return Err("it is encrypted; write it without a passphrase: openssl pkey -in FILE -out OTHER".to_owned());
    } else if pem.contains("-----BEGIN RSA PRIVATE KEY-----") {
        return Err(format!("it is an RSA key; {HOW}"));
    } else {
        return Err(format!("there is no private key in PEM in it; {HOW}"));
    };
    DeviceKey::from_bytes(&secret.to_bytes()).map_err(|error| error.to_string())
}
