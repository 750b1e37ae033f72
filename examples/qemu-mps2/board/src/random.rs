//! Random numbers: the board has no generator, so the second serial port brings them, which QEMU connects to the host's. Depends on `raw`, `time`.

use rand_core::{TryCryptoRng, TryRng};

use crate::raw::UART1;
use crate::time;

const DATA: u32 = 0x00;
const STATE: u32 = 0x04;
const CTRL: u32 = 0x08;
const BAUDDIV: u32 = 0x10;

const RX_FULL: u32 = 1 << 1;
const RX_ENABLE: u32 = 1 << 1;
/// How long a byte may take: QEMU fetches it, and a busy host keeps QEMU waiting.
const PATIENCE_MICROS: u64 = 3_000_000;

/// The source.
#[derive(Debug)]
pub struct Generator {
    _only: (),
}

/// Nothing is connected to the serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent;

impl core::fmt::Display for Silent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no random number comes from the second serial port")
    }
}

impl core::error::Error for Silent {}

impl Generator {
    pub(crate) fn new() -> Generator {
        UART1.write(BAUDDIV, 16);
        UART1.write(CTRL, RX_ENABLE);
        Generator { _only: () }
    }

    fn byte(&mut self) -> Result<u8, Silent> {
        let start = time::now();
        while UART1.read(STATE) & RX_FULL == 0 {
            if time::now() - start > PATIENCE_MICROS {
                return Err(Silent);
            }
        }
        Ok(UART1.read(DATA) as u8)
    }
}

impl TryRng for Generator {
    type Error = Silent;

    fn try_next_u32(&mut self) -> Result<u32, Silent> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Silent> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Silent> {
        for place in bytes {
            *place = self.byte()?;
        }
        Ok(())
    }
}

impl TryCryptoRng for Generator {}
