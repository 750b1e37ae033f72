//! Random numbers. `tests/firmware-tls` has them, too.

use core::convert::Infallible;

/// Random numbers of no worth, the same in each run (xorshift).
pub struct Numbers(u32);

impl Numbers {
    /// The beginning.
    pub const fn new() -> Numbers {
        Numbers(2_463_534_242)
    }
}

impl rand_core::TryRng for Numbers {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        Ok(self.0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.try_next_u32()?) << 32 | u64::from(self.try_next_u32()?))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = (self.try_next_u32()? >> 24) as u8;
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Numbers {}
