//! An artifact of images, or of a patch from one image to another.

use std::fmt;
use std::io;

use mender_testkit::artifact::{ArtifactWriter, Builder};
use mender_testkit::delta::meta_data;
use mender_testkit::image::ImageInfo;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::compression::Compression;
use crate::delta::{Coding, patch};
use crate::key::Key;
use crate::repack::{RepackError, Repacked, hex, repack};

/// What goes behind a payload type that is a patch of another one.
const DELTA: &str = "-delta";
/// The first byte of an app image of ESP-IDF.
const ESP_MAGIC: u8 = 0xe9;

/// All that an artifact says, but for its files.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The artifact's name.
    pub name: String,
    /// The device types that it is for; at least one.
    pub device_types: Vec<String>,
    /// The payload type.
    pub payload_type: String,
    /// In the place of the payload type in the name of the version.
    pub software_name: Option<String>,
    /// In the place of `rootfs-image` in the name of the version.
    pub software_filesystem: Option<String>,
    /// In the place of the artifact's name.
    pub software_version: Option<String>,
    /// The group that it provides.
    pub group: Option<String>,
    /// The names of artifacts that it can follow.
    pub depends_names: Vec<String>,
    /// The groups of artifacts that it can follow.
    pub depends_groups: Vec<String>,
    /// What it provides besides.
    pub provides: Vec<(String, String)>,
    /// What must be provided before.
    pub depends: Vec<(String, String)>,
    /// Patterns of what is no longer provided.
    pub clears: Vec<String>,
    /// Its meta-data.
    pub meta_data: Map<String, Value>,
    /// The time in its tar headers, in seconds since 1970.
    pub unix_secs: u64,
}

/// A file.
#[derive(Clone, Debug)]
pub struct Content {
    /// Its name in the artifact.
    pub name: String,
    /// Where it is from, for errors: a path.
    pub origin: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why no artifact can be made.
#[derive(Debug)]
pub enum ImageError {
    /// A file is no image of the payload type.
    Image {
        /// Where it is from.
        origin: String,
        /// What it is or is not, and what to do.
        reason: &'static str,
    },
    /// The name of the file from there is not one that artifacts can have.
    Name(String),
    /// The patch cannot be made.
    Patch(io::Error),
    /// It cannot be compressed or signed, or the server would not take it.
    Repack(RepackError),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::Image { origin, reason } => write!(f, "{origin}: {reason}"),
            ImageError::Name(origin) => write!(
                f,
                "{origin}: the name of a file in an artifact has letters, digits and _ - . , only: rename it"
            ),
            ImageError::Patch(error) => write!(f, "the patch: {error}"),
            ImageError::Repack(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ImageError {}

/// An artifact of these files.
///
/// With one file its checksum is among the provides, `rootfs-image.NAME.checksum`: what a delta artifact depends on.
///
/// # Errors
///
/// See [`ImageError`].
pub fn image(
    image: &Image,
    files: &[Content],
    compression: Compression,
    key: Option<&Key>,
) -> Result<Repacked, ImageError> {
    for file in files {
        check(&image.payload_type, file)?;
    }
    let mut writer = writer(image);
    if let [file] = files {
        writer = writer.provides(&checksum_key(image), &hex(&Sha256::digest(&file.bytes)));
    }
    write(with_files(writer, files)?, image, compression, key)
}

/// An artifact that makes the new image out of the old one, for devices which run the old one.
///
/// Its payload type must end in `-delta`; what stands before that is the type of the whole image's artifact, and the name that both
/// have in the provides. The meta-data have `from_len`, `from_sha256`, `to_len`, `to_sha256`.
///
/// # Errors
///
/// See [`ImageError`].
pub fn delta(
    image: &Image,
    old: &Content,
    new: &Content,
    coding: Coding,
    compression: Compression,
    key: Option<&Key>,
) -> Result<Repacked, ImageError> {
    let whole = whole_type(&image.payload_type);
    check(whole, old)?;
    check(whole, new)?;
    let mut image = image.clone();
    let (old_sum, new_sum) = (hex(&Sha256::digest(&old.bytes)), hex(&Sha256::digest(&new.bytes)));
    let checksum = checksum_key(&image);
    let images: Map<String, Value> =
        serde_json::from_str(&meta_data(&old.bytes, &new.bytes)).expect("the kit writes an object");
    image.meta_data.extend(images);
    let writer = writer(&image)
        .depends(&checksum, &old_sum)
        .provides(&checksum, &new_sum);
    let patch = Content {
        name: format!("{}.patch", new.name),
        origin: new.origin.clone(),
        bytes: patch(&old.bytes, &new.bytes, coding).map_err(ImageError::Patch)?,
    };
    write(with_files(writer, &[patch])?, &image, compression, key)
}

/// The type of an artifact with the whole image.
fn whole_type(payload_type: &str) -> &str {
    payload_type.strip_suffix(DELTA).unwrap_or(payload_type)
}

fn software_name(image: &Image) -> &str {
    image
        .software_name
        .as_deref()
        .unwrap_or_else(|| whole_type(&image.payload_type))
}

fn checksum_key(image: &Image) -> String {
    let filesystem = image.software_filesystem.as_deref().unwrap_or("rootfs-image");
    format!("{filesystem}.{}.checksum", software_name(image))
}

fn writer(image: &Image) -> ArtifactWriter {
    let (first, others) = image
        .device_types
        .split_first()
        .map_or(("", &[][..]), |(first, others)| (first, others));
    let mut writer = ArtifactWriter::new(&image.name, first)
        .payload_type(&image.payload_type)
        .software_name(software_name(image))
        .meta_data(image.meta_data.clone())
        .builder(Builder {
            written_unix_secs: image.unix_secs,
            files_unix_secs: image.unix_secs,
            ..Builder::default()
        });
    if let Some(filesystem) = &image.software_filesystem {
        writer = writer.software_filesystem(filesystem);
    }
    if let Some(version) = &image.software_version {
        writer = writer.software_version(version);
    }
    if let Some(group) = &image.group {
        writer = writer.group(group);
    }
    writer = others
        .iter()
        .fold(writer, |writer, device_type| writer.device_type(device_type));
    writer = image
        .depends_names
        .iter()
        .fold(writer, |writer, name| writer.depends_name(name));
    writer = image
        .depends_groups
        .iter()
        .fold(writer, |writer, group| writer.depends_group(group));
    writer = image
        .clears
        .iter()
        .fold(writer, |writer, pattern| writer.clears(pattern));
    writer = image
        .depends
        .iter()
        .fold(writer, |writer, (key, value)| writer.depends(key, value));
    image
        .provides
        .iter()
        .fold(writer, |writer, (key, value)| writer.provides(key, value))
}

fn with_files(writer: ArtifactWriter, files: &[Content]) -> Result<ArtifactWriter, ImageError> {
    files.iter().try_fold(writer, |writer, file| {
        // The rule of the real writer: spec of the artifact format, section 7.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.,".contains(&byte);
        match file.name.bytes().all(allowed) && !matches!(file.name.as_str(), "" | "." | "..") {
            true => Ok(writer.file(&file.name, &file.bytes)),
            false => Err(ImageError::Name(file.origin.clone())),
        }
    })
}

fn write(
    writer: ArtifactWriter,
    image: &Image,
    compression: Compression,
    key: Option<&Key>,
) -> Result<Repacked, ImageError> {
    // The values that the caller gives stand over the ones that were made here, as with the real writer.
    let writer = image
        .provides
        .iter()
        .fold(writer, |writer, (key, value)| writer.provides(key, value));
    repack(&writer.write(), compression, key).map_err(ImageError::Repack)
}

/// The mistakes that a device would find only after the download.
fn check(payload_type: &str, file: &Content) -> Result<(), ImageError> {
    let fault = match payload_type {
        "zephyr-image" => mcuboot_fault(&file.bytes),
        "esp-ota-image" if file.bytes.first() != Some(&ESP_MAGIC) => {
            Some("no app image of ESP-IDF: make one by espflash save-image, without --merge")
        }
        _ => None,
    };
    fault.map_or(Ok(()), |reason| {
        Err(ImageError::Image {
            origin: file.origin.clone(),
            reason,
        })
    })
}

fn mcuboot_fault(bytes: &[u8]) -> Option<&'static str> {
    let Ok(image) = ImageInfo::parse(bytes) else {
        return Some("no image of MCUboot: give the signed one, which imgtool has written (zephyr.signed.bin)");
    };
    if image.len < bytes.len() {
        return Some("there is more behind the image: sign it without --pad");
    }
    (!image.hash_is_right(bytes)).then_some("it is damaged: its hash is another one")
}
