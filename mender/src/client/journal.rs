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

use core::fmt::{self, Write};
use core::time::Duration;

use super::device::Clock;
use crate::api::log::{Level, LogTime, LogWriter};
use crate::deployment::record::DeploymentNumber;
use crate::fmt::{error, warning};
use crate::storage::{LogSlot, RecordKey, Storage};

const VERSION: u8 = 1;
const HEADER_LEN: usize = 17;
/// Length of an entry's text; what is longer is cut.
const TEXT_LEN: usize = 143;
const RECORD_LEN: usize = HEADER_LEN + TEXT_LEN;

/// Writes the log of one deployment.
#[derive(Debug)]
pub(super) struct Journal {
    number: DeploymentNumber,
    /// The next entry's place, once it is known: after a restart the records have to be looked at first.
    next: Option<u16>,
}

impl Journal {
    /// The log of a deployment that begins.
    pub(super) const fn begin(number: DeploymentNumber) -> Journal {
        Journal { number, next: Some(0) }
    }

    /// The log of a deployment that goes on after a restart.
    pub(super) const fn resume(number: DeploymentNumber) -> Journal {
        Journal { number, next: None }
    }

    pub(super) async fn warning<S: Storage>(&mut self, storage: &mut S, clock: &impl Clock, text: fmt::Arguments<'_>) {
        warning!("{text}");
        self.add(storage, clock, Level::Warning, text).await;
    }

    pub(super) async fn error<S: Storage>(&mut self, storage: &mut S, clock: &impl Clock, text: fmt::Arguments<'_>) {
        error!("{text}");
        self.add(storage, clock, Level::Error, text).await;
    }

    async fn add<S: Storage>(&mut self, storage: &mut S, clock: &impl Clock, level: Level, text: fmt::Arguments<'_>) {
        let mut record = [0; RECORD_LEN];
        let seq = match self.next {
            Some(seq) => seq,
            None => self.find_next(storage, &mut record).await,
        };
        let (time, since) = match clock.unix_time() {
            Some(since) => (1, since),
            None => (0, clock.uptime()),
        };
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let level = match level {
            Level::Debug => 1,
            Level::Info => 2,
            Level::Warning => 3,
            Level::Error => 4,
        };
        let mut out = Record {
            bytes: &mut record,
            len: 0,
        };
        for part in [
            &[VERSION][..],
            &self.number.to_le_bytes(),
            &seq.to_le_bytes(),
            &[level, time],
            &millis.to_le_bytes(),
        ] {
            out.put(part);
        }
        // Only the text's own Display can fail; what it wrote stays.
        let _ = out.write_fmt(text);
        let len = out.len;
        let stored = storage
            .write(RecordKey::Log(slot(seq)), record.get(..len).unwrap_or(&[]))
            .await;
        if let Err(error) = stored {
            warning!("the deployment log cannot be stored: {error}");
        }
        self.next = Some(seq.wrapping_add(1));
    }

    async fn find_next<S: Storage>(&self, storage: &mut S, buffer: &mut [u8]) -> u16 {
        let mut next = 0;
        for slot in LogSlot::all() {
            if let Some(entry) = self.read(storage, slot, buffer).await {
                next = next.max(entry.seq.saturating_add(1));
            }
        }
        next
    }

    async fn read<'b, S: Storage>(&self, storage: &mut S, slot: LogSlot, buffer: &'b mut [u8]) -> Option<Entry<'b>> {
        match storage.read(RecordKey::Log(slot), buffer).await {
            Ok(Some(len)) => buffer
                .get(..len)
                .and_then(Entry::decode)
                .filter(|entry| entry.number == self.number),
            Ok(None) => None,
            Err(error) => {
                warning!("an entry of the deployment log cannot be read: {error}");
                None
            }
        }
    }

    /// Puts all entries into an upload, in the order in which they were made.
    pub(super) async fn write_to<S: Storage>(&mut self, storage: &mut S, log: &mut LogWriter<'_>) {
        let mut buffer = [0; RECORD_LEN];
        let next = match self.next {
            Some(next) => next,
            None => self.find_next(storage, &mut buffer).await,
        };
        self.next = Some(next);
        let first = next.saturating_sub(u16::from(LogSlot::COUNT));
        for seq in first..next {
            if let Some(entry) = self.read(storage, slot(seq), &mut buffer).await
                && entry.seq == seq
            {
                log.push(entry.time, entry.level, entry.text);
            }
        }
    }
}

/// The latest deployment that has an entry; 0 if none has.
pub(super) async fn last_number<S: Storage>(storage: &mut S) -> DeploymentNumber {
    let mut buffer = [0; RECORD_LEN];
    let mut last = DeploymentNumber::default();
    for slot in LogSlot::all() {
        // What cannot be read is nobody's entry.
        if let Ok(Some(len)) = storage.read(RecordKey::Log(slot), &mut buffer).await
            && let Some(entry) = buffer.get(..len).and_then(Entry::decode)
        {
            last = last.max(entry.number);
        }
    }
    last
}

fn slot(seq: u16) -> LogSlot {
    // The remainder is below the number of slots.
    let index = u8::try_from(seq % u16::from(LogSlot::COUNT)).unwrap_or(0);
    LogSlot::new(index).unwrap_or(LogSlot::FIRST)
}

struct Entry<'b> {
    number: DeploymentNumber,
    seq: u16,
    level: Level,
    time: LogTime,
    text: &'b str,
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
                0 => LogTime::Uptime(Duration::from_millis(millis)),
                1 => LogTime::Unix { millis },
                2..=u8::MAX => return None,
            },
            text: core::str::from_utf8(text).ok()?,
        })
    }
}

/// A record being written; what does not fit is cut at a character.
struct Record<'b> {
    bytes: &'b mut [u8],
    len: usize,
}

impl Record<'_> {
    fn put(&mut self, part: &[u8]) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + part.len()) {
            place.copy_from_slice(part);
            self.len += part.len();
        }
    }
}

impl Write for Record<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = self.bytes.len().saturating_sub(self.len);
        self.put(s.get(..s.floor_char_boundary(room)).unwrap_or("").as_bytes());
        Ok(())
    }
}
