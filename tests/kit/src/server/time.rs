//! Points in time, as an argument and as RFC 3339 text.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: the time since 1970-01-01T00:00:00Z.
///
/// `Display` writes RFC 3339 in UTC with up to nine fraction digits and without trailing zeros, the way Go does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// Whole seconds since the epoch.
    pub const fn from_unix_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Seconds and nanoseconds (below 1,000,000,000) since the epoch.
    pub const fn from_unix(secs: u64, nanos: u32) -> Self {
        Self(Duration::new(secs, nanos))
    }

    /// The host's clock, for drivers. The server itself never reads it.
    pub fn now() -> Self {
        Self(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// Whole seconds since the epoch.
    pub const fn unix_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// Time since the epoch.
    pub const fn since_epoch(self) -> Duration {
        self.0
    }

    /// Days since the epoch, in UTC.
    pub const fn unix_days(self) -> u64 {
        self.0.as_secs() / SECS_PER_DAY
    }

    /// Year, month and day, in UTC.
    fn date(self) -> (u64, u32, u32) {
        let mut days = self.unix_days();
        let mut year = 1970;
        loop {
            let len = if is_leap(year) { 366 } else { 365 };
            if days < len {
                break;
            }
            days -= len;
            year += 1;
        }
        let mut month = 1;
        loop {
            let len = u64::from(days_in_month(year, month));
            if days < len {
                return (year, month, days as u32 + 1);
            }
            days -= len;
            month += 1;
        }
    }

    /// `YYYY-MM-DD` and `HH:MM:SS[.fraction]`.
    pub(crate) fn date_and_clock(self) -> (String, String) {
        let (year, month, day) = self.date();
        let secs = self.0.as_secs() % SECS_PER_DAY;
        let mut clock = format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60);
        if self.0.subsec_nanos() != 0 {
            let fraction = format!("{:09}", self.0.subsec_nanos());
            clock.push('.');
            clock.push_str(fraction.trim_end_matches('0'));
        }
        (format!("{year:04}-{month:02}-{day:02}"), clock)
    }

    /// The form of HTTP's `Date` (RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub(crate) fn http_date(self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let (year, month, day) = self.date();
        let secs = self.0.as_secs() % SECS_PER_DAY;
        format!(
            "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
            DAYS[(self.unix_days() % 7) as usize],
            MONTHS[month as usize - 1],
            secs / 3600,
            secs / 60 % 60,
            secs % 60
        )
    }

    /// `YYYYMMDDTHHMMSSZ`, the form of signed links.
    pub(crate) fn compact(self) -> String {
        let (year, month, day) = self.date();
        let secs = self.0.as_secs() % SECS_PER_DAY;
        format!(
            "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
            secs / 3600,
            secs / 60 % 60,
            secs % 60
        )
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, clock) = self.date_and_clock();
        write!(f, "{date}T{clock}Z")
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl Sub<Time> for Time {
    type Output = Duration;

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

const SECS_PER_DAY: u64 = 86_400;

fn is_leap(year: u64) -> bool {
    (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
}

fn days_in_month(year: u64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// A time stamp as the server's decoder (Go `time.Time`) reads it: may lie before 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Seconds since the epoch, in UTC.
    pub unix_secs: i64,
    /// Nanoseconds of the second. Further digits are dropped.
    pub nanos: u32,
}

impl Timestamp {
    /// Go's zero time, 0001-01-01T00:00:00Z, which its validation counts as "empty".
    const ZERO_SECS: i64 = -62_135_596_800;

    /// Reads RFC 3339 with any number of fraction digits; a comma before the fraction is taken too.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let number = |from: usize, len: usize| -> Option<u32> {
            let digits = text.get(from..from + len)?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse().ok())
                .flatten()
        };
        let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
        if !(is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':')) {
            return None;
        }
        let (year, month, day) = (u64::from(number(0, 4)?), number(5, 2)?, number(8, 2)?);
        let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
        let date_is_real = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        if !date_is_real || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let mut zone = text.get(19..)?;
        let mut nanos = 0;
        if let Some(fraction) = zone.strip_prefix(['.', ',']) {
            let len = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let digits: String = fraction.get(..len)?.chars().take(9).collect();
            nanos = format!("{digits:0<9}").parse().ok().filter(|_| len > 0)?;
            zone = fraction.get(len..)?;
        }
        let offset_secs = match zone.as_bytes() {
            b"Z" => 0,
            [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
                let hours: i64 = zone.get(1..3)?.parse().ok().filter(|hours| *hours < 24)?;
                let minutes: i64 = zone.get(4..6)?.parse().ok().filter(|minutes| *minutes < 60)?;
                let secs = hours * 3600 + minutes * 60;
                if *sign == b'+' { secs } else { -secs }
            }
            _ => return None,
        };
        let leaps = |year: i64| year / 4 - year / 100 + year / 400;
        let last_year = year as i64 - 1;
        let years = (last_year - 1969) * 365 + leaps(last_year) - leaps(1969);
        let months: i64 = (1..month).map(|month| i64::from(days_in_month(year, month))).sum();
        let days = years + months + i64::from(day) - 1;
        let unix_secs = days * SECS_PER_DAY as i64 + i64::from(hour * 3600 + minute * 60 + second) - offset_secs;
        Some(Self { unix_secs, nanos })
    }

    /// Whether it is Go's zero time.
    pub fn is_zero(&self) -> bool {
        self.unix_secs == Self::ZERO_SECS && self.nanos == 0
    }

    /// Go's default text of a time in UTC: `2026-08-22 10:05:58.012 +0000 UTC`.
    pub fn go_text(&self) -> String {
        match u64::try_from(self.unix_secs) {
            Ok(secs) => {
                let (date, clock) = Time::from_unix(secs, self.nanos).date_and_clock();
                format!("{date} {clock} +0000 UTC")
            }
            Err(_) => format!("{} s before 1970", self.unix_secs.unsigned_abs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        assert_eq!(Time::from_unix_secs(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(
            Time::from_unix(1_788_256_800, 123_456_789).to_string(),
            "2026-09-01T10:00:00.123456789Z"
        );
        assert_eq!(
            Time::from_unix(951_782_400, 100_000_000).to_string(),
            "2000-02-29T00:00:00.1Z"
        );
        assert_eq!(Time::from_unix_secs(4_107_542_399).to_string(), "2100-02-28T23:59:59Z");
        assert_eq!(Time::from_unix_secs(1_788_256_800).compact(), "20260901T100000Z");
        assert_eq!(
            Time::from_unix_secs(784_111_777).http_date(),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
        assert_eq!(Time::from_unix_secs(0).http_date(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn timestamps_round_trip_over_two_centuries() {
        for day in 0..73_000 {
            let time = Time::from_unix(day * SECS_PER_DAY + day % SECS_PER_DAY, 7);
            let read = Timestamp::parse(&time.to_string()).unwrap();
            assert_eq!((read.unix_secs, read.nanos), (time.unix_secs() as i64, 7), "{time}");
        }
    }

    #[test]
    fn timestamps_follow_rfc_3339_and_gos_comma() {
        let accepted = [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1970-01-01T00:00:01.5Z", 1, 500_000_000),
            ("1970-01-01T00:00:01,5Z", 1, 500_000_000),
            ("1970-01-01T01:00:00.1234567891234+01:00", 0, 123_456_789),
            ("1969-12-31T23:30:00-00:30", 0, 0),
            ("0001-01-01T00:00:00Z", Timestamp::ZERO_SECS, 0),
        ];
        for (text, unix_secs, nanos) in accepted {
            assert_eq!(Timestamp::parse(text), Some(Timestamp { unix_secs, nanos }), "{text}");
        }
        assert!(Timestamp::parse("0001-01-01T00:00:00Z").unwrap().is_zero());
        let refused = [
            "",
            "00:39:06.746",
            "2026-08-22",
            "2026-08-22 10:05:58Z",
            "2026-08-22T10:05:58",
            "2026-08-22T10:05:58.Z",
            "2026-02-29T10:05:58Z",
            "2026-13-01T10:05:58Z",
            "2026-08-22T24:05:58Z",
            "2026-08-22T10:05:58+0100",
            "2026-08-22T10:05:58Zé",
        ];
        for text in refused {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
