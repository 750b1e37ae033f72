//! A module that takes patches beside whole images, and the memory for it. Depends on the patch, and on [`mod@mender::update_module`].

use core::future::Future;

use mender::update_module::{CallbackState, Descriptor, Failure, Payload, UpdateModule};

/// What a module needs to apply patches, lent to it: place it in a `static`.
///
/// `WINDOW` is the longest window of heatshrink's that can be used, a power of two: patches have to be made with
/// `--heatshrink-window-sz2 10` for 1024 bytes. `BUFFER` bytes of the new image are made at once.
#[derive(Debug)]
pub struct Memory<const WINDOW: usize = 1024, const BUFFER: usize = 256> {
    window: [u8; WINDOW],
    buffer: [u8; BUFFER],
}

impl<const WINDOW: usize, const BUFFER: usize> Memory<WINDOW, BUFFER> {
    /// The memory. Does not compile with a `BUFFER` of nothing.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(BUFFER > 0, "BUFFER must not be 0") };
        Memory {
            window: [0; WINDOW],
            buffer: [0; BUFFER],
        }
    }
}

impl<const WINDOW: usize, const BUFFER: usize> Default for Memory<WINDOW, BUFFER> {
    fn default() -> Self {
        Memory::new()
    }
}

/// [`Memory`], whatever its lengths.
#[derive(Debug)]
pub struct Lent<'m> {
    pub(crate) window: &'m mut [u8],
    pub(crate) buffer: &'m mut [u8],
}

pub(crate) mod sealed {
    use super::{Failure, Future, Lent, Payload, UpdateModule};

    /// A module whose images can be made by patches.
    pub trait Patched: UpdateModule {
        /// The payload types of such artifacts.
        const TYPES: &'static [&'static str];

        /// The state `download`, for artifacts of its own type and of these.
        fn download(
            &mut self,
            payload: &mut Payload<'_>,
            memory: Lent<'_>,
        ) -> impl Future<Output = Result<(), Failure>>;
    }
}

use sealed::Patched;

/// A module that takes artifacts with patches beside those with whole images. All that follows the download is the module's own.
///
/// Made by [`ZephyrImage::taking_patches`](crate::mcuboot::ZephyrImage::taking_patches) or
/// [`EmbassyBoot::taking_patches`](crate::embassy_boot::EmbassyBoot::taking_patches).
#[derive(Debug)]
pub struct TakingPatches<'m, T> {
    module: T,
    memory: Lent<'m>,
}

impl<'m, T: Patched> TakingPatches<'m, T> {
    pub(crate) fn new<const WINDOW: usize, const BUFFER: usize>(
        module: T,
        memory: &'m mut Memory<WINDOW, BUFFER>,
    ) -> Self {
        TakingPatches {
            module,
            memory: Lent {
                window: &mut memory.window,
                buffer: &mut memory.buffer,
            },
        }
    }

    /// The module, for what it offers beyond the states of a deployment.
    pub const fn module(&mut self) -> &mut T {
        &mut self.module
    }

    /// Gives the module back, which takes no patches then.
    #[must_use]
    pub fn into_module(self) -> T {
        self.module
    }
}

impl<T: Patched> UpdateModule for TakingPatches<'_, T> {
    const DESCRIPTOR: Descriptor = Descriptor {
        other_types: T::TYPES,
        ..T::DESCRIPTOR
    };

    fn download(&mut self, payload: &mut Payload<'_>) -> impl Future<Output = Result<(), Failure>> {
        let memory = Lent {
            window: self.memory.window,
            buffer: self.memory.buffer,
        };
        Patched::download(&mut self.module, payload, memory)
    }

    fn call(&mut self, state: CallbackState) -> impl Future<Output = Result<(), Failure>> {
        self.module.call(state)
    }
}
