//! Which limits of a device an artifact exceeds, and the work buffer that it needs.

use mender::artifact::{Error, Event, Feature, Limit, Limits, Parser};
use mender::unpack::Unpacker;
use serde_json::{Value, json};

/// What the client lends its parser, by default, after the provides took 150 bytes.
const WORK_LEN: u32 = 1850;

/// The limits of a device
#[derive(clap::Args)]
#[command(next_help_heading = "Limits of the device")]
pub struct Device {
    /// Bytes of the file version
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.version_len)]
    version_len: u32,
    /// Bytes of manifest: 77 per payload file plus its name, and 151
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.manifest_len)]
    manifest_len: u32,
    /// Payload files
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.files)]
    files: u16,
    /// Bytes of a payload file's name
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.name_len)]
    name_len: u8,
    /// Bytes of manifest.sig
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.signature_len)]
    signature_len: u32,
    /// Bytes of header-info
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.header_info_len)]
    header_info_len: u32,
    /// Device types
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.device_types)]
    device_types: u16,
    /// Bytes of type-info
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.type_info_len)]
    type_info_len: u32,
    /// Bytes of meta-data
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.meta_data_len)]
    meta_data_len: u32,
    /// Levels of nested JSON
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.json_depth)]
    json_depth: u8,
    /// Bytes of a PAX header or GNU long name
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::DEFAULT.extension_len)]
    extension_len: u32,
    /// Bytes of the work buffer
    #[arg(long, value_name = "NUMBER", default_value_t = WORK_LEN)]
    work_len: u32,
    /// Bytes of the window for artifacts compressed with gzip; 0 for none
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    window_len: u32,
}

/// The shortest window that is packed for.
const SHORTEST_WINDOW: u32 = 512;
/// What gzip can take.
pub const LONGEST_WINDOW: u32 = 32768;

impl Device {
    /// What of an artifact, which is a good one, is too large for the device.
    pub fn check(&self, artifact: &[u8]) -> Result<Value, Error> {
        let mut limits = Limits {
            version_len: self.version_len,
            manifest_len: self.manifest_len,
            files: self.files,
            name_len: self.name_len,
            signature_len: self.signature_len,
            header_info_len: self.header_info_len,
            device_types: self.device_types,
            type_info_len: self.type_info_len,
            meta_data_len: self.meta_data_len,
            json_depth: self.json_depth,
            extension_len: self.extension_len,
        };
        let mut work_len = 0;
        let mut window_len = 0;
        let mut exceeded: Vec<(Limit, u32, u32)> = Vec::new();
        // Raises one limit after the other to what the artifact needs, until it fits.
        while let Err(error) = parse(artifact, limits, work_len, window_len) {
            let (limit, allowed, needed) = match error {
                Error::Limit { limit, allowed, needed } => (limit, allowed, needed),
                Error::NotSupported(Feature::Gzip) if window_len == 0 => {
                    window_len = SHORTEST_WINDOW;
                    continue;
                }
                other => return Err(other),
            };
            match limit {
                Limit::Work => {
                    work_len = needed;
                    continue;
                }
                Limit::Window if window_len > 0 && needed <= LONGEST_WINDOW => {
                    window_len = needed;
                    continue;
                }
                Limit::Version => limits.version_len = needed,
                Limit::Manifest => limits.manifest_len = needed,
                Limit::Signature => limits.signature_len = needed,
                Limit::HeaderInfo => limits.header_info_len = needed,
                Limit::TypeInfo => limits.type_info_len = needed,
                Limit::MetaData => limits.meta_data_len = needed,
                Limit::Extension => limits.extension_len = needed,
                // What this program itself reads has no more.
                Limit::Files => limits.files = u16::try_from(needed).unwrap_or(u16::MAX),
                Limit::DeviceTypes => limits.device_types = u16::try_from(needed).unwrap_or(u16::MAX),
                Limit::Name => limits.name_len = u8::try_from(needed).unwrap_or(u8::MAX),
                Limit::JsonDepth => limits.json_depth = u8::try_from(needed).unwrap_or(u8::MAX),
                Limit::Artifact | Limit::Window | Limit::Unpacked => return Err(error),
            }
            match exceeded.iter_mut().find(|(known, ..)| *known == limit) {
                Some((_, _, most)) => *most = needed,
                None => exceeded.push((limit, allowed, needed)),
            }
        }
        if window_len > self.window_len {
            exceeded.push((Limit::Window, self.window_len, window_len));
        }
        if work_len > self.work_len {
            exceeded.push((Limit::Work, self.work_len, work_len));
        }
        let exceeded: Vec<Value> = exceeded
            .into_iter()
            .map(|(limit, allowed, needed)| json!({"limit": name(limit), "allowed": allowed, "needed": needed}))
            .collect();
        Ok(json!({"exceeded": exceeded, "work_len_needed": work_len, "window_len_needed": window_len}))
    }
}

fn parse(artifact: &[u8], limits: Limits, work_len: u32, window_len: u32) -> Result<(), Error> {
    let mut work = vec![0; work_len as usize];
    let mut unpacker = unpacker(window_len);
    let mut parser = Parser::new(limits, &mut work).unpacking(&mut unpacker);
    let mut rest = artifact;
    loop {
        let (consumed, event) = parser.feed(rest)?;
        rest = &rest[consumed..];
        if event == Event::NeedInput {
            return parser.finish();
        }
    }
}

/// What unpacks with a window of at least this length. What is compressed with xz or zstd is for hosts, and takes none.
pub fn unpacker(window_len: u32) -> Box<Unpacker> {
    match window_len {
        0 => Box::new(Unpacker::<[u8; 0]>::new()),
        1..=512 => Box::new(Unpacker::<[u8; 512]>::new()),
        513..=1024 => Box::new(Unpacker::<[u8; 1024]>::new()),
        1025..=2048 => Box::new(Unpacker::<[u8; 2048]>::new()),
        2049..=4096 => Box::new(Unpacker::<[u8; 4096]>::new()),
        4097..=8192 => Box::new(Unpacker::<[u8; 8192]>::new()),
        8193..=16384 => Box::new(Unpacker::<[u8; 16384]>::new()),
        _ => Box::new(Unpacker::<[u8; LONGEST_WINDOW as usize]>::new()),
    }
}

/// The field of `Limits`, and the flag.
fn name(limit: Limit) -> &'static str {
    match limit {
        Limit::Version => "version_len",
        Limit::Manifest => "manifest_len",
        Limit::Files => "files",
        Limit::Name => "name_len",
        Limit::Signature => "signature_len",
        Limit::HeaderInfo => "header_info_len",
        Limit::DeviceTypes => "device_types",
        Limit::TypeInfo => "type_info_len",
        Limit::MetaData => "meta_data_len",
        Limit::JsonDepth => "json_depth",
        Limit::Extension => "extension_len",
        Limit::Work => "work_len",
        Limit::Artifact => "artifact_len",
        Limit::Window => "window_len",
        Limit::Unpacked => "unpacked_len",
    }
}
