//! The deployment log: warnings and errors of one deployment, kept in storage across restarts, sent if it fails.
//!
//! A ring of [`LogSlot::COUNT`](crate::storage::LogSlot) records, written only when there is something to say:
//!
//! ```text
//! +------------+-------------+----------+-----------+----------+-------------+------+
//! | version: 1 | number: u32 | seq: u16 | level: u8 | time: u8 | millis: u64 | text |
//! +------------+-------------+----------+-----------+----------+-------------+------+
//! ```
//!
//! `number` is the deployment's: the records of earlier ones are not deleted, but not read either. `seq` counts this
//! deployment's entries and gives the slot, so the oldest are overwritten. `level` is 3 for warnings, 4 for errors;
//! `time` says what `millis` counts from: 0 the device's start, 1 1970.
//!
//! Without the feature `deployment-log` there are no entries: a [`Journal`] takes none and has none.

use core::time::Duration;

use crate::api::log::{Level, LogTime};
use crate::deployment::record::DeploymentNumber;
use crate::storage::LogSlot;
use crate::text::{Text, divide, utf8};

const VERSION: u8 = 1;
const HEADER_LEN: usize = 17;
/// Length of an entry's text; what is longer is cut.
const TEXT_LEN: usize = 143;

/// Where the entries of the deployment at hand are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Journal {
    number: DeploymentNumber,
    /// How many entries it has.
    next: u16,
    /// The latest deployment that has an entry.
    last: DeploymentNumber,
}

impl Journal {
    pub(super) const fn new() -> Journal {
        Journal {
            number: DeploymentNumber::new(0),
            next: 0,
            last: DeploymentNumber::new(0),
        }
    }

    /// From here on the entries are this deployment's; a deployment that goes on is named before its records are
    /// [`seen`](Journal::seen).
    pub(super) fn begin(&mut self, number: DeploymentNumber) {
        self.number = number;
        self.next = 0;
    }

    /// A record that was found at the start.
    pub(super) fn seen(&mut self, record: &[u8]) {
        if let Some(entry) = Entry::decode(record) {
            self.last = self.last.max(entry.number);
            if entry.number == self.number {
                self.next = self.next.max(entry.seq.saturating_add(1));
            }
        }
    }

    /// The latest deployment that has an entry; 0 if none has.
    pub(super) fn last(&self) -> DeploymentNumber {
        self.last
    }

    /// An entry, ready to be stored: its record is written into `record`, its slot and length are returned.
    pub(super) fn add(
        &mut self,
        record: &mut [u8],
        time: LogTime,
        level: Level,
        describe: impl FnOnce(&mut Text<'_>),
    ) -> Option<(LogSlot, usize)> {
        if cfg!(not(feature = "deployment-log")) {
            return None;
        }
        let (header, text) = record.split_first_chunk_mut::<HEADER_LEN>()?;
        let millis = time.millis();
        let time = match time {
            LogTime::Uptime(_) => 0,
            LogTime::Unix { .. } => 1,
        };
        let level = match level {
            Level::Debug => 1,
            Level::Info => 2,
            Level::Warning => 3,
            Level::Error => 4,
        };
        let [n0, n1, n2, n3] = self.number.to_le_bytes();
        let [s0, s1] = self.next.to_le_bytes();
        let [m0, m1, m2, m3, m4, m5, m6, m7] = millis.to_le_bytes();
        *header = [
            VERSION, n0, n1, n2, n3, s0, s1, level, time, m0, m1, m2, m3, m4, m5, m6, m7,
        ];
        let room = text.len().min(TEXT_LEN);
        let mut out = Text::new(text.get_mut(..room)?);
        describe(&mut out);
        let len = HEADER_LEN + out.len();
        let slot = slot(self.next);
        self.next = self.next.wrapping_add(1);
        self.last = self.number;
        Some((slot, len))
    }

    /// The entries that are kept: the numbers of the first, and of the one behind the last.
    pub(super) fn kept(&self) -> (u16, u16) {
        (self.next.saturating_sub(u16::from(LogSlot::COUNT)), self.next)
    }

    /// The entry of this number, if that is what the record is.
    pub(super) fn entry<'r>(&self, seq: u16, record: &'r [u8]) -> Option<Entry<'r>> {
        Entry::decode(record).filter(|entry| entry.number == self.number && entry.seq == seq)
    }
}

/// Where an entry is stored.
pub(super) fn slot(seq: u16) -> LogSlot {
    // The remainder is below the number of slots.
    LogSlot::new((seq % u16::from(LogSlot::COUNT)) as u8).unwrap_or(LogSlot::FIRST)
}

pub(super) struct Entry<'b> {
    number: DeploymentNumber,
    seq: u16,
    pub(super) level: Level,
    pub(super) time: LogTime,
    pub(super) text: &'b str,
}

impl<'b> Entry<'b> {
    fn decode(bytes: &'b [u8]) -> Option<Entry<'b>> {
        let (header, text) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let [VERSION, n0, n1, n2, n3, s0, s1, level, time, millis @ ..] = *header else {
            return None;
        };
        let millis = u64::from_le_bytes(millis);
        Some(Entry {
            number: DeploymentNumber::from_le_bytes([n0, n1, n2, n3]),
            seq: u16::from_le_bytes([s0, s1]),
            level: match level {
                1 => Level::Debug,
                2 => Level::Info,
                3 => Level::Warning,
                4 => Level::Error,
                0 | 5..=u8::MAX => return None,
            },
            time: match time {
                0 => {
                    let (secs, millis) = divide(millis, 1000);
                    // The remainder again: so the compiler knows it, and links no check.
                    LogTime::Uptime(Duration::new(secs, millis % 1000 * 1_000_000))
                }
                1 => LogTime::Unix { millis },
                2..=u8::MAX => return None,
            },
            text: utf8(text)?,
        })
    }
}

#[cfg(all(test, feature = "deployment-log"))]
mod tests {
    use super::*;

    const TIME: LogTime = LogTime::Unix {
        millis: 1_788_220_800_001,
    };

    #[test]
    fn what_is_added_is_found_after_a_restart() {
        let number = DeploymentNumber::new(7);
        let mut journal = Journal::new();
        journal.begin(number);
        let mut records = [[0; 64]; 16];
        for seq in 0..20_u32 {
            let mut record = [0; 64];
            let added = journal.add(&mut record, TIME, Level::Error, |out| out.number(seq));
            let (slot, len) = added.unwrap();
            let text_len = if seq < 10 { 1 } else { 2 };
            assert_eq!(
                (usize::from(slot.index()), len),
                (seq as usize % 16, HEADER_LEN + text_len)
            );
            records[usize::from(slot.index())] = record;
        }
        let mut found = Journal::new();
        found.begin(number);
        for record in &records {
            found.seen(&record[..HEADER_LEN + 2]);
        }
        assert_eq!(found.kept(), (4, 20));
        assert_eq!(found.last(), number);
        for seq in 10..20_u16 {
            let record = &records[usize::from(slot(seq).index())][..HEADER_LEN + 2];
            let entry = found.entry(seq, record).unwrap();
            assert_eq!(entry.text.parse(), Ok(seq));
            assert_eq!((entry.level, entry.time), (Level::Error, TIME));
            assert!(found.entry(seq + 1, record).is_none());
        }
        // Another deployment's are counted, not read.
        let mut other = Journal::new();
        other.begin(DeploymentNumber::new(8));
        for record in &records {
            other.seen(&record[..HEADER_LEN + 2]);
        }
        assert_eq!((other.kept(), other.last()), ((0, 0), number));
    }

    #[test]
    fn long_texts_are_cut_and_nothing_misread_panics() {
        let mut journal = Journal::new();
        let mut record = [0xee; 512];
        let text = |out: &mut Text<'_>| (0..200).for_each(|_| out.push("\u{e9}"));
        let (_, len) = journal.add(&mut record, TIME, Level::Warning, text).unwrap();
        assert_eq!(len, HEADER_LEN + 142);
        for cut in 0..len {
            let _ = Entry::decode(&record[..cut]);
        }
        for at in 0..HEADER_LEN {
            for byte in 0..=255 {
                let mut damaged = record;
                damaged[at] = byte;
                let _ = Entry::decode(&damaged[..len]);
            }
        }
        assert!(journal.add(&mut record[..10], TIME, Level::Error, text).is_none());
    }
}
