//! Makes a board: what its flash has when it leaves the factory; and looks into it. Depends on `map`, `images`.

use std::io;
use std::net::SocketAddrV4;
use std::ops::Range;
use std::path::{Path, PathBuf};

use calibration::{Calibration, Table};
use embassy_futures::block_on;
use mender_testkit::flash::SimFlash;
use tool_style::file;

use crate::images::Image;
use crate::map::MAP;

const ERASED: u8 = 0xff;
/// Where the settings have the certificate.
const ROOT_OFFSET: usize = MAP.erase_len as usize;

/// What the factory writes beside the image.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// URL of the Mender server, as the board reaches it.
    pub server: &'a str,
    /// The time server, likewise.
    pub time: SocketAddrV4,
    /// Certificate of the server's authority.
    pub root: &'a [u8],
    /// Whether the board measures cryptography at each start.
    pub measures: bool,
}

/// The board's flash, which is a file.
#[derive(Clone, Debug)]
pub struct Flash {
    path: PathBuf,
}

impl Flash {
    /// A new one.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn make(path: PathBuf, settings: &Settings<'_>, image: &Image, table: &[u8]) -> io::Result<Flash> {
        let mut content = vec![ERASED; MAP.len as usize];
        let mut put = |area: Range<u32>, offset: usize, bytes: &[u8]| {
            let start = area.start as usize + offset;
            content[start..start + bytes.len()].copy_from_slice(bytes);
        };
        let Settings {
            server,
            time,
            root,
            measures,
        } = settings;
        let measures = if *measures { "measures=yes\n" } else { "" };
        let text = format!("server={server}\ntime={time}\n{measures}");
        put(const { MAP.range("settings") }, 0, text.as_bytes());
        put(const { MAP.range("settings") }, ROOT_OFFSET, root);
        put(const { MAP.range("active") }, 0, &image.bytes);
        calibration::image(1, table, |offset, bytes| {
            put(const { MAP.range("calibration") }, offset, bytes)
        });
        file::write(&path, &content).map_err(io::Error::other)?;
        Ok(Flash { path })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn area(&self, range: Range<u32>) -> io::Result<Vec<u8>> {
        let content = file::read(&self.path).map_err(io::Error::other)?;
        let area = content.get(range.start as usize..range.end as usize);
        Ok(area.ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
    }

    /// Whether this image is what ACTIVE has.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn runs(&self, image: &Image) -> io::Result<bool> {
        Ok(self.area(const { MAP.range("active") })?.starts_with(&image.bytes))
    }

    /// The calibration table in use.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or there is none.
    pub fn table(&self) -> io::Result<Table> {
        let bytes = self.area(const { MAP.range("calibration") })?;
        let len = bytes.len() as u32;
        let flash = SimFlash::<{ MAP.write_len as usize }, { MAP.erase_len as usize }>::from_bytes(&bytes);
        let mut calibration = Calibration::new(flash.partition(0..len));
        block_on(calibration.active()).map_err(|error| io::Error::other(error.to_string()))
    }
}
