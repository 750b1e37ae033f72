//! Registration: a tuple of modules, dispatched statically; or, on hosts, modules that are known only at run time.

use core::future::Future;

use super::{CallbackState, Descriptor, Failure, Payload, Traits, UpdateModule};
use crate::text::same;

/// A module's place in its [`ModuleSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ModuleIndex(u8);

impl ModuleIndex {
    /// The place with this number, counted from 0.
    pub const fn new(place: u8) -> ModuleIndex {
        ModuleIndex(place)
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// What a callback that went well says beyond that. Modules in a tuple say nothing: their tables say all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Late {
    /// Of `install`, of a module that did not require a reboot before: this update does. The client stores that before it calls
    /// `reboot`. Of any other callback it means nothing.
    NeedsReboot,
    /// Of `reboot` and `rollback_reboot`: what had to restart has restarted, and it was not this device (a peripheral, say). The
    /// client goes on with `verify_reboot` or `rollback_verify_reboot` at once. Of any other callback it means nothing.
    Restarted,
}

/// One to eight modules, as a tuple. Each artifact type may occur once: a second module for it does not compile.
///
/// That is found by `cargo build`, at the call of [`Client::new`](crate::client::Client::new). `cargo check` evaluates no constant that
/// depends on a type parameter; it finds it too beside a line of one's own:
///
/// ```
/// # use mender::update_module;
/// # #[update_module(artifact_type = "font", no_payload)]
/// # struct Font;
/// # #[update_module(artifact_type = "table", no_payload)]
/// # struct Table;
/// use mender::update_module::{Descriptor, ModuleSet};
///
/// const _: &[Descriptor] = <(Font, Table)>::DESCRIPTORS;
/// ```
///
/// Implement it by hand only for modules that are known at run time: programs of a host, found in a folder. Such a set gives its
/// tables by [`descriptors`](ModuleSet::descriptors), and what is known still later with the results of `download` and `call`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tuple of one to eight update modules",
    label = "expected a tuple of update modules",
    note = "write `(module,)` for one module: the comma makes it a tuple"
)]
pub trait ModuleSet {
    /// The tables of the modules that are known when the program is compiled, in the tuple's order.
    const DESCRIPTORS: &'static [Descriptor] = &[];

    /// The modules' tables: asked for when the client starts, and again whenever an artifact's header has been read.
    ///
    /// A module keeps its place as long as the client runs: tables are added at the end. At the start the table of a module
    /// whose deployment goes on must say what the module had answered before the restart.
    fn descriptors(&mut self) -> &'static [Descriptor] {
        Self::DESCRIPTORS
    }

    /// The module for an artifact's payload type, among those that are known when the program is compiled.
    fn find(artifact_type: &str) -> Option<ModuleIndex> {
        let place = Self::DESCRIPTORS.iter().position(|d| d.takes(artifact_type))?;
        u8::try_from(place).ok().map(ModuleIndex)
    }

    /// Calls [`UpdateModule::download`] of a module. Gives what is true of the module for this artifact, if its table does not say
    /// it; what requires a reboot only by the answer of `install` does not require one here.
    fn download(
        &mut self,
        module: ModuleIndex,
        payload: &mut Payload<'_>,
    ) -> impl Future<Output = Result<Option<Traits>, Failure>>;

    /// Calls a state of a module, or succeeds at once if the module does not list it.
    fn call(
        &mut self,
        module: ModuleIndex,
        state: CallbackState,
    ) -> impl Future<Output = Result<Option<Late>, Failure>>;
}

const fn check(descriptors: &[Descriptor]) {
    let mut i = 0;
    while i < descriptors.len() {
        let Descriptor {
            artifact_type,
            other_types,
            ..
        } = descriptors[i];
        assert!(!artifact_type.is_empty(), "an update module's artifact_type is empty");
        let mut j = i + 1;
        while j < descriptors.len() {
            if takes(&descriptors[j], artifact_type) {
                refuse(artifact_type);
            }
            let mut k = 0;
            while k < other_types.len() {
                if takes(&descriptors[j], other_types[k]) {
                    refuse(other_types[k]);
                }
                k += 1;
            }
            j += 1;
        }
        i += 1;
    }
}

/// The compiler's message for two modules of one artifact type. Names it, though `format!` cannot be had in constants.
const fn refuse(artifact_type: &str) -> ! {
    const BEFORE: &[u8] = b"two update modules of the tuple have the artifact_type `";
    const AFTER: &[u8] = b"`: keep one of them";
    let parts = [BEFORE, artifact_type.as_bytes(), AFTER];
    let mut text = [0; 256];
    let mut len = 0;
    let mut part = 0;
    while part < parts.len() {
        let mut i = 0;
        while i < parts[part].len() && len < text.len() {
            text[len] = parts[part][i];
            len += 1;
            i += 1;
        }
        part += 1;
    }
    match core::str::from_utf8(text.split_at(len).0) {
        Ok(text) => panic!("{}", text),
        // Too long for the message, and cut inside a letter.
        Err(_) => panic!("two update modules of the tuple have the same artifact_type: keep one of them"),
    }
}

/// [`Descriptor::takes`], for constants.
const fn takes(descriptor: &Descriptor, payload_type: &str) -> bool {
    let mut taken = same(descriptor.artifact_type, payload_type);
    let mut i = 0;
    while i < descriptor.other_types.len() {
        taken |= same(descriptor.other_types[i], payload_type);
        i += 1;
    }
    taken
}

macro_rules! tuple {
    ($($module:ident $index:tt),+) => {
        impl<$($module: UpdateModule),+> ModuleSet for ($($module,)+) {
            const DESCRIPTORS: &'static [Descriptor] = {
                check(&[$($module::DESCRIPTOR),+]);
                &[$($module::DESCRIPTOR),+]
            };

            async fn download(&mut self, module: ModuleIndex, payload: &mut Payload<'_>) -> Result<Option<Traits>, Failure> {
                $(if module.0 == $index {
                    self.$index.download(payload).await?;
                    return Ok(None);
                })+
                Err(Failure::of("no such update module"))
            }

            async fn call(&mut self, module: ModuleIndex, state: CallbackState) -> Result<Option<Late>, Failure> {
                $(if module.0 == $index {
                    if $module::DESCRIPTOR.states.contains(state) {
                        self.$index.call(state).await?;
                    }
                    return Ok(None);
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
