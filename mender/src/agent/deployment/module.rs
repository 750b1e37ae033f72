//! Who installs an artifact, and why a download failed. Pure.

use crate::codes::Code;
use crate::deployment::Traits;
use crate::text::{Describe, Text};
use crate::update_module::{Descriptor, Failure, ModuleIndex};

const RECORD: Code = Code::new(77);
const UNFINISHED: Code = Code::new(79);
const WRONG_TYPE: Code = Code::new(80);

/// Who installs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    /// Not known before the artifact's header, or not needed: an artifact without a payload.
    None,
    /// Registered.
    Known(ModuleIndex, Traits),
    /// The deployment was begun by a firmware that had a module which this one has not.
    Missing,
}

impl Module {
    /// The module for a payload type; none for an empty one.
    pub(crate) fn find(modules: &[Descriptor], payload_type: &str) -> Module {
        if payload_type.is_empty() {
            return Module::None;
        }
        let found = (0_u8..).zip(modules).find(|(_, module)| module.takes(payload_type));
        match found {
            Some((index, module)) => Module::Known(ModuleIndex::new(index), module.traits()),
            None => Module::Missing,
        }
    }

    pub(crate) fn traits(self) -> Traits {
        match self {
            Module::Known(_, traits) => traits,
            // Without a payload nothing is installed, so there is nothing to go back from. A module that is missing is asked to
            // roll back, which it cannot; that is told.
            Module::None | Module::Missing => Traits {
                requires_reboot: false,
                supports_rollback: true,
            },
        }
    }
}

/// Why a download failed, where the client's own side of it does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The artifact is malformed, damaged, or not supported.
    Artifact(crate::artifact::Error),
    /// No module takes it; its payload type.
    WrongType(Failure),
    /// It does not fit this device.
    Misfit(Failure),
    /// What a record of it would need is more than there is room for.
    Record,
    /// The module's reason.
    Module(Failure),
    /// The stream ended early, for a reason that is known elsewhere.
    Unfinished,
}

impl Trouble {
    pub(super) fn describe(&self, out: &mut Text<'_>) {
        match self {
            Trouble::Artifact(error) => error.describe(out),
            Trouble::WrongType(payload_type) => {
                out.code(WRONG_TYPE);
                out.push("\"");
                out.push(payload_type.as_str());
                out.push("\"");
            }
            Trouble::Misfit(failure) => out.push(failure.as_str()),
            Trouble::Record => out.code(RECORD),
            Trouble::Module(failure) => {
                out.push("download: ");
                out.push(failure.as_str());
            }
            Trouble::Unfinished => out.code(UNFINISHED),
        }
    }
}
