//! The deployment state machine: what happens in which order, and where a deployment goes on after a power cut.
//!
//! Pure: no await, no IO, no clock. The [`Machine`] says which [`Action`] is due; whoever drives it performs the action
//! and answers with an [`Event`]. [`record`] holds the layouts of what is kept in storage. Depends only on
//! [`CallbackState`](crate::update_module::CallbackState) and [`Provides`](crate::provides::Provides).
//!
//! Source of the rules: mender-mcu's state machine (names, order, limit of 28), with these differences:
//!
//! - `rollback_reboot` only for modules that require a reboot; others go from `rollback` to `failure`.
//! - A stored `reboot` found at boot means that the reboot has happened: `verify_reboot` follows and decides.
//! - Artifact name, provides and the fact of the commit become durable in one write, after the module's commit.
//! - A failed `install` of a module that requires no reboot is rolled back, as the Linux client does: its software may be
//!   half new. `rollback` must therefore do right also if `install` never began.
//! - A restart before `install` was due is a failure without a rollback: nothing is active before it, whatever the module
//!   can do.
//! - A device that restarts in `failure` looks (`rollback_verify_reboot`) before it says that the old software runs.
//! - A failure that cannot be stored is undone by `failure` before it is reported, and after it: storage still says that the
//!   deployment goes on, and after a restart it must find nothing to go on with.
//! - The final status is owed until the server has taken it, also across restarts.
//! - The limit counts every transition, stored or not.
//!
//! What all of this guarantees, whatever happens: *reported success ⇔ the new software runs and is committed;
//! reported failure ⇔ the old software runs*, or the module could not roll back, and the device's artifact name is then the
//! new one with Mender's suffix `_INCONSISTENT`, its provides the new ones (as in the Linux client).
//!
#![doc = include_str!("../../pictures/states.svg")]

mod machine;
pub mod record;
mod step;

pub use crate::update_module::Traits;
pub use machine::{DEFAULT_TRANSITION_LIMIT, Machine, Stored};
pub use step::{Action, Delivery, Ending, Event, Progress, Software, State, StoredState, Verdict};

/// What Mender appends to the artifact name when neither the old nor the new software is known to run completely.
pub const INCONSISTENT_SUFFIX: &str = "_INCONSISTENT";
