//! What is kept in storage for a deployment, byte by byte.
//!
//! All numbers are little endian. Storage gives back whole records or says that they are damaged; the version byte
//! and the checks here are against records of another version of this crate.
//!
//! ```text
//! deployment record, written once per deployment
//! +------------+--------------+----------+----+------------+------+----------------------------------+
//! | version: 1 | number: u32  | id len   | id | type len   | type | provides after the commit (list) |
//! +------------+--------------+----------+----+------------+------+----------------------------------+
//!   1            4              1          n    1            n      to the end
//!
//! state record, written at each state: 7 bytes
//! +------------+--------------+-----------+-----------------+
//! | version: 1 | number: u32  | state: u8 | transitions: u8 |
//! +------------+--------------+-----------+-----------------+
//!
//! installed record, written at each commit
//! +------------+--------------------+-------------------------+
//! | version: 1 | committed by: u32  | provides (list)         |
//! +------------+--------------------+-------------------------+
//! ```
//!
//! `number` counts deployments on this device and ties the three together:
//!
//! - A state record of an earlier number says that the deployment of the deployment record has not begun to install.
//! - One of a later number says that it is over: a later one has failed before it had a record of its own.
//! - An installed record of the same number says that the deployment was committed. That stays so whatever becomes of the state
//!   record.
//!
//! So nothing has to be deleted, and each change of state is one small write.

use core::fmt;

use super::{Software, Stored, StoredState, Verdict};
use crate::codes::Seldom;
use crate::provides::Provides;
use crate::text::{Describe, Text, display, utf8};

const VERSION: u8 = 1;

/// Length in bytes of a state record.
pub const STATE_RECORD_LEN: usize = 7;

/// A deployment's number on this device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeploymentNumber(u32);

impl DeploymentNumber {
    /// The number of the deployment after this one.
    #[must_use]
    pub const fn next(self) -> DeploymentNumber {
        DeploymentNumber(self.0.wrapping_add(1))
    }

    /// Whether this deployment came after the other. Numbers wrap; the nearer way round counts.
    pub const fn is_after(self, other: DeploymentNumber) -> bool {
        self.0.wrapping_sub(other.0).wrapping_sub(1) < u32::MAX / 2
    }

    /// From a count.
    pub const fn new(number: u32) -> DeploymentNumber {
        DeploymentNumber(number)
    }

    /// The number's bytes in a record.
    pub const fn to_le_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    /// From its bytes in a record.
    pub const fn from_le_bytes(bytes: [u8; 4]) -> DeploymentNumber {
        DeploymentNumber(u32::from_le_bytes(bytes))
    }
}

/// A record that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RecordError {
    /// Its first byte names a version that this crate does not know.
    Version(u8),
    /// Its bytes are not of the layout above.
    Malformed,
    /// It does not fit into the lent buffer; this many bytes are needed.
    TooLong {
        /// Length of the buffer that would do.
        needed: usize,
    },
}

const OTHER_VERSION: Seldom = Seldom::new(81);
const MALFORMED: Seldom = Seldom::new(82);
const TOO_LONG: Seldom = Seldom::new(83);

impl Describe for RecordError {
    fn describe(&self, out: &mut Text<'_>) {
        let (code, number) = match self {
            RecordError::Version(version) => (OTHER_VERSION, u32::from(*version)),
            RecordError::Malformed => return out.seldom(MALFORMED),
            RecordError::TooLong { needed } => (TOO_LONG, u32::try_from(*needed).unwrap_or(u32::MAX)),
        };
        out.seldom(code);
        out.push(" ");
        out.number(number);
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self, f)
    }
}

impl core::error::Error for RecordError {}

/// What a deployment is, fixed from the end of its download on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeploymentRecord<'a> {
    /// Its number.
    pub number: DeploymentNumber,
    /// The server's deployment id.
    pub id: &'a str,
    /// The artifact's payload type: which module. Empty if the deployment failed before it was known.
    pub payload_type: &'a str,
    /// The provides, artifact name included, that become the device's own at the commit.
    pub provides: Provides<'a>,
}

impl<'a> DeploymentRecord<'a> {
    /// Bytes of everything but the provides.
    pub const fn header_len(id: &str, payload_type: &str) -> usize {
        1 + 4 + 1 + id.len() + 1 + payload_type.len()
    }

    /// Writes the record into `buffer` and returns its length.
    ///
    /// # Errors
    ///
    /// [`RecordError::TooLong`]; [`RecordError::Malformed`] if id or type have more than 255 bytes.
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, RecordError> {
        let id_len = u8::try_from(self.id.len()).map_err(|_| RecordError::Malformed)?;
        let type_len = u8::try_from(self.payload_type.len()).map_err(|_| RecordError::Malformed)?;
        put(
            buffer,
            &[
                &[VERSION],
                &self.number.0.to_le_bytes(),
                &[id_len],
                self.id.as_bytes(),
                &[type_len],
                self.payload_type.as_bytes(),
                self.provides.as_bytes(),
            ],
        )
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub fn decode(bytes: &'a [u8]) -> Result<DeploymentRecord<'a>, RecordError> {
        let (number, rest) = header(bytes)?;
        let (id, rest) = text(rest)?;
        let (payload_type, rest) = text(rest)?;
        if id.is_empty() {
            return Err(RecordError::Malformed);
        }
        Ok(DeploymentRecord {
            number,
            id,
            payload_type,
            provides: Provides::from_bytes(rest).map_err(|_| RecordError::Malformed)?,
        })
    }
}

/// How far a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StateRecord {
    /// Whose state.
    pub number: DeploymentNumber,
    /// The state.
    pub state: StoredState,
    /// Transitions so far.
    pub transitions: u8,
}

impl StateRecord {
    /// The record's bytes.
    pub const fn encode(&self) -> [u8; STATE_RECORD_LEN] {
        let [a, b, c, d] = self.number.0.to_le_bytes();
        [VERSION, a, b, c, d, number_of(self.state), self.transitions]
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// [`RecordError`]; [`RecordError::Malformed`] also for a state number out of range.
    pub fn decode(bytes: &[u8]) -> Result<StateRecord, RecordError> {
        let (number, rest) = header(bytes)?;
        let &[state, transitions] = rest else {
            return Err(RecordError::Malformed);
        };
        Ok(StateRecord {
            number,
            state: state_of(state).ok_or(RecordError::Malformed)?,
            transitions,
        })
    }
}

/// What runs on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstalledRecord<'a> {
    /// The deployment that committed it; 0 for none.
    pub committed_by: DeploymentNumber,
    /// Artifact name and provides.
    pub provides: Provides<'a>,
}

impl<'a> InstalledRecord<'a> {
    /// Bytes in front of the provides.
    pub const HEADER_LEN: usize = 5;

    /// The bytes in front of the provides.
    pub const fn head(committed_by: DeploymentNumber) -> [u8; InstalledRecord::HEADER_LEN] {
        let [a, b, c, d] = committed_by.0.to_le_bytes();
        [VERSION, a, b, c, d]
    }

    /// Writes the record into `buffer` and returns its length.
    ///
    /// # Errors
    ///
    /// [`RecordError::TooLong`].
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, RecordError> {
        put(
            buffer,
            &[&InstalledRecord::head(self.committed_by), self.provides.as_bytes()],
        )
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub fn decode(bytes: &'a [u8]) -> Result<InstalledRecord<'a>, RecordError> {
        let (committed_by, rest) = header(bytes)?;
        Ok(InstalledRecord {
            committed_by,
            provides: Provides::from_bytes(rest).map_err(|_| RecordError::Malformed)?,
        })
    }
}

/// What the three records together say about `deployment`.
///
/// `state` is what the state record gave: `None` if there is none.
pub fn stored(
    deployment: DeploymentNumber,
    installed_by: DeploymentNumber,
    state: Option<Result<StateRecord, RecordError>>,
) -> Stored {
    let record = match state {
        // The download came to its end: the deployment record says so.
        Some(Ok(record)) if record.number == deployment && record.state == StoredState::Download => {
            return Stored::Downloaded;
        }
        Some(Ok(record)) if record.number == deployment => record,
        // A later deployment was begun: this one is over.
        Some(Ok(record)) if record.number.is_after(deployment) => {
            return Stored::State {
                state: StoredState::Idle,
                transitions: 0,
            };
        }
        // The record of an earlier deployment, or none at all: this one is as its own record left it.
        Some(Ok(_)) | None => return Stored::Downloaded,
        // What is committed stays committed.
        Some(Err(_)) if installed_by == deployment => return Stored::Committed { transitions: 0 },
        Some(Err(_)) => return Stored::Unreadable,
    };
    // Only a deployment in its commit can have been committed by the installed record alone.
    if installed_by == deployment && record.state == StoredState::Commit {
        return Stored::Committed {
            transitions: record.transitions,
        };
    }
    Stored::State {
        state: record.state,
        transitions: record.transitions,
    }
}

/// The numbers in flash. They never move; a state that is dropped leaves a hole.
const fn number_of(state: StoredState) -> u8 {
    match state {
        StoredState::Idle => 0,
        StoredState::Install => 1,
        StoredState::Reboot => 2,
        StoredState::VerifyReboot => 3,
        StoredState::Commit => 4,
        StoredState::Rollback => 5,
        StoredState::RollbackReboot => 6,
        StoredState::RollbackVerifyReboot => 7,
        StoredState::Failure(Software::Old) => 8,
        StoredState::Failure(Software::Inconsistent) => 9,
        StoredState::Owed(Verdict::Success) => 10,
        StoredState::Owed(Verdict::Failure) => 11,
        StoredState::Cleanup => 12,
        StoredState::Failure(Software::Untouched) => 13,
        StoredState::Download => 14,
    }
}

const fn state_of(number: u8) -> Option<StoredState> {
    Some(match number {
        0 => StoredState::Idle,
        1 => StoredState::Install,
        2 => StoredState::Reboot,
        3 => StoredState::VerifyReboot,
        4 => StoredState::Commit,
        5 => StoredState::Rollback,
        6 => StoredState::RollbackReboot,
        7 => StoredState::RollbackVerifyReboot,
        8 => StoredState::Failure(Software::Old),
        9 => StoredState::Failure(Software::Inconsistent),
        10 => StoredState::Owed(Verdict::Success),
        11 => StoredState::Owed(Verdict::Failure),
        12 => StoredState::Cleanup,
        13 => StoredState::Failure(Software::Untouched),
        14 => StoredState::Download,
        15..=u8::MAX => return None,
    })
}

fn put(buffer: &mut [u8], parts: &[&[u8]]) -> Result<usize, RecordError> {
    let needed = parts.iter().map(|part| part.len()).sum();
    let mut rest = buffer.get_mut(..needed).ok_or(RecordError::TooLong { needed })?;
    for part in parts {
        let (here, after) = rest
            .split_at_mut_checked(part.len())
            .ok_or(RecordError::TooLong { needed })?;
        here.copy_from_slice(part);
        rest = after;
    }
    Ok(needed)
}

fn header(bytes: &[u8]) -> Result<(DeploymentNumber, &[u8]), RecordError> {
    let (&version, rest) = bytes.split_first().ok_or(RecordError::Malformed)?;
    if version != VERSION {
        return Err(RecordError::Version(version));
    }
    let (number, rest) = rest.split_first_chunk::<4>().ok_or(RecordError::Malformed)?;
    Ok((DeploymentNumber(u32::from_le_bytes(*number)), rest))
}

fn text(bytes: &[u8]) -> Result<(&str, &[u8]), RecordError> {
    let (&len, rest) = bytes.split_first().ok_or(RecordError::Malformed)?;
    let (text, rest) = rest.split_at_checked(usize::from(len)).ok_or(RecordError::Malformed)?;
    let text = utf8(text).ok_or(RecordError::Malformed)?;
    Ok((text, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_number_for_ever() {
        let numbers = [
            (0, StoredState::Idle),
            (1, StoredState::Install),
            (2, StoredState::Reboot),
            (3, StoredState::VerifyReboot),
            (4, StoredState::Commit),
            (5, StoredState::Rollback),
            (6, StoredState::RollbackReboot),
            (7, StoredState::RollbackVerifyReboot),
            (8, StoredState::Failure(Software::Old)),
            (9, StoredState::Failure(Software::Inconsistent)),
            (10, StoredState::Owed(Verdict::Success)),
            (11, StoredState::Owed(Verdict::Failure)),
            (12, StoredState::Cleanup),
            (13, StoredState::Failure(Software::Untouched)),
            (14, StoredState::Download),
        ];
        for (number, state) in numbers {
            let record = StateRecord {
                number: DeploymentNumber(0x0403_0201),
                state,
                transitions: 9,
            };
            assert_eq!(record.encode(), [1, 1, 2, 3, 4, number, 9]);
            assert_eq!(StateRecord::decode(&record.encode()), Ok(record));
        }
        for number in 15..=255 {
            assert_eq!(
                StateRecord::decode(&[1, 0, 0, 0, 0, number, 0]),
                Err(RecordError::Malformed)
            );
        }
    }

    #[test]
    fn no_cut_or_damaged_record_is_misread() {
        let mut list = [0; 64];
        let mut provides = crate::provides::ProvidesBuf::new(&mut list);
        provides.set("artifact_name", "release-2").unwrap();
        let record = DeploymentRecord {
            number: DeploymentNumber(7),
            id: "0d1f6a52-7a0e-4b8e-9a54-3f3a3c0c9a11",
            payload_type: "zephyr-image",
            provides: provides.as_provides(),
        };
        let mut bytes = [0; 128];
        let len = record.encode(&mut bytes).unwrap();
        assert_eq!(record.encode(&mut [0; 20]), Err(RecordError::TooLong { needed: len }));
        assert_eq!(DeploymentRecord::decode(&bytes[..len]), Ok(record));
        for cut in 0..len {
            // A cut exactly at the list's end boundaries is a shorter valid record; storage keeps lengths.
            if let Ok(read) = DeploymentRecord::decode(&bytes[..cut]) {
                assert_eq!(read.id, record.id);
                assert_eq!(read.provides.iter().count(), 0);
            }
        }
        bytes[0] = 2;
        assert_eq!(DeploymentRecord::decode(&bytes[..len]), Err(RecordError::Version(2)));
    }

    #[test]
    fn records_are_tied_by_the_number() {
        let one = DeploymentNumber(1);
        let two = DeploymentNumber(2);
        let state = |number, state| {
            Some(Ok(StateRecord {
                number,
                state,
                transitions: 3,
            }))
        };
        assert_eq!(stored(two, one, None), Stored::Downloaded);
        assert_eq!(stored(two, one, state(one, StoredState::Commit)), Stored::Downloaded);
        assert_eq!(stored(two, one, state(two, StoredState::Download)), Stored::Downloaded);
        assert_eq!(
            stored(two, one, state(two, StoredState::Commit)),
            Stored::State {
                state: StoredState::Commit,
                transitions: 3
            }
        );
        assert_eq!(
            stored(two, two, state(two, StoredState::Commit)),
            Stored::Committed { transitions: 3 }
        );
        assert_eq!(
            stored(two, two, state(two, StoredState::Idle)),
            Stored::State {
                state: StoredState::Idle,
                transitions: 3
            }
        );
        let unreadable = Some(Err(RecordError::Version(2)));
        assert_eq!(stored(two, one, unreadable), Stored::Unreadable);
        assert_eq!(stored(two, two, unreadable), Stored::Committed { transitions: 0 });
        // The state of a later deployment: this one is over, however that one ended.
        for later in [
            StoredState::Download,
            StoredState::Idle,
            StoredState::Owed(Verdict::Failure),
        ] {
            assert_eq!(
                stored(one, one, state(two, later)),
                Stored::State {
                    state: StoredState::Idle,
                    transitions: 0
                }
            );
        }
    }

    #[test]
    fn numbers_are_ordered_also_where_they_wrap() {
        let number = DeploymentNumber::new;
        for (later, earlier) in [(1, 0), (7, 3), (0, u32::MAX), (5, u32::MAX - 5)] {
            assert!(number(later).is_after(number(earlier)), "{later} {earlier}");
            assert!(!number(earlier).is_after(number(later)), "{later} {earlier}");
            assert!(!number(later).is_after(number(later)));
        }
    }
}
