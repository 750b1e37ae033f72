//! Releases: artifacts with an MCUboot image, made here or read from a file.

use std::collections::BTreeMap;

use mender::artifact::{Event, Limits, Misfit, Parser};
use mender::provides::{ARTIFACT_NAME, ProvidesBuf};
use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::delta::{self, Compression};
use mender_testkit::image::{
    FLAG_NON_BOOTABLE, FLAGS_COMPRESSED, FLAGS_ENCRYPTED, HEADER_LEN, ImageBuilder, ImageInfo, Version,
};
use mender_testkit::server::ArtifactInfo;

use crate::chip::LAYOUT;

/// The payload type of whole images.
const PAYLOAD_TYPE: &str = "zephyr-image";
/// And of patches.
const PATCH_TYPE: &str = "zephyr-image-delta";
/// Length in bytes of the images made here: that of a small Zephyr application with networking.
const IMAGE_LEN: usize = 400 * 1024;

/// A release.
#[derive(Clone, Debug)]
pub struct Release {
    /// The artifact name.
    pub name: String,
    /// What a device has to report once it is installed.
    pub provides: BTreeMap<String, String>,
    /// The image, with header and TLVs.
    pub image: Vec<u8>,
    pub image_info: ImageInfo,
    /// The artifact.
    pub artifact: Vec<u8>,
    /// Length of the artifact with the whole image, where this one has a patch.
    pub whole_len: Option<usize>,
}

impl Release {
    /// A release made here.
    pub fn build(name: &str, version: Version, device_type: &str) -> Release {
        let image = ImageBuilder::new(version).image_len(IMAGE_LEN).build();
        let artifact = ArtifactWriter::new(name, device_type)
            .payload_type(PAYLOAD_TYPE)
            .file("zephyr.signed.bin", &image)
            .write();
        let written = ArtifactInfo::read(&artifact).expect("the kit reads what it writes");
        Release {
            name: written.name,
            provides: written.provides,
            image_info: ImageInfo::parse(&image).expect("the kit reads what it builds"),
            image,
            artifact,
            whole_len: None,
        }
    }

    /// A release made here whose artifact has a patch. Its image is that of the old release, of which some places have changed, and
    /// something was added.
    pub fn patch(name: &str, version: Version, device_type: &str, old: &Release) -> Release {
        let mut body = old.image[HEADER_LEN..].to_vec();
        for place in body.chunks_mut(256).step_by(40) {
            place.iter_mut().take(24).for_each(|byte| *byte ^= 0x5a);
        }
        body.extend((0..2000_u16).map(|at| (at / 3) as u8));
        let image = ImageBuilder::new(version).body(body).build();
        let whole = ArtifactWriter::new(name, device_type).file("zephyr.signed.bin", &image);
        let meta_data = serde_json::from_str(&delta::meta_data(&old.image, &image)).expect("the kit writes an object");
        let artifact = ArtifactWriter::new(name, device_type)
            .payload_type(PATCH_TYPE)
            .meta_data(meta_data)
            .file(
                "zephyr.patch",
                &delta::patch(&old.image, &image, Compression::HEATSHRINK),
            )
            .write();
        let written = ArtifactInfo::read(&artifact).expect("the kit reads what it writes");
        Release {
            name: written.name,
            provides: written.provides,
            image_info: ImageInfo::parse(&image).expect("the kit reads what it builds"),
            image,
            artifact,
            whole_len: Some(whole.payload_type(PAYLOAD_TYPE).write().len()),
        }
    }

    /// A release from the bytes of a `.mender` file, for a board of this device type that runs the artifact `installed`.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, in one line.
    pub fn open(artifact: Vec<u8>, device_type: &str, installed: &str) -> Result<Release, String> {
        // The client's own parser, with the limits that it has on the board.
        let image = read_image(&artifact, device_type, installed)?;
        let info = ArtifactInfo::read(&artifact).map_err(|error| error.to_string())?;
        if info.name == installed {
            return Err(format!(
                "the artifact's name is {installed:?}, which is what the board runs already: write it with another -n"
            ));
        }
        let image_info = check_image(&image)?;
        Ok(Release {
            name: info.name,
            provides: info.provides,
            image,
            image_info,
            artifact,
            whole_len: None,
        })
    }

    /// The version of its image.
    pub fn version(&self) -> Version {
        self.image_info.version
    }
}

/// The payload's only file, if the artifact is good and fits the board.
fn read_image(artifact: &[u8], device_type: &str, installed: &str) -> Result<Vec<u8>, String> {
    let mut work = vec![0; Limits::DEFAULT.work_len()];
    let mut parser = Parser::new(Limits::DEFAULT, &mut work);
    let mut image = Vec::new();
    let mut files = 0;
    let mut rest = artifact;
    let not_an_artifact = |error| format!("not an artifact that the board can install: {error}");
    loop {
        let (consumed, event) = parser.feed(rest).map_err(not_an_artifact)?;
        rest = &rest[consumed..];
        match event {
            Event::NeedInput => break,
            Event::Header => check_header(&parser, device_type, installed)?,
            Event::File { .. } => files += 1,
            Event::Data(data) => image.extend_from_slice(data),
            Event::FileEnd => {}
        }
    }
    parser.finish().map_err(not_an_artifact)?;
    match files {
        1 => Ok(image),
        _ => Err(format!(
            "the payload has {files} files; it must have one, an MCUboot image"
        )),
    }
}

fn check_header(parser: &Parser<'_>, device_type: &str, installed: &str) -> Result<(), String> {
    let Some(header) = parser.header() else {
        return Err("the artifact has no header".to_owned());
    };
    match header.payload_type() {
        Some(PAYLOAD_TYPE) => {}
        Some(other) => {
            return Err(format!(
                "its payload type is {other:?}, the board installs {PAYLOAD_TYPE:?}: write it with -T {PAYLOAD_TYPE}"
            ));
        }
        None => return Err("it has no payload, and so nothing to install".to_owned()),
    }
    let mut buffer = [0; 512];
    let mut provides = ProvidesBuf::new(&mut buffer);
    provides
        .set(ARTIFACT_NAME, installed)
        .map_err(|error| error.to_string())?;
    match header.check_fit(device_type, provides.as_provides()) {
        Ok(()) => Ok(()),
        Err(Misfit::DeviceType) => {
            let types: Vec<_> = header.device_types().map(|known| format!("{known:?}")).collect();
            Err(format!(
                "it is made for device type {}, the board is {device_type:?}: change one with --device-type or -t",
                types.join(", ")
            ))
        }
        Err(misfit @ (Misfit::NotProvided { .. } | Misfit::OtherValue { .. })) => Err(format!(
            "it does not fit a board that runs {installed:?} and has never been updated: {misfit}"
        )),
    }
}

/// What bootloader and module would find out later.
fn check_image(image: &[u8]) -> Result<ImageInfo, String> {
    let room = LAYOUT.max_image_len();
    if image.len() > room as usize {
        let len = image.len();
        return Err(format!(
            "the image has {len} bytes, the board's slots have room for {room}"
        ));
    }
    let info =
        ImageInfo::parse(image).map_err(|_| "the payload is not an MCUboot image: sign it with imgtool".to_owned())?;
    if !info.hash_is_right(image) {
        return Err("the SHA-256 in the MCUboot image is wrong".to_owned());
    }
    if info.flags & (FLAG_NON_BOOTABLE | FLAGS_ENCRYPTED | FLAGS_COMPRESSED) != 0 {
        return Err("the MCUboot image is encrypted, compressed or not bootable".to_owned());
    }
    Ok(info)
}

/// A version as people write it.
pub fn show(version: Version) -> String {
    let Version {
        major,
        minor,
        revision,
        build,
    } = version;
    match build {
        0 => format!("{major}.{minor}.{revision}"),
        _ => version.to_string(),
    }
}
