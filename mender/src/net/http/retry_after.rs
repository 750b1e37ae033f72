//! `Retry-After`: how long a server wants to be left alone. Pure.

use core::time::Duration;

use crate::date::days;
use crate::text::number;

/// No server can silence a device for longer: a wrong number, or a proxy's wrong clock, must not cost a fleet its updates.
pub const LONGEST: Duration = Duration::from_secs(LONGEST_SECS as u64);

const LONGEST_SECS: u32 = 24 * 3600;

/// The wait that a `Retry-After` header asks for, [`LONGEST`] at most. `date` is the value of the same response's `Date`.
///
/// The Mender server sends whole seconds (device API, section 3). Proxies and storage services may send the date when to
/// come back: it is taken relative to the response's own date, so no clock is needed, and a date in the past asks for
/// no wait. `None` for a date without a `Date`, and for any other text: the caller backs off as usual.
///
/// ```
/// use core::time::Duration;
/// use mender::net::http::retry_after::wait;
/// assert_eq!(wait("120", None), Some(Duration::from_secs(120)));
/// let (at, now) = ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:23:00 GMT");
/// assert_eq!(wait(at, Some(now)), Some(Duration::from_secs(300)));
/// ```
pub fn wait(value: &str, date: Option<&str>) -> Option<Duration> {
    let date = date.and_then(|date| seconds(date.as_bytes().trim_ascii()));
    let secs = Wait::of(value.as_bytes().trim_ascii())?.from(date)?;
    Some(Duration::from_secs(u64::from(secs)))
}

/// A value of `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// So many seconds.
    For(u32),
    /// Until a date, see [`seconds`].
    Until(u64),
}

impl Wait {
    pub(super) fn of(value: &[u8]) -> Option<Wait> {
        match number(value, 10) {
            Some(seconds) => Some(Wait::For(seconds)),
            None => seconds(value).map(Wait::Until),
        }
    }

    /// In seconds from `date` on.
    pub(super) fn from(self, date: Option<u64>) -> Option<u32> {
        let seconds = match self {
            Wait::For(seconds) => seconds,
            Wait::Until(until) => u32::try_from(until.saturating_sub(date?)).unwrap_or(u32::MAX),
        };
        Some(seconds.min(LONGEST_SECS))
    }
}

/// Seconds from 0000-03-01 to a date in the form that HTTP prescribes (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
/// The two obsolete forms are not understood.
pub(super) fn seconds(date: &[u8]) -> Option<u64> {
    const FORM: &[u8; 29] = b"xxx, 00 xxx 0000 00:00:00 GMT";
    // Counted from March, the leap day is the last of its year.
    const MONTHS: &[u8; 36] = b"MarAprMayJunJulAugSepOctNovDecJanFeb";
    let is_formed = |(form, byte): (&u8, &u8)| matches!(form, b'0' | b'x') || form == byte;
    if date.len() != FORM.len() || !FORM.iter().zip(date).all(is_formed) {
        return None;
    }
    let mut numbers = [0; 5];
    for (place, (start, len)) in numbers.iter_mut().zip([(5, 2), (12, 4), (17, 2), (20, 2), (23, 2)]) {
        *place = number(date.get(start..start + len)?, 10)?;
    }
    let [day, year, hours, minutes, seconds] = numbers;
    if !(1..=31).contains(&day) || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let month = MONTHS.chunks(3).position(|name| Some(name) == date.get(8..11))? as u32;
    let year = if month < 10 { year } else { year.checked_sub(1)? };
    Some(u64::from(days(year, month, day)) * 86_400 + u64::from((hours * 60 + minutes) * 60 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds() {
        for (text, seconds) in [
            ("120", 120),
            (" 0 \r\n", 0),
            ("99999999999999999999", 86_400),
            ("86401", 86_400),
        ] {
            assert_eq!(wait(text, None), Some(Duration::from_secs(seconds)), "{text}");
        }
        for other in ["", " ", "-1", "1.5", "+3", "soon", "1\u{663}"] {
            assert_eq!(wait(other, None), None, "{other:?}");
        }
    }

    #[test]
    fn dates_need_a_date_to_count_from() {
        let at = "Wed, 21 Oct 2026 07:28:00 GMT";
        assert_eq!(wait(at, None), None);
        assert_eq!(wait(at, Some("yesterday")), None);
        for (now, seconds) in [
            ("Wed, 21 Oct 2026 07:27:59 GMT", 1),
            ("Wed, 21 Oct 2026 07:28:01 GMT", 0),
            ("Wed, 21 Oct 2026 00:00:00 GMT", 7 * 3600 + 28 * 60),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 86_400),
        ] {
            assert_eq!(wait(at, Some(now)), Some(Duration::from_secs(seconds)), "{now}");
        }
    }

    #[test]
    fn the_calendar_has_no_gaps() {
        for (before, after) in [
            ("Sat, 28 Feb 2026 23:59:59 GMT", "Sun, 01 Mar 2026 00:00:00 GMT"),
            ("Thu, 29 Feb 2024 23:59:59 GMT", "Fri, 01 Mar 2024 00:00:00 GMT"),
            ("Tue, 29 Feb 2000 23:59:59 GMT", "Wed, 01 Mar 2000 00:00:00 GMT"),
            ("Sun, 28 Feb 2100 23:59:59 GMT", "Mon, 01 Mar 2100 00:00:00 GMT"),
            ("Thu, 31 Dec 2026 23:59:59 GMT", "Fri, 01 Jan 2027 00:00:00 GMT"),
            ("Fri, 31 Jul 2026 23:59:59 GMT", "Sat, 01 Aug 2026 00:00:00 GMT"),
            ("Sat, 31 Jan 2026 23:59:59 GMT", "Sun, 01 Feb 2026 00:00:00 GMT"),
        ] {
            assert_eq!(wait(after, Some(before)), Some(Duration::from_secs(1)), "{after}");
        }
    }

    #[test]
    fn no_text_panics() {
        let good = "Wed, 21 Oct 2026 07:28:00 GMT";
        for end in 0..good.len() {
            assert_eq!(wait(&good[..end], Some(good)), None);
        }
        for other in [
            "Wed, 21 Oct 0000 07:28:00 GMX",
            "Wed, 99 Oct 2026 07:28:00 GMT",
            "Wed, 21 Oct 2026 24:28:00 GMT",
            "Wed, 21 oct 2026 07:28:00 GMT",
            "Wed, 21 Oct 2026 07:28:00 GMT ago",
            "W\u{e9}d, 1 Oct 2026 07:28:00 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(wait(other, Some(good)), None, "{other}");
        }
        assert_eq!(wait("Sat, 01 Jan 0000 00:00:00 GMT", Some(good)), None);
    }
}
