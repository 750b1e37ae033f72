//! Deployment logs: `PUT /api/devices/v1/deployments/device/deployments/{id}/log` (device API, section 6).
//!
//! One entry without a message, a level or a timestamp makes the server refuse the whole log. [`LogWriter`] cannot write one.

use core::fmt;
use core::time::Duration;

use super::status::{ReportAnswer, write_path};
use super::{Class, EncodeError, Message, full, json, whole_text};
use crate::date;
use crate::text::divide;
use crate::window::Window;

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
    whole_text(out, Message::DeploymentPath, |out| write_path(out, id, "/log"))
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
    #[inline(never)]
    pub(crate) fn millis(self) -> u64 {
        match self {
            LogTime::Unix { millis } => millis,
            // Not `as_millis`, which takes 128 bits. More seconds than in the years that can be written are as good as those.
            LogTime::Uptime(uptime) => uptime.as_secs().min(1 << 38) * 1000 + u64::from(uptime.subsec_millis()),
        }
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-08-22T10:05:58.012Z`.
impl fmt::Display for LogTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 24];
        let mut out = Window::new(&mut text, 0);
        self.write(&mut out);
        f.write_str(core::str::from_utf8(out.finish()).unwrap_or(""))
    }
}

impl LogTime {
    fn write(self, out: &mut Window<'_>) {
        /// The last millisecond of the year 9999; RFC 3339 has four digits for the year.
        const LAST: u64 = 253_402_300_799_999;
        const DAY: u64 = 86_400_000;
        let millis = self.millis().min(LAST);
        // A day is 1024 * 125 * 675 milliseconds.
        let (days, _) = divide(divide(millis >> 10, 125).0, 675);
        let of_day = (millis - days * DAY) as u32;
        let (year, month, day) = date::of_days(days as u32);
        for (number, digits, after) in [
            (year, 1000, b'-'),
            (month, 10, b'-'),
            (day, 10, b'T'),
            (of_day / 3_600_000, 10, b':'),
            (of_day / 60_000 % 60, 10, b':'),
            (of_day / 1000 % 60, 10, b'.'),
            (of_day % 1000, 100, b'Z'),
        ] {
            let mut unit = digits;
            while unit > 0 {
                // The remainder is below ten.
                out.byte(b'0' + (number / unit % 10) as u8);
                unit /= 10;
            }
            out.byte(after);
        }
    }
}

/// A log that is being written, without its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogState {
    len: usize,
    count: usize,
    left_out: usize,
    earlier: u16,
    last: LogTime,
}

impl LogState {
    /// Of a log that begins behind so many entries.
    pub(crate) const fn new(earlier: u16) -> LogState {
        LogState {
            len: 0,
            count: 0,
            left_out: 0,
            earlier,
            last: LogTime::Uptime(Duration::ZERO),
        }
    }

    pub(crate) const fn earlier(&self) -> u16 {
        self.earlier
    }
}

/// Writes a log, entry by entry, until the buffer is full.
pub struct LogWriter<'b> {
    json: Window<'b>,
    count: usize,
    left_out: usize,
    /// Entries in front of the first, which is a note of that.
    earlier: u16,
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
        if buffer_len < RESERVE_LEN + 32 {
            return Err(full(buffer_len, Message::Log));
        }
        let mut json = Window::new(out.get_mut(..buffer_len.min(MAX_LEN)).unwrap_or(&mut []), 0);
        json.text("{\"messages\":[");
        Ok(LogWriter {
            json,
            count: 0,
            left_out: 0,
            earlier: 0,
            last: LogTime::Uptime(Duration::ZERO),
        })
    }

    /// Goes on with a log in the buffer where it was begun. `None` if the buffer is too short for any.
    pub(crate) fn resume(out: &'b mut [u8], state: LogState) -> Option<LogWriter<'b>> {
        let mut writer = LogWriter::new(out).ok()?;
        writer.earlier = state.earlier;
        if state.len > 0 {
            writer.json.skip_to(state.len);
            writer.count = state.count;
            writer.left_out = state.left_out;
            writer.last = state.last;
        }
        Some(writer)
    }

    /// The log without its buffer, to go on later.
    pub(crate) fn suspend(self) -> LogState {
        LogState {
            len: self.json.total(),
            count: self.count,
            left_out: self.left_out,
            earlier: self.earlier,
            last: self.last,
        }
    }

    /// Adds an entry if it still fits, and tells whether it did.
    ///
    /// After the first that does not fit all are left out, so that the log is a piece without gaps; the end of the log
    /// says how many are missing. An empty message is written as `(no text)`.
    pub fn push(&mut self, time: LogTime, level: Level, message: &str) -> bool {
        let (before, count) = (self.json.total(), self.count);
        if self.left_out == 0 {
            self.note_earlier(time);
            self.begin(time, level);
            json::string(&mut self.json, if message.is_empty() { "(no text)" } else { message });
            self.json.byte(b'}');
        }
        let fits = self.left_out == 0 && self.json.total() <= self.json.room().saturating_sub(RESERVE_LEN);
        if fits {
            self.count += 1;
        } else {
            self.json.truncate(before);
            self.count = count;
            self.left_out = self.left_out.saturating_add(1);
        }
        self.last = time;
        fits
    }

    /// Number of entries written, and of those left out.
    pub fn counts(&self) -> (usize, usize) {
        (self.count, self.left_out)
    }

    /// An entry up to its message.
    fn begin(&mut self, time: LogTime, level: Level) {
        let json = &mut self.json;
        json.text(if self.count == 0 {
            "{\"timestamp\":\""
        } else {
            ",{\"timestamp\":\""
        });
        time.write(json);
        json.text("\",\"level\":\"");
        json.text(level.as_str());
        json.text("\",\"message\":");
    }

    /// How many entries are missing at the front.
    fn note_earlier(&mut self, time: LogTime) {
        if self.count == 0 && self.earlier > 0 {
            self.note(time, u32::from(self.earlier), " earlier");
        }
    }

    /// An entry about entries that are missing.
    fn note(&mut self, time: LogTime, missing: u32, which: &str) {
        self.begin(time, Level::Warning);
        self.json.byte(b'"');
        self.json.number(missing);
        self.json.text(which);
        self.json.text(" entries left out: the log is full\"}");
        self.count += 1;
    }

    /// The body of the upload. `None` if there was no entry: the server refuses a log without any.
    pub fn finish(mut self) -> Option<&'b [u8]> {
        if self.left_out > 0 {
            let missing = u32::try_from(self.left_out).unwrap_or(u32::MAX);
            self.note(self.last, missing, " later");
        }
        self.note_earlier(self.last);
        if self.count == 0 {
            return None;
        }
        // There is room for both: see `RESERVE_LEN`.
        self.json.text("]}");
        Some(self.json.finish())
    }
}
