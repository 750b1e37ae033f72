//! The table of one module, as constants.

/// The states of a deployment in which a module is called, except `download` (which takes the payload and is
/// [`UpdateModule::download`](super::UpdateModule::download)).
///
/// Names and order are mender-mcu's. "Again" says in what case a state is entered a second time for one deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CallbackState {
    /// Make the downloaded software the one that runs next.
    ///
    /// - A module that requires a reboot only asks for it here: nothing new may be active before the reboot. If this fails,
    ///   `failure` follows, and takes the request back. After a power cut in here the device has restarted anyway, so
    ///   `verify_reboot` follows, and looks which software runs.
    /// - Any other module replaces the software here. If this fails, or power is lost in here, `rollback` follows.
    Install,
    /// Restart the device. `Ok` means that the restart is under way, and the client waits for it. If this fails, `rollback`
    /// follows.
    Reboot,
    /// The first call after the restart. Is the new software what runs now, and does it work? If it says no, `rollback` follows.
    /// After a power cut in here it is asked again.
    VerifyReboot,
    /// Make the new software permanent: this is where a bootloader is told that it works. Called only after the new software
    /// has reached the server. If this fails, or power is lost in here, `rollback` follows: so keep the old software until
    /// `cleanup`.
    Commit,
    /// The deployment is over, well or badly: release what it used. After a success this is the first state in which the old
    /// software may be dropped. If this fails, that is logged and nothing else. After a power cut in here it is called again.
    Cleanup,
    /// Get back to the old software, from wherever the update got to. Three cases are easy to forget:
    ///
    /// - `install` has changed nothing yet: power was lost before its first write. Then there is nothing to do.
    /// - `install` has done half of its work.
    /// - `commit` has made the new software permanent, and power was lost before that was recorded. Then it must be undone.
    ///
    /// If this fails, `failure` follows, and the artifact's name gets Mender's suffix `_INCONSISTENT`. After a power cut in here it is
    /// called again.
    Rollback,
    /// Restart the device into the old software. `rollback_verify_reboot` follows, also if this fails.
    RollbackReboot,
    /// Does the old software run again? If it says no, `rollback_reboot` follows once more, until the limit of transitions. After a
    /// power cut in here it is asked again.
    RollbackVerifyReboot,
    /// The deployment failed after its download. Undo what `install` has prepared and nobody has undone yet, so that the old software
    /// stays in use at the next restart too. If this fails, that is logged; `cleanup` follows. After a power cut in here it is
    /// called again; a module that requires a reboot and supports a rollback is asked `rollback_verify_reboot` before, as the restart
    /// may have started the new software.
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
    /// Other payload types that it takes, e.g. for patches of what it installs: [`Artifact::payload_type`](super::Artifact::payload_type) says
    /// which one came. The attribute leaves them empty.
    pub other_types: &'static [&'static str],
    /// The new software runs only after a restart of the device.
    pub requires_reboot: bool,
    /// The old software can be brought back after `install`.
    pub supports_rollback: bool,
    /// The states in which the module wants to be called (besides download).
    pub states: States,
}

impl Descriptor {
    /// Whether the module takes artifacts of this payload type.
    pub fn takes(&self, payload_type: &str) -> bool {
        self.artifact_type == payload_type || self.other_types.contains(&payload_type)
    }

    /// The two properties that change the path of a deployment.
    pub const fn traits(&self) -> Traits {
        Traits {
            requires_reboot: self.requires_reboot,
            supports_rollback: self.supports_rollback,
        }
    }
}
