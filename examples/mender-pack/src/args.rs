//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mender_pack::{Coding, Compression, Window};
use tool_style::after_help;

/// Make Mender artifacts that microcontrollers can take
#[derive(Parser)]
#[command(
    version,
    arg_required_else_help = true,
    long_about = "Makes Mender artifacts (.mender files, format version 3) that microcontrollers can take: of images, of patches \
                  between two images, compressed for the little memory of a device, and signed.\n\n\
                  The same files and arguments give the same artifact, byte for byte. The time in it is SOURCE_DATE_EPOCH (seconds \
                  since 1970) if that is set in the environment, else 0.",
    after_help = after_help("Examples:\n  \
                  mender-pack image zephyr.signed.bin -n release-2 -t my-board -o release-2.mender\n  \
                  mender-pack image app.bin --type esp-ota-image -n release-2 -t my-board --gzip 4096 -o release-2.mender\n  \
                  mender-pack delta --from release-1.signed.bin release-2.signed.bin -n release-2-from-1 -t my-board -o delta.mender\n  \
                  mender-pack repack --window 4096 stock.mender small.mender\n  \
                  mender-pack sign --key artifact-key.pem release-2.mender signed.mender")
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Make an artifact of one or more files
    Image {
        /// The files: a signed image, or what else the device's update module takes
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The payload type: which update module takes it
        #[arg(long = "type", short = 'T', value_name = "TYPE", default_value = "zephyr-image")]
        payload_type: String,
        #[command(flatten)]
        says: Says,
        #[command(flatten)]
        form: Form,
    },
    /// Make an artifact with a patch, for devices that run the old image
    ///
    /// The patch is one of detools' (sequential). Give the images as they are in the slots: signed, without padding. The artifact depends
    /// on the checksum of the old image, which artifacts made by `image` provide.
    ///
    /// The open-source server gives a device the smallest artifact of a release: give delta artifacts a name of their own, and deploy them
    /// to devices that run the old image.
    Delta {
        /// The image that runs on the devices
        #[arg(long, value_name = "OLD")]
        from: PathBuf,
        /// The image that they are to get
        new: PathBuf,
        /// The payload type, with -delta behind that of the whole image
        #[arg(
            long = "type",
            short = 'T',
            value_name = "TYPE",
            default_value = "zephyr-image-delta"
        )]
        payload_type: String,
        /// What the patch is coded with: heatshrink takes 1 KiB of RAM on the device; none is for --gzip
        #[arg(long, default_value = "heatshrink")]
        coding: CodingName,
        #[command(flatten)]
        says: Says,
        #[command(flatten)]
        form: Form,
    },
    /// Compress an artifact anew, for the window of a device
    ///
    /// mender-artifact compresses for a window of 32 KiB. The payload can be compressed anew without touching manifest and signature. The
    /// header too, if it does not fit the window; then a signed artifact must be signed again.
    Repack {
        /// The artifact
        artifact: PathBuf,
        /// Where to write the new one
        output: PathBuf,
        /// What a device lends for decompression, in bytes: a power of two from 512 to 32768
        #[arg(long, value_name = "BYTES", value_parser = window, required_unless_present = "uncompressed")]
        window: Option<Window>,
        /// Do not compress at all
        #[arg(long, conflicts_with = "window")]
        uncompressed: bool,
        /// Sign it (again) with this private key
        #[arg(long, value_name = "PEM")]
        key: Option<PathBuf>,
    },
    /// Sign an artifact, in the place of a signature that it has
    Sign {
        /// The artifact
        artifact: PathBuf,
        /// Where to write the signed one; may be the same file
        output: PathBuf,
        /// The private key: P-256, or RSA of 2048 bits or more
        #[arg(long, value_name = "PEM")]
        key: PathBuf,
    },
}

/// What the artifact says.
#[derive(Args)]
pub struct Says {
    /// The artifact's name
    #[arg(long, short)]
    pub name: String,
    /// A device type that it is for; several times for several
    #[arg(long, short = 't', visible_short_alias = 'c', required = true, value_name = "TYPE")]
    pub device_type: Vec<String>,
    /// The version of the software, in the place of the artifact's name
    #[arg(long, value_name = "VERSION")]
    pub software_version: Option<String>,
    /// The name of the software, in the place of the payload type
    #[arg(long, value_name = "NAME")]
    pub software_name: Option<String>,
    /// The first part of the version's name, in the place of rootfs-image
    #[arg(long, value_name = "NAME")]
    pub software_filesystem: Option<String>,
    /// What the device provides after the update
    #[arg(long, short, value_name = "KEY:VALUE", value_parser = pair)]
    pub provides: Vec<(String, String)>,
    /// What the device must provide before it
    #[arg(long, short, value_name = "KEY:VALUE", value_parser = pair)]
    pub depends: Vec<(String, String)>,
    /// A pattern of what the device no longer provides after it
    #[arg(long, value_name = "PATTERN")]
    pub clears_provides: Vec<String>,
    /// The artifact's group
    #[arg(long, short, value_name = "GROUP")]
    pub group: Option<String>,
    /// The name of an artifact that may be installed before; several times for several
    #[arg(long, short = 'N', value_name = "NAME")]
    pub artifact_name_depends: Vec<String>,
    /// The group of an artifact that may be installed before; several times for several
    #[arg(long, short = 'G', value_name = "GROUP")]
    pub depends_groups: Vec<String>,
    /// A file with a JSON object for the update module
    #[arg(long, short, value_name = "FILE")]
    pub meta_data: Option<PathBuf>,
}

/// How it is written.
#[derive(Args)]
pub struct Form {
    /// Compress it with gzip, for devices that lend a window of so many bytes: a power of two from 512 to 32768
    #[arg(long, value_name = "WINDOW", value_parser = window)]
    gzip: Option<Window>,
    /// Sign it with this private key: P-256, or RSA of 2048 bits or more
    #[arg(long, value_name = "PEM")]
    pub key: Option<PathBuf>,
    /// Where to write it
    #[arg(long, short)]
    pub output: PathBuf,
}

impl Form {
    pub fn compression(&self) -> Compression {
        self.gzip.map_or(Compression::None, Compression::Gzip)
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum CodingName {
    Heatshrink,
    None,
}

impl From<CodingName> for Coding {
    fn from(name: CodingName) -> Coding {
        match name {
            CodingName::Heatshrink => Coding::Heatshrink,
            CodingName::None => Coding::None,
        }
    }
}

fn window(text: &str) -> Result<Window, String> {
    text.parse()
        .ok()
        .and_then(Window::new)
        .ok_or_else(|| "a power of two from 512 to 32768 is needed, such as 4096".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("KEY:VALUE is needed, such as calibration:3".to_owned()),
    }
}
