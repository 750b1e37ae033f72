//! The table of one module, as constants.

/// The states of a deployment in which a module is called, except `download` (which takes the payload and is
/// [`UpdateModule::download`](super::UpdateModule::download)).
///
/// Names and order are mender-mcu's. "Again" says in what case a state is entered a second time for one deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CallbackState {
    /// Make the downloaded software the one that runs next. For a module that requires a reboot nothing may be
    /// active before the reboot. An error leads to `failure` for a module that requires a reboot (it undoes there what
    /// it prepared), to `rollback` for others. After a power cut in here: `verify_reboot` for modules that require a
    /// reboot (it finds the old software and fails, or the new one and goes on), `rollback` for others.
    Install,
    /// Restart the device. Returning `Ok` means that the restart is under way: the client waits for it.
    /// An error leads to `rollback`.
    Reboot,
    /// First call after the restart: is the new software what runs now, and does it work? An error leads to
    /// `rollback`. Again after a power cut.
    VerifyReboot,
    /// Make the new software permanent, but keep what a rollback needs. Called only after the new software
    /// has logged in to the server and reported. An error, or a power cut in here, leads to `rollback`.
    Commit,
    /// The deployment is over, well or badly: release what it used. The only state in which the old software may
    /// be dropped after a success. Errors are logged. Again after a power cut.
    Cleanup,
    /// Get back to the old software, also after a `commit` that was cut, and if `install` never began. An error leads to `failure`, and the
    /// artifact name gets Mender's suffix `_INCONSISTENT`. Again after a power cut.
    Rollback,
    /// Restart the device into the old software. After an error or a restart: `rollback_verify_reboot`.
    RollbackReboot,
    /// Does the old software run again? An error leads to `rollback_reboot` again, until the limit of transitions.
    /// Again after a power cut.
    RollbackVerifyReboot,
    /// The deployment failed after its download: leave the old software in use and undo what `install` did.
    /// Errors are logged; `cleanup` follows. Again after a power cut, and `rollback_verify_reboot` first for a module that
    /// requires a reboot and supports a rollback: the restart may have started the new software.
    Failure,
}

impl CallbackState {
    /// All nine, in the order of a deployment.
    pub const ALL: [CallbackState; 9] = [
        CallbackState::Install,
        CallbackState::Reboot,
        CallbackState::VerifyReboot,
        CallbackState::Commit,
        CallbackState::Cleanup,
        CallbackState::Rollback,
        CallbackState::RollbackReboot,
        CallbackState::RollbackVerifyReboot,
        CallbackState::Failure,
    ];

    /// The name as written in `#[update_module(on(...))]`, in logs and in Mender's documentation.
    pub const fn name(self) -> &'static str {
        match self {
            CallbackState::Install => "install",
            CallbackState::Reboot => "reboot",
            CallbackState::VerifyReboot => "verify_reboot",
            CallbackState::Commit => "commit",
            CallbackState::Cleanup => "cleanup",
            CallbackState::Rollback => "rollback",
            CallbackState::RollbackReboot => "rollback_reboot",
            CallbackState::RollbackVerifyReboot => "rollback_verify_reboot",
            CallbackState::Failure => "failure",
        }
    }

    const fn bit(self) -> u16 {
        match self {
            CallbackState::Install => 1 << 0,
            CallbackState::Reboot => 1 << 1,
            CallbackState::VerifyReboot => 1 << 2,
            CallbackState::Commit => 1 << 3,
            CallbackState::Cleanup => 1 << 4,
            CallbackState::Rollback => 1 << 5,
            CallbackState::RollbackReboot => 1 << 6,
            CallbackState::RollbackVerifyReboot => 1 << 7,
            CallbackState::Failure => 1 << 8,
        }
    }
}

/// A set of [`CallbackState`]s, built in `const` context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct States(u16);

impl States {
    /// The empty set.
    pub const NONE: States = States(0);

    /// The set with `state` added.
    #[must_use]
    pub const fn with(self, state: CallbackState) -> States {
        States(self.0 | state.bit())
    }

    /// The set with `state` added if `condition` is so.
    #[must_use]
    pub const fn with_if(self, state: CallbackState, condition: bool) -> States {
        if condition { self.with(state) } else { self }
    }

    /// Whether `state` is in the set.
    pub const fn contains(self, state: CallbackState) -> bool {
        self.0 & state.bit() != 0
    }
}

/// The two properties of a module that change the path of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Traits {
    /// See [`Descriptor::requires_reboot`].
    pub requires_reboot: bool,
    /// See [`Descriptor::supports_rollback`].
    pub supports_rollback: bool,
}

/// A module's table: what the client knows about it without calling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Descriptor {
    /// The artifact's payload type that this module takes, e.g. `zephyr-image`. Not empty.
    pub artifact_type: &'static str,
    /// The new software runs only after a restart of the device.
    pub requires_reboot: bool,
    /// The old software can be brought back after `install`.
    pub supports_rollback: bool,
    /// The states in which the module wants to be called (besides download).
    pub states: States,
}

impl Descriptor {
    /// The two properties that change the path of a deployment.
    pub const fn traits(&self) -> Traits {
        Traits {
            requires_reboot: self.requires_reboot,
            supports_rollback: self.supports_rollback,
        }
    }
}
