//! A response's head, read byte by byte through a small line buffer. Pure.
//!
//! Of each line the name is compared with the few that matter; the values of those are kept up to [`VALUE_LEN`] bytes, that of
//! `Location` in lent memory; all others are passed over.
//!
//! Rules: RFC 9112, sections 2 to 6.

use super::HttpError;
use super::body::Framing;
use super::retry_after::{Wait, seconds};
use crate::text::number;

/// Longest head, in bytes.
pub(crate) const HEAD_MAX_LEN: u16 = 8192;

/// Longest value of a header that matters; a date has 29 bytes, a range up to 40.
const VALUE_LEN: usize = 48;

/// What a client needs of a response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Status code, 100 to 999.
    pub(crate) status: u16,
    /// Where the body ends.
    pub(crate) framing: Framing,
    /// The connection can be used for another request after the body.
    pub(crate) keep_alive: bool,
    /// What `Retry-After` asks for, in seconds: see [`retry_after`](super::retry_after).
    pub(crate) retry_after: Option<u32>,
    /// First byte position of `Content-Range: bytes A-B/C`.
    pub(crate) range_from: Option<u32>,
    /// The body has an encoding, which was not asked for.
    pub(crate) encoded: bool,
    /// The length of `Location`, of which as much as there was room for is in the lent memory.
    pub(crate) location_len: u16,
}

/// The headers that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    ContentLength,
    TransferEncoding,
    Connection,
    RetryAfter,
    Date,
    ContentRange,
    ContentEncoding,
    Location,
}

const HEADERS: [(&[u8], Header); 8] = [
    (b"content-length", Header::ContentLength),
    (b"transfer-encoding", Header::TransferEncoding),
    (b"connection", Header::Connection),
    (b"retry-after", Header::RetryAfter),
    (b"date", Header::Date),
    (b"content-range", Header::ContentRange),
    (b"content-encoding", Header::ContentEncoding),
    (b"location", Header::Location),
];

/// Where in the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In `HTTP/1.1 200`: the version and the status.
    Status(u8),
    /// Behind the status, up to the line's end.
    Reason,
    /// In a header's name, or at the empty line.
    Name,
    /// In white space in front of a value.
    BeforeValue,
    Value,
    /// Behind the carriage return of a line; the line is the empty one.
    LineEnd {
        empty: bool,
    },
}

/// Reads one head. See the [module](self).
#[derive(Clone, Debug)]
// In this order: what is near the front takes shorter instructions.
#[repr(C)]
pub(crate) struct HeadReader {
    place: Place,
    /// The header whose line this is, if it is one that matters.
    header: Option<Header>,
    minor: u8,
    chunked: bool,
    keep_alive: Option<bool>,
    encoded: bool,
    len: u16,
    /// Its length, also of what was cut.
    line_len: u16,
    status: u16,
    location_len: u16,
    content_len: Option<u32>,
    retry_after: Option<Wait>,
    range_from: Option<u32>,
    date: Option<u64>,
    /// The name, then the value, of the line at hand; longer ones are cut.
    line: [u8; VALUE_LEN],
}

impl HeadReader {
    pub(crate) const fn new() -> HeadReader {
        HeadReader {
            place: Place::Status(0),
            len: 0,
            header: None,
            line: [0; VALUE_LEN],
            line_len: 0,
            minor: 0,
            status: 0,
            content_len: None,
            chunked: false,
            keep_alive: None,
            retry_after: None,
            date: None,
            range_from: None,
            encoded: false,
            location_len: 0,
        }
    }

    /// Whether no byte has come.
    pub(crate) fn is_new(&self) -> bool {
        self.len == 0
    }

    /// Takes the next byte; the head when it is complete. `100 Continue` and its like are passed over. `location` takes the value
    /// of `Location`.
    pub(crate) fn push(&mut self, byte: u8, location: &mut [u8]) -> Result<Option<Head>, HttpError> {
        self.len += 1;
        if self.len > HEAD_MAX_LEN {
            return Err(HttpError::HeadTooLong);
        }
        match self.place {
            Place::Status(at) => {
                const VERSION: &[u8] = b"HTTP/1.";
                self.place = Place::Status(at + 1);
                match (at, byte) {
                    (0..=6, _) if VERSION.get(usize::from(at)) == Some(&byte) => {}
                    (7, b'0' | b'1') => self.minor = byte - b'0',
                    (8, b' ') => {}
                    (9, b'1'..=b'9') | (10 | 11, b'0'..=b'9') => {
                        self.status = self.status * 10 + u16::from(byte - b'0');
                    }
                    (12, b' ' | b'\t') => self.place = Place::Reason,
                    (12, b'\r') => self.place = Place::LineEnd { empty: false },
                    (12, b'\n') => self.next_line(),
                    _ => return Err(HttpError::Malformed),
                }
            }
            Place::Reason => match byte {
                b'\r' => self.place = Place::LineEnd { empty: false },
                b'\n' => self.next_line(),
                _ => {}
            },
            Place::Name => match byte {
                b':' if self.line_len > 0 => {
                    let name = self.line.get(..usize::from(self.line_len)).unwrap_or(&[]);
                    let known = HEADERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
                    self.header = known.map(|(_, header)| *header);
                    self.line_len = 0;
                    self.place = Place::BeforeValue;
                }
                b'\r' if self.line_len == 0 => self.place = Place::LineEnd { empty: true },
                b'\n' if self.line_len == 0 => return self.end(),
                _ if is_token(byte) => self.keep(byte),
                _ => return Err(HttpError::Malformed),
            },
            Place::BeforeValue | Place::Value => match byte {
                b'\r' => {
                    self.end_value(location)?;
                    self.place = Place::LineEnd { empty: false };
                }
                b'\n' => {
                    self.end_value(location)?;
                    self.next_line();
                }
                b' ' | b'\t' if self.place == Place::BeforeValue => {}
                b'\t' | b' '..=b'~' | 0x80.. => {
                    self.place = Place::Value;
                    if self.header == Some(Header::Location) {
                        if let Some(place) = location.get_mut(usize::from(self.line_len)) {
                            *place = byte;
                        }
                        self.line_len += 1;
                    } else if self.header.is_some() {
                        self.keep(byte);
                    }
                }
                _ => return Err(HttpError::Malformed),
            },
            Place::LineEnd { empty } => match byte {
                b'\n' if empty => return self.end(),
                b'\n' => self.next_line(),
                _ => return Err(HttpError::Malformed),
            },
        }
        Ok(None)
    }

    fn next_line(&mut self) {
        self.place = Place::Name;
        self.line_len = 0;
    }

    fn keep(&mut self, byte: u8) {
        if let Some(place) = self.line.get_mut(usize::from(self.line_len)) {
            *place = byte;
        }
        self.line_len += 1;
    }

    fn end_value(&mut self, location: &[u8]) -> Result<(), HttpError> {
        let Some(header) = self.header.take() else {
            return Ok(());
        };
        // A value that was cut is none that is understood.
        let whole = self.line.get(..usize::from(self.line_len));
        let value = whole.unwrap_or(&[]).trim_ascii_end();
        match header {
            Header::ContentLength => {
                let len = number(value, 10).ok_or(HttpError::Malformed)?;
                // No microcontroller takes a body of 4 GiB.
                if len == u32::MAX {
                    return Err(HttpError::BodyTooLong);
                }
                if self.content_len.is_some_and(|earlier| earlier != len) {
                    return Err(HttpError::Contradiction);
                }
                self.content_len = Some(len);
            }
            // Nothing but chunks was offered to the server.
            Header::TransferEncoding if value.eq_ignore_ascii_case(b"chunked") => self.chunked = true,
            Header::TransferEncoding => return Err(HttpError::Malformed),
            Header::Connection => {
                for option in value.split(|byte| *byte == b',') {
                    let option = option.trim_ascii();
                    if option.eq_ignore_ascii_case(b"close") || whole.is_none() {
                        self.keep_alive = Some(false);
                    } else if option.eq_ignore_ascii_case(b"keep-alive") && self.keep_alive.is_none() {
                        self.keep_alive = Some(true);
                    }
                }
            }
            Header::RetryAfter => self.retry_after = Wait::of(value),
            Header::Date => self.date = seconds(value),
            Header::ContentRange => self.range_from = first_of_range(value),
            Header::ContentEncoding => self.encoded = !value.eq_ignore_ascii_case(b"identity"),
            Header::Location => {
                let kept = location.get(..usize::from(self.line_len));
                // Too long a one keeps its length, which says so.
                self.location_len = match kept {
                    Some(text) => text.trim_ascii_end().len() as u16,
                    None => self.line_len,
                };
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Option<Head>, HttpError> {
        if self.status < 200 {
            let len = self.len;
            *self = HeadReader::new();
            // All of them together are bounded.
            self.len = len;
            return Ok(None);
        }
        let (framing, has_end) = match (self.status, self.chunked, self.content_len) {
            // RFC 9112, 6.3: these have no body, whatever the headers say.
            (204 | 304, ..) => (Framing::Length(0), true),
            (_, true, Some(_)) => return Err(HttpError::Contradiction),
            (_, true, None) => (Framing::chunked(), true),
            (_, false, Some(len)) => (Framing::Length(len), true),
            (_, false, None) => (Framing::ToEnd, false),
        };
        Ok(Some(Head {
            status: self.status,
            framing,
            keep_alive: has_end && self.keep_alive.unwrap_or(self.minor == 1),
            retry_after: self.retry_after.and_then(|wait| wait.from(self.date)),
            range_from: self.range_from,
            encoded: self.encoded,
            location_len: self.location_len,
        }))
    }
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    // All visible characters but the delimiters.
    byte.is_ascii_graphic()
        && !matches!(byte, b'"' | b'(' | b')' | b',' | b'/' | b':'..=b'@' | b'['..=b']' | b'{' | b'}')
}

/// Of `bytes A-B/C` the A.
fn first_of_range(value: &[u8]) -> Option<u32> {
    let (unit, range) = value.split_at_checked(5)?;
    let [b' ', range @ ..] = range else { return None };
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    number(range.split(|byte| *byte == b'-').next()?.trim_ascii(), 10)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    fn read(text: &[u8]) -> Result<Option<(Head, usize)>, HttpError> {
        let mut reader = HeadReader::new();
        for (at, byte) in text.iter().enumerate() {
            if let Some(head) = reader.push(*byte, &mut [])? {
                return Ok(Some((head, at + 1)));
            }
        }
        Ok(None)
    }

    fn head(text: &str) -> Head {
        read(text.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn header_names_have_any_case() {
        let head = head("HTTP/1.1 429 Too Many\r\nRETRY-after:  17 \r\ncontent-LENGTH: 3\r\n\r\n");
        assert_eq!(head.retry_after, Some(17));
        assert_eq!(head.framing, Framing::Length(3));
        assert!(head.keep_alive);
    }

    #[test]
    fn connections_that_close_are_known() {
        assert!(!head("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").keep_alive);
        assert!(head("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n").keep_alive);
        assert!(!head("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n").keep_alive);
        assert!(!head("HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\nContent-Length: 0\r\n\r\n").keep_alive);
        assert!(!head("HTTP/1.1 200 OK\r\n\r\n").keep_alive);
        // More options than are kept: who knows.
        let long = "x, ".repeat(30);
        assert!(
            !head(&format!(
                "HTTP/1.1 200 OK\r\nConnection: {long}close\r\nContent-Length: 0\r\n\r\n"
            ))
            .keep_alive
        );
    }

    #[test]
    fn bodies_end_where_the_rfc_says() {
        assert_eq!(
            head("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n").framing,
            Framing::Length(0)
        );
        assert_eq!(
            head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").framing,
            Framing::chunked()
        );
        for (bad, error) in [
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                HttpError::Malformed,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
                HttpError::Contradiction,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                HttpError::Contradiction,
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", HttpError::Malformed),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n",
                HttpError::BodyTooLong,
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", HttpError::Malformed),
            ("SSH-2.0-x\r\n\r\n", HttpError::Malformed),
            ("HTTP/2.0 200 OK\r\n\r\n", HttpError::Malformed),
            ("HTTP/1.1 020 OK\r\n\r\n", HttpError::Malformed),
            ("HTTP/1.1 20 OK\r\n\r\n", HttpError::Malformed),
            ("HTTP/1.1 2000 OK\r\n\r\n", HttpError::Malformed),
            ("HTTP/1.1  200 OK\r\n\r\n", HttpError::Malformed),
            ("HTTP/1.1 200 OK\r\n: x\r\n\r\n", HttpError::Malformed),
            ("HTTP/1.1 200 OK\r\nA B: x\r\n\r\n", HttpError::Malformed),
            ("HTTP/1.1 200 OK\r\nA: x\r\n folded\r\n\r\n", HttpError::Malformed),
            ("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", HttpError::Malformed),
            ("HTTP/1.1 200 OK\r\nA: x\rB: y\r\n\r\n", HttpError::Malformed),
            ("HTTP/1.1 200 OK\r\nnothing\r\n\r\n", HttpError::Malformed),
        ] {
            assert_eq!(read(bad.as_bytes()), Err(error), "{bad}");
        }
    }

    #[test]
    fn ranges_and_dates() {
        assert_eq!(
            head("HTTP/1.1 206 P\r\nContent-Range: bytes 512-1023/2048\r\n\r\n").range_from,
            Some(512)
        );
        for other in [
            "bytes */2048",
            "bytes",
            "",
            "lines 1-2/3",
            "bytes -1-2/3",
            "bytes512-1023/2048",
        ] {
            assert_eq!(
                head(&format!("HTTP/1.1 206 P\r\nContent-Range: {other}\r\n\r\n")).range_from,
                None,
                "{other}"
            );
        }
        let date = "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n";
        assert_eq!(head(&format!("HTTP/1.1 429 T\r\n{date}\r\n")).retry_after, None);
        let now = "date: Wed, 21 Oct 2026 07:27:00 GMT\r\n";
        for lines in [format!("{date}{now}"), format!("{now}{date}")] {
            assert_eq!(head(&format!("HTTP/1.1 429 T\r\n{lines}\r\n")).retry_after, Some(60));
        }
    }

    #[test]
    fn a_head_is_incomplete_until_its_last_byte() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        for cut in 0..text.len() - 1 {
            assert_eq!(read(&text[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(read(text).unwrap().unwrap().1, text.len() - 1);
    }

    #[test]
    fn any_length_up_to_eight_kibibytes_and_no_more() {
        let of_len = |len: usize| {
            let end = "\r\nContent-Length: 7\r\n\r\n";
            let start = "HTTP/1.1 200 OK\r\nX-Long: ";
            String::from(start) + &"v".repeat(len - start.len() - end.len()) + end
        };
        for len in [100, 1000, 8191, 8192] {
            assert_eq!(head(&of_len(len)).framing, Framing::Length(7), "{len}");
        }
        assert_eq!(read(of_len(8193).as_bytes()), Err(HttpError::HeadTooLong));
        // As many lines, and names of any length.
        let lines: String = (0..300).map(|at| format!("X-{at}: {at}\r\n")).collect();
        assert!(head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).status == 200);
        let name = "n".repeat(1000);
        assert!(head(&format!("HTTP/1.1 200 OK\r\n{name}: x\r\nContent-Length: 0\r\n\r\n")).keep_alive);
    }

    #[test]
    fn interim_responses_are_passed_over() {
        let text = "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 N\r\n\r\n";
        let (head, len) = read(text.as_bytes()).unwrap().unwrap();
        assert_eq!((head.status, len), (204, text.len()));
        let endless = "HTTP/1.1 100 Continue\r\n\r\n".repeat(400);
        assert_eq!(read(endless.as_bytes()), Err(HttpError::HeadTooLong));
    }

    #[test]
    fn bare_line_feeds_will_do() {
        let (head, _) = read(b"HTTP/1.1 200\nContent-Length: 4\n\n").unwrap().unwrap();
        assert_eq!((head.status, head.framing), (200, Framing::Length(4)));
    }

    #[test]
    fn names_are_tokens() {
        for byte in 0..=u8::MAX {
            let expected = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token(byte), expected, "{byte}");
        }
    }

    #[test]
    fn encodings_are_told() {
        assert!(head("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n").encoded);
        assert!(!head("HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n\r\n").encoded);
    }

    #[test]
    fn locations_are_kept_in_lent_memory() {
        let text = b"HTTP/1.1 302 Found\r\nLocation: https://a/b?c \r\n\r\n";
        for room in 0..40 {
            let mut location = std::vec![0; room];
            let mut reader = HeadReader::new();
            let heads: Vec<_> = text
                .iter()
                .filter_map(|byte| reader.push(*byte, &mut location).unwrap())
                .collect();
            let [head] = heads[..] else { panic!() };
            if room >= 14 {
                assert_eq!(&location[..usize::from(head.location_len)], b"https://a/b?c");
            } else {
                assert!(usize::from(head.location_len) > room);
            }
        }
    }
}
