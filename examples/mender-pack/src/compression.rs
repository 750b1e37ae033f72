//! What an entry of an artifact is compressed with. Rules: spec of the artifact format, section 8.

use std::fmt;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use zlib_rs::{DeflateConfig, ReturnCode};

/// The length of what a device must keep to decompress: a power of two from 512 to 32768 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    bits: u8,
}

impl Window {
    /// What every gzip decoder must have: 32 KiB.
    pub const MAX: Window = Window { bits: 15 };
    const MIN_BITS: u8 = 9;

    /// A window of that many bytes, if there is such a one.
    pub fn new(len: u32) -> Option<Window> {
        let bits = (Self::MIN_BITS..=Self::MAX.bits).find(|&bits| 1 << bits == len)?;
        Some(Window { bits })
    }

    /// In bytes.
    pub fn bytes(self) -> usize {
        1 << self.bits
    }
}

/// What an artifact is to be compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Nothing.
    None,
    /// gzip, for a device that lends a window of that length.
    Gzip(Window),
}

/// Why an entry cannot be compressed or decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackError {
    /// Its name has an ending that stands for no compression.
    Unknown(String),
    /// It is damaged.
    Damaged {
        /// The entry.
        name: String,
        /// What its decoder says.
        reason: String,
    },
    /// The encoder failed.
    Encoder,
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PackError::Unknown(name) => write!(f, "{name}: not compressed with gzip, xz or zstd"),
            PackError::Damaged { name, reason } => write!(f, "{name} is damaged: {reason}"),
            PackError::Encoder => f.write_str("the encoder of gzip failed"),
        }
    }
}

impl std::error::Error for PackError {}

/// What an entry of that name is when it is no longer compressed.
pub fn decompress(name: &str, content: &[u8]) -> Result<Vec<u8>, PackError> {
    let mut plain = Vec::new();
    let result = match name.rsplit_once(".tar") {
        Some((_, "")) => {
            plain.extend_from_slice(content);
            Ok(0)
        }
        Some((_, ".gz")) => MultiGzDecoder::new(content).read_to_end(&mut plain),
        Some((_, ".xz")) => lzma_rust2::XzReader::new(content, false).read_to_end(&mut plain),
        Some((_, ".zst")) => match ruzstd::decoding::StreamingDecoder::new(content) {
            Ok(mut decoder) => decoder.read_to_end(&mut plain),
            Err(error) => Err(std::io::Error::other(error)),
        },
        Some(_) | None => return Err(PackError::Unknown(name.to_owned())),
    };
    match result {
        Ok(_) => Ok(plain),
        Err(error) => Err(PackError::Damaged {
            name: name.to_owned(),
            reason: error.to_string(),
        }),
    }
}

impl Compression {
    /// What stands behind the name of an entry.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip(_) => ".gz",
        }
    }

    /// Whether a device for which this is meant can read an entry as it is.
    ///
    /// gzip does not say how far it reaches back; it cannot be further than the content is long.
    pub fn reads(self, name: &str, plain_len: usize) -> bool {
        match (self, name.rsplit_once(".tar")) {
            (_, Some((_, ""))) => true,
            (Compression::Gzip(window), Some((_, ".gz"))) => plain_len.min(Window::MAX.bytes()) <= window.bytes(),
            (Compression::None | Compression::Gzip(_), Some(_) | None) => false,
        }
    }

    /// The bytes, compressed. The same for the same bytes: no name, no time.
    pub fn compress(self, plain: &[u8]) -> Result<Vec<u8>, PackError> {
        let window = match self {
            Compression::None => return Ok(plain.to_vec()),
            Compression::Gzip(window) => window,
        };
        // zlib's own bound for any setting, and the frame.
        let mut packed = vec![0; plain.len() + plain.len().div_ceil(8) + plain.len().div_ceil(64) + 32];
        let config = DeflateConfig {
            level: 9,
            // From 16 on it is framed as gzip.
            window_bits: 16 + i32::from(window.bits),
            ..DeflateConfig::default()
        };
        match zlib_rs::compress_slice(&mut packed, plain, config) {
            (packed, ReturnCode::Ok) => Ok(packed.to_vec()),
            (_, _) => Err(PackError::Encoder),
        }
    }
}
