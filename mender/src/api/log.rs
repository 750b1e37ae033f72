//! Deployment logs: `PUT /api/devices/v1/deployments/device/deployments/{id}/log` (device API, section 6).
//!
//! One entry without a message, a level or a timestamp makes the server refuse the whole log. [`LogWriter`] cannot write one.

use core::fmt;
use core::time::Duration;

use super::json::Writer;
use super::status::{ReportAnswer, deployment_path};
use super::{Class, EncodeError, Message};

/// A log is never longer than this, in bytes, whatever the buffer: the server refuses bodies over 1 MiB.
pub const MAX_LEN: usize = 1_000_000;

/// Space kept free for the entry that counts what was left out, and for the end.
const RESERVE_LEN: usize = 160;

/// Writes the path of the log upload for the deployment `id`.
///
/// # Errors
///
/// [`EncodeError::Full`].
pub fn path<'b>(out: &'b mut [u8], id: &str) -> Result<&'b str, EncodeError> {
    deployment_path(out, id, "/log")
}

/// What the server's answer to a log upload means. 409 is never sent for a log; a second upload replaces the first.
pub const fn answer(status: u16) -> ReportAnswer {
    match Class::of(status) {
        Class::Conflict => ReportAnswer::RetryLater { status },
        Class::Success
        | Class::Reauthenticate
        | Class::Forbidden
        | Class::NotFound
        | Class::RateLimited
        | Class::RetryLater
        | Class::GiveUp => super::status::answer(status),
    }
}

/// How serious an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Level {
    /// For developers.
    Debug,
    /// What happens.
    Info,
    /// Something is not as it should be, but the work goes on.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    /// The level's name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// When an entry was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LogTime {
    /// Milliseconds since 1970-01-01T00:00:00Z, by a clock that is set. Written up to the year 9999.
    Unix {
        /// The milliseconds.
        millis: u64,
    },
    /// Time since the device started, for devices without a clock. Written as that time after 1970-01-01T00:00:00Z, because
    /// the server takes nothing but a date and time.
    Uptime(Duration),
}

impl LogTime {
    fn millis(self) -> u64 {
        match self {
            LogTime::Unix { millis } => millis,
            LogTime::Uptime(uptime) => u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-08-22T10:05:58.012Z`.
impl fmt::Display for LogTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The last millisecond of the year 9999; RFC 3339 has four digits for the year.
        const LAST: u64 = 253_402_300_799_999;
        let millis = self.millis().min(LAST);
        let seconds = millis / 1000;
        let (year, month, day) = date_of(seconds / 86_400);
        let second_of_day = seconds % 86_400;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            second_of_day / 3600,
            second_of_day / 60 % 60,
            second_of_day % 60,
            millis % 1000
        )
    }
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar.
fn date_of(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    // Counted from 0000-03-01: the leap day is then the last of its year, and of every cycle.
    let days = days + 719_468;
    let cycle = days / DAYS_IN_400_YEARS;
    let day_of_cycle = days % DAYS_IN_400_YEARS;
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / (DAYS_IN_400_YEARS - 1)) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // Months from March on have 153 days in five.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = 400 * cycle + year_of_cycle + u64::from(month <= 2);
    (year, month, day)
}

/// Writes a log, entry by entry, until the buffer is full.
pub struct LogWriter<'b> {
    json: Writer<'b>,
    count: usize,
    left_out: usize,
    last: LogTime,
}

impl fmt::Debug for LogWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter")
            .field("count", &self.count)
            .field("left_out", &self.left_out)
            .finish_non_exhaustive()
    }
}

impl<'b> LogWriter<'b> {
    /// Starts a log in a lent buffer.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Full`] if the buffer is shorter than 192 bytes, so that no entry could fit.
    pub fn new(out: &'b mut [u8]) -> Result<LogWriter<'b>, EncodeError> {
        let buffer_len = out.len();
        let full = EncodeError::Full {
            message: Message::Log,
            buffer_len,
        };
        if buffer_len < RESERVE_LEN + 32 {
            return Err(full);
        }
        let out = out.get_mut(..buffer_len.min(MAX_LEN)).ok_or(full)?;
        let mut json = Writer::new(out, Message::Log);
        json.raw("{\"messages\":[")?;
        Ok(LogWriter {
            json,
            count: 0,
            left_out: 0,
            last: LogTime::Uptime(Duration::ZERO),
        })
    }

    /// Adds an entry if it still fits, and tells whether it did.
    ///
    /// After the first that does not fit all are left out, so that the log is a piece without gaps; the end of the log
    /// says how many are missing. An empty message is written as `(no text)`.
    pub fn push(&mut self, time: LogTime, level: Level, message: &str) -> bool {
        let before = self.json.len();
        let end = self.json.buffer_len().saturating_sub(RESERVE_LEN);
        let fits = self.left_out == 0 && self.write(time, level, message).is_ok() && self.json.len() <= end;
        if fits {
            self.count += 1;
        } else {
            self.json.truncate(before);
            self.left_out = self.left_out.saturating_add(1);
        }
        self.last = time;
        fits
    }

    /// Number of entries written, and of those left out.
    pub fn counts(&self) -> (usize, usize) {
        (self.count, self.left_out)
    }

    fn write(&mut self, time: LogTime, level: Level, message: &str) -> Result<(), EncodeError> {
        self.begin(time, level)?;
        self.json
            .string(if message.is_empty() { "(no text)" } else { message })?;
        self.json.raw("}")
    }

    fn begin(&mut self, time: LogTime, level: Level) -> Result<(), EncodeError> {
        self.json.raw(if self.count == 0 {
            "{\"timestamp\":\""
        } else {
            ",{\"timestamp\":\""
        })?;
        self.json.display(time)?;
        self.json.raw("\",\"level\":")?;
        self.json.string(level.as_str())?;
        self.json.raw(",\"message\":")
    }

    /// The body of the upload. `None` if there was no entry: the server refuses a log without any.
    pub fn finish(mut self) -> Option<&'b [u8]> {
        if self.count == 0 && self.left_out == 0 {
            return None;
        }
        self.end().ok()?;
        Some(self.json.finish())
    }

    fn end(&mut self) -> Result<(), EncodeError> {
        if self.left_out > 0 {
            self.begin(self.last, Level::Warning)?;
            self.json.raw("\"")?;
            self.json.display(self.left_out)?;
            self.json.raw(" later entries left out: the log is full\"}")?;
        }
        self.json.raw("]}")
    }
}
