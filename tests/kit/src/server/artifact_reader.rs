//! Reads an uploaded artifact: independent of the client's parser and of this kit's writer, so that an error of one is
//! not hidden by the same error of the other.
//!
//! Rules: spec of the artifact format, sections 1, 4, 6 and 9. Versions 2 and 3; uncompressed, gzip and xz. zstd is refused
//! with a text that says so.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::ids::hex;
use super::json;

/// One file of an artifact's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactFile {
    /// Its name.
    pub name: String,
    /// SHA-256 in lower-case hexadecimal.
    pub checksum: String,
    /// Its length in bytes.
    pub len: u64,
    /// Time of last change, in seconds since 1970.
    pub modified_unix_secs: u64,
}

/// What an artifact says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ArtifactInfo {
    /// Version of the format: 2 or 3.
    pub version: u8,
    /// `artifact_name`.
    pub name: String,
    /// `artifact_group`.
    pub group: Option<String>,
    /// The device types it is for.
    pub device_types: Vec<String>,
    /// Its payload type; `None` for the empty payload.
    pub payload_type: Option<String>,
    /// All provides, `artifact_name` and `artifact_group` included; none in version 2.
    pub provides: BTreeMap<String, String>,
    /// All depends, `device_type` included; any of the values will do.
    pub depends: BTreeMap<String, Vec<String>>,
    /// `clears_artifact_provides`.
    pub clears: Vec<String>,
    /// The meta-data, when there are any.
    pub meta_data: Option<Map<String, Value>>,
    /// The files of the payload in their order.
    pub files: Vec<ArtifactFile>,
    /// Whether it is signed. The server does not check signatures.
    pub signed: bool,
    /// Length of the whole artifact in bytes.
    pub len: u64,
}

/// Why a file is not an artifact that this server takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactError {
    /// The tar structure is broken.
    Tar(String),
    /// An entry is missing, repeated or out of order.
    Entry {
        /// What should have come.
        expected: &'static str,
        /// The name that came; `None` at the end of the file.
        found: Option<String>,
    },
    /// `version` is not format `mender`, version 2 or 3.
    Version,
    /// The manifest is malformed, or a name stands in it twice.
    Manifest(String),
    /// A checksum of the manifest is not that of the content.
    Checksum(String),
    /// A file is not in the manifest, or one of the manifest did not come.
    Unlisted(String),
    /// JSON of the header is malformed.
    Header(String),
    /// A compression that this test server cannot read.
    Compression(String),
    /// A part of the format that this test server does not know.
    Unsupported(&'static str),
}

impl fmt::Display for ArtifactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tar(why) => write!(f, "reading the tar archive failed: {why}"),
            Self::Entry {
                expected,
                found: Some(found),
            } => write!(f, "expected {expected}, found `{found}`"),
            Self::Entry { expected, found: None } => write!(f, "expected {expected}, found the end of the file"),
            Self::Version => write!(f, "the version file does not say format `mender`, version 2 or 3"),
            Self::Manifest(why) => write!(f, "the manifest is malformed: {why}"),
            Self::Checksum(name) => write!(f, "the checksum of `{name}` is not the one in the manifest"),
            Self::Unlisted(name) => write!(f, "`{name}` is in the manifest but not in the artifact, or the reverse"),
            Self::Header(why) => write!(f, "the header is malformed: {why}"),
            Self::Compression(name) => {
                write!(
                    f,
                    "`{name}`: this test server reads gzip and xz; write the artifact with --compression none, gzip or lzma"
                )
            }
            Self::Unsupported(what) => write!(f, "this test server does not read {what}"),
        }
    }
}

impl std::error::Error for ArtifactError {}

struct Entry {
    name: String,
    content: Vec<u8>,
    modified_unix_secs: u64,
}

fn read_tar(bytes: &[u8]) -> Result<Vec<Entry>, ArtifactError> {
    // Of what is no archive the crate quotes the bytes that it took for a number.
    let tar_error = |error: std::io::Error| match error.to_string() {
        text if text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) => ArtifactError::Tar(text),
        _ => ArtifactError::Tar("it is not one, or damaged".to_owned()),
    };
    let mut archive = tar::Archive::new(bytes);
    let mut entries = Vec::new();
    for entry in archive.entries().map_err(tar_error)? {
        let mut entry = entry.map_err(tar_error)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !entry.header().entry_type().is_file() {
            return Err(ArtifactError::Tar(format!(
                "`{}` is not a regular file",
                name.escape_debug()
            )));
        }
        let is_empty = entry
            .header()
            .as_old()
            .mtime
            .iter()
            .all(|byte| matches!(byte, 0 | b' '));
        let modified_unix_secs = if is_empty {
            0
        } else {
            entry.header().mtime().map_err(tar_error)?
        };
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(tar_error)?;
        entries.push(Entry {
            name,
            content,
            modified_unix_secs,
        });
    }
    Ok(entries)
}

/// Content of `base`, `base.gz`, ...: what it is called and what is in it, decompressed.
fn unpack(entry: &Entry, base: &str) -> Result<Vec<u8>, ArtifactError> {
    let mut content = Vec::new();
    let packed = entry.content.as_slice();
    let read = match entry.name.strip_prefix(base) {
        Some("") => return Ok(entry.content.clone()),
        Some(".gz") => flate2::read::GzDecoder::new(packed).read_to_end(&mut content),
        Some(".xz") => lzma_rust2::XzReader::new(packed, false).read_to_end(&mut content),
        Some(_) | None => return Err(ArtifactError::Compression(entry.name.clone())),
    };
    read.map(|_| content)
        .map_err(|error| ArtifactError::Tar(format!("{}: {error}", entry.name)))
}

fn sum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The checksums that are still to be matched, by name.
struct Manifest(BTreeMap<String, String>);

impl Manifest {
    fn parse(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let text = std::str::from_utf8(bytes).map_err(|error| ArtifactError::Manifest(error.to_string()))?;
        let mut sums = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let bad = || ArtifactError::Manifest(line.to_owned());
            let (sum, name) = line.split_once("  ").ok_or_else(bad)?;
            let is_sum = sum.len() == 64 && sum.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if !is_sum || sums.insert(name.to_owned(), sum.to_owned()).is_some() {
                return Err(bad());
            }
        }
        Ok(Self(sums))
    }

    fn check(&mut self, name: &str, content: &[u8]) -> Result<String, ArtifactError> {
        let wanted = self
            .0
            .remove(name)
            .ok_or_else(|| ArtifactError::Unlisted(name.to_owned()))?;
        if sum(content) == wanted {
            Ok(wanted)
        } else {
            Err(ArtifactError::Checksum(name.to_owned()))
        }
    }
}

fn object(bytes: &[u8], name: &str) -> Result<Map<String, Value>, ArtifactError> {
    match json::read(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ArtifactError::Header(format!("{name} is not an object"))),
        Err(error) => Err(ArtifactError::Header(format!("{name}: {error}"))),
    }
}

fn strings(value: &Value, what: &str) -> Result<Vec<String>, ArtifactError> {
    let bad = || ArtifactError::Header(format!("{what} is not a list of strings"));
    let list = value.as_array().ok_or_else(bad)?;
    list.iter()
        .map(|item| item.as_str().map(str::to_owned).ok_or_else(bad))
        .collect()
}

/// A map out of an optional member of a header file.
fn member<'v>(object: &'v Map<String, Value>, key: &str) -> Result<Option<&'v Map<String, Value>>, ArtifactError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(ArtifactError::Header(format!("{key} is not an object"))),
    }
}

impl ArtifactInfo {
    /// Reads and checks a whole artifact.
    ///
    /// # Errors
    /// [`ArtifactError`]; the text of it is what the 400 answer of an upload says.
    pub fn read(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let mut entries = read_tar(bytes)?.into_iter().peekable();
        let mut next = |expected: &'static str, fits: &dyn Fn(&str) -> bool| match entries.next_if(|e| fits(&e.name)) {
            Some(entry) => Ok(entry),
            None => Err(ArtifactError::Entry {
                expected,
                found: entries.peek().map(|entry| entry.name.clone()),
            }),
        };

        let version = next("version", &|name| name == "version")?;
        let version_object = object(&version.content, "version")?;
        let number = match version_object.get("version").and_then(Value::as_u64) {
            Some(2) => 2,
            Some(3) => 3,
            Some(_) | None => return Err(ArtifactError::Version),
        };
        if version_object.get("format") != Some(&Value::from("mender")) {
            return Err(ArtifactError::Version);
        }
        let manifest = next("manifest", &|name| name == "manifest")?;
        let mut manifest = Manifest::parse(&manifest.content)?;
        manifest.check("version", &version.content)?;
        let signed = next("manifest.sig", &|name| name == "manifest.sig").is_ok();
        if next("manifest-augment", &|name| name == "manifest-augment").is_ok() {
            return Err(ArtifactError::Unsupported("augmented artifacts"));
        }
        let header = next("header.tar", &|name| name.starts_with("header.tar"))?;
        manifest.check(&header.name, &header.content)?;
        let header = Header::read(&unpack(&header, "header.tar")?)?;
        let listed = header.files.clone();
        let mut info = if number == 2 {
            Self::of_v2(header)?
        } else {
            Self::of_v3(header)?
        };
        info.signed = signed;
        info.len = bytes.len() as u64;

        // The format lets the data be missing when there are no files.
        if let Ok(data) = next("data/0000.tar", &|name| name.starts_with("data/0000.tar")) {
            for file in read_tar(&unpack(&data, "data/0000.tar")?)? {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.,".contains(&byte);
                if !file.name.bytes().all(allowed) || matches!(file.name.as_str(), "" | "." | "..") {
                    return Err(ArtifactError::Header(format!("file name `{}`", file.name)));
                }
                let checksum = manifest.check(&format!("data/0000/{}", file.name), &file.content)?;
                info.files.push(ArtifactFile {
                    name: file.name,
                    checksum,
                    len: file.content.len() as u64,
                    modified_unix_secs: file.modified_unix_secs,
                });
            }
        }
        if let Some(listed) = listed {
            let came: Vec<_> = info.files.iter().map(|file| file.name.clone()).collect();
            if came != listed {
                let missing = listed.into_iter().find(|name| !came.contains(name));
                return Err(ArtifactError::Unlisted(missing.unwrap_or_else(|| "files".to_owned())));
            }
        }
        if let Some(entry) = entries.next() {
            return Err(ArtifactError::Entry {
                expected: "the end of the artifact",
                found: Some(entry.name),
            });
        }
        match manifest.0.into_keys().next() {
            Some(name) => Err(ArtifactError::Unlisted(name)),
            None => Ok(info),
        }
    }

    /// Version 3 (spec of the artifact format, section 6).
    fn of_v3(header: Header) -> Result<Self, ArtifactError> {
        let Header { info, type_info, .. } = &header;
        let payload_type = header.payload_type("payloads")?;
        if header.files.is_some() {
            return Err(bad("unexpected entry `headers/0000/files`"));
        }
        let mut provides = BTreeMap::new();
        let mut depends = BTreeMap::new();
        for part in [info, type_info] {
            for (key, value) in member(part, "artifact_provides")?.into_iter().flatten() {
                let text = value
                    .as_str()
                    .ok_or_else(|| bad("a value of artifact_provides is not a string"))?;
                if provides.insert(key.clone(), text.to_owned()).is_some() {
                    return Err(bad("conflicting keys in artifact_provides"));
                }
            }
            for (key, value) in member(part, "artifact_depends")?.into_iter().flatten() {
                let values = match value {
                    Value::String(text) => vec![text.clone()],
                    other => strings(other, "a value of artifact_depends")?,
                };
                if depends.insert(key.clone(), values).is_some() {
                    return Err(bad("conflicting keys in artifact_depends"));
                }
            }
        }
        let name = provides.get("artifact_name").filter(|name| !name.is_empty()).cloned();
        let device_types = depends.get("device_type").filter(|types| !types.is_empty()).cloned();
        Ok(Self {
            version: 3,
            name: name.ok_or_else(|| bad("artifact_name is missing"))?,
            group: provides.get("artifact_group").cloned(),
            device_types: device_types.ok_or_else(|| bad("device_type is missing"))?,
            payload_type,
            provides,
            depends,
            clears: match type_info.get("clears_artifact_provides") {
                None | Some(Value::Null) => Vec::new(),
                Some(list) => strings(list, "clears_artifact_provides")?,
            },
            meta_data: header.meta_data,
            files: Vec::new(),
            signed: false,
            len: 0,
        })
    }

    /// Version 2 (spec of the artifact format, section 9): it depends on device types and on nothing else.
    fn of_v2(header: Header) -> Result<Self, ArtifactError> {
        let payload_type = header.payload_type("updates")?;
        let name = match header.info.get("artifact_name") {
            Some(Value::String(name)) if !name.is_empty() => name.clone(),
            Some(_) | None => return Err(bad("artifact_name is missing")),
        };
        let device_types = match header.info.get("device_types_compatible") {
            Some(list) => strings(list, "device_types_compatible")?,
            None => Vec::new(),
        };
        if device_types.is_empty() {
            return Err(bad("device_types_compatible is missing"));
        }
        if header.files.is_none() {
            return Err(bad("files is missing"));
        }
        Ok(Self {
            version: 2,
            name,
            group: None,
            depends: BTreeMap::from([("device_type".to_owned(), device_types.clone())]),
            device_types,
            payload_type,
            provides: BTreeMap::new(),
            clears: Vec::new(),
            meta_data: header.meta_data,
            files: Vec::new(),
            signed: false,
            len: 0,
        })
    }
}

fn bad(what: &str) -> ArtifactError {
    ArtifactError::Header(what.to_owned())
}

/// The files of a header, decoded.
struct Header {
    info: Map<String, Value>,
    type_info: Map<String, Value>,
    meta_data: Option<Map<String, Value>>,
    /// Names of the payload's files; version 2 alone has a list of them here.
    files: Option<Vec<String>>,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let mut entries = read_tar(bytes)?.into_iter();
        let info = entries.next().filter(|entry| entry.name == "header-info");
        let info = info.ok_or_else(|| bad("header-info is not the first entry"))?;
        let info = object(&info.content, "header-info")?;
        let (mut type_info, mut meta_data, mut files) = (None, None, None);
        for entry in entries {
            match entry.name.as_str() {
                "headers/0000/type-info" => type_info = Some(object(&entry.content, "type-info")?),
                "headers/0000/meta-data" if entry.content.is_empty() => {}
                "headers/0000/meta-data" => meta_data = Some(object(&entry.content, "meta-data")?),
                "headers/0000/files" => {
                    let list = object(&entry.content, "files")?;
                    let list = list.get("files").ok_or_else(|| bad("files has no list"))?;
                    files = Some(strings(list, "files")?);
                }
                name if name.starts_with("scripts/") => {}
                name => return Err(ArtifactError::Header(format!("unexpected entry `{name}`"))),
            }
        }
        Ok(Self {
            info,
            type_info: type_info.ok_or_else(|| bad("type-info is missing"))?,
            meta_data,
            files,
        })
    }

    /// The type of the one payload, out of a list that has this name in header-info.
    fn payload_type(&self, list: &str) -> Result<Option<String>, ArtifactError> {
        let payloads = self.info.get(list).and_then(Value::as_array);
        let [payload] = payloads.map(Vec::as_slice).unwrap_or_default() else {
            return Err(ArtifactError::Header(format!("{list} is not a list with one entry")));
        };
        let payload_type = match payload.get("type") {
            Some(Value::Null) => None,
            Some(Value::String(name)) if !name.is_empty() => Some(name.clone()),
            Some(_) | None => return Err(bad("the payload type is neither a name nor null")),
        };
        // mender-artifact before 4.3.1 left the type of a rootfs image empty in type-info.
        let is_same = match (self.type_info.get("type"), &payload_type) {
            (Some(Value::String(name)), Some(wanted)) => name.is_empty() || name == wanted,
            (Some(Value::Null), None) => true,
            (Some(_) | None, _) => false,
        };
        if is_same {
            Ok(payload_type)
        } else {
            Err(bad("the types in header-info and type-info differ"))
        }
    }
}
