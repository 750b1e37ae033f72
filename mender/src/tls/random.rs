//! The client's source of random numbers as embedded-tls wants it: rand_core 0.10 as 0.6, shared by two connections.

use core::cell::RefCell;

use rand_core::CryptoRng;

/// A loan for one handshake.
pub(super) struct Random<'r, R>(pub(super) &'r RefCell<R>);

impl<R: CryptoRng> rand_core_06::RngCore for Random<'_, R> {
    fn next_u32(&mut self) -> u32 {
        self.0.borrow_mut().next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.borrow_mut().next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.borrow_mut().fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl<R: CryptoRng> rand_core_06::CryptoRng for Random<'_, R> {}
