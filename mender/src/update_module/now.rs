//! The outcome of a future where nothing can be awaited. Depends on nothing.

use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// What a future comes to at its first poll; `None` if it would have to wait. Where nothing can be awaited, and there is something in
/// flash to be looked at: in an inventory, in a test kit's `observe`.
///
/// ```
/// use mender::embedded_storage_async::nor_flash::ReadNorFlash;
/// use mender::update_module::{Failure, now};
///
/// struct Table<F> {
///     flash: F,
/// }
///
/// impl<F: ReadNorFlash> Table<F> {
///     async fn version(&mut self) -> Result<u32, Failure> {
///         let mut bytes = [0; 4];
///         self.flash.read(0, &mut bytes).await?;
///         Ok(u32::from_le_bytes(bytes))
///     }
/// }
///
/// fn shown<F: ReadNorFlash>(table: &mut Table<F>) -> u32 {
///     now(table.version()).expect("this driver never waits").unwrap_or_default()
/// }
/// ```
///
/// | flash | reads |
/// |---|---|
/// | a driver that blocks: a part of `mender::adapters::flash::SharedFlash`, embassy-embedded-hal's `BlockingAsync`; the test kit's | come at once: `Some` |
/// | a driver that waits for an interrupt or DMA; a part of `SharedAsyncFlash` that another task uses | `None` |
///
/// For the second kind, read in the `async fn` that makes the module, and at the end of what changes it, and keep the value. A loop that polls
/// until it comes (`block_on`) is no way out on a device: for as long as it runs no other task does, and if one of them has the flash, that
/// is for ever.
///
/// # Cancellation
///
/// A future that would have to wait is dropped, begun as it is. So it is for reading: a write may be half done then.
pub fn now<F: IntoFuture>(future: F) -> Option<F::Output> {
    match pin!(future.into_future()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
