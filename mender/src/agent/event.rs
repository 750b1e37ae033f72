//! What an observer is told.

use crate::api::auth::AuthRefused;
use crate::api::status::DeploymentStatus;
use crate::deployment::{State, Verdict};

/// What an observer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'a> {
    /// The server gave a token.
    Authorized,
    /// The server gave none; usually because nobody has accepted the device yet. Tried again with backoff.
    Unauthorized(AuthRefused),
    /// The server has nothing for this device.
    NoUpdate,
    /// The server offers a deployment.
    Offered {
        /// The server's deployment id.
        id: &'a str,
        /// The release.
        artifact_name: &'a str,
    },
    /// A deployment found in storage goes on after a restart.
    Resumed {
        /// The server's deployment id.
        id: &'a str,
        /// Where it goes on.
        state: State,
    },
    /// A deployment enters a state.
    Entered(State),
    /// Bytes of the artifact that arrived, compressed ones as they are.
    Progress {
        /// So far.
        received: u64,
        /// Of how many, if the server said.
        total: Option<u64>,
    },
    /// A status was reported.
    Status {
        /// The status.
        status: DeploymentStatus,
        /// The server stored it.
        stored: bool,
    },
    /// A module's restart is awaited.
    AwaitingRestart,
    /// The deployment is over.
    Finished(Verdict),
    /// A record cannot be read at the start. Nothing is known of what runs then, so nothing is done and nothing is told to the server
    /// before it can be; it is tried again with backoff.
    StorageFails,
    /// An inventory report was accepted.
    InventorySent {
        /// Number of attributes.
        attributes: usize,
    },
}
