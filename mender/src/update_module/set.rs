//! Registration: a tuple of modules, dispatched statically.

use core::future::Future;

use super::{CallbackState, Descriptor, Failure, Payload, UpdateModule};
use crate::text::same;

/// A module's place in its [`ModuleSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ModuleIndex(u8);

impl ModuleIndex {
    /// The place with this number, counted from 0.
    pub(crate) const fn new(place: u8) -> ModuleIndex {
        ModuleIndex(place)
    }
}

mod sealed {
    pub trait Sealed {}
}

/// One to eight modules, as a tuple. Each artifact type may occur once: a second module for it does not compile.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tuple of one to eight update modules",
    label = "expected a tuple of update modules",
    note = "write `(module,)` for one module: the comma makes it a tuple"
)]
pub trait ModuleSet: sealed::Sealed {
    /// The modules' tables, in the tuple's order.
    const DESCRIPTORS: &'static [Descriptor];

    /// The module for an artifact's payload type.
    fn find(artifact_type: &str) -> Option<ModuleIndex> {
        let place = Self::DESCRIPTORS
            .iter()
            .position(|d| d.artifact_type == artifact_type)?;
        u8::try_from(place).ok().map(ModuleIndex)
    }

    /// The table of a module.
    fn descriptor(module: ModuleIndex) -> Option<&'static Descriptor> {
        Self::DESCRIPTORS.get(usize::from(module.0))
    }

    /// Calls [`UpdateModule::download`] of a module.
    fn download(&mut self, module: ModuleIndex, payload: &mut Payload<'_>)
    -> impl Future<Output = Result<(), Failure>>;

    /// Calls a state of a module, or succeeds at once if the module does not list it.
    fn call(&mut self, module: ModuleIndex, state: CallbackState) -> impl Future<Output = Result<(), Failure>>;
}

const fn check(descriptors: &[Descriptor]) {
    let mut i = 0;
    while i < descriptors.len() {
        assert!(
            !descriptors[i].artifact_type.is_empty(),
            "an update module's artifact_type is empty"
        );
        let mut j = i + 1;
        while j < descriptors.len() {
            assert!(
                !same(descriptors[i].artifact_type, descriptors[j].artifact_type),
                "two update modules of the tuple have the same artifact_type: keep one of them"
            );
            j += 1;
        }
        i += 1;
    }
}

macro_rules! tuple {
    ($($module:ident $index:tt),+) => {
        impl<$($module: UpdateModule),+> sealed::Sealed for ($($module,)+) {}

        impl<$($module: UpdateModule),+> ModuleSet for ($($module,)+) {
            const DESCRIPTORS: &'static [Descriptor] = {
                check(&[$($module::DESCRIPTOR),+]);
                &[$($module::DESCRIPTOR),+]
            };

            async fn download(&mut self, module: ModuleIndex, payload: &mut Payload<'_>) -> Result<(), Failure> {
                $(if module.0 == $index {
                    return self.$index.download(payload).await;
                })+
                Err(Failure::of("no such update module"))
            }

            async fn call(&mut self, module: ModuleIndex, state: CallbackState) -> Result<(), Failure> {
                $(if module.0 == $index {
                    return if $module::DESCRIPTOR.states.contains(state) {
                        self.$index.call(state).await
                    } else {
                        Ok(())
                    };
                })+
                Err(Failure::of("no such update module"))
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
