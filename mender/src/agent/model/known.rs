//! What one failing storage operation still does to a deployment: the known faults of the client, one by one.
//!
//! Each is to be mended, and then leaves this table: the check fails when one that is listed no longer occurs.

use super::world::{FaultAt, Key, Lie, Op, When};
use crate::deployment::{Software, State, StoredState, Verdict};

/// A case in which an operation that fails leads to what is not so.
pub(super) struct Known {
    pub(super) name: &'static str,
    op: Op,
    key: Key,
    /// The write reached the storage all the same.
    effect: bool,
    when: &'static [When],
    /// As well, but only if a callback fails beside it: the long walk.
    beside_a_failure: &'static [When],
    lies: &'static [Lie],
}

const fn start(state: StoredState) -> When {
    When::Start(Some(state))
}

pub(super) const KNOWN: &[Known] = &[
    // The server is told of a failure before the name can carry `_INCONSISTENT`: what half runs is known by the old name.
    Known {
        name: "an artifact name that cannot be marked as inconsistent is not marked, and nobody tries again",
        op: Op::Write,
        key: Key::Installed,
        effect: false,
        when: &[When::In(State::Failure)],
        beside_a_failure: &[],
        lies: &[Lie::Failure, Lie::Name],
    },
    // The name in memory stays the old one until the next start; then polls tell the marked one.
    Known {
        name: "a mark that is stored although the write failed is not known to the running client",
        op: Op::Write,
        key: Key::Installed,
        effect: true,
        when: &[When::In(State::Failure)],
        beside_a_failure: &[],
        lies: &[Lie::Poll],
    },
    // A record that cannot be read is taken for one that is not there, and the client polls. What `install` has begun stays as
    // it is: half new, new by the old name, or reverted by a bootloader at the next start.
    Known {
        name: "a deployment whose record cannot be read at the start is forgotten halfway",
        op: Op::Read,
        key: Key::Deployment,
        effect: false,
        when: &[
            start(StoredState::Install),
            start(StoredState::Reboot),
            start(StoredState::Commit),
            start(StoredState::Rollback),
            start(StoredState::Failure(Software::Inconsistent)),
        ],
        beside_a_failure: &[start(StoredState::Failure(Software::Old))],
        lies: &[Lie::Name],
    },
    // Between the commit and the next state record only the installed record says that the deployment was committed.
    Known {
        name: "a committed deployment is rolled back if the installed record cannot be read at the start",
        op: Op::Read,
        key: Key::Installed,
        effect: false,
        when: &[start(StoredState::Commit)],
        beside_a_failure: &[],
        lies: &[Lie::Failure, Lie::TwoVerdicts, Lie::Name],
    },
    // Until the next start the client takes the name of the configuration for that of what runs.
    Known {
        name: "a client that cannot read the installed record at the start polls by another name",
        op: Op::Read,
        key: Key::Installed,
        effect: false,
        when: &[
            start(StoredState::Idle),
            start(StoredState::Cleanup),
            start(StoredState::Owed(Verdict::Success)),
            start(StoredState::Owed(Verdict::Failure)),
        ],
        beside_a_failure: &[],
        lies: &[Lie::Poll],
    },
    // "Nobody knows how far it got" leads to a rollback, also long after the deployment was over. Its old software, and its
    // name, may be gone by then.
    Known {
        name: "a deployment that was committed is rolled back if the state record cannot be read at the start",
        op: Op::Read,
        key: Key::State,
        effect: false,
        when: &[
            start(StoredState::Idle),
            start(StoredState::Commit),
            start(StoredState::Cleanup),
            start(StoredState::Owed(Verdict::Success)),
        ],
        beside_a_failure: &[],
        lies: &[Lie::Failure, Lie::TwoVerdicts, Lie::Name],
    },
];

impl Known {
    /// Every single case of this one, without callbacks that fail or with them.
    pub(super) fn cases(&self, callbacks_fail: bool) -> impl Iterator<Item = (FaultAt, Lie)> {
        let beside = self.beside_a_failure.iter().filter(move |_| callbacks_fail);
        self.when.iter().chain(beside).flat_map(move |when| {
            let fault = FaultAt {
                op: self.op,
                key: self.key,
                effect: self.effect,
                when: *when,
            };
            self.lies.iter().map(move |lie| (fault, *lie))
        })
    }
}
