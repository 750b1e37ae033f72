//! What the factory has written: which server, what it is known by, and who tells the time. Depends on the board's map.
//!
//! A page of text, `name=value` a line, as far as there is no 0xff; then a page with the root certificate (DER), which says itself how long it is.

use core::net::SocketAddrV4;

use board::map::MAP;
use mender::embedded_storage_async::nor_flash::ReadNorFlash;
use static_cell::ConstStaticCell;

const TEXT_LEN: usize = 256;
const ROOT_LEN: usize = 1024;
const ROOT_OFFSET: u32 = MAP.erase_len;

/// The settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// URL of the Mender server.
    pub server: &'static str,
    /// An SNTP server.
    pub time: SocketAddrV4,
    /// Figures are printed that only a test wants.
    pub measures: bool,
    /// Certificate of the authority that vouches for the server; empty if there is none.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "only TLS has certificates"))]
    pub root: &'static [u8],
}

/// The factory has not written what is needed: its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(
    /// What is missing.
    pub &'static str,
);

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// [`Missing`].
    pub async fn read(mut flash: impl ReadNorFlash) -> Result<Settings, Missing> {
        static MEMORY: ConstStaticCell<([u8; TEXT_LEN], [u8; ROOT_LEN])> =
            ConstStaticCell::new(([0; TEXT_LEN], [0; ROOT_LEN]));
        let (text, root) = MEMORY.try_take().ok_or(Missing("memory"))?;
        flash.read(0, text).await.map_err(|_| Missing("text"))?;
        flash.read(ROOT_OFFSET, root).await.map_err(|_| Missing("root"))?;
        let text: &'static [u8] = text;
        let text = text.split(|byte| *byte == 0xff).next().unwrap_or_default();
        let text = core::str::from_utf8(text).map_err(|_| Missing("text"))?;
        let value = |name: &'static str| {
            let mut values = text
                .lines()
                .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            values.next().ok_or(Missing(name))
        };
        Ok(Settings {
            server: value("server")?,
            time: value("time")?.parse().map_err(|_| Missing("time"))?,
            measures: value("measures").is_ok(),
            root: certificate(root),
        })
    }
}

/// A DER of 256 to 65,535 bytes says its length in the bytes 2 and 3.
fn certificate(page: &'static [u8]) -> &'static [u8] {
    let &[0x30, 0x82, high, low, ..] = page else {
        return &[];
    };
    let len = usize::from(u16::from_be_bytes([high, low])) + 4;
    page.get(..len).unwrap_or_default()
}
