//! Two versions of software, and a bootloader that swaps on request and reverts what was not confirmed, as a module sees them.

use crate::update_module::{CallbackState, Descriptor, States};

/// The modules of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// The artifact has no payload: nothing but provides.
    NoPayload,
    Module {
        reboot: bool,
        rollback: bool,
    },
}

const PAYLOAD_TYPE: &str = "zephyr-image";

const fn descriptor(requires_reboot: bool, supports_rollback: bool) -> Descriptor {
    Descriptor {
        artifact_type: PAYLOAD_TYPE,
        other_types: &[],
        requires_reboot,
        supports_rollback,
        states: States::NONE,
    }
}

static MODULES: [[Descriptor; 1]; 4] = [
    [descriptor(false, false)],
    [descriptor(false, true)],
    [descriptor(true, false)],
    [descriptor(true, true)],
];

impl Kind {
    pub(super) const ALL: [Kind; 5] = [
        Kind::NoPayload,
        Kind::module(false, false),
        Kind::module(false, true),
        Kind::module(true, false),
        Kind::module(true, true),
    ];

    pub(super) const fn module(reboot: bool, rollback: bool) -> Kind {
        Kind::Module { reboot, rollback }
    }

    pub(super) fn modules(self) -> &'static [Descriptor] {
        match self {
            Kind::NoPayload => &[],
            Kind::Module { reboot, rollback } => &MODULES[usize::from(reboot) * 2 + usize::from(rollback)],
        }
    }

    pub(super) fn payload_type(self) -> &'static str {
        match self {
            Kind::NoPayload => "",
            Kind::Module { .. } => PAYLOAD_TYPE,
        }
    }

    fn reboots(self) -> bool {
        match self {
            Kind::NoPayload => false,
            Kind::Module { reboot, .. } => reboot,
        }
    }
}

/// What the bootloader is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Request {
    Test,
    Back,
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Software {
    runs_new: bool,
    confirmed: bool,
    request: Option<Request>,
    /// The module has asked for a restart, and it is under way.
    pub(super) restarting: bool,
}

impl Software {
    pub(super) const OLD: Software = Software {
        runs_new: false,
        confirmed: true,
        request: None,
        restarting: false,
    };

    /// Whatever may run when a device starts.
    pub(super) fn all() -> impl Iterator<Item = Software> {
        let software = |runs_new, confirmed| Software {
            runs_new,
            confirmed,
            ..Software::OLD
        };
        [software(false, true), software(true, false), software(true, true)].into_iter()
    }

    /// The new software runs, and stays.
    pub(super) fn is_new(&self, kind: Kind) -> bool {
        kind == Kind::NoPayload || (self.runs_new && self.confirmed)
    }

    /// The old software runs.
    pub(super) fn is_old(&self, kind: Kind) -> bool {
        kind == Kind::NoPayload || !self.runs_new
    }

    /// A bootloader's work. Without one, what was put in place stays in place.
    pub(super) fn boot(&mut self, kind: Kind) {
        self.restarting = false;
        if !kind.reboots() {
            return;
        }
        match self.request.take() {
            Some(Request::Test) => (self.runs_new, self.confirmed) = (true, false),
            Some(Request::Back) => (self.runs_new, self.confirmed) = (false, true),
            None if self.runs_new && !self.confirmed => (self.runs_new, self.confirmed) = (false, true),
            None => {}
        }
    }

    /// Whether a callback can succeed: those that look at what runs do not always.
    pub(super) fn succeeds(&self, state: CallbackState) -> bool {
        match state {
            CallbackState::VerifyReboot => self.runs_new,
            CallbackState::RollbackVerifyReboot => !self.runs_new,
            CallbackState::Install
            | CallbackState::Reboot
            | CallbackState::Commit
            | CallbackState::Cleanup
            | CallbackState::Rollback
            | CallbackState::RollbackReboot
            | CallbackState::Failure => true,
        }
    }

    /// A callback's effect.
    pub(super) fn call(&mut self, kind: Kind, state: CallbackState) {
        match state {
            CallbackState::Install if kind.reboots() => self.request = Some(Request::Test),
            CallbackState::Install => (self.runs_new, self.confirmed) = (true, false),
            CallbackState::Reboot | CallbackState::RollbackReboot => self.restarting = true,
            CallbackState::Commit => self.confirmed = true,
            CallbackState::Rollback if kind.reboots() => {
                self.request = (self.runs_new && self.confirmed).then_some(Request::Back);
            }
            CallbackState::Rollback => (self.runs_new, self.confirmed) = (false, true),
            CallbackState::Failure if kind.reboots() => self.request = None,
            CallbackState::Failure
            | CallbackState::VerifyReboot
            | CallbackState::RollbackVerifyReboot
            | CallbackState::Cleanup => {}
        }
    }
}
