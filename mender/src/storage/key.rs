//! Which records there are.

/// One of the places for the deployment log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LogSlot(u8);

impl LogSlot {
    /// Number of slots.
    pub const COUNT: u8 = 16;
    /// The first slot.
    pub const FIRST: LogSlot = LogSlot(0);

    /// The slot with this index, 0 to 15.
    pub const fn new(index: u8) -> Option<LogSlot> {
        if index < LogSlot::COUNT {
            Some(LogSlot(index))
        } else {
            None
        }
    }

    /// The slot's index, 0 to 15.
    pub const fn index(self) -> u8 {
        self.0
    }

    /// The slot after this one; after the last comes the first.
    #[must_use]
    pub const fn next(self) -> LogSlot {
        LogSlot((self.0 + 1) % LogSlot::COUNT)
    }

    /// All slots, in order.
    pub fn all() -> impl Iterator<Item = LogSlot> {
        (0..LogSlot::COUNT).map(LogSlot)
    }
}

/// A record of the client.
///
/// | record | stored number |
/// |---|---|
/// | `DeviceKey` | 1 |
/// | `Installed` | 2 |
/// | `Deployment` | 3 |
/// | `State` | 4 |
/// | `Log(0)` to `Log(15)` | 16 to 31 |
///
/// A number never gets another meaning: an update and its rollback must understand each other's records. 0 and everything
/// above 127 stay unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RecordKey {
    /// A version byte and the private key of 32 bytes.
    DeviceKey,
    /// What is installed: artifact name and provides.
    Installed,
    /// The deployment in progress: everything about it that does not change.
    Deployment,
    /// The state of the deployment in progress.
    State,
    /// A piece of the deployment log.
    Log(LogSlot),
}

impl RecordKey {
    const FIRST_LOG: u8 = 16;

    /// The number under which the record is stored, 1 to 127.
    pub const fn number(self) -> u8 {
        match self {
            RecordKey::DeviceKey => 1,
            RecordKey::Installed => 2,
            RecordKey::Deployment => 3,
            RecordKey::State => 4,
            RecordKey::Log(slot) => RecordKey::FIRST_LOG + slot.index(),
        }
    }

    /// All records.
    pub fn all() -> impl Iterator<Item = RecordKey> {
        [
            RecordKey::DeviceKey,
            RecordKey::Installed,
            RecordKey::Deployment,
            RecordKey::State,
        ]
        .into_iter()
        .chain(LogSlot::all().map(RecordKey::Log))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_numbers_never_move() {
        assert_eq!(RecordKey::DeviceKey.number(), 1);
        assert_eq!(RecordKey::Installed.number(), 2);
        assert_eq!(RecordKey::Deployment.number(), 3);
        assert_eq!(RecordKey::State.number(), 4);
        for index in 0..16 {
            assert_eq!(RecordKey::Log(LogSlot::new(index).unwrap()).number(), 16 + index);
        }
        assert_eq!(LogSlot::new(16), None);
        assert_eq!(RecordKey::all().count(), 20);
    }

    #[test]
    fn slots_form_a_ring() {
        let mut slot = LogSlot::FIRST;
        for expected in LogSlot::all() {
            assert_eq!(slot, expected);
            slot = slot.next();
        }
        assert_eq!(slot, LogSlot::FIRST);
    }
}
