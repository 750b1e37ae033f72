//! Patches in the place of images. Depends on the download.

use core::future::poll_fn;
use core::pin::pin;

use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module::{Failure, Payload};

use super::ZephyrImage;
use super::mode::Mode;
use crate::Restart;
use crate::apart::poll_apart;
use crate::content::WholeOrPatch;
use crate::delta::sealed::Patched;
use crate::delta::{Lent, Memory, TakingPatches};

impl<P: NorFlash, S: NorFlash, R: Restart, const BUFFER: usize, M: Mode> ZephyrImage<P, S, R, BUFFER, M> {
    /// The same module, which also takes artifacts of the type `zephyr-image-delta`: see "Patches" in the
    /// [module documentation](super). The last of the settings.
    #[must_use]
    pub fn taking_patches<const WINDOW: usize, const PIECE: usize>(
        self,
        memory: &mut Memory<WINDOW, PIECE>,
    ) -> TakingPatches<'_, Self> {
        TakingPatches::new(self, memory)
    }
}

impl<P: NorFlash, S: NorFlash, R: Restart, const BUFFER: usize, M: Mode> Patched for ZephyrImage<P, S, R, BUFFER, M> {
    const TYPES: &'static [&'static str] = &["zephyr-image-delta"];

    async fn download(&mut self, payload: &mut Payload<'_>, memory: Lent<'_>) -> Result<(), Failure> {
        let mut content = WholeOrPatch::new(memory, Self::TYPES);
        let done = {
            let mut receive = pin!(self.slots.receive(payload, &self.options, &mut content));
            poll_fn(|cx| poll_apart(receive.as_mut(), cx)).await
        };
        done.map_err(|stop| Failure::of(&self.slots.numbers.error(stop)))
    }
}
