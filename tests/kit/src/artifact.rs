//! Writes Mender artifacts (format version 3), uncompressed ones byte for byte as the real `mender-artifact write` does for
//! the same content, owner and times.
//!
//! For tests: the whole artifact is built in memory. Rules: spec of the artifact format, sections 2, 4, 6, 7 and 10.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::Compression;
use flate2::read::GzEncoder;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::server::{go_json, hex};

const BLOCK_LEN: usize = 512;
/// Longest name that fits a tar header without an extension.
const TAR_NAME_MAX: usize = 100;

/// Who the artifact's tar entries say has written it, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builder {
    /// User number, at most 2097151: larger ones need an extension header, which this writer makes for names only.
    pub uid: u32,
    /// Group number, at most 2097151.
    pub gid: u32,
    /// User name, at most 31 bytes.
    pub user: String,
    /// Group name, at most 31 bytes.
    pub group: String,
    /// Time of writing, in seconds since 1970: the time of `header.tar` and `data/0000.tar`.
    pub written_unix_secs: u64,
    /// Time of last change of the payload files, in seconds since 1970.
    pub files_unix_secs: u64,
    /// Permissions of the payload files.
    pub files_mode: u32,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            uid: 0,
            gid: 0,
            user: "root".to_owned(),
            group: "root".to_owned(),
            written_unix_secs: 1_790_000_000,
            files_unix_secs: 1_790_000_000,
            files_mode: 0o644,
        }
    }
}

/// A value of `artifact_depends`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Depend {
    One(String),
    AnyOf(Vec<String>),
}

/// Builds an artifact.
///
/// Defaults are those of `mender-artifact write module-image`: payload type `zephyr-image`, provides
/// `rootfs-image.<type>.version` with the artifact's name as value, clears `rootfs-image.<type>.*`.
///
/// ```
/// use mender_testkit::artifact::ArtifactWriter;
///
/// let bytes = ArtifactWriter::new("release-2", "board-a").file("fw.bin", b"new firmware").write();
/// assert!(bytes.starts_with(b"version"));
/// ```
#[derive(Clone, Debug)]
pub struct ArtifactWriter {
    name: String,
    group: Option<String>,
    device_types: Vec<String>,
    depends_names: Vec<String>,
    depends_groups: Vec<String>,
    payload_type: Option<String>,
    software_filesystem: String,
    software_name: Option<String>,
    software_version: Option<String>,
    default_provides: bool,
    default_clears: bool,
    provides: BTreeMap<String, String>,
    depends: BTreeMap<String, Depend>,
    clears: Vec<String>,
    meta_data: Option<Map<String, Value>>,
    files: Vec<(String, Vec<u8>)>,
    builder: Builder,
    gzip: bool,
}

impl ArtifactWriter {
    /// An artifact of that name for that device type, with payload type `zephyr-image` and without files yet.
    pub fn new(name: &str, device_type: &str) -> Self {
        Self {
            name: name.to_owned(),
            group: None,
            device_types: vec![device_type.to_owned()],
            depends_names: Vec::new(),
            depends_groups: Vec::new(),
            payload_type: Some("zephyr-image".to_owned()),
            software_filesystem: "rootfs-image".to_owned(),
            software_name: None,
            software_version: None,
            default_provides: true,
            default_clears: true,
            provides: BTreeMap::new(),
            depends: BTreeMap::new(),
            clears: Vec::new(),
            meta_data: None,
            files: Vec::new(),
            builder: Builder::default(),
            gzip: false,
        }
    }

    /// The empty payload (a "bootstrap artifact"): type null, no files, no meta-data, no default provides and clears.
    pub fn bootstrap(name: &str, device_type: &str) -> Self {
        let mut writer = Self::new(name, device_type).no_default_software_version();
        writer.payload_type = None;
        writer
    }

    /// Adds a device type.
    #[must_use]
    pub fn device_type(mut self, device_type: &str) -> Self {
        self.device_types.push(device_type.to_owned());
        self
    }

    /// Sets the payload type.
    #[must_use]
    pub fn payload_type(mut self, payload_type: &str) -> Self {
        self.payload_type = Some(payload_type.to_owned());
        self
    }

    /// Sets the group the artifact provides.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        self.group = Some(group.to_owned());
        self
    }

    /// Adds an artifact name that may be installed before.
    #[must_use]
    pub fn depends_name(mut self, name: &str) -> Self {
        self.depends_names.push(name.to_owned());
        self
    }

    /// Adds a group that the installed artifact may be of.
    #[must_use]
    pub fn depends_group(mut self, group: &str) -> Self {
        self.depends_groups.push(group.to_owned());
        self
    }

    /// Adds something the artifact provides.
    #[must_use]
    pub fn provides(mut self, key: &str, value: &str) -> Self {
        self.provides.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds something the artifact depends on.
    #[must_use]
    pub fn depends(mut self, key: &str, value: &str) -> Self {
        self.depends.insert(key.to_owned(), Depend::One(value.to_owned()));
        self
    }

    /// Adds something the artifact depends on, with several values that will do. The real tool's command line cannot make
    /// such a list; servers and clients take it.
    #[must_use]
    pub fn depends_any(mut self, key: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.depends.insert(key.to_owned(), Depend::AnyOf(values));
        self
    }

    /// Adds a pattern of provides that are removed. Stands before the default one.
    #[must_use]
    pub fn clears(mut self, pattern: &str) -> Self {
        self.clears.push(pattern.to_owned());
        self
    }

    /// The first part of the default provides' name instead of `rootfs-image`.
    #[must_use]
    pub fn software_filesystem(mut self, filesystem: &str) -> Self {
        filesystem.clone_into(&mut self.software_filesystem);
        self
    }

    /// The second part of the default provides' name instead of the payload type.
    #[must_use]
    pub fn software_name(mut self, name: &str) -> Self {
        self.software_name = Some(name.to_owned());
        self
    }

    /// The value of the default provides instead of the artifact's name.
    #[must_use]
    pub fn software_version(mut self, version: &str) -> Self {
        self.software_version = Some(version.to_owned());
        self
    }

    /// No default provides, and therefore no default clears either.
    #[must_use]
    pub fn no_default_software_version(mut self) -> Self {
        self.default_provides = false;
        self.default_clears = false;
        self
    }

    /// Default provides, but no default clears.
    #[must_use]
    pub fn no_default_clears(mut self) -> Self {
        self.default_clears = false;
        self
    }

    /// Sets the meta-data of the payload. An empty object is left out, as the real writer does.
    #[must_use]
    pub fn meta_data(mut self, meta_data: Map<String, Value>) -> Self {
        self.meta_data = Some(meta_data);
        self
    }

    /// Adds a payload file.
    #[must_use]
    pub fn file(mut self, name: &str, content: &[u8]) -> Self {
        self.files.push((name.to_owned(), content.to_vec()));
        self
    }

    /// Sets owner and times of the tar entries.
    #[must_use]
    pub fn builder(mut self, builder: Builder) -> Self {
        self.builder = builder;
        self
    }

    /// Compresses header and payload with gzip, in a window of 32 KiB: what the real writer does unless it is told otherwise.
    #[must_use]
    pub fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }

    /// What becomes of an inner archive of this name.
    fn packed(&self, name: &str, archive: Vec<u8>) -> (String, Vec<u8>) {
        if !self.gzip {
            return (name.to_owned(), archive);
        }
        let mut packed = Vec::new();
        let mut encoder = GzEncoder::new(archive.as_slice(), Compression::best());
        encoder.read_to_end(&mut packed).expect("memory can be read");
        (format!("{name}.gz"), packed)
    }

    /// The bytes of the artifact.
    ///
    /// # Panics
    /// When a value of the [`Builder`] is larger than its field of a tar header.
    pub fn write(&self) -> Vec<u8> {
        let version = br#"{"format":"mender","version":3}"#;
        let (header_name, header) = self.packed("header.tar", self.header_tar());
        let mut manifest = String::new();
        for (name, content) in &self.files {
            manifest.push_str(&manifest_line(content, &format!("data/0000/{name}")));
        }
        manifest.push_str(&manifest_line(&header, &header_name));
        manifest.push_str(&manifest_line(version, "version"));

        let mut data = Vec::new();
        for (name, content) in &self.files {
            let (mode, time) = (self.builder.files_mode, self.builder.files_unix_secs);
            self.append_file(&mut data, name, content, mode, time);
        }
        end_tar(&mut data);
        let (data_name, data) = self.packed("data/0000.tar", data);

        let mut artifact = Vec::new();
        append_memory(&mut artifact, "version", version);
        append_memory(&mut artifact, "manifest", manifest.as_bytes());
        let written = self.builder.written_unix_secs;
        self.append_file(&mut artifact, &header_name, &header, 0o600, written);
        self.append_file(&mut artifact, &data_name, &data, 0o600, written);
        end_tar(&mut artifact);
        artifact
    }

    fn header_tar(&self) -> Vec<u8> {
        let mut provides = Map::new();
        provides.insert("artifact_name".to_owned(), json!(self.name));
        if let Some(group) = &self.group {
            provides.insert("artifact_group".to_owned(), json!(group));
        }
        let mut depends = Map::new();
        if !self.depends_names.is_empty() {
            depends.insert("artifact_name".to_owned(), json!(self.depends_names));
        }
        depends.insert("device_type".to_owned(), json!(self.device_types));
        if !self.depends_groups.is_empty() {
            depends.insert("artifact_group".to_owned(), json!(self.depends_groups));
        }
        let header_info = json!({
            "payloads": [{"type": self.payload_type}],
            "artifact_provides": provides,
            "artifact_depends": depends,
        });

        let mut tar = Vec::new();
        append_memory(&mut tar, "header-info", go_json(&header_info).as_bytes());
        append_memory(
            &mut tar,
            "headers/0000/type-info",
            go_json(&self.type_info()).as_bytes(),
        );
        if let Some(meta_data) = self.meta_data.as_ref().filter(|meta_data| !meta_data.is_empty()) {
            let sorted = sort_keys(&Value::Object(meta_data.clone()));
            append_memory(&mut tar, "headers/0000/meta-data", go_json(&sorted).as_bytes());
        }
        end_tar(&mut tar);
        tar
    }

    fn type_info(&self) -> Value {
        let mut object = Map::new();
        object.insert("type".to_owned(), json!(self.payload_type));
        let depends: Map<String, Value> = self
            .depends
            .iter()
            .map(|(key, depend)| match depend {
                Depend::One(value) => (key.clone(), json!(value)),
                Depend::AnyOf(values) => (key.clone(), json!(values)),
            })
            .collect();
        if !depends.is_empty() {
            object.insert("artifact_depends".to_owned(), Value::Object(depends));
        }
        let payload_type = self.payload_type.as_deref().unwrap_or_default();
        let software = self.software_name.as_deref().unwrap_or(payload_type);
        let mut provides = self.provides.clone();
        if self.default_provides {
            let version = self.software_version.as_ref().unwrap_or(&self.name);
            provides
                .entry(format!("{}.{software}.version", self.software_filesystem))
                .or_insert_with(|| version.clone());
        }
        if !provides.is_empty() {
            object.insert("artifact_provides".to_owned(), json!(provides));
        }
        let mut clears = self.clears.clone();
        if self.default_clears {
            clears.push(format!("{}.{software}.*", self.software_filesystem));
        }
        if !clears.is_empty() {
            object.insert("clears_artifact_provides".to_owned(), json!(clears));
        }
        Value::Object(object)
    }

    /// Appends an entry that the real writer reads from a file: with owner and time.
    fn append_file(&self, tar: &mut Vec<u8>, name: &str, content: &[u8], mode: u32, unix_secs: u64) {
        if name.len() > TAR_NAME_MAX {
            let short: String = format!("PaxHeaders.0/{name}").chars().take(TAR_NAME_MAX).collect();
            let record = pax_record("path", name);
            let fields = Fields {
                typeflag: b'x',
                ..Fields::default()
            };
            append(tar, &short, record.as_bytes(), &fields);
        }
        let fields = Fields {
            typeflag: b'0',
            mode,
            uid: self.builder.uid,
            gid: self.builder.gid,
            unix_secs,
            user: &self.builder.user,
            group: &self.builder.group,
        };
        append(tar, name, content, &fields);
    }
}

fn manifest_line(content: &[u8], name: &str) -> String {
    format!("{}  {name}\n", hex(&Sha256::digest(content)))
}

/// Maps are written with sorted keys by the real writer.
fn sort_keys(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let sorted: BTreeMap<_, _> = object
                .iter()
                .map(|(key, value)| (key.clone(), sort_keys(value)))
                .collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sort_keys).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// What varies in a tar header besides name and length.
#[derive(Default)]
struct Fields<'a> {
    typeflag: u8,
    mode: u32,
    uid: u32,
    gid: u32,
    unix_secs: u64,
    user: &'a str,
    group: &'a str,
}

/// Appends an entry that the real writer makes in memory: mode 0600, no owner, no time.
fn append_memory(tar: &mut Vec<u8>, name: &str, content: &[u8]) {
    append(
        tar,
        name,
        content,
        &Fields {
            typeflag: b'0',
            mode: 0o600,
            ..Fields::default()
        },
    );
}

fn append(tar: &mut Vec<u8>, name: &str, content: &[u8], fields: &Fields<'_>) {
    let mut header = [0_u8; BLOCK_LEN];
    let mut put = |offset: usize, text: &[u8]| header[offset..offset + text.len()].copy_from_slice(text);
    put(0, name.as_bytes().get(..TAR_NAME_MAX).unwrap_or(name.as_bytes()));
    put(100, format!("{:07o}", fields.mode).as_bytes());
    put(108, format!("{:07o}", fields.uid).as_bytes());
    put(116, format!("{:07o}", fields.gid).as_bytes());
    put(124, format!("{:011o}", content.len()).as_bytes());
    put(136, format!("{:011o}", fields.unix_secs).as_bytes());
    put(148, b"        ");
    put(156, &[fields.typeflag]);
    put(257, b"ustar\x0000");
    put(265, fields.user.as_bytes());
    put(297, fields.group.as_bytes());
    // Go leaves the device numbers of its extension headers empty.
    if fields.typeflag == b'0' {
        put(329, b"0000000");
        put(337, b"0000000");
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(BLOCK_LEN), 0);
}

fn end_tar(tar: &mut Vec<u8>) {
    tar.resize(tar.len() + 2 * BLOCK_LEN, 0);
}

/// `LEN KEY=VALUE\n`, where LEN counts itself.
fn pax_record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    format!("{len} {key}={value}\n")
}
