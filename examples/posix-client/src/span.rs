//! A length of time as people write it: `90`, `90s`, `30m`, `8h`, `7d`.

use std::time::Duration;

/// Reads a length of time; a plain number is seconds, as in `mender.conf`.
///
/// # Errors
///
/// What is wrong with it, for people.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.strip_prefix(digits) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        Some("d") => 86400,
        Some(_) | None => return Err("expected seconds, or a number with s, m, h or d, such as 30m".to_owned()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "expected seconds, or a number with s, m, h or d, such as 30m".to_owned())?;
    let seconds = number.checked_mul(unit).filter(|&seconds| seconds <= MAX_SECONDS);
    match seconds {
        Some(0) => Err("must be at least a second".to_owned()),
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err("must be at most 30 days".to_owned()),
    }
}

/// 30 days: the longest that Mender has, and the library takes.
pub const MAX_SECONDS: u64 = 30 * 86400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_known() {
        for (text, seconds) in [
            ("1", 1),
            ("90s", 90),
            ("30m", 1800),
            ("8h", 28800),
            ("30d", MAX_SECONDS),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in [
            "",
            "s",
            "-1",
            "1.5",
            "5w",
            "1 h",
            "h1",
            "0",
            "0h",
            "31d",
            "99999999999999999999",
            "9999999999999999d",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
