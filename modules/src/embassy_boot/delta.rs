//! Patches in the place of images. Depends on the download.

use core::future::poll_fn;
use core::pin::pin;

use embedded_storage_async::nor_flash::NorFlash;
use mender::update_module::{Failure, Payload};

use super::{EmbassyBoot, ImageType};
use crate::Restart;
use crate::apart::poll_apart;
use crate::content::WholeOrPatch;
use crate::delta::sealed::Patched;
use crate::delta::{Lent, Memory, TakingPatches};

impl<A: NorFlash, D: NorFlash, S: NorFlash, R: Restart, T: ImageType, const BUFFER: usize>
    EmbassyBoot<A, D, S, R, T, BUFFER>
{
    /// The same module, which also takes artifacts of the type [`ImageType::PATCH_NAME`]: see "Patches" in the
    /// [module documentation](super).
    #[must_use]
    pub fn taking_patches<const WINDOW: usize, const PIECE: usize>(
        self,
        memory: &mut Memory<WINDOW, PIECE>,
    ) -> TakingPatches<'_, Self> {
        TakingPatches::new(self, memory)
    }
}

impl<A: NorFlash, D: NorFlash, S: NorFlash, R: Restart, T: ImageType, const BUFFER: usize> Patched
    for EmbassyBoot<A, D, S, R, T, BUFFER>
{
    const TYPES: &'static [&'static str] = &[T::PATCH_NAME];

    async fn download(&mut self, payload: &mut Payload<'_>, memory: Lent<'_>) -> Result<(), Failure> {
        let mut content = WholeOrPatch::new(memory, Self::TYPES);
        let mut len = 0;
        let done = {
            let mut receive = pin!(self.partitions.receive(payload, &mut len, &mut content));
            poll_fn(|cx| poll_apart(receive.as_mut(), cx)).await
        };
        done.map_err(|stop| Failure::of(&stop.error(len, self.max_image_len())))
    }
}
