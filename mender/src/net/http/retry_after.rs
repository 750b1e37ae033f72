//! `Retry-After`: how long a server wants to be left alone. Pure.

use core::time::Duration;

use super::head::decimal;

/// No server can silence a device for longer: a wrong number, or a proxy's wrong clock, must not cost a fleet its updates.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

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
    let value = value.trim();
    let seconds = match decimal(value) {
        Some(seconds) => seconds,
        // More digits than a number has.
        None if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => u64::MAX,
        None => seconds_of(value)?.saturating_sub(seconds_of(date?.trim())?),
    };
    Some(Duration::from_secs(seconds).min(LONGEST))
}

/// Seconds from the year 0 to a date in the form that HTTP prescribes (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
/// The two obsolete forms are not understood.
fn seconds_of(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb",
    ];
    let number = |at: core::ops::Range<usize>, below: u64| date.get(at).and_then(decimal).filter(|n| *n < below);
    // Everything between the numbers.
    for (at, text) in [
        (3, ", "),
        (7, " "),
        (11, " "),
        (16, " "),
        (19, ":"),
        (22, ":"),
        (25, " GMT"),
    ] {
        if date.get(at..at + text.len()) != Some(text) {
            return None;
        }
    }
    if date.len() != 29 {
        return None;
    }
    let (day, year) = (number(5..7, 32)?, number(12..16, 10_000)?);
    let month = date.get(8..11)?;
    // Counted from March, the leap day is the last of its year.
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let year = if month < 10 { year } else { year.checked_sub(1)? };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    let (hours, minutes, seconds) = (number(17..19, 24)?, number(20..22, 60)?, number(23..25, 61)?);
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
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
